/**
 * All flows and all error paths, with secrets that can be recognised: what a client holds, what it presents in vain, what is handed
 * out, and what errors of the application carry in their messages.
 */
import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import {
  authorizationCode,
  clientCredentials,
  createTokenResponse,
  memoryStore,
  opaque,
  refreshToken,
  requireAccessToken,
  tokenHandler,
  type ServerOptions,
  type Store,
  type StoredRecord,
} from '../../src/index.js'
import { basic, exchange, formRequest, machine, testServer, web, type Form, type JsonResponse, type TestServer } from '../support/server.js'
import { ticketGrant } from './races.js'
import { rawServer } from './raw-http.js'

/** What the flows left behind. */
export interface Transcript {
  /** May stand nowhere. */
  readonly secrets: Set<string>
  /** Bodies and headers of refusals, and headers of everything. */
  readonly responses: string[]
  /** Every event, as JSON and as `util.inspect` prints it; and what hooks were shown. */
  readonly told: string[]
  /** Every record that was written, newest version. */
  readonly records: Map<string, StoredRecord>
  /** Credentials that are good at the end. */
  readonly live: string[]
}

const odd = 'é/+ &=%"~0123456789abcdef'

/** Secrets of clients: any UTF-8. */
export const webCanary = { ...web, client_secret: `c4n4ry-web:${odd}` }
export const machineCanary = { ...machine, client_secret: `c4n4ry-machine:${odd}`, grant_types: ['client_credentials', ticketGrant.type] }

const wrongSecret = `c4n4ry-wrong:${odd}`
export const thrownCanary = 'c4n4ry-thrown postgres://admin:hunter2@db/~0123456789'
const verifier = `c4n4ry-verifier~${'v'.repeat(40)}`
const wrongVerifier = `c4n4ry-other-verifier~${'w'.repeat(40)}`
const ticket = `c4n4ry-ticket:${odd}`
const challenge = { code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256' }

/** Remembers the newest version of every record that a store was given. */
function dumpingStore(store: Store, records: Map<string, StoredRecord>): Store {
  const kept = (record: StoredRecord, written: boolean) => {
    if (written) records.set(record.id, record)
    return written
  }
  return {
    get: (id) => store.get(id),
    create: async (record) => kept(record, await store.create(record)),
    replace: async (record, version) => kept(record, await store.replace(record, version)),
    list: (filter) => store.list(filter),
  }
}

/** A server whose events, and what its hooks see, go to the transcript. */
function canaryServer(transcript: Transcript, options: ServerOptions = {}): TestServer {
  const tell = (value: unknown) => transcript.told.push(JSON.stringify(value), inspect(value, { depth: Infinity }))
  return testServer({
    clients: [webCanary, machineCanary],
    grants: [authorizationCode(), refreshToken(), clientCredentials(), { ...ticketGrant, presents: 'ticket' }],
    onEvent: tell,
    authorize: (request) => void tell(request),
    beforeGrant: (request) => void tell(request),
    store: dumpingStore(memoryStore(), transcript.records),
    ...options,
  })
}

/** Notes a response: of a success only its headers, and its credentials as secrets. */
function note(transcript: Transcript, { status, headers, body, json }: JsonResponse): JsonResponse {
  const isSuccess = status === 200 && json.access_token !== undefined
  transcript.responses.push(JSON.stringify(headers), isSuccess ? '' : body)
  for (const text of [json.access_token, json.refresh_token]) if (text !== undefined) transcript.secrets.add(text)
  return { status, headers, body, json }
}

async function newCode(transcript: Transcript, server: TestServer): Promise<string> {
  const code = await server.code(challenge)
  transcript.secrets.add(code)
  return code
}

/** The form that redeems a code of these flows. */
export const redemption = (code: string) => ({ ...exchange(code), code_verifier: verifier })

/** Every flow that succeeds, and every refusal that a client can bring about. */
async function playFlows(transcript: Transcript): Promise<void> {
  const server = canaryServer(transcript)
  const { client_id, client_secret } = webCanary
  const ask = async (form: Form, headers: Record<string, string> = basic(webCanary)) => note(transcript, await server.token(form, headers))
  const code = await newCode(transcript, server)
  await ask({ ...redemption(code), scope: '"' })
  await ask({ ...redemption(code), redirect_uri: 'https://other.example/' })
  await ask(redemption(code), basic({ ...webCanary, client_secret: wrongSecret }))
  await ask(redemption(code), basic({ client_id: 'nobody', client_secret: wrongSecret }))
  await ask(redemption(code), basic(machineCanary))
  await ask({ ...redemption(code), client_id, client_secret }, basic(webCanary))
  await ask({ ...redemption(code), client_id, client_secret: wrongSecret }, {})
  await ask(redemption(code), { authorization: `Basic ${wrongSecret}` })
  await ask(`${new URLSearchParams(redemption(code)).toString()}&code=${code}`)
  await ask(`code=${code}&code_verifier=${verifier}&x=%zz`)
  const { json: first } = await ask({ ...redemption(code), client_id, client_secret }, {})
  const { json: second } = await ask({ grant_type: 'refresh_token', refresh_token: first.refresh_token ?? '' })
  await ask({ grant_type: 'refresh_token', refresh_token: first.refresh_token ?? '' })
  await ask({ grant_type: 'refresh_token', refresh_token: second.refresh_token ?? '' })
  await ask({ grant_type: 'refresh_token', refresh_token: `${second.refresh_token ?? ''}x` })
  await ask({ grant_type: 'client_credentials' }, basic(machineCanary))
  await ask({ grant_type: ticketGrant.type, ticket }, basic(machineCanary))
  await ask({ grant_type: ticketGrant.type, ticket }, basic(machineCanary))
  for (const token of [first.access_token, second.refresh_token, wrongSecret]) {
    note(transcript, await server.introspect({ token: token ?? '' }, basic(machineCanary)))
    note(transcript, await server.revoke({ token: token ?? '' }, basic({ ...webCanary, client_secret: wrongSecret })))
  }
  await ask({ grant_type: 'refresh_token', refresh_token: first.refresh_token ?? '' })
  await ask(redemption(code))
  const burnt = await newCode(transcript, server)
  await ask({ ...redemption(burnt), code_verifier: wrongVerifier })
  await ask(redemption(burnt))
  const others = [{ url: `https://a/token?client_secret=${wrongVerifier}` }, { method: wrongVerifier }, { headers: { 'content-type': wrongVerifier } }, { body: wrongSecret.repeat(2_000) }] // prettier-ignore
  for (const other of others) {
    const { headers, body, status } = await createTokenResponse(server.options, {
      ...formRequest(redemption(code), basic(webCanary)),
      ...other,
    })
    note(transcript, { status, headers, body, json: {} })
  }
  // What stays alive, for the dump.
  const liveCode = await newCode(transcript, server)
  const { json: kept } = await ask(redemption(await newCode(transcript, server)))
  const { json: live } = await ask({ grant_type: 'refresh_token', refresh_token: kept.refresh_token ?? '' })
  transcript.live.push(liveCode, live.refresh_token ?? '', live.access_token ?? '')
}

/** Throws what carries a canary, in one shape after another. */
function thrower(): () => never {
  let turn = 0
  const failures = [
    () => new Error(thrownCanary),
    () => Object.assign(new Error(thrownCanary, { cause: new Error(thrownCanary) }), { name: thrownCanary, code: thrownCanary }),
    () => thrownCanary,
    () => ({ message: thrownCanary, toString: () => thrownCanary, toJSON: () => thrownCanary }),
  ]
  return () => {
    throw failures[turn++ % failures.length]?.()
  }
}

/** Every function of the application, failing. */
async function playFailures(transcript: Transcript): Promise<void> {
  const fail = thrower()
  const memory = memoryStore()
  const failing: ServerOptions[] = [
    { beforeGrant: fail },
    { authorize: fail },
    { checkScope: fail },
    { refreshable: fail },
    { accessTokenLifetime: fail },
    { clients: fail },
    { clients: async () => fail() },
    { onEvent: fail },
    { onEvent: async () => fail() },
    { accessTokens: { ...opaque(), issue: fail } },
    { accessTokens: { ...opaque(), read: fail } },
    { grants: [authorizationCode(), refreshToken(), clientCredentials(), { ...ticketGrant, authorize: fail }] },
    { store: { ...memory, get: fail } },
    { store: { ...memory, create: fail } },
    { store: { ...memory, replace: async () => fail() } },
  ]
  for (const options of failing) await playWith(transcript, options)
  await playOverHttp(transcript, { context: fail })
  await playOverHttp(transcript, { trustProxy: fail })
}

async function playWith(transcript: Transcript, options: ServerOptions): Promise<void> {
  const shared = { store: memoryStore() }
  const issuer = canaryServer(transcript, shared)
  for (let shape = 0; shape < 4; shape++) {
    const server = canaryServer(transcript, { ...shared, ...options })
    const code = await newCode(transcript, issuer)
    const { json } = note(transcript, await issuer.token(redemption(await newCode(transcript, issuer)), basic(webCanary)))
    const token = json.access_token ?? ''
    note(transcript, await server.token(redemption(code), basic(webCanary)))
    note(transcript, await server.token({ grant_type: 'refresh_token', refresh_token: json.refresh_token ?? '' }, basic(webCanary)))
    note(transcript, await server.token({ grant_type: 'client_credentials' }, basic(machineCanary)))
    note(transcript, await server.token({ grant_type: ticketGrant.type }, basic(machineCanary)))
    note(transcript, await server.introspect({ token }, basic(webCanary)))
    note(transcript, await server.revoke({ token }, basic(webCanary)))
  }
}

async function playOverHttp(transcript: Transcript, options: ServerOptions): Promise<void> {
  const { options: server } = canaryServer(transcript, { allowInsecureTransport: true, ...options })
  const token = tokenHandler(server)
  const guard = requireAccessToken(server)
  const http = await rawServer((req, res) => {
    if (req.method === 'POST') token(req, res)
    else guard(req, res, () => res.end())
  })
  const body = new URLSearchParams({ ...redemption('x'), client_secret: webCanary.client_secret, client_id: 'web' }).toString()
  const head = [
    'Host: a',
    'X-Forwarded-Proto: https',
    `Authorization: Bearer ${verifier}`,
    'Content-Type: application/x-www-form-urlencoded',
  ]
  const lines = [...head, 'Connection: close', `Content-Length: ${body.length}`].join('\r\n')
  transcript.secrets.add(verifier)
  for (const method of ['POST', 'GET']) {
    for (let shape = 0; shape < 4; shape++)
      transcript.responses.push(await http.send(Buffer.from(`${method} /x HTTP/1.1\r\n${lines}\r\n\r\n${body}`)))
  }
  await http.close()
}

/** Plays everything. */
export async function playEverything(): Promise<Transcript> {
  const inputs = [webCanary.client_secret, machineCanary.client_secret, wrongSecret, thrownCanary, verifier, wrongVerifier, ticket]
  const transcript: Transcript = { secrets: new Set(inputs), responses: [], told: [], records: new Map(), live: [] }
  await playFlows(transcript)
  await playFailures(transcript)
  return transcript
}

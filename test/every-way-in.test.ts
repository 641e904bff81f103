/**
 * Every way in at every endpoint: a client of the options, of a function, of the store, one that registered itself, and one that is a metadata document; at
 * authorization, pushed requests, token, revocation and introspection. One that is good gets in everywhere, one that is blocked nowhere.
 */
import { afterEach, describe, expect, test } from '@jest/globals'
import {
  createIntrospectionResponse,
  createRevocationResponse,
  createTokenResponse,
  findClient,
  memoryStore,
  saveClient,
  type ClientMetadata,
  type ProtocolResponse,
  type ServerOptions,
} from '../src/index.js'
import { createPushedAuthorizationResponse } from '../src/endpoints/authorization/pushed.js'
import { createRegistrationResponse, readRegistrationRules } from '../src/endpoints/registration.js'
import { configure } from '../src/configuration/configure.js'
import { authorizePath, asked, startSite, type Site } from './server/site.js'
import { basic, formRequest, machine, parsed, redirect_uri } from './support/server.js'
import { Resources } from './support/wire.js'

const resources = new Resources()
afterEach(() => resources.close())

/** A client as it comes in, and how the application blocks it. */
interface Entry {
  readonly client_id: string
  /** Undefined where it is public. */
  readonly client_secret: string | undefined
  readonly site: Site
  block(): Promise<void>
}

const secret = 'own-secret-0123456789abcdef'
const own: ClientMetadata = {
  client_id: 'own',
  client_secret: secret,
  redirect_uris: [redirect_uri],
  grant_types: ['authorization_code', 'refresh_token'],
}
const document_id = 'https://client.example/oauth/client.json'

/** What the application says of a document client that it blocks. */
const blockedDocument = { client_id: document_id, token_endpoint_auth_method: 'none', redirect_uris: [redirect_uri], disabled: true }

const register = async (options: ServerOptions) => {
  const rules = readRegistrationRules(configure(options), {})
  const { redirect_uris, grant_types } = own
  const request = { method: 'POST', url: 'https://as.example/', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ redirect_uris, grant_types }) }
  return parsed(await createRegistrationResponse(options, request, rules)).json as unknown as { client_id: string; client_secret: string }
} // prettier-ignore

/** A site over a store; `clients` is left out where it is undefined. */
const open = (options: ServerOptions, registration = false) => startSite(resources, { store: memoryStore(), ...options }, { registration })

const ways: Readonly<Record<string, () => Promise<Entry>>> = {
  async options() {
    let site = await open({ clients: [own] })
    return {
      client_id: 'own', client_secret: secret,
      get site() { return site },
      async block() { site = await open({ clients: [{ ...own, disabled: true }] }) },
    }
  },
  async function() {
    let disabled = false
    const site = await open({ clients: (id) => (id === 'own' ? { ...own, disabled } : undefined) })
    return { client_id: 'own', client_secret: secret, site, block: async () => void (disabled = true) }
  },
  async store() {
    const site = await open({ clients: undefined } as unknown as ServerOptions)
    await saveClient(site.server.options, own)
    return { client_id: 'own', client_secret: secret, site, block: () => saveClient(site.server.options, { ...own, disabled: true }) }
  },
  async registration() {
    const site = await open({}, true)
    const { client_id, client_secret } = await register(site.server.options)
    const { options } = site.server
    const block = async () => saveClient(options, { ...(await findClient(options, client_id)), client_id, disabled: true })
    return { client_id, client_secret, site, block }
  },
  async 'metadata document'() {
    const { redirect_uris, grant_types } = own
    const fetch = async () => ({ document: { client_id: document_id, redirect_uris, grant_types }, headers: {} })
    const site = await open({ clientIdMetadataDocuments: { fetch }, clients: [{ ...machine, introspect: true }] })
    return { client_id: document_id, client_secret: undefined, site, block: () => saveClient(site.server.options, blockedDocument) }
  },
} // prettier-ignore

type Call = (entry: Entry, token: string) => Promise<number>

const credentials = ({ client_id, client_secret }: Entry): readonly [Record<string, string>, Record<string, string>] =>
  client_secret === undefined ? [{ client_id }, {}] : [{}, basic({ client_id, client_secret })]

async function send(entry: Entry, form: Record<string, string>, respond: (options: ServerOptions, request: ReturnType<typeof formRequest>) => Promise<ProtocolResponse>) {
  const [more, headers] = credentials(entry)
  return (await respond(entry.site.server.options, { ...formRequest({ ...form, ...more }, headers), address: '198.51.100.1' })).status
} // prettier-ignore

const endpoints: Readonly<Record<string, Call>> = {
  authorization: async ({ site, client_id }) => (await site.browser().go(authorizePath({ client_id }))).status,
  'pushed requests': (entry) => send(entry, { ...asked, client_id: entry.client_id }, createPushedAuthorizationResponse),
  token: (entry, refresh_token) => send(entry, { grant_type: 'refresh_token', refresh_token }, createTokenResponse),
  revocation: (entry) => send(entry, { token: 'unknown' }, createRevocationResponse),
  introspection: (entry) => send(entry, { token: 'unknown' }, createIntrospectionResponse),
}

/** What each endpoint answers one that is good, and one that is blocked. */
const answers: Readonly<Record<string, readonly [good: number, blocked: number]>> = {
  authorization: [200, 400],
  'pushed requests': [201, 401],
  token: [200, 401],
  revocation: [200, 401],
  introspection: [200, 401],
}

/** Introspection asks for a proof of who asks (RFC 7662 §2.1): a client without one is refused there, good or not. */
const exceptions: Readonly<Record<string, readonly [good: number, blocked: number]>> = { 'metadata document at introspection': [401, 401] }

/** A refresh token that the client got by its first visit. */
async function refreshToken(entry: Entry): Promise<string> {
  const { site, client_id } = entry
  const code = await site.server.code({ client_id })
  const [more, headers] = credentials(entry)
  const form = { grant_type: 'authorization_code', code, redirect_uri, code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk' }
  return (await site.server.token({ ...form, ...more }, headers)).json.refresh_token ?? ''
}

describe.each(Object.entries(ways))('every way in: a client of %s', (way, enter) => {
  test.each(Object.entries(endpoints))(`every way in: ${way}, at %s`, async (endpoint, call) => {
    const entry = await enter()
    // A document is fetched where somebody is asked: elsewhere the client is known once it was authorised.
    const token = ['token', 'revocation'].includes(endpoint) ? await refreshToken(entry) : ''
    const good = await call(entry, token)
    await entry.block()
    expect([good, await call(entry, token)]).toEqual(exceptions[`${way} at ${endpoint}`] ?? answers[endpoint])
  })
})

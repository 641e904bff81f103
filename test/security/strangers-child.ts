/**
 * A server in a process of its own that is given little memory, and strangers who make it remember as much as they can; in between a rightful client asks for
 * tokens. Tells its parent what was answered, and how much is kept.
 */
import {
  createTokenResponse,
  memoryStore,
  registrationHandler,
  type ProtocolResponse,
  type ServerOptions,
  type Store,
  type StoredRecord,
} from '../../src/index.js'
import { configure } from '../../src/configuration/configure.js'
import { createPushedAuthorizationResponse } from '../../src/endpoints/authorization/pushed.js'
import { createRegistrationResponse, readRegistrationRules } from '../../src/endpoints/registration.js'
import { createTemporaryCredentialsResponse, type OAuth1Options } from '../../src/oauth1/index.js'
import { configureOAuth1 } from '../../src/oauth1/options.js'
import { callback, client as oauth1Client, initiateUrl, secrets, signed } from '../oauth1/support.js'
import { basic, code_challenge, formRequest, machine, native, redirect_uri, start, web } from '../support/server.js'
import { storeAt, type Address } from '../support/store-of.js'

/** What the process is started with, as JSON in its first argument. */
export interface StrangersSettings {
  /** Pushed requests, documents, and temporary credentials of OAuth 1; half as many registrations. */
  readonly count: number
  /** Undefined: a memory store. */
  readonly address?: Address
  /** True: the rooms let everybody in. */
  readonly hasNoRooms?: boolean
  /** Requests in a second of the server's clock. */
  readonly perSecond: number
}

export type Attack = 'pushed requests' | 'documents' | 'registrations' | 'temporary credentials'

/** What came of one kind of request. */
export interface AttackReport {
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>
  /** Refusals with 429 or 503 that do not say when to come again. */
  readonly withoutRetryAfter: number
  /** Requests of the rightful client that were not answered 200. */
  readonly rightfulRefused: number
  /** Bytes of the records of this kind that had not ended, at the most. */
  readonly keptBytes: number
  /** Bytes of the heap after a collection of garbage, at the most. */
  readonly heap: number
}

export type StrangersReport = Readonly<Record<Attack, AttackReport>>

const settings = JSON.parse(process.argv[2] ?? '{}') as StrangersSettings
const { count, perSecond } = settings
let now = start

/** The store, and a list of what strangers have in it. */
const kept = new Map<string, { readonly bytes: number; readonly expiresAt: number }>()
function counting(store: Store): Store {
  const note = (record: StoredRecord, isWritten: boolean) => {
    if (isWritten && (record.kind === 'request' || record.kind === 'client' || record.kind === 'oauth1'))
      kept.set(record.id, { bytes: JSON.stringify(record).length, expiresAt: record.expiresAt })
    return isWritten
  }
  return {
    get: (id) => store.get(id),
    create: async (record) => note(record, await store.create(record)),
    replace: async (record, version) => note(record, await store.replace(record, version)),
    list: (filter) => store.list(filter),
  }
}

function keptBytes(): number {
  let bytes = 0
  for (const [id, { bytes: size, expiresAt }] of kept) {
    if (expiresAt > now) bytes += size
    else kept.delete(id)
  }
  return bytes
}

const documentOf = (client_id: string) => ({
  client_id,
  redirect_uris: Array.from({ length: 3 }, (_, n) => `https://client.example/${n}${'x'.repeat(1400)}`),
})
const store = counting(settings.address === undefined ? memoryStore({ clock: () => now }) : storeAt(settings.address))
const options: ServerOptions = {
  store,
  scopes: ['read'],
  clock: () => now,
  clientIdMetadataDocuments: { fetch: async (url) => ({ document: documentOf(url), headers: { 'cache-control': 'max-age=86400' } }) },
  clients: [web, machine, native],
  storeTimeout: 30_000,
}
const oauth1: OAuth1Options = { clients: [oauth1Client], secrets, store, clock: () => now, storeTimeout: 30_000 }
registrationHandler(options)
const configuration = configure(options)
const rules = readRegistrationRules(configuration, {})
if (settings.hasNoRooms === true) {
  const { pushed, documents, registrations } = configuration.rooms
  const { temporaryRoom } = configureOAuth1(oauth1)
  for (const room of [pushed, documents, registrations, temporaryRoom]) Object.assign(room, { enter: () => () => undefined })
}

/** One of a thousand addresses. */
const addressOf = (n: number) => `10.1.${Math.floor((n % 1000) / 250)}.${(n % 250) + 1}`
const form = { client_id: 'native', redirect_uri, response_type: 'code', code_challenge, code_challenge_method: 'S256' }
const long = 'z'.repeat(3900)
/** As much as is kept, and as much as is not. Each arrives as bytes of its own. */
const pushes = [
  formRequest({ ...form, state: long, claims: long, id_token_hint: long, junk: 'j'.repeat(3000) }),
  formRequest({ ...form, state: 'a state of some length', junk: 'j'.repeat(15_000) }),
] as const
const registration = JSON.stringify({
  redirect_uris: Array.from({ length: 8 }, (_, n) => `https://client.example/${n}${'x'.repeat(1900)}`),
})
const json = { 'content-type': 'application/json' }

/** Status and `Retry-After` of the nth request of a kind. */
const attacks: Readonly<Record<Attack, (n: number) => Promise<Pick<ProtocolResponse, 'status' | 'headers'>>>> = {
  'pushed requests'(n) {
    const push = pushes[n % 4 === 0 ? 1 : 0]
    return createPushedAuthorizationResponse(options, { ...push, body: Buffer.from(String(push.body)), address: addressOf(n) })
  },
  async documents(n) {
    try {
      await configuration.findClientToAuthorize(`https://h${n % (count / 10)}.example/c${n}`, { address: addressOf(n) })
      return { status: 200, headers: {} }
    } catch (thrown) {
      const { status, retryAfter } = thrown as { status: number; retryAfter?: number }
      return { status, headers: { 'Retry-After': String(retryAfter ?? '') } }
    }
  },
  registrations: (n) =>
    createRegistrationResponse(
      options,
      { method: 'POST', url: 'https://server.example/', headers: json, body: registration, address: addressOf(n) },
      rules,
    ),
  'temporary credentials'(n) {
    const request = signed(initiateUrl, oauth1Client, { timestamp: now, protocol: { oauth_callback: callback } })
    return createTemporaryCredentialsResponse(oauth1, { ...request, address: addressOf(n) })
  },
}

async function isRightfulServed(): Promise<boolean> {
  const request = { ...formRequest({ grant_type: 'client_credentials' }, basic(machine)), address: addressOf(1) }
  return (await createTokenResponse(options, request)).status === 200
}

async function attack(name: Attack, times: number): Promise<AttackReport> {
  const statuses: Record<string, number> = {}
  const report = { statuses, withoutRetryAfter: 0, rightfulRefused: 0, keptBytes: 0, heap: 0 }
  const atOnce = 20
  const before = keptBytes()
  for (let n = 0; n < times; n += atOnce) {
    const answers = await Promise.all(Array.from({ length: atOnce }, (_, i) => attacks[name](n + i)))
    for (const { status, headers } of answers) {
      statuses[status] = (statuses[status] ?? 0) + 1
      if ((status === 429 || status === 503) && !(Number(headers['Retry-After']) > 0)) report.withoutRetryAfter++
    }
    if (Math.floor(n / perSecond) !== Math.floor((n + atOnce) / perSecond)) now++
    if (!(await isRightfulServed())) report.rightfulRefused++
    if ((n + atOnce) % Math.floor(times / 10) >= atOnce) continue
    globalThis.gc?.()
    report.heap = Math.max(report.heap, process.memoryUsage().heapUsed)
    report.keptBytes = Math.max(report.keptBytes, keptBytes() - before)
  }
  return report
}

const report: StrangersReport = {
  'pushed requests': await attack('pushed requests', count),
  documents: await attack('documents', count),
  registrations: await attack('registrations', count / 2),
  'temporary credentials': await attack('temporary credentials', count),
}
process.send?.(report)
process.disconnect()
process.exitCode = 0

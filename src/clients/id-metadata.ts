/**
 * Client ID metadata documents: a client whose `client_id` is the URL of a document about itself, and that nobody has registered.
 *
 * 1. `current` fetches the document when somebody is about to be asked, at the authorization endpoint and at the endpoint for pushed requests.
 * 2. What was read is kept for ten minutes in a room of its own. When a code is issued, `keep` makes it last as long as an Authorization can live.
 * 3. `known` is for all other endpoints: it goes by what is kept and fetches nothing, so that an outage at the client's host logs nobody out.
 * 4. The application is asked whether it accepts the client at each look-up, not at each fetch.
 *
 * @see draft-ietf-oauth-client-id-metadata-document
 */
import type { JsonObject } from '../json.js'
import { readClient, type Client, type ClientMetadata } from './client.js'
import { DocumentFetches } from './document-fetches.js'
import { ConfigurationError, InvalidRequest, OAuthError, ServerError, TemporarilyUnavailable } from '../errors.js'
import { fetchJson, UnfetchableDocument, type FetchedDocument, type FetchSettings } from '../http/guarded-fetch.js'
import { noteRemedy } from '../known-causes.js'
import { formatScope } from '../authorization/scope.js'
import type { NamedRoom } from '../limits/shared-room.js'
import type { Ledger } from '../authorization/ledger.js'
import type { StoredRecord } from '../stores/store.js'
import { hasMember, MetadataFault, readStrangerMetadata, type ForeignMembers, type StrangerRules } from './stranger-metadata.js'
import { lateCallback, withinTime } from '../time-limit.js'

/** What the option `clientIdMetadataDocuments` may be, besides true. */
export interface ClientIdMetadataOptions {
  /**
   * Whether the application wants a client with that document. Only true accepts it. Asked at every use of the client, at the token endpoint too.
   * Default: every one.
   */
  readonly accept?: (metadata: ClientMetadata) => boolean | Promise<boolean>
  /** Fetches the document in place of the built-in way, which reaches public addresses only. What it throws is answered 503. */
  readonly fetch?: (url: string) => Promise<FetchedDocument>
}

/** What finding such clients needs of the server. */
export interface ClientIdMetadataPolicy {
  readonly ledger: Ledger
  readonly clock: () => number
  /** Room for the documents that nobody has authorised. */
  readonly room: NamedRoom
  /** What such a client may be, as things are now. */
  readonly rules: () => StrangerRules
  /** Milliseconds that `fetch` and `accept` may take. */
  readonly callbackTimeout: number
}

const limits: FetchSettings = { maxSize: 5 * 1024, timeout: 5000 }
const shortestCache = 300
const longestCache = 86_400
const day = 86_400
/** Seconds for which the document of a client is kept that nobody has authorised. */
const unauthorisedLifetime = 600

// draft §3: https, a path, no fragment, no user information, no dot segments
const clientIdUrl = /^https:\/\/[^/?#@\\\s]+\/[^#\\\s]*$/

/** Whether a client_id is the URL of a document. */
export function isClientIdUrl(client_id: string): boolean {
  if (!clientIdUrl.test(client_id) || !URL.canParse(client_id)) return false
  const path = client_id.slice(client_id.indexOf('/', 8)).split('?', 1)[0] ?? ''
  return new URL(client_id).href === client_id && !path.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))
}

/** Clients that are their documents. */
export interface ClientIdDocuments {
  /** As it was when somebody was last asked to authorise it; undefined when that is over, when it was forgotten, or when it is not accepted. */
  readonly known: (client_id: string) => Promise<Client | undefined>
  /**
   * As its document says now, or said lately. A document that was good is used for another day when it cannot be fetched.
   *
   * @throws InvalidRequest when the document is no client's, or not accepted; TemporarilyUnavailable when it cannot be fetched or there is no room for it.
   */
  readonly current: (client_id: string, address: string | undefined) => Promise<Client>
  /** Keeps what is known of the client until `instant`: it was authorised. Does nothing where it was forgotten meanwhile. */
  readonly keep: (client: Client, instant: number) => Promise<void>
  /** Forgets what is known, where anything is. The next authorization fetches the document again. */
  readonly forget: (client_id: string) => Promise<void>
}

/** Finds such clients. */
export function createClientIdDocuments(options: ClientIdMetadataOptions, policy: ClientIdMetadataPolicy): ClientIdDocuments {
  const { ledger, clock, room, rules, callbackTimeout } = policy
  const fetches = new DocumentFetches(
    async (url) => fetchedDocument(await withinTime(callbackTimeout, () => (options.fetch ?? fetchPublic)(url), lateCallback)),
    clock,
  )
  const recall = (client_id: string) => ledger.recall('client', recordText(client_id))

  async function isAccepted({ metadata }: Client): Promise<boolean> {
    const { accept } = options
    if (accept === undefined) return true
    try {
      const answer: unknown = await withinTime(callbackTimeout, async () => accept(metadata), lateCallback)
      return answer === true
    } catch (cause) {
      if (cause instanceof OAuthError) throw cause
      throw new ServerError(undefined, { reason: 'accept of the option clientIdMetadataDocuments failed', cause })
    }
  }

  const underWay = new Map<string, Promise<Client>>()

  /** One fetch and one write for all who wait for the same document. */
  function fetchAnew(client_id: string, record: StoredRecord | undefined, address: string | undefined): Promise<Client> {
    const shared = underWay.get(client_id)
    if (shared !== undefined) return shared
    const fetched = fetchAndRemember(client_id, record, address).finally(() => underWay.delete(client_id))
    underWay.set(client_id, fetched)
    return fetched
  }

  /** The document as it is now; or as it was, when it cannot be fetched. */
  async function fetchAndRemember(client_id: string, record: StoredRecord | undefined, address: string | undefined): Promise<Client> {
    let fetched: FetchedDocument
    try {
      fetched = await fetches.get(client_id, address)
    } catch (cause) {
      if (isUsable(record, clock()) && clock() < freshUntilOf(record) + day) return readKept(client_id, record, rules())
      throw unavailable(cause, client_id)
    }
    const client = readDocument(client_id, fetched.document, rules())
    await remember(client, record, cacheLifetime(fetched.headers), address)
    return client
  }

  async function remember(client: Client, record: StoredRecord | undefined, lifetime: number, address: string | undefined): Promise<void> {
    const text = recordText(client.client_id)
    const authorisedUntil = authorisedUntilOf(record)
    const data = { metadata: storable(client), freshUntil: clock() + lifetime, ...(authorisedUntil > clock() ? { authorisedUntil } : {}) }
    const until = Math.max(clock() + unauthorisedLifetime, authorisedUntil)
    if (authorisedUntil <= clock()) room.enter(client.client_id, { address, bytes: JSON.stringify(data).length, until })
    let isWritten = false
    try {
      // Of several processes one is first. Each has read the same document, so it does not matter which.
      isWritten = await (record === undefined ? ledger.rememberShared('client', text, data, until) : ledger.exchange(record, data, until))
    } finally {
      if (!isWritten) room.leave(client.client_id)
    }
  }

  return {
    async known(client_id) {
      const record = await recall(client_id)
      if (!isUsable(record, clock())) return undefined
      const client = readStored(client_id, record, rules())
      return client !== undefined && (await isAccepted(client)) ? client : undefined
    },
    async current(client_id, address) {
      const record = await recall(client_id)
      const isFresh = isUsable(record, clock()) && clock() < freshUntilOf(record)
      const client = isFresh ? readKept(client_id, record, rules()) : await fetchAnew(client_id, record, address)
      if (await isAccepted(client)) return client
      throw new InvalidRequest('unknown client', { reason: 'the application does not accept it' })
    },
    async keep(client, instant) {
      const until = instant + day
      const whole = { metadata: storable(client), freshUntil: clock(), authorisedUntil: until }
      for (let tries = 0; tries < 10; tries++) {
        const record = await recall(client.client_id)
        if (record === undefined) {
          if (await ledger.rememberShared('client', recordText(client.client_id), whole, until)) return
        } else if (!('metadata' in record.data) || authorisedUntilOf(record) >= instant) return
        else if (await ledger.exchange(record, { ...record.data, authorisedUntil: until }, until)) {
          room.leave(client.client_id)
          return
        }
      }
      throw new TemporarilyUnavailable(undefined, { reason: 'lost the race for this metadata document too often' })
    },
    async forget(client_id) {
      for (let tries = 0; tries < 10; tries++) {
        const record = await recall(client_id)
        if (record === undefined || !('metadata' in record.data) || (await ledger.exchange(record, {}, record.expiresAt))) return
      }
      throw new TemporarilyUnavailable(undefined, { reason: 'lost the race for this metadata document too often' })
    },
  }
}

/** Not the text under which a registered client of that name would be. */
function recordText(client_id: string): string {
  return `document of ${client_id}`
}

function isUsable(record: StoredRecord | undefined, now: number): record is StoredRecord {
  return record !== undefined && now < record.expiresAt && 'metadata' in record.data
}

function freshUntilOf({ data }: StoredRecord): number {
  return typeof data.freshUntil === 'number' ? data.freshUntil : 0
}

/** Version 0.1.0 wrote no such member, and kept every document as long as one that was authorised. */
function authorisedUntilOf(record: StoredRecord | undefined): number {
  if (record === undefined || !('metadata' in record.data)) return 0
  const { authorisedUntil } = record.data
  if (typeof authorisedUntil === 'number') return authorisedUntil
  return record.expiresAt > freshUntilOf(record) + day ? record.expiresAt : 0
}

/** What is kept is a document again, so that it is read under the rules of the day. */
function storable({ metadata }: Client): JsonObject {
  const { scope: _scope, defaultScope, ...others } = metadata
  const scope = Array.isArray(defaultScope) ? formatScope(defaultScope as readonly string[]) : ''
  return JSON.parse(JSON.stringify({ ...others, scope })) as JsonObject
}

/** What a function of the application returns is not yet what its type says. */
function fetchedDocument(value: unknown): FetchedDocument {
  const { document, headers = {} } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<string, unknown>>
  if (document === undefined || typeof headers !== 'object' || headers === null)
    throw new TypeError('fetch of the option clientIdMetadataDocuments must return { document, headers }, the document parsed')
  return { document, headers: headers as FetchedDocument['headers'] }
}

async function fetchPublic(url: string): Promise<FetchedDocument> {
  return fetchJson(new URL(url), limits)
}

/** Says why, and where: the words of {@link UnfetchableDocument} are fixed. */
function unavailable(cause: unknown, client_id: string): TemporarilyUnavailable {
  if (cause instanceof TemporarilyUnavailable && cause.retryAfter !== undefined && cause.cause === undefined) return cause
  const { hostname } = new URL(client_id)
  const isLocal = /^(?:.*\.)?localhost$/.test(hostname) || hostname === '127.0.0.1' || hostname === '[::1]'
  const why = isLocal ? 'localhost is not a public address' : cause instanceof UnfetchableDocument ? cause.message : undefined
  if (isLocal) noteRemedy(cause, 'for tests set clientIdMetadataDocuments: { fetch }')
  return new TemporarilyUnavailable('the client could not be looked up', {
    reason: `the client id metadata document cannot be fetched${why === undefined ? '' : `: ${why}`}`,
    facts: { document: client_id.slice(0, 500) },
    cause,
    retryAfter: 5,
  })
}

/** Undefined where what was kept is no client any more under the rules of today. */
function readStored(client_id: string, record: StoredRecord, rules: StrangerRules): Client | undefined {
  try {
    return readKept(client_id, record, rules)
  } catch (thrown) {
    if (thrown instanceof InvalidRequest) return undefined
    throw thrown
  }
}

/** What was accepted earlier. Its redirection URIs are judged where they are used, so that no session ends because a rule has changed. */
function readKept(client_id: string, { data }: StoredRecord, rules: StrangerRules): Client {
  return readDocument(client_id, data.metadata, { ...rules, privateUseSchemes: undefined })
}

/** @throws InvalidRequest when the document is not one of that client, or of one that this server cannot serve. */
function readDocument(client_id: string, document: unknown, rules: StrangerRules): Client {
  const members: ForeignMembers = typeof document === 'object' && document !== null ? (document as ForeignMembers) : {}
  // draft §4.1: the document names its own URL; there is nobody to share a secret with
  if (members.client_id !== client_id || hasMember(members, 'client_secret') || hasMember(members, 'client_secret_expires_at'))
    throw unusable('it does not name its URL, or holds a secret')
  try {
    return readClient({ ...readStrangerMetadata(members, rules), client_id }, 'the document', 'document')
  } catch (thrown) {
    if (thrown instanceof MetadataFault) throw unusable(thrown.message)
    if (thrown instanceof ConfigurationError) throw unusable(thrown.rule ?? 'it contradicts itself')
    throw thrown
  }
}

/** The reason is in fixed words: nothing of the document stands in it. */
function unusable(reason: string): InvalidRequest {
  return new InvalidRequest('unknown client', { reason: `the client id metadata document cannot be used: ${reason}` })
}

/** RFC 9111 §5.2: as long as the headers allow, but neither for a moment nor for ever. */
function cacheLifetime(headers: FetchedDocument['headers']): number {
  const control = headers['cache-control'] ?? ''
  const maxAge = /(?:^|[\s,])no-(?:store|cache)\b/i.test(control)
    ? 0
    : Number(/(?:^|[\s,])max-age=(\d{1,9})/i.exec(control)?.[1] ?? shortestCache)
  return Math.min(longestCache, Math.max(shortestCache, maxAge))
}

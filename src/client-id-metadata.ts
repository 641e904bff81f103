/**
 * Client ID metadata documents: a client whose `client_id` is the URL of a document about itself, and that nobody has registered.
 *
 * The document is fetched when somebody is asked to authorise the client, and at no other time. What was read then is kept in the store as long as an
 * Authorization can live, and the token endpoint goes by it: an outage at the client's host logs nobody out.
 *
 * @see draft-ietf-oauth-client-id-metadata-document
 */
import type { JsonObject } from './authorization.js'
import { readClient, type Client, type ClientMetadata } from './clients.js'
import { ConfigurationError, InvalidRequest, TemporarilyUnavailable } from './errors.js'
import { fetchJson, type FetchedDocument, type FetchSettings } from './guarded-fetch.js'
import { isWebPage, redirectUriFault } from './redirect-uri.js'
import type { Ledger } from './stores/ledger.js'

/** What the option `clientIdMetadataDocuments` may be, besides true. */
export interface ClientIdMetadataOptions {
  /** Whether the application wants a client with that document. Default: every one. */
  readonly accept?: (metadata: ClientMetadata) => boolean | Promise<boolean>
  /** Fetches the document in place of the built-in way, which reaches public addresses only. What it throws is answered 503. */
  readonly fetch?: (url: string) => Promise<FetchedDocument>
}

/** What finding such clients needs of the server. */
export interface ClientIdMetadataPolicy {
  readonly ledger: Ledger
  readonly clock: () => number
  /** Seconds for which what was read may be needed: the longest life of an Authorization. */
  readonly keepFor: number
  /** The schemes without a dot that a redirection URI in a document may have. */
  readonly privateUseSchemes: ReadonlySet<string>
}

const limits: FetchSettings = { maxSize: 5 * 1024, timeout: 5000 }
const shortestCache = 300
const longestCache = 86_400
const fetchesPerMinute = 10
const maxHosts = 10_000

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
  /** As it was when somebody was last asked to authorise it; undefined when nobody was. */
  readonly known: (client_id: string) => Promise<Client | undefined>
  /**
   * As its document says now, or said lately.
   *
   * @throws InvalidRequest when the document is no client's; TemporarilyUnavailable when it cannot be fetched.
   */
  readonly current: (client_id: string) => Promise<Client>
}

/** Finds such clients. */
export function createClientIdDocuments(options: ClientIdMetadataOptions, policy: ClientIdMetadataPolicy): ClientIdDocuments {
  const { ledger, clock, keepFor, privateUseSchemes } = policy
  const fetchesOf = createHostLimit(clock)
  return {
    async known(client_id) {
      const record = await ledger.recall('client', recordText(client_id))
      return record === undefined ? undefined : readDocument(client_id, record.data.metadata)
    },
    async current(client_id) {
      const record = await ledger.recall('client', recordText(client_id))
      const freshUntil = record?.data.freshUntil
      if (record !== undefined && typeof freshUntil === 'number' && clock() < freshUntil)
        return readDocument(client_id, record.data.metadata)
      if (!fetchesOf(new URL(client_id).host)) throw unavailable('too many documents were fetched from this host')
      const { document, headers } = await fetchDocument(client_id, options)
      const client = readDocument(client_id, document)
      assertRedirectUris(client, privateUseSchemes)
      if (options.accept !== undefined && !(await options.accept(client.metadata)))
        throw new InvalidRequest('unknown client', { reason: 'the application does not accept it' })
      const data = { metadata: client.metadata as unknown as JsonObject, freshUntil: clock() + cacheLifetime(headers) }
      if (record === undefined) await ledger.remember('client', recordText(client_id), data, clock() + keepFor)
      else await ledger.exchange(record, data, clock() + keepFor)
      return client
    },
  }
}

/** Not the text under which a registered client of that name would be. */
function recordText(client_id: string): string {
  return `document of ${client_id}`
}

async function fetchDocument(client_id: string, { fetch }: ClientIdMetadataOptions): Promise<FetchedDocument> {
  try {
    return await (fetch === undefined ? fetchJson(new URL(client_id), limits) : fetch(client_id))
  } catch (cause) {
    throw unavailable('the client id metadata document cannot be fetched', cause)
  }
}

function unavailable(reason: string, cause?: unknown): TemporarilyUnavailable {
  return new TemporarilyUnavailable('the client could not be looked up', { reason, ...(cause === undefined ? {} : { cause }) })
}

const symmetricMethods = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt']

/** @throws InvalidRequest when the document is not one of that client. */
function readDocument(client_id: string, document: unknown): Client {
  const members = typeof document === 'object' && document !== null ? (document as Readonly<Partial<Record<string, unknown>>>) : {}
  const { token_endpoint_auth_method = 'none', client_secret, client_secret_expires_at } = members
  // draft §4.1: the document names its own URL; there is nobody to share a secret with
  const isFault = members.client_id !== client_id || client_secret !== undefined || client_secret_expires_at !== undefined
  if (isFault || symmetricMethods.includes(String(token_endpoint_auth_method))) {
    throw new InvalidRequest('unknown client', { reason: 'the client id metadata document does not name its URL, or holds a secret' })
  }
  try {
    return readClient({ ...known(members), client_id, token_endpoint_auth_method }, 'the document', 'document')
  } catch (cause) {
    if (!(cause instanceof ConfigurationError)) throw cause
    throw new InvalidRequest('unknown client', { reason: cause.message })
  }
}

/** @throws InvalidRequest when one of its redirection URIs may not be registered. A document that was kept is not asked again: see `readFoundClient`. */
function assertRedirectUris({ redirect_uris }: Client, privateUseSchemes: ReadonlySet<string>): void {
  for (const uri of redirect_uris) {
    const fault = redirectUriFault(uri, privateUseSchemes)
    if (fault !== undefined) throw new InvalidRequest('unknown client', { reason: `a redirection URI in the document ${fault}` })
  }
}

const isText = (value: unknown) => typeof value === 'string' && value !== ''
const isAnything = () => true
const documentMembers: Readonly<Record<string, (value: unknown) => boolean>> = {
  redirect_uris: isAnything,
  scope: isAnything,
  client_name: isText,
  client_uri: isWebPage,
  logo_uri: isWebPage,
  policy_uri: isWebPage,
  tos_uri: isWebPage,
  software_id: isText,
  software_version: isText,
}
const documentGrants = ['authorization_code', 'refresh_token']

/** Only what this server knows and can show; a document may hold whatever it likes. Who registers itself acts for people who agree, and never for itself. */
function known(members: Readonly<Partial<Record<string, unknown>>>): object {
  const { grant_types = ['authorization_code'] } = members
  return {
    ...Object.fromEntries(Object.entries(members).filter(([name, value]) => documentMembers[name]?.(value) === true)),
    grant_types: Array.isArray(grant_types) ? documentGrants.filter((type) => grant_types.includes(type)) : grant_types,
  }
}

/** RFC 9111 §5.2: as long as the headers allow, but neither for a moment nor for ever. */
function cacheLifetime(headers: FetchedDocument['headers']): number {
  const control = headers['cache-control'] ?? ''
  const maxAge = /(?:^|[\s,])no-(?:store|cache)\b/i.test(control)
    ? 0
    : Number(/(?:^|[\s,])max-age=(\d{1,9})/i.exec(control)?.[1] ?? shortestCache)
  return Math.min(longestCache, Math.max(shortestCache, maxAge))
}

/** Whether one more fetch from a host is within the limit. Forgets the hosts it has not seen for longest. */
function createHostLimit(clock: () => number): (host: string) => boolean {
  const fetches = new Map<string, { readonly minute: number; count: number }>()
  return (host) => {
    const minute = Math.floor(clock() / 60)
    const seen = fetches.get(host)
    const entry = seen?.minute === minute ? seen : { minute, count: 0 }
    const [oldest] = fetches.keys()
    if (seen === undefined && fetches.size >= maxHosts && oldest !== undefined) fetches.delete(oldest)
    fetches.set(host, entry)
    entry.count++
    return entry.count <= fetchesPerMinute
  }
}

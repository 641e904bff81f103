/**
 * The clients of one server, and where each is looked for:
 *
 * 1. in the option `clients`: a list, checked at start, or a function of the application, checked at each answer;
 * 2. in the store, where the application saves clients and clients register themselves;
 * 3. for a `client_id` that is a URL, in the metadata document there.
 *
 * So what the application says of a client goes before what the client says of itself, at every use.
 */
import { whenThere, type Awaitable } from '../awaitable.js'
import {
  assertClientFitsServer,
  readClient,
  readFoundClient,
  type Client,
  type ClientMetadata,
  type ClientSource,
  type FindClient,
  type Served,
} from './client.js'
import { foundAnother, lookUpInTime } from './application-look-up.js'
import { ClientCache, type LookUpRequest } from './cache.js'
import { decoyOf, isSlowHash } from './secrets.js'
import { isClientIdUrl, type ClientIdDocuments } from './id-metadata.js'
import { ConfigurationError } from '../errors.js'
import { madeBeforeNotBefore, type Emit } from '../events/events.js'
import { kindOf } from '../option-checks/reader.js'
import { intersectScope, type Scope } from '../authorization/scope.js'
import { suspiciousClients } from './suspicious-values.js'
import { valueAdvice } from '../option-checks/value-advice.js'
import { visibleText } from '../visible-text.js'

/** How to find clients, and how long a decoy has to work. */
export interface ClientRegistry {
  /**
   * The client, or undefined.
   *
   * @throws ServerError when the application's function fails, TemporarilyUnavailable when it does not answer in time.
   */
  readonly findClient: (client_id: string, request?: LookUpRequest) => Awaitable<Client | undefined>
  /** The same, when somebody is about to be asked: a client that is a document is read anew. */
  readonly findClientToAuthorize: (client_id: string, request?: LookUpRequest) => Awaitable<Client | undefined>
  /**
   * The client where it costs nothing to look: in the list, in a memory store, or once in `clientCacheLifetime`. Undefined where it would cost a call, and where
   * there is none. A look-up that fails is none.
   */
  readonly clientAtHand: (client_id: string, request?: LookUpRequest) => Awaitable<Client | undefined>
  /** Keeps a client of strangers until `instant`, as long as what it was authorised for can live. */
  readonly keepClient: (client: Client, instant: number) => Promise<void>
  /** As many slow hashes as the client with the most has: refusing an unknown client then costs the same. */
  readonly decoyHashes: () => readonly string[]
  /** Lets the next look-up of that client pass the cache. */
  readonly forgetClient: (client_id: string) => void
  /** Forgets what is known of a client that is a document. */
  readonly forgetDocument: (client_id: string) => Promise<void>
  /** Whether a client of that id would be found in the store. */
  readonly mayBeStored: (client_id: string) => boolean
}

/** What was found, and who says it. */
interface SourcedClient {
  readonly client: ClientMetadata
  readonly source: ClientSource
  /** True for one that nobody may be any more: see the option `notBefore`. */
  readonly isTooOld?: boolean
}

/** The clients in the store. */
export interface StoredClients {
  readonly find: (client_id: string) => Promise<SourcedClient | undefined>
  readonly keepUntil: (client_id: string, instant: number) => Promise<void>
  /** Whether the application may have put clients there. */
  readonly isSearched: () => boolean
  /** Whether clients register themselves there. */
  readonly hasRegistration: () => boolean
  /** Whether nothing was ever put there. */
  readonly isEmpty: () => boolean
}

/** What the clients have to fit. */
export interface ClientRegistrySettings extends Served {
  readonly stored: StoredClients
  /** Clients that are their documents; undefined where there are none. */
  readonly documents: ClientIdDocuments | undefined
  /** The most scope of strangers, as things are now. */
  readonly strangerScopes: () => Scope
  /** Milliseconds. */
  readonly timeout: number
  /** Whether the store answers from the memory of this process. */
  readonly isStoreAtHand?: boolean
  /** Seconds for which what a function found is used again. Default 0: none. */
  readonly cacheLifetime?: number
  readonly emit: Emit
  readonly warn: (message: string) => void
}

/** @throws ConfigurationError when the option `clients` is wrong. */
export function createClientRegistry(
  clients: readonly ClientMetadata[] | FindClient | undefined,
  settings: ClientRegistrySettings,
): ClientRegistry {
  const { documents, stored } = settings
  const mayBeStored = (client_id: string) =>
    stored.isSearched() || stored.hasRegistration() || (documents !== undefined && isClientIdUrl(client_id))
  const registered = createRegistered(clients, settings, mayBeStored)
  const { findClient } = registered
  const registry = {
    ...registered,
    mayBeStored,
    async keepClient({ source, client_id }: Client, instant: number) {
      if (source === 'registration' || stored.hasRegistration()) await stored.keepUntil(client_id, instant)
    },
    forgetDocument: async () => undefined,
  }
  if (documents === undefined) return { ...registry, findClientToAuthorize: findClient }
  return {
    ...registry,
    keepClient: (client, instant) =>
      client.source === 'document' ? documents.keep(client, instant) : registry.keepClient(client, instant),
    forgetDocument: (client_id) => documents.forget(client_id),
    findClient: (client_id, request) =>
      isClientIdUrl(client_id)
        ? whenThere(findClient(client_id, request), (found) => found ?? documents.known(client_id))
        : findClient(client_id, request),
    findClientToAuthorize: (client_id, request) =>
      isClientIdUrl(client_id)
        ? whenThere(findClient(client_id, request), (found) => found ?? documents.current(client_id, request?.address))
        : findClient(client_id, request),
  }
}

type Registered = Pick<ClientRegistry, 'findClient' | 'clientAtHand' | 'decoyHashes' | 'forgetClient'>

function createRegistered(
  clients: readonly ClientMetadata[] | FindClient | undefined,
  settings: ClientRegistrySettings,
  mayBeStored: (client_id: string) => boolean,
): Registered {
  let decoys: readonly string[] = []
  const noticeSlowHash = (client: Client): Client => {
    const slow = client.secrets.reveal().filter(({ hash }) => isSlowHash(hash))
    if (slow.length > decoys.length) decoys = slow.map(({ hash }) => decoyOf(hash))
    return client
  }
  const byId = typeof clients === 'function' ? new Map<string, Client>() : readClients(clients, settings)
  byId.forEach(noticeSlowHash)
  const { stored, strangerScopes, cacheLifetime = 0, isStoreAtHand = false } = settings
  assertCacheable(clients, cacheLifetime)
  const lookUp = createLookUp(settings, noticeSlowHash)
  const cache = new ClientCache(cacheLifetime, async (client_id, request) => {
    const asked = async (id: string) => fromApplication(await (clients as FindClient)(id, { context: request?.context ?? {} }))
    const found = typeof clients === 'function' ? await lookUp(asked, client_id) : undefined
    if (found !== undefined) return found
    const saved = mayBeStored(client_id) ? await lookUp(stored.find, client_id) : undefined
    if (saved === undefined && clients === undefined && settings.documents === undefined && stored.isEmpty()) warnWithoutClients(settings)
    return saved?.source === 'registration' ? { ...saved, scope: intersectScope(saved.scope ?? strangerScopes(), strangerScopes()) } : saved
  })
  const isLookedUp = (client_id: string) => typeof clients === 'function' || mayBeStored(client_id)
  return {
    decoyHashes: () => decoys,
    // One that is listed and one that is not cost the same, where nothing else is asked.
    findClient: (client_id, request) => byId.get(client_id) ?? (isLookedUp(client_id) ? cache.find(client_id, request) : undefined),
    clientAtHand: (client_id, request) => {
      const listed = byId.get(client_id)
      if (listed !== undefined || !isLookedUp(client_id)) return listed
      return isStoreAtHand && typeof clients !== 'function' ? cache.find(client_id, request) : cache.glance(client_id, request)
    },
    forgetClient: (client_id) => {
      cache.forget(client_id)
    },
  }
}

/** What was found for one context must not be used for another. */
function assertCacheable(clients: unknown, cacheLifetime: number): void {
  if (typeof clients !== 'function' || clients.length < 2 || cacheLifetime === 0) return
  throw new ConfigurationError(
    'clientCacheLifetime must be 0 with a clients function that takes a second argument: what it finds depends on the context; cache inside the function',
  )
}

function readClients(clients: unknown, settings: ClientRegistrySettings): ReadonlyMap<string, Client> {
  if (clients === undefined) return new Map()
  if (!Array.isArray(clients))
    throw new ConfigurationError(
      `clients must be an array or a function (client_id) => client, not ${kindOf(clients)}${valueAdvice(clients)}`,
    )
  if (clients.length === 0 && settings.documents === undefined && !settings.stored.hasRegistration()) warnWithoutClients(settings)
  const byId = new Map<string, Client>()
  for (const [position, value] of (clients as unknown[]).entries()) {
    const client = readClient(value, `clients[${position}]`)
    assertClientFitsServer(client, settings)
    if (byId.has(client.client_id)) throw new ConfigurationError(`clients has "${client.client_id}" twice; remove one`)
    byId.set(client.client_id, client)
  }
  for (const warning of suspiciousClients(clients as Partial<ClientMetadata>[])) settings.warn(warning)
  return byId
}

function warnWithoutClients({ warn }: ClientRegistrySettings): void {
  warn('no clients are configured, so nobody can get a token; set the option clients, or leave it out and add clients with saveClient')
}

function fromApplication(client: ClientMetadata | undefined | null): SourcedClient | undefined {
  return client === undefined || client === null ? undefined : { client, source: 'application' }
}

type Find = (client_id: string) => Promise<SourcedClient | undefined>

const mostComplaints = 100

/** Looks up and reads one client. One that contradicts itself authenticates nobody: an event says why, and for a client of the application the console too, once. */
function createLookUp({ timeout, emit }: ClientRegistrySettings, noticeSlowHash: (client: Client) => Client) {
  const complainedOf = new Set<string>()
  const complain = (client_id: string, message: string) => {
    if (complainedOf.has(client_id) || complainedOf.size >= mostComplaints) return
    complainedOf.add(client_id)
    console.warn(`oauth2-token-handler: a client that was looked up cannot be used: ${visibleText(message)}`)
  }
  return async function lookUp(find: Find, client_id: string): Promise<Client | undefined> {
    const found = await lookUpInTime(find, client_id, timeout)
    if (found === undefined) return undefined
    const { client: row, source, isTooOld = false } = found
    if (isTooOld) {
      emit({ type: 'warning', client_id, reason: `${madeBeforeNotBefore}: a client that registered itself and was not used` })
      return unusable(client_id)
    }
    try {
      const client = readFoundClient(withoutNulls(row), source)
      if (client.client_id === client_id) return noticeSlowHash(client)
      emit(foundAnother(client_id), true)
    } catch (cause) {
      if (!(cause instanceof ConfigurationError)) throw cause
      if (source === 'application') complain(client_id, cause.message)
      emit({ type: 'warning', client_id, reason: `the client cannot be used: ${cause.rule ?? 'it contradicts itself'}` })
    }
    return unusable(client_id)
  }
}

/**
 * Stands in for a client that is there and cannot be used. It is refused as one that is disabled: nobody else is asked who that client is, because the answer
 * may have been that it is blocked.
 */
function unusable(client_id: string): Client {
  return readClient({ client_id, token_endpoint_auth_method: 'none', grant_types: [], disabled: true }, 'the client')
}

/** A column that is empty reads as null, and means the same as a member that is not there. */
function withoutNulls(row: ClientMetadata): ClientMetadata {
  if (typeof row !== 'object' || (row as unknown) === null) return row
  const members = Object.entries(row)
  if (!members.some(([, value]) => value === null)) return row
  const prototype = Object.getPrototypeOf(row) as object | null
  return Object.assign(
    Object.create(prototype) as object,
    Object.fromEntries(members.filter(([, value]) => value !== null)),
  ) as ClientMetadata
}

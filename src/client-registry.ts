/**
 * The clients of one server: the list in the options, checked at start, or the application's function, checked at each answer.
 */
import type { Awaitable } from './awaitable.js'
import {
  assertClientFitsServer,
  readClient,
  type Client,
  type ClientMetadata,
  type ClientQuestion,
  type ClientSource,
  type FindClient,
  type Served,
} from './clients.js'
import { decoyOf, isSlowHash } from './client-secrets.js'
import { isClientIdUrl, type ClientIdDocuments } from './client-id-metadata.js'
import { ConfigurationError, OAuthError, ServerError, TemporarilyUnavailable } from './errors.js'
import type { Emit } from './events.js'
import { kindOf } from './option-checks.js'
import { withinTime } from './within-time.js'

/** How to find clients, and how long a decoy has to work. */
export interface ClientRegistry {
  /**
   * The client, or undefined.
   *
   * @throws ServerError when the application's function fails, TemporarilyUnavailable when it does not answer in time.
   */
  readonly findClient: (client_id: string, asked?: ClientQuestion) => Awaitable<Client | undefined>
  /** The same, when somebody is about to be asked: a client that is a document is read anew. */
  readonly findClientToAuthorize: (client_id: string) => Awaitable<Client | undefined>
  /** As many slow hashes as the client with the most has: refusing an unknown client then costs the same. */
  readonly decoyHashes: () => readonly string[]
  /** Lets the next look-up of that client pass the cache. */
  readonly forgetClient: (client_id: string) => void
}

/** What was found, and who says it. */
interface SourcedClient {
  readonly client: ClientMetadata
  readonly source: ClientSource
}

/** What the clients have to fit. */
export interface ClientRegistrySettings extends Served {
  /** The clients in the store, and whether there may be any. */
  readonly stored: { readonly find: (client_id: string) => Promise<SourcedClient | undefined>; readonly isSearched: () => boolean }
  /** Clients that are their documents; undefined where there are none. */
  readonly documents: ClientIdDocuments | undefined
  /** Milliseconds. */
  readonly timeout: number
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
  const registered = createRegistered(clients, settings)
  const { findClient } = registered
  const { documents } = settings
  if (documents === undefined) return { ...registered, findClientToAuthorize: findClient }
  return {
    ...registered,
    findClient: (client_id) => (isClientIdUrl(client_id) ? documents.known(client_id) : findClient(client_id)),
    findClientToAuthorize: (client_id) => (isClientIdUrl(client_id) ? documents.current(client_id) : findClient(client_id)),
  }
}

function createRegistered(
  clients: readonly ClientMetadata[] | FindClient | undefined,
  settings: ClientRegistrySettings,
): Omit<ClientRegistry, 'findClientToAuthorize'> {
  let decoys: readonly string[] = []
  const noticeSlowHash = (client: Client): Client => {
    const slow = client.secrets.reveal().filter(({ hash }) => isSlowHash(hash))
    if (slow.length > decoys.length) decoys = slow.map(({ hash }) => decoyOf(hash))
    return client
  }
  const byId = typeof clients === 'function' ? new Map<string, Client>() : readClients(clients, settings)
  byId.forEach(noticeSlowHash)
  const { stored } = settings
  const cache = new ClientCache(settings.cacheLifetime ?? 0, async (client_id) => {
    const asked = async (id: string) => fromApplication(await (clients as FindClient)(id))
    const found = typeof clients === 'function' ? await lookUp(asked, client_id, settings, noticeSlowHash) : undefined
    return found ?? (stored.isSearched() ? lookUp(stored.find, client_id, settings, noticeSlowHash) : undefined)
  })
  return {
    decoyHashes: () => decoys,
    // One that is listed and one that is not cost the same, where nothing else is asked.
    findClient: (client_id) =>
      byId.get(client_id) ?? (typeof clients === 'function' || stored.isSearched() ? cache.find(client_id) : undefined),
    forgetClient: (client_id) => {
      cache.forget(client_id)
    },
  }
}

const mostCached = 1_000

/** Clients that were found lately. What was not found is looked up again, so that nobody fills the cache with names. */
class ClientCache {
  readonly #lifetime: number
  readonly #lookUp: (client_id: string) => Promise<Client | undefined>
  readonly #found = new Map<string, { readonly client: Client; readonly until: number }>()

  constructor(lifetime: number, lookUp: (client_id: string) => Promise<Client | undefined>) {
    this.#lifetime = lifetime
    this.#lookUp = lookUp
  }

  async find(client_id: string): Promise<Client | undefined> {
    const known = this.#found.get(client_id)
    if (known !== undefined && performance.now() < known.until) return known.client
    const client = await this.#lookUp(client_id)
    this.forget(client_id)
    if (client === undefined || this.#lifetime === 0) return client
    const [oldest] = this.#found.keys()
    if (this.#found.size >= mostCached && oldest !== undefined) this.forget(oldest)
    this.#found.set(client_id, { client, until: performance.now() + this.#lifetime * 1000 })
    return client
  }

  forget(client_id: string): void {
    this.#found.delete(client_id)
  }
}

function readClients(clients: unknown, settings: ClientRegistrySettings): ReadonlyMap<string, Client> {
  if (clients === undefined || (Array.isArray(clients) && clients.length === 0)) {
    warnWithoutClients(settings)
    return new Map()
  }
  if (!Array.isArray(clients))
    throw new ConfigurationError(`clients must be an array or a function (client_id) => client, not ${kindOf(clients)}`)
  const byId = new Map<string, Client>()
  for (const [position, value] of (clients as unknown[]).entries()) {
    const client = readClient(value, `clients[${position}]`)
    assertClientFitsServer(client, settings)
    if (byId.has(client.client_id)) throw new ConfigurationError(`clients has "${client.client_id}" twice`)
    byId.set(client.client_id, client)
  }
  return byId
}

function warnWithoutClients({ stored, documents, warn }: ClientRegistrySettings): void {
  if (documents === undefined && !stored.isSearched()) warn('no clients are configured, so nobody can get a token; set the option clients')
}

function fromApplication(client: ClientMetadata | undefined | null): SourcedClient | undefined {
  return client === undefined || client === null ? undefined : { client, source: 'application' }
}

type Find = (client_id: string) => Promise<SourcedClient | undefined>

async function lookUp(
  find: Find,
  client_id: string,
  { timeout, emit }: ClientRegistrySettings,
  noticeSlowHash: (client: Client) => Client,
): Promise<Client | undefined> {
  const found = await callLookUp(find, client_id, timeout)
  if (found === undefined) return undefined
  try {
    const client = readClient(found.client, 'the client', found.source)
    if (client.client_id === client_id) return noticeSlowHash(client)
    emit({ type: 'warning', client_id, reason: 'the clients function returned another client than the one asked for' })
  } catch (cause) {
    // A stored client that contradicts itself authenticates nobody.
    if (!(cause instanceof ConfigurationError)) throw cause
    emit({ type: 'warning', client_id, reason: cause.message })
  }
  return undefined
}

async function callLookUp(find: Find, client_id: string, timeout: number): Promise<SourcedClient | undefined> {
  try {
    return await withinTime(timeout, async () => find(client_id), () => new TemporarilyUnavailable(undefined, { reason: 'the clients function did not answer in time' })) // prettier-ignore
  } catch (cause) {
    if (cause instanceof OAuthError) throw cause
    throw new ServerError(undefined, { reason: 'the clients function failed', cause })
  }
}

/**
 * The clients of one server: the list in the options, checked at start, or the application's function, checked at each answer.
 */
import { assertClientFitsServer, readClient, type Client, type ClientMetadata, type FindClient, type Served } from './clients.js'
import { isSlowHash } from './client-secrets.js'
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
  readonly findClient: (client_id: string) => Promise<Client | undefined>
  /** A slow hash of some client, once there is one: refusing an unknown client then costs the same. */
  readonly decoyHash: () => string | undefined
  /** Lets the next look-up of that client pass the cache. */
  readonly forgetClient: (client_id: string) => void
}

/** What the clients have to fit. */
export interface ClientRegistrySettings extends Served {
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
  let slowHash: string | undefined
  const noticeSlowHash = (client: Client): Client => {
    slowHash ??= client.secrets.reveal().find(({ hash }) => isSlowHash(hash))?.hash
    return client
  }
  const decoyHash = () => slowHash
  if (typeof clients === 'function') {
    const cache = new ClientCache(settings.cacheLifetime ?? 0, async (client_id) => lookUp(clients, client_id, settings, noticeSlowHash))
    return { decoyHash, findClient: (client_id) => cache.find(client_id), forgetClient: (client_id) => cache.forget(client_id) }
  }
  const byId = readClients(clients, settings)
  byId.forEach(noticeSlowHash)
  return { decoyHash, findClient: (client_id) => Promise.resolve(byId.get(client_id)), forgetClient: () => undefined }
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
    settings.warn('no clients are configured, so nobody can get a token; set the option clients')
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

async function lookUp(
  find: FindClient,
  client_id: string,
  { timeout, emit }: ClientRegistrySettings,
  noticeSlowHash: (client: Client) => Client,
): Promise<Client | undefined> {
  const found = await callLookUp(find, client_id, timeout)
  if (found === undefined || found === null) return undefined
  try {
    const client = readClient(found, 'the client')
    if (client.client_id === client_id) return noticeSlowHash(client)
    emit({ type: 'warning', client_id, reason: 'the clients function returned another client than the one asked for' })
  } catch (cause) {
    // A stored client that contradicts itself authenticates nobody.
    if (!(cause instanceof ConfigurationError)) throw cause
    emit({ type: 'warning', client_id, reason: cause.message })
  }
  return undefined
}

async function callLookUp(find: FindClient, client_id: string, timeout: number): Promise<ClientMetadata | undefined | null> {
  try {
    return await withinTime(timeout, async () => find(client_id), () => new TemporarilyUnavailable(undefined, { reason: 'the clients function did not answer in time' })) // prettier-ignore
  } catch (cause) {
    if (cause instanceof OAuthError) throw cause
    throw new ServerError(undefined, { reason: 'the clients function failed', cause })
  }
}

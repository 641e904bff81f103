/**
 * The clients of one server: the list in the options, checked at start, or the application's function, checked at each answer.
 */
import { assertClientFitsServer, readClient, type Client, type ClientMetadata, type FindClient, type Served } from './clients.js'
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
  readonly findClient: (client_id: string) => Promise<Client | undefined>
  /** The same, when somebody is about to be asked: a client that is a document is read anew. */
  readonly findClientToAuthorize: (client_id: string) => Promise<Client | undefined>
  /** As many slow hashes as the client with the most has: refusing an unknown client then costs the same. */
  readonly decoyHashes: () => readonly string[]
}

/** What the clients have to fit. */
export interface ClientRegistrySettings extends Served {
  /** Clients that are their documents; undefined where there are none. */
  readonly documents: ClientIdDocuments | undefined
  /** Milliseconds. */
  readonly timeout: number
  readonly emit: Emit
  readonly warn: (message: string) => void
}

/** @throws ConfigurationError when the option `clients` is wrong. */
export function createClientRegistry(
  clients: readonly ClientMetadata[] | FindClient | undefined,
  settings: ClientRegistrySettings,
): ClientRegistry {
  const { findClient, decoyHashes } = createRegistered(clients, settings)
  const { documents } = settings
  if (documents === undefined) return { findClient, decoyHashes, findClientToAuthorize: findClient }
  return {
    decoyHashes,
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
  const decoyHashes = () => decoys
  if (typeof clients === 'function') {
    return { decoyHashes, findClient: async (client_id) => lookUp(clients, client_id, settings, noticeSlowHash) }
  }
  const byId = readClients(clients, settings)
  byId.forEach(noticeSlowHash)
  return { decoyHashes, findClient: (client_id) => Promise.resolve(byId.get(client_id)) }
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

/**
 * Clients that are kept in the store, for the application to manage: find, save, delete, register, exchange a secret.
 *
 * What is stored is what {@link ServerOptions.clients} would hold, with hashes where there were secrets. The endpoints find it when the option `clients` is
 * left out, when clients register themselves, and for the URL of a metadata document, where documents are served.
 *
 * @see RFC 7591 §2, §3.2.1
 */
import { hashClientSecret } from '../clients/secrets.js'
import { assertClientFitsServer, isClientId, readClient, type ClientMetadata, type StoredClient } from '../clients/client.js'
import { configure, type Configuration } from '../configuration/configure.js'
import { ConfigurationError, InvalidRequest, ServerError } from '../errors.js'
import { assertObject } from '../option-checks/reader.js'
import type { ServerOptions } from '../configuration/options.js'
import { randomText, secretSize } from '../secrets.js'
import { revokeAuthorizations } from './authorizations.js'

/** A client as it is stored. */
export type FoundClient = StoredClient & {
  /**
   * The version that was read, for `saveClient(options, { …found, … }, { version: found.version })`. It is not enumerable: no copy and no JSON has it.
   */
  readonly version: string
}

/** The client with its version beside its own members. */
export function foundClient(client: StoredClient, version: string): FoundClient {
  return Object.defineProperty({ ...client }, 'version', { value: version, enumerable: false }) as FoundClient
}

/**
 * The client as it is stored, with the hashes of its secrets, or undefined. Reads the store, past every cache.
 *
 * @throws TemporarilyUnavailable when the store fails; TypeError for what cannot be a client_id.
 */
export async function findClient(options: ServerOptions, client_id: string): Promise<FoundClient | undefined> {
  assertClientId(client_id, 'findClient')
  const found = await configure(options, 'findClient').clientRecords.find(client_id)
  return found === undefined ? undefined : foundClient(found.client, found.version)
}

/** Options of {@link saveClient}. */
export interface SaveClientOptions {
  /** The `version` of what `findClient` found: saved only where nobody has changed the client since. Default: saved whatever is there, and the last one wins. */
  readonly version?: string | undefined
}

/**
 * Stores a client, or changes one. Under the URL of a metadata document it goes before what the document says: `disabled: true` stops that client. A `client_secret` is stored as its scrypt hash; one that was generated costs less at each request as
 * `secrets: [{ hash: await hashClientSecret(secret, { generated: true }) }]`. To exchange a secret without a gap store both, the old one with `expiresAt`.
 *
 * @throws ConfigurationError when the client contradicts itself, does not fit the server, or would not be found because `clients` is a list;
 *   ClientConflict when `version` is not the stored one any more; TemporarilyUnavailable when the store fails.
 */
export async function saveClient(options: ServerOptions, client: ClientMetadata, { version }: SaveClientOptions = {}): Promise<void> {
  if (version !== undefined && typeof version !== 'string') throw new TypeError('saveClient: version must be the one that findClient found')
  const configuration = configure(options, 'saveClient')
  assertObject(client, 'saveClient: the client')
  const { clientRecords, served, forgetClient } = configuration
  assertFound(options, configuration, client.client_id, 'saveClient')
  assertClientFitsServer(readClient(client, 'the client'), served)
  await clientRecords.save(await withHashedSecret(client), version)
  forgetClient(client.client_id)
}

/**
 * Deletes a client of the store and ends all its Authorizations. When this rejects, some may not have ended: call it again. Of a client that is a metadata
 * document it forgets what was read: the client may be authorised again, unless `saveClient` disables it or the option `accept` refuses it.
 *
 * A request of the client that is being answered at this moment, and other processes with `clientCacheLifetime`, may still issue a token; its
 * refresh is refused, because the client is unknown by then.
 *
 * @throws TemporarilyUnavailable when the store fails; TypeError for what cannot be a client_id.
 */
export async function deleteClient(options: ServerOptions, client_id: string): Promise<void> {
  assertClientId(client_id, 'deleteClient')
  const { clientRecords, clock, forgetClient, forgetDocument } = configure(options, 'deleteClient')
  await clientRecords.remove(client_id, clock())
  await forgetDocument(client_id)
  forgetClient(client_id)
  await revokeAuthorizations(options, { client_id })
}

/** A client that was registered just now. */
export type RegisteredClient = StoredClient & {
  /** Shown this once: only its hash is stored. Absent where the client has none. */
  readonly client_secret?: string
  /** In seconds since the epoch. */
  readonly client_id_issued_at: number
}

/**
 * Stores a new client under a random id, with a random secret where its `token_endpoint_auth_method` uses one.
 *
 * @throws ConfigurationError when the client contradicts itself, does not fit the server, or would not be found because `clients` is a list;
 *   TemporarilyUnavailable when the store fails.
 */
export async function registerClient(
  options: ServerOptions,
  metadata: Omit<ClientMetadata, 'client_id' | 'client_secret' | 'secrets'>,
): Promise<RegisteredClient> {
  const configuration = configure(options, 'registerClient')
  const members = assertObject(metadata, 'registerClient: the metadata')
  if ('client_id' in members)
    configuration.warn(
      'registerClient makes a client_id of its own, and ignores the one that it was given; use saveClient for a client with an id',
    )
  const { clientRecords, served, clock } = configuration
  assertFound(options, configuration, '', 'registerClient')
  const { token_endpoint_auth_method: method } = metadata
  const hasSecret = method === undefined || method === 'client_secret_basic' || method === 'client_secret_post'
  const client_secret = hasSecret ? randomText(secretSize) : undefined
  const client = { ...metadata, client_id: randomText(22) }
  const secrets = client_secret === undefined ? [] : [{ hash: await hashClientSecret(client_secret, { generated: true }) }]
  const stored = { ...client, secrets }
  assertClientFitsServer(readClient(stored, 'the client'), served)
  if (!(await clientRecords.create(stored))) throw new ServerError(undefined, { reason: 'a new client met one with the same id' })
  return { ...client, ...(client_secret === undefined ? {} : { client_secret }), client_id_issued_at: clock() }
}

/** Options of {@link rotateClientSecret}. */
export interface SecretRotation {
  /** Seconds for which the secrets of before are still accepted, from 0 (they leaked) to 31,536,000. None lives longer than it did. */
  readonly keepOldFor: number
}

/** The secret that a client has from now on. */
export interface RotatedSecret {
  /** Shown this once: only its hash is stored. */
  readonly client_secret: string
  /** When the secrets of before end, in seconds since the epoch. */
  readonly oldSecretsExpireAt: number
}

const year = 31_536_000

/**
 * Gives a client of the store a new random secret, and an end to the ones that it has. Everything else stays as it is by then: what another has changed
 * meanwhile is not undone. Other processes accept the new secret at once, those with `clientCacheLifetime` when that is over.
 *
 * @throws TypeError for what cannot be a client_id, or a `keepOldFor` that is no whole number from 0 to 31,536,000; InvalidRequest for an unknown client;
 *   ConfigurationError for a client that has no secret, or would not be found because `clients` is a list; TemporarilyUnavailable when the store fails.
 */
export async function rotateClientSecret(options: ServerOptions, client_id: string, rotation: SecretRotation): Promise<RotatedSecret> {
  assertClientId(client_id, 'rotateClientSecret')
  const keepOldFor = (rotation as Partial<SecretRotation> | undefined)?.keepOldFor
  if (keepOldFor === undefined || !Number.isSafeInteger(keepOldFor) || keepOldFor < 0 || keepOldFor > year)
    throw new TypeError(`rotateClientSecret: keepOldFor must be whole seconds from 0 to ${year}`)
  const configuration = configure(options)
  const { clientRecords, clock, forgetClient } = configuration
  assertFound(options, configuration, client_id, 'rotateClientSecret')
  const client_secret = randomText(secretSize)
  const hash = await hashClientSecret(client_secret, { generated: true })
  const now = clock()
  const oldSecretsExpireAt = now + keepOldFor
  const isChanged = await clientRecords.change(client_id, (client) => {
    const old = (client.secrets ?? []).filter(({ expiresAt = Infinity }) => Math.min(expiresAt, oldSecretsExpireAt) > now)
    const ending = old.map((secret) => ({ ...secret, expiresAt: Math.min(secret.expiresAt ?? Infinity, oldSecretsExpireAt) }))
    const next = { ...client, secrets: [{ hash }, ...ending] }
    readClient(next, 'the client')
    return next
  })
  if (!isChanged) throw new InvalidRequest('unknown client')
  forgetClient(client_id)
  return { client_secret, oldSecretsExpireAt }
}

async function withHashedSecret({ client_secret, ...client }: ClientMetadata): Promise<StoredClient> {
  if (client_secret === undefined) return client
  return { ...client, secrets: [{ hash: await hashClientSecret(client_secret) }, ...(client.secrets ?? [])] }
}

/** A function of the application may look in the store by `findClient`; a list never does. */
function assertFound({ clients }: ServerOptions, { mayBeStored }: Configuration, client_id: string, name: string): void {
  if (!Array.isArray(clients) || mayBeStored(client_id)) return
  throw new ConfigurationError(
    `${name}: this server looks only at the list in its option clients; leave that option out, or add the client to the list`,
  )
}

function assertClientId(client_id: unknown, name: string): void {
  if (typeof client_id !== 'string' || !isClientId(client_id))
    throw new TypeError(`${name}: client_id must be 1 to 255 visible ASCII characters`)
}

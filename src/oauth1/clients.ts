/**
 * Client credentials (RFC 5849 §1.1): who may ask, with which secret or key, and how one is looked up.
 *
 * A client of the options that contradicts itself stops the start. One that a look-up function returns contradictory
 * authenticates nobody, and an event says why.
 */
import { createPublicKey, KeyObject } from 'node:crypto'
import { foundAnother, lookUpInTime } from '../clients/application-look-up.js'
import { ConfigurationError } from '../errors.js'
import type { Emit } from '../events/events.js'
import { assertKnownKeys, assertObject, kindOf, OptionReader, type Unchecked } from '../option-checks/reader.js'
import type { Context } from '../http/message.js'
import { Redacted } from '../secrets.js'
import { callbackFault } from './callback.js'
import type { Sealer } from './sealing.js'

/** A client as an application registers it. */
export interface OAuth1Client {
  /** Its identifier, the `oauth_consumer_key`: 1 to 255 visible ASCII characters or spaces. */
  readonly client_id: string
  /** Its shared secret in plain text, from the environment or a vault. Needed for HMAC and PLAINTEXT, unless it is sealed. */
  readonly client_secret?: string
  /** Its shared secret as `sealClientSecret` wrote it, from a database. */
  readonly sealed_client_secret?: string
  /** Its RSA public key, at least 2048 bits: PEM or KeyObject. Needed for RSA. */
  readonly public_key?: string | KeyObject
  /** Where its users may be sent, compared byte for byte, and `oob`. Default: `oob`, and any URI that leads where its text says and to no script, file or program of the operating
   * system. */
  readonly callbacks?: readonly string[]
  /** The realms it may get. Default: all of the server's. */
  readonly realms?: readonly string[]
  /** True: it authenticates nowhere. */
  readonly disabled?: boolean
}

/** A client that was read and found consistent. */
export interface RegisteredClient {
  readonly client_id: string
  readonly secret: Redacted<string> | undefined
  readonly publicKey: KeyObject | undefined
  readonly callbacks: readonly string[] | undefined
  readonly realms: readonly string[] | undefined
  readonly disabled: boolean
}

/**
 * Finds a client. Called with 1 to 255 visible ASCII characters or spaces, never with anything else, and with what the option `context` says of the
 * request.
 */
export type FindOAuth1Client = (
  client_id: string,
  request: { readonly context: Context },
) => OAuth1Client | undefined | null | Promise<OAuth1Client | undefined | null>

/** The registered client, or undefined. */
export type ClientLookUp = (client_id: string, context: Context) => Promise<RegisteredClient | undefined>

/** What clients are read with. */
export interface ClientSettings {
  readonly sealer: Sealer
  readonly realms: readonly string[]
  /** Milliseconds that a look-up may take. */
  readonly timeout: number
  readonly emit: Emit
}

const memberNames: readonly string[] = [
  'client_id', 'client_secret', 'sealed_client_secret', 'public_key', 'callbacks', 'realms', 'disabled',
] satisfies (keyof OAuth1Client)[] // prettier-ignore

const clientId = /^[\x20-\x7e]{1,255}$/
const smallestModulus = 2048

/** @throws ConfigurationError when the option `clients` is wrong. */
export function createClientLookUp(clients: unknown, settings: ClientSettings): ClientLookUp {
  if (typeof clients === 'function') {
    const find = clients as FindOAuth1Client
    return async (client_id, context) => (clientId.test(client_id) ? lookUp((id) => find(id, { context }), client_id, settings) : undefined)
  }
  if (!Array.isArray(clients)) {
    throw new ConfigurationError(`clients must be an array or a function (client_id) => client, not ${kindOf(clients)}`)
  }
  const byId = new Map((clients as unknown[]).map((value, position) => entry(readClient(value, `clients[${position}]`, settings))))
  if (byId.size < clients.length) throw new ConfigurationError('clients has a client_id twice; give every client its own')
  return (client_id) => Promise.resolve(byId.get(client_id))
}

function entry(client: RegisteredClient): readonly [string, RegisteredClient] {
  return [client.client_id, client]
}

type BoundFind = (client_id: string) => unknown

async function lookUp(find: BoundFind, client_id: string, settings: ClientSettings): Promise<RegisteredClient | undefined> {
  const { emit } = settings
  const found = await lookUpInTime(find, client_id, settings.timeout)
  if (found === undefined || found === null) return undefined
  try {
    const client = readClient(found, 'the client', settings)
    if (client.client_id === client_id) return client
    emit(foundAnother(client_id), true)
  } catch (cause) {
    // A stored client that contradicts itself authenticates nobody.
    if (!(cause instanceof ConfigurationError)) throw cause
    emit({ type: 'warning', client_id, reason: cause.message }, true)
  }
  return undefined
}

function readClient(value: unknown, name: string, settings: ClientSettings): RegisteredClient {
  const members = assertObject(value, name)
  const { client_id } = members
  if (typeof client_id !== 'string' || !clientId.test(client_id)) {
    throw new ConfigurationError(`${name}.client_id must be 1 to 255 visible ASCII characters or spaces`)
  }
  const where = `client "${client_id}": `
  assertKnownKeys(members, memberNames, `client "${client_id}"`)
  const reader = new OptionReader(members, where)
  const secret = readSecret(reader, members, client_id, settings.sealer)
  const publicKey = members.public_key === undefined ? undefined : readPublicKey(members.public_key, where)
  if (secret === undefined && publicKey === undefined) {
    throw new ConfigurationError(`${where}needs a client_secret, a sealed_client_secret or a public_key; is an environment variable unset?`)
  }
  return {
    client_id,
    secret,
    publicKey,
    callbacks: readCallbacks(reader, where),
    realms: readRealms(reader, settings.realms, where),
    disabled: reader.boolean('disabled', false),
  }
}

function readSecret(reader: OptionReader, members: Unchecked, client_id: string, sealer: Sealer): Redacted<string> | undefined {
  const where = `client "${client_id}": `
  for (const name of ['client_secret', 'sealed_client_secret', 'public_key']) {
    if (name in members && members[name] === undefined) {
      throw new ConfigurationError(`${where}${name} is there but undefined; is an environment variable unset?`)
    }
  }
  const plain = reader.text('client_secret')
  const sealed = reader.text('sealed_client_secret')
  if (plain !== undefined && sealed !== undefined) {
    throw new ConfigurationError(`${where}has both client_secret and sealed_client_secret; keep one`)
  }
  if (sealed === undefined) return plain === undefined ? undefined : new Redacted(plain)
  const opened = sealer.open(sealed, 'oauth1 client secret', client_id)
  if (opened !== undefined && opened !== '') return new Redacted(opened)
  throw new ConfigurationError(
    `${where}sealed_client_secret does not open: it must come from sealClientSecret with this client_id and one of the keys in secrets`,
  )
}

function readPublicKey(value: unknown, where: string): KeyObject {
  const key = value instanceof KeyObject ? value : parsePublicKey(value, where)
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (key.type === 'public' && key.asymmetricKeyType === 'rsa' && bits >= smallestModulus) return key
  throw new ConfigurationError(`${where}public_key must be an RSA public key of at least ${smallestModulus} bits`)
}

function parsePublicKey(value: unknown, where: string): KeyObject {
  const expected = `${where}public_key must be a public key in PEM, or a KeyObject`
  if (typeof value !== 'string') throw new ConfigurationError(`${expected}, not ${kindOf(value)}`)
  if (value.includes('PRIVATE KEY')) throw new ConfigurationError(`${expected}; the private key stays with the client`)
  try {
    return createPublicKey(value)
  } catch {
    throw new ConfigurationError(expected)
  }
}

function readCallbacks(reader: OptionReader, where: string): readonly string[] | undefined {
  const callbacks = reader.texts('callbacks')
  for (const callback of callbacks ?? []) {
    const fault = callbackFault(callback)
    if (fault !== undefined) throw new ConfigurationError(`${where}callbacks: ${fault}`)
  }
  return callbacks
}

function readRealms(reader: OptionReader, known: readonly string[], where: string): readonly string[] | undefined {
  const realms = reader.texts('realms')
  for (const realm of realms ?? []) {
    if (!known.includes(realm)) throw new ConfigurationError(`${where}realms has "${realm}", which is not in the option realms`)
  }
  return realms
}

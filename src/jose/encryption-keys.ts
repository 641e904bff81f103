/**
 * Keys that encrypt access tokens, in a set that can be replaced at run time: `next`, `active` and `retired` as for signing keys.
 *
 *   32 random bytes          A256KW (default) or dir
 *   EC on P-256 or X25519    ECDH-ES+A256KW: the public half encrypts, the private half reads
 *
 * @see RFC 7518 §4
 */
import { createPrivateKey, createPublicKey, createSecretKey, hash, KeyObject } from 'node:crypto'
import { decodeBase64url } from './compact-serialization.js'
import { ConfigurationError } from '../errors.js'
import { readJwkStatement, type JsonWebKey } from './jwk.js'
import { keyAdvice } from './key-advice.js'
import { assertKnownKeys, assertObject, kindOf } from '../option-checks/reader.js'

/** How the content key of a token is protected. */
export type EncryptionAlgorithm = 'A256KW' | 'dir' | 'ECDH-ES+A256KW'

/** A key as an application has it: 32 bytes, their base64url, a PEM text, a JWK, or a KeyObject. */
export type EncryptionKeyInput = string | Uint8Array | JsonWebKey | KeyObject

/** One key of a set. */
export interface EncryptionKeyOptions {
  readonly key: EncryptionKeyInput
  /** Default: `A256KW` for bytes, `ECDH-ES+A256KW` for an EC or X25519 key; `dir` has to be said. */
  readonly algorithm?: EncryptionAlgorithm
  /** Default: the `kid` of a JWK, else a hash of the key. */
  readonly kid?: string
  /** Default `active`. */
  readonly state?: 'next' | 'active' | 'retired'
}

/** A key that was read, checked, and bound to its algorithm. */
export interface EncryptionKey {
  readonly kid: string
  readonly alg: EncryptionAlgorithm
  readonly state: 'next' | 'active' | 'retired'
  readonly encryptWith: KeyObject
  /** Undefined for a public key: its tokens can be made here and not read. */
  readonly decryptWith: KeyObject | undefined
}

/** The keys of one server. */
export interface EncryptionKeySet {
  readonly active: EncryptionKey
  readonly byKid: ReadonlyMap<string, EncryptionKey>
}

const keySize = 32

/**
 * Reads a set of keys.
 *
 * @throws ConfigurationError for a key of the wrong kind or size, for two with one `kid`, and unless exactly one is active.
 */
export function readEncryptionKeys(options: readonly EncryptionKeyOptions[], where: string): EncryptionKeySet {
  if (!Array.isArray(options) || options.length === 0)
    throw new ConfigurationError(`${where}: keys must be an array of at least one { key }`)
  const keys = options.map((option: EncryptionKeyOptions, index) => readEncryptionKey(option, `${where}: keys[${index}]`))
  const byKid = new Map(keys.map((key) => [key.kid, key]))
  if (byKid.size < keys.length) throw new ConfigurationError(`${where}: two keys have the same kid; leave kid out to have it computed`)
  const [active, ...others] = keys.filter((key) => key.state === 'active')
  if (active === undefined || others.length > 0) throw new ConfigurationError(`${where}: exactly one key must have state 'active'`)
  return { active, byKid }
}

function readEncryptionKey(options: EncryptionKeyOptions, where: string): EncryptionKey {
  assertKnownKeys(assertObject(options, where), ['key', 'algorithm', 'kid', 'state'], where)
  const { state = 'active' } = options
  if (!['next', 'active', 'retired'].includes(state)) throw new ConfigurationError(`${where}: state must be 'next', 'active' or 'retired'`)
  const key = readKey(options.key, where)
  const said = readJwkStatement(options.key, 'enc', where)
  const alg = algorithmFor(key, options.algorithm ?? said.alg, where)
  const encryptWith = key.type === 'private' ? createPublicKey(key) : key
  const decryptWith = key.type === 'public' ? undefined : key
  const kid = options.kid ?? said.kid ?? fingerprint(encryptWith)
  if (typeof kid !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(kid)) throw new ConfigurationError(`${where}: kid must be visible ASCII`)
  return { kid, alg, state, encryptWith, decryptWith }
}

function readKey(input: EncryptionKeyInput, where: string): KeyObject {
  try {
    return input instanceof KeyObject ? input : parseKey(input)
  } catch {
    // What node:crypto says may hold the key.
    throw new ConfigurationError(
      `${where}: key must be 32 bytes, their base64url, a PEM text, a JWK or a KeyObject, and ${kindOf(input)} was not one${keyAdvice(input)}`,
    )
  }
}

function parseKey(input: string | Uint8Array | JsonWebKey): KeyObject {
  if (input instanceof Uint8Array) return createSecretKey(input)
  if (typeof input === 'string') {
    if (!input.includes('-----BEGIN')) return createSecretKey(bytesOf(input))
    return input.includes('PUBLIC KEY') ? createPublicKey(input) : createPrivateKey(input)
  }
  if (input.kty === 'oct') return createSecretKey(bytesOf(input.k ?? ''))
  return 'd' in input ? createPrivateKey({ key: input, format: 'jwk' }) : createPublicKey({ key: input, format: 'jwk' })
}

function bytesOf(text: string): Buffer {
  const bytes = decodeBase64url(text)
  // A pass phrase is no key.
  if (bytes === undefined) throw new TypeError('not base64url')
  return bytes
}

function algorithmFor(key: KeyObject, wanted: unknown, where: string): EncryptionAlgorithm {
  const possible = possibleAlgorithms(key, where)
  const alg = wanted === undefined ? possible[0] : possible.find((name) => name === wanted)
  if (alg !== undefined) return alg
  throw new ConfigurationError(`${where}: algorithm ${String(wanted)} does not fit; this key can do ${possible.join(' or ')}`)
}

function possibleAlgorithms(key: KeyObject, where: string): readonly EncryptionAlgorithm[] {
  if (key.type === 'secret') {
    if (key.symmetricKeySize === keySize) return ['A256KW', 'dir']
    throw new ConfigurationError(`${where}: the key must have ${keySize} bytes, as from randomBytes(${keySize}).toString('base64url')`)
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = key
  if (type === 'x25519' || (type === 'ec' && details.namedCurve === 'prime256v1')) return ['ECDH-ES+A256KW']
  throw new ConfigurationError(`${where}: the key must be ${keySize} bytes, EC on P-256, or X25519`)
}

/** Names a key without saying anything about it: 128 bits of a hash over 256 random ones. */
function fingerprint(key: KeyObject): string {
  const material = JSON.stringify(key.export({ format: 'jwk' }))
  return hash('sha256', `oauth2-token-handler kid ${material}`, 'base64url').slice(0, 22)
}

/**
 * Keys that sign access tokens: read from PEM, JWK or KeyObject, each bound to one algorithm, in a set that can be replaced at run time.
 *
 *   next      published, so that every verifier knows it, and not used yet
 *   active    signs; there is exactly one
 *   retired   verifies what it has signed
 *
 * A rotation is three replacements: the next key in, next → active and active → retired, the retired key out once its last token has
 * expired. Leaving a key out at once is the emergency removal: nothing that it signed is accepted from then on.
 *
 * @see RFC 7517, RFC 7518 §3, RFC 7638
 */
import { createPrivateKey, createPublicKey, hash, KeyObject } from 'node:crypto'
import { ConfigurationError } from '../errors.js'
import { readJwkStatement, type JsonWebKey } from './jwk.js'
import { keyAdvice } from './key-advice.js'
import { assertKnownKeys, assertObject, kindOf } from '../option-checks/reader.js'

/** A signature algorithm of RFC 7518 §3.1 or RFC 8037 that this server signs with. */
export type SigningAlgorithm = 'ES256' | 'EdDSA' | 'RS256' | 'PS256'

/** A key as an application has it: a PEM text, a JWK, or a KeyObject. */
export type KeyInput = string | JsonWebKey | KeyObject

/** One key of a set. */
export interface SigningKeyOptions {
  readonly key: KeyInput
  /** Default: `ES256`, `EdDSA` or `RS256`, by the kind of the key; `PS256` has to be said. */
  readonly algorithm?: SigningAlgorithm
  /** Default: the `kid` of a JWK, else the RFC 7638 thumbprint. */
  readonly kid?: string
  /** Default `active`. Only a retired key may be a public one. */
  readonly state?: 'next' | 'active' | 'retired'
}

/** A key that was read, checked, and bound to its algorithm. */
export interface SigningKey {
  readonly kid: string
  readonly alg: SigningAlgorithm
  readonly state: 'next' | 'active' | 'retired'
  readonly privateKey: KeyObject | undefined
  readonly publicKey: KeyObject
  /** Bytes of each of its signatures. */
  readonly signatureSize: number
  /** The public half, as it is published. */
  readonly jwk: Readonly<Record<string, string>>
}

/** The keys of one server. */
export interface SigningKeySet {
  readonly active: SigningKey & { readonly privateKey: KeyObject }
  readonly byKid: ReadonlyMap<string, SigningKey>
}

const algorithms: readonly SigningAlgorithm[] = ['ES256', 'EdDSA', 'RS256', 'PS256']
const minRsaBits = 2048
const minRsaExponent = 65_537n

/**
 * Reads a set of keys.
 *
 * @throws ConfigurationError for a key that is too weak or of the wrong kind, for two with one `kid`, and unless exactly one is active.
 */
export function readSigningKeys(options: readonly SigningKeyOptions[], where: string): SigningKeySet {
  if (!Array.isArray(options) || options.length === 0)
    throw new ConfigurationError(`${where}: keys must be an array of at least one { key }`)
  const keys = options.map((option: SigningKeyOptions, index) => readSigningKey(option, `${where}: keys[${index}]`))
  const byKid = new Map(keys.map((key) => [key.kid, key]))
  if (byKid.size < keys.length) throw new ConfigurationError(`${where}: two keys have the same kid; leave kid out to have it computed`)
  const [active, ...others] = keys.filter((key) => key.state === 'active')
  if (active?.privateKey === undefined || others.length > 0) {
    throw new ConfigurationError(`${where}: exactly one key must have state 'active', and it must be a private key`)
  }
  return { active: { ...active, privateKey: active.privateKey }, byKid }
}

function readSigningKey(options: SigningKeyOptions, where: string): SigningKey {
  assertKnownKeys(assertObject(options, where), ['key', 'algorithm', 'kid', 'state'], where)
  const { state = 'active' } = options
  if (!['next', 'active', 'retired'].includes(state)) throw new ConfigurationError(`${where}: state must be 'next', 'active' or 'retired'`)
  const { privateKey, publicKey } = readKey(options.key, where)
  const said = readJwkStatement(options.key, 'sig', where)
  if (privateKey === undefined && state !== 'retired')
    throw new ConfigurationError(`${where}: a key that is not retired must be a private key`)
  const alg = algorithmFor(publicKey, options.algorithm ?? said.alg, where)
  const members = publicMembers(publicKey)
  const kid = options.kid ?? said.kid ?? thumbprint(members)
  if (typeof kid !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(kid)) throw new ConfigurationError(`${where}: kid must be visible ASCII`)
  const signatureSize = signatureSizeOf(publicKey)
  return { kid, alg, state, privateKey, publicKey, signatureSize, jwk: { ...members, kid, alg, use: 'sig' } }
}

function readKey(input: KeyInput, where: string): { privateKey: KeyObject | undefined; publicKey: KeyObject } {
  try {
    const key = input instanceof KeyObject ? input : parseKey(input)
    if (key.type === 'secret') throw new TypeError('a secret key')
    return key.type === 'private' ? { privateKey: key, publicKey: createPublicKey(key) } : { privateKey: undefined, publicKey: key }
  } catch {
    // What node:crypto says may hold the key.
    throw new ConfigurationError(
      `${where}: key must be a private key as PEM text, JWK or KeyObject, and ${kindOf(input)} was not one${keyAdvice(input)}`,
    )
  }
}

function parseKey(input: string | JsonWebKey): KeyObject {
  if (typeof input === 'string') return input.includes('PUBLIC KEY') ? createPublicKey(input) : createPrivateKey(input)
  return 'd' in input ? createPrivateKey({ key: input, format: 'jwk' }) : createPublicKey({ key: input, format: 'jwk' })
}

/** The algorithm a key is bound to, once and for all. */
function algorithmFor(key: KeyObject, wanted: unknown, where: string): SigningAlgorithm {
  const possible = possibleAlgorithms(key, where)
  const [usual] = possible
  const alg = wanted === undefined ? usual : possible.find((name) => name === wanted)
  if (alg !== undefined) return alg
  const known = algorithms.includes(wanted as SigningAlgorithm)
    ? `this key can do ${possible.join(' or ')}`
    : `it can be ${algorithms.join(', ')}`
  throw new ConfigurationError(`${where}: algorithm ${String(wanted)} does not fit; ${known}`)
}

function possibleAlgorithms(key: KeyObject, where: string): readonly SigningAlgorithm[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = key
  if (type === 'ec' && details.namedCurve === 'prime256v1') return ['ES256']
  if (type === 'ed25519') return ['EdDSA']
  if (type === 'rsa') {
    // RFC 7518 §3.3: a key of 2048 bits or larger
    const { modulusLength = 0, publicExponent = 0n } = details
    if (modulusLength >= minRsaBits && publicExponent >= minRsaExponent) return ['RS256', 'PS256']
    throw new ConfigurationError(
      `${where}: an RSA key must have at least ${minRsaBits} bits, and a public exponent of at least ${minRsaExponent}`,
    )
  }
  throw new ConfigurationError(
    `${where}: the key must be EC on P-256, Ed25519, or RSA; make one with generateKeyPairSync('ec', { namedCurve: 'P-256' })`,
  )
}

// RFC 8017 §8.1.1 and §8.2.1: as many bytes as the modulus; RFC 7518 §3.4: r and s with 32 bytes each; RFC 8032 §5.1.6: 64 bytes
function signatureSizeOf({ asymmetricKeyDetails: { modulusLength } = {} }: KeyObject): number {
  return modulusLength === undefined ? 64 : Math.ceil(modulusLength / 8)
}

/** The required members of the public key (RFC 7638 §3.2), in lexicographic order. */
function publicMembers(key: KeyObject): Readonly<Record<string, string>> {
  const jwk = key.export({ format: 'jwk' })
  const names = { EC: ['crv', 'kty', 'x', 'y'], OKP: ['crv', 'kty', 'x'], RSA: ['e', 'kty', 'n'] }[jwk.kty ?? ''] ?? []
  return Object.fromEntries(names.map((name) => [name, String(jwk[name as keyof JsonWebKey])]))
}

// RFC 7638 §3: the SHA-256 of the required members without white space
function thumbprint(members: Readonly<Record<string, string>>): string {
  return hash('sha256', JSON.stringify(members), 'base64url')
}

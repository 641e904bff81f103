/**
 * Secrets that have to be read back: an HMAC is checked with the secret itself, so a digest of it will not do.
 *
 * They are sealed with AES-256-GCM under a server key, and the sealed text names the key:
 *
 *   sealed = kid ":" what `seal` makes
 *
 * The first key of the option seals; all of them open. To rotate, put a new key in front, and take the old one away when nothing
 * is left that was sealed with it. What names a key that is gone cannot be opened any more.
 */
import { ConfigurationError } from '../errors.js'
import { kindOf } from '../option-checks/reader.js'
import { Redacted, seal, unseal } from '../secrets.js'

/** A server key with its name. */
export interface SealingSecret {
  /** 1 to 64 characters of `[A-Za-z0-9_-]`; stored beside everything that this key sealed. */
  readonly kid: string
  /** At least 43 characters that carry 256 random bits, as from `openssl rand -base64 32`. */
  readonly key: string
}

/** What a secret belongs to. One that was sealed for something else does not open. */
export type SealedPurpose = 'oauth1 client secret' | 'oauth1 token secret'

/** Seals with the newest key, opens with all. */
export interface Sealer {
  seal(text: string, purpose: SealedPurpose, about: string): string
  /** Undefined when its key is unknown, or when it was not sealed for this. */
  open(sealed: string, purpose: SealedPurpose, about: string): string | undefined
  /** False when the key that the text names is not among the keys. */
  knowsKeyOf(sealed: string): boolean
}

const remedy = "set secrets: [{ kid: '1', key: process.env.OAUTH1_KEY }] with a key from `openssl rand -base64 32`"
const kidText = /^[A-Za-z0-9_-]{1,64}$/
const smallestKey = 43

/** @throws ConfigurationError when the option is missing or wrong. Its message holds no key. */
export function createSealer(secrets: unknown): Sealer {
  if (secrets === undefined) throw new ConfigurationError(`secrets is required: OAuth 1 secrets are never stored in plain text; ${remedy}`)
  if (!Array.isArray(secrets)) throw new ConfigurationError(`secrets must be an array, not ${kindOf(secrets)}; ${remedy}`)
  const keys = new Map((secrets as unknown[]).map(readSecret))
  const [newest] = keys
  if (newest === undefined) throw new ConfigurationError(`secrets must hold at least one key; ${remedy}`)
  if (keys.size < secrets.length) throw new ConfigurationError('secrets has a kid twice; give every key a kid of its own')
  const [newestKid, newestKey] = newest
  const keyOf = (sealed: string) => keys.get(sealed.slice(0, sealed.indexOf(':')))
  return {
    seal: (text, purpose, about) => `${newestKid}:${seal(text, newestKey.reveal(), purpose, about)}`,
    open(sealed, purpose, about) {
      const key = keyOf(sealed)
      return key === undefined ? undefined : unseal(sealed.slice(sealed.indexOf(':') + 1), key.reveal(), purpose, about)
    },
    knowsKeyOf: (sealed) => keyOf(sealed) !== undefined,
  }
}

function readSecret(value: unknown, position: number): readonly [string, Redacted<string>] {
  const name = `secrets[${position}]`
  if (typeof value !== 'object' || value === null) throw new ConfigurationError(`${name} must be { kid, key }, not ${kindOf(value)}`)
  const { kid, key } = value as Partial<Record<string, unknown>>
  if (typeof kid !== 'string' || !kidText.test(kid)) throw new ConfigurationError(`${name}.kid must be 1 to 64 of A-Z, a-z, 0-9, - and _`)
  if (typeof key !== 'string' || key.length < smallestKey) {
    throw new ConfigurationError(`${name}.key must be a text of at least ${smallestKey} random characters; ${remedy}`)
  }
  return [kid, new Redacted(key)]
}

/**
 * A client's secret, sealed for a database: what a `clients` function returns as `sealed_client_secret`.
 *
 * @throws ConfigurationError when `secrets` is wrong.
 */
export function sealClientSecret(secrets: readonly SealingSecret[], client_id: string, client_secret: string): string {
  return createSealer(secrets).seal(client_secret, 'oauth1 client secret', client_id)
}

/**
 * Client secrets at rest: hashed, with an expiry of their own, several alive at a time, all compared at every request.
 *
 *   sha256:<digest>                          for generated secrets of at least 128 bits
 *   scrypt:<N>:<r>:<p>:<salt>:<digest>       for secrets that a person chose
 *
 * What a text is, is said by who stores it, never guessed from its beginning: a string in the options is a secret, a `hash` is a hash.
 */
import { randomBytes, scrypt } from 'node:crypto'
import type { Awaitable } from '../awaitable.js'
import { equalInConstantTime, sha256 } from '../secrets.js'
import { inLine, type Asker } from './slow-hash-line.js'
import { isRememberedSecret, rememberSecret } from './verified-secrets.js'

/** One secret of a client, as it is kept. */
export interface ClientSecret {
  /** What {@link hashClientSecret} made. */
  readonly hash: string
  /** From when on it is not accepted, in whole seconds since the epoch. Default: never. */
  readonly expiresAt?: number
}

const sha256Form = /^sha256:([A-Za-z0-9_-]{43})$/
const scryptForm = /^scrypt:([1-9][0-9]{0,7}):([1-9][0-9]?):([1-9][0-9]?):([A-Za-z0-9_-]{16,64}):([A-Za-z0-9_-]{43})$/
const scryptCost = { N: 32_768, r: 8, p: 1 }
const maxScryptMemory = 128 * 1024 * 1024
/** Characters of a generated secret: at least 128 bits. */
export const minGeneratedSize = 22

/**
 * Hashes a client secret for `secrets: [{ hash }]`.
 *
 * With `generated: true`, for text of at least 128 random bits, the hash is one SHA-256 and costs nothing at each request. Otherwise it is
 * scrypt (32 MiB, some 60 ms), which is what a secret needs that a person chose: at the first request with the right secret in each process, and at each
 * request with a wrong one.
 *
 * @throws TypeError when the secret is empty, or is said to be generated and has less than 22 characters.
 */
export async function hashClientSecret(secret: string, options: { generated?: boolean } = {}): Promise<string> {
  if (typeof secret !== 'string' || secret === '') throw new TypeError('hashClientSecret: the secret must be a text that is not empty')
  if (options.generated === true) return hashGeneratedSecret(secret)
  const salt = randomBytes(16).toString('base64url')
  const { N, r, p } = scryptCost
  return `scrypt:${N}:${r}:${p}:${salt}:${await inLine(undefined, () => scryptDigest(secret, salt, scryptCost))}`
}

function hashGeneratedSecret(secret: string): string {
  if (secret.length < minGeneratedSize)
    throw new TypeError(`hashClientSecret: a generated secret has at least ${minGeneratedSize} characters`)
  return digestOfSecret(secret)
}

/** The hash of a secret that this process holds in plain text anyway, such as one in the options. */
export function digestOfSecret(secret: string): string {
  return `sha256:${sha256(secret)}`
}

/** True for a text that {@link hashClientSecret} could have made. */
export function isSecretHash(text: string): boolean {
  const match = scryptForm.exec(text)
  return match === null ? sha256Form.test(text) : isAffordable(Number(match[1]), Number(match[2]), Number(match[3]))
}

function isAffordable(N: number, r: number, p: number): boolean {
  return N > 1 && (N & (N - 1)) === 0 && 128 * N * r * p <= maxScryptMemory
}

/** True for a hash that costs a scrypt at each request. */
export function isSlowHash(hash: string): boolean {
  return hash.startsWith('scrypt:')
}

/** Who presents a secret. */
export interface SecretAsker extends Asker {
  /**
   * True where the client is refused whatever its secret is, as one that is disabled: no work is saved then, because a fast refusal would tell that the
   * secret is right.
   */
  readonly isRefused?: boolean
}

/**
 * Whether one of the readings of a presented secret is one of the client's live secrets. All are compared with all. A slow hash that this process has
 * found right before is not computed again.
 *
 * @throws TemporarilyUnavailable when too many slow hashes are waiting.
 */
export function verifySecret(
  readings: readonly string[],
  secrets: readonly ClientSecret[],
  now: number,
  asker: SecretAsker,
): Awaitable<boolean> {
  let verified = false
  for (const secret of secrets) {
    if (isSlowHash(secret.hash)) continue
    for (const reading of readings) {
      if (equalInConstantTime(digestOfSecret(reading), secret.hash) && isAlive(secret, now)) verified = true
    }
  }
  const slow = secrets.filter(({ hash }) => isSlowHash(hash))
  if (slow.length === 0) return verified
  const isKnown = wasVerified(readings, slow, now)
  if ((verified || isKnown) && asker.isRefused !== true) return true
  return verifySlowly(readings, slow, now, asker).then((isVerified) => verified || isVerified)
}

/** All are compared with all here too. One that has expired is not accepted, and its refusal is the same work as any other. */
function wasVerified(readings: readonly string[], secrets: readonly ClientSecret[], now: number): boolean {
  let isKnown = false
  for (const secret of secrets) {
    for (const reading of readings) if (isRememberedSecret(reading, secret.hash) && isAlive(secret, now)) isKnown = true
  }
  return isKnown
}

async function verifySlowly(readings: readonly string[], secrets: readonly ClientSecret[], now: number, asker: Asker): Promise<boolean> {
  let verified = false
  for (const secret of secrets) {
    for (const reading of readings) {
      if (!(await matchesSlowHash(reading, secret.hash, asker)) || !isAlive(secret, now)) continue
      verified = true
      rememberSecret(reading, secret.hash)
    }
  }
  return verified
}

function isAlive({ expiresAt }: ClientSecret, now: number): boolean {
  return expiresAt === undefined || now < expiresAt
}

async function matchesSlowHash(secret: string, hash: string, asker: Asker): Promise<boolean> {
  const [, N, r, p, salt = '', digest = ''] = scryptForm.exec(hash) ?? []
  const cost = { N: Number(N), r: Number(r), p: Number(p) }
  return equalInConstantTime(await inLine(asker, () => scryptDigest(secret, salt, cost)), digest)
}

// No scrypt ends in this: all its bits are zero.
const decoyDigest = 'A'.repeat(43)

/** A hash that costs what this one costs, and that nothing matches. */
export function decoyOf(hash: string): string {
  return hash.slice(0, -decoyDigest.length) + decoyDigest
}

function scryptDigest(secret: string, salt: string, cost: typeof scryptCost): Promise<string> {
  return new Promise((resolve, reject) => {
    scrypt(secret, salt, 32, { ...cost, maxmem: maxScryptMemory + 1024 * 1024 }, (error, key) => {
      if (error === null) resolve(key.toString('base64url'))
      else reject(error)
    })
  })
}

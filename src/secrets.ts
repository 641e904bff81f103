/**
 * Secrets: made, hashed at rest, compared in constant time, and sealed.
 *
 * - Random text comes from nanoid's pool of random bytes, in nanoid's alphabet, 6 bits a character.
 * - What only has to be recognised is kept as its SHA-256; a secret that a person chose, as scrypt.
 * - What has to be read back is sealed with AES-256-GCM under a key derived from a text that the store does not hold.
 */
import { createCipheriv, createDecipheriv, createHmac, hash, timingSafeEqual } from 'node:crypto'
import { random, urlAlphabet } from 'nanoid'

/** `size` random characters of `[A-Za-z0-9_-]`. In one piece: what `nanoid()` puts together character by character takes a store twice the memory. */
export function randomText(size: number): string {
  const characters = Buffer.allocUnsafe(size)
  let written = 0
  // The alphabet has 64 characters, so that six bits of a byte choose among them evenly.
  for (const byte of random(size)) characters[written++] = urlAlphabet.charCodeAt(byte & 63)
  return characters.toString('latin1')
}

/** Characters that carry at least 256 bits. */
export const secretSize = 43

/** SHA-256 of a text, in base64url. */
export function sha256(text: string): string {
  return hash('sha256', text, 'base64url')
}

/** HMAC-SHA-256 of a text under a text key, in base64url. */
export function hmacSha256(key: string, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url')
}

/**
 * Compares two texts of equal public length, such as digests, in time that does not depend on where they differ.
 * Texts of different length differ, at once.
 */
export function equalInConstantTime(a: string, b: string): boolean {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.length === right.length && timingSafeEqual(left, right)
}

/** True when `text` is what `digest` was made of by {@link sha256}. */
export function matchesDigest(text: string, digest: string): boolean {
  return equalInConstantTime(sha256(text), digest)
}

const sealVersion = 's1.'
const ivSize = 12
const tagSize = 16

/**
 * Seals a text so that only somebody who holds `secret` can read it back. `purpose` separates uses of one secret;
 * `about` is authenticated with it, so that a sealed text cannot be moved to another record.
 */
export function seal(text: string, secret: string, purpose: string, about: string): string {
  const iv = Buffer.from(random(ivSize))
  const cipher = createCipheriv('aes-256-gcm', sealingKey(secret, purpose), iv)
  cipher.setAAD(Buffer.from(about))
  const sealed = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return sealVersion + sealed.toString('base64url')
}

/** Reads back what {@link seal} made; undefined when secret, purpose or `about` differ, or a bit was changed. */
export function unseal(sealed: string, secret: string, purpose: string, about: string): string | undefined {
  if (!sealed.startsWith(sealVersion)) return undefined
  const bytes = Buffer.from(sealed.slice(sealVersion.length), 'base64url')
  if (bytes.length < ivSize + tagSize) return undefined
  const decipher = createDecipheriv('aes-256-gcm', sealingKey(secret, purpose), bytes.subarray(0, ivSize), { authTagLength: tagSize })
  decipher.setAAD(Buffer.from(about))
  decipher.setAuthTag(bytes.subarray(-tagSize))
  try {
    return decipher.update(bytes.subarray(ivSize, -tagSize), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    return undefined
  }
}

/** NIST SP 800-56C §4.1, one step with SHA-256: counter ‖ secret ‖ purpose. Every secret that seals holds 256 random bits and has a fixed form. */
function sealingKey(secret: string, purpose: string): Buffer {
  return hash('sha256', `\0\0\0\x01${secret}oauth2-token-handler ${purpose}`, 'buffer')
}

const redacted = '[redacted]'

/** Holds a value that must not be printed: `toString`, `toJSON` and `util.inspect` all say `[redacted]`. */
export class Redacted<T> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  reveal(): T {
    return this.#value
  }

  toString(): string {
    return redacted
  }

  toJSON(): string {
    return redacted
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return redacted
  }
}

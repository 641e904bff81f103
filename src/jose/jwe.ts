/**
 * JWE in compact form (RFC 7516) with A256GCM: written and read by node:crypto for keys that both sides hold (`dir`, `A256KW`), and by jose for
 * `ECDH-ES+A256KW`, where the key agreement has traps of its own.
 *
 * Reading:
 *
 * 1. Five parts in base64url (`decodeBase64url`), and a header that is a JSON object (`decodeObject`).
 * 2. Nothing critical, nothing compressed, `enc` A256GCM; IV and tag in their one size.
 * 3. The key by its `kid`, `alg` exactly the algorithm that the key is bound to, and an encrypted key of the size that goes with it.
 * 4. The content key: the key itself, or what it unwraps (`unwrapKey`).
 * 5. The content, authenticated together with the header as it was sent (`openContent`).
 *
 * Out of scope are JSON serialization, more than one recipient, `zip`, and passwords (PBES2).
 */
import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto'
import { decodeBase64url, decodeObject, decodeUtf8, encodeJson, type Members } from './compact-serialization.js'
import type { EncryptionKey } from './encryption-keys.js'
import { decryptByAgreement, encryptByAgreement } from './key-agreement.js'

/** A token that could be decrypted: its protected header, and the text inside. */
export interface DecryptedToken {
  readonly header: Members
  readonly text: string
}

/** Content after encryption. */
interface SealedContent {
  readonly iv: Buffer
  readonly ciphertext: Buffer
  readonly tag: Buffer
}

// RFC 7518 §5.3: a key of 256 bits, an IV of 96 and a tag of 128
const [contentKeySize, ivSize, tagSize] = [32, 12, 16]
// RFC 3394 §2.2.3.1: the value by which a wrapped key is recognised, and which makes it longer
const wrapInitialValue = Buffer.alloc(8, 0xa6)
const wrappedKeySize = contentKeySize + wrapInitialValue.length

/** What encrypts texts with one key under one header. */
export function jweEncrypter(
  { alg, kid, encryptWith }: EncryptionKey,
  members: { readonly typ: string; readonly cty?: string },
): (text: string) => string | Promise<string> {
  if (alg === 'ECDH-ES+A256KW') return (text) => encryptByAgreement(text, encryptWith, { kid, ...members })
  const encodedHeader = encodeJson({ alg, kid, ...members, enc: 'A256GCM' })
  return (text) => {
    const [contentKey, encryptedKey] = newContentKey(alg, encryptWith)
    const { iv, ciphertext, tag } = sealContent(text, contentKey, encodedHeader)
    // RFC 7516 §7.1: header, encrypted key, IV, ciphertext and tag
    return [encodedHeader, ...[encryptedKey, iv, ciphertext, tag].map((part) => part.toString('base64url'))].join('.')
  }
}

/**
 * Header and text of a token that was encrypted to a key of ours; undefined for any other text. `sealed` where the key that it names has its private
 * half elsewhere. `keyFor` finds the key by the `kid` of the header, which is undefined where it is no text.
 */
export async function decryptJwe(
  token: string,
  keyFor: (kid: string | undefined) => EncryptionKey | undefined,
): Promise<DecryptedToken | 'sealed' | undefined> {
  // RFC 7516 §7.1: five parts, no more
  const parts = token.split('.', 6)
  if (parts.length !== 5) return undefined
  const [encodedHeader = '', ...encoded] = parts
  const [encryptedKey, iv, ciphertext, tag] = encoded.map((part) => decodeBase64url(part))
  const header = decodeObject(encodedHeader)
  if (header === undefined || encryptedKey === undefined || iv === undefined || ciphertext === undefined || tag === undefined)
    return undefined
  // RFC 7516 §4.1.13: what is critical must be understood, and here nothing is
  if (header.crit !== undefined) return undefined
  // RFC 8725 §3.6: no compression, which tells of what it compresses, and expands without limit
  if (header.zip !== undefined) return undefined
  // RFC 7518 §5.3: the one content encryption, and the one size of its IV and of its tag
  if (header.enc !== 'A256GCM' || iv.length !== ivSize || tag.length !== tagSize) return undefined
  const key = keyFor(typeof header.kid === 'string' ? header.kid : undefined)
  if (key === undefined) return undefined
  // RFC 8725 §3.1: a key is used with its one algorithm, whatever the token says
  if (header.alg !== key.alg) return undefined
  // RFC 7518 §4.5: no encrypted key with dir; RFC 3394 §2.2.1: eight bytes more than the key that is wrapped
  if (encryptedKey.length !== (key.alg === 'dir' ? 0 : wrappedKeySize)) return undefined
  if (key.decryptWith === undefined) return 'sealed'
  const content =
    key.alg === 'ECDH-ES+A256KW'
      ? await decryptByAgreement(token, key.decryptWith)
      : openContent({ iv, ciphertext, tag }, contentKeyOf(key.alg, key.decryptWith, encryptedKey), encodedHeader)
  const text = content === undefined ? undefined : decodeUtf8(content)
  return text === undefined ? undefined : { header, text }
}

type SharedKeyAlgorithm = Exclude<EncryptionKey['alg'], 'ECDH-ES+A256KW'>

/** The key that a new token is encrypted with, and how it is sent. */
function newContentKey(alg: SharedKeyAlgorithm, key: KeyObject): [contentKey: KeyObject | Buffer, encryptedKey: Buffer] {
  // RFC 7518 §4.5: with dir it is the key itself, and nothing is sent
  if (alg === 'dir') return [key, Buffer.alloc(0)]
  // RFC 7516 §5.1 step 2: else a random one for each token
  const contentKey = randomBytes(contentKeySize)
  return [contentKey, wrapKey(contentKey, key)]
}

function contentKeyOf(alg: SharedKeyAlgorithm, key: KeyObject, encryptedKey: Buffer): KeyObject | Buffer {
  return alg === 'dir' ? key : unwrapKey(encryptedKey, key)
}

/** Wraps 32 bytes of key with another key (RFC 3394 §2.2.1). */
export function wrapKey(contentKey: Uint8Array, key: KeyObject): Buffer {
  const cipher = createCipheriv('id-aes256-wrap', key, wrapInitialValue)
  return Buffer.concat([cipher.update(contentKey), cipher.final()])
}

/** The key that {@link wrapKey} wrapped. For anything else it is a random one, so that only the content shows what was wrong (RFC 7516 §11.5). */
export function unwrapKey(encryptedKey: Uint8Array, key: KeyObject): Buffer {
  const decipher = createDecipheriv('id-aes256-wrap', key, wrapInitialValue)
  try {
    return Buffer.concat([decipher.update(encryptedKey), decipher.final()])
  } catch {
    return randomBytes(contentKeySize)
  }
}

/** Encrypts a text with A256GCM under a new IV. RFC 7516 §5.1 step 14: what is authenticated with it is the header, as it is sent. */
function sealContent(text: string, contentKey: KeyObject | Buffer, encodedHeader: string): SealedContent {
  const iv = randomBytes(ivSize)
  const cipher = createCipheriv('aes-256-gcm', contentKey, iv, { authTagLength: tagSize })
  cipher.setAAD(Buffer.from(encodedHeader, 'latin1'))
  const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return { iv, ciphertext, tag: cipher.getAuthTag() }
}

/** What was encrypted with A256GCM under this key and this header; undefined when any of it was changed. */
export function openContent(
  { iv, ciphertext, tag }: SealedContent,
  contentKey: KeyObject | Buffer,
  encodedHeader: string,
): Buffer | undefined {
  const decipher = createDecipheriv('aes-256-gcm', contentKey, iv, { authTagLength: tagSize })
  decipher.setAAD(Buffer.from(encodedHeader, 'latin1')).setAuthTag(tag)
  const content = decipher.update(ciphertext)
  try {
    // RFC 7516 §5.2 step 16: nothing of it is used before the tag was right
    return Buffer.concat([content, decipher.final()])
  } catch {
    return undefined
  }
}

/**
 * The one file that touches the jose package: JWE is written and read here.
 *
 * Signatures are not: `node:crypto` with a cached key object makes and verifies them in less time (`jws.ts`).
 */
import { isUtf8 } from 'node:buffer'
import type { KeyObject } from 'node:crypto'
import { compactDecrypt, CompactEncrypt, errors } from 'jose'

/** A token that could be decrypted: its protected header, and the text inside. */
export interface DecryptedToken {
  readonly header: Readonly<Partial<Record<string, unknown>>>
  readonly text: string
}

/** The protected header of an encrypted token, beside `enc`. */
export interface EncryptionHeader {
  readonly alg: string
  readonly kid: string
  readonly typ: string
  readonly cty?: string
}

/** Finds the key for a token by its `kid`; undefined when there is none. The key is bound to one algorithm. */
export type KeyByHeader = (kid: string | undefined) => { readonly key: KeyObject; readonly alg: string } | undefined

class UnknownKey extends Error {}

// RFC 7516 §7.1: five parts in base64url, of which the encrypted key may be empty. No padding, no white space.
const compactJwe = /^[\w-]+\.[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+$/

/** Encrypts a text as a JWE in compact form (RFC 7516) with A256GCM. */
export async function encryptJwe(text: string, key: KeyObject, header: EncryptionHeader): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(text)).setProtectedHeader({ ...header, enc: 'A256GCM' }).encrypt(key)
}

/**
 * Decrypts a JWE in compact form. Undefined when it is malformed, when its key is unknown, when `alg` is not the one of the key, when it has
 * critical parameters, for any `enc` but A256GCM, and for compressed text.
 */
export async function decryptJwe(text: string, keyFor: KeyByHeader, algorithms: readonly string[]): Promise<DecryptedToken | undefined> {
  if (!compactJwe.test(text)) return undefined
  return authenticated(async () => {
    const { plaintext, protectedHeader } = await compactDecrypt(text, ({ kid, alg }) => boundKey(keyFor, kid, alg), {
      keyManagementAlgorithms: [...algorithms],
      contentEncryptionAlgorithms: ['A256GCM'],
      maxDecompressedLength: 0,
    })
    return { header: { ...protectedHeader }, text: utf8(plaintext) }
  })
}

function boundKey(keyFor: KeyByHeader, kid: unknown, alg: unknown): KeyObject {
  const found = keyFor(typeof kid === 'string' ? kid : undefined)
  if (found === undefined || found.alg !== alg) throw new UnknownKey()
  return found.key
}

function utf8(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new SyntaxError('not UTF-8')
  return Buffer.from(bytes).toString()
}

/** What `read` returns, or undefined for what jose, JSON and UTF-8 say of a token that is not one. */
async function authenticated<T>(read: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await read()
  } catch (thrown) {
    if (isRefusal(thrown)) return undefined
    throw thrown
  }
}

function isRefusal(thrown: unknown): boolean {
  const isOfJose = thrown instanceof errors.JOSEError || thrown instanceof UnknownKey
  return isOfJose || thrown instanceof SyntaxError || thrown instanceof TypeError || isOfWebCrypto(thrown)
}

/** From Node 22 on WebCrypto says with a DOMException of this name that a key is not one for the algorithm. */
function isOfWebCrypto(thrown: unknown): boolean {
  return typeof thrown === 'object' && thrown !== null && 'name' in thrown && thrown.name === 'DataError'
}

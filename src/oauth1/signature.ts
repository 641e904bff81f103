/**
 * The signature of an OAuth 1 request (RFC 5849 §3.4), as the server checks it:
 *
 * 1. Collect what is signed: query, header without `realm`, form body, without `oauth_signature`   `readParameters` in parameters.ts
 * 2. Normalise it: percent-encode names and values, sort by bytes, join                            {@link normalizeParameters}
 * 3. Write the base string URI: scheme, host, port unless it is the default, path                  {@link baseStringUri}
 * 4. Join method, URI and parameters to the signature base string                                  {@link signatureBaseString}
 * 5. Sign it: HMAC with both secrets, or nothing at all for PLAINTEXT                              {@link expectedSignature}
 * 6. Compare in constant time; for RSA verify with the client's public key                         {@link isRightSignature}
 *
 * Out of scope: `oauth_body_hash` is signed like any other parameter, but a body that is not a form is not compared with it.
 */
import { createHmac, verify, type KeyObject } from 'node:crypto'
import { InvalidRequest } from '../errors.js'
import type { Pair } from '../http/message.js'
import { equalInConstantTime, sha256 } from '../secrets.js'

type Algorithm = { readonly kind: 'hmac' | 'rsa'; readonly digest: string } | { readonly kind: 'plaintext' }

const algorithms = {
  'HMAC-SHA256': { kind: 'hmac', digest: 'sha256' },
  'HMAC-SHA1': { kind: 'hmac', digest: 'sha1' },
  'HMAC-SHA512': { kind: 'hmac', digest: 'sha512' },
  'RSA-SHA1': { kind: 'rsa', digest: 'sha1' },
  'RSA-SHA256': { kind: 'rsa', digest: 'sha256' },
  'RSA-SHA512': { kind: 'rsa', digest: 'sha512' },
  PLAINTEXT: { kind: 'plaintext' },
} as const satisfies Record<string, Algorithm>

/** A value of `oauth_signature_method` that this server knows. */
export type SignatureMethod = keyof typeof algorithms

/** All of them. Which ones a server accepts is its option `signatureMethods`. */
export const signatureMethods = Object.keys(algorithms) as readonly SignatureMethod[]

/** What a signature is checked with. Stand-ins take the place of what is not known, so that the work is the same. */
export interface VerificationKeys {
  readonly clientSecret: string
  /** Empty where the request names no token. */
  readonly tokenSecret: string
  readonly publicKey: KeyObject
}

/**
 * Percent-encodes a text.
 *
 * @see RFC 5849 §3.6: everything but ALPHA, DIGIT, "-", ".", "_", "~", as UTF-8, in upper-case hexadecimal
 */
export function percentEncode(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd')).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** The parameters as one text: encoded, sorted by name and then by value, joined (§3.4.1.3.2). */
export function normalizeParameters(parameters: readonly Pair[]): string {
  return parameters
    .map(([name, value]) => [percentEncode(name), percentEncode(value)] as const)
    .sort(([nameA, valueA], [nameB, valueB]) => byBytes(nameA, nameB) || byBytes(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

/** Encoded texts are ASCII, so the order of their code units is the order of their bytes. */
function byBytes(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}

// RFC 3986 §3.2: the authority ends at "/", "?" or "#"; RFC 9110 §7.2, §4.2.4: Host has no user information
const outsideAuthority = /[/?#@\\\s]/
const absoluteUrl = /^([a-z][a-z0-9+.-]*):\/\/(?:[^/?#@]*@)?([^/?#]*)([^?#]*)/i
const defaultPorts: Readonly<Partial<Record<string, string>>> = { http: '80', https: '443' }

/** Where a request was sent. */
export interface Target {
  /** The URL, or the request target of HTTP. */
  readonly url: string
  /** The `Host` of the request; needed where the URL has none. */
  readonly host: string | undefined
  readonly secure: boolean
  /** Scheme and authority that clients see, where the server knows better than the request. */
  readonly origin: string | undefined
}

/**
 * The base string URI. The path is taken as it was sent: decoding it, or folding its dots, would sign another one.
 *
 * @throws InvalidRequest when the host is not known.
 * @see RFC 5849 §3.4.1.2
 */
export function baseStringUri({ url, host, secure, origin }: Target): string {
  const absolute = absoluteUrl.exec(url)
  const path = absolute === null ? pathOf(url) : (absolute[3] ?? '')
  if (origin !== undefined) return `${baseOrigin(origin)}${path === '' ? '/' : path}`
  const scheme = secure ? 'https' : 'http'
  const authority = absolute === null ? host : absolute[2]
  if (authority === undefined || authority === '') throw new InvalidRequest('the request names no host')
  // A host with a slash would be read as the beginning of the path: the signature of one resource would be good for another.
  if (outsideAuthority.test(authority)) throw new InvalidRequest('the host of the request is malformed')
  return `${baseOrigin(`${scheme}://${authority}`)}${path === '' ? '/' : path}`
}

function pathOf(target: string): string {
  const end = target.search(/[?#]/)
  return end === -1 ? target : target.slice(0, end)
}

/** Scheme and host in lower case; the port only where it is not the default of the scheme (§3.4.1.2). */
function baseOrigin(origin: string): string {
  const [, scheme = '', host = '', port = ''] = /^([^:]*):\/\/(.*?)(?::([0-9]*))?$/.exec(origin.toLowerCase()) ?? []
  return `${scheme}://${host}${port === '' || port === defaultPorts[scheme] ? '' : `:${port}`}`
}

/** The signature base string (§3.4.1.1). */
export function signatureBaseString(method: string, uri: string, parameters: readonly Pair[]): string {
  return [method.toUpperCase(), uri, normalizeParameters(parameters)].map(percentEncode).join('&')
}

/** True when `signature` was made over `baseString` with the keys. Takes as long for a wrong one. */
export function isRightSignature(method: SignatureMethod, signature: string, baseString: string, keys: VerificationKeys): boolean {
  const algorithm: Algorithm = algorithms[method]
  // RFC 5849 §3.4.3: RSASSA-PKCS1-v1_5
  if (algorithm.kind === 'rsa') {
    return verify(algorithm.digest, Buffer.from(baseString), keys.publicKey, Buffer.from(signature, 'base64'))
  }
  // A PLAINTEXT signature is as long as the secrets, which is nobody's business: digests have one length.
  return equalInConstantTime(sha256(expectedSignature(algorithm, baseString, keys)), sha256(signature))
}

function expectedSignature(algorithm: Exclude<Algorithm, { kind: 'rsa' }>, baseString: string, keys: VerificationKeys): string {
  // RFC 5849 §3.4.2, §3.4.4: both secrets encoded, and the ampersand even when one is empty
  const key = `${percentEncode(keys.clientSecret)}&${percentEncode(keys.tokenSecret)}`
  return algorithm.kind === 'plaintext' ? key : createHmac(algorithm.digest, key).update(baseString).digest('base64')
}

/** True when the method proves nothing but that the secrets are known, so that it needs TLS, and no nonce (§3.4.4). */
export function isPlaintext(method: SignatureMethod): boolean {
  return algorithms[method].kind === 'plaintext'
}

/** True when the method needs the client's public key. */
export function isRsa(method: SignatureMethod): boolean {
  return algorithms[method].kind === 'rsa'
}

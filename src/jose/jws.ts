/**
 * JWS in compact form (RFC 7515): signed and verified by node:crypto with cached keys.
 *
 * Verifying, with nothing believed before the signature is:
 *
 * 1. Three parts in base64url (`decodeBase64url`), and a header that is a JSON object (`decodeObject`).
 * 2. Nothing critical, and no `b64`.
 * 3. The key by its `kid`, and `alg` exactly the algorithm that the key is bound to. Keys inside the token (`jwk`, `jku`, `x5c`, `x5u`) are never
 *    looked at.
 * 4. The signature (`isSignatureOf`), unless this very token had the right one before (`KnownSignatures`).
 * 5. Claims that are a JSON object.
 *
 * Both directions are synchronous: a signature takes 20 to 100 µs of this thread, and some 300 to make one with RSA; to hand it to another thread costs most
 * of that again, in CPU time of this process. Out of scope are JSON serialization, detached payloads, and MACs.
 */
import { constants, sign, verify, type KeyObject } from 'node:crypto'
import { decodeBase64url, decodeObject, decodeUtf8, encodeJson, parseObject, type Members } from './compact-serialization.js'
import type { KnownSignatures } from './verified-tokens.js'
import type { SigningAlgorithm, SigningKey, SigningKeySet } from './signing-keys.js'

/** A token whose signature was right: its protected header, and its claims. */
export interface VerifiedToken {
  readonly header: Members
  readonly claims: Members
}

/** What verifying needs to know of a key. */
export type VerificationKey = Pick<SigningKey, 'alg' | 'publicKey' | 'signatureSize'>

/** What signs claims with one key under one header, which are put together here, once, and stay together. */
export function jwsSigner(key: SigningKeySet['active'], typ: string): (claims: object) => string {
  const header = encodeJson({ alg: key.alg, typ, kid: key.kid })
  return (claims) => {
    // RFC 7515 §5.1: what is signed is header, dot and payload in ASCII
    const text = `${header}.${encodeJson(claims)}`
    return `${text}.${signatureOf(text, key).toString('base64url')}`
  }
}

/**
 * Header and claims of a token that was signed with a key of ours; undefined for any other text. `keyFor` finds the key by the `kid` of the header, which
 * is undefined where it is no text. `known` belongs to the keys that `keyFor` finds.
 */
export function verifyJws(
  text: string,
  keyFor: (kid: string | undefined) => VerificationKey | undefined,
  known: KnownSignatures,
): VerifiedToken | undefined {
  // RFC 7515 §7.1: header, payload and signature; no more
  const parts = text.split('.', 4)
  if (parts.length !== 3) return undefined
  const [encodedHeader = '', encodedPayload = '', encodedSignature = ''] = parts
  const [payload, signature] = [decodeBase64url(encodedPayload), decodeBase64url(encodedSignature)]
  const header = decodeObject(encodedHeader)
  if (payload === undefined || signature === undefined || header === undefined) return undefined
  // RFC 7515 §4.1.11: what is critical must be understood, and here nothing is
  if (header.crit !== undefined) return undefined
  // RFC 7797 §6 and §7: b64 is nothing without crit, and not for JWTs
  if (header.b64 !== undefined) return undefined
  const key = keyFor(typeof header.kid === 'string' ? header.kid : undefined)
  if (key === undefined) return undefined
  // RFC 8725 §3.1: a key is used with its one algorithm, whatever the token says
  if (header.alg !== key.alg) return undefined
  if (!known.isRight(text, () => isSignatureOf(`${encodedHeader}.${encodedPayload}`, signature, key))) return undefined
  // RFC 7519 §7.2: the claims are a JSON object in UTF-8
  const claims = parseObject(decodeUtf8(payload))
  return claims === undefined ? undefined : { header, claims }
}

/** The signature of a text in ASCII. */
export function signatureOf(text: string, { alg, privateKey }: Pick<SigningKeySet['active'], 'alg' | 'privateKey'>): Buffer {
  return sign(digestOf(alg), Buffer.from(text, 'latin1'), withParameters(alg, privateKey))
}

/** True for the signature of a text in ASCII, in the one form that RFC 7518 §3 and RFC 8037 §3.1 give it. */
export function isSignatureOf(text: string, signature: Uint8Array, { alg, publicKey, signatureSize }: VerificationKey): boolean {
  // RFC 7518 §3.4: r and s with 32 bytes each, never DER; RFC 8032 §5.1.7: 64 bytes; RFC 8017 §8.1.2 and §8.2.2: as long as the modulus
  if (signature.length !== signatureSize) return false
  return verify(digestOf(alg), Buffer.from(text, 'latin1'), withParameters(alg, publicKey), signature)
}

function digestOf(alg: SigningAlgorithm): string | null {
  return alg === 'EdDSA' ? null : 'sha256'
}

function withParameters(alg: SigningAlgorithm, key: KeyObject) {
  switch (alg) {
    // RFC 7518 §3.4: r and s behind one another
    case 'ES256':
      return { key, dsaEncoding: 'ieee-p1363' } as const
    // RFC 7518 §3.5: a salt as long as the hash
    case 'PS256':
      return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    case 'EdDSA':
    case 'RS256':
      return { key }
  }
}

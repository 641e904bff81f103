/**
 * The one file that touches the jose package: JWEs for a key pair, by ECDH-ES+A256KW on P-256 and X25519 (RFC 7518 §4.6).
 *
 * Everything else of JWS and JWE is `jws.ts` and `jwe.ts`, by node:crypto. Agreeing on a key is not: the ephemeral key comes with the token, has to be checked
 * for its curve, and is hashed with what surrounds it. It is used where others read the tokens, and rarely.
 */
import type { KeyObject } from 'node:crypto'
import { compactDecrypt, CompactEncrypt, errors } from 'jose'

/** The protected header beside `alg`, `enc` and what the agreement adds. */
export interface AgreementHeader {
  readonly kid: string
  readonly typ: string
  readonly cty?: string
}

const [alg, enc] = ['ECDH-ES+A256KW', 'A256GCM']

/** Encrypts a text for who has the private half of the key: a JWE in compact form. */
export async function encryptByAgreement(text: string, publicKey: KeyObject, header: AgreementHeader): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(text)).setProtectedHeader({ alg, ...header, enc }).encrypt(publicKey)
}

/** What is inside a JWE in compact form for this key; undefined for what jose refuses. */
export async function decryptByAgreement(token: string, privateKey: KeyObject): Promise<Buffer | undefined> {
  try {
    const { plaintext } = await compactDecrypt(token, privateKey, {
      keyManagementAlgorithms: [alg],
      contentEncryptionAlgorithms: [enc],
      maxDecompressedLength: 0,
    })
    return Buffer.from(plaintext)
  } catch (thrown) {
    // A TypeError is what WebCrypto throws for an ephemeral key whose members are not of the kind they should be.
    if (thrown instanceof errors.JOSEError || thrown instanceof TypeError) return undefined
    throw thrown
  }
}

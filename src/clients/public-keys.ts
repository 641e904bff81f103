/**
 * A set of public keys (RFC 7517 §5) as a client registers it (RFC 7591 §2, `jwks`). Whoever registers a private key by mistake learns it here.
 */
import { createPublicKey } from 'node:crypto'
import { ConfigurationError } from '../errors.js'
import type { JsonWebKey } from '../jose/jwk.js'
import { assertObject } from '../option-checks/reader.js'

/** A JWK Set of public keys. */
export interface PublicKeySet {
  readonly keys: readonly JsonWebKey[]
}

// RFC 7518 §6: the members of private and of symmetric keys
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/** @throws ConfigurationError when it is there and is not `{ keys: [...] }` of public keys. The message holds no key. */
export function assertPublicKeys(value: unknown, name: string): asserts value is PublicKeySet | undefined {
  if (value === undefined) return
  const { keys } = assertObject(value, name)
  if (!Array.isArray(keys)) throw new ConfigurationError(`${name} must be a JWK Set, as in { keys: [publicKey] }`)
  for (const [position, key] of (keys as unknown[]).entries()) assertPublicKey(key, `${name}.keys[${position}]`)
}

function assertPublicKey(value: unknown, name: string): void {
  const key = assertObject(value, name)
  const secret = privateMembers.find((member) => key[member] !== undefined)
  if (secret !== undefined || key.kty === 'oct') {
    throw new ConfigurationError(`${name} must be a public key: it holds ${secret ?? 'a symmetric key'}; register the public half only`)
  }
  try {
    createPublicKey({ key: key as JsonWebKey, format: 'jwk' })
  } catch {
    throw new ConfigurationError(`${name} is no public key that can be read (RFC 7517 §4)`)
  }
}

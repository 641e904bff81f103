/**
 * What a JWK says about itself beside its key: which algorithm it is for, what it is called, and what it may be used for (RFC 7517 §4).
 */
import { KeyObject } from 'node:crypto'
import { ConfigurationError } from './errors.js'

/** The members of a JWK that are not the key. Nothing is known of a PEM text, of bytes, and of a KeyObject. */
export interface JwkStatement {
  readonly alg?: unknown
  readonly kid?: unknown
}

/** @throws ConfigurationError when it says that it is for something else (RFC 7517 §4.2). */
export function readJwkStatement(input: unknown, use: 'sig' | 'enc', where: string): JwkStatement {
  if (typeof input !== 'object' || input === null || input instanceof Uint8Array || input instanceof KeyObject) return {}
  const said: JwkStatement & { readonly use?: unknown } = input
  if (said.use !== undefined && said.use !== use) throw new ConfigurationError(`${where}: the use of this JWK must be '${use}'`)
  return said
}

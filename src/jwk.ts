/**
 * What a JWK says about itself beside its key: which algorithm it is for, what it is called, and what it may be used for (RFC 7517 §4).
 */
import { ConfigurationError } from './errors.js'

/** The members of a JWK that are not the key. A PEM text, bytes, and a KeyObject have none of them. */
export interface JwkStatement {
  readonly alg?: unknown
  readonly kid?: unknown
  readonly use?: unknown
}

/** @throws ConfigurationError when it says that it is for something else (RFC 7517 §4.2). */
export function readJwkStatement(input: string | object, use: 'sig' | 'enc', where: string): JwkStatement {
  const said: JwkStatement = typeof input === 'string' ? {} : input
  if (said.use !== undefined && said.use !== use) throw new ConfigurationError(`${where}: the use of this JWK must be '${use}'`)
  return said
}

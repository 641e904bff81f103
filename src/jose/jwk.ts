/**
 * A JWK, and what it says about itself beside its key: which algorithm it is for, what it is called, and what it may be used for (RFC 7517 §4).
 */
import { ConfigurationError } from '../errors.js'

/**
 * A key as a JSON object (RFC 7517 §4). `node:crypto` has no name for it that every release of its types knows.
 * A type and no interface: so it goes where an index signature is wanted, as by the types of Node.js 20.
 */
// eslint-disable-next-line @typescript-eslint/consistent-type-definitions -- an interface has no implicit index signature
export type JsonWebKey = {
  kty?: string
  use?: string
  key_ops?: string[]
  alg?: string
  kid?: string
  x5u?: string
  x5c?: string[]
  x5t?: string
  'x5t#S256'?: string
  crv?: string
  x?: string
  y?: string
  d?: string
  n?: string
  e?: string
  p?: string
  q?: string
  dp?: string
  dq?: string
  qi?: string
  k?: string
  ext?: boolean
}

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

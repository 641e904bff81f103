/**
 * Opaque access tokens: random text that only the server which issued it can look up. Ends the moment it is revoked.
 */
import { authorizationIdOf, newSecretText } from '../authorization/credentials.js'
import { ConfigurationError } from '../errors.js'
import { assertKnownKeys } from '../option-checks/reader.js'
import type { AccessTokenFormat } from './access-token.js'

/** Options of {@link opaque}. */
export interface OpaqueOptions {
  /** Text in front of each token, by which a secret scanner knows it, such as `acme_`. Default: none. */
  readonly prefix?: string
}

// What may follow in a b64token (RFC 6750 §2.1) and looks like a name
const prefixGrammar = /^[A-Za-z0-9_-]{1,32}$/

/**
 * The default format: `<authorization id>.<secret>`, with 258 random bits in the secret. The store keeps the SHA-256 of it.
 *
 * @throws ConfigurationError when the prefix is not 1 to 32 letters, digits, `_` or `-`.
 */
export function opaque(options: OpaqueOptions = {}): AccessTokenFormat {
  assertKnownKeys(options, ['prefix'], 'opaque')
  const { prefix = '' } = options
  if (typeof prefix !== 'string' || (prefix !== '' && !prefixGrammar.test(prefix))) {
    throw new ConfigurationError('opaque: prefix must be 1 to 32 letters, digits, "_" or "-"')
  }
  return {
    name: 'opaque',
    kind: 'reference',
    issue: ({ authorization_id }) => {
      if (authorization_id === undefined) throw new TypeError('an opaque token needs an authorization to refer to')
      return prefix + newSecretText(authorization_id)
    },
    read(text) {
      if (!text.startsWith(prefix)) return undefined
      const authorization_id = authorizationIdOf(text.slice(prefix.length))
      return authorization_id === undefined ? undefined : { kind: 'reference', authorization_id }
    },
  }
}

/**
 * Access tokens whose text a function of the application writes. They are remembered like opaque ones, by their hash, and found by an alias.
 */
import type { AccessTokenFormat, TokenClaims } from './access-token.js'

/** Writes the text of an access token: letters, digits and `-._~+/`, hard to guess, and never the same for two Authorizations. */
export type AccessTokenGenerator = (token: TokenClaims) => string | Promise<string>

/** The format that such a function stands for. */
export function custom(generate: AccessTokenGenerator): AccessTokenFormat {
  return { name: 'custom', kind: 'reference', issue: (token) => generate(token) }
}

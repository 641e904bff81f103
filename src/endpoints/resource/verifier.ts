/**
 * The verifier that MCP servers ask: `{ verifyAccessToken }` for the `requireBearerAuth` of their SDK.
 */
import { configure } from '../../configuration/configure.js'
import { ConfigurationError } from '../../errors.js'
import { assertKnownKeys, assertObject } from '../../option-checks/reader.js'
import type { ServerOptions } from '../../configuration/options.js'
import { readRequirement, type AccessTokenRequirement } from './requirement.js'
import { verifiedAuthInfo, type AuthInfo } from './check.js'

/** Options of {@link tokenVerifier}. */
export interface TokenVerifierOptions extends Pick<AccessTokenRequirement, 'resource' | 'audience' | 'checkRevocation' | 'checkClient'> {
  /** Makes the error that the SDK answers 401, as in `(message) => new InvalidTokenError(message)`. Default: an OAuthError `invalid_token`. */
  readonly invalidToken?: (message: string) => Error
}

/** What the SDK's `requireBearerAuth` takes. */
export interface TokenVerifier {
  /** @throws what `invalidToken` makes when the token is not active; TemporarilyUnavailable when the store fails. */
  verifyAccessToken(token: string): Promise<AuthInfo>
}

/** A verifier for tokens of this server. @throws ConfigurationError when the options are wrong. */
export function tokenVerifier(options: ServerOptions, verifierOptions: TokenVerifierOptions = {}): TokenVerifier {
  const configuration = configure(options, 'tokenVerifier')
  assertKnownKeys(
    assertObject(verifierOptions, 'tokenVerifier'),
    ['resource', 'audience', 'checkRevocation', 'checkClient', 'invalidToken'],
    'tokenVerifier',
  )
  const { invalidToken, ...requirement } = verifierOptions
  if (invalidToken !== undefined && typeof invalidToken !== 'function')
    throw new ConfigurationError('tokenVerifier: invalidToken must be a function')
  const demand = readRequirement(configuration, requirement)
  return {
    async verifyAccessToken(token) {
      const verified = await verifiedAuthInfo(configuration, demand, token)
      if (verified.auth !== undefined) return verified.auth
      throw invalidToken === undefined ? verified.error : invalidToken(verified.error.description)
    },
  }
}

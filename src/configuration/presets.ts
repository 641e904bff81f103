/**
 * Lists for the option `grants`, under the names that the preconfigured servers of other libraries have.
 */
import { authorizationCode } from '../grants/authorization-code.js'
import { clientCredentials } from '../grants/client-credentials.js'
import type { Grant } from '../grants/grant.js'
import { password, type PasswordOptions } from '../grants/password.js'
import { refreshToken } from '../grants/refresh-token.js'

/** For applications with users who log in at the server: authorization code and refresh token. */
export function webApplication(): Grant[] {
  return [authorizationCode(), refreshToken()]
}

/** For applications that still take the user's password: password and refresh token. RFC 9700 §2.4 says that there should be none. */
export function legacyApplication(options: PasswordOptions): Grant[] {
  return [password(options), refreshToken()]
}

/** For machines: client credentials. */
export function backendApplication(): Grant[] {
  return [clientCredentials()]
}

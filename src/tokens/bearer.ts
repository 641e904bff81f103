/**
 * Bearer tokens: whoever holds one may use it.
 *
 * @see RFC 6750
 */
import { headerValue } from '../http/message.js'
import type { TokenType } from './access-token.js'

const bearerScheme = /^ *bearer(?: |$)/i

// RFC 6750 §2.1: credentials = "Bearer" 1*SP b64token; RFC 9110 §11.1: the scheme is case-insensitive
const bearerCredentials = /^ *bearer +([A-Za-z0-9\-._~+/]+=*) *$/i

/** The default type of access tokens: `Authorization: Bearer <token>`. */
export function bearer(): TokenType {
  return {
    authenticationMethod: 'bearer',
    token_type: 'Bearer',
    presented({ headers }) {
      const header = headerValue(headers, 'authorization')
      if (header === undefined || !bearerScheme.test(header)) return undefined
      // Malformed is not absent: the empty text is nobody's token.
      return bearerCredentials.exec(header)?.[1] ?? ''
    },
    // A token that was issued with a key is worth nothing without it.
    verify: (_request, { binding }) =>
      binding === undefined ? undefined : 'a token that is bound to a key was presented as a bearer token',
  }
}

/** The header fields with which a client uses a bearer token. */
export function bearerHeader(token: string): { Authorization: string } {
  if (typeof token !== 'string')
    throw new TypeError('bearerHeader takes the access token, a text, as in bearerHeader(response.access_token)')
  return { Authorization: `Bearer ${token}` }
}

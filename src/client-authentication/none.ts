/**
 * `none`: a public client says who it is by `client_id` in the body and proves nothing.
 *
 * @see RFC 6749 §3.2.1, RFC 7591 §2
 */
import { headerValue } from '../protocol.js'
import type { ClientAuthenticationMethod } from './method.js'

/** Identification of public clients. What such a request may do is decided by the grant (§4.1.3, §6). */
export function none(): ClientAuthenticationMethod {
  return {
    name: 'none',
    presented({ headers, parameters }) {
      const { client_id, client_secret, client_assertion } = parameters
      const proves = client_secret ?? client_assertion ?? headerValue(headers, 'authorization')
      return client_id === undefined || proves !== undefined ? undefined : { client_id }
    },
    verify: (_credentials, client) => client.isPublic,
  }
}

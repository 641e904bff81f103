/**
 * `none`: a public client says who it is by `client_id`, in the body or in a Basic header without secret, and proves nothing.
 *
 * @see RFC 6749 §3.2.1, RFC 7591 §2
 */
import { headerValue } from '../http/message.js'
import { basicCredentials, isWithoutSecret } from './basic-credentials.js'
import type { ClientAuthenticationMethod } from './method.js'

/** Identification of public clients. What such a request may do is decided by the grant (§4.1.3, §6). */
export function none(): ClientAuthenticationMethod {
  return {
    name: 'none',
    presented({ headers, parameters }) {
      const { client_id, client_secret, client_assertion } = parameters
      if ((client_secret ?? client_assertion) !== undefined) return undefined
      if (headerValue(headers, 'authorization') === undefined) return client_id === undefined ? undefined : { client_id }
      const basic = basicCredentials(headers)
      // RFC 6749 §2.3.1: an empty secret may be left out, and so it may be there
      const isIdentification = basic !== undefined && basic !== 'malformed' && isWithoutSecret(basic)
      return isIdentification ? { client_id: basic.client_id } : undefined
    },
    verify: (_credentials, client) => client.isPublic,
  }
}

/**
 * Authentication by a client secret: in the Basic header (`client_secret_basic`) or in the body (`client_secret_post`).
 *
 * @see RFC 6749 §2.3.1
 */
import { verifySecret } from '../clients/secrets.js'
import { InvalidClient } from '../errors.js'
import { basicCredentials, isWithoutSecret } from './basic-credentials.js'
import type { ClientAuthenticationMethod } from './method.js'

const basicChallenge = 'Basic realm="oauth2", charset="UTF-8"'

/**
 * `client_secret_basic`: id and secret are form-encoded and then sent as RFC 7617 Basic credentials.
 *
 * Many clients leave the form-encoding out, so of the secret both readings are accepted where they differ. The id is always
 * decoded, unless it cannot be.
 */
export function clientSecretBasic(): ClientAuthenticationMethod {
  return {
    name: 'client_secret_basic',
    challenge: basicChallenge,
    presented({ headers, parameters, address }) {
      const credentials = basicCredentials(headers)
      if (credentials === undefined) return undefined
      if (credentials === 'malformed') {
        throw new InvalidClient(undefined, { reason: 'malformed Basic credentials', challenge: basicChallenge })
      }
      // RFC 6749 §2.3.1: an empty secret may be left out; beside another credential the header is still a second one
      const { client_secret, client_assertion } = parameters
      if (isWithoutSecret(credentials) && client_secret === undefined && client_assertion === undefined) return undefined
      return { ...credentials, address }
    },
    verify,
  }
}

/** `client_secret_post`: `client_id` and `client_secret` as parameters of the body. */
export function clientSecretPost(): ClientAuthenticationMethod {
  return {
    name: 'client_secret_post',
    presented({ parameters, address }) {
      const { client_id, client_secret } = parameters
      // A secret without client_id is a use of this method, by nobody: the empty id is never looked up.
      return client_secret === undefined ? undefined : { client_id: client_id ?? '', secretReadings: [client_secret], address }
    },
    verify,
  }
}

const verify: ClientAuthenticationMethod['verify'] = (credentials, client, { now }) =>
  verifySecret(credentials.secretReadings ?? [], client.secrets.reveal(), now, { ...credentials, isRefused: client.disabled })

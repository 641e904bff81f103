/**
 * Authentication by a client secret: in the Basic header (`client_secret_basic`) or in the body (`client_secret_post`).
 *
 * @see RFC 6749 §2.3.1
 */
import { parse } from 'basic-auth'
import { verifySecret } from '../client-secrets.js'
import { InvalidClient } from '../errors.js'
import { decodeFormText, headerValue } from '../protocol.js'
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
    presented({ headers }) {
      const header = headerValue(headers, 'authorization')
      if (header === undefined || !/^ *basic(?: |$)/i.test(header)) return undefined
      const credentials = parse(header)
      if (credentials === undefined) {
        throw new InvalidClient(undefined, { reason: 'malformed Basic credentials', challenge: basicChallenge })
      }
      const { name, pass } = credentials
      const decoded = decodedOrRaw(pass)
      return { client_id: decodedOrRaw(name), secretReadings: decoded === pass ? [pass] : [pass, decoded] }
    },
    verify: (credentials, client, now) => verifySecret(credentials.secretReadings ?? [], client.secrets.reveal(), now),
  }
}

/** `client_secret_post`: `client_id` and `client_secret` as parameters of the body. */
export function clientSecretPost(): ClientAuthenticationMethod {
  return {
    name: 'client_secret_post',
    presented({ parameters }) {
      const { client_id, client_secret } = parameters
      // A secret without client_id is a use of this method, by nobody: the empty id is never looked up.
      return client_secret === undefined ? undefined : { client_id: client_id ?? '', secretReadings: [client_secret] }
    },
    verify: (credentials, client, now) => verifySecret(credentials.secretReadings ?? [], client.secrets.reveal(), now),
  }
}

function decodedOrRaw(text: string): string {
  try {
    return decodeFormText(text)
  } catch {
    return text
  }
}

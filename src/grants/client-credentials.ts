/**
 * The client credentials grant: a confidential client acts for itself.
 *
 * @see RFC 6749 §4.4
 */
import { assertKnownKeys } from '../option-checks/reader.js'
import type { Grant } from './grant.js'

/** Options of {@link clientCredentials}. */
export interface ClientCredentialsOptions {
  /** Lifetime of its access tokens in seconds. Default: the server's. */
  readonly accessTokenLifetime?: number
}

/** `grant_type=client_credentials`. Never a refresh token (§4.4.3), never a subject. */
export function clientCredentials(options: ClientCredentialsOptions = {}): Grant {
  assertKnownKeys(options, ['accessTokenLifetime'], 'clientCredentials')
  return {
    ...options,
    type: 'client_credentials',
    // RFC 6749 §4.4: only confidential clients
    publicClients: false,
    authorize: (request) => ({ scope: request.grantableScope(), refreshable: false }),
  }
}

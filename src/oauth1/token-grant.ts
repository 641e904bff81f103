/**
 * From OAuth 1 to OAuth 2: a grant with which a client that holds an OAuth 1 token gets an OAuth 2 token for the same user.
 *
 * The proof is an OAuth 1 signature over the token request itself. Its parameters stand where they may stand in any OAuth 1 request; a
 * client that authenticates by Basic, or is public, puts them in the body: an Authorization header proves one thing.
 */
import { InvalidGrant, InvalidRequest, OAuthError } from '../errors.js'
import type { Grant, GrantRequest, NewAuthorization } from '../grants/grant.js'
import { authenticate, type AuthenticatedRequest, type Claim } from './authenticate.js'
import type { TokenCredentials } from './credentials.js'
import { configureOAuth1, type OAuth1Options } from './options.js'
import { hasOAuth1Credentials } from './parameters.js'

/** Options of {@link oauth1TokenGrant}. */
export interface OAuth1TokenGrantOptions {
  /** The value of `grant_type`. Default `urn:x-oauth2-token-handler:oauth1-token`. */
  readonly type?: string
  /**
   * Whether the OAuth 2 client may exchange tokens that were issued to the OAuth 1 client with that identifier. Default: when both
   * have the same `client_id`.
   */
  readonly isSameClient?: (oauth1_client_id: string, client_id: string) => boolean
  /** The scope for the realms of a token. Default: the same names; without realms, whatever the client may have. */
  readonly scope?: (realms: readonly string[]) => readonly string[]
}

const demand = { endpoint: 'token', stage: 'token' } as const

/**
 * Exchanges an OAuth 1 token for OAuth 2 tokens. The OAuth 1 token goes on working until it ends or is revoked, so that a client whose
 * answer was lost may ask again. A public client may use it: the signature proves more than its name.
 *
 * @throws ConfigurationError when the OAuth 1 options are wrong.
 */
export function oauth1TokenGrant(options: OAuth1Options, grantOptions: OAuth1TokenGrantOptions = {}): Grant {
  const configuration = configureOAuth1(options, 'oauth1TokenGrant')
  const { type = 'urn:x-oauth2-token-handler:oauth1-token', isSameClient = (a, b) => a === b } = grantOptions
  return {
    type,
    publicClients: true,
    async authorize(request): Promise<NewAuthorization> {
      const { received } = request
      if (!hasOAuth1Credentials(received)) throw new InvalidRequest('an OAuth 1 signature over this request is required')
      const { client, credentials } = await authenticated()
      // The signature says which OAuth 1 client asks; it must be the one that authenticated here.
      if (credentials === undefined || !isSameClient(client.client_id, request.client.client_id)) {
        throw new InvalidGrant(undefined, { reason: 'the OAuth 1 token belongs to another client' })
      }
      return { subject: credentials.subject, scope: scopeFor(request, credentials) }

      async function authenticated(): Promise<AuthenticatedRequest<'token'>> {
        try {
          const claim: Claim = (nonce, expiresAt) => request.claimOnce('oauth1', nonce, expiresAt)
          return await authenticate(configuration, received, demand, request.context, claim)
        } catch (thrown) {
          // RFC 6749 §5.2: in the words of this endpoint, what does not prove anything is an invalid grant
          if (!(thrown instanceof OAuthError) || thrown.status !== 401) throw thrown
          throw new InvalidGrant(undefined, { reason: `OAuth 1: ${thrown.reason ?? thrown.description}` })
        }
      }
    },
  }

  function scopeFor(request: GrantRequest, { realms }: TokenCredentials): readonly string[] {
    if (grantOptions.scope !== undefined) return request.grantableScope(grantOptions.scope(realms))
    return realms.length === 0 ? request.grantableScope() : request.grantableScope(realms)
  }
}

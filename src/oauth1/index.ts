/** The public face of `oauth2-token-handler/oauth1`. Nothing of it is loaded by `oauth2-token-handler` itself. */

// Handlers for Express, Connect and node:http
export { requireOAuth1, temporaryCredentialsHandler, tokenCredentialsHandler } from './handlers.js'
export type { OAuth1Handler, OAuth1HostRequest, OAuth1Requirement } from './handlers.js'
export type { OAuth1Info } from './protected-resource.js'

// The same endpoints without a framework
export { createTemporaryCredentialsResponse } from './temporary-credentials.js'
export { createAccessTokenResponse } from './token-credentials.js'

// For the application
export { authorizeTemporaryCredentials, findTemporaryCredentials, revokeTokenCredentials } from './consent.js'
export type { AuthorizedTemporaryCredentials, Consent, PendingAuthorization } from './consent.js'
export { sealClientSecret } from './sealing.js'

// For the OAuth 2 token endpoint
export { oauth1TokenGrant } from './token-grant.js'
export type { OAuth1TokenGrantOptions } from './token-grant.js'

// Options
export type { FindOAuth1Client, OAuth1Client } from './clients.js'
export type { ExtraMembers, IssuedTokenCredentials, OAuth1Options, OAuth1TokenRequest } from './options.js'
export type { SealingSecret } from './sealing.js'
export type { SignatureMethod } from './signature.js'

/** The public face of the package. Nothing is here that is not re-exported from where it lives. */

// Handlers for Express, Connect and node:http
export { introspectionHandler, requireAccessToken, revocationHandler, tokenHandler } from './handlers.js'
export type { AccessTokenRequirement, AuthInfo, Handler, HostRequest, Next } from './handlers.js'

// The same endpoints without a framework
export { createIntrospectionResponse } from './endpoints/introspection.js'
export { createRevocationResponse } from './endpoints/revocation.js'
export { createTokenResponse } from './endpoints/token.js'
export { errorResponse, grantResponse, validateTokenRequest } from './endpoints/token-phases.js'
export type { ValidatedTokenRequest } from './endpoints/token-phases.js'
export type { Context, HeaderFields, Pair, Parameters, ProtocolRequest, ProtocolResponse, ReceivedRequest } from './protocol.js'

// For the application
export { issueAuthorizationCode } from './endpoints/authorization-code.js'
export type { AuthorizationCodeRequest } from './endpoints/authorization-code.js'
export { hashClientSecret } from './client-secrets.js'
export { bearerHeader } from './tokens/bearer.js'

// Grants
export { authorizationCode } from './grants/authorization-code.js'
export type { AuthorizationCodeOptions } from './grants/authorization-code.js'
export { clientCredentials } from './grants/client-credentials.js'
export type { ClientCredentialsOptions } from './grants/client-credentials.js'
export { refreshToken } from './grants/refresh-token.js'
export type { RefreshTokenOptions } from './grants/refresh-token.js'
export type { Continuation, Grant, GrantDecision, GrantRequest, NewAuthorization, Refusal, Repetition } from './grants/grant.js'

// Client authentication
export { clientSecretBasic, clientSecretPost } from './client-authentication/client-secret.js'
export { none } from './client-authentication/none.js'
export type { ClientAuthenticationMethod, ClientAuthenticationRequest, PresentedCredentials } from './client-authentication/method.js'
export type { Client, ClientMetadata, FindClient } from './clients.js'
export type { ClientSecret } from './client-secrets.js'

// Access tokens
export { opaque } from './tokens/opaque.js'
export type { OpaqueOptions } from './tokens/opaque.js'
export type { AccessTokenClaims, AccessTokenFormat, AccessTokenReading } from './tokens/access-token.js'

// Storage
export { memoryStore } from './stores/memory.js'
export type { MemoryStore, MemoryStoreOptions } from './stores/memory.js'
export type { ListFilter, RecordKind, Store, StoredRecord } from './stores/store.js'
export type { Authorization, Json, JsonObject } from './authorization.js'

// Options, events, errors
export type { DecidedRequest, ServerOptions } from './options.js'
export type { EventListener, EventType, ServerEvent } from './events.js'
export {
  ConfigurationError,
  InvalidClient,
  InvalidGrant,
  InvalidRequest,
  InvalidScope,
  OAuthError,
  UnauthorizedClient,
  UnsupportedGrantType,
  UnvalidatedRequest,
} from './errors.js'
export type { ErrorCode, OAuthErrorDetails } from './errors.js'
export type { Scope } from './scope.js'

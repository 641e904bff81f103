/** The public face of the package. Nothing is here that is not re-exported from where it lives. */

// Handlers for Express, Connect and node:http
export {
  introspectionHandler,
  jwksHandler,
  metadataHandler,
  protectedResourceHandler,
  pushedAuthorizationHandler,
  registrationHandler,
  requireAccessToken,
  revocationHandler,
  tokenHandler,
} from './node/handlers.js'
export type {
  AccessTokenRequirement,
  AuthInfo,
  CacheOptions,
  MetadataOptions,
  ProtectedResourceOptions,
  RegistrationOptions,
} from './node/handlers.js'
export { authorizationServer } from './node/authorization-server.js'
export type { AuthorizationServerParts } from './node/authorization-server.js'
export { healthHandler } from './node/health-handler.js'
export { authorizationHandler } from './node/authorization-handler.js'
export type { Decide } from './node/authorization-handler.js'
export type { Guard, Handler, HostRequest, Next } from './node/host.js'

// The same endpoints without a framework
export { createHealthResponse } from './endpoints/health.js'
export { createIntrospectionResponse } from './endpoints/introspection.js'
export { createRevocationResponse } from './endpoints/revocation.js'
export { createJwksResponse } from './endpoints/jwks.js'
export { createMetadataResponse } from './endpoints/metadata.js'
export { createTokenResponse } from './endpoints/token/endpoint.js'
export { errorResponse, grantResponse, validateTokenRequest } from './endpoints/token/phases.js'
export type { ValidatedTokenRequest } from './endpoints/token/phases.js'
export type { Context, HeaderFields, Pair, Parameters, ProtocolRequest, ProtocolResponse, ReceivedRequest } from './http/message.js'

// For the application
export { authorizationResponse } from './endpoints/authorization/response.js'
export type { AuthorizationResponseRequest, DecidedAuthorizationRequest } from './endpoints/authorization/response.js'
export type { AuthorizationDecision } from './endpoints/authorization/decision.js'
export type { AuthorizationRequest } from './endpoints/authorization/request.js'
export type { ConsentTexts } from './endpoints/authorization/consent-page.js'
export { tokenVerifier } from './endpoints/resource/verifier.js'
export type { TokenVerifier, TokenVerifierOptions } from './endpoints/resource/verifier.js'
export { issueAuthorizationCode } from './endpoints/authorization/code.js'
export type { AuthorizationCodeRequest } from './endpoints/authorization/code.js'
export { issueTokens } from './management/issue-tokens.js'
export type { TokenResponse, TokensRequest } from './management/issue-tokens.js'
export { listAuthorizations, revokeAuthorizations } from './management/authorizations.js'
export type { AuthorizationFilter, AuthorizationSummary, RevocationFilter } from './management/authorizations.js'
export { deleteClient, findClient, registerClient, rotateClientSecret, saveClient } from './management/clients.js'
export type { FoundClient, RegisteredClient, RotatedSecret, SaveClientOptions, SecretRotation } from './management/clients.js'
export { listClients } from './management/client-list.js'
export type { ClientListOptions, ListedClient } from './management/client-list.js'
export { hashClientSecret } from './clients/secrets.js'
export { bearerHeader } from './tokens/bearer.js'
export { macHeader } from './tokens/mac.js'
export type { MacAlgorithm, MacRequest } from './tokens/mac.js'

// Grants
export { authorizationCode } from './grants/authorization-code.js'
export type { AuthorizationCodeOptions } from './grants/authorization-code.js'
export { clientCredentials } from './grants/client-credentials.js'
export type { ClientCredentialsOptions } from './grants/client-credentials.js'
export { refreshToken } from './grants/refresh-token.js'
export { password } from './grants/password.js'
export type { PasswordOptions } from './grants/password.js'
export { backendApplication, legacyApplication, webApplication } from './configuration/presets.js'
export type { RefreshTokenOptions } from './grants/refresh-token.js'
export type { Continuation, Grant, GrantDecision, GrantRequest, NewAuthorization, Refusal, Repetition } from './grants/grant.js'

// Client authentication
export { clientSecretBasic, clientSecretPost } from './client-authentication/client-secret.js'
export { none } from './client-authentication/none.js'
export type {
  ClientAuthenticationMethod,
  ClientAuthenticationRequest,
  ClientAuthenticationServer,
  PresentedCredentials,
} from './client-authentication/method.js'
export type { LookUpRequest } from './clients/cache.js'
export type { Client, ClientMetadata, ClientSource, FindClient, StoredClient } from './clients/client.js'
export type { PublicKeySet } from './clients/public-keys.js'
export type { JsonWebKey } from './jose/jwk.js'
export type { ClientSecret } from './clients/secrets.js'

// Access tokens
export { encrypted } from './tokens/encrypted.js'
export type { EncryptedFormat, EncryptedOptions } from './tokens/encrypted.js'
export type { EncryptionAlgorithm, EncryptionKeyInput, EncryptionKeyOptions } from './jose/encryption-keys.js'
export { jwt } from './tokens/jwt.js'
export type { JwtFormat, JwtOptions } from './tokens/jwt.js'
export type { ClaimsOptions } from './tokens/claims.js'
export type { KeyInput, SigningAlgorithm, SigningKeyOptions } from './jose/signing-keys.js'
export { opaque } from './tokens/opaque.js'
export type { OpaqueOptions } from './tokens/opaque.js'
export type { AccessTokenFormat, AccessTokenReading, FormatServer, TokenClaims } from './tokens/access-token.js'

// Storage
export { memoryStore } from './stores/memory.js'
export type { MemoryStore, MemoryStoreOptions } from './stores/memory.js'
export type { ListFilter, RecordKind, ScannedKind, ScanPage, Store, StoredRecord } from './stores/store.js'
export type { Authorization } from './authorization/authorization.js'
export type { Json, JsonObject } from './json.js'

// Options, events, errors
export type { ClientIdMetadataOptions } from './clients/id-metadata.js'
export type { FetchedDocument } from './http/guarded-fetch.js'
export type { CorsOptions } from './http/cors.js'
export type { FailureCounter } from './limits/failed-authentication.js'
export type { DecidedRequest, EndpointPlaces, ServerOptions } from './configuration/options.js'
export type { EventListener, EventType, ServerEvent } from './events/events.js'
export type { StoreCall, StoreVerb } from './events/store-calls.js'
export {
  AccessDenied,
  ClientConflict,
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
export type { ErrorCode, OAuthErrorDetails, RefusalFacts } from './errors.js'
export type { Scope } from './authorization/scope.js'

/**
 * What an application configures. The same object may be handed to every handler: it is then one server.
 * How it is checked and what becomes of it is in `configure.ts`.
 */
import type { JsonObject } from '../json.js'
import type { ClientAuthenticationMethod } from '../client-authentication/method.js'
import type { ClientIdMetadataOptions } from '../clients/id-metadata.js'
import type { Client, ClientMetadata, FindClient } from '../clients/client.js'
import type { CorsOptions } from '../http/cors.js'
import type { EventListener } from '../events/events.js'
import type { FailureCounter } from '../limits/failed-authentication.js'
import type { Grant } from '../grants/grant.js'
import type { Context, Parameters } from '../http/message.js'
import type { Scope } from '../authorization/scope.js'
import type { Store } from '../stores/store.js'
import type { AccessTokenFormat, TokenClaims } from '../tokens/access-token.js'
import type { AccessTokenGenerator } from '../tokens/custom.js'
import type { RefreshTokenGenerator } from '../tokens/issue.js'

/** The request that a rule of the application is asked about. */
export interface DecidedRequest {
  readonly grant_type: string
  readonly client: Client
  /** Undefined where the client speaks for itself. */
  readonly subject: string | undefined
  /** What is about to be granted. */
  readonly scope: Scope
  readonly context: Context
  /** The parameters of the body, without the credentials among them. */
  readonly parameters: Parameters
}

/** Places of endpoints, as paths or URLs. */
export interface EndpointPlaces {
  readonly authorization?: string
  readonly token?: string
  readonly revocation?: string
  readonly introspection?: string
  readonly jwks?: string
  readonly pushedAuthorization?: string
  readonly registration?: string
}

/**
 * The options of a server. All are optional; durations are whole seconds unless another unit is named. They are read once, with the first handler or call
 * that gets the object: a change to the object afterwards has no effect, and nothing says so. For values that change, hand over functions, or a store.
 */
export interface ServerOptions {
  /**
   * The registered clients, or a function that finds one by its id. The function gets 1 to 255 visible ASCII characters or spaces, and the `context` of
   * the request; what it throws is answered 500. Default: the clients that `saveClient` and `registerClient` put into the `store`. What is said here of
   * a client goes before what the client says of itself: `disabled: true` also stops a client that is a metadata document.
   */
  readonly clients?: readonly ClientMetadata[] | FindClient
  /** Whether a client may be the URL of a document about itself, that nobody has registered (draft-ietf-oauth-client-id-metadata-document). Default false. */
  readonly clientIdMetadataDocuments?: boolean | ClientIdMetadataOptions
  /**
   * The private-use schemes without a dot that the redirection URIs of strangers may have: of clients that register themselves, and of metadata documents.
   * A scheme with a dot, as in `com.example.app:/callback`, needs no mention (RFC 8252 §7.1). Clients of the application may have any. Default: `cursor`,
   * `vscode`, `vscode-insiders`, `windsurf`, `jetbrains`.
   */
  readonly privateUseSchemes?: readonly string[]
  /**
   * Seconds for which a client that was looked up, in the store or by a function, is not looked up again in this process. For as long a client that
   * was deleted or disabled, and a secret that was withdrawn, is still accepted by other processes. Must be 0 with a `clients` function that takes the
   * context. At most 300. Default 0: none.
   */
  readonly clientCacheLifetime?: number
  /**
   * An instant, in whole seconds since the epoch: every Authorization that was made before it has ended, with all its tokens; and so have pushed requests, and
   * clients that registered themselves and were not used. For a leak, and for the time after a backup was restored, which brings back what had been revoked or
   * used since. What it cannot know after a restore: clients that were deleted since the backup, which get tokens again, and one-time values that were used
   * since (`claimOnce`), which are good again until they expire: delete those clients again, and let tickets of your own say when they were made. Default: none.
   */
  readonly notBefore?: number
  /** The scope tokens that may be granted. Default: none, so that a request with a scope is refused. */
  readonly scopes?: readonly string[]
  /**
   * The most scope of a client that nobody has looked at: one that registered itself, or that is a metadata document. It gets what it asks for within
   * these, when the person agrees. Default: all of `scopes`.
   */
  readonly strangerScopes?: readonly string[]
  /**
   * Scope tokens that are dropped from requests, as if they had not been sent, for clients that always ask for them: `['openid', 'profile']`. Any other
   * unknown scope is refused. `offline_access` needs no entry: it is allowed wherever a client may refresh, and otherwise dropped. Default: none.
   */
  readonly ignoredScopes?: readonly string[]
  /** What a scope token includes without saying so, as in `{ 'mcp:write': ['mcp:read'] }`; looked at by `requireAccessToken`. Default: nothing. */
  readonly implies?: Readonly<Record<string, readonly string[]>>
  /** The resources that tokens may be meant for (RFC 8707), as absolute URIs. Default: none, and the parameter `resource` is ignored. */
  readonly resources?: readonly string[]
  /** May narrow the scope that is about to be granted: to less, but not to nothing. More than it was given is answered 500. */
  readonly checkScope?: (request: DecidedRequest) => Scope | undefined | Promise<Scope | undefined>
  /** What clients may present. Default: `authorizationCode()`, `refreshToken()`, `clientCredentials()`. */
  readonly grants?: readonly Grant[]
  /** The grant for a request without `grant_type`. Default: none, which is an `invalid_request`. */
  readonly defaultGrantType?: string
  /** False: no refresh tokens at all. A function decides for each request. Default true. */
  readonly refreshable?: boolean | ((request: DecidedRequest) => boolean | Promise<boolean>)
  /** How access tokens are used: `'bearer'` (RFC 6750), or `'mac'` with a key for each token. Either is accepted at resources. Default: `'bearer'`. */
  readonly authenticationMethod?: 'bearer' | 'mac'
  /** How access tokens are written: `opaque()`, `jwt(…)`, `encrypted(…)`, a format of yours, or a function that writes the text. Default: `opaque()`. */
  readonly accessTokens?: AccessTokenFormat | AccessTokenGenerator
  /** Writes the texts of refresh tokens: letters, digits and `-._~+/`, hard to guess, never the same twice. Default: random text. */
  readonly refreshTokens?: RefreshTokenGenerator
  /** Members to add to the token response. One that the protocol has is answered 500, and nothing is issued. */
  readonly responseParameters?: (token: TokenClaims) => JsonObject | Promise<JsonObject>
  /** How clients prove who they are. Default: `clientSecretBasic()`, `clientSecretPost()`, `none()`. */
  readonly clientAuthenticationMethods?: readonly ClientAuthenticationMethod[]
  /** Where it is remembered. Default: `memoryStore()`, which ends with the process and warns in production. */
  readonly store?: Store
  /** Milliseconds that one call of the store, or of the clients function, may take before the answer is 503. Default 2000. */
  readonly storeTimeout?: number
  /**
   * How many calls of the store may be under way at once in this process. A call above that waits for three quarters of `storeTimeout` at the most, and is
   * then answered 503 without having been sent. Default: what the store says, as the size of the pool, else 64.
   */
  readonly storeConcurrency?: number
  /** Milliseconds that grants, hooks and generators of the application may take for one request before the answer is 503. Default 10,000. */
  readonly callbackTimeout?: number
  /** The URL of this server, without query or fragment (RFC 8414 §2). Records of another issuer are unknown to it. Default: none. */
  readonly issuer?: string
  /** Lifetime of access tokens, or a function of the request. A client's or a grant's own goes before a number. Default 3600. */
  readonly accessTokenLifetime?: number | ((request: DecidedRequest) => number)
  /** Lifetime of authorization codes, at most 600. Default 60. */
  readonly codeLifetime?: number
  /** How long an Authorization may be refreshed in all. Default 7,776,000 (90 days). */
  readonly refreshTokenLifetime?: number
  /** How long a refresh token may lie unused. Default 1,209,600 (14 days). */
  readonly refreshTokenIdleLifetime?: number
  /**
   * How long a client that lost the answer to a refresh may ask for it again. 0 is strict: any second use ends the Authorization, even the
   * innocent retry. Otherwise a thief who always refreshes within the window, before the client does, is not noticed. `clockTolerance` is added, because
   * another machine may answer the retry: with the defaults it is 35 seconds. At most 600. Default 30.
   */
  readonly refreshRetryWindow?: number
  /** Whether confidential clients get a new refresh token at each refresh; public clients always do (RFC 9700 §4.14.2). Default true. */
  readonly rotateRefreshTokens?: boolean
  /** How many live opaque access tokens one Authorization may have; one more drops the oldest. Default 100. */
  readonly maxAccessTokens?: number
  /** A rule of your own before the grant is judged. Throws an exported error to refuse; `false` is answered 500, and nothing is issued. */
  readonly beforeGrant?: (request: Omit<DecidedRequest, 'subject' | 'scope'>) => void | Promise<void>
  /** A rule of your own before tokens are issued. Returns a narrower scope, or undefined; throws an exported error to refuse. */
  readonly authorize?: (request: DecidedRequest) => Scope | undefined | Promise<Scope | undefined>
  /** Trusted facts about a request, for hooks, grants and formats. Gets the request object of the framework. */
  // The request is whatever the framework has: its type is the application's to name.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly context?: (request: any) => Context | Promise<Context>
  /** False answers every token request 503 `temporarily_unavailable`: for maintenance. */
  readonly available?: () => boolean | Promise<boolean>
  /**
   * How many wrong secrets a minute one client, or one user name, may have from one address before the answer is 429. A success forgives them. Over all
   * names together, one address may have ten times as many. Or a counter of your own, for several processes, which counts for each name from each address;
   * or false for no limit. Default 20.
   */
  readonly failedAuthenticationLimit?: number | FailureCounter | false
  /** Which web pages may call the endpoints from a browser. Default: none. */
  readonly cors?: CorsOptions
  /** Whether every client has to push its authorization requests (RFC 9126). A client can be registered so by itself. Default false. */
  readonly requirePushedAuthorizationRequests?: boolean
  /**
   * Where the endpoints are, for the metadata: paths that continue the issuer, or URLs. Default: `/oauth2/token` and the like. With an authorization page of
   * your own, name its place as `authorization`: the metadata promise that it answers with `iss`, as `authorizationResponse` does. A server without codes
   * can name one too, for clients that insist on it.
   */
  readonly endpoints?: EndpointPlaces
  /** Accepts plain http: for work on your own machine. Refused when NODE_ENV is `production`. Default false. */
  readonly allowInsecureTransport?: boolean
  /**
   * Whether `X-Forwarded-Proto` and `X-Forwarded-For` of the peer with that address are believed. For Connect and node:http; Express has its own
   * `trust proxy`, which counts where this option is not set. Default: nobody's.
   */
  readonly trustProxy?: (address: string) => boolean
  /** The largest body in bytes. Default 16,384. */
  readonly maxBodySize?: number
  /** A page about errors, sent as `error_uri`. Default: none. */
  readonly errorUri?: string
  /** The realm in challenges of protected resources. Default `oauth2`. */
  readonly realm?: string
  /** Told what happens. What it throws is swallowed. */
  readonly onEvent?: EventListener
  /** Now, in whole seconds since the epoch. Default: the system's clock. */
  readonly clock?: () => number
  /** Seconds by which the clocks of several machines may differ. Default 5. */
  readonly clockTolerance?: number
}

/**
 * The seam of grants: what a client may present at the token endpoint, one value of this shape for each `grant_type`.
 *
 * A grant says what was authorised. It mints nothing, writes nothing and answers nobody; it may be asked twice in one request.
 * What every grant needs (authentication, scope, lifetimes, tokens, the write) is done outside it.
 */
import type { Authorization, RefreshTokenStep } from '../authorization/authorization.js'
import type { JsonObject } from '../json.js'
import type { Client } from '../clients/client.js'
import type { RefreshTokenText } from '../authorization/credentials.js'
import type { OAuthError } from '../errors.js'
import type { EventType } from '../events/events.js'
import type { Context, Parameters, ReceivedRequest } from '../http/message.js'
import type { Scope } from '../authorization/scope.js'
import type { SealedAnswer } from '../authorization/sealed-answer.js'

/** A `grant_type`, and how a request for it is judged. */
export interface Grant {
  /** The value of `grant_type`: a registered name, or an absolute URI of your own (RFC 6749 §4.5). */
  readonly type: string
  /** The parameter with a credential of an Authorization, which is then read and handed to `authorize`. */
  readonly presents?: string
  /** Whether clients that prove nothing may use it. Default false. */
  readonly publicClients?: boolean
  /**
   * True: the grant has no parameter `scope`, as RFC 6749 §4.1.3. One that lies within what was granted narrows it, any other is ignored with an event.
   * Default false: any other is refused.
   */
  readonly ignoresForeignScope?: boolean
  /** The parameter with the name under which failures are counted against guessing, such as `username`. Default: none. */
  readonly limitedBy?: string
  /** Said once when a server with this grant starts. */
  readonly warning?: string
  /** Lifetime of its access tokens in seconds. Default: the server's. */
  readonly accessTokenLifetime?: number
  /**
   * Judges a request. May be asked several times for one request, so it has no side effects but `claimOnce`.
   *
   * @throws OAuthError to refuse: `InvalidGrant`, `InvalidRequest`, … Anything else thrown is answered `server_error`.
   */
  authorize(request: GrantRequest): GrantDecision | Promise<GrantDecision>
}

/** A request of an authenticated client, as a grant sees it. */
export interface GrantRequest {
  readonly client: Client
  /** Everything in the body, untrusted. */
  readonly parameters: Parameters
  /** The request as it came in, untrusted, for a proof that covers all of it. */
  readonly received: ReceivedRequest
  /** What the application knows about the request, trusted. */
  readonly context: Context
  /** Now, in seconds since the epoch. */
  readonly now: number
  /** The refresh token that was presented, taken apart. */
  readonly refreshToken: RefreshTokenText | undefined
  /** The Authorization that the credential in `presents` names: live, and of this client. Any other is undefined here. */
  readonly authorization: Authorization | undefined
  /** Whether this client gets a new refresh token at each refresh. */
  readonly rotatesRefreshTokens: boolean
  /**
   * The scope to grant: what was asked for, within what server and client allow now, and within `granted` where given.
   *
   * @throws InvalidScope when it would be more, or when nothing is left of `granted`; OAuthError `invalid_target` for a resource that may not be asked for.
   */
  readonly grantableScope: (granted?: Scope) => Scope
  /**
   * Remembers a one-time value of your own until `expiresAt` (seconds since the epoch). True for exactly one request with that value, in
   * any process; true again when the same request is judged again.
   */
  readonly claimOnce: (namespace: string, value: string, expiresAt: number) => Promise<boolean>
}

/** What a grant decides. */
export type GrantDecision = NewAuthorization | Continuation | Repetition | Refusal

/** Something new was authorised. This is all that a grant of your own needs. */
export interface NewAuthorization {
  readonly kind?: 'new'
  /** Whom the tokens speak for. Leave it out where the client speaks for itself. */
  readonly subject?: string
  /** The scope. Default: what `grantableScope()` says. More than server and client allow is refused. */
  readonly scope?: string | Scope
  /** False: no refresh token, whatever client and server allow. Default true. */
  readonly refreshable?: boolean
  /** Kept with the Authorization, for hooks and formats. */
  readonly extra?: JsonObject
}

/** An existing Authorization goes on: its code was redeemed, its refresh token used. */
export interface Continuation {
  readonly kind: 'continue'
  /** The next state, before tokens are added to it. */
  readonly authorization: Authorization
  /** The scope of the access token. */
  readonly scope: Scope
  readonly refreshToken: RefreshTokenStep
}

/** The answer of an earlier request is given again, and nothing is written. Where its access token has ended since, the same successor with another one. */
export interface Repetition {
  readonly kind: 'repeat'
  readonly authorization: Authorization
  readonly answer: SealedAnswer
}

/** A refusal that changes the Authorization: a code is burnt, a replay ends everything. Answered once it is written. */
export interface Refusal {
  readonly kind: 'refuse'
  readonly authorization: Authorization
  readonly error: OAuthError
  readonly event: EventType
  /** For the event: seconds since the credential was used first. */
  readonly age?: number
}

/** The registered names of grant types: RFC 6749, RFC 8628, RFC 7523, RFC 7522, RFC 8693, CIBA. */
export const registeredGrantTypes: ReadonlySet<string> = new Set([
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'password',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:jwt-bearer',
  'urn:ietf:params:oauth:grant-type:saml2-bearer',
  'urn:ietf:params:oauth:grant-type:token-exchange',
  'urn:openid:params:grant-type:ciba',
])

/**
 * The two seams of access tokens: how one is written (`AccessTokenFormat`) and how one is used (`TokenType`).
 */
import type { JsonObject } from '../json.js'
import type { Awaitable } from '../awaitable.js'
import type { Client } from '../clients/client.js'
import type { Context, ProtocolRequest } from '../http/message.js'
import type { Scope } from '../authorization/scope.js'

/** A token that is about to be written. Instants are whole seconds since the epoch. */
export interface TokenClaims {
  readonly kind: 'access_token' | 'refresh_token'
  readonly client: Client
  /** Whom it speaks for; undefined where the client speaks for itself. */
  readonly subject: string | undefined
  readonly scope: Scope
  readonly resource: readonly string[]
  readonly grant_type: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly issuer: string | undefined
  /** The Authorization it descends from; undefined where nothing is stored. */
  readonly authorization_id: string | undefined
  /** What the application bound to the Authorization. */
  readonly extra: JsonObject | undefined
  readonly context: Context
}

/**
 * What a text turned out to be:
 *
 * - `reference`: it names an Authorization, which has to be asked whether the token is one of its own;
 * - `self-contained`: it was verified and says everything itself. Its expiry is still to be judged;
 * - `sealed`: it is encrypted to somebody else, and can neither be accepted nor revoked here.
 */
export type AccessTokenReading =
  { readonly kind: 'reference'; readonly authorization_id: string } | { readonly kind: 'sealed' } | SelfContainedReading

/** A verified token that says everything itself. */
export interface SelfContainedReading {
  readonly kind: 'self-contained'
  readonly client_id: string
  readonly subject: string | undefined
  readonly scope: Scope
  /** Whom it is meant for: the `aud` of RFC 9068. */
  readonly audience: readonly string[]
  readonly issuedAt: number
  readonly expiresAt: number
  /** Names this one token, so that it can be revoked. */
  readonly jti: string
  readonly authorization_id: string | undefined
  /** All of its claims. */
  readonly claims: JsonObject
}

/** What a format may know of the server it works in. */
export interface FormatServer {
  readonly issuer: string | undefined
}

/** How access tokens are written: both directions in one place, so that what is issued can be read. */
export interface AccessTokenFormat {
  readonly name: string
  /** Whether the token has to be remembered (`reference`) or carries everything itself. */
  readonly kind: 'reference' | 'self-contained'
  /** The text of a new token. A format of kind `reference` is given an `authorization_id`. May be called again for the same request. */
  issue(token: TokenClaims): Awaitable<string>
  /**
   * What a presented text is; undefined when it was not written by this format. Verifies before it says anything. A format without `read` is of kind
   * `reference`, and its tokens are found by their hash.
   */
  readonly read?: (text: string, server: FormatServer) => Awaitable<AccessTokenReading | undefined>
  /**
   * Looks at the server before the start.
   *
   * @throws ConfigurationError when the format cannot work there.
   */
  readonly assertFits?: (server: FormatServer) => void
  /** The public keys to publish (RFC 7517 §5), where it has some. */
  readonly jwks?: () => { readonly keys: readonly Readonly<Record<string, string>>[] }
  /** Whom its tokens are meant for unless something else is asked of them. Default: the issuer. */
  readonly audience?: string | readonly string[]
}

/** What a type adds to a token that is being issued. */
export interface TokenBinding {
  /** Members of the response, such as a key. */
  readonly members: JsonObject
  /** What the record keeps, sealed under the text of the token. */
  readonly sealed: string
}

/** A token as a request presents it, and as it is remembered. */
export interface PresentedToken {
  readonly text: string
  readonly binding: string | undefined
  readonly authorization_id: string | undefined
  readonly issuedAt: number
}

/** What judging a request to a protected resource needs. */
export interface ResourceSettings {
  readonly now: number
  /** Scheme, host and port of the resource, from trusted configuration. */
  readonly origin: URL | undefined
  /** Remembers a nonce; true for exactly one request with it. */
  readonly claimOnce: (namespace: string, value: string, expiresAt: number) => Promise<boolean>
}

/** How access tokens are used. */
export interface TokenType {
  /** The word for it in the option `authenticationMethod`, and the scheme of its Authorization header in lower case. */
  readonly authenticationMethod: string
  /** The `token_type` member of the response (RFC 6749 §7.1). */
  readonly token_type: string
  /** What is added to a new token; absent where nothing is. */
  readonly bind?: (access_token: string, authorization_id: string) => TokenBinding
  /** The token that a request presents in this way; undefined when it uses another, empty when it is malformed. */
  presented(request: ProtocolRequest): string | undefined
  /** Why the request may not use the token, in words for an event; undefined when it may. */
  verify(request: ProtocolRequest, token: PresentedToken, settings: ResourceSettings): Awaitable<string | undefined>
}

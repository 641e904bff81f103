/**
 * The two seams of access tokens: how one is written (`AccessTokenFormat`) and how one is used (`TokenType`).
 */
import type { JsonObject } from '../authorization.js'
import type { Client } from '../clients.js'
import type { Context, HeaderFields } from '../protocol.js'
import type { Scope } from '../scope.js'

/** An access token that is about to be written. Instants are whole seconds since the epoch. */
export interface AccessTokenClaims {
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
 * - `self-contained`: it was verified and says everything itself.
 */
export type AccessTokenReading =
  | { readonly kind: 'reference'; readonly authorization_id: string }
  | {
      readonly kind: 'self-contained'
      readonly client_id: string
      readonly subject: string | undefined
      readonly scope: Scope
      readonly resource: readonly string[]
      readonly issuedAt: number
      readonly expiresAt: number
      readonly authorization_id: string | undefined
    }

/** How access tokens are written: both directions in one place, so that what is issued can be read. */
export interface AccessTokenFormat {
  readonly name: string
  /** Whether the token has to be remembered (`reference`) or carries everything itself. */
  readonly kind: 'reference' | 'self-contained'
  /** The text of a new token. A format of kind `reference` is given an `authorization_id`. May be called again for the same request. */
  issue(token: AccessTokenClaims): string | Promise<string>
  /** What a presented text is; undefined when it was not written by this format. Verifies before it says anything. */
  read(text: string): AccessTokenReading | undefined | Promise<AccessTokenReading | undefined>
}

/** Credentials in a request to a protected resource, or the statement that they cannot be used. */
export interface ResourceRequest {
  readonly method: string
  readonly url: string
  readonly headers: HeaderFields
}

/** How access tokens are used. */
export interface TokenType {
  /** The word for it in the option `authenticationMethod`. */
  readonly authenticationMethod: string
  /** The `token_type` member of the response (RFC 6749 §7.1). */
  readonly token_type: string
  /** The token that a request to a protected resource presents in this way, empty where it is malformed; undefined when it uses another. */
  presented(request: ResourceRequest): string | undefined
}

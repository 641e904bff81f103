/**
 * Every error of the package, each with a stable code.
 *
 * An `OAuthError` is the client's mistake or the server's plight, and becomes the JSON of RFC 6749 §5.2. What goes on the
 * wire is `error` and the dull `description`; `reason` and `cause` go to the events and never leave the server.
 * `ConfigurationError`, `ClientConflict` and `UnvalidatedRequest` are mistakes of the application and never reach a client.
 */
import { throwerOf } from './known-causes.js'

/** The registered error codes this server answers with. */
export type ErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'invalid_scope'
  | 'invalid_target'
  | 'access_denied'
  | 'unsupported_response_type'
  | 'request_not_supported'
  | 'request_uri_not_supported'
  | 'invalid_request_uri'
  | 'invalid_redirect_uri'
  | 'invalid_client_metadata'
  | 'login_required'
  | 'consent_required'
  | 'interaction_required'
  | 'unsupported_token_type'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'temporarily_unavailable'
  | 'server_error'

/** Members of an event about a refusal: what was asked for, within bounds, and what is registered. */
export interface RefusalFacts {
  /** The client, where it is registered. */
  readonly client_id?: string
  /** One that the server has, or that is registered. */
  readonly grant_type?: string
  readonly scope?: string
  readonly allowed?: string
  readonly redirect_uri?: string
  readonly registered?: string
  readonly document?: string
}

/** What an error may carry beside its description. */
export interface OAuthErrorDetails {
  /** HTTP status, where it differs from the one of the code: a whole number from 400 to 599. Any other is ignored. */
  readonly status?: number
  /** The precise reason, in words without credentials. For events; never sent. */
  readonly reason?: string
  /** What was thrown below. For events; never sent. */
  readonly cause?: unknown
  /** What the event says beside the reason. Never sent. */
  readonly facts?: RefusalFacts
  /** Seconds for `Retry-After`; rounded up. One that is no number of seconds is ignored. */
  readonly retryAfter?: number
  /** Value of `WWW-Authenticate`. One with characters that no header field has is ignored. */
  readonly challenge?: string
  /** Value of `Allow`; the same holds for it. */
  readonly allow?: string
}

const statusOf: Readonly<Record<ErrorCode, number>> = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  invalid_scope: 400,
  invalid_target: 400,
  access_denied: 403,
  unsupported_response_type: 400,
  request_not_supported: 400,
  request_uri_not_supported: 400,
  invalid_request_uri: 400,
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
  login_required: 400,
  consent_required: 400,
  interaction_required: 400,
  unsupported_token_type: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  temporarily_unavailable: 503,
  server_error: 500,
}

// RFC 6749 §5.2: error_description = *( %x20-21 / %x23-5B / %x5D-7E )
const outsideDescription = /[^\x20-\x21\x23-\x5b\x5d-\x7e]/g

// An error that cannot be sent would leave the request without an answer, and end the process: nobody is there to catch it.
function sendableStatus(status: number | undefined, error: string): number {
  const usual = (statusOf as Readonly<Partial<Record<string, number>>>)[error] ?? 400
  return status !== undefined && Number.isInteger(status) && status >= 400 && status <= 599 ? status : usual
}

function sendableSeconds(seconds: number | undefined): number | undefined {
  return seconds !== undefined && Number.isFinite(seconds) && seconds >= 0 ? Math.ceil(seconds) : undefined
}

// RFC 9110 §5.5: field-vchar = VCHAR / obs-text; between them SP and HTAB
function sendableField(value: string | undefined): string | undefined {
  return value !== undefined && /^[\t\x20-\x7e\x80-\xff]*$/.test(value) ? value : undefined
}

/**
 * An error that is answered to the client as JSON. Throw one of its subclasses from a grant, a hook or a look-up.
 *
 * @see RFC 6749 §5.2
 */
export class OAuthError extends Error {
  override readonly name: string = 'OAuthError'
  /** The registered code, the `error` member of the response. */
  readonly error: ErrorCode
  /** The `error_description` of the response: fixed text, reduced to the characters that §5.2 allows. */
  readonly description: string
  /** HTTP status of the response. */
  readonly status: number
  readonly reason: string | undefined
  readonly facts: RefusalFacts | undefined
  readonly retryAfter: number | undefined
  readonly challenge: string | undefined
  readonly allow: string | undefined

  constructor(error: ErrorCode, description: string, details: OAuthErrorDetails = {}) {
    super(description, details.cause === undefined ? undefined : { cause: details.cause })
    this.error = error
    this.description = description.replace(outsideDescription, '?')
    this.status = sendableStatus(details.status, error)
    this.reason = details.reason
    this.facts = details.facts
    this.retryAfter = sendableSeconds(details.retryAfter)
    this.challenge = sendableField(details.challenge)
    this.allow = sendableField(details.allow)
  }
}

/** The request is missing a parameter, repeats one, uses two ways to authenticate, or is otherwise malformed. */
export class InvalidRequest extends OAuthError {
  override readonly name = 'InvalidRequest'
  constructor(description = 'the request is malformed', details?: OAuthErrorDetails) {
    super('invalid_request', description, details)
  }
}

/** Client authentication failed. Answered 401 with a challenge. */
export class InvalidClient extends OAuthError {
  override readonly name = 'InvalidClient'
  constructor(description = 'client authentication failed', details?: OAuthErrorDetails) {
    super('invalid_client', description, { challenge: 'Basic realm="oauth2", charset="UTF-8"', ...details })
  }
}

/** The grant or refresh token is unknown, expired, revoked, used, or somebody else's. */
export class InvalidGrant extends OAuthError {
  override readonly name = 'InvalidGrant'
  constructor(description = 'the grant is invalid, expired, revoked, or was issued to another client', details?: OAuthErrorDetails) {
    super('invalid_grant', description, details)
  }
}

/** The client is not registered for this grant type. */
export class UnauthorizedClient extends OAuthError {
  override readonly name = 'UnauthorizedClient'
  constructor(description = 'the client is not authorized to use this grant type', details?: OAuthErrorDetails) {
    super('unauthorized_client', description, details)
  }
}

/** The server does not serve this grant type. */
export class UnsupportedGrantType extends OAuthError {
  override readonly name = 'UnsupportedGrantType'
  constructor(description = 'the grant type is not supported', details?: OAuthErrorDetails) {
    super('unsupported_grant_type', description, details)
  }
}

/** The scope is malformed, unknown, or more than may be granted. */
export class InvalidScope extends OAuthError {
  override readonly name = 'InvalidScope'
  constructor(
    description = 'the requested scope is invalid, unknown, malformed, or exceeds what may be granted',
    details?: OAuthErrorDetails,
  ) {
    super('invalid_scope', description, details)
  }
}

/** The resource owner, or the application for them, said no (RFC 6749 §4.1.2.1). */
export class AccessDenied extends OAuthError {
  override readonly name = 'AccessDenied'
  constructor(description = 'the request was denied', details?: OAuthErrorDetails) {
    super('access_denied', description, details)
  }
}

/** The server cannot answer now: a store that failed, or an application that said so. Answered 503 with `Retry-After`. */
export class TemporarilyUnavailable extends OAuthError {
  override readonly name = 'TemporarilyUnavailable'
  constructor(description = 'the server is temporarily unable to answer', details?: OAuthErrorDetails) {
    super('temporarily_unavailable', description, { retryAfter: 1, ...details })
  }
}

/** Something failed that is not the client's doing: a hook, a signer, or this package. */
export class ServerError extends OAuthError {
  override readonly name = 'ServerError'
  constructor(description = 'the server met an unexpected condition', details?: OAuthErrorDetails) {
    super('server_error', description, details)
  }
}

/** The options are wrong. Thrown when a handler is made, with the name of the option and the remedy. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  /** What is demanded, without the value that breaks it: for an event at run time, where the value may be a stranger's. */
  readonly rule: string | undefined

  constructor(message: string, rule?: string) {
    super(message)
    this.rule = rule
  }
}

/** `saveClient` was to replace a version of a client that is not the stored one any more: somebody has changed or deleted it meanwhile. */
export class ClientConflict extends Error {
  override readonly name = 'ClientConflict'
  readonly client_id: string

  constructor(client_id: string) {
    super('the client was changed or deleted since it was read; find it again, and decide again')
    this.client_id = client_id
  }
}

/** `grantResponse` was given something that `validateTokenRequest` did not return, or the same thing twice. */
export class UnvalidatedRequest extends Error {
  override readonly name = 'UnvalidatedRequest'
  constructor() {
    super('grantResponse takes what validateTokenRequest returned, once')
  }
}

/** Any thrown value as the OAuthError it is answered with. */
export function toOAuthError(thrown: unknown): OAuthError {
  if (thrown instanceof OAuthError) return thrown
  const reason = throwerOf(thrown)
  return new ServerError(undefined, reason === undefined ? { cause: thrown } : { cause: thrown, reason })
}

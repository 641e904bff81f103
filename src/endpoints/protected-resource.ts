/**
 * The guard of a protected resource (RFC 6750): finds the token in a request, reads it, and checks its scope.
 *
 * 1. Where is the token? In the Authorization header; in a form body only when that was allowed; in the query never.
 * 2. Is it active, and does it carry the scope?
 * 3. If not: 401 or 403 with a challenge that says as much as RFC 6750 §3 allows.
 */
import type { Configuration } from '../configuration.js'
import { InvalidRequest, OAuthError } from '../errors.js'
import { headerValues, jsonResponse, renderError, type ProtocolRequest, type ProtocolResponse } from '../protocol.js'
import { formatScope, isWithinScope, type Scope } from '../scope.js'
import { readAccessToken, type ActiveAccessToken } from '../tokens/read.js'
import { reportRefusal } from './refusal.js'

/** What a guard demands. */
export interface AccessTokenDemand {
  /** All of these, or 403. */
  readonly scope: Scope
  /** Whether `access_token` in a form body counts (RFC 6750 §2.2). */
  readonly allowBodyToken: boolean
}

/** What a request is allowed to do: `req.auth`. The first six members have the form that MCP servers read. */
export interface AuthInfo {
  readonly token: string
  readonly clientId: string
  readonly scopes: string[]
  /** Whole seconds since the epoch. */
  readonly expiresAt: number
  readonly resource?: URL
  readonly extra: Record<string, unknown>
  /** Whom the token speaks for. Absent where the client speaks for itself. */
  readonly subject?: string
  readonly issuedAt: number
}

/** What the guard found. */
export type AccessTokenCheck =
  | { readonly outcome: 'accepted'; readonly auth: AuthInfo }
  | { readonly outcome: 'absent'; readonly response: ProtocolResponse }
  | { readonly outcome: 'refused'; readonly response: ProtocolResponse }

/** Checks a request to a protected resource. Does not reject for anything a client sent. */
export async function checkAccessToken(
  configuration: Configuration,
  request: ProtocolRequest,
  demand: AccessTokenDemand,
): Promise<AccessTokenCheck> {
  try {
    const text = presentedToken(configuration, request, demand)
    // RFC 6750 §3.1: without credentials, a challenge without error
    if (text === undefined) return { outcome: 'absent', response: bareChallenge(configuration, demand) }
    const token = await readAccessToken(text, configuration)
    if (token === undefined) throw new OAuthError('invalid_token', 'the access token is invalid, expired, or was revoked')
    // RFC 6750 §3.1: insufficient_scope, with the scope that is needed
    if (!isWithinScope(demand.scope, token.scope))
      throw new OAuthError('insufficient_scope', 'the access token lacks a scope that is needed')
    return { outcome: 'accepted', auth: authInfo(text, token) }
  } catch (thrown) {
    return { outcome: 'refused', response: refusal(configuration, demand, reportRefusal(configuration, 'resource', thrown)) }
  }
}

function presentedToken({ tokenType }: Configuration, request: ProtocolRequest, { allowBodyToken }: AccessTokenDemand): string | undefined {
  // RFC 9110 §11.6.2: a request has one Authorization field
  if (headerValues(request.headers, 'authorization').length > 1) throw new InvalidRequest('the Authorization header must not be repeated')
  const inHeader = tokenType.presented(request)
  const inBody = bodyToken(request)
  const places = [inHeader !== undefined, inBody !== undefined, hasQueryToken(request.url)].filter(Boolean).length
  // RFC 6750 §2: clients must not use more than one method
  if (places > 1) throw new InvalidRequest('the access token must be sent in one place only')
  return inHeader ?? (allowBodyToken ? inBody : undefined)
}

// RFC 6750 §2.2: form-encoded, single-part, and not with GET
function bodyToken({ body, method, headers }: ProtocolRequest): string | undefined {
  const [contentType = ''] = headerValues(headers, 'content-type')
  if (method === 'GET' || !/^application\/x-www-form-urlencoded\b/i.test(contentType)) return undefined
  const parsed = typeof body === 'object' && body !== null ? (body as Readonly<Partial<Record<string, unknown>>>) : {}
  const { access_token } = parsed
  return typeof access_token === 'string' && access_token !== '' ? access_token : undefined
}

function hasQueryToken(url: string): boolean {
  return /[?&]access_token=/.test(url)
}

function authInfo(text: string, token: ActiveAccessToken): AuthInfo {
  const [resource] = token.resource
  return {
    token: text,
    clientId: token.client_id,
    scopes: [...token.scope],
    expiresAt: token.expiresAt,
    ...(resource === undefined ? {} : { resource: new URL(resource) }),
    extra: { ...token.extra },
    ...(token.subject === undefined ? {} : { subject: token.subject }),
    issuedAt: token.issuedAt,
  }
}

function bareChallenge({ realm }: Configuration, { scope }: AccessTokenDemand): ProtocolResponse {
  const { status, headers, body } = jsonResponse(401, {})
  const parameters = scope.length === 0 ? { realm } : { realm, scope: formatScope(scope) }
  return { status, body, headers: { ...headers, 'WWW-Authenticate': challenge(parameters) } }
}

function refusal({ realm, errorUri }: Configuration, { scope }: AccessTokenDemand, error: OAuthError): ProtocolResponse {
  const { status, headers, body } = renderError(error, errorUri)
  if (error.status >= 500) return { status, headers, body }
  const parameters = {
    realm,
    error: error.error,
    error_description: error.description,
    ...(scope.length === 0 ? {} : { scope: formatScope(scope) }),
  }
  return { status, body, headers: { ...headers, 'WWW-Authenticate': challenge(parameters) } }
}

function challenge(parameters: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}=${quoted(value)}`)
  return `Bearer ${pairs.join(', ')}`
}

// RFC 9110 §5.6.4: quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}

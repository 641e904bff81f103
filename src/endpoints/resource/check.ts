/**
 * The guard of a protected resource (RFC 6750): finds the token in a request, reads it, and checks its scope.
 *
 * 1. Where is the token? In the Authorization header; in a form body only when that was allowed; in the query never.
 * 2. Is it active, and does it carry the scope?
 * 3. If not: 401 or 403 with a challenge that says as much as RFC 6750 §3 allows.
 */
import { isPromise, whenThere, type Awaitable } from '../../awaitable.js'
import type { Configuration } from '../../configuration/configure.js'
import { InvalidRequest, OAuthError } from '../../errors.js'
import { startTime } from '../../events/events.js'
import { headerValues, jsonResponse, renderError, type ProtocolRequest, type ProtocolResponse } from '../../http/message.js'
import { formatScope, impliedScope, isWithinScope, type Scope } from '../../authorization/scope.js'
import type { ResourceSettings, TokenType } from '../../tokens/access-token.js'
import type { ActiveAccessToken } from '../../tokens/read.js'
import type { AccessTokenDemand } from './requirement.js'
import { reportRefusal, type RefusedRequest } from '../../events/refusals.js'
import { readTokenOfClient } from '../token-and-client.js'

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
export function checkAccessToken(
  configuration: Configuration,
  request: ProtocolRequest,
  demand: AccessTokenDemand,
  scope: Scope,
  addressOf: () => string | undefined = () => undefined,
): Awaitable<AccessTokenCheck> {
  const wanted = { scope, resourceMetadata: demand.resourceMetadata }
  const startedAt = startTime(configuration.emit)
  const refused = (thrown: unknown): AccessTokenCheck => {
    const error = reportRefusal(configuration, 'resource', thrown, { address: addressOf(), startedAt })
    return { outcome: 'refused', response: refusal(configuration, wanted, error) }
  }
  try {
    const presented = presentedToken(configuration, request, demand)
    if (presented === undefined) {
      if (!demand.isOptional) tellMisplaced(configuration, request, { address: addressOf(), startedAt })
      // RFC 6750 §3.1: without credentials, a challenge without error
      return { outcome: 'absent', response: bareChallenge(configuration, wanted) }
    }
    const checked = whenThere(usableToken(configuration, request, demand, presented), (token) => {
      assertHasScope(token, scope, configuration)
      return { outcome: 'accepted', auth: authInfo(presented.text, token) } as const
    })
    return isPromise<AccessTokenCheck>(checked) ? checked.catch(refused) : checked
  } catch (thrown) {
    return refused(thrown)
  }
}

/** The answer is the one for no token. The event says where the guard found something that it does not read. */
function tellMisplaced({ emit, tokenType }: Configuration, request: ProtocolRequest, { address, startedAt }: RefusedRequest): void {
  const reason = misplaced(request, schemeOf(tokenType))
  if (reason === undefined) return
  const known = address === undefined || address === '' ? {} : { address }
  emit({ type: 'request.refused', endpoint: 'resource', status: 401, reason, ...known, startedAt })
}

function misplaced(request: ProtocolRequest, scheme: string): string | undefined {
  if (headerValues(request.headers, 'authorization').length > 0) return `the Authorization header has another scheme than ${scheme}`
  if (hasQueryToken(request.url)) return 'access_token is in the query, where no guard reads it; it belongs in the Authorization header'
  if (bodyToken(request) === undefined) return undefined
  return 'access_token is in the body, which this guard does not read; set allowBodyToken: true where it should'
}

function assertHasScope(token: ActiveAccessToken, scope: Scope, { implies }: Configuration): void {
  // RFC 6750 §3.1: insufficient_scope, with the scope that is needed
  if (isWithinScope(scope, impliedScope(token.scope, implies))) return
  const facts = { client_id: token.client_id, scope: formatScope(scope), allowed: formatScope(token.scope) }
  throw new OAuthError('insufficient_scope', 'the access token lacks a scope that is needed', { facts })
}

/** The same for a token that somebody else has found in a request, and without a scope: for bearer tokens only. */
export async function verifiedAuthInfo(
  configuration: Configuration,
  demand: AccessTokenDemand,
  text: string,
): Promise<{ readonly auth: AuthInfo } | { readonly auth: undefined; readonly error: OAuthError }> {
  const type = configuration.tokenTypes.find(({ authenticationMethod }) => authenticationMethod === 'bearer')
  try {
    if (type === undefined) throw invalidToken('bearer tokens are not accepted')
    const token = await usableToken(configuration, { method: 'GET', url: '', headers: {} }, demand, { type, text })
    return { auth: authInfo(text, token) }
  } catch (thrown) {
    const error = reportRefusal(configuration, 'resource', thrown)
    if (error.error !== 'invalid_token') throw error
    return { auth: undefined, error }
  }
}

interface Presented {
  readonly type: TokenType
  readonly text: string
}

function presentedToken(
  { tokenTypes }: Configuration,
  request: ProtocolRequest,
  { allowBodyToken }: AccessTokenDemand,
): Presented | undefined {
  // RFC 9110 §11.6.2: a request has one Authorization field
  if (headerValues(request.headers, 'authorization').length > 1) throw new InvalidRequest('the Authorization header must not be repeated')
  const inHeader = headerToken(request, tokenTypes)
  const inBody = bodyToken(request)
  const places = Number(inHeader !== undefined) + Number(inBody !== undefined) + Number(hasQueryToken(request.url))
  // RFC 6750 §2: clients must not use more than one method
  if (places > 1) throw new InvalidRequest('the access token must be sent in one place only')
  if (inHeader !== undefined || inBody === undefined || !allowBodyToken) return inHeader
  const bearer = tokenTypes.find(({ authenticationMethod }) => authenticationMethod === 'bearer')
  return bearer === undefined ? undefined : { type: bearer, text: inBody }
}

function headerToken(request: ProtocolRequest, tokenTypes: readonly TokenType[]): Presented | undefined {
  for (const type of tokenTypes) {
    const text = type.presented(request)
    if (text !== undefined) return { type, text }
  }
  return undefined
}

/** @throws OAuthError invalid_token */
function usableToken(
  configuration: Configuration,
  request: ProtocolRequest,
  demand: AccessTokenDemand,
  { type, text }: Presented,
): Awaitable<ActiveAccessToken> {
  return whenThere(readTokenOfClient(text, configuration, demand, request), ({ token, fault: refusal }) => {
    if (token === undefined) throw invalidToken(refusal)
    // RFC 9068 §4: the audience must name this resource
    if (!isMeantForUs(token.audience, demand)) {
      throw invalidToken(
        'the token is meant for another audience; set the option audience of requireAccessToken where it should be accepted',
        token,
      )
    }
    const { binding, authorization_id, issuedAt } = token
    const fault = type.verify(request, { text, binding, authorization_id, issuedAt }, resourceSettings(configuration, demand))
    return whenThere(fault, (reason) => {
      if (reason !== undefined) throw invalidToken(reason, token)
      return token
    })
  })
}

function resourceSettings({ clock, ledger }: Configuration, { origin }: AccessTokenDemand): ResourceSettings {
  return { now: clock(), origin, claimOnce: (namespace, value, expiresAt) => ledger.claimOnce(namespace, value, expiresAt) }
}

function isMeantForUs(audience: readonly string[], { audiences, acceptsUnbound }: AccessTokenDemand): boolean {
  if (audience.length === 0) return acceptsUnbound
  return audiences.length === 0 || audience.some((name) => audiences.includes(name))
}

function invalidToken(reason: string, token?: ActiveAccessToken): OAuthError {
  const facts = token === undefined ? {} : { facts: { client_id: token.client_id } }
  return new OAuthError('invalid_token', 'the access token is invalid, expired, or was revoked', { reason, ...facts })
}

// RFC 6750 §2.2: form-encoded, single-part, and not with GET
function bodyToken({ body, method, headers }: ProtocolRequest): string | undefined {
  if (method === 'GET') return undefined
  const [contentType = ''] = headerValues(headers, 'content-type')
  if (!/^application\/x-www-form-urlencoded[\t ]*(?:;|$)/i.test(contentType)) return undefined
  const parsed = typeof body === 'object' && body !== null ? (body as Readonly<Partial<Record<string, unknown>>>) : {}
  const { access_token } = parsed
  return typeof access_token === 'string' && access_token !== '' ? access_token : undefined
}

function hasQueryToken(url: string): boolean {
  return /[?&]access_token=/.test(url)
}

function authInfo(text: string, token: ActiveAccessToken): AuthInfo {
  const resource = token.audience.find((audience) => URL.canParse(audience))
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

/** What a challenge tells the client to come back with: all that is needed, at once. */
interface Wanted {
  readonly scope: Scope
  readonly resourceMetadata: string | undefined
}

function bareChallenge(configuration: Configuration, wanted: Wanted): ProtocolResponse {
  const { status, headers, body } = jsonResponse(401, {})
  return { status, body, headers: { ...headers, 'WWW-Authenticate': challengeHeader(configuration, wanted, {}) } }
}

function refusal(configuration: Configuration, wanted: Wanted, error: OAuthError): ProtocolResponse {
  const { status, headers, body } = renderError(error, configuration.errorUri)
  if (error.status >= 500) return { status, headers, body }
  const fault = { error: error.error, error_description: error.description }
  return { status, body, headers: { ...headers, 'WWW-Authenticate': challengeHeader(configuration, wanted, fault) } }
}

// RFC 6750 §3, RFC 9728 §5.1
function challengeHeader(
  { tokenType, realm }: Configuration,
  { scope, resourceMetadata }: Wanted,
  fault: Readonly<Record<string, string>>,
): string {
  const parameters = {
    realm,
    ...fault,
    ...(scope.length === 0 ? {} : { scope: formatScope(scope) }),
    ...(resourceMetadata === undefined ? {} : { resource_metadata: resourceMetadata }),
  }
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}=${quoted(value)}`)
  return `${schemeOf(tokenType)} ${pairs.join(', ')}`
}

function schemeOf({ authenticationMethod }: TokenType): string {
  return authenticationMethod === 'mac' ? 'MAC' : 'Bearer'
}

// RFC 9110 §5.6.4: quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}

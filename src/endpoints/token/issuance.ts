/**
 * From what a grant decided to what is minted: the application's rules, the scope, the lifetime, the refresh token.
 *
 * The application may narrow or refuse, never widen.
 */
import type { Authorization, RefreshTokenStep } from '../../authorization/authorization.js'
import { jsonCopy } from '../../json.js'
import { leaveAlone, whenThere, type Awaitable } from '../../awaitable.js'
import { newAuthorizationId } from '../../authorization/credentials.js'
import { InvalidGrant, InvalidScope, ServerError } from '../../errors.js'
import type { Continuation, NewAuthorization } from '../../grants/grant.js'
import type { DecidedRequest } from '../../configuration/options.js'
import { intersectScope, isWithinScope, offlineAccess, parseScope, textsWithin, type Scope } from '../../authorization/scope.js'
import { isSubject, subjectFault } from '../../option-checks/subject.js'
import type { TokenOrder } from '../../tokens/issue.js'
import { allowedScope, grantableScopeOf, resourcesOf, withoutCredentials, type AcceptedRequest } from './accepted-request.js'

const longestLifetime = 31_536_000

/**
 * What to mint for a decision. A `lifetime` that is given goes before every other.
 *
 * @throws OAuthError when the application refuses, InvalidScope when a grant gave more than it may, ServerError when a rule answers nonsense.
 */
export function orderTokens(request: AcceptedRequest, decision: NewAuthorization | Continuation, lifetime?: number): Awaitable<TokenOrder> {
  const subject = decision.kind === 'continue' ? decision.authorization.subject : readSubject(decision)
  const askedScope = decision.kind === 'continue' ? continuedScope(request, decision) : readScope(request, decision)
  return whenThere(approvedScope(request, subject, askedScope), (scope) => {
    // Made for the functions of the application only, and most servers have none.
    const decided = () => decidedRequest(request, subject, scope)
    return whenThere(refreshTokenStep(request, decision, decided), (refreshToken) =>
      order(request, decision, { subject, askedScope, scope: echoedScope(scope, refreshToken), refreshToken, decided, lifetime }),
    )
  })
}

/** `offline_access` promises a refresh token: without one it is not granted. */
function echoedScope(scope: Scope, refreshToken: RefreshTokenStep | undefined): Scope {
  return refreshToken === undefined && scope.includes(offlineAccess) ? scope.filter((token) => token !== offlineAccess) : scope
}

/** What the application's rules have left of a decision. */
interface Approved {
  readonly subject: string | undefined
  readonly askedScope: Scope
  readonly scope: Scope
  readonly refreshToken: RefreshTokenStep | undefined
  readonly decided: () => DecidedRequest
  readonly lifetime: number | undefined
}

function order(request: AcceptedRequest, decision: NewAuthorization | Continuation, approved: Approved): TokenOrder {
  const { configuration, client, grant, context } = request
  const { subject, askedScope, scope, refreshToken, decided, lifetime } = approved
  const now = configuration.clock()
  const resource = resourcesOf(request, decision.kind === 'continue' ? decision.authorization.resource : undefined)
  const authorization =
    decision.kind === 'continue'
      ? decision.authorization
      : beginAuthorization(request, decision, { subject, scope, resource, now, refreshToken })
  return {
    client,
    grant_type: grant.type,
    context,
    now,
    scope,
    resource,
    askedScope,
    subject,
    authorization,
    refreshToken,
    accessTokenLifetime: lifetime ?? accessTokenLifetime(request, decided),
  }
}

/**
 * The scope that the application's rules leave.
 *
 * @throws OAuthError when one of them refuses.
 */
function approvedScope(request: AcceptedRequest, subject: string | undefined, scope: Scope): Awaitable<Scope> {
  const { checkScope, authorize } = request.configuration
  return checkScope === undefined && authorize === undefined ? scope : ruledScope(request, subject, scope)
}

async function ruledScope(request: AcceptedRequest, subject: string | undefined, scope: Scope): Promise<Scope> {
  const { checkScope, authorize } = request.configuration
  const checked = narrowed(scope, await checkScope?.(decidedRequest(request, subject, scope)), 'checkScope')
  const answer: unknown = await authorize?.(decidedRequest(request, subject, checked))
  return narrowed(checked, answer, 'authorize')
}

function narrowed(scope: Scope, answer: unknown, rule: string): Scope {
  if (answer === undefined) return scope
  const isNarrower = Array.isArray(answer) && answer.every((token) => typeof token === 'string') && isWithinScope(answer, scope)
  // RFC 6749 §5.1: a scope that differs is named in the response, and nothing has no name
  if (isNarrower && answer.length === 0 && scope.length > 0)
    throw new InvalidScope(undefined, { reason: `the option ${rule} left nothing of the scope` })
  if (isNarrower) return [...new Set(answer)]
  throw new ServerError(undefined, { reason: `the option ${rule} must return a part of the scope that it was given` })
}

function decidedRequest(request: AcceptedRequest, subject: string | undefined, scope: Scope): DecidedRequest {
  const { client, grant, context, parameters } = request
  return { grant_type: grant.type, client, subject, scope, context, parameters: withoutCredentials(parameters, grant) }
}

function readSubject({ subject }: NewAuthorization): string | undefined {
  if (subject === undefined || isSubject(subject)) return subject
  throw new ServerError(undefined, { reason: `a grant authorised a wrong subject: ${subjectFault(subject)}` })
}

function continuedScope(request: AcceptedRequest, { scope, authorization }: Continuation): Scope {
  if (isWithinScope(scope, intersectScope(authorization.scope, allowedScope(request, authorization.scope)))) return scope
  throw new ServerError(undefined, { reason: 'the grant went on with more scope than was granted and is allowed' })
}

function readScope(request: AcceptedRequest, { scope }: NewAuthorization): Scope {
  if (scope === undefined) return grantableScopeOf(request)
  const granted = parseScope(typeof scope === 'string' ? scope : scope.join(' '))
  // RFC 6749 §3.3: a grant of the application's own stays within what server and client allow, too
  const allowed = allowedScope(request, granted)
  if (isWithinScope(granted, allowed)) return textsWithin(granted, allowed)
  throw new InvalidScope(undefined, { reason: 'the grant authorised more scope than server and client allow' })
}

function refreshTokenStep(
  { configuration, client }: AcceptedRequest,
  decision: NewAuthorization | Continuation,
  decided: () => DecidedRequest,
): Awaitable<RefreshTokenStep | undefined> {
  const { refreshable, grants } = configuration
  const step = decision.kind === 'continue' ? decision.refreshToken : beginUnless(decision.refreshable === false)
  if (step === undefined || !grants.has('refresh_token') || !client.grant_types.includes('refresh_token')) return undefined
  return typeof refreshable === 'boolean' ? step : allowedStep(step, refreshable(decided()))
}

async function allowedStep(step: RefreshTokenStep, isRefreshable: Awaitable<boolean>): Promise<RefreshTokenStep | undefined> {
  if (await isRefreshable) return step
  if (step.step === 'begin') return undefined
  throw new InvalidGrant(undefined, { reason: 'the option refreshable answered false' })
}

function beginUnless(refused: boolean): RefreshTokenStep | undefined {
  return refused ? undefined : { step: 'begin' }
}

function accessTokenLifetime({ configuration, client, grant }: AcceptedRequest, decided: () => DecidedRequest): number {
  const { accessTokenLifetime: configured } = configuration
  if (typeof configured === 'number') return client.accessTokenLifetime ?? grant.accessTokenLifetime ?? configured
  const seconds = configured(decided())
  leaveAlone(seconds)
  if (Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= longestLifetime) return seconds
  throw new ServerError(undefined, { reason: 'the option accessTokenLifetime must return whole seconds from 1 to a year' })
}

interface Beginning {
  readonly resource: readonly string[]
  readonly subject: string | undefined
  readonly scope: Scope
  readonly now: number
  readonly refreshToken: RefreshTokenStep | undefined
}

/** The first state; undefined where a token that carries everything itself is all there will ever be. */
function beginAuthorization(request: AcceptedRequest, { extra }: NewAuthorization, beginning: Beginning): Authorization | undefined {
  const { configuration, client, grant } = request
  const { subject, scope, resource, now, refreshToken } = beginning
  const isSelfContained = configuration.accessTokenFormat.kind === 'self-contained'
  if (isSelfContained && subject === undefined && refreshToken === undefined) return undefined
  return {
    id: newAuthorizationId(),
    client_id: client.client_id,
    ...(subject === undefined ? {} : { subject }),
    grant_type: grant.type,
    scope,
    resource,
    createdAt: now,
    expiresAt: now,
    accessTokens: [],
    ...(extra === undefined ? {} : { extra: jsonCopy(extra, 'extra of a grant') }),
  }
}

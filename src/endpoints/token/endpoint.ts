/**
 * The token endpoint (RFC 6749 §3.2): plain request in, plain response out.
 *
 *   assertTransport → readForm → authenticateClient                                   `answerClient`
 *   → chooseGrant → beforeGrant                                                       `accept`
 *   → grant.authorize → the application's rules → mintTokens → one write             `settle`
 *
 * The last line is repeated from the state that won when another request was faster.
 */
import type { Authorization } from '../../authorization/authorization.js'
import type { JsonObject } from '../../json.js'
import { whenThere, type Awaitable } from '../../awaitable.js'
import type { Client } from '../../clients/client.js'
import { configure, type Configuration } from '../../configuration/configure.js'
import {
  InvalidGrant,
  InvalidRequest,
  InvalidScope,
  ServerError,
  UnauthorizedClient,
  UnsupportedGrantType,
  type OAuthError,
} from '../../errors.js'
import type { EventFields } from '../../events/events.js'
import { withinFailureLimit } from '../../limits/failed-authentication.js'
import { registeredGrantTypes, type Continuation, type Grant, type GrantDecision, type Repetition } from '../../grants/grant.js'
import { calling } from '../../known-causes.js'
import { kindOf } from '../../option-checks/reader.js'
import type { ServerOptions } from '../../configuration/options.js'
import { isSecure, jsonResponse, type Parameters, type ProtocolRequest, type ProtocolResponse } from '../../http/message.js'
import { receivedRequest } from '../../http/received-request.js'
import { formatScope, isWithinScope, refusedScope, type Scope } from '../../authorization/scope.js'
import type { Settlement } from '../../authorization/ledger.js'
import { mintTokens, repeatedMembers, type TokenOrder } from '../../tokens/issue.js'
import { isAccessTokenLive } from '../../tokens/read.js'
import { lateCallback, withinTime } from '../../time-limit.js'
import {
  allowedScope,
  claimAll,
  grantRequest,
  presentedCredential,
  resourcesOf,
  tellScopeIgnored,
  withheldReason,
  withoutCredentials,
  type AcceptedRequest,
  type PresentedCredential,
} from './accepted-request.js'
import { readAskedScope } from './asked-scope.js'
import { answerClient, type ClientRequest } from '../client-request.js'
import { orderTokens } from './issuance.js'

/**
 * Answers a request to the token endpoint. Errors become the JSON of RFC 6749 §5.2; it does not reject for anything a client sent.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export async function createTokenResponse(options: ServerOptions, request: ProtocolRequest): Promise<ProtocolResponse> {
  return tokenResponse(configure(options, 'createTokenResponse'), receivedRequest(request))
}

/** The same for options that were read. */
export function tokenResponse(configuration: Configuration, request: ProtocolRequest): Promise<ProtocolResponse> {
  return answerClient(configuration, 'token', request, (clientRequest) => {
    const accepted = accept(configuration, clientRequest)
    return whenThere(callBeforeGrant(accepted), () => whenThere(settle(accepted), (members) => jsonResponse(200, members)))
  })
}

/** The client may use the grant that it asks for, and may be granted the scope that it asks for. */
export function accept(
  configuration: Configuration,
  { request, parameters, resource, pairs, client, startedAt }: ClientRequest,
): AcceptedRequest {
  configuration.servedEndpoints.add('token')
  const grant = chooseGrant(parameters, client, configuration)
  const context = request.context ?? {}
  const claims: AcceptedRequest['claims'] = new Map()
  const requestedScope = readRequestedScope({ configuration, client, grant, claims }, parameters.scope)
  const accepted = {
    configuration,
    client,
    grant,
    parameters,
    received: { url: request.url, method: request.method, headers: request.headers, secure: isSecure(request), form: pairs },
    requestedScope,
    requestedResources: resource,
    context,
    address: request.address,
    claims,
    startedAt,
  }
  // RFC 6749 §5.2: invalid_scope, before anything else is looked at
  if (
    requestedScope !== undefined &&
    grant.ignoresForeignScope !== true &&
    !isWithinScope(requestedScope, allowedScope(accepted, requestedScope))
  ) {
    throw new InvalidScope(undefined, {
      reason: 'the requested scope exceeds what server and client allow',
      facts: refusedScope(requestedScope, allowedScope(accepted, requestedScope)),
    })
  }
  // RFC 8707 §2: invalid_target, likewise
  resourcesOf(accepted)
  return accepted
}

/** @throws InvalidScope for one outside the grammar, where the grant has such a parameter. */
function readRequestedScope(
  request: Pick<AcceptedRequest, 'configuration' | 'client' | 'grant' | 'claims'>,
  text: string | undefined,
): Scope | undefined {
  const { configuration, client, grant } = request
  try {
    return readAskedScope(configuration, client, text)
  } catch (thrown) {
    if (grant.ignoresForeignScope !== true) throw thrown
    tellScopeIgnored(request)
    return undefined
  }
}

function chooseGrant(parameters: Parameters, client: Client, { grants, defaultGrantType }: Configuration): Grant {
  const grant_type = parameters.grant_type ?? defaultGrantType
  if (grant_type === undefined) throw new InvalidRequest('grant_type is required')
  const grant = grants.get(grant_type)
  // RFC 6749 §5.2: the grant type is not supported by the server
  if (grant === undefined) throw unsupported(grants, grant_type)
  // RFC 6749 §5.2: the client is not authorized to use this grant type
  if (!client.grant_types.includes(grant.type)) {
    throw new UnauthorizedClient(undefined, { reason: 'not among the grant_types of the client', facts: { grant_type: grant.type } })
  }
  // RFC 6749 §4.4: what a public client sends does not prove who sent it
  if (client.isPublic && grant.publicClients !== true) {
    throw new UnauthorizedClient(undefined, { reason: 'not a grant for public clients', facts: { grant_type: grant.type } })
  }
  return grant
}

/** Names what there is, which the metadata tell as well; and what was asked for in the event, where that is a registered name: else it may be anything. */
function unsupported(grants: Configuration['grants'], grant_type: string): UnsupportedGrantType {
  const description = `the grant type is not supported; there are ${[...grants.keys()].join(', ')}`
  if (!registeredGrantTypes.has(grant_type)) {
    return new UnsupportedGrantType(description, { reason: 'grant_type is neither one of the option grants nor a registered name' })
  }
  return new UnsupportedGrantType(description, { reason: 'grant_type is not among the option grants', facts: { grant_type } })
}

/** What the application has to say before anything is judged. */
export function callBeforeGrant({ configuration, client, grant, parameters, context }: AcceptedRequest): Awaitable<void> {
  const { beforeGrant, callbackTimeout } = configuration
  if (beforeGrant === undefined) return undefined
  const request = { grant_type: grant.type, client, context, parameters: withoutCredentials(parameters, grant) }
  return whenThere(
    withinTime<unknown>(callbackTimeout, async () => beforeGrant(request), lateCallback),
    assertNoFalse,
  )
}

/** Only an error refuses. An application that means to refuse and says so otherwise must not be taken for one that agrees. */
function assertNoFalse(answer: unknown): void {
  if (answer === false) throw new ServerError(undefined, { reason: 'beforeGrant returned false; throw an exported error to refuse' })
}

/** What stands once it is written: members of a response, or a refusal. */
type Outcome = Issued | Refused

interface Issued {
  readonly event: EventFields
  readonly members: JsonObject
  readonly dropped: number
}

interface Refused {
  readonly event: EventFields
  readonly error: OAuthError
}

/** Judges the grant, mints, and writes, as one step. */
export function settle(request: AcceptedRequest): Awaitable<JsonObject> {
  const { configuration, startedAt } = request
  const { emit, ledger } = configuration
  const settled = whenThere(presentedCredential(request), (presented) =>
    ledger.settle(presented.authorization_id, (current) => decide(request, presented, current)),
  )
  return whenThere(settled, (outcome) => {
    if ('error' in outcome) {
      emit(outcome.event)
      throw outcome.error
    }
    emit(startedAt === undefined ? outcome.event : Object.assign(outcome.event, { startedAt }))
    if (outcome.dropped > 0) emit({ ...outcome.event, type: 'access_token.dropped', startedAt: undefined })
    return outcome.members
  })
}

/** The same judgement without tokens, and what would be issued. What a refusal has to change, it changes. */
export async function rehearse(request: AcceptedRequest): Promise<TokenOrder> {
  const { emit, ledger } = request.configuration
  const presented = await presentedCredential(request)
  const outcome = await ledger.settle<TokenOrder | Refused>(presented.authorization_id, async (current) => {
    const decision = await judge(request, presented, current)
    if (decision.kind === 'refuse') return refused(request, decision)
    return { result: await orderTokens(request, decision.kind === 'repeat' ? continuationOf(decision) : decision) }
  })
  if (!('error' in outcome)) return outcome
  emit(outcome.event)
  throw outcome.error
}

function decide(
  request: AcceptedRequest,
  presented: PresentedCredential,
  current: Authorization | undefined,
): Awaitable<Settlement<Outcome>> {
  return whenThere(judge(request, presented, current), (decision) => {
    if (decision.kind === 'refuse') return refused(request, decision)
    if (decision.kind === 'repeat') return repeatOrIssue(request, decision)
    return whenThere(orderTokens(request, decision), (order) =>
      // Nothing was claimed while it could still be refused. Who comes second here is judged again, and finds the claim of the first.
      whenThere(request.claims.size === 0 || claimAll(request), (isFirst) =>
        isFirst ? issue(request, order) : decide(request, presented, current),
      ),
    )
  })
}

/** What the grant says. An Authorization that is not the client's, or not alive, is unknown to it. */
function judge(request: AcceptedRequest, presented: PresentedCredential, current: Authorization | undefined): Awaitable<GrantDecision> {
  const { grant } = request
  const withheld = withheldReason(request, current)
  if (withheld !== undefined) return judgeWithheld(request, presented, withheld)
  const authorize = () => calling(`the grant ${grant.type}`, () => grant.authorize(grantRequest(request, presented, current)))
  const decided = grant.limitedBy === undefined ? authorize() : withinLimitOf(grant.limitedBy, request, authorize)
  return whenThere(decided, (decision) => asDecision(decision, grant))
}

/** A grant of the application that answers nothing has authorised nobody; read as an object without members it would have authorised the client. */
function asDecision(decision: GrantDecision, { type }: AcceptedRequest['grant']): GrantDecision {
  if (typeof decision === 'object' && (decision as object | null) !== null) return decision
  throw new ServerError(undefined, {
    reason: `the grant ${type} returned ${kindOf(decision)}; return { subject, scope }, or throw InvalidGrant`,
  })
}

/** The grant sees nothing; the event says what was withheld from it. */
async function judgeWithheld(request: AcceptedRequest, presented: PresentedCredential, reason: string): Promise<GrantDecision> {
  try {
    return await judge(request, presented, undefined)
  } catch (thrown) {
    if (!isInvalidGrant(thrown)) throw thrown
    throw new InvalidGrant(thrown.description, { reason })
  }
}

function withinLimitOf<T>(
  parameter: string,
  { parameters, address, configuration }: AcceptedRequest,
  work: () => Awaitable<T>,
): Awaitable<T> {
  const attempt = { kind: 'username', name: parameters[parameter], address } as const
  return withinFailureLimit(configuration.failures, attempt, isInvalidGrant, work)
}

function isInvalidGrant(thrown: unknown): thrown is InvalidGrant {
  return thrown instanceof InvalidGrant
}

/** Mints what was ordered. */
export function issue(request: AcceptedRequest, order: TokenOrder): Awaitable<Settlement<Issued>> {
  return whenThere(mintTokens(order, request.configuration), ({ next, aliases, members, dropped }) => {
    const event = describe(request, 'token.issued', next ?? { subject: order.subject }, formatScope(order.scope))
    const result = { members, dropped, event }
    return next === undefined ? { result } : { result, next, aliases }
  })
}

function repeatOrIssue(request: AcceptedRequest, decision: Repetition): Awaitable<Settlement<Outcome>> {
  return whenThere(orderTokens(request, continuationOf(decision)), (order) =>
    whenThere(isSameAnswer(request, decision, order), (isSame) => (isSame ? repeated(request, decision, order) : issue(request, order))),
  )
}

/** What a retry goes on with when the earlier answer does not fit any more: the same successor, another access token. */
function continuationOf({ answer, authorization }: Repetition): Continuation {
  const refreshToken = { step: 'repeat', successor: answer.refresh_token } as const
  return { kind: 'continue', authorization, scope: answer.askedScope, refreshToken }
}

/** Whether the application's rules would answer today as they did, and the access token still lives. */
function isSameAnswer(
  { configuration }: AcceptedRequest,
  { answer, authorization }: Repetition,
  { scope, resource, now }: TokenOrder,
): Awaitable<boolean> {
  if (resource.join(' ') !== answer.resource.join(' ') || formatScope(scope) !== (answer.members.scope ?? '')) return false
  return now < answer.accessTokenExpiresAt && isAccessTokenLive(answer.access_token, authorization, configuration, now)
}

function repeated(request: AcceptedRequest, { answer, authorization }: Repetition, { scope, now }: TokenOrder): Settlement<Issued> {
  const event = describe(request, 'token.repeated', authorization, formatScope(scope))
  return { result: { members: repeatedMembers(answer, now), dropped: 0, event } }
}

function refused(
  request: AcceptedRequest,
  { authorization, error, event, age }: Extract<GrantDecision, { kind: 'refuse' }>,
): Settlement<Refused> {
  const described = describe(request, event, authorization, '')
  return { next: authorization, result: { error, event: age === undefined ? described : { ...described, age } } }
}

function describe(
  { client, grant }: AcceptedRequest,
  type: EventFields['type'],
  { id, subject }: { readonly id?: string; readonly subject?: string | undefined },
  scope: string,
): EventFields {
  return {
    type,
    client_id: client.client_id,
    grant_type: grant.type,
    ...(subject === undefined ? {} : { subject }),
    ...(id === undefined ? {} : { authorization_id: id }),
    ...(scope === '' ? {} : { scope }),
  }
}

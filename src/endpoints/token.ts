/**
 * The token endpoint (RFC 6749 §3.2): plain request in, plain response out.
 *
 *   accept   assertTransport → readForm → authenticateClient → chooseGrant → beforeGrant
 *   settle   grant.authorize → the application's rules → issueTokens → one write
 *
 * The second line is repeated from the state that won when another request was faster.
 */
import type { Authorization, JsonObject } from '../authorization.js'
import { authenticateClient } from '../client-authentication/method.js'
import type { Client } from '../clients.js'
import { configure, type Configuration } from '../configuration.js'
import { authorizationIdOf } from '../credentials.js'
import { InvalidRequest, UnauthorizedClient, UnsupportedGrantType, type OAuthError } from '../errors.js'
import type { EventFields } from '../events.js'
import type { Continuation, Grant, GrantDecision, NewAuthorization } from '../grants/grant.js'
import type { ServerOptions } from '../options.js'
import {
  assertTransport,
  isSecure,
  jsonResponse,
  readForm,
  renderError,
  type Parameters,
  type ProtocolRequest,
  type ProtocolResponse,
} from '../protocol.js'
import { formatScope, parseScope } from '../scope.js'
import type { Settlement } from '../stores/ledger.js'
import { issueTokens, repeatedMembers } from '../tokens/issue.js'
import { grantRequest, withoutCredentials, type AcceptedRequest } from './accepted-request.js'
import { orderTokens } from './order.js'
import { reportRefusal } from './refusal.js'

/**
 * Answers a request to the token endpoint. Errors become the JSON of RFC 6749 §5.2; it does not reject for anything a client sent.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export async function createTokenResponse(options: ServerOptions, request: ProtocolRequest): Promise<ProtocolResponse> {
  const configuration = configure(options)
  try {
    return jsonResponse(200, await settle(await accept(configuration, request)))
  } catch (thrown) {
    return renderError(reportRefusal(configuration, 'token', thrown), configuration.errorUri)
  }
}

/** Everything before the grant is looked at: the request is well-formed, and its client is known and may ask. */
export async function accept(configuration: Configuration, request: ProtocolRequest): Promise<AcceptedRequest> {
  assertTransport(request, 'token', configuration)
  const { parameters, pairs } = await readForm(request, configuration)
  const client = await authenticateClient({ headers: request.headers, parameters }, configuration)
  const grant = chooseGrant(parameters, client, configuration)
  const requestedScope = parameters.scope === undefined ? undefined : parseScope(parameters.scope)
  const context = request.context ?? {}
  await configuration.beforeGrant?.({ grant_type: grant.type, client, context, parameters: withoutCredentials(parameters, grant) })
  const { url, method, headers } = request
  const received = { url, method, headers, secure: isSecure(request), form: pairs }
  return { configuration, client, grant, parameters, received, requestedScope, context, claimed: new Set() }
}

function chooseGrant(parameters: Parameters, client: Client, { grants, defaultGrantType }: Configuration): Grant {
  const grant_type = parameters.grant_type ?? defaultGrantType
  if (grant_type === undefined) throw new InvalidRequest('grant_type is required')
  const grant = grants.get(grant_type)
  // RFC 6749 §5.2: the grant type is not supported by the server
  if (grant === undefined) throw new UnsupportedGrantType()
  // RFC 6749 §5.2: the client is not authorized to use this grant type
  if (!client.grant_types.includes(grant.type))
    throw new UnauthorizedClient(undefined, { reason: 'not among the grant_types of the client' })
  // RFC 6749 §4.4: what a public client sends does not prove who sent it
  if (client.isPublic && grant.publicClients !== true) throw new UnauthorizedClient(undefined, { reason: 'not a grant for public clients' })
  return grant
}

/** What stands once it is written: members of a response, or a refusal. */
type Outcome = { readonly event: EventFields } & (
  { readonly members: JsonObject; readonly dropped: number } | { readonly error: OAuthError }
)

/** Judges the grant, mints, and writes, as one step. */
export async function settle(request: AcceptedRequest): Promise<JsonObject> {
  const { emit, ledger } = request.configuration
  const outcome = await ledger.settle(presentedId(request), (current) => decide(request, current))
  emit(outcome.event)
  if ('error' in outcome) throw outcome.error
  if (outcome.dropped > 0) emit({ ...outcome.event, type: 'access_token.dropped' })
  return outcome.members
}

/** The id of the Authorization that the presented credential names. */
function presentedId({ grant, parameters }: AcceptedRequest): string | undefined {
  const text = grant.presents === undefined ? undefined : parameters[grant.presents]
  return text === undefined ? undefined : authorizationIdOf(text)
}

/** The same judgement without tokens. What a refusal has to change, it changes. */
export async function rehearse(request: AcceptedRequest): Promise<void> {
  const { emit, ledger } = request.configuration
  const outcome = await ledger.settle<Outcome | undefined>(presentedId(request), async (current) => {
    const decision = await request.grant.authorize(grantRequest(request, current))
    if (decision.kind === 'refuse') return refused(request, decision)
    if (decision.kind !== 'repeat') await orderTokens(request, decision)
    return { result: undefined }
  })
  if (outcome === undefined || !('error' in outcome)) return
  emit(outcome.event)
  throw outcome.error
}

async function decide(request: AcceptedRequest, current: Authorization | undefined): Promise<Settlement<Outcome>> {
  const decision = await request.grant.authorize(grantRequest(request, current))
  if (decision.kind === 'refuse') return refused(request, decision)
  if (decision.kind === 'repeat') return repeat(request, decision)
  return issue(request, decision)
}

async function issue(request: AcceptedRequest, decision: NewAuthorization | Continuation): Promise<Settlement<Outcome>> {
  const order = await orderTokens(request, decision)
  const { next, members, dropped } = await issueTokens(order, request.configuration)
  const event = describe(request, 'token.issued', next ?? { subject: order.subject }, formatScope(order.scope))
  return { result: { members, dropped, event }, ...(next === undefined ? {} : { next }) }
}

/** The earlier answer once more, unless the application's rules would answer otherwise by now. */
async function repeat(request: AcceptedRequest, decision: Extract<GrantDecision, { kind: 'repeat' }>): Promise<Settlement<Outcome>> {
  const { answer, authorization } = decision
  const refreshToken = { step: 'repeat', successor: answer.refresh_token } as const
  const continuation = { kind: 'continue', authorization, scope: answer.askedScope, refreshToken } as const
  const scope = formatScope((await orderTokens(request, continuation)).scope)
  if (scope !== (answer.members.scope ?? '')) return issue(request, continuation)
  const members = repeatedMembers(answer, request.configuration.clock())
  return { result: { members, dropped: 0, event: describe(request, 'token.repeated', authorization, scope) } }
}

function refused(
  request: AcceptedRequest,
  { authorization, error, event }: Extract<GrantDecision, { kind: 'refuse' }>,
): Settlement<Outcome> {
  return { next: authorization, result: { error, event: describe(request, event, authorization, '') } }
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

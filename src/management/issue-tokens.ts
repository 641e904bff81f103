/**
 * Tokens from the application's own code: personal access tokens, tests, an endpoint of its own.
 *
 * 1. What the application says is checked before anything is looked up: a `subject` that got lost must not become a token of the client itself.
 * 2. The client exists, is not disabled and, for a refresh token, is registered for the grant.
 * 3. The rest is what the token endpoint does: scope and resource, the application's rules, one place that mints, one write.
 */
import { jsonCopy, type JsonObject } from '../json.js'
import { isClientId, type Client } from '../clients/client.js'
import { configure, type Configuration } from '../configuration/configure.js'
import { InvalidRequest, OAuthError, UnauthorizedClient } from '../errors.js'
import { startTime } from '../events/events.js'
import type { Grant, NewAuthorization } from '../grants/grant.js'
import { didYouMean } from '../option-checks/did-you-mean.js'
import type { ServerOptions } from '../configuration/options.js'
import type { Context } from '../http/message.js'
import type { Scope } from '../authorization/scope.js'
import { isSubject, subjectFault } from '../option-checks/subject.js'
import type { AcceptedRequest } from '../endpoints/token/accepted-request.js'
import { readScope } from '../endpoints/authorization/code.js'
import { orderTokens } from '../endpoints/token/issuance.js'
import { issue } from '../endpoints/token/endpoint.js'

/** What to issue. */
export interface TokensRequest {
  /** The client that the tokens are issued to. */
  readonly client_id: string
  /** Whom they speak for, by whatever name the application knows them; `null` where the client speaks for itself. */
  readonly subject: string | null
  /** What they may do. Default: all that the client may have, or its `defaultScope`. */
  readonly scope?: string | Scope | undefined
  /** What they are for (RFC 8707). Default: the only one of the server's `resources`, where it has one. */
  readonly resource?: string | readonly string[] | undefined
  /** Found again in hooks and in `req.auth.extra`; plain JSON. */
  readonly extra?: JsonObject | undefined
  /** Lifetime of the access token in whole seconds, at most a year. Default: the client's or the server's `accessTokenLifetime`. */
  readonly lifetime?: number | undefined
  /** True: with a refresh token. The client must be registered for the grant `refresh_token`. Default false. */
  readonly refreshable?: boolean | undefined
  /** What hooks and formats find as `context`. Default: nothing. */
  readonly context?: Context | undefined
}

/** The members of a token response (RFC 6749 §5.1), with what the token type and the option `responseParameters` add. */
export type TokenResponse = JsonObject & {
  readonly access_token: string
  readonly token_type: string
  readonly expires_in: number
  readonly refresh_token?: string
  readonly scope?: string
}

const memberNames: readonly string[] = [
  'client_id', 'subject', 'scope', 'resource', 'extra', 'lifetime', 'refreshable', 'context',
] satisfies (keyof TokensRequest)[] // prettier-ignore

const year = 31_536_000

/**
 * Issues tokens without a request of the client, and resolves once they are stored. The hooks `checkScope`, `authorize`, `refreshable`,
 * `accessTokenLifetime` and `responseParameters` are asked as at the token endpoint, with the grant type `application`.
 *
 * @throws TypeError, before anything is looked up, when a member is missing, unknown or of the wrong kind. InvalidRequest for an unknown or disabled client,
 *   UnauthorizedClient where a refresh token may not be issued, InvalidScope and OAuthError `invalid_target` for more than client and server allow,
 *   TemporarilyUnavailable when the store fails; and what the hooks throw.
 */
export async function issueTokens(options: ServerOptions, request: TokensRequest): Promise<TokenResponse> {
  const wanted = readRequest(request)
  const configuration = configure(options, 'issueTokens')
  const startedAt = startTime(configuration.emit)
  const client = await knownClient(configuration, wanted)
  if (wanted.refreshable) assertMayRefresh(configuration, client)
  const accepted = acceptedRequest(configuration, client, wanted)
  const scope = readScope(configuration, client, wanted.scope)
  const decision = decisionFor(wanted, scope)
  // A client of strangers is kept as long as what is issued to it can live.
  const longest = Math.max(wanted.lifetime ?? 0, client.refreshTokenLifetime ?? configuration.refreshTokenLifetime)
  await configuration.keepClient(client, configuration.clock() + longest)
  const { members, event } = await configuration.ledger.settle(undefined, async () => {
    const order = await orderTokens(accepted, decision, wanted.lifetime)
    if (wanted.refreshable && order.refreshToken === undefined) throw mayNotRefresh('the option refreshable answered false')
    return issue(accepted, order)
  })
  configuration.emit({ ...event, startedAt })
  return members as TokenResponse
}

interface CheckedRequest {
  readonly client_id: string
  readonly subject: string | undefined
  readonly scope: string | Scope | undefined
  readonly resource: readonly string[]
  readonly extra: JsonObject | undefined
  readonly lifetime: number | undefined
  readonly refreshable: boolean
  readonly context: Context
}

/** @throws TypeError */
function readRequest(request: TokensRequest): CheckedRequest {
  if (typeof request !== 'object' || (request as object | null) === null) throw refuse('say for whom, as in { client_id, subject }')
  const unknown = Object.keys(request).find((name) => !memberNames.includes(name))
  if (unknown !== undefined) throw refuse(`there is no member "${unknown}"${didYouMean(unknown, memberNames)}`)
  const { client_id, subject, scope, resource, extra, lifetime, refreshable = false, context = {} } = request
  if (typeof client_id !== 'string' || client_id === '') throw refuse('client_id must be a text that is not empty')
  // Somebody who is not logged in is undefined, and must not get a token of the client itself.
  if (subject !== null && !isSubject(subject)) {
    const fault = subjectFault(subject)
    throw refuse(`${fault}${fault.endsWith('?') ? ' It' : '; it'} is null where the client speaks for itself`)
  }
  if (scope !== undefined && typeof scope !== 'string' && !isListOfTexts(scope)) throw refuse('scope must be a text or a list of texts')
  const resources: unknown = typeof resource === 'string' ? [resource] : (resource ?? [])
  if (!isListOfTexts(resources)) throw refuse('resource must be a text or a list of texts')
  if (lifetime !== undefined && !(Number.isSafeInteger(lifetime) && lifetime >= 1 && lifetime <= year)) {
    throw refuse(`lifetime must be whole seconds from 1 to ${year}`)
  }
  if (typeof refreshable !== 'boolean') throw refuse('refreshable must be true or false')
  if (typeof context !== 'object' || (context as object | null) === null) throw refuse('context must be an object')
  return {
    client_id,
    subject: subject ?? undefined,
    scope,
    resource: resources,
    extra: extra === undefined ? undefined : jsonCopy(extra, 'issueTokens: extra'),
    lifetime,
    refreshable,
    context,
  }
}

function refuse(message: string): TypeError {
  return new TypeError(`issueTokens: ${message}`)
}

function isListOfTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

async function knownClient({ findClient }: Configuration, { client_id, context }: CheckedRequest): Promise<Client> {
  const client = isClientId(client_id) ? await findClient(client_id, { context }) : undefined
  if (client === undefined)
    throw new InvalidRequest('unknown client', { reason: 'there is no such client; add it to the option clients, or with saveClient' })
  if (client.disabled) throw new InvalidRequest('unknown client', { reason: 'the client is disabled, or cannot be used' })
  return client
}

function assertMayRefresh({ grants }: Configuration, { grant_types }: Client): void {
  if (!grants.has('refresh_token')) throw mayNotRefresh('the server issues no refresh tokens')
  if (!grant_types.includes('refresh_token')) throw mayNotRefresh('refresh_token is not among the grant_types of the client')
}

function mayNotRefresh(reason: string): OAuthError {
  return new UnauthorizedClient(undefined, { reason })
}

/** Stands for the grant in hooks and events: nobody can present it. */
const application: Grant = {
  type: 'application',
  authorize() {
    throw new UnauthorizedClient()
  },
}

/** The request that nobody sent. */
function acceptedRequest(configuration: Configuration, client: Client, { resource, context }: CheckedRequest): AcceptedRequest {
  return {
    configuration,
    client,
    grant: application,
    parameters: Object.create(null) as AcceptedRequest['parameters'],
    received: { url: '', method: '', headers: {}, form: [] },
    requestedScope: undefined,
    requestedResources: resource,
    context,
    address: undefined,
    claims: new Map(),
    startedAt: undefined,
  }
}

function decisionFor({ subject, refreshable, extra }: CheckedRequest, scope: Scope): NewAuthorization {
  return { scope, refreshable, ...(subject === undefined ? {} : { subject }), ...(extra === undefined ? {} : { extra }) }
}

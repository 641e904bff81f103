/**
 * Issuing an authorization code, for an application with a login and a consent page of its own.
 *
 * The application has asked the resource owner; this checks what the client asked for, and remembers the answer.
 *
 * @see RFC 6749 §4.1.1, §4.1.2, RFC 7636 §4.3
 */
import { jsonCopy, type JsonObject } from '../../json.js'
import type { Client } from '../../clients/client.js'
import { configure, type Configuration } from '../../configuration/configure.js'
import { newAuthorizationId, newSecretText } from '../../authorization/credentials.js'
import { InvalidRequest, InvalidScope, OAuthError, UnauthorizedClient } from '../../errors.js'
import { assertObject } from '../../option-checks/reader.js'
import type { ServerOptions } from '../../configuration/options.js'
import { grantableResources } from '../../authorization/resources.js'
import { grantableScope, parseScope, type Scope } from '../../authorization/scope.js'
import { sha256 } from '../../secrets.js'
import { assertSubject } from '../../option-checks/subject.js'
import { allowedScopeOf, withoutIgnored } from '../token/asked-scope.js'
import { readChallenge } from './code-challenge.js'
import { closePushedRequest } from './pushed.js'
import { knownClient, registeredRedirectUri } from './redirection.js'

/** What the client asked for and the resource owner agreed to. */
export interface AuthorizationCodeRequest {
  readonly client_id: string
  /** As the authorization request had it. May be left out where the client has registered exactly one. */
  readonly redirect_uri?: string | undefined
  /** The resource owner, by whatever name the application knows them. */
  readonly subject: string
  /** What the resource owner agreed to. Default: all that the client may have. */
  readonly scope?: string | Scope | undefined
  /** What the token will be for (RFC 8707). Default: the only one of the server's `resources`, where it has one. */
  readonly resource?: string | readonly string[] | undefined
  readonly code_challenge?: string | undefined
  readonly code_challenge_method?: string | undefined
  /** Found again in hooks and in `req.auth.extra`; plain JSON. */
  readonly extra?: JsonObject | undefined
  /**
   * Where the request was pushed (RFC 9126): its reference, as in the `request_uri` of what `authorize` is asked about. It is used up, so that it gives one
   * code; without it, a pushed request gives a code each time that you ask for one.
   */
  readonly request_uri?: string | undefined
}

/**
 * Makes a code for the redirection back to the client. It is stored when this resolves, lives `codeLifetime` seconds, and works once. `authorizationResponse`
 * makes the whole redirection URL.
 *
 * @throws InvalidRequest for an unknown client or redirect_uri: then do not redirect. UnauthorizedClient, InvalidScope and other InvalidRequests belong
 *   into the redirection (RFC 6749 §4.1.2.1), and so does `invalid_request_uri` for a pushed request that was used. TemporarilyUnavailable when the store
 *   fails; TypeError without a subject.
 */
export async function issueAuthorizationCode(options: ServerOptions, request: AuthorizationCodeRequest): Promise<string> {
  const configuration = configure(options, 'issueAuthorizationCode')
  assertObject(request, 'issueAuthorizationCode: the second argument')
  const { subject } = request
  assertSubject(subject, 'issueAuthorizationCode: ')
  assertTexts(request)
  const client = await knownClient(configuration, request.client_id)
  const redirect_uri = registeredRedirectUri(client, request.redirect_uri, configuration)
  if (!client.grant_types.includes('authorization_code')) throw new UnauthorizedClient()
  const pkce = readChallenge(client, request)
  const scope = readScope(configuration, client, request.scope)
  const id = newAuthorizationId()
  const code = newSecretText(id)
  const now = configuration.clock()
  const expiresAt = now + configuration.codeLifetime
  const authorization = {
    id,
    client_id: client.client_id,
    subject,
    grant_type: 'authorization_code',
    scope,
    resource: grantableResources(resourceList(request.resource), configuration.resources),
    createdAt: now,
    expiresAt,
    code: { hash: sha256(code), expiresAt, redirect_uri, redirect_uri_named: request.redirect_uri !== undefined, pkce, status: 'issued' },
    accessTokens: [],
    ...(request.extra === undefined ? {} : { extra: jsonCopy(request.extra, 'issueAuthorizationCode: extra') }),
  } as const
  // RFC 9126 §4: a request_uri is used once. Nothing can be refused after this.
  if (request.request_uri !== undefined) await closePushedRequest(configuration, request.request_uri, client.client_id)
  // A client of strangers is kept as long as what it was authorised for can live.
  await configuration.keepClient(client, now + configuration.refreshTokenLifetime)
  await configuration.ledger.settle(undefined, () => ({ next: authorization, result: undefined }))
  configuration.emit({ type: 'code.issued', client_id: client.client_id, subject, authorization_id: id })
  return code
}

function resourceList(resource: unknown): readonly string[] {
  const list: unknown = typeof resource === 'string' ? [resource] : (resource ?? [])
  if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list.filter((item) => item !== '')
  throw new OAuthError('invalid_target', 'resource must be one text, or several')
}

/** What comes from a query may be a list or an object, whatever its type says. */
function assertTexts(request: AuthorizationCodeRequest): void {
  for (const name of ['redirect_uri', 'code_challenge', 'code_challenge_method', 'request_uri'] as const) {
    if (!['string', 'undefined'].includes(typeof request[name])) throw new InvalidRequest(`${name} must be one text`)
  }
}

/** What the application names is granted and no more: a scope of which nothing is left does not become all that the client may have. */
export function readScope(configuration: Configuration, client: Client, scope: string | Scope | undefined): Scope {
  if (scope !== undefined && typeof scope !== 'string' && !Array.isArray(scope)) throw new InvalidScope()
  const text = typeof scope === 'object' ? scope.join(' ') : scope
  if (text !== undefined && text !== '' && text.trim() === '') throw new InvalidScope(undefined, { reason: 'the scope is blank' })
  const requested = text === undefined ? undefined : withoutIgnored(configuration, client, parseScope(text))
  return grantableScope({ requested, allowed: allowedScopeOf(configuration, client, requested), fallback: client.defaultScope })
}

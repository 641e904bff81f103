/**
 * Issuing an authorization code, for an application with a login and a consent page of its own.
 *
 * The application has asked the resource owner; this checks what the client asked for, and remembers the answer.
 *
 * @see RFC 6749 §4.1.1, §4.1.2, RFC 7636 §4.3
 */
import { jsonCopy, type CodeChallenge, type JsonObject } from '../authorization.js'
import type { Client } from '../clients.js'
import { isClientId } from '../clients.js'
import { configure, type Configuration } from '../configuration.js'
import { newAuthorizationId, newSecretText } from '../credentials.js'
import { InvalidRequest, InvalidScope, OAuthError, UnauthorizedClient } from '../errors.js'
import type { ServerOptions } from '../options.js'
import { grantableResources } from '../resources.js'
import { isRegisteredRedirectUri } from '../redirect-uri.js'
import { grantableScope, intersectScope, parseScope, type Scope } from '../scope.js'
import { sha256 } from '../secrets.js'
import { assertSubject } from '../subject.js'

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
}

/**
 * Makes a code for the redirection back to the client. It is stored when this resolves, lives `codeLifetime` seconds, and works once.
 *
 * @throws InvalidRequest for an unknown client or redirect_uri: then do not redirect. UnauthorizedClient, InvalidScope and other InvalidRequests belong
 *   into the redirection (RFC 6749 §4.1.2.1). TemporarilyUnavailable when the store fails; TypeError without a subject.
 */
export async function issueAuthorizationCode(options: ServerOptions, request: AuthorizationCodeRequest): Promise<string> {
  const configuration = configure(options)
  const { subject } = request
  assertSubject(subject, 'issueAuthorizationCode: ')
  assertTexts(request)
  const client = await knownClient(configuration, request.client_id)
  const redirect_uri = registeredRedirectUri(client, request.redirect_uri)
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
  // A client that registered itself is kept as long as what it was authorised for can live.
  if (configuration.servedEndpoints.has('registration'))
    await configuration.clientRecords.keepUntil(client.client_id, now + configuration.refreshTokenLifetime)
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
  for (const name of ['redirect_uri', 'code_challenge', 'code_challenge_method'] as const) {
    if (!['string', 'undefined'].includes(typeof request[name])) throw new InvalidRequest(`${name} must be one text`)
  }
}

/** @throws InvalidRequest for a client that does not exist, or is disabled. */
export async function knownClient({ findClientToAuthorize }: Configuration, client_id: unknown): Promise<Client> {
  const client = typeof client_id === 'string' && isClientId(client_id) ? await findClientToAuthorize(client_id) : undefined
  if (client === undefined || client.disabled) throw new InvalidRequest('unknown client')
  return client
}

/** @throws InvalidRequest for a redirection URI that the client has not registered. */
export function registeredRedirectUri({ redirect_uris }: Client, redirect_uri: string | undefined): string {
  const [only, ...others] = redirect_uris
  // RFC 6749 §3.1.2.3: it may be left out where exactly one is registered
  if (redirect_uri === undefined && only !== undefined && others.length === 0) return only
  if (redirect_uri === undefined) throw new InvalidRequest('redirect_uri is required')
  if (redirect_uris.some((registered) => isRegisteredRedirectUri(redirect_uri, registered))) return redirect_uri
  throw new InvalidRequest('redirect_uri is not registered')
}

// RFC 7636 §4.2: the S256 challenge is the base64url of 32 bytes
const codeChallengeGrammar = /^[A-Za-z0-9_-]{43}$/

/** @throws InvalidRequest for a challenge that is missing, malformed, or not S256. */
export function readChallenge(
  client: Client,
  { code_challenge, code_challenge_method }: Pick<AuthorizationCodeRequest, 'code_challenge' | 'code_challenge_method'>,
): CodeChallenge {
  if (code_challenge === undefined) {
    if (code_challenge_method !== undefined) throw new InvalidRequest('code_challenge is required')
    // RFC 9700 §2.1.1: PKCE for every client that has not registered to go without
    if (client.require_pkce) throw new InvalidRequest('code_challenge is required')
    return { method: 'none' }
  }
  // RFC 7636 §4.3: without a method it would be plain, which protects nothing and is not served
  if (code_challenge_method !== 'S256') throw new InvalidRequest('code_challenge_method must be S256')
  if (!codeChallengeGrammar.test(code_challenge)) throw new InvalidRequest('code_challenge must be 43 characters of base64url')
  return { method: 'S256', code_challenge }
}

function readScope({ scopes }: Configuration, client: Client, scope: string | Scope | undefined): Scope {
  if (scope !== undefined && typeof scope !== 'string' && !Array.isArray(scope)) throw new InvalidScope()
  const requested = scope === undefined ? undefined : parseScope(typeof scope === 'string' ? scope : scope.join(' '))
  return grantableScope({ requested, allowed: intersectScope(scopes, client.scope), fallback: client.defaultScope })
}

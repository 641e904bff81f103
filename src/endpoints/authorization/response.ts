/**
 * The authorization response (RFC 6749 §4.1.2): the URL that takes a code, or an error, back to the client.
 *
 * With an `issuer` every answer names it (RFC 9207), so that a client which talks to several servers cannot be made to mix them up.
 */
import { configure, type Configuration } from '../../configuration/configure.js'
import { InvalidRequest, OAuthError, toOAuthError, type ErrorCode } from '../../errors.js'
import { assertObject } from '../../option-checks/reader.js'
import type { ServerOptions } from '../../configuration/options.js'
import type { Scope } from '../../authorization/scope.js'
import { issueAuthorizationCode, type AuthorizationCodeRequest } from './code.js'
import type { AuthorizationRequest } from './request.js'
import { reportRefusal } from '../../events/refusals.js'
import { closePushedRequest } from './pushed.js'
import { assertSubject } from '../../option-checks/subject.js'
import { knownClient, registeredRedirectUri } from './redirection.js'

/** What the client asked for, and what became of it: an agreement, or an `error`. */
export interface AuthorizationResponseRequest extends Omit<AuthorizationCodeRequest, 'subject'> {
  /** Sent back as it came. */
  readonly state?: string | undefined
  /** The resource owner who agreed. */
  readonly subject?: string | undefined
  /** Instead of an agreement: `new AccessDenied()`, or whatever else stands in the way. */
  readonly error?: unknown
}

/** The same for a request that `authorize` was asked about. */
export interface DecidedAuthorizationRequest {
  /** As `authorize` got it: client, redirection URI, scope, resource, challenge, state, and where it was pushed. A pushed request is used up. */
  readonly asked: AuthorizationRequest
  /** What the resource owner agreed to. Default: all that was asked for. */
  readonly scope?: string | Scope | undefined
  readonly extra?: AuthorizationCodeRequest['extra']
  readonly subject?: string | undefined
  readonly error?: unknown
}

/**
 * The finished redirection URL, for people with an authorization endpoint of their own, or an `authorize` that answers by itself. What is wrong with the
 * request is in the URL, as the protocol wants it, but for a client or redirection URI that is not known.
 *
 * The URL of an error may lead to a client that has registered itself: redirect there only when somebody is logged in (RFC 9700 §4.11.2).
 *
 * @throws InvalidRequest for an unknown client or redirect_uri: show a page, and do not redirect.
 */
export async function authorizationResponse(
  options: ServerOptions,
  request: AuthorizationResponseRequest | DecidedAuthorizationRequest,
): Promise<string> {
  const configuration = configure(options, 'authorizationResponse')
  assertObject(request, 'authorizationResponse: the second argument')
  const { subject, state, error, ...rest } = 'asked' in request ? asAsked(request) : request
  const client = await knownClient(configuration, rest.client_id)
  const redirect_uri = registeredRedirectUri(client, rest.redirect_uri, configuration)
  if ('asked' in request) assertShown(request.asked, redirect_uri)
  try {
    // A decision uses a pushed request up, whatever it is.
    if (error !== undefined && rest.request_uri !== undefined) await closePushedRequest(configuration, rest.request_uri, client.client_id)
    if (error !== undefined) throw toOAuthError(error)
    assertSubject(subject, 'authorizationResponse: ')
    const code = await issueAuthorizationCode(options, { ...rest, subject })
    return redirectionUrl(configuration, redirect_uri, { code, state })
  } catch (thrown) {
    // A mistake of the application is not the client's to hear about.
    if (thrown instanceof TypeError) throw thrown
    return errorUrl(
      configuration,
      redirect_uri,
      state,
      reportRefusal(configuration, 'authorization', thrown, { client_id: client.client_id }),
    )
  }
}

/**
 * The person agreed to be taken where the page said. A request may leave `redirect_uri` out, and the client may have registered another one since.
 *
 * @throws InvalidRequest
 */
function assertShown({ redirect_uri: shown }: Partial<AuthorizationRequest>, redirect_uri: string): void {
  if (shown === undefined || shown === redirect_uri) return
  throw new InvalidRequest('redirect_uri is not registered', { reason: 'the redirection URI is not the one that was shown any more' })
}

/** redirect_uri, challenge and state as the client sent them: the code is bound to the first two. */
function asAsked({ asked, scope = asked.scope, ...answer }: DecidedAuthorizationRequest): AuthorizationResponseRequest {
  const { client_id, resource, request_uri, parameters } = asked
  const { redirect_uri, code_challenge, code_challenge_method, state } = parameters
  return { client_id, resource, request_uri, redirect_uri, code_challenge, code_challenge_method, state, scope, ...answer }
}

/** The URL that takes an error back to the client (RFC 6749 §4.1.2.1). */
export function errorUrl(configuration: Configuration, redirect_uri: string, state: string | undefined, error: OAuthError): string {
  const { errorUri: error_uri } = configuration
  return redirectionUrl(configuration, redirect_uri, { error: codeFor(error), error_description: error.description, error_uri, state })
}

const codesOfOtherEndpoints: readonly ErrorCode[] = [
  'invalid_client', 'invalid_grant', 'unsupported_grant_type', 'invalid_redirect_uri', 'invalid_client_metadata', 'unsupported_token_type',
  'invalid_token', 'insufficient_scope',
] // prettier-ignore

/** RFC 6749 §4.1.2.1: codes that the authorization endpoint has. What belongs to other endpoints is told in a general way. */
function codeFor({ error }: OAuthError): ErrorCode {
  return codesOfOtherEndpoints.includes(error) ? 'server_error' : error
}

function redirectionUrl({ issuer }: Configuration, redirect_uri: string, members: Readonly<Record<string, string | undefined>>): string {
  const pairs = Object.entries({ ...members, iss: issuer }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  )
  // RFC 6749 §3.1.2: the query of the redirection URI is retained
  return redirect_uri + (redirect_uri.includes('?') ? (/[?&]$/.test(redirect_uri) ? '' : '&') : '?') + pairs.join('&')
}

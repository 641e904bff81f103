/**
 * The authorization response (RFC 6749 §4.1.2): the URL that takes a code, or an error, back to the client.
 *
 * With an `issuer` every answer names it (RFC 9207), so that a client which talks to several servers cannot be made to mix them up.
 */
import { configure, type Configuration } from '../configuration.js'
import { OAuthError, toOAuthError, type ErrorCode } from '../errors.js'
import type { ServerOptions } from '../options.js'
import { issueAuthorizationCode, knownClient, registeredRedirectUri, type AuthorizationCodeRequest } from './authorization-code.js'
import { reportRefusal } from './client-request.js'

/** What the client asked for, and what became of it: an agreement, or an `error`. */
export interface AuthorizationResponseRequest extends Omit<AuthorizationCodeRequest, 'subject'> {
  /** Sent back as it came. */
  readonly state?: string | undefined
  /** The resource owner who agreed. */
  readonly subject?: string | undefined
  /** Instead of an agreement: `new AccessDenied()`, or whatever else stands in the way. */
  readonly error?: unknown
}

/**
 * The finished redirection URL, for people with an authorization endpoint of their own. What is wrong with the request is in the URL, as the protocol wants
 * it, but for a client or redirection URI that is not known.
 *
 * @throws InvalidRequest for an unknown client or redirect_uri: show a page, and do not redirect.
 */
export async function authorizationResponse(options: ServerOptions, request: AuthorizationResponseRequest): Promise<string> {
  const configuration = configure(options)
  const { subject = '', state, error, ...rest } = request
  const client = await knownClient(configuration, request.client_id)
  const redirect_uri = registeredRedirectUri(client, request.redirect_uri)
  try {
    if (error !== undefined) throw toOAuthError(error)
    const code = await issueAuthorizationCode(options, { ...rest, subject })
    return redirectionUrl(configuration, redirect_uri, { code, state })
  } catch (thrown) {
    // A mistake of the application is not the client's to hear about.
    if (thrown instanceof TypeError) throw thrown
    return errorUrl(configuration, redirect_uri, state, reportRefusal(configuration, 'authorization', thrown, client.client_id))
  }
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

/**
 * The authorization request (RFC 6749 §4.1.1): read and checked before anybody is asked.
 *
 * 1. `readRedirection`: client and redirection URI. When these are wrong there is nobody to send an answer to: an error page, never a redirect.
 * 2. `readAuthorizationRequest`: all the rest. What is wrong here goes back to the client.
 *
 * @see RFC 6749 §4.1.2.1, RFC 7636 §4.3, RFC 8707 §2.1
 */
import type { CodeChallenge } from '../authorization.js'
import type { Client } from '../clients.js'
import type { Configuration } from '../configuration.js'
import { InvalidRequest, OAuthError, UnauthorizedClient } from '../errors.js'
import type { Form, Parameters } from '../protocol.js'
import { grantableResources } from '../resources.js'
import { grantableScope, type Scope } from '../scope.js'
import { allowedScopeOf, readAskedScope } from './asked-scope.js'
import { knownClient, readChallenge, registeredRedirectUri } from './authorization-code.js'

/** Where the answer goes. */
export interface Redirection {
  readonly client: Client
  readonly redirect_uri: string
  readonly state: string | undefined
}

/** A request that may be put before the resource owner: what a login or consent page needs to know. */
export interface AuthorizationRequest {
  readonly client_id: string
  /** What the client is, for people: `name` falls back to the `client_id`. None of it was verified. */
  readonly client: {
    readonly name: string
    readonly uri: string | undefined
    readonly logo_uri: string | undefined
    readonly policy_uri: string | undefined
    readonly tos_uri: string | undefined
    /** The host that the answer goes to, or the scheme where it has none. */
    readonly redirectHost: string
    /** Whether all its redirection URIs are on the person's own machine: then anything there may be the client. */
    readonly isLoopbackOnly: boolean
  }
  readonly redirect_uri: string
  readonly scope: Scope
  readonly resource: readonly string[]
  /** Everything in the request, untrusted: `prompt`, `login_hint`, `ui_locales`, … */
  readonly parameters: Parameters
  /** Path and query to come back to after a login: the request as it came. */
  readonly url: string
  /** For a consent page of your own: send it back in a hidden field named `confirmation`. Bound to this request and this browser. */
  readonly confirmation: string
}

/** The request, and what the code will be bound to. */
export interface CheckedRequest {
  readonly scope: Scope
  readonly resource: readonly string[]
  readonly pkce: CodeChallenge
}

/**
 * Client and redirection URI.
 *
 * @throws OAuthError that must not be sent to the redirection URI.
 */
export async function readRedirection(configuration: Configuration, { parameters }: Form): Promise<Redirection> {
  const { client_id, redirect_uri, state } = parameters
  if (client_id === undefined) throw new InvalidRequest('client_id is required')
  const client = await knownClient(configuration, client_id)
  return { client, redirect_uri: registeredRedirectUri(client, redirect_uri), state }
}

/**
 * Everything else.
 *
 * @throws OAuthError that goes back to the client.
 */
export function readAuthorizationRequest(configuration: Configuration, client: Client, form: Form): CheckedRequest {
  const { parameters, resource } = form
  // RFC 6749 §4.1.1: response_type is required and must be code
  if (parameters.response_type === undefined) throw new InvalidRequest('response_type is required')
  if (parameters.response_type !== 'code') throw new OAuthError('unsupported_response_type', 'response_type must be code')
  if ((parameters.response_mode ?? 'query') !== 'query') throw new InvalidRequest('response_mode must be query')
  // RFC 9101 §5.2: no request is fetched from anywhere; one that was pushed has been opened before
  if (parameters.request_uri !== undefined)
    throw new OAuthError('request_uri_not_supported', 'request_uri must be one that was pushed here')
  // RFC 9101 §6.3: nor is a request object read
  if (parameters.request !== undefined) throw new OAuthError('request_not_supported', 'request objects are not supported')
  if (!client.grant_types.includes('authorization_code') || !configuration.grants.has('authorization_code')) throw new UnauthorizedClient()
  const pkce = readChallenge(client, parameters)
  const requested = readAskedScope(configuration, client, parameters.scope)
  const allowed = allowedScopeOf(configuration, client, requested)
  return {
    pkce,
    scope: grantableScope({ requested, allowed, fallback: client.defaultScope }),
    resource: grantableResources(resource, configuration.resources),
  }
}

/** RFC 7591 §5: what the client says is a page must not be a script. */
function webPage(uri: string | undefined): string | undefined {
  return uri !== undefined && /^https?:\/\//i.test(uri) && URL.canParse(uri) ? uri : undefined
}

/** What may be shown of a client. */
export function describeClient({ client_id, redirect_uris, metadata }: Client, redirect_uri: string): AuthorizationRequest['client'] {
  const { protocol, host } = new URL(redirect_uri)
  return {
    name: metadata.client_name?.trim() ? metadata.client_name : client_id,
    uri: webPage(metadata.client_uri),
    logo_uri: webPage(metadata.logo_uri),
    policy_uri: webPage(metadata.policy_uri),
    tos_uri: webPage(metadata.tos_uri),
    // RFC 8252 §7.1: under a scheme of its own, what looks like a host is no place that anybody is taken to
    redirectHost: protocol === 'https:' || protocol === 'http:' ? host : protocol,
    isLoopbackOnly: redirect_uris.every((uri) => /^http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost)(?=[:/?]|$)/.test(uri)),
  }
}

/**
 * The authorization request (RFC 6749 §4.1.1): read and checked before anybody is asked.
 *
 * 1. `readRedirection`: client and redirection URI. When these are wrong there is nobody to send an answer to: an error page, never a redirect.
 * 2. `readAuthorizationRequest`: all the rest. What is wrong here goes back to the client.
 *
 * @see RFC 6749 §4.1.2.1, RFC 7636 §4.3, RFC 8707 §2.1, OpenID Connect Core 1.0 §3.1.2.1 (`prompt`)
 */
import type { CodeChallenge } from '../../authorization/authorization.js'
import type { LookUpRequest } from '../../clients/cache.js'
import { isStranger, type Client } from '../../clients/client.js'
import type { Configuration } from '../../configuration/configure.js'
import { InvalidRequest, OAuthError, UnauthorizedClient } from '../../errors.js'
import type { Form, Parameters } from '../../http/message.js'
import { isOnLoopback, isWebPage } from '../../clients/redirect-uri.js'
import { grantableResources } from '../../authorization/resources.js'
import { grantableScope, type Scope } from '../../authorization/scope.js'
import { visibleText } from '../../visible-text.js'
import { allowedScopeOf, readAskedScope } from '../token/asked-scope.js'
import { readChallenge } from './code-challenge.js'
import { knownClient, registeredRedirectUri } from './redirection.js'

/** Where the answer goes. */
export interface Redirection {
  readonly client: Client
  readonly redirect_uri: string
  readonly state: string | undefined
}

/** A request that may be put before the resource owner: what a login or consent page needs to know. */
export interface AuthorizationRequest {
  readonly client_id: string
  /** What the client is, for people. None of it was verified but `isStranger`, `documentHost` and `redirectHost`. */
  readonly client: {
    /** Its name, without characters that cannot be seen or that turn the direction of text; else its `client_id`. */
    readonly name: string
    /** True when the client has registered itself, or is a metadata document: nobody whom you know says what it is. */
    readonly isStranger: boolean
    /** The host of a `client_id` that is the URL of a metadata document: the only thing about such a client that is certain. Show it. */
    readonly documentHost: string | undefined
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
  /** Where the request was pushed (RFC 9126), for `authorizationResponse` and `issueAuthorizationCode`: its `request_uri`. */
  readonly request_uri: string | undefined
  /** Everything in the request, untrusted: `prompt`, `login_hint`, `ui_locales`, … */
  readonly parameters: Parameters
  /** Path and query to come back to after a login: the request as it came. */
  readonly url: string
  /**
   * For a consent page of your own: send it back in a hidden field named `confirmation`, by POST, beside a field `decision`. `decision=allow` agrees, and
   * everything else denies. Bound to this request and this browser.
   */
  readonly confirmation: string
  /** True when an answer came that could not be confirmed, so that the person is asked again: a page of your own should say so. */
  readonly isAskedAgain: boolean
}

/** The request, and what the code will be bound to. */
export interface CheckedRequest {
  readonly scope: Scope
  readonly resource: readonly string[]
  readonly pkce: CodeChallenge
  /** Whether nothing may be shown: `prompt=none`. */
  readonly isSilent: boolean
}

/**
 * Client and redirection URI.
 *
 * @throws OAuthError that must not be sent to the redirection URI.
 */
export async function readRedirection(
  configuration: Pick<Configuration, 'findClientToAuthorize' | 'privateUseSchemes'>,
  { parameters }: Form,
  request?: LookUpRequest,
): Promise<Redirection> {
  const { client_id, redirect_uri, state } = parameters
  if (client_id === undefined) throw new InvalidRequest('client_id is required')
  const client = await knownClient(configuration, client_id, request)
  return { client, redirect_uri: registeredRedirectUri(client, redirect_uri, configuration), state }
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
  const isSilent = readPrompt(parameters.prompt)
  const pkce = readChallenge(client, parameters)
  const requested = readAskedScope(configuration, client, parameters.scope)
  const allowed = allowedScopeOf(configuration, client, requested)
  return {
    pkce,
    isSilent,
    scope: grantableScope({ requested, allowed, fallback: client.defaultScope }),
    resource: grantableResources(resource, configuration.resources),
  }
}

/** OpenID Connect Core 1.0 §3.1.2.1: prompt = value *( SP value ); `none` with any other value is an error. */
function readPrompt(prompt = ''): boolean {
  const values = prompt.split(' ').filter((value) => value !== '')
  if (!values.includes('none')) return false
  if (values.length > 1) throw new InvalidRequest('prompt must not be none together with other values')
  return true
}

/** RFC 7591 §5: what the client says is a page must not be a script. A URL parser escapes what cannot be seen. */
function webPage(uri: string | undefined): string | undefined {
  return isWebPage(uri) ? new URL(uri).href : undefined
}

/** What may be shown of a client. */
export function describeClient(client: Client, redirect_uri: string): AuthorizationRequest['client'] {
  const { client_id, source, redirect_uris, metadata } = client
  const name = visibleText(metadata.client_name ?? '')
  return {
    name: name === '' ? client_id : name,
    isStranger: isStranger(client),
    // draft-ietf-oauth-client-id-metadata-document, "OAuth Phishing Attacks": the server displays the hostname of the client_id
    documentHost: source === 'document' ? new URL(client_id).host : undefined,
    uri: webPage(metadata.client_uri),
    logo_uri: webPage(metadata.logo_uri),
    policy_uri: webPage(metadata.policy_uri),
    tos_uri: webPage(metadata.tos_uri),
    redirectHost: destinationOf(redirect_uri),
    isLoopbackOnly: redirect_uris.every(isOnLoopback),
  }
}

/** Where a redirection URI takes a person: the host. RFC 8252 §7.1: under a private-use scheme what looks like a host is no place, and the scheme is shown. */
export function destinationOf(redirect_uri: string): string {
  const { protocol, host } = new URL(redirect_uri)
  return protocol === 'https:' || protocol === 'http:' ? host : protocol
}

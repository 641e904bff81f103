/**
 * Authorization server metadata (RFC 8414), computed from the configuration: what is advertised is what is served.
 *
 * The token endpoint is always there, and the authorization endpoint wherever codes are granted. Another endpoint is named when a handler was made for it
 * with the same options, or when its place is said in the option `endpoints`: there a server for machines alone can name an authorization endpoint
 * too, since one client insists on it.
 */
import { jsonCopy, type JsonObject } from '../json.js'
import { configure, type Configuration } from '../configuration/configure.js'
import { ConfigurationError } from '../errors.js'
import { assertKnownKeys, assertObject } from '../option-checks/reader.js'
import type { ServerOptions } from '../configuration/options.js'
import { cacheableResponse, renderError, type ProtocolRequest, type ProtocolResponse } from '../http/message.js'
import { receivedRequest } from '../http/received-request.js'
import { offlineAccess } from '../authorization/scope.js'
import { isRead, notRead, readMaxAge, type CacheOptions } from './jwks.js'

/** Options of the metadata. */
export interface MetadataOptions extends CacheOptions {
  /** Members of your own, such as `service_documentation` or `userinfo_endpoint`. One that the server computes stops the start, present or not. */
  readonly extra?: JsonObject
}

/**
 * The metadata document.
 *
 * @throws ConfigurationError without `issuer`, and for members of your own that are null, or that the server computes.
 */
export function createMetadataResponse(options: ServerOptions, request: ProtocolRequest, about: MetadataOptions = {}): ProtocolResponse {
  const configuration = configure(options, 'createMetadataResponse')
  assertKnownKeys(about, ['maxAge', 'extra'], 'metadata', 'Members of your own go under "extra".')
  const { extra, ...cache } = about
  const document = { ...metadata(configuration), ...readExtra(extra) }
  const maxAge = readMaxAge(cache, 'metadata')
  return isRead(receivedRequest(request)) ? cacheableResponse(document, maxAge) : renderError(notRead('metadata'))
}

function readExtra(extra: unknown): object {
  if (extra === undefined) return {}
  const members = copyOf(assertObject(extra, 'metadata: extra'))
  for (const [name, value] of Object.entries(members)) {
    if (name === '__proto__' || computedMembers.includes(name))
      throw new ConfigurationError(`metadata: extra must not hold "${name}", which the server computes from its options`)
    // Some clients take null for a value
    if (value === null) throw new ConfigurationError(`metadata: extra.${name} must not be null; leave the member out`)
  }
  return members
}

/** As it would be sent, so that nothing changes later. */
function copyOf(extra: object): JsonObject {
  try {
    return jsonCopy(extra as JsonObject, 'extra')
  } catch {
    throw new ConfigurationError('metadata: extra must be an object of plain JSON')
  }
}

/** @throws ConfigurationError without `issuer`. */
function metadata(configuration: Configuration): object {
  const { issuer, grants, clientAuthenticationMethods } = configuration
  if (issuer === undefined) throw new ConfigurationError('metadata needs the option issuer, the https URL of this server (RFC 8414 §2)')
  const methods = clientAuthenticationMethods.map(({ name }) => name)
  const secretMethods = methods.filter((name) => name !== 'none')
  const hasCodes = grants.has('authorization_code')
  return withoutAbsent({
    issuer,
    // RFC 8414 §2: required unless no grant uses it
    authorization_endpoint: hasCodes ? endpointUrl(configuration, 'authorization') : endpointUrlIfServed(configuration, 'authorization'),
    token_endpoint: endpointUrlIfServed(configuration, 'token'),
    token_endpoint_auth_methods_supported: methods,
    revocation_endpoint: endpointUrlIfServed(configuration, 'revocation'),
    revocation_endpoint_auth_methods_supported: isServed(configuration, 'revocation') ? methods : undefined,
    introspection_endpoint: endpointUrlIfServed(configuration, 'introspection'),
    introspection_endpoint_auth_methods_supported: isServed(configuration, 'introspection') ? secretMethods : undefined,
    jwks_uri: endpointUrlIfServed(configuration, 'jwks'),
    registration_endpoint: endpointUrlIfServed(configuration, 'registration'),
    pushed_authorization_request_endpoint: endpointUrlIfServed(configuration, 'pushedAuthorization'),
    require_pushed_authorization_requests: configuration.requirePushedAuthorizationRequests ? true : undefined,
    client_id_metadata_document_supported: configuration.hasClientIdDocuments ? true : undefined,
    // RFC 9207 §3
    authorization_response_iss_parameter_supported: hasCodes && isServed(configuration, 'authorization') ? true : undefined,
    // RFC 9728 §4
    protected_resources: configuration.resources.size === 0 ? undefined : [...configuration.resources.values()],
    scopes_supported: supportedScopes(configuration),
    // RFC 8414 §2: response_types_supported is required; a server without codes has none
    response_types_supported: hasCodes ? ['code'] : [],
    response_modes_supported: hasCodes ? ['query'] : undefined,
    grant_types_supported: [...grants.keys()],
    code_challenge_methods_supported: hasCodes ? ['S256'] : undefined,
  })
}

/** OpenID Connect Core §11: `offline_access` is a scope of the server, wherever there are refresh tokens. */
function supportedScopes({ scopes, grants }: Configuration): readonly string[] | undefined {
  const supported = grants.has('refresh_token') && !scopes.includes(offlineAccess) ? [...scopes, offlineAccess] : scopes
  return supported.length === 0 ? undefined : supported
}

/** All that is computed, whether the server at hand has it or not. */
const computedMembers: readonly string[] = [
  'issuer', 'authorization_endpoint', 'token_endpoint', 'token_endpoint_auth_methods_supported', 'revocation_endpoint',
  'revocation_endpoint_auth_methods_supported', 'introspection_endpoint', 'introspection_endpoint_auth_methods_supported', 'jwks_uri',
  'registration_endpoint', 'pushed_authorization_request_endpoint', 'require_pushed_authorization_requests', 'client_id_metadata_document_supported',
  'authorization_response_iss_parameter_supported', 'protected_resources', 'scopes_supported', 'response_types_supported', 'response_modes_supported',
  'grant_types_supported', 'code_challenge_methods_supported',
] // prettier-ignore

/** The endpoints that may be advertised, and where they are unless the option `endpoints` says otherwise. */
const usualPaths = {
  authorization: '/oauth2/authorize',
  token: '/oauth2/token',
  revocation: '/oauth2/revoke',
  introspection: '/oauth2/introspect',
  jwks: '/oauth2/jwks',
  registration: '/oauth2/register',
  pushedAuthorization: '/oauth2/par',
} as const

/** The name of an endpoint in the option `endpoints`. */
export type EndpointName = keyof typeof usualPaths

function isServed({ endpoints, servedEndpoints }: Configuration, name: EndpointName): boolean {
  return name === 'token' || endpoints[name] !== undefined || servedEndpoints.has(name)
}

/** Where an endpoint is, as far as it is served; undefined where it is not. */
function endpointUrlIfServed(configuration: Configuration, name: EndpointName): string | undefined {
  return isServed(configuration, name) ? endpointUrl(configuration, name) : undefined
}

/** Where an endpoint is, or would be. */
export function endpointUrl({ issuer = '', endpoints }: Configuration, name: EndpointName): string {
  const place = endpoints[name] ?? usualPaths[name]
  return URL.canParse(place) ? place : issuer.replace(/\/$/, '') + place
}

/** No member is null: some clients take that for a value. */
function withoutAbsent(members: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

/**
 * Protected resource metadata (RFC 9728): how a client that met a 401 finds the authorization server.
 */
import { configure } from '../../configuration/configure.js'
import { ConfigurationError } from '../../errors.js'
import { assertKnownKeys, assertObject, OptionReader } from '../../option-checks/reader.js'
import type { ServerOptions } from '../../configuration/options.js'
import { cacheableResponse, renderError, type ProtocolRequest, type ProtocolResponse } from '../../http/message.js'
import { receivedRequest } from '../../http/received-request.js'
import { comparableResource } from '../../authorization/resources.js'
import { isRead, notRead } from '../jwks.js'

/** What a resource says about itself. */
export interface ProtectedResourceOptions {
  /** One of the server's `resources`. Default: the only one. */
  readonly resource?: string
  /** The scopes that it needs. Default: all of the server's, but `offline_access`. */
  readonly scopes?: readonly string[]
  /** Its name, for people. */
  readonly name?: string
  /** Seconds for which the document may be cached. Default 300. */
  readonly maxAge?: number
}

/**
 * The place of the document: the well-known path goes between host and path of the resource.
 *
 * @see RFC 9728 §3.1
 */
export function resourceMetadataUrl(resource: string): string {
  const { origin, pathname, search } = new URL(resource)
  return `${origin}/.well-known/oauth-protected-resource${pathname === '/' ? '' : pathname}${search}`
}

/**
 * The document.
 *
 * @throws ConfigurationError without `issuer`, and for a resource that the server does not have.
 */
export function createProtectedResourceResponse(
  options: ServerOptions,
  request: ProtocolRequest,
  about: ProtectedResourceOptions = {},
): ProtocolResponse {
  const { issuer, resources, scopes, bodyTokenResources } = configure(options)
  const reader = new OptionReader(readMembers(about), 'protectedResourceHandler: ')
  if (issuer === undefined)
    throw new ConfigurationError('protectedResourceHandler needs the option issuer, the https URL of the authorization server')
  const named = reader.text('resource')
  const resource = named === undefined ? onlyOne([...resources.values()]) : resources.get(comparableResource(named) ?? '')
  if (resource === undefined) throw new ConfigurationError('protectedResourceHandler: resource must be one of the option resources')
  const name = reader.text('name')
  const document = {
    resource,
    // RFC 9728 §2: byte for byte the issuer, which clients compare
    authorization_servers: [issuer],
    scopes_supported: (reader.texts('scopes') ?? scopes).filter((token) => token !== 'offline_access'),
    bearer_methods_supported: bodyTokenResources.has(resource) || bodyTokenResources.has('') ? ['header', 'body'] : ['header'],
    ...(name === undefined ? {} : { resource_name: name }),
  }
  const { headers, ...response } = isRead(receivedRequest(request))
    ? cacheableResponse(document, reader.whole('maxAge', 300, 0, 86_400))
    : renderError(notRead('metadata'))
  // Anybody may read it, browsers on other pages too.
  return { ...response, headers: { ...headers, 'Access-Control-Allow-Origin': '*' } }
}

function readMembers(about: ProtectedResourceOptions) {
  const members = assertObject(about, 'protectedResourceHandler: the second argument')
  assertKnownKeys(members, ['resource', 'scopes', 'name', 'maxAge'], 'protectedResourceHandler')
  return members
}

function onlyOne(texts: readonly string[]): string | undefined {
  return texts.length === 1 ? texts[0] : undefined
}

/**
 * A whole authorization server as one handler, for an application that has a login: every endpoint at its usual place.
 */
import { authorizationHandler, type AuthorizationHandlerOptions, type Decide } from './authorization-handler.js'
import { configure, expectRegistration } from './configuration.js'
import { ConfigurationError } from './errors.js'
import {
  introspectionHandler,
  jwksHandler,
  metadataHandler,
  protectedResourceHandler,
  pushedAuthorizationHandler,
  registrationHandler,
  revocationHandler,
  tokenHandler,
  type RegistrationOptions,
} from './handlers.js'
import type { Handler, HostRequest, Next } from './host.js'
import { resourceMetadataUrl } from './endpoints/protected-resource-metadata.js'
import { endpointUrl, type EndpointName } from './endpoints/metadata.js'
import { assertKnownKeys, assertObject } from './option-checks.js'
import type { ServerOptions } from './options.js'
import type { ServerResponse } from 'node:http'

/** What the server is made of, beside its options. */
export interface AuthorizationServerParts extends AuthorizationHandlerOptions {
  /** The application's part of the authorization endpoint: who is logged in? */
  readonly authorize: Decide
  /** Dynamic registration: true, or its options. Default false. */
  readonly registration?: boolean | RegistrationOptions
  /** Also answer at `/.well-known/openid-configuration`, where some clients look. Default false. */
  readonly openidConfiguration?: boolean
}

/**
 * Serves authorization, tokens, revocation, introspection, pushed requests, keys, registration and the metadata of server and resources, each at its place under
 * `issuer`; every other request goes on to the next handler. Mount it at the root: `app.use(authorizationServer(options, { authorize }))`.
 *
 * @throws ConfigurationError when the options are wrong, or without `issuer`.
 */
export function authorizationServer(options: ServerOptions, parts: AuthorizationServerParts): Handler {
  if (parts.registration !== undefined && parts.registration !== false) expectRegistration(options)
  const configuration = configure(options)
  assertKnownKeys(
    assertObject(parts, 'authorizationServer: the second argument'),
    ['authorize', 'registration', 'openidConfiguration', 'texts'],
    'authorizationServer',
  )
  const { issuer } = configuration
  if (issuer === undefined) throw new ConfigurationError('authorizationServer needs the option issuer, the https URL of this server')
  const { authorize, registration = false, openidConfiguration = false, texts = {} } = parts
  const routes = new Map<string, Handler>()
  const at = (name: EndpointName, handler: Handler) => routes.set(pathOf(endpointUrl(configuration, name)), handler)
  at('token', tokenHandler(options))
  at('revocation', revocationHandler(options))
  at('introspection', introspectionHandler(options))
  if (configuration.grants.has('authorization_code')) {
    at('pushedAuthorization', pushedAuthorizationHandler(options))
    at('authorization', authorizationHandler(options, authorize, { texts }))
  }
  if (registration !== false) at('registration', registrationHandler(options, registration === true ? {} : registration))
  if (configuration.accessTokenFormat.jwks !== undefined) at('jwks', jwksHandler(options))
  addDocuments(routes, options, issuer, openidConfiguration)
  return function serve(req: HostRequest, res: ServerResponse, next?: Next): void {
    const handler = routes.get(pathOf(req.originalUrl ?? req.url ?? ''))
    if (handler !== undefined) handler(req, res, next)
    else if (next !== undefined) next()
    else notFound(req, res)
  }
}

/** RFC 8414 §3, RFC 9728 §3: the well-known path goes between host and path. */
function addDocuments(routes: Map<string, Handler>, options: ServerOptions, issuer: string, openidConfiguration: boolean): void {
  const { resources } = configure(options)
  const metadata = metadataHandler(options)
  const path = pathOf(issuer) === '/' ? '' : pathOf(issuer)
  routes.set(`/.well-known/oauth-authorization-server${path}`, metadata)
  if (openidConfiguration) routes.set(`/.well-known/openid-configuration${path}`, metadata)
  const byPath = new Map<string, Map<string, Handler>>()
  for (const resource of resources.values()) {
    const { pathname, host, search } = new URL(resourceMetadataUrl(resource))
    const documents = byPath.get(pathOf(pathname)) ?? new Map<string, Handler>()
    byPath.set(pathOf(pathname), documents.set(host + search, protectedResourceHandler(options, { resource })))
  }
  for (const [place, documents] of byPath) routes.set(place, oneOf(documents))
}

/** Resources on several hosts, or with a query, may have their documents at the same path: RFC 9728 §3.3 wants that of the resource asked about. */
function oneOf(documents: ReadonlyMap<string, Handler>): Handler {
  const [first = notFound] = documents.values()
  return function serveDocument(req, res, next): void {
    const search = /\?[^#]*/.exec(req.originalUrl ?? req.url ?? '')?.[0] ?? ''
    const handler = documents.get((req.headers.host ?? '').toLowerCase() + search) ?? first
    handler(req, res, next)
  }
}

const notFound: Handler = (_req, res) => void res.writeHead(404).end()

/** The path of a URL or request target, without a slash at its end. */
function pathOf(url: string): string {
  const path = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*([^?#]*)/i.exec(url)?.[1] ?? url.split('?', 1)[0] ?? ''
  return path === '' || path === '/' ? '/' : path.replace(/\/$/, '')
}

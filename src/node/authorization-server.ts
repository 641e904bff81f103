/**
 * A whole authorization server as one handler, for an application that has a login: every endpoint at its usual place.
 */
import { authorizationHandler, type AuthorizationHandlerOptions, type Decide } from './authorization-handler.js'
import { assertOrder, readSecondArgument } from '../option-checks/arguments.js'
import { configure, expectRegistration, type Configuration } from '../configuration/configure.js'
import { ConfigurationError } from '../errors.js'
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
import { resourceMetadataUrl } from '../endpoints/resource/metadata.js'
import { endpointUrl, type EndpointName, type MetadataOptions } from '../endpoints/metadata.js'
import { watchMount } from './mounting.js'
import { kindOf } from '../option-checks/reader.js'
import type { ServerOptions } from '../configuration/options.js'
import { pathOf } from './request-path.js'
import type { ServerResponse } from 'node:http'

/** What the server is made of, beside its options. */
export interface AuthorizationServerParts extends AuthorizationHandlerOptions {
  /** The application's part of the authorization endpoint: who is logged in? */
  readonly authorize: Decide
  /** Dynamic registration: true, or its options. Default false. */
  readonly registration?: boolean | RegistrationOptions
  /**
   * Also answer at `/.well-known/openid-configuration`, where some clients look: with the path of the issuer before it (OpenID Connect Discovery §4) and
   * behind it (RFC 8414 §5). Default false.
   */
  readonly openidConfiguration?: boolean
  /** Members of the metadata beside those that are computed, and how long they may be cached. */
  readonly metadata?: MetadataOptions
  /**
   * The path of the issuer as it arrives here, where that is another: `'/'` behind a proxy that takes the path of the issuer off, or the path below which
   * a proxy has this application. Default: the path of the issuer.
   */
  readonly mountPath?: string
}

/**
 * Serves authorization, tokens, revocation, introspection, pushed requests, keys, registration and the metadata of server and resources, each at its place under
 * `issuer`; every other request goes on to the next handler. Mount it at the root: `app.use(authorizationServer(options, { authorize }))`.
 *
 * @throws ConfigurationError when the options are wrong, or without `issuer`.
 */
export function authorizationServer(options: ServerOptions, parts: AuthorizationServerParts): Handler {
  const { registration = false } = isPartial(parts) ? parts : {}
  if (registration !== false) expectRegistration(options)
  assertOrder(options, parts, 'authorizationServer')
  const configuration = configure(options, 'authorizationServer')
  const issuer = assertParts(parts, options, configuration)
  const { authorize, openidConfiguration = false, texts = {}, metadata = {} } = parts
  const places = readPlaces(issuer, parts.mountPath)
  const routes = new Map<string, Handler>()
  const at = (name: EndpointName, handler: Handler) => routes.set(places.arriving(pathOf(endpointUrl(configuration, name))), handler)
  at('token', tokenHandler(options))
  at('revocation', revocationHandler(options))
  at('introspection', introspectionHandler(options))
  if (configuration.grants.has('authorization_code')) {
    at('pushedAuthorization', pushedAuthorizationHandler(options))
    at('authorization', authorizationHandler(options, asPublished(authorize, places), { texts }))
  }
  if (registration !== false) at('registration', registrationHandler(options, registration === true ? {} : registration))
  if (configuration.accessTokenFormat.jwks !== undefined) at('jwks', jwksHandler(options))
  const noteMiss = watchForMisses([...routes.keys()], places, configuration)
  const noteMount = parts.mountPath === undefined ? watchMount(configuration, places.mount) : undefined
  const endpoints = new Set(routes.keys())
  addDocuments(routes, options, places, metadata, openidConfiguration)
  return function serve(req: HostRequest, res: ServerResponse, next?: Next): void {
    const path = pathOf(req.originalUrl ?? req.url ?? '')
    const handler = routes.get(path)
    if (handler !== undefined) noteMount?.(req)
    noteMiss(path, endpoints.has(path))
    if (handler !== undefined) handler(req, res, next)
    else if (next !== undefined) next()
    else notFound(req, res)
  }
}

const partNames: readonly string[] = [
  'authorize',
  'registration',
  'openidConfiguration',
  'texts',
  'metadata',
  'mountPath',
] satisfies (keyof AuthorizationServerParts)[]

function isPartial(parts: unknown): parts is Partial<AuthorizationServerParts> {
  return typeof parts === 'object' && parts !== null
}

/** The issuer. @throws ConfigurationError when it or a part is missing. */
function assertParts(parts: unknown, options: ServerOptions, { grants, issuer }: Configuration): string {
  const shape = 'authorizationServer(oauth, { authorize(request, req, res) { … } })'
  if (parts === undefined) throw new ConfigurationError(`authorizationServer: the second argument is missing; write ${shape}`)
  if (typeof parts === 'function') throw new ConfigurationError(`authorizationServer: the second argument is an object; write ${shape}`)
  const { authorize, openidConfiguration = false } = readSecondArgument(parts, partNames, 'authorizationServer')
  if (typeof openidConfiguration !== 'boolean')
    throw new ConfigurationError(`authorizationServer: openidConfiguration must be true or false, not ${kindOf(openidConfiguration)}`)
  if (issuer === undefined)
    throw new ConfigurationError(
      "authorizationServer needs the option issuer, the https URL of this server, as in 'https://auth.example.com'",
    )
  if (typeof authorize === 'function' || !grants.has('authorization_code')) return issuer
  const other = options.authorize === undefined ? '' : '; the option authorize is another thing, a rule before tokens are issued'
  throw new ConfigurationError(
    `authorizationServer: the second argument needs the function authorize, not ${kindOf(authorize)}; write ${shape}${other}`,
  )
}

/** The path of the issuer, as everybody knows it and as it arrives. Neither ends with a slash. */
interface Places {
  readonly published: string
  readonly mount: string
  /** A path under the issuer, as it arrives. */
  readonly arriving: (path: string) => string
}

function readPlaces(issuer: string, mountPath: unknown): Places {
  const isPath = typeof mountPath === 'string' && /^\/[^?#\s]*$/.test(mountPath)
  if (mountPath !== undefined && !isPath)
    throw new ConfigurationError("authorizationServer: mountPath must be a path that begins with '/', as in '/' or '/auth'")
  const published = withoutRoot(pathOf(issuer))
  const mount = mountPath === undefined ? published : withoutRoot(pathOf(mountPath))
  return { published, mount, arriving: (path) => movedFrom(published, mount, path) }
}

function withoutRoot(path: string): string {
  return path === '/' ? '' : path
}

function movedFrom(before: string, after: string, path: string): string {
  return before === after || !(path === before || path.startsWith(`${before}/`)) ? path : after + path.slice(before.length)
}

/** The application reads of an authorization request at which address the browser comes back to it. */
function asPublished(authorize: Decide, { published, mount }: Places): Decide {
  if (published === mount || typeof authorize !== 'function') return authorize
  return (request, req, res) => authorize({ ...request, url: movedFrom(mount, published, request.url) }, req, res)
}

/**
 * Says once that no request finds an endpoint, where one arrives that would be for an endpoint if it came under another path: behind a proxy that takes a
 * path off, or with a mount that adds one. After the first hit nothing is watched any more.
 */
function watchForMisses(
  endpoints: readonly string[],
  { mount }: Places,
  { warn }: Configuration,
): (path: string, isEndpoint: boolean) => void {
  let isOver = false
  return function noteMiss(path, isEndpoint): void {
    if (isOver) return
    if (isEndpoint) isOver = true
    // The name of a place of ours is said, never the path that a stranger asked for.
    const near = isEndpoint ? undefined : endpoints.find((endpoint) => path.endsWith(movedFrom(mount, '', endpoint)))
    if (near === undefined) return
    isOver = true
    warn(
      `authorizationServer answers at ${near}, and a request for that endpoint came under another path: where a proxy changes the path, or the handler is ` +
        "mounted below one, set mountPath to the path of the issuer as it arrives, as in { authorize, mountPath: '/' }",
    )
  }
}

/** RFC 8414 §3, RFC 9728 §3: the well-known path goes between host and path. With `mountPath` the documents are there too. */
function addDocuments(
  routes: Map<string, Handler>,
  options: ServerOptions,
  { published, mount }: Places,
  about: MetadataOptions,
  openidConfiguration: boolean,
): void {
  const { resources } = configure(options)
  const metadata = metadataHandler(options, about)
  for (const name of openidConfiguration ? ['oauth-authorization-server', 'openid-configuration'] : ['oauth-authorization-server']) {
    routes.set(`/.well-known/${name}${published}`, metadata)
    // OpenID Connect Discovery §4: the well-known path goes behind the path of the issuer
    if (mount !== published || name === 'openid-configuration') routes.set(`${mount}/.well-known/${name}`, metadata)
  }
  const byPath = new Map<string, Map<string, Handler>>()
  for (const resource of resources.values()) {
    const { pathname, host, search } = new URL(resourceMetadataUrl(resource))
    const documents = byPath.get(pathOf(pathname)) ?? new Map<string, Handler>()
    byPath.set(pathOf(pathname), documents.set(host + search, protectedResourceHandler(options, { resource })))
  }
  for (const [place, documents] of byPath) {
    routes.set(place, oneOf(documents))
    if (mount !== published) routes.set(mount + place, oneOf(documents))
  }
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

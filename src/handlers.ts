/**
 * The shell: handlers for Express, Connect and bare node:http. The only file that knows `req`, `res` and `next`.
 *
 * Each handler reads the request into plain data, asks an endpoint, and sends what it answers. It uses of the framework only what
 * node:http has too, and reads what Express adds (`secure`, `originalUrl`, `body`) where it is there.
 */
import bodyParser from 'body-parser'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { configure, type Configuration } from './configuration.js'
import { checkAccessToken, type AccessTokenCheck, type AccessTokenDemand, type AuthInfo } from './endpoints/protected-resource.js'
import { createIntrospectionResponse } from './endpoints/introspection.js'
import { createRevocationResponse } from './endpoints/revocation.js'
import { createTokenResponse } from './endpoints/token.js'
import { reportRefusal } from './endpoints/refusal.js'
import { ConfigurationError, InvalidRequest, ServerError } from './errors.js'
import { assertKnownKeys, assertObject, OptionReader } from './option-checks.js'
import type { ServerOptions } from './options.js'
import { bodyTooLarge, renderError, type Context, type HeaderFields, type ProtocolRequest, type ProtocolResponse } from './protocol.js'
import { isScopeToken, type Scope } from './scope.js'

/** A request as node:http has it, with what Express and body parsers may have added. */
export interface HostRequest extends IncomingMessage {
  readonly originalUrl?: string | undefined
  readonly secure?: boolean | undefined
  body?: unknown
  auth?: unknown
}

/** Calls the next handler, where there is one. */
export type Next = (error?: unknown) => void

/** A handler for Express, Connect, and node:http. */
export type Handler = (req: HostRequest, res: ServerResponse, next?: Next) => void

/**
 * The token endpoint (RFC 6749 §3.2). Mount it with `app.post` or `app.use`; it answers every request it gets, and never calls `next`.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export function tokenHandler(options: ServerOptions): Handler {
  const configuration = configure(options)
  markShared(configuration)
  return function handleToken(req, res, _next): void {
    void answer(configuration, 'token', req, res, (request) => createTokenResponse(options, request))
  }
}

/** The revocation endpoint (RFC 7009). Options and mounting as for {@link tokenHandler}. */
export function revocationHandler(options: ServerOptions): Handler {
  const configuration = configure(options)
  return function handleRevocation(req, res, _next): void {
    warnIfAlone(configuration, 'revocationHandler')
    void answer(configuration, 'revocation', req, res, (request) => createRevocationResponse(options, request))
  }
}

/** The introspection endpoint (RFC 7662). Options and mounting as for {@link tokenHandler}. */
export function introspectionHandler(options: ServerOptions): Handler {
  const configuration = configure(options)
  return function handleIntrospection(req, res, _next): void {
    warnIfAlone(configuration, 'introspectionHandler')
    void answer(configuration, 'introspection', req, res, (request) => createIntrospectionResponse(options, request))
  }
}

/** Options of {@link requireAccessToken}. */
export interface AccessTokenRequirement {
  /** The scope that is needed, as a list or separated by spaces; all of it. Default: none. */
  readonly scope?: string | readonly string[]
  /** True: a request without a token passes, without `req.auth`. A bad token is refused all the same. Default false. */
  readonly optional?: boolean
  /** True: `access_token` in a form body that the application has parsed is accepted (RFC 6750 §2.2). Default false. */
  readonly allowBodyToken?: boolean
}

/**
 * Lets a request pass that carries an active access token with the scope, and sets `req.auth` ({@link AuthInfo}). Anything else is answered 401 or
 * 403 with a challenge (RFC 6750 §3), or 503 when the store fails.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export function requireAccessToken(options: ServerOptions, requirement: AccessTokenRequirement = {}): Handler {
  const configuration = configure(options)
  const demand = readRequirement(configuration, requirement)
  const isOptional = requirement.optional === true
  return function guard(req, res, next): void {
    warnIfAlone(configuration, 'requireAccessToken')
    void check(configuration, req, demand).then((checked) => {
      if (checked.outcome === 'accepted') req.auth = checked.auth
      if (checked.outcome === 'accepted' || (isOptional && checked.outcome === 'absent')) next?.()
      else send(res, checked.response)
    })
  }
}

async function check(configuration: Configuration, req: HostRequest, demand: AccessTokenDemand): Promise<AccessTokenCheck> {
  try {
    return await checkAccessToken(configuration, plainRequest(req, configuration), demand)
  } catch (thrown) {
    return { outcome: 'refused', response: renderError(reportRefusal(configuration, 'resource', thrown), configuration.errorUri) }
  }
}

function readRequirement({ scopes }: Configuration, requirement: AccessTokenRequirement): AccessTokenDemand {
  const members = assertObject(requirement, 'requireAccessToken: the second argument')
  assertKnownKeys(members, ['scope', 'optional', 'allowBodyToken'], 'requireAccessToken')
  const reader = new OptionReader(members, 'requireAccessToken: ')
  reader.boolean('optional', false)
  const allowBodyToken = reader.boolean('allowBodyToken', false)
  const { scope = [] }: { scope?: unknown } = requirement
  const tokens: unknown = typeof scope === 'string' ? scope.split(' ').filter((token) => token !== '') : scope
  if (!isListOfTexts(tokens)) throw new ConfigurationError('requireAccessToken: scope must be a string or an array of strings')
  for (const token of tokens) {
    if (isScopeToken(token) && scopes.includes(token)) continue
    throw new ConfigurationError(
      `requireAccessToken: scope "${token}" is not among the server's scopes, so no token can have it; add it to the option scopes`,
    )
  }
  return { scope: tokens, allowBodyToken }
}

function isListOfTexts(value: unknown): value is Scope {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

const withTokenHandler = new WeakSet<Configuration>()

function markShared(configuration: Configuration): void {
  withTokenHandler.add(configuration)
}

/** A default store that no token handler shares never holds a token: the options object was copied where it should be shared. */
function warnIfAlone(configuration: Configuration, name: string): void {
  if (!configuration.usesDefaultStore || withTokenHandler.has(configuration)) return
  configuration.warn(
    `${name} has a memory store of its own that no tokenHandler shares; give both the same options object, or set the option store`,
  )
}

async function answer(
  configuration: Configuration,
  endpoint: string,
  req: HostRequest,
  res: ServerResponse,
  respond: (request: ProtocolRequest) => Promise<ProtocolResponse>,
): Promise<void> {
  try {
    const request = plainRequest(req, configuration)
    if (request.secure === false) warnOfInsecureTransport(configuration)
    const context = await readContext(configuration, req)
    send(res, await respond({ ...request, context, body: () => readBody(req, res, configuration) }))
  } catch (thrown) {
    send(res, renderError(reportRefusal(configuration, endpoint, thrown), configuration.errorUri))
  }
}

/** The request as plain data, its body only where something has parsed it already. */
function plainRequest(req: HostRequest, configuration: Configuration): ProtocolRequest {
  return {
    method: req.method ?? '',
    url: req.originalUrl ?? req.url ?? '',
    headers: headerFields(req),
    secure: isSecure(req, configuration),
    body: req.body,
  }
}

/** node:http keeps the first of two Authorization fields; an endpoint has to see both to refuse them. */
function headerFields(req: IncomingMessage): HeaderFields {
  const raw = req.rawHeaders
  const values = raw.filter((_value, index) => index % 2 === 1 && raw[index - 1]?.toLowerCase() === 'authorization')
  return values.length > 1 ? { ...req.headers, authorization: values } : req.headers
}

function isSecure(req: HostRequest, { trustProxy }: Configuration): boolean {
  const forwarded = req.headers['x-forwarded-proto']
  if (trustProxy !== undefined && forwarded !== undefined && trustProxy(peerAddress(req))) {
    return String(forwarded).split(',').every((protocol) => protocol.trim().toLowerCase() === 'https') // prettier-ignore
  }
  return req.secure ?? ('encrypted' in req.socket && req.socket.encrypted === true)
}

// RFC 4291 §2.5.5.2: a socket for both families has an IPv4 address as ::ffff:a.b.c.d
function peerAddress({ socket }: IncomingMessage): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '')
}

function warnOfInsecureTransport({ allowInsecureTransport, warn }: Configuration): void {
  if (allowInsecureTransport) return
  warn(
    'refused a request over plain http. On your own machine set allowInsecureTransport: true; behind a TLS proxy set ' +
      'Express\' "trust proxy", or elsewhere the option trustProxy: (address) => boolean',
  )
}

async function readContext({ context }: Configuration, req: HostRequest): Promise<Context> {
  if (context === undefined) return {}
  const answered: unknown = await (context as (req: HostRequest) => unknown)(req)
  if (typeof answered === 'object' && answered !== null) return answered as Context
  throw new ServerError(undefined, { reason: 'the option context answered something else than an object' })
}

/** The body, unless the application has read it: then what it made of it. */
async function readBody(req: HostRequest, res: ServerResponse, configuration: Configuration): Promise<unknown> {
  const { body } = req
  const isParsed = body !== undefined && body !== null && (req.readableDidRead || !isEmptyObject(body))
  if (isParsed) return body
  if (req.readableDidRead) {
    // node:http throws a body away when the request is answered, as by a timeout of the application
    if (res.headersSent) throw new InvalidRequest('the request was answered elsewhere')
    configuration.warn(
      'a request body was read before it reached the handler and nothing is left of it; mount the handler before what reads it, or leave it in req.body',
    )
    throw new ServerError(undefined, { reason: 'the body was consumed before it reached the handler' })
  }
  return readRawBody(req, res, configuration)
}

function isEmptyObject(body: unknown): boolean {
  return typeof body === 'object' && body !== null && !Buffer.isBuffer(body) && Object.keys(body).length === 0
}

type RawReader = (req: HostRequest, res: ServerResponse, next: Next) => void
const rawReaders = new WeakMap<Configuration, RawReader>()

function readRawBody(req: HostRequest, res: ServerResponse, configuration: Configuration): Promise<unknown> {
  const { maxBodySize } = configuration
  if (Number(req.headers['content-length']) > maxBodySize) throw bodyTooLarge()
  const reader = rawReaders.get(configuration) ?? bodyParser.raw({ type: () => true, limit: maxBodySize, inflate: false })
  rawReaders.set(configuration, reader)
  return new Promise((resolve, reject) => {
    onceTooLarge(req, maxBodySize, () => reject(bodyTooLarge()))
    reader(req, res, (error) => {
      const { body } = req
      // Nobody after this finds credentials in the request.
      req.body = undefined
      if (error === undefined) resolve(Buffer.isBuffer(body) ? body : undefined)
      else reject(new InvalidRequest('the body could not be read', { cause: error }))
    })
  })
}

/** body-parser tells of too large a body at its end only: a client that does not end it would wait for ever. */
function onceTooLarge(req: IncomingMessage, limit: number, refuse: () => void): void {
  let received = 0
  req.on('data', function count(chunk: Buffer) {
    received += chunk.length
    if (received <= limit) return
    req.off('data', count)
    refuse()
  })
}

/** Sends a response. A client that has gone away, or somebody who has answered already, is no reason to fail. */
function send(res: ServerResponse, { status, headers, body }: ProtocolResponse): void {
  if (res.headersSent || res.destroyed) return
  res.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) })
  res.end(body)
}

export type { AuthInfo }

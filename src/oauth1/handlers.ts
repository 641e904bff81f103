/**
 * The shell of OAuth 1: handlers for Express, Connect and bare node:http. The only file of oauth1/ that knows `req`, `res` and `next`.
 */
import bodyParser from 'body-parser'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ConfigurationError, InvalidRequest, ServerError } from '../errors.js'
import { assertKnownKeys, assertObject, OptionReader } from '../option-checks.js'
import { bodyTooLarge, type Context, type HeaderFields, type ProtocolRequest, type ProtocolResponse } from '../protocol.js'
import { configureOAuth1, type OAuth1Configuration, type OAuth1Options } from './options.js'
import { checkOAuth1, type OAuth1Demand } from './protected-resource.js'
import { refuse } from './responses.js'
import { createTemporaryCredentialsResponse } from './temporary-credentials.js'
import { createAccessTokenResponse } from './token-credentials.js'

/** A request as node:http has it, with what Express and body parsers may have added. */
export interface OAuth1HostRequest extends IncomingMessage {
  readonly originalUrl?: string | undefined
  readonly secure?: boolean | undefined
  /** The text or bytes of the body, where the application has kept them. */
  readonly rawBody?: unknown
  body?: unknown
  auth?: unknown
}

/** A handler for Express, Connect, and node:http. */
export type OAuth1Handler = (req: OAuth1HostRequest, res: ServerResponse, next?: (error?: unknown) => void) => void

/**
 * The temporary credentials endpoint (RFC 5849 §2.1). Mount it with `app.use`; it answers every request it gets.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export function temporaryCredentialsHandler(options: OAuth1Options): OAuth1Handler {
  const configuration = configureOAuth1(options)
  return function handleTemporaryCredentials(req, res, _next): void {
    void answer(configuration, 'temporary credentials', req, res, (request) => createTemporaryCredentialsResponse(options, request))
  }
}

/** The token credentials endpoint (RFC 5849 §2.3), also called the access token endpoint. Mounting as for {@link temporaryCredentialsHandler}. */
export function tokenCredentialsHandler(options: OAuth1Options): OAuth1Handler {
  const configuration = configureOAuth1(options)
  return function handleTokenCredentials(req, res, _next): void {
    void answer(configuration, 'token credentials', req, res, (request) => createAccessTokenResponse(options, request))
  }
}

/** Options of {@link requireOAuth1}. */
export interface OAuth1Requirement {
  /** The realm, or the realms, that the token must have. Default: none. */
  readonly realm?: string | readonly string[]
  /** True: a request that a client has signed for itself, without a token, passes too; `req.auth.subject` is absent then. Default false. */
  readonly twoLegged?: boolean
}

/**
 * Lets a request pass that is signed with live token credentials, and sets `req.auth` (`OAuth1Info`). A form body must have been
 * parsed before it, or be in `req.rawBody`. Anything else is answered 400, 401, 403, or 503 when the store fails.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export function requireOAuth1(options: OAuth1Options, requirement: OAuth1Requirement = {}): OAuth1Handler {
  const configuration = configureOAuth1(options)
  const demand = readRequirement(configuration, requirement)
  return function guard(req, res, next): void {
    const request = { ...plainRequest(req, configuration), body: req.rawBody ?? parsedBody(req) }
    if (request.secure === false) warnOfInsecureTransport(configuration)
    void checkOAuth1(configuration, request, demand).then(
      (auth) => {
        req.auth = auth
        next?.()
      },
      (thrown: unknown) => send(res, refuse(configuration, 'oauth1 resource', thrown)),
    )
  }
}

function readRequirement({ realms: known }: OAuth1Configuration, requirement: OAuth1Requirement): OAuth1Demand {
  const members = assertObject(requirement, 'requireOAuth1: the second argument')
  assertKnownKeys(members, ['realm', 'twoLegged'], 'requireOAuth1')
  const reader = new OptionReader(members, 'requireOAuth1: ')
  const realms = typeof members.realm === 'string' ? [members.realm] : (reader.texts('realm') ?? [])
  for (const name of realms) {
    if (known.includes(name)) continue
    throw new ConfigurationError(`requireOAuth1: realm "${name}" is not in the option realms, so no token can have it; add it there`)
  }
  return { realms, twoLegged: reader.boolean('twoLegged', false) }
}

async function answer(
  configuration: OAuth1Configuration,
  endpoint: string,
  req: OAuth1HostRequest,
  res: ServerResponse,
  respond: (request: ProtocolRequest) => Promise<ProtocolResponse>,
): Promise<void> {
  try {
    const request = plainRequest(req, configuration)
    if (request.secure === false) warnOfInsecureTransport(configuration)
    const context = await readContext(configuration, req)
    send(res, await respond({ ...request, context, body: () => readBody(req, res, configuration) }))
  } catch (thrown) {
    send(res, refuse(configuration, endpoint, thrown))
  }
}

function plainRequest(req: OAuth1HostRequest, configuration: OAuth1Configuration): ProtocolRequest {
  return {
    method: req.method ?? '',
    url: req.originalUrl ?? req.url ?? '',
    headers: headerFields(req),
    secure: isSecure(req, configuration),
  }
}

/** node:http keeps the first of two Authorization fields; both have to be seen to be refused. */
function headerFields(req: IncomingMessage): HeaderFields {
  const raw = req.rawHeaders
  const values = raw.filter((_value, index) => index % 2 === 1 && raw[index - 1]?.toLowerCase() === 'authorization')
  return values.length > 1 ? { ...req.headers, authorization: values } : req.headers
}

function isSecure(req: OAuth1HostRequest, { trustProxy }: OAuth1Configuration): boolean {
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

function warnOfInsecureTransport({ allowInsecureTransport, warn }: OAuth1Configuration): void {
  if (allowInsecureTransport) return
  warn(
    'refused a request over plain http. On your own machine set allowInsecureTransport: true; behind a TLS proxy set ' +
      'Express\' "trust proxy", or elsewhere the option trustProxy: (address) => boolean',
  )
}

async function readContext({ context }: OAuth1Configuration, req: OAuth1HostRequest): Promise<Context> {
  if (context === undefined) return {}
  const answered: unknown = await (context as (req: OAuth1HostRequest) => unknown)(req)
  if (typeof answered === 'object' && answered !== null) return answered as Context
  throw new ServerError(undefined, { reason: 'the option context answered something else than an object' })
}

/** The body, unless the application has read it: then what it kept or made of it. */
async function readBody(req: OAuth1HostRequest, res: ServerResponse, configuration: OAuth1Configuration): Promise<unknown> {
  const parsed = req.rawBody ?? parsedBody(req)
  if (parsed !== undefined) return parsed
  if (req.readableDidRead) {
    // node:http throws a body away when the request is answered, as by a timeout of the application
    if (res.headersSent) throw new InvalidRequest('the request was answered elsewhere')
    configuration.warn(
      'a request body was read before it reached the handler and nothing is left of it; mount the handler before what reads it, or keep its text in req.rawBody',
    )
    throw new ServerError(undefined, { reason: 'the body was consumed before it reached the handler' })
  }
  return readRawBody(req, res, configuration)
}

/** An empty object on an unread request is what Express 4 puts there, not a body. */
function parsedBody({ body, readableDidRead }: OAuth1HostRequest): unknown {
  if (body === null || body === undefined) return undefined
  const isPlaceholder = typeof body === 'object' && !Buffer.isBuffer(body) && Object.keys(body).length === 0
  return isPlaceholder && !readableDidRead ? undefined : body
}

type RawReader = (req: OAuth1HostRequest, res: ServerResponse, next: (error?: unknown) => void) => void
const rawReaders = new WeakMap<OAuth1Configuration, RawReader>()

function readRawBody(req: OAuth1HostRequest, res: ServerResponse, configuration: OAuth1Configuration): Promise<unknown> {
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

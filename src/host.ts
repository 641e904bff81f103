/**
 * What the handlers know of their host, be it Express, Connect or bare node:http: a request becomes plain data, a plain response is sent.
 *
 * Of the framework only what node:http has too is used; what Express adds (`secure`, `originalUrl`, `ip`, `body`) is read where it is there.
 */
import bodyParser from 'body-parser'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Configuration } from './configuration.js'
import { corsHeaders, isPreflight, preflightResponse, type RequestHead } from './cors.js'
import { reportRefusal } from './endpoints/client-request.js'
import { InvalidRequest, ServerError } from './errors.js'
import { bodyTooLarge, renderError, type Context, type HeaderFields, type ProtocolRequest, type ProtocolResponse } from './protocol.js'

/** A request as node:http has it, with what Express and body parsers may have added. */
export interface HostRequest extends IncomingMessage {
  readonly originalUrl?: string | undefined
  readonly secure?: boolean | undefined
  readonly ip?: string | undefined
  body?: unknown
  rawBody?: unknown
  auth?: unknown
}

/** Calls the next handler, where there is one. */
export type Next = (error?: unknown) => void

/** A handler for Express, Connect, and node:http. */
export type Handler = (req: HostRequest, res: ServerResponse, next?: Next) => void

/** A middleware for Express and Connect, or for a node:http handler that passes a `next` of its own. */
export type Guard = (req: HostRequest, res: ServerResponse, next: Next) => void

/** Answers one request: preflight, context, endpoint, response. Does not reject. */
export async function answer(
  configuration: Configuration,
  endpoint: string,
  req: HostRequest,
  res: ServerResponse,
  respond: (request: ProtocolRequest) => ProtocolResponse | Promise<ProtocolResponse>,
  method = 'POST',
): Promise<void> {
  const head = requestHead(req)
  const { cors } = configuration
  try {
    if (cors !== undefined && isPreflight(head)) {
      send(res, preflightResponse(head, cors, method))
      return
    }
    const request = { ...plainRequest(req, configuration), body: () => readBody(req, res, configuration) }
    if (method === 'POST' && request.secure === false) warnOfInsecureTransport(configuration)
    const context = await readContext(configuration, req)
    send(res, withCors(configuration, head, await respond({ ...request, context })))
  } catch (thrown) {
    send(res, withCors(configuration, head, renderError(reportRefusal(configuration, endpoint, thrown), configuration.errorUri)))
  }
}

/** The response with what the option `cors` adds. */
export function withCors({ cors }: Configuration, head: RequestHead, response: ProtocolResponse): ProtocolResponse {
  return cors === undefined ? response : { ...response, headers: { ...response.headers, ...corsHeaders(head, cors) } }
}

/** What CORS looks at. No function of the application is asked for it, so that reading it cannot fail. */
export function requestHead(req: HostRequest): RequestHead {
  return { method: req.method ?? '', headers: req.headers }
}

/** The request as plain data, its body only where something has parsed it already. */
export function plainRequest(req: HostRequest, configuration: Configuration): ProtocolRequest {
  return {
    method: req.method ?? '',
    url: req.originalUrl ?? req.url ?? '',
    headers: headerFields(req),
    secure: isSecure(req, configuration),
    body: req.body,
    address: clientAddress(req, configuration),
    ...rawBody(req),
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
  if (trustProxy !== undefined && forwarded !== undefined && isTrusted(trustProxy, peerAddress(req))) {
    return String(forwarded).split(',').every((protocol) => protocol.trim().toLowerCase() === 'https') // prettier-ignore
  }
  return req.secure ?? ('encrypted' in req.socket && req.socket.encrypted === true)
}

/** Only the word `true` is trust: a promise of an answer is not. */
function isTrusted(trustProxy: (address: string) => unknown, address: string): boolean {
  return trustProxy(address) === true
}

// RFC 4291 §2.5.5.2: a socket for both families has an IPv4 address as ::ffff:a.b.c.d
function peerAddress({ socket }: IncomingMessage): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '')
}

/** Who asks: as Express says, or the last address in `X-Forwarded-For` that no trusted proxy has, or the peer. */
function clientAddress(req: HostRequest, { trustProxy }: Configuration): string {
  if (req.ip !== undefined) return req.ip
  const peer = peerAddress(req)
  if (trustProxy === undefined || !isTrusted(trustProxy, peer)) return peer
  const chain = String(req.headers['x-forwarded-for'] ?? '').split(',').map((address) => address.trim()).filter((address) => address !== '') // prettier-ignore
  return chain.findLast((address) => !isTrusted(trustProxy, address)) ?? chain[0] ?? peer
}

/** The bytes of a body that the application kept: in `rawBody`, or in the place of a parsed one. */
function rawBody({ rawBody: kept, body }: HostRequest): { rawBody?: string | Uint8Array } {
  const bytes = kept ?? body
  return typeof bytes === 'string' || bytes instanceof Uint8Array ? { rawBody: bytes } : {}
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
export async function readBody(req: HostRequest, res: ServerResponse, configuration: Configuration): Promise<unknown> {
  if (req.destroyed && !req.complete) throw new InvalidRequest('the client went away', { reason: 'the request was aborted' })
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
export function send(res: ServerResponse, { status, headers, body }: ProtocolResponse): void {
  if (res.headersSent || res.destroyed) return
  res.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) })
  res.end(body)
}

/**
 * Requests and responses of node:http, read and written the same way for every handler. Knows no configuration.
 */
import bodyParser from 'body-parser'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { InvalidRequest, ServerError } from './errors.js'
import { bodyTooLarge, type Context, type HeaderFields, type ProtocolResponse } from './protocol.js'

/** What is read of a request: of node:http, and of what Express and body parsers add. */
export type WireRequest = IncomingMessage & { readonly secure?: boolean | undefined; body?: unknown }

/** Whose `X-Forwarded-…` fields are believed. */
export type TrustProxy = (address: string) => unknown

/** node:http keeps the first of two Authorization fields; an endpoint has to see both to refuse them. */
export function headerFields(req: IncomingMessage): HeaderFields {
  const { rawHeaders, headers } = req
  let count = 0
  // Names and values in turn
  for (let at = 0; at < rawHeaders.length; at += 2) if (isAuthorization(rawHeaders[at])) count++
  return count > 1
    ? { ...headers, authorization: rawHeaders.filter((_value, at) => at % 2 === 1 && isAuthorization(rawHeaders[at - 1])) }
    : headers
}

function isAuthorization(name = ''): boolean {
  return name.length === 'authorization'.length && name.toLowerCase() === 'authorization'
}

/** Whether a request came over TLS: as a trusted proxy says, else as Express says, else as the socket is. */
export function isSecure(req: WireRequest, trustProxy: TrustProxy | undefined): boolean {
  const forwarded = req.headers['x-forwarded-proto']
  if (trustProxy !== undefined && forwarded !== undefined && isTrusted(trustProxy, peerAddress(req))) {
    return forwarded === 'https' || String(forwarded).split(',').every((protocol) => protocol.trim().toLowerCase() === 'https') // prettier-ignore
  }
  return req.secure ?? ('encrypted' in req.socket && req.socket.encrypted === true)
}

/** Only the word `true` is trust: a promise of an answer is not. */
export function isTrusted(trustProxy: TrustProxy, address: string): boolean {
  return trustProxy(address) === true
}

// RFC 4291 §2.5.5.2: a socket for both families has an IPv4 address as ::ffff:a.b.c.d
export function peerAddress({ socket }: IncomingMessage): string {
  const address = socket.remoteAddress ?? ''
  return address.startsWith(':') ? address.replace(/^::ffff:(?=\d+\.)/i, '') : address
}

/** What something else has made of the body already; undefined when the body is still unread. An empty object on an unread request is what Express 4 puts there. */
export function parsedBody(req: WireRequest): unknown {
  const { body } = req
  if (body === null || body === undefined) return undefined
  return isEmptyObject(body) && !req.readableDidRead ? undefined : body
}

function isEmptyObject(body: unknown): boolean {
  return typeof body === 'object' && body !== null && !Buffer.isBuffer(body) && Object.keys(body).length === 0
}

type RawReader = (req: WireRequest, res: ServerResponse, next: (error?: unknown) => void) => void
const rawReaders = new Map<number, RawReader>()

/**
 * The bytes of a body that nobody has read; undefined when there is none. They do not stay on the request.
 *
 * @throws InvalidRequest 413 as soon as there are more than `maxBodySize`, 400 when the client goes away.
 */
export function readRawBody(req: WireRequest, res: ServerResponse, maxBodySize: number): unknown {
  if (req.destroyed) throw new InvalidRequest('the client went away', { reason: 'the request was aborted' })
  const length = Number(req.headers['content-length'])
  if (length > maxBodySize) throw bodyTooLarge()
  return arrivedBody(req, length) ?? awaitedBody(req, res, maxBodySize)
}

/**
 * The body, where all of it is there already, as of a short one that came with its head: then nothing has to be listened to, which on Express is
 * what costs most. Any other body is body-parser's, and so is one that is encoded or whose length was not announced.
 */
function arrivedBody(req: IncomingMessage, length: number): unknown {
  const { headers } = req
  // RFC 9112 §6.3: the announced length says where a body ends, unless it is chunked; half of it is not taken for all of it
  if (headers['transfer-encoding'] !== undefined || req.readableLength !== length || length === 0) return undefined
  if (headers['content-encoding'] !== undefined) return undefined
  // Somebody else has asked for the bytes, or for characters in their place.
  if (req.readableFlowing === true || req.readableEncoding !== null) return undefined
  const body: unknown = req.read()
  // Lets the request end.
  req.resume()
  return body
}

function awaitedBody(req: WireRequest, res: ServerResponse, maxBodySize: number): Promise<unknown> {
  const reader = rawReaders.get(maxBodySize) ?? bodyParser.raw({ type: () => true, limit: maxBodySize, inflate: false })
  rawReaders.set(maxBodySize, reader)
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

/** Goes on with the next handler, where there is one. What that throws at once is its framework's to handle. */
export function pass(next: ((error?: unknown) => void) | undefined): void {
  try {
    next?.()
  } catch (thrown) {
    next?.(thrown)
  }
}

/** Says once, to the deployer, why plain http was refused. */
export function warnOfInsecureTransport(server: {
  readonly allowInsecureTransport: boolean
  readonly warn: (message: string) => void
}): void {
  if (server.allowInsecureTransport) return
  server.warn(
    'refused a request over plain http. On your own machine set allowInsecureTransport: true; behind a TLS proxy set ' +
      'Express\' "trust proxy", or elsewhere the option trustProxy: (address) => boolean',
  )
}

/** What the option `context` says of a request. @throws ServerError when that is not an object. */
export async function readContext(context: unknown, req: WireRequest): Promise<Context> {
  if (context === undefined) return {}
  const answered: unknown = await (context as (req: WireRequest) => unknown)(req)
  if (typeof answered === 'object' && answered !== null) return answered as Context
  throw new ServerError(undefined, { reason: 'the option context answered something else than an object' })
}

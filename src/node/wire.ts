/**
 * What stands before the body of a request, and responses: read and written the same way for every handler. Knows no configuration.
 *
 * On Express every request and every response has a hidden class of its own, so that each look at one is a search: little is looked at, and seldom twice.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { leaveAlone, type Awaitable } from '../awaitable.js'
import { union, type CorsAnswer } from '../http/cors.js'
import { ServerError } from '../errors.js'
import { isKnownAddress } from '../http/network-address.js'
import { trimmed, type Context, type HeaderFields, type ProtocolRequest, type ProtocolResponse } from '../http/message.js'
import { lateCallback, withinTime } from '../time-limit.js'

/** What is read of a request: of node:http, and of what Express adds. */
export interface WireRequest extends IncomingMessage {
  readonly originalUrl?: string | undefined
  readonly secure?: boolean | undefined
  readonly ip?: string | undefined
}

/** What stands before the body, as node:http has it. */
export interface WireHead {
  readonly method: string
  readonly headers: IncomingHttpHeaders
}

/** Whose `X-Forwarded-…` fields are believed. */
export type TrustProxy = (address: string) => unknown

/** Method and headers, which CORS looks at. No function of the application is asked for them, so that reading them cannot fail. */
export function requestHead(req: WireRequest): WireHead {
  return { method: req.method ?? '', headers: req.headers }
}

/** The request as plain data, without its body. */
export function plainRequest(
  req: WireRequest,
  { method, headers }: WireHead,
  { trustProxy }: { readonly trustProxy?: TrustProxy | undefined },
): ProtocolRequest {
  return {
    method,
    url: req.originalUrl ?? req.url ?? '',
    headers: headerFields(req, headers),
    secure: isSecure(req, headers, trustProxy),
  }
}

/** node:http keeps the first of two Authorization fields; an endpoint has to see both to refuse them. */
function headerFields({ rawHeaders }: IncomingMessage, headers: IncomingHttpHeaders): HeaderFields {
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
function isSecure(req: WireRequest, headers: IncomingHttpHeaders, trustProxy: TrustProxy | undefined): boolean {
  const forwarded = headers['x-forwarded-proto']
  if (trustProxy !== undefined && forwarded !== undefined && isTrusted(trustProxy, peerAddress(req))) {
    return (
      forwarded === 'https' ||
      String(forwarded)
        .split(',')
        .every((protocol) => trimmed(protocol).toLowerCase() === 'https')
    )
  }
  return req.secure ?? ('encrypted' in req.socket && req.socket.encrypted === true)
}

/** Only the word `true` is trust: a promise of an answer is not. */
export function isTrusted(trustProxy: TrustProxy, address: string): boolean {
  const answer = trustProxy(address)
  if (answer !== true) leaveAlone(answer)
  return answer === true
}

// RFC 4291 §2.5.5.2: a socket for both families has an IPv4 address as ::ffff:a.b.c.d
export function peerAddress({ socket }: IncomingMessage): string {
  const address = socket.remoteAddress ?? ''
  return address.startsWith(':') ? address.replace(/^::ffff:(?=\d+\.)/i, '') : address
}

/** Who asks: the last address in `X-Forwarded-For` that no trusted proxy has; without the option `trustProxy` as Express says, or the peer. */
export function clientAddress(
  req: WireRequest,
  { headers }: WireHead,
  { trustProxy }: { readonly trustProxy?: TrustProxy | undefined },
): string {
  if (trustProxy === undefined) return req.ip ?? peerAddress(req)
  const peer = peerAddress(req)
  const forwarded = headers['x-forwarded-for']
  if (forwarded === undefined || !isTrusted(trustProxy, peer)) return peer
  const chain = String(forwarded).split(',').map(trimmed).filter((address) => address !== '') // prettier-ignore
  return chain.findLast((address) => !isTrusted(trustProxy, address)) ?? chain[0] ?? peer
}

/** The same for the event about a refusal: the function of the application may be what failed. */
export function refusedAddress(req: WireRequest, policy: { readonly trustProxy?: TrustProxy | undefined }): string | undefined {
  try {
    return clientAddress(req, requestHead(req), policy)
  } catch {
    return undefined
  }
}

/** Says once, to the deployer, that clients cannot be told apart. A connection that has ended has no address either. */
export function warnOfMissingAddress(
  { socket }: IncomingMessage,
  address: string,
  { warn }: { readonly warn: (message: string) => void },
): void {
  if (isKnownAddress(address) || socket.destroyed) return
  warn(
    'requests come without an address, as over a Unix socket, so that limits cannot tell clients apart. Let the proxy set X-Forwarded-For, and believe it: ' +
      "trustProxy: (address) => address === ''",
  )
}

/** The answer that has nothing to say. */
export const noContent: ProtocolResponse = { status: 204, headers: {}, body: '' }

/** Adds what a page may see, to what the application has said already: its lists grow, and its own origin stays. */
export function addCors(res: ServerResponse, { single, lists }: CorsAnswer): void {
  if (res.headersSent) return
  for (const [name, value] of Object.entries(single)) if (!res.hasHeader(name)) res.setHeader(name, value)
  for (const [name, values] of Object.entries(lists)) {
    const there = [res.getHeader(name) ?? []].flat().join(',').split(',').map(trimmed).filter((value) => value !== '') // prettier-ignore
    if (!there.includes('*')) res.setHeader(name, union(there, values).join(', '))
  }
}

/** Sends a response. A client that has gone away, or somebody who has answered already, is no reason to fail. */
export function send(res: ServerResponse, { status, headers, body }: ProtocolResponse): void {
  if (res.destroyed) return
  try {
    // RFC 9110 §8.6: a 204 has no Content-Length
    res.writeHead(status, status === 204 ? headers : { ...headers, 'Content-Length': Buffer.byteLength(body) })
  } catch (thrown) {
    if (res.headersSent) return
    throw thrown
  }
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

/**
 * What the option `context` says of a request.
 *
 * @throws ServerError when that is not an object; TemporarilyUnavailable when it takes longer than `callbackTimeout` milliseconds.
 */
export async function readContext(
  { context, callbackTimeout }: { readonly context?: unknown; readonly callbackTimeout: number },
  req: WireRequest,
): Promise<Context> {
  if (context === undefined) return {}
  const ask = context as (req: WireRequest) => Awaitable<unknown>
  const answered = await withinTime(callbackTimeout, () => ask(req), lateCallback)
  if (typeof answered === 'object' && answered !== null) return answered as Context
  throw new ServerError(undefined, { reason: 'the option context must return an object' })
}

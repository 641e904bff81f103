/**
 * What the handlers know of their host, be it Express, Connect or bare node:http: a request becomes plain data, a plain response is sent.
 *
 * Of the framework only what node:http has too is used; what Express adds (`secure`, `originalUrl`, `ip`, `body`) is read where it is there.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Configuration } from './configuration.js'
import { corsHeaders, isPreflight, preflightResponse, type RequestHead } from './cors.js'
import { reportRefusal } from './endpoints/client-request.js'
import { InvalidRequest, ServerError } from './errors.js'
import { renderError, type ProtocolRequest, type ProtocolResponse } from './protocol.js'
import {
  headerFields,
  isSecure,
  isTrusted,
  parsedBody,
  peerAddress,
  readContext,
  readRawBody,
  send,
  warnOfInsecureTransport,
} from './wire.js'

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
    const received = { ...plainRequest(req, configuration), address: clientAddress(req, configuration) }
    if (method === 'POST' && received.secure === false) warnOfInsecureTransport(configuration)
    // Waited for in any case: node:http hands over what came of a body with its head once the handler has returned.
    const context = await readContext(configuration.context, req)
    const request = { ...received, context, body: () => readBody(req, res, configuration) }
    send(res, withCors(configuration, head, await respond(request)))
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
    secure: isSecure(req, configuration.trustProxy),
    body: req.body,
    ...rawBody(req),
  }
}

/** Who asks: as Express says, or the last address in `X-Forwarded-For` that no trusted proxy has, or the peer. */
function clientAddress(req: HostRequest, { trustProxy }: Configuration): string {
  const { ip } = req
  if (ip !== undefined) return ip
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

/** The body, unless the application has read it: then what it made of it. */
export async function readBody(req: HostRequest, res: ServerResponse, configuration: Configuration): Promise<unknown> {
  if (!req.complete && req.destroyed) throw new InvalidRequest('the client went away', { reason: 'the request was aborted' })
  const parsed = parsedBody(req)
  if (parsed !== undefined) return parsed
  if (req.readableDidRead) {
    // node:http throws a body away when the request is answered, as by a timeout of the application
    if (res.headersSent) throw new InvalidRequest('the request was answered elsewhere')
    configuration.warn(
      'a request body was read before it reached the handler and nothing is left of it; mount the handler before what reads it, or leave it in req.body',
    )
    throw new ServerError(undefined, { reason: 'the body was consumed before it reached the handler' })
  }
  return readRawBody(req, res, configuration.maxBodySize)
}

/**
 * What the handlers know of their host, be it Express, Connect or bare node:http: a request becomes plain data, a plain response is sent.
 *
 * Of the framework only what node:http has too is used; what Express adds (`secure`, `originalUrl`, `ip`, `body`) is read where it is there.
 */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { parsedBody, unreadBody, type BodyPolicy } from './body.js'
import type { Configuration } from '../configuration/configure.js'
import { corsAnswer, isPreflight, preflightAnswer } from '../http/cors.js'
import { reportRefusal } from '../events/refusals.js'
import { startTime } from '../events/events.js'
import { renderError, type ProtocolRequest, type ProtocolResponse } from '../http/message.js'
import {
  addCors,
  clientAddress,
  noContent,
  plainRequest,
  readContext,
  requestHead,
  send,
  warnOfInsecureTransport,
  warnOfMissingAddress,
  type WireHead,
  type WireRequest,
} from './wire.js'

/** A request as node:http has it, with what Express and body parsers may have added. */
export interface HostRequest extends WireRequest {
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

/**
 * Answers one request: preflight, context, endpoint, response. Does not reject.
 *
 * Little is asked of `req`, and seldom twice: on Express every request has a hidden class of its own, so that each look at it is a search.
 */
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
  const startedAt = startTime(configuration.emit)
  try {
    if (cors !== undefined && isPreflight(head)) {
      addCors(res, preflightAnswer(head, cors, cors.endpoint, method))
      send(res, noContent)
      return
    }
    const { url, headers, secure } = plainRequest(req, head, configuration)
    const address = clientAddress(req, head, configuration)
    warnOfMissingAddress(req, address, configuration)
    if (method === 'POST' && secure === false) warnOfInsecureTransport(configuration)
    const context = await readContext(configuration, req)
    const body = () => readBody(req, res, head.headers, configuration)
    const request = { method: head.method, url, headers, secure, address, context, startedAt, body }
    sendToPage(configuration, head, res, await respond(request))
  } catch (thrown) {
    sendToPage(configuration, head, res, renderError(reportRefusal(configuration, endpoint, thrown, { startedAt }), configuration.errorUri))
  }
}

/** Sends the response of an endpoint, with what the option `cors` adds. */
function sendToPage({ cors }: Configuration, head: WireHead, res: ServerResponse, response: ProtocolResponse): void {
  if (cors !== undefined) addCors(res, corsAnswer(head, cors, cors.endpoint))
  send(res, response)
}

/** The same with its body, where something has parsed it already, and with the bytes that the application kept of it. */
export function plainRequestWithBody(req: HostRequest, head: WireHead, configuration: Configuration): ProtocolRequest {
  const { method, url, headers, secure } = plainRequest(req, head, configuration)
  const { body } = req
  return { method, url, headers, secure, body, rawBody: keptBytes(req.rawBody ?? body) }
}

/** The bytes of a body that the application kept: in `rawBody`, or in the place of a parsed one. */
function keptBytes(kept: unknown): string | Uint8Array | undefined {
  return typeof kept === 'string' || kept instanceof Uint8Array ? kept : undefined
}

/** The body, unless the application has read it: then what it made of it. */
export function readBody(req: HostRequest, res: ServerResponse, headers: IncomingHttpHeaders, policy: BodyPolicy): unknown {
  return parsedBody(req) ?? unreadBody(req, res, headers, policy, 'leave it in req.body')
}

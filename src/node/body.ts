/**
 * The body of a request of node:http: made into something by the application, here already, or still to come. Knows no configuration.
 */
import bodyParser from 'body-parser'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate } from 'node:timers'
import { InvalidRequest, ServerError } from '../errors.js'
import { bodyTooLarge } from '../http/message.js'

/** A request, with what body parsers may have added. */
export type BodyRequest = IncomingMessage & { body?: unknown }

/** How much is read, and who is told where to leave a body that was read too early. */
export interface BodyPolicy {
  readonly maxBodySize: number
  readonly warn: (message: string) => void
}

/** What something else has made of the body already; undefined when the body is still unread. An empty object on an unread request is what Express 4 puts there. */
export function parsedBody(req: BodyRequest): unknown {
  const { body } = req
  if (body === null || body === undefined) return undefined
  return isEmptyObject(body) && !req.readableDidRead ? undefined : body
}

function isEmptyObject(body: unknown): boolean {
  return typeof body === 'object' && body !== null && !Buffer.isBuffer(body) && Object.keys(body).length === 0
}

/**
 * The bytes of a body of which nothing was made; undefined when there is none. They do not stay on the request. `remedy` says where an application
 * leaves what it reads.
 *
 * @throws InvalidRequest 413 as soon as there are more than `maxBodySize`, 400 when the client goes away; ServerError when somebody has read the body
 * and left nothing.
 */
export function unreadBody(
  req: BodyRequest,
  res: ServerResponse,
  headers: IncomingHttpHeaders,
  policy: BodyPolicy,
  remedy: string,
): Promise<unknown> {
  const length = Number(headers['content-length'])
  // RFC 9112 §6.3: the announced length says where a body ends, unless it is chunked
  const isAnnounced = length > 0 && headers['transfer-encoding'] === undefined
  const isShort = isAnnounced && length <= policy.maxBodySize && headers['content-encoding'] === undefined
  const rest = () => awaitedBody(req, res, length, policy, remedy)
  return isShort ? arrivedBody(req, length, rest) : rest()
}

/**
 * The body, where all of it is there at the end of this turn, as of a short one that came with its head: then nothing has to be listened to, which on
 * Express is what costs most. What else there may be is `rest`.
 */
async function arrivedBody(req: IncomingMessage, length: number, rest: () => Promise<unknown>): Promise<unknown> {
  // node:http calls the handler at the end of the head, and reads what else came in the same turn of the event loop.
  if (!req.complete) await endOfTurn()
  // What a client that went away had asked for is not done; and half of a body is not taken for all of it.
  if (!req.complete || req.destroyed || req.readableLength !== length) return rest()
  const body: unknown = req.read()
  if (Buffer.isBuffer(body) && body.length === length) return body
  // Characters are not taken for bytes.
  if (typeof body === 'string') throw charactersForBytes()
  return rest()
}

function charactersForBytes(): InvalidRequest {
  return new InvalidRequest('the body could not be read', { reason: 'an encoding was set on the request' })
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Any other body is body-parser's, but for that of HTTP/2, which may come without any announcement. */
function awaitedBody(req: BodyRequest, res: ServerResponse, length: number, policy: BodyPolicy, remedy: string): Promise<unknown> {
  const { complete, destroyed } = req
  if (destroyed && !complete) throw clientGone()
  if (req.readableDidRead) throw req.body === null ? parsedAsNull() : bodyConsumed(res, policy, remedy)
  if (destroyed) throw clientGone()
  if (length > policy.maxBodySize) throw bodyTooLarge()
  // RFC 9113 §8.1.1: content-length may be absent, and transfer-encoding must be
  if (req.httpVersionMajor >= 2 && Number.isNaN(length)) return unannouncedBody(req, policy.maxBodySize)
  return parsedByBodyParser(req, res, policy.maxBodySize)
}

function clientGone(): InvalidRequest {
  return new InvalidRequest('the client went away', { reason: 'the request was aborted' })
}

/** As of the JSON text `null`: the client has sent it, and the application has done nothing wrong. */
function parsedAsNull(): InvalidRequest {
  return new InvalidRequest('the body could not be read', { reason: 'a parser made null of the body' })
}

function bodyConsumed(res: ServerResponse, { warn }: BodyPolicy, remedy: string): Error {
  // node:http throws a body away when the request is answered, as by a timeout of the application
  if (res.headersSent) return new InvalidRequest('the request was answered elsewhere')
  warn(
    `a request body was read before it reached the handler and nothing is left of it; mount the handler before what reads it, or ${remedy}`,
  )
  return new ServerError(undefined, { reason: 'the body was consumed before it reached the handler' })
}

/** All that comes until the end of the stream. */
function unannouncedBody(req: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let received = 0
    const take = (chunk: Buffer | string) => {
      if (typeof chunk === 'string') {
        refuse(charactersForBytes())
        return
      }
      received += chunk.length
      if (received <= limit) chunks.push(chunk)
      else refuse(bodyTooLarge())
    }
    const refuse = (fault: Error) => {
      req.off('data', take)
      reject(fault)
    }
    req.on('data', take)
    req.once('end', () => {
      resolve(Buffer.concat(chunks))
    })
    // After the end these change nothing.
    for (const event of ['error', 'aborted', 'close']) {
      req.once(event, () => {
        refuse(clientGone())
      })
    }
  })
}

type RawReader = (req: BodyRequest, res: ServerResponse, next: (error?: unknown) => void) => void
const rawReaders = new Map<number, RawReader>()

function parsedByBodyParser(req: BodyRequest, res: ServerResponse, maxBodySize: number): Promise<unknown> {
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

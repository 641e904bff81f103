/**
 * Cross-origin requests from browsers: which origins may call, and what they may see. Never with cookies, so that `'*'` is safe too.
 *
 * @see the Fetch standard, §3.2
 */
import { ConfigurationError } from './errors.js'
import { assertKnownKeys, assertObject } from './option-checks.js'
import { headerValue, type ProtocolRequest, type ProtocolResponse } from './protocol.js'

/** The option `cors`. */
export interface CorsOptions {
  /** The origins of the pages that may call, each as `https://host` or `https://host:port`, or `'*'` for all. */
  readonly origins: readonly string[] | '*'
}

/** What these rules look at. */
export type RequestHead = Pick<ProtocolRequest, 'method' | 'headers'>

const allowedHeaders = 'Authorization, Content-Type, DPoP, MCP-Protocol-Version'
const exposedHeaders = 'WWW-Authenticate, Retry-After, DPoP-Nonce'
const preflightLifetime = '600'

/** @throws ConfigurationError when an origin is not one. */
export function readCors(value: unknown): CorsOptions | undefined {
  if (value === undefined) return undefined
  const members = assertObject(value, 'cors')
  assertKnownKeys(members, ['origins'], 'cors')
  const { origins } = members
  if (origins === '*') return { origins }
  if (!Array.isArray(origins) || !origins.every(isOrigin)) {
    throw new ConfigurationError("cors.origins must be '*' or an array of origins such as 'https://app.example.com', without path")
  }
  return { origins: [...origins] }
}

function isOrigin(value: unknown): value is string {
  return typeof value === 'string' && URL.canParse(value) && new URL(value).origin === value
}

/** True for the request with which a browser asks beforehand. It carries no credentials, so nothing can be demanded of it. */
export function isPreflight({ method, headers }: RequestHead): boolean {
  return (
    method === 'OPTIONS' &&
    headerValue(headers, 'origin') !== undefined &&
    headerValue(headers, 'access-control-request-method') !== undefined
  )
}

/** The answer to a preflight. For an origin that may not call it allows nothing. */
export function preflightResponse(head: RequestHead, cors: CorsOptions, methods: string): ProtocolResponse {
  const origin = corsHeaders(head, cors)
  const isAllowed = 'Access-Control-Allow-Origin' in origin
  const allowed = {
    'Access-Control-Allow-Methods': methods,
    'Access-Control-Allow-Headers': allowedHeaders,
    'Access-Control-Max-Age': preflightLifetime,
  }
  return { status: 204, headers: isAllowed ? { ...origin, ...allowed } : origin, body: '' }
}

/** What is added to every response, refusals too. */
export function corsHeaders({ headers }: RequestHead, { origins }: CorsOptions): Readonly<Record<string, string>> {
  const exposed = { 'Access-Control-Expose-Headers': exposedHeaders }
  if (origins === '*') return { 'Access-Control-Allow-Origin': '*', ...exposed }
  const origin = headerValue(headers, 'origin')
  if (origin === undefined || !origins.includes(origin)) return { Vary: 'Origin' }
  return { 'Access-Control-Allow-Origin': origin, ...exposed, Vary: 'Origin' }
}

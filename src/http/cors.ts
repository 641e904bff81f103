/**
 * Cross-origin requests from browsers: which origins may call, what they may send, and what they may see. Never with cookies, so that `'*'` is safe too.
 *
 * The endpoints answer for themselves. A guard answers for a route of the application, whose headers only the application knows.
 *
 * @see the Fetch standard, §3.2
 */
import { ConfigurationError } from '../errors.js'
import { assertKnownKeys, assertObject, kindOf } from '../option-checks/reader.js'
import { headerValue, trimmed, type ProtocolRequest } from './message.js'

/** The option `cors`. */
export interface CorsOptions {
  /** The origins of the pages that may call, each as `https://host` or `https://host:port`, or `'*'` for all. */
  readonly origins: readonly string[] | '*'
  /**
   * Header fields that the pages may send beside `Authorization`, `Content-Type`, `X-Requested-With` and those of MCP. Default: none at the endpoints; at a
   * guard any, for origins that are named one by one, and none for `'*'`.
   */
  readonly allowedHeaders?: readonly string[]
  /** Header fields that the pages may read beside `WWW-Authenticate` and `Retry-After`, and `Mcp-Session-Id` at a guard. Default: none. */
  readonly exposedHeaders?: readonly string[]
}

/** The same, read. */
export interface CorsPolicy {
  readonly origins: ReadonlySet<string> | '*'
  readonly endpoint: CorsHeaders
  readonly guard: CorsHeaders
}

/** What pages may send to one kind of route, and what they may read there. */
interface CorsHeaders {
  readonly allowed: readonly string[]
  /** Whether a page may send what it asks for. */
  readonly allowsAsked: boolean
  readonly exposed: readonly string[]
}

/** What these rules look at. */
export type RequestHead = Pick<ProtocolRequest, 'method' | 'headers'>

// Swagger UI sends X-Requested-With, MCP clients their protocol version, to every endpoint.
const allowedAnywhere = ['Authorization', 'Content-Type', 'X-Requested-With', 'Mcp-Protocol-Version']
const allowedAtGuard = [...allowedAnywhere, 'Mcp-Session-Id', 'Last-Event-ID', 'Mcp-Method', 'Mcp-Name']
const exposedAnywhere = ['WWW-Authenticate', 'Retry-After']
const exposedAtGuard = [...exposedAnywhere, 'Mcp-Session-Id']
const preflightLifetime = '600'
const maxAskedSize = 2048
const maxAsked = 64

// RFC 9110 §5.6.2: token = 1*tchar
const token = /^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/i

/** Every page may ask, as for a document that everybody may read. */
export const anyPage: CorsPolicy = policyOf('*', undefined, [])

/** @throws ConfigurationError when an origin is not one, or the name of a header field. */
export function readCors(value: unknown): CorsPolicy | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigurationError(
      `cors must be an object with origins, as in { origins: ['https://app.example.com'] }, not ${kindOf(value)}`,
    )
  const members = assertObject(value, 'cors')
  assertKnownKeys(members, ['origins', 'allowedHeaders', 'exposedHeaders'], 'cors')
  const { origins, allowedHeaders, exposedHeaders } = members
  return policyOf(readOrigins(origins), readNames(allowedHeaders, 'allowedHeaders'), readNames(exposedHeaders, 'exposedHeaders') ?? [])
}

function policyOf(origins: CorsPolicy['origins'], more: readonly string[] | undefined, exposed: readonly string[]): CorsPolicy {
  const allowed = more ?? []
  // A page that nobody named must not set whatever an application behind the guard believes.
  const allowsAsked = more === undefined && origins !== '*'
  return {
    origins,
    endpoint: { allowed: union(allowedAnywhere, allowed), allowsAsked: false, exposed: union(exposedAnywhere, exposed) },
    guard: { allowed: union(allowedAtGuard, allowed), allowsAsked, exposed: union(exposedAtGuard, exposed) },
  }
}

function readOrigins(origins: unknown): CorsPolicy['origins'] {
  if (origins === '*') return origins
  if (Array.isArray(origins) && origins.every(isOrigin)) return new Set(origins)
  throw new ConfigurationError("cors.origins must be '*' or an array of origins such as 'https://app.example.com', without path")
}

function isOrigin(value: unknown): value is string {
  return typeof value === 'string' && URL.canParse(value) && new URL(value).origin === value
}

function readNames(names: unknown, option: string): readonly string[] | undefined {
  if (names === undefined) return undefined
  // '*' is the name of no field, and no wildcard for Authorization
  if (Array.isArray(names) && names.every((name) => typeof name === 'string' && name !== '*' && token.test(name))) return names as string[]
  throw new ConfigurationError(`cors.${option} must be an array of names of header fields, as in ['X-Trace-Id']`)
}

/** True for the request with which a browser asks beforehand. It carries no credentials, so nothing can be demanded of it. */
export function isPreflight({ method, headers }: RequestHead): boolean {
  return (
    method === 'OPTIONS' &&
    headerValue(headers, 'origin') !== undefined &&
    headerValue(headers, 'access-control-request-method') !== undefined
  )
}

/** What an answer carries for the page that asked. The lists are added to what is there already; the others are single values. */
export interface CorsAnswer {
  readonly single: Readonly<Record<string, string>>
  readonly lists: Readonly<Record<string, readonly string[]>>
}

/** What is added to every response, refusals too. */
export function corsAnswer({ headers }: RequestHead, { origins }: CorsPolicy, { exposed }: CorsHeaders): CorsAnswer {
  const lists = { 'Access-Control-Expose-Headers': exposed }
  if (origins === '*') return { single: { 'Access-Control-Allow-Origin': '*' }, lists }
  const vary = { Vary: ['Origin'] }
  const origin = headerValue(headers, 'origin')
  if (origin === undefined || !origins.has(origin)) return { single: {}, lists: vary }
  return { single: { 'Access-Control-Allow-Origin': origin }, lists: { ...lists, ...vary } }
}

/** What a preflight is answered with. An origin that may not call gets no permission. `methods` are those of the route. */
export function preflightAnswer(head: RequestHead, cors: CorsPolicy, rules: CorsHeaders, methods: string): CorsAnswer {
  const answer = corsAnswer(head, cors, rules)
  if (!('Access-Control-Allow-Origin' in answer.single)) return answer
  const allowed = {
    'Access-Control-Allow-Methods': methods,
    'Access-Control-Allow-Headers': (rules.allowsAsked ? union(rules.allowed, askedHeaders(head)) : rules.allowed).join(', '),
    'Access-Control-Max-Age': preflightLifetime,
  }
  return { single: { ...answer.single, ...allowed }, lists: answer.lists }
}

/** The method that a page asks for, where it is one. */
export function askedMethod({ headers }: RequestHead): string {
  const method = headerValue(headers, 'access-control-request-method') ?? ''
  return token.test(method) ? method : ''
}

/** The fields that a page asks for: none of them unless all are names, and few. */
function askedHeaders({ headers }: RequestHead): readonly string[] {
  const asked = headerValue(headers, 'access-control-request-headers') ?? ''
  if (asked === '' || asked.length > maxAskedSize) return []
  const names = asked.split(',').map(trimmed)
  return names.length <= maxAsked && names.every((name) => name !== '*' && token.test(name)) ? names : []
}

/** The names of both lists, each once: header names are the same in any case. */
export function union(names: readonly string[], more: readonly string[]): readonly string[] {
  const seen = new Set<string>()
  return [...names, ...more].filter((name) => {
    const form = name.toLowerCase()
    return !seen.has(form) && seen.add(form)
  })
}

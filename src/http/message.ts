/**
 * Plain requests in, plain responses out: the form in which the endpoints see HTTP.
 *
 * Here are the checks of the transport (RFC 6749 §3.2), the parameters of a form body (Appendix B), and the JSON
 * response with its headers (§5.1, §5.2). Who sent the request, and what for, is not known here.
 */
import { isUtf8 } from 'node:buffer'
import { whenThere, type Awaitable } from '../awaitable.js'
import { InvalidRequest, type OAuthError } from '../errors.js'

/** Header fields by name, in any case; several values where a field came more than once. */
export type HeaderFields = Readonly<Record<string, string | readonly string[] | undefined>>

/** What the application knows about a request and the client cannot touch. */
export type Context = Readonly<Record<string, unknown>>

/** A request, from whatever received it. */
export interface ProtocolRequest {
  /** The URL or request target. Where `secure` is absent its scheme says whether the transport was TLS. */
  readonly url: string
  readonly method: string
  readonly headers: HeaderFields
  /**
   * The body as text or bytes, or the flat object a form parser made of it; or a function that reads it, which is
   * called only after method, target and headers were accepted.
   */
  readonly body?: unknown
  /** Trusted facts from the application; handed to hooks and grants, never to the client. */
  readonly context?: Context | undefined
  /** The bytes of the body, where the application kept them beside what it parsed: for signatures over the body. */
  readonly rawBody?: string | Uint8Array | undefined
  /** The address of the client, for the limit on failed authentication. Default: unknown, and no limit. */
  readonly address?: string
  /** Whether the request came over TLS, where the receiver knows better than the URL says. */
  readonly secure?: boolean | undefined
  /** When it arrived, as `performance.now()` says, for `duration` in events. Default: when the endpoint is called. */
  readonly startedAt?: number | undefined
}

/** A response, for whatever sends it. */
export interface ProtocolResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Limits and permissions of the transport checks. */
export interface TransportPolicy {
  readonly allowInsecureTransport: boolean
  readonly maxBodySize: number
}

/** The parameters of a form body: one value each, empty ones left out. Has no prototype. */
export type Parameters = Readonly<Partial<Record<string, string>>>

/** One parameter of a form body, decoded. */
export type Pair = readonly [name: string, value: string]

/** A request whose form body was read, for a proof that covers all of it. Everything in it is untrusted. */
export interface ReceivedRequest extends Omit<ProtocolRequest, 'body' | 'context'> {
  /** The body as it came: in its order, with empty and unknown parameters. */
  readonly form: readonly Pair[]
}

/** A form body, read. `resource` and `audience` may repeat (RFC 8707 §2, RFC 8693 §2.1), so they stand apart. */
export interface Form {
  readonly parameters: Parameters
  readonly resource: readonly string[]
  readonly audience: readonly string[]
  /** All of it, as it came. */
  readonly pairs: readonly Pair[]
}

const maxParameters = 100

const neverInQuery = new Set([
  'grant_type', 'client_id', 'client_secret', 'code', 'refresh_token', 'username', 'password', 'scope', 'client_assertion',
]) // prettier-ignore

/** All values of a header field. `name` is in lower case. */
export function headerValues(headers: HeaderFields, name: string): readonly string[] {
  let values: readonly string[] = []
  for (const key in headers) {
    // The length tells most names apart before anything is compared.
    if (key.length !== name.length || key.toLowerCase() !== name || !Object.hasOwn(headers, key)) continue
    const value = headers[key]
    if (value === undefined) continue
    const more = typeof value === 'string' ? [value] : value
    values = values.length === 0 ? more : [...values, ...more]
  }
  return values
}

/** The one value of a header field; several are joined as RFC 9110 §5.3 joins them. `name` is in lower case. */
export function headerValue(headers: HeaderFields, name: string): string | undefined {
  const values = headerValues(headers, name)
  return values.length > 1 ? values.join(', ') : values[0]
}

/** A text of the wire without the white space around it (RFC 9110 §5.6.3: SP and HTAB; `String.prototype.trim` takes 23 other characters too). */
export function trimmed(text: string): string {
  return text.replace(/^[\t ]+/, '').replace(/(?<![\t ])[\t ]+$/, '')
}

/**
 * Accepts or refuses a request by what stands before its body.
 *
 * @throws InvalidRequest with status 400, 405 or 415.
 * @see RFC 6749 §3.2
 */
export function assertTransport(request: ProtocolRequest, endpoint: string, policy: TransportPolicy): void {
  // RFC 6749 §3.2: the server requires TLS
  if (!isSecure(request) && !policy.allowInsecureTransport) {
    throw new InvalidRequest(`the ${endpoint} endpoint requires https`, { reason: 'insecure transport' })
  }
  // RFC 6749 §3.2: the endpoint URI has no fragment
  if (request.url.includes('#')) throw new InvalidRequest('the request target must not have a fragment')
  // RFC 6749 §3.2: the client uses POST
  if (request.method !== 'POST') {
    throw new InvalidRequest(`the ${endpoint} endpoint answers POST only`, { status: 405, allow: 'POST' })
  }
  // RFC 6749 §2.3.1: credentials are never in the request URI
  if (hasParameterInQuery(request.url)) throw new InvalidRequest('parameters belong in the body, not in the query')
  assertFormContent(request)
}

/** True when the request came over TLS, as far as its receiver knows. */
export function isSecure(request: ProtocolRequest): boolean {
  return request.secure ?? /^https:/i.test(request.url)
}

/**
 * The parameters in the query of a request target, under the rules of a form body.
 *
 * @throws InvalidRequest when one is there twice, or is not valid form-encoding.
 */
export function readQuery(url: string): Form {
  const start = url.indexOf('?')
  return collect(start === -1 ? [] : parseFormText(url.slice(start + 1)))
}

function hasParameterInQuery(url: string): boolean {
  const start = url.indexOf('?')
  if (start === -1) return false
  return url
    .slice(start + 1)
    .split('&')
    .some((piece) => neverInQuery.has(decodeLeniently(nameOf(piece))))
}

function nameOf(piece: string): string {
  const end = piece.indexOf('=')
  return end === -1 ? piece : piece.slice(0, end)
}

function decodeLeniently(text: string): string {
  try {
    return decodeFormText(text)
  } catch {
    return text
  }
}

// RFC 6749 Appendix B: application/x-www-form-urlencoded, in UTF-8
const formContentType = /^application\/x-www-form-urlencoded[\t ]*(?:;|$)/i
const charsetParameter = /;[\t ]*charset[\t ]*=[\t ]*"?([^";\t ]*)/i

function assertFormContent({ headers, body }: ProtocolRequest): void {
  if (hasNoBody(headers, body))
    throw new InvalidRequest('the request has no body; it must be application/x-www-form-urlencoded', { status: 415 })
  const contentType = headerValue(headers, 'content-type')
  if (contentType === undefined) {
    throw new InvalidRequest('the request has no Content-Type; it must be application/x-www-form-urlencoded', { status: 415 })
  }
  const charset = charsetParameter.exec(contentType)?.[1]
  if (!formContentType.test(contentType) || !isUtf8Name(charset)) {
    throw new InvalidRequest('the body must be application/x-www-form-urlencoded in UTF-8', { status: 415 })
  }
  const encoding = headerValue(headers, 'content-encoding')
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new InvalidRequest('the body must not be compressed', { status: 415 })
  }
}

/** RFC 9112 §6.3: without a length and a transfer coding there is no body; RFC 9113 §8.3: in HTTP/2, which has pseudo-header fields, there may be. */
function hasNoBody(headers: HeaderFields, body: unknown): boolean {
  if (body !== undefined && body !== '' && typeof body !== 'function') return false
  if (headerValue(headers, 'content-type') !== undefined || headers[':method'] !== undefined) return false
  const length = headerValue(headers, 'content-length')
  return length === '0' || (length === undefined && headerValue(headers, 'transfer-encoding') === undefined)
}

function isUtf8Name(charset: string | undefined): boolean {
  return charset === undefined || /^utf-?8$/i.test(charset)
}

/**
 * Reads the form body: every parameter at most once, empty ones as if they were omitted.
 *
 * @throws InvalidRequest with status 400, or 413 for a body over the limit.
 * @see RFC 6749 §3.2, Appendix B
 */
export function readForm(request: ProtocolRequest, policy: TransportPolicy): Awaitable<Form> {
  const { body } = request
  const given: unknown = typeof body === 'function' ? (body as () => unknown).call(request) : body
  return whenThere(given, (bytes) => formOf(bytes, policy))
}

function formOf(body: unknown, policy: TransportPolicy): Form {
  if (body === undefined || body === null) return collect([])
  if (typeof body === 'string') return collect(parseFormText(bounded(body, Buffer.byteLength(body), policy)))
  if (body instanceof URLSearchParams) return collect([...body])
  if (body instanceof Uint8Array) return collect(parseFormText(decodeUtf8(bounded(body, body.length, policy))))
  if (typeof body === 'object' && !Array.isArray(body)) return collect(parsedPairs(body))
  throw new InvalidRequest()
}

function bounded<T>(body: T, size: number, policy: TransportPolicy): T {
  if (size > policy.maxBodySize) throw bodyTooLarge()
  return body
}

/** The refusal of a body over `maxBodySize`. */
export function bodyTooLarge(): InvalidRequest {
  return new InvalidRequest('the body is too large', { status: 413 })
}

function decodeUtf8(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new InvalidRequest('the body is not valid UTF-8')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

function parseFormText(text: string): Pair[] {
  const pairs: Pair[] = []
  for (const piece of text.split('&')) {
    if (piece === '') continue
    const name = nameOf(piece)
    pairs.push([decodeFormText(name), decodeFormText(piece.slice(name.length + 1))])
  }
  return pairs
}

/**
 * Decodes one name or value of a form, strictly.
 *
 * @throws InvalidRequest for a bad percent-escape and for what is not UTF-8.
 */
export function decodeFormText(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new InvalidRequest('the body is not valid application/x-www-form-urlencoded')
  }
}

/** The pairs of a body that the application has parsed. Of such a body only the values can be judged. */
function parsedPairs(body: object): Pair[] {
  return Object.entries(body).flatMap(([name, value]: [string, unknown]) => {
    if (typeof value === 'string') return [[name, value] as const]
    if (mayRepeat(name) && Array.isArray(value) && value.every((item) => typeof item === 'string')) {
      return value.map((item) => [name, item] as const)
    }
    throw new InvalidRequest('a parameter must be one text')
  })
}

/** The parameters that a description may name. Others are a stranger's words. */
const known = new Set([
  'grant_type', 'client_id', 'client_secret', 'client_assertion', 'client_assertion_type', 'code', 'redirect_uri', 'code_verifier', 'code_challenge',
  'code_challenge_method', 'refresh_token', 'username', 'password', 'scope', 'state', 'token', 'token_type_hint', 'response_type', 'response_mode',
  'prompt', 'nonce', 'request', 'request_uri', 'assertion',
]) // prettier-ignore

function mayRepeat(name: string): name is 'resource' | 'audience' {
  return name === 'resource' || name === 'audience'
}

/** Parameters that are lists of words: without a word, each is empty. */
const lists = new Set(['scope', 'prompt', 'ui_locales', 'claims_locales', 'acr_values', 'resource', 'audience'])
const blank = /^[ \t]*$/

/** RFC 6749 §3.2: a parameter without a value is treated as if it were omitted. */
function isEmpty(name: string, value: string): boolean {
  return value === '' || (lists.has(name) && blank.test(value))
}

function collect(pairs: readonly Pair[]): Form {
  if (pairs.length > maxParameters) throw new InvalidRequest('the body has too many parameters')
  const parameters = Object.create(null) as Partial<Record<string, string>>
  const repeatable: Record<'resource' | 'audience', string[]> = { resource: [], audience: [] }
  const seen = new Set<string>()
  for (const [name, value] of pairs) {
    if (mayRepeat(name)) {
      if (!isEmpty(name, value)) repeatable[name].push(value)
      continue
    }
    // RFC 6749 §3.2: parameters must not be included more than once (twice is judged before empty)
    if (seen.has(name)) throw new InvalidRequest(`${known.has(name) ? name : 'a parameter'} is included more than once`)
    seen.add(name)
    if (!isEmpty(name, value)) parameters[name] = value
  }
  return { parameters, resource: repeatable.resource, audience: repeatable.audience, pairs }
}

// RFC 6749 §5.1: responses with tokens must not be cached
const jsonHeaders = Object.freeze({
  'Content-Type': 'application/json',
  'Cache-Control': 'no-store',
  Pragma: 'no-cache',
})

/** A JSON response that no cache keeps. */
export function jsonResponse(status: number, body: object): ProtocolResponse {
  return { status, headers: jsonHeaders, body: JSON.stringify(body) }
}

/** A JSON document that may be cached by everybody. */
export function cacheableResponse(body: object, maxAge: number, contentType = 'application/json'): ProtocolResponse {
  return { status: 200, headers: { 'Content-Type': contentType, 'Cache-Control': `public, max-age=${maxAge}` }, body: JSON.stringify(body) }
}

/**
 * The JSON error response: `error`, `error_description`, and `error_uri` where one is configured.
 *
 * @see RFC 6749 §5.2
 */
export function renderError(error: OAuthError, errorUri?: string): ProtocolResponse {
  const { status, body } = jsonResponse(error.status, {
    error: error.error,
    error_description: error.description,
    ...(errorUri === undefined ? {} : { error_uri: errorUri }),
  })
  return { status, body, headers: errorHeaders(error) }
}

function errorHeaders(error: OAuthError): Record<string, string> {
  return {
    ...jsonHeaders,
    ...(error.challenge === undefined ? {} : { 'WWW-Authenticate': error.challenge }),
    ...(error.allow === undefined ? {} : { Allow: error.allow }),
    ...(error.retryAfter === undefined ? {} : { 'Retry-After': String(error.retryAfter) }),
  }
}

/**
 * The parameters of an OAuth 1 request (RFC 5849 §3.4.1.3.1, §3.5): from the `OAuth` header, the query and the form body.
 *
 * Names that begin with `oauth_` are protocol parameters: all of them in one of the three places, none twice. Everything else may
 * stand anywhere and repeat; it is signed, and otherwise the application's.
 */
import { isUtf8 } from 'node:buffer'
import { InvalidRequest } from '../errors.js'
import {
  bodyTooLarge,
  headerValue,
  headerValues,
  type HeaderFields,
  type Pair,
  type ProtocolRequest,
  type ReceivedRequest,
} from '../http/message.js'

/** What the parameters are read from; a body that is not a form has no part in it. */
export type ParameterSources = Pick<ReceivedRequest, 'url' | 'headers' | 'form'>

/** The parameters of a request. */
export interface RequestParameters {
  /** `oauth_…`, one value each. Has no prototype. */
  readonly protocol: Readonly<Partial<Record<string, string>>>
  /** All that the signature covers. */
  readonly signed: readonly Pair[]
  /** The `realm` of the header, which is not signed. */
  readonly realm: string | undefined
}

const maxParameters = 500

/**
 * Reads the parameters of a request.
 *
 * @throws InvalidRequest for bad encoding, for protocol parameters in two places, and for one that comes twice.
 */
export function readParameters({ url, headers, form }: ParameterSources): RequestParameters {
  const { realm, pairs: header } = readHeader(headers)
  const query = parseForm(queryOf(url))
  // RFC 5849 §3.5: protocol parameters are sent in one place only
  if ([header, query, form].filter(hasProtocolParameter).length > 1) {
    throw new InvalidRequest('oauth parameters must be sent in one place only')
  }
  const all = [...header, ...query, ...form]
  if (all.length > maxParameters) throw new InvalidRequest('the request has too many parameters')
  const protocol = Object.create(null) as Partial<Record<string, string>>
  for (const [name, value] of all) {
    if (!isProtocolName(name)) continue
    // RFC 5849 §3.1: each parameter must not appear more than once per request
    if (name in protocol) throw new InvalidRequest('an oauth parameter is included more than once')
    protocol[name] = value
  }
  return { protocol, realm, signed: all.filter(([name]) => name !== 'oauth_signature') }
}

/** True when the request tries to authenticate by OAuth 1 at all. */
export function hasOAuth1Credentials({ url, headers, form }: ParameterSources): boolean {
  const inHeader = headerValues(headers, 'authorization').some((value) => oauthScheme.test(value))
  return inHeader || hasProtocolParameter(form) || /[?&]oauth_/.test(url)
}

function isProtocolName(name: string): boolean {
  return name.startsWith('oauth_')
}

function hasProtocolParameter(pairs: readonly Pair[]): boolean {
  return pairs.some(([name]) => isProtocolName(name))
}

const oauthScheme = /^[\t ]*oauth(?:[\t ]+|$)/i

// RFC 9110 §11.2: auth-param = token BWS "=" BWS ( token / quoted-string ); a list may have empty elements (§5.6.1)
const authParam = /[\t ,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[\t ]*=[\t ]*(?:"((?:[^"\\]|\\.)*)"|([^\t ,"]+))[\t ]*(?=,|$)/y

/** The header (§3.5.1): comma-separated `name="value"`, both percent-encoded, but for the value of `realm`. */
function readHeader(headers: HeaderFields): { readonly realm: string | undefined; readonly pairs: readonly Pair[] } {
  const values = headerValues(headers, 'authorization')
  // RFC 9110 §11.6.2: a request has one Authorization field
  if (values.length > 1) throw new InvalidRequest('the Authorization header must not be repeated')
  const [value = ''] = values
  const scheme = oauthScheme.exec(value)
  if (scheme === null) return { realm: undefined, pairs: [] }
  const found = authParameters(value.slice(scheme[0].length))
  const names = found.map(([name]) => name.toLowerCase())
  // RFC 9110 §11.2: each parameter name only once
  if (new Set(names).size < names.length) throw new InvalidRequest('a parameter of the Authorization header is included more than once')
  return {
    realm: found.find(([name]) => isRealm(name))?.[1],
    pairs: found.filter(([name]) => !isRealm(name)).map(([name, text]) => [percentDecode(name), percentDecode(text)]),
  }
}

function isRealm(name: string): boolean {
  return name.toLowerCase() === 'realm'
}

function authParameters(text: string): Pair[] {
  const found: Pair[] = []
  authParam.lastIndex = 0
  let end = 0
  for (let match = authParam.exec(text); match !== null && found.length <= maxParameters; match = authParam.exec(text)) {
    const [, name = '', quoted, bare = ''] = match
    found.push([name, quoted === undefined ? bare : quoted.replaceAll(/\\(.)/g, '$1')])
    end = authParam.lastIndex
  }
  if (!/^[\t ,]*$/.test(text.slice(end))) throw new InvalidRequest('the Authorization header is malformed')
  return found
}

/**
 * Decodes a percent-encoded text. A `+` is a plus.
 *
 * @throws InvalidRequest for a bad escape and for what is not UTF-8.
 * @see RFC 5849 §3.6
 */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    throw new InvalidRequest('a parameter is not valid percent-encoded UTF-8')
  }
}

/** Reads a query or form body, where a `+` is a space (§3.4.1.3.1). */
export function parseForm(text: string): readonly Pair[] {
  const pieces = text.split('&').filter((piece) => piece !== '')
  return pieces.map((piece) => {
    const end = piece.indexOf('=')
    const [name, value] = end === -1 ? [piece, ''] : [piece.slice(0, end), piece.slice(end + 1)]
    return [percentDecode(name.replaceAll('+', ' ')), percentDecode(value.replaceAll('+', ' '))]
  })
}

function queryOf(url: string): string {
  const start = url.indexOf('?')
  if (start === -1) return ''
  const end = url.indexOf('#', start)
  return url.slice(start + 1, end === -1 ? undefined : end)
}

const formContentType = /^[\t ]*application\/x-www-form-urlencoded[\t ]*(?:;|$)/i

/** True when the body is a form, so that its parameters are signed (§3.4.1.3.1). */
export function hasFormBody(headers: HeaderFields): boolean {
  return formContentType.test(headerValue(headers, 'content-type') ?? '')
}

/**
 * The parameters of the body, in every form in which a body may arrive. None where it is not a form, which is then not read.
 *
 * @throws InvalidRequest with status 400, 413 or 415.
 */
export async function readFormBody(request: ProtocolRequest, maxBodySize: number): Promise<readonly Pair[]> {
  if (!hasFormBody(request.headers)) return []
  const encoding = headerValue(request.headers, 'content-encoding')
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new InvalidRequest('the body must not be compressed', { status: 415 })
  }
  const body: unknown = typeof request.body === 'function' ? await (request.body as () => unknown)() : request.body
  return formPairs(body, maxBodySize)
}

/**
 * The pairs of a body as text, as bytes, or as the flat object that a parser made of it.
 *
 * @throws InvalidRequest when it is anything else.
 */
export function formPairs(body: unknown, maxBodySize: number): readonly Pair[] {
  if (body === undefined || body === null) return []
  if (body instanceof URLSearchParams) return [...body]
  if (body instanceof Uint8Array) {
    if (body.length > maxBodySize) throw bodyTooLarge()
    if (!isUtf8(body)) throw new InvalidRequest('the body is not valid UTF-8')
    return parseForm(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'))
  }
  if (typeof body === 'string') {
    if (Buffer.byteLength(body) > maxBodySize) throw bodyTooLarge()
    return parseForm(body)
  }
  if (typeof body !== 'object' || Array.isArray(body)) throw new InvalidRequest()
  return Object.entries(body).flatMap(([name, value]: [string, unknown]) => parsedPairs(name, value))
}

function parsedPairs(name: string, value: unknown): Pair[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  return values.map((item) => {
    if (typeof item === 'string') return [name, item]
    throw new InvalidRequest('a parameter must be a text', {
      reason: 'the parsed body is not flat, so its signature cannot be checked; keep the text of the body in req.rawBody',
    })
  })
}

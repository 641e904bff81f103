/**
 * MAC tokens: a key comes with each access token, and each request is signed with it. A token seen on the wire is worth nothing.
 *
 * Verifying a request:
 *
 * 1. `readCredentials`: the attributes of the Authorization header; `id` is the access token.
 * 2. The key is unsealed with the token's text; the store does not know it.
 * 3. `normalisedRequest`: timestamp or age, nonce, method, target, host, port, body hash, extension: one line each.
 * 4. The MAC over that is compared in constant time; a body hash is checked against the body.
 * 5. Only then the age is judged and the nonce remembered, so that nobody can spoil a nonce who does not have the key.
 *
 * Both drafts are read: -00 has `nonce="age:random"` and `bodyhash`, -01 has `ts` and neither. Host and port come from
 * trusted configuration, never from the request.
 *
 * @see draft-hammer-oauth-v2-mac-token-00, draft-ietf-oauth-v2-http-mac-01
 */
import { createHash, createHmac } from 'node:crypto'
import { headerValue, type ProtocolRequest } from '../http/message.js'
import { equalInConstantTime, randomText, seal, secretSize, sha256, unseal } from '../secrets.js'
import type { PresentedToken, ResourceSettings, TokenType } from './access-token.js'

/** The algorithms of the drafts. Tokens are issued with `hmac-sha-256`. */
export type MacAlgorithm = 'hmac-sha-1' | 'hmac-sha-256'

const hashOf = { 'hmac-sha-1': 'sha1', 'hmac-sha-256': 'sha256' } as const
const issuedAlgorithm: MacAlgorithm = 'hmac-sha-256'
const purpose = 'mac key'

/** Seconds by which a request may be older, or newer, than now. Its nonce is remembered as long as that. */
const staleAfter = 300

/** Tokens that are used with a key. */
export function mac(): TokenType {
  return {
    authenticationMethod: 'mac',
    token_type: 'mac',
    bind(access_token, authorization_id) {
      const mac_key = randomText(secretSize)
      return { members: { mac_key, mac_algorithm: issuedAlgorithm }, sealed: seal(mac_key, access_token, purpose, authorization_id) }
    },
    presented({ headers }) {
      const header = headerValue(headers, 'authorization')
      if (header === undefined || !/^ *mac(?: |$)/i.test(header)) return undefined
      return readCredentials(header)?.id ?? ''
    },
    verify,
  }
}

/** The attributes of a MAC Authorization header. */
interface MacCredentials {
  readonly id: string
  /** Draft -01; absent in draft -00, where the nonce begins with the age. */
  readonly ts: string | undefined
  readonly nonce: string
  readonly bodyhash: string | undefined
  readonly ext: string | undefined
  readonly mac: string
}

async function verify(request: ProtocolRequest, token: PresentedToken, settings: ResourceSettings): Promise<string | undefined> {
  const { text, binding, authorization_id = '' } = token
  if (binding === undefined) return 'a bearer token was presented as a MAC token'
  const credentials = readCredentials(headerValue(request.headers, 'authorization') ?? '')
  const key = unseal(binding, text, purpose, authorization_id)
  if (credentials === undefined || key === undefined) return 'malformed MAC credentials'
  if (settings.origin === undefined) return 'the host of this resource is not known; set the option origin of requireAccessToken, or issuer'
  const signed = normalisedRequest(credentials, request.method, targetOf(request.url), settings.origin)
  if (!equalInConstantTime(sign(signed, key, issuedAlgorithm), credentials.mac)) return 'wrong MAC'
  return bodyFault(credentials, request) ?? timeFault(credentials, token, settings.now) ?? nonceFault(credentials, text, settings)
}

function bodyFault({ bodyhash }: MacCredentials, { rawBody }: ProtocolRequest): string | undefined {
  if (bodyhash === undefined) return undefined
  if (rawBody === undefined) return 'the bodyhash cannot be checked; keep the bytes of the body in req.rawBody'
  return equalInConstantTime(hashBody(rawBody, issuedAlgorithm), bodyhash) ? undefined : 'wrong bodyhash'
}

function timeFault({ ts, nonce }: MacCredentials, { issuedAt }: PresentedToken, now: number): string | undefined {
  // draft -00 §3.1: the age of the credentials in seconds, with a fraction or without; draft -01 §3.1: seconds since the epoch
  const at = ts === undefined ? issuedAt + Number(nonce.slice(0, nonce.indexOf(':'))) : Number(ts)
  return Math.abs(now - at) > staleAfter ? 'stale timestamp' : undefined
}

async function nonceFault(
  { ts = '', nonce }: MacCredentials,
  token: string,
  { now, claimOnce }: ResourceSettings,
): Promise<string | undefined> {
  const isNew = await claimOnce('mac nonce', JSON.stringify([sha256(token), ts, nonce]), now + 2 * staleAfter)
  return isNew ? undefined : 'the nonce was used before'
}

// "MAC" 1*SP attribute *( "," attribute ); attribute = name "=" <"> plain-string <">; plain-string = 1*( %x20-21 / %x23-5B / %x5D-7E )
const attributeList = /^ *mac +((?:[a-z]+="[\x20-\x21\x23-\x5b\x5d-\x7e]*" *(?:, *|$))+)$/i
const attribute = /([a-z]+)="([^"]*)"/gi

// Draft -00 §3.1 counts whole seconds; oauthlib writes microseconds behind a point. age = 1*12DIGIT [ "." 1*6DIGIT ]
const agedNonce = /^[0-9]{1,12}(?:\.[0-9]{1,6})?:.+$/

const attributeNames = new Set(['id', 'ts', 'nonce', 'bodyhash', 'ext', 'mac'])

function readCredentials(header: string): MacCredentials | undefined {
  const attributes = [...(attributeList.exec(header)?.[1] ?? '').matchAll(attribute)].map(
    ([, name = '', value = '']) => [name.toLowerCase(), value] as const,
  )
  const values = new Map(attributes)
  const { id, nonce, mac: signature, ts, bodyhash, ext } = Object.fromEntries(values) as Partial<Record<string, string>>
  // Each at most once, and none beside those that the MAC covers
  const isStrict = values.size === attributes.length && [...values.keys()].every((name) => attributeNames.has(name))
  if (!isStrict || id === undefined || nonce === undefined || signature === undefined) return undefined
  const isDated = ts === undefined ? agedNonce.test(nonce) : /^[1-9][0-9]{0,11}$/.test(ts) && nonce !== ''
  return isDated ? { id, ts, nonce, bodyhash, ext, mac: signature } : undefined
}

/** The normalised request string: §3.3.1 of draft -00, §3.2.1 of draft -01. */
function normalisedRequest(
  { ts, nonce, bodyhash = '', ext = '' }: Omit<MacCredentials, 'id' | 'mac'>,
  method: string,
  target: string,
  origin: URL,
): string {
  const port = origin.port === '' ? (origin.protocol === 'https:' ? '443' : '80') : origin.port
  const where = [method.toUpperCase(), target, origin.hostname.toLowerCase(), port]
  const lines = ts === undefined ? [nonce, ...where, bodyhash, ext] : [ts, nonce, ...where, ext]
  return lines.map((line) => `${line}\n`).join('')
}

/** Path and query as they stand in the request line, which has no fragment. */
function targetOf(url: string): string {
  const path = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*([^#]*)/i.exec(url)?.[1]
  return path === undefined ? url : path.startsWith('/') ? path : `/${path}`
}

function sign(text: string, key: string, algorithm: MacAlgorithm): string {
  return createHmac(hashOf[algorithm], key).update(text).digest('base64')
}

function hashBody(body: string | Uint8Array, algorithm: MacAlgorithm): string {
  return createHash(hashOf[algorithm]).update(body).digest('base64')
}

/** What {@link macHeader} signs. */
export interface MacRequest {
  /** The access token. */
  readonly id: string
  /** The `mac_key` that came with it. */
  readonly key: string
  readonly method: string
  /** The absolute URL of the request. */
  readonly url: string
  /** Default `hmac-sha-256`. */
  readonly algorithm?: MacAlgorithm
  /** Seconds since the epoch (draft -01). Default now. */
  readonly ts?: number
  /** With draft -01 any new text; with `age:random` and without `ts` the header is of draft -00. Default: random. */
  readonly nonce?: string
  readonly ext?: string
  /** The body, for the `bodyhash` of draft -00. */
  readonly body?: string | Uint8Array
}

/** The header fields with which a client uses a MAC token. Draft -01, unless `nonce` has the form of draft -00. */
export function macHeader(request: MacRequest): { Authorization: string } {
  if (!URL.canParse(request.url)) throw new TypeError("macHeader: url must be an absolute URL, as in 'https://api.example.com/notes'")
  const { id, key, method, url, algorithm = issuedAlgorithm, nonce = randomText(16), ext, body } = request
  const isFirstDraft = request.ts === undefined && agedNonce.test(nonce)
  const ts = isFirstDraft ? undefined : String(request.ts ?? Math.floor(Date.now() / 1000))
  const bodyhash = isFirstDraft && body !== undefined ? hashBody(body, algorithm) : undefined
  const signed = normalisedRequest({ ts, nonce, bodyhash, ext }, method, targetOf(url), new URL(url))
  const attributes = Object.entries({ id, ts, nonce, bodyhash, ext, mac: sign(signed, key, algorithm) })
  const list = attributes.flatMap(([name, value]) => (value === undefined ? [] : [`${name}="${value}"`]))
  return { Authorization: `MAC ${list.join(', ')}` }
}

/**
 * An OAuth 1 server for tests, and a client that signs by hand: nothing here uses the code under test but its public face, so that
 * a mistake in a signature cannot hide on both sides.
 */
import { constants, createHmac, sign as rsaSign, type KeyObject } from 'node:crypto'
import { memoryStore, type ProtocolRequest, type ProtocolResponse, type ServerEvent, type Store } from '../../src/index.js'
import {
  authorizeTemporaryCredentials,
  createAccessTokenResponse,
  createTemporaryCredentialsResponse,
  type OAuth1Options,
} from '../../src/oauth1/index.js'
import { checkOAuth1, type OAuth1Info } from '../../src/oauth1/protected-resource.js'
import { configureOAuth1 } from '../../src/oauth1/options.js'
import { refuse } from '../../src/oauth1/responses.js'

export const start = 4_000_000_000
export const client = { client_id: 'dpf43f3p2l4k3l03', client_secret: 'kd94hf93k423kf44' } as const
export const secrets = [{ kid: 'k1', key: 'server-key-0123456789-0123456789-0123456789-abcdef' }] as const
export const callback = 'https://client.example/ready?x=1'

export const initiateUrl = 'https://server.example/oauth/initiate'
export const tokenUrl = 'https://server.example/oauth/token'
export const resourceUrl = 'https://server.example/photos?file=vacation.jpg'

export interface OAuth1Server {
  readonly options: OAuth1Options
  readonly store: Store
  readonly events: ServerEvent[]
  now: number
}

/** A server with {@link client}, a memory store, and a clock at {@link start}. */
export function oauth1Server(options: Partial<OAuth1Options> = {}): OAuth1Server {
  const events: ServerEvent[] = []
  const clock = () => server.now
  const store = options.store ?? memoryStore({ clock })
  const server: OAuth1Server = {
    options: { clients: [client], secrets, clock, onEvent: (event) => events.push(event), ...options, store },
    store,
    events,
    now: start,
  }
  return server
}

/** Key material of a client. */
export interface Signer {
  readonly client_id: string
  readonly client_secret?: string
  readonly privateKey?: KeyObject
  readonly token?: Token
}

export interface Token {
  readonly oauth_token: string
  readonly oauth_token_secret: string
}

export type Pairs = readonly (readonly [string, string])[]

export interface SignOptions {
  readonly method?: string
  readonly signatureMethod?: string
  /** Replaces or removes (undefined) protocol parameters before signing. */
  readonly protocol?: Readonly<Record<string, string | undefined>>
  /** Pairs of the form body. */
  readonly form?: Pairs
  readonly place?: 'header' | 'query' | 'body'
  readonly timestamp?: number
  /** Changes the signature after it was made. */
  readonly signature?: string
}

let nonces = 0

const encoded = Array.from({ length: 256 }, (_, byte) => {
  const isUnreserved = byte < 128 && /[A-Za-z0-9._~-]/.test(String.fromCharCode(byte))
  return isUnreserved ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
})

/** RFC 5849 §3.6, byte by byte. */
export function encode(text: string): string {
  let result = ''
  for (const byte of Buffer.from(text)) result += encoded[byte] ?? ''
  return result
}

export function baseString(method: string, url: string, pairs: Pairs): string {
  const { protocol, host, pathname, searchParams } = new URL(url)
  const all = [...searchParams, ...pairs].map(([name, value]) => [encode(name), encode(value)] as const)
  all.sort((a, b) => (`${a[0]}\0${a[1]}` < `${b[0]}\0${b[1]}` ? -1 : 1))
  return [method, `${protocol}//${host}${pathname}`, all.map((pair) => pair.join('=')).join('&')].map(encode).join('&')
}

export function signatureOf(signatureMethod: string, base: string, signer: Signer): string {
  const key = `${encode(signer.client_secret ?? '')}&${encode(signer.token?.oauth_token_secret ?? '')}`
  const [kind = '', digest = ''] = signatureMethod.toLowerCase().split('-')
  if (kind === 'plaintext') return key
  if (kind === 'hmac') return createHmac(digest, key).update(base).digest('base64')
  if (signer.privateKey === undefined) throw new Error('no private key')
  return rsaSign(digest, Buffer.from(base), { key: signer.privateKey, padding: constants.RSA_PKCS1_PADDING }).toString('base64')
}

/** A signed request, as a client would send it over https. */
export function signed(url: string, signer: Signer, options: SignOptions = {}): ProtocolRequest {
  const { method = 'POST', signatureMethod = 'HMAC-SHA256', form = [], place = 'header', timestamp = start } = options
  const protocol: Record<string, string | undefined> = {
    oauth_consumer_key: signer.client_id,
    oauth_signature_method: signatureMethod,
    oauth_timestamp: String(timestamp),
    oauth_nonce: `nonce-${++nonces}`,
    ...(signer.token === undefined ? {} : { oauth_token: signer.token.oauth_token }),
    ...options.protocol,
  }
  const given = Object.entries(protocol).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  const signature = options.signature ?? signatureOf(signatureMethod, baseString(method, url, [...given, ...form]), signer)
  const sent: Pairs = [...given, ['oauth_signature', signature]]
  const body = [...form, ...(place === 'body' ? sent : [])]
  const query = place === 'query' ? `${url.includes('?') ? '&' : '?'}${joined(sent)}` : ''
  return {
    url: url + query,
    method,
    headers: {
      ...(place === 'header' ? { authorization: header(sent) } : {}),
      ...(body.length > 0 ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
    },
    ...(body.length > 0 ? { body: joined(body) } : {}),
  }
}

export function joined(pairs: Pairs): string {
  return pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
}

export function header(pairs: Pairs): string {
  return `OAuth realm="Photos", ${pairs.map(([name, value]) => `${encode(name)}="${encode(value)}"`).join(', ')}`
}

export function formOf({ body }: ProtocolResponse): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(body))
}

function tokenOf(response: ProtocolResponse): Token {
  const { oauth_token, oauth_token_secret } = formOf(response)
  if (response.status !== 200 || oauth_token === undefined || oauth_token_secret === undefined) {
    throw new Error(`no credentials: ${response.status} ${response.body}`)
  }
  return { oauth_token, oauth_token_secret }
}

/** Asks for temporary credentials. */
export function initiate({ options, now }: OAuth1Server, signer: Signer = client, more: SignOptions = {}): Promise<ProtocolResponse> {
  const protocol = { oauth_callback: callback, ...more.protocol }
  return createTemporaryCredentialsResponse(options, signed(initiateUrl, signer, { timestamp: now, ...more, protocol }))
}

/** Temporary credentials to which `alice` has agreed. */
export async function authorized(server: OAuth1Server, signer: Signer = client, more: SignOptions = {}) {
  const token = tokenOf(await initiate(server, signer, more))
  const { oauth_verifier, redirect } = await authorizeTemporaryCredentials(server.options, {
    oauth_token: token.oauth_token,
    subject: 'alice',
  })
  return { token, oauth_verifier, redirect }
}

/** The request that exchanges temporary credentials. */
export function exchangeRequest(
  { now }: OAuth1Server,
  { token, oauth_verifier }: { readonly token: Token; readonly oauth_verifier: string },
  signer: Signer = client,
  more: SignOptions = {},
): ProtocolRequest {
  return signed(tokenUrl, { ...signer, token }, { timestamp: now, ...more, protocol: { oauth_verifier, ...more.protocol } })
}

/** Token credentials for `alice`. */
export async function tokenFor(server: OAuth1Server, signer: Signer = client, more: SignOptions = {}): Promise<Token> {
  return tokenOf(
    await createAccessTokenResponse(server.options, exchangeRequest(server, await authorized(server, signer, more), signer, more)),
  )
}

/** What a protected resource answers: the response of a refusal, or 200 and who asked. */
export async function resource(
  { options }: OAuth1Server,
  request: ProtocolRequest,
  demand: { readonly realms?: readonly string[]; readonly twoLegged?: boolean } = {},
): Promise<ProtocolResponse & { readonly auth?: OAuth1Info }> {
  const configuration = configureOAuth1(options)
  try {
    const auth = await checkOAuth1(configuration, request, { realms: [], twoLegged: false, ...demand })
    return { status: 200, headers: {}, body: '', auth }
  } catch (thrown) {
    return refuse(configuration, 'oauth1 resource', thrown)
  }
}

/** Every record of a store, as text. */
export function recording(inner: Store): { readonly store: Store; readonly written: string[] } {
  const written: string[] = []
  return {
    written,
    store: {
      ...inner,
      create: (record) => {
        written.push(JSON.stringify(record))
        return inner.create(record)
      },
      replace: (record, version) => {
        written.push(JSON.stringify(record))
        return inner.replace(record, version)
      },
    },
  }
}

/**
 * MAC tokens for tests: a server that issues them, a resource that asks for them, and signatures made here by hand, so that what the
 * package signs and verifies is compared with something that it did not make.
 */
import { createHash, createHmac } from 'node:crypto'
import { configure } from '../../src/configuration/configure.js'
import { readRequirement, type AccessTokenRequirement } from '../../src/endpoints/resource/requirement.js'
import { checkAccessToken } from '../../src/endpoints/resource/check.js'
import type { ProtocolRequest, ServerOptions } from '../../src/index.js'
import { basic, machine, start, testServer, type TestServer } from './server.js'

export type Draft = '-00' | '-01'
export const drafts: readonly Draft[] = ['-00', '-01']

export interface MacToken {
  readonly access_token: string
  readonly mac_key: string
}

/** A server that issues MAC tokens. Its resources are at https://api.example.com. */
export function macServer(options: ServerOptions = {}): TestServer {
  return testServer({ authenticationMethod: 'mac', issuer: 'https://api.example.com', ...options })
}

/** A MAC token of the client `machine`. */
export async function macToken(server: TestServer): Promise<MacToken> {
  const { json } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
  return json as unknown as MacToken
}

/** What is signed, where it differs from GET https://api.example.com/api?b=1&a=2 at the time when the token was issued. */
export interface Signing {
  readonly method?: string
  readonly target?: string
  readonly host?: string
  readonly port?: string
  /** Seconds since the token was issued; as a text, for the nonce of draft -00 only, it is written as it is. */
  readonly age?: number | string
  readonly nonce?: string
  readonly body?: string
  readonly ext?: string
}

export const aGet: ProtocolRequest = { method: 'GET', url: '/api?b=1&a=2', headers: {} }

/** The attributes of the Authorization header, signed with HMAC-SHA-256. */
export function signedAttributes(draft: Draft, { access_token, mac_key }: MacToken, signing: Signing = {}): Record<string, string> {
  const {
    method = 'GET',
    target = '/api?b=1&a=2',
    host = 'api.example.com',
    port = '443',
    age = 0,
    nonce = 'dj83hs9s',
    body,
    ext,
  } = signing
  const where = `${method}\n${target}\n${host}\n${port}\n`
  const bodyhash = body === undefined ? '' : createHash('sha256').update(body).digest('base64')
  const ts = String(start + Number(age))
  const dated = draft === '-00' ? { nonce: `${age}:${nonce}` } : { ts, nonce }
  const text = draft === '-00' ? `${age}:${nonce}\n${where}${bodyhash}\n${ext ?? ''}\n` : `${ts}\n${nonce}\n${where}${ext ?? ''}\n`
  const mac = createHmac('sha256', mac_key).update(text).digest('base64')
  return { id: access_token, ...dated, ...(body === undefined ? {} : { bodyhash }), ...(ext === undefined ? {} : { ext }), mac }
}

/** The value of the header with those attributes. */
export function macLine(attributes: Readonly<Record<string, string>>): string {
  return `MAC ${Object.entries(attributes).map(([name, value]) => `${name}="${value}"`).join(', ')}` // prettier-ignore
}

/** {@link aGet} with a header of that draft. */
export function signedGet(draft: Draft, token: MacToken, signing: Signing = {}): ProtocolRequest {
  return { ...aGet, headers: { authorization: macLine(signedAttributes(draft, token, signing)) } }
}

/** Asks the guard of a resource: `accepted`, or the response. */
export async function ask({ options }: TestServer, request: ProtocolRequest, requirement: AccessTokenRequirement = {}) {
  const configuration = configure(options)
  const demand = readRequirement(configuration, requirement)
  const checked = await checkAccessToken(configuration, request, demand, demand.scopeFor(undefined))
  return checked.outcome === 'accepted' ? checked.outcome : checked.response
}

/** The answer to a MAC request that is refused. The reason is in the event. */
export const invalidMac = {
  status: 401,
  headers: {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    Pragma: 'no-cache',
    'WWW-Authenticate':
      'MAC realm="oauth2", error="invalid_token", error_description="the access token is invalid, expired, or was revoked"',
  },
  body: '{"error":"invalid_token","error_description":"the access token is invalid, expired, or was revoked"}',
}

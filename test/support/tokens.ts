/**
 * Keys, and tokens written by hand: what a test presents is made with node:crypto, not with the code under test.
 */
import { constants, createHmac, generateKeyPairSync, sign, type JsonWebKey, type KeyObject } from 'node:crypto'
import { configure } from '../../src/configuration/configure.js'
import { readRequirement } from '../../src/endpoints/resource/requirement.js'
import { checkAccessToken, type AccessTokenCheck } from '../../src/endpoints/resource/check.js'
import type { AccessTokenRequirement, ServerOptions, TokenClaims } from '../../src/index.js'
import { jwt } from '../../src/index.js'
import { basic, machine, start, testServer, type TestServer } from './server.js'

export const issuer = 'https://server.example'

export const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
export const otherP256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
export const ed25519 = generateKeyPairSync('ed25519')

/** Made when it is first used: that takes its time. */
export const rsa = {
  get privateKey() {
    return rsaPair().privateKey
  },
  get publicKey() {
    return rsaPair().publicKey
  },
}

let madePair: { readonly privateKey: KeyObject; readonly publicKey: KeyObject } | undefined
function rsaPair() {
  return (madePair ??= generateKeyPairSync('rsa', { modulusLength: 2048 }))
}

/** A key as PEM text. */
export function pem(key: KeyObject): string {
  return key.export({ format: 'pem', type: key.type === 'private' ? 'pkcs8' : 'spki' }) as string
}

export function jwk(key: KeyObject): JsonWebKey {
  return key.export({ format: 'jwk' })
}

/** JSON, text or bytes in base64url. */
export function base64url(value: unknown): string {
  const bytes = typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value)
  return Buffer.from(bytes as string).toString('base64url')
}

/** The signature of a text in the form of RFC 7518 §3; `none` has an empty one. */
export function signatureOf(text: string, alg: string, key: KeyObject | string | Buffer): Buffer {
  if (alg === 'none') return Buffer.alloc(0)
  if (alg.startsWith('HS'))
    return createHmac(`sha${alg.slice(2)}`, key)
      .update(text)
      .digest()
  const asymmetric = key as KeyObject
  if (alg === 'EdDSA' || alg === 'Ed25519') return sign(null, Buffer.from(text), asymmetric)
  const digest = `sha${alg.slice(2)}`
  if (alg.startsWith('ES')) return sign(digest, Buffer.from(text), { key: asymmetric, dsaEncoding: 'ieee-p1363' })
  if (alg.startsWith('RS')) return sign(digest, Buffer.from(text), asymmetric)
  const saltLength = Number(alg.slice(2)) / 8
  return sign(digest, Buffer.from(text), { key: asymmetric, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
}

/** A JWS in compact form: any header, any payload, any key. */
export function signed(
  header: Readonly<Record<string, unknown>>,
  payload: unknown,
  key: KeyObject | string | Buffer,
  alg = String(header.alg),
): string {
  const text = `${base64url(header)}.${base64url(payload)}`
  return `${text}.${signatureOf(text, alg, key).toString('base64url')}`
}

/** Header and claims of a JWS, as they stand there. */
export function decoded(token: string): { header: Record<string, unknown>; claims: Record<string, unknown> } {
  const [header, claims] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>) // prettier-ignore
  return { header: header ?? {}, claims: claims ?? {} }
}

/** A server whose access tokens are JWTs, signed with {@link p256} unless the options say otherwise. */
export function jwtServer(options: ServerOptions = {}): TestServer {
  return testServer({ issuer, accessTokens: jwt({ key: p256.privateKey }), ...options })
}

/** An access token that the machine client got for itself. */
export async function machineToken(server: TestServer, scope = 'read'): Promise<string> {
  const { status, body, json } = await server.token({ grant_type: 'client_credentials', scope }, basic(machine))
  if (status !== 200 || json.access_token === undefined) throw new Error(`no token: ${body}`)
  return json.access_token
}

/** Claims that a reader accepts at {@link start}. */
export const goodClaims = {
  iss: issuer,
  exp: start + 60,
  aud: issuer,
  sub: 'alice',
  client_id: 'web',
  iat: start,
  jti: 'a'.repeat(22),
  scope: 'read',
} as const

/** A request to a protected resource with a bearer token. */
export async function present(options: ServerOptions, token: string, requirement: AccessTokenRequirement = {}): Promise<AccessTokenCheck> {
  const configuration = configure(options)
  const request = { method: 'GET', url: '/notes', headers: { authorization: `Bearer ${token}` } }
  const demand = readRequirement(configuration, requirement)
  return checkAccessToken(configuration, request, demand, demand.scopeFor(undefined))
}

/** The status that a protected resource answers: 200 where it lets pass. */
export async function statusOf(options: ServerOptions, token: string, requirement: AccessTokenRequirement = {}): Promise<number> {
  const checked = await present(options, token, requirement)
  return checked.outcome === 'accepted' ? 200 : checked.response.status
}

/** What a format is told about a token of the machine client. */
export async function claimsForFormat(changes: Partial<TokenClaims> = {}): Promise<TokenClaims> {
  const told: TokenClaims[] = []
  const claims = (token: TokenClaims) => {
    told.push(token)
    return {}
  }
  await machineToken(jwtServer({ accessTokens: jwt({ key: p256.privateKey, claims }) }))
  const [token] = told
  if (token === undefined) throw new Error('the claims function was not asked')
  return { ...token, ...changes }
}

/**
 * The claims of a self-contained access token, written and read: the JWT profile of RFC 9068, which the encrypted token shares.
 *
 * Static and dynamic claims of the application come first and may replace none of the protected ones.
 */
import type { JsonObject } from '../authorization.js'
import { isAuthorizationId } from '../credentials.js'
import { ConfigurationError, ServerError } from '../errors.js'
import { formatScope } from '../scope.js'
import { randomText } from '../secrets.js'
import type { FormatServer, SelfContainedReading, TokenClaims } from './access-token.js'

/** What an application may say about the claims of its tokens. */
export interface ClaimsOptions {
  /** Claims of your own, or a function of the token. They may hold `aud`, and may not replace iss, exp, nbf, sub, client_id, iat, jti, scope, sub_type. */
  readonly claims?: JsonObject | ((token: TokenClaims) => JsonObject | Promise<JsonObject>)
  /** Whom tokens are meant for. Default: the resource that was asked for, else the issuer. */
  readonly audience?: string
  /** The `iss` claim. Default: the server's `issuer`. */
  readonly issuer?: string
}

const protectedClaims: readonly string[] = ['iss', 'exp', 'nbf', 'sub', 'client_id', 'iat', 'jti', 'scope', 'sub_type']
const jtiSize = 22

/** @throws ConfigurationError when the options are wrong. */
export function assertClaimsOptions(
  { claims, audience, issuer }: Readonly<Partial<Record<keyof ClaimsOptions, unknown>>>,
  where: string,
): void {
  for (const [name, value] of Object.entries({ audience, issuer })) {
    if (value !== undefined && (typeof value !== 'string' || value === ''))
      throw new ConfigurationError(`${where}: ${name} must be a string that is not empty`)
  }
  if (claims === undefined || typeof claims === 'function') return
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) {
    throw new ConfigurationError(`${where}: claims must be an object or a function of the token`)
  }
  const taken = protectedClaims.find((name) => name in claims)
  if (taken !== undefined) throw new ConfigurationError(`${where}: claims must not hold "${taken}", which the server sets itself`)
}

/** @throws ConfigurationError when there is no issuer to name. */
export function assertHasIssuer({ issuer }: ClaimsOptions, server: FormatServer, where: string): void {
  if (issuer === undefined && server.issuer === undefined) {
    throw new ConfigurationError(`${where} needs the option issuer, the https URL of this server, for the claim iss (RFC 9068 §2.2)`)
  }
}

/**
 * The claims of a new token.
 *
 * @throws ServerError when the application's claims replace a protected one.
 * @see RFC 9068 §2.2
 */
export async function writeClaims(token: TokenClaims, options: ClaimsOptions): Promise<JsonObject> {
  const { client, subject, scope, resource, issuedAt, expiresAt, authorization_id, extra = {} } = token
  const iss = options.issuer ?? token.issuer ?? ''
  const jti = authorization_id === undefined ? randomText(jtiSize) : `${authorization_id}.${randomText(jtiSize)}`
  const own = typeof options.claims === 'function' ? await options.claims(token) : (options.claims ?? {})
  assertUnprotected(own)
  return {
    // RFC 9068 §2.2.1: what is known about the authentication
    ...known(extra, ['auth_time', 'acr', 'amr']),
    aud: resource.length > 1 ? resource : (resource[0] ?? options.audience ?? iss),
    ...own,
    iss,
    exp: expiresAt,
    // RFC 9068 §2.2: where no resource owner is involved, the client is the subject
    sub: subject ?? client.client_id,
    client_id: client.client_id,
    iat: issuedAt,
    jti,
    ...(scope.length === 0 ? {} : { scope: formatScope(scope) }),
    ...(subject === undefined ? { sub_type: 'client' } : {}),
  }
}

function assertUnprotected(claims: unknown): asserts claims is JsonObject {
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) {
    throw new ServerError(undefined, { reason: 'the claims function answered something else than an object' })
  }
  const taken = protectedClaims.find((name) => name in claims)
  if (taken !== undefined) throw new ServerError(undefined, { reason: `the claims function may not set ${taken}` })
}

function known(extra: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(extra).filter(([name]) => names.includes(name)))
}

/**
 * What verified claims say; undefined when a required one is missing, of the wrong kind, or of another issuer.
 *
 * @see RFC 9068 §4
 */
export function readClaims(
  claims: Readonly<Partial<Record<string, unknown>>>,
  options: ClaimsOptions,
  server: FormatServer,
): SelfContainedReading | undefined {
  const { iss, exp, sub, client_id, iat, jti, aud, nbf, scope = '', sub_type } = claims
  if (iss !== (options.issuer ?? server.issuer) || !isInstant(exp) || !isInstant(iat) || nbf !== undefined) return undefined
  if (typeof sub !== 'string' || typeof client_id !== 'string' || typeof jti !== 'string' || typeof scope !== 'string') return undefined
  const [id, random] = jti.split('.')
  return {
    kind: 'self-contained',
    client_id,
    subject: sub_type === 'client' ? undefined : sub,
    scope: scope === '' ? [] : scope.split(' '),
    audience: typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud.filter((item) => typeof item === 'string') : [],
    issuedAt: iat,
    expiresAt: exp,
    jti,
    authorization_id: random !== undefined && id !== undefined && isAuthorizationId(id) ? id : undefined,
    claims: claims as JsonObject,
  }
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/**
 * The claims of a self-contained access token, written and read: the JWT profile of RFC 9068, which the encrypted token shares.
 *
 * Static and dynamic claims of the application come first and may replace none of the protected ones.
 */
import { jsonCopy, type JsonObject } from '../json.js'
import { whenThere, type Awaitable } from '../awaitable.js'
import { isAuthorizationId } from '../authorization/credentials.js'
import { ConfigurationError, ServerError } from '../errors.js'
import { formatScope } from '../authorization/scope.js'
import { randomText } from '../secrets.js'
import type { FormatServer, SelfContainedReading, TokenClaims } from './access-token.js'

/** What an application may say about the claims of its tokens. */
export interface ClaimsOptions {
  /**
   * Claims of your own, or a function of the token. They may not replace iss, exp, nbf, sub, client_id, iat, jti, scope, sub_type. What the function says of
   * `aud` counts unless a resource was asked for; an `aud` that is always the same is the option `audience`.
   */
  readonly claims?: JsonObject | ((token: TokenClaims) => JsonObject | Promise<JsonObject>)
  /** Whom tokens are meant for: one, or several in one token. Default: the resource that was asked for, else the issuer. */
  readonly audience?: string | readonly string[]
  /** The `iss` claim. Default: the server's `issuer`. */
  readonly issuer?: string
}

const protectedClaims: readonly string[] = ['iss', 'exp', 'nbf', 'sub', 'client_id', 'iat', 'jti', 'scope', 'sub_type']
/** The option that is meant by an application that sets a protected claim. */
const optionOfClaim: ReadonlyMap<string, string> = new Map([
  ['iss', 'it is the option issuer'],
  ['exp', 'it follows from the option accessTokenLifetime'],
])
const jtiSize = 22

/**
 * The options, read once.
 *
 * @throws ConfigurationError when they are wrong.
 */
export function readClaimsOptions({ claims, audience, issuer }: ClaimsOptions, where: string): ClaimsOptions {
  if (issuer !== undefined && !isName(issuer)) throw new ConfigurationError(`${where}: issuer must be a string that is not empty`)
  if (audience !== undefined && readAudience(audience).length === 0)
    throw new ConfigurationError(
      `${where}: audience must be a string that is not empty, or an array of them; leave it out for the resource that was asked for, else the issuer`,
    )
  const named = { ...(audience === undefined ? {} : { audience: copyOf(audience) }), ...(issuer === undefined ? {} : { issuer }) }
  return claims === undefined ? named : { ...named, claims: typeof claims === 'function' ? claims : readStaticClaims(claims, where) }
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

/** A list of the same, so that nothing changes later; of a list of one its only member. */
function copyOf<T extends string | undefined>(audience: T | readonly string[]): T | string | string[] {
  if (typeof audience !== 'object') return audience
  const [only = '', ...others] = audience
  return others.length === 0 ? only : [...audience]
}

function readStaticClaims(claims: JsonObject, where: string): JsonObject {
  const own = plainClaims(claims)
  if (own === undefined) throw new ConfigurationError(`${where}: claims must be an object of plain JSON, or a function of the token`)
  const taken = protectedClaims.find((name) => name in claims)
  if (taken !== undefined) {
    const option = optionOfClaim.get(taken)
    const remedy = option === undefined ? '' : `; ${option}`
    throw new ConfigurationError(`${where}: claims must not hold "${taken}", which the server sets itself${remedy}`)
  }
  if ('aud' in claims) throw new ConfigurationError(`${where}: claims must not hold "aud"; it is the option audience`)
  return own
}

/** Whom tokens are meant for as far as these options know: where they name nobody, it is the server's issuer. */
export function usualAudience({ audience, issuer }: ClaimsOptions): { audience?: string | readonly string[] } {
  const usual = audience ?? issuer
  return usual === undefined ? {} : { audience: usual }
}

/** @throws ConfigurationError when there is no issuer to name. */
export function assertHasIssuer({ issuer }: ClaimsOptions, server: FormatServer, where: string): void {
  if (issuer === undefined && server.issuer === undefined) {
    throw new ConfigurationError(`${where} needs the option issuer, the https URL of this server, for the claim iss (RFC 9068 §2.2)`)
  }
}

/**
 * The claims of a new token. What is undefined is not written.
 *
 * @throws ServerError when the application's claims replace a protected one, or cannot be written.
 * @see RFC 9068 §2.2
 */
export function writeClaims(token: TokenClaims, options: ClaimsOptions): Awaitable<Partial<JsonObject>> {
  const { claims } = options
  if (typeof claims !== 'function') return allClaims(token, options, claims ?? noClaims)
  return whenThere(claims(token), (answer) => allClaims(token, options, answeredClaims(answer)))
}

const noClaims: JsonObject = {}

function allClaims(token: TokenClaims, options: ClaimsOptions, own: JsonObject): Partial<JsonObject> {
  const { client, subject, scope, resource, issuedAt, expiresAt, authorization_id } = token
  const { auth_time, acr, amr } = token.extra ?? {}
  const iss = options.issuer ?? token.issuer ?? ''
  const jti = authorization_id === undefined ? randomText(jtiSize) : `${authorization_id}.${randomText(jtiSize)}`
  return {
    // RFC 9068 §2.2.1: what is known about the authentication
    auth_time,
    acr,
    amr,
    ...own,
    iss,
    // RFC 9068 §3: the resource that was asked for, else a default
    aud: resource.length > 1 ? resource : (resource[0] ?? own.aud ?? copyOf(options.audience) ?? iss),
    exp: expiresAt,
    // RFC 9068 §2.2: where no resource owner is involved, the client is the subject
    sub: subject ?? client.client_id,
    client_id: client.client_id,
    iat: issuedAt,
    jti,
    scope: scope.length === 0 ? undefined : formatScope(scope),
    // RFC 9700 §4.15: a client whose id is somebody's name must not be taken for that person
    sub_type: subject === undefined ? 'client' : undefined,
  }
}

function answeredClaims(claims: unknown): JsonObject {
  const own = plainClaims(claims)
  if (own === undefined) throw new ServerError(undefined, { reason: 'the claims function must return an object of plain JSON' })
  const taken = protectedClaims.find((name) => name in own || name in (claims as object))
  if (taken !== undefined) throw new ServerError(undefined, { reason: `the claims function may not set ${taken}` })
  if (own.aud !== undefined && readAudience(own.aud).length === 0) {
    throw new ServerError(undefined, { reason: 'the claims function must answer aud as a string or an array of strings (RFC 7519 §4.1.3)' })
  }
  return own
}

/** A copy as it would be sent, so that no `toJSON` or getter says something else later; undefined when it is not an object of plain JSON. */
function plainClaims(claims: unknown): JsonObject | undefined {
  try {
    return jsonCopy(claims as JsonObject, 'claims')
  } catch {
    return undefined
  }
}

/** RFC 7519 §4.1.3: a string, or an array of strings; empty when it is neither. */
function readAudience(aud: unknown): readonly string[] {
  const audience: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  return audience.every((item) => typeof item === 'string' && item !== '') ? (audience as readonly string[]) : []
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
  const audience = readAudience(aud)
  // RFC 9068 §2.2: aud is required
  if (audience.length === 0) return undefined
  const [id, random] = jti.split('.')
  return {
    kind: 'self-contained',
    client_id,
    subject: sub_type === 'client' ? undefined : sub,
    scope: scope === '' ? [] : scope.split(' '),
    audience,
    issuedAt: iat,
    expiresAt: exp,
    jti,
    authorization_id: random !== undefined && id !== undefined && isAuthorizationId(id) ? id : undefined,
    claims: claims as JsonObject,
  }
}

/** Whole seconds since the epoch. Milliseconds are not: such a token would live for fifty thousand years. */
function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < 100_000_000_000
}

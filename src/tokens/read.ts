/**
 * The one place where tokens are read: a text in, an active token or nothing out.
 *
 * 1. The format verifies the text. There is no reading without verification.
 * 2. A reference is looked up in its Authorization: one `get`.
 * 3. Expired, revoked, unknown, another server's: all the same nothing.
 */
import { findAccessToken, isLive, isTokenLive, type Authorization } from '../authorization/authorization.js'
import type { JsonObject } from '../json.js'
import { whenThere, type Awaitable } from '../awaitable.js'
import { parseRefreshToken, type RefreshTokenText } from '../authorization/credentials.js'
import type { Scope } from '../authorization/scope.js'
import type { Ledger } from '../authorization/ledger.js'
import type { AccessTokenFormat, AccessTokenReading, SelfContainedReading } from './access-token.js'

/** What reading needs of the server. */
export interface ReadingPolicy {
  readonly accessTokenFormat: AccessTokenFormat
  readonly ledger: Ledger
  readonly clock: () => number
  readonly issuer: string | undefined
  /** The instant before which everything has ended. */
  readonly notBefore: number | undefined
}

/** What reading refresh tokens needs of the server. */
export interface RefreshReadingPolicy {
  readonly ledger: Ledger
  /** Present where the application writes refresh tokens itself. */
  readonly refreshTokens: unknown
}

/** An access token that may be used now. Instants are whole seconds since the epoch. */
export interface ActiveAccessToken {
  readonly client_id: string
  readonly subject: string | undefined
  readonly scope: Scope
  /** Whom it is meant for; empty where nothing was said. */
  readonly audience: readonly string[]
  readonly issuedAt: number
  /** When its Authorization was made, or, where that was not read, the token itself. */
  readonly madeAt: number
  readonly expiresAt: number
  /** Undefined for a token that nothing is stored about. */
  readonly authorization_id: string | undefined
  /** What its type keeps about it, sealed under its text. */
  readonly binding: string | undefined
  /** What the application bound to the Authorization, or the claims of a self-contained token: a copy, or what its format has just read. */
  readonly extra: JsonObject
}

/** Characters of the longest token that is looked at. */
export const maxTokenSize = 16_384

/**
 * The refresh token in a text: of our own making by its form, of the application's by its alias; undefined when it is neither.
 *
 * @throws TemporarilyUnavailable when the store fails.
 */
export function identifyRefreshToken(
  text: string,
  { ledger, refreshTokens }: RefreshReadingPolicy,
): Awaitable<RefreshTokenText | undefined> {
  const parsed = parseRefreshToken(text)
  if (parsed !== undefined || refreshTokens === undefined || text.length > maxTokenSize) return parsed
  return refreshTokenByAlias(text, ledger)
}

async function refreshTokenByAlias(text: string, ledger: Ledger): Promise<RefreshTokenText | undefined> {
  const alias = await ledger.findAlias(text)
  if (alias?.generation === undefined) return undefined
  return { authorization_id: alias.authorization_id, generation: alias.generation, proof: 'alias' }
}

/** The namespace of the guards of revoked tokens that belong to no Authorization. */
export const revokedTokens = 'revoked access token'

/**
 * What a text is, before anything is looked up but the alias of a text of the application's own.
 *
 * @throws TemporarilyUnavailable when the store fails.
 */
export function identifyAccessToken(text: string, policy: ReadingPolicy): Awaitable<AccessTokenReading | undefined> {
  if (text === '' || text.length > maxTokenSize) return undefined
  const { accessTokenFormat, ledger, issuer } = policy
  return accessTokenFormat.read === undefined ? readByAlias(text, ledger) : accessTokenFormat.read(text, { issuer })
}

async function readByAlias(text: string, ledger: Ledger): Promise<AccessTokenReading | undefined> {
  const alias = await ledger.findAlias(text)
  return alias === undefined ? undefined : { kind: 'reference', authorization_id: alias.authorization_id }
}

/**
 * The access token with that text, or undefined when it is not active. With `checkRevocation` a self-contained token is looked up as well: one `get`.
 * `onIdentified` is told what the text is, before anything is looked up.
 *
 * @throws TemporarilyUnavailable when the store fails.
 */
export function readAccessToken(
  text: string,
  policy: ReadingPolicy,
  checkRevocation: boolean,
  onIdentified?: (reading: AccessTokenReading) => void,
): Awaitable<ActiveAccessToken | undefined> {
  return whenThere(identifyAccessToken(text, policy), (reading) => {
    if (reading === undefined || reading.kind === 'sealed') return undefined
    onIdentified?.(reading)
    const now = policy.clock()
    if (reading.kind === 'self-contained') return activeToken(reading, policy, checkRevocation, now)
    return whenThere(policy.ledger.find(reading.authorization_id), (authorization) =>
      authorization === undefined ? undefined : opaqueToken(authorization, text, now),
    )
  })
}

/**
 * Whether an access token of an Authorization that was read already may still be used: the same answer for every format.
 *
 * @throws TemporarilyUnavailable when the store fails.
 */
export function isAccessTokenLive(text: string, authorization: Authorization, policy: ReadingPolicy, now: number): Awaitable<boolean> {
  if (policy.accessTokenFormat.kind === 'reference') return findAccessToken(authorization, text, now) !== undefined
  return whenThere(identifyAccessToken(text, policy), (reading) => {
    // One that is encrypted to somebody else cannot be revoked here, except with its Authorization.
    if (reading?.kind === 'sealed') return isLive(authorization, now)
    return reading?.kind === 'self-contained' && !hasEnded(reading, policy, now) && isTokenLive(authorization, reading.jti, now)
  })
}

function hasEnded({ issuedAt, expiresAt }: SelfContainedReading, { notBefore }: ReadingPolicy, now: number): boolean {
  return now >= expiresAt || (notBefore !== undefined && issuedAt < notBefore)
}

function activeToken(
  reading: SelfContainedReading,
  policy: ReadingPolicy,
  checkRevocation: boolean,
  now: number,
): Awaitable<ActiveAccessToken | undefined> {
  if (hasEnded(reading, policy, now)) return undefined
  if (!checkRevocation) return selfContainedToken(reading, reading.issuedAt)
  return whenThere(unrevokedSince(reading, policy, now), (madeAt) =>
    madeAt === undefined ? undefined : selfContainedToken(reading, madeAt),
  )
}

/**
 * When a token that was not revoked was made, with its Authorization where it names one. A token that names an Authorization lives no longer than that; one of
 * a client alone, unless a guard says that it was revoked.
 */
async function unrevokedSince(reading: SelfContainedReading, { ledger }: ReadingPolicy, now: number): Promise<number | undefined> {
  const { authorization_id, jti, issuedAt } = reading
  if (authorization_id === undefined) return (await ledger.wasClaimed(revokedTokens, jti)) ? undefined : issuedAt
  const authorization = await ledger.find(authorization_id)
  return authorization !== undefined && isTokenLive(authorization, jti, now) ? Math.min(issuedAt, authorization.createdAt) : undefined
}

function selfContainedToken(reading: SelfContainedReading, madeAt: number): ActiveAccessToken {
  const { client_id, subject, scope, audience, issuedAt, expiresAt, authorization_id, claims } = reading
  return { client_id, subject, scope, audience, issuedAt, madeAt, expiresAt, authorization_id, binding: undefined, extra: claims }
}

/** The opaque access token with that text in an Authorization that was read already. */
export function opaqueToken(authorization: Authorization, text: string, now: number): ActiveAccessToken | undefined {
  const token = findAccessToken(authorization, text, now)
  if (token === undefined) return undefined
  const { scope, resource, issuedAt, expiresAt, binding } = token
  const { id, client_id, subject, createdAt: madeAt } = authorization
  // The store's own stays out of the application's reach.
  const extra = authorization.extra === undefined ? {} : structuredClone(authorization.extra)
  return { client_id, subject, scope, audience: resource, issuedAt, madeAt, expiresAt, authorization_id: id, binding, extra }
}

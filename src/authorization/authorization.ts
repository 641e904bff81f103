/**
 * The Authorization: one decision of a resource owner (or of a client about itself), and every credential that descends
 * from it: the code, the refresh token of each generation, the opaque access tokens.
 *
 * All functions here are pure: a state in, the next state out. Who may ask, and whether the next state is the one that
 * gets written, is decided elsewhere; that it is written whole or not at all is the promise of the store.
 *
 *   issued code ──redeemed──▶ used code      (a wrong verifier: burnt code)
 *   refresh token n ──rotated──▶ refresh token n+1, which remembers n for a retry
 *   anything ──revoked──▶ revoked, for good
 */
import { wasIssuedWith, type RefreshTokenText } from './credentials.js'
import { equalInConstantTime, matchesDigest, sha256 } from '../secrets.js'
import type { JsonObject } from '../json.js'
import type { Scope } from './scope.js'
import { withMembers } from '../with-members.js'

/** One decision and all that descends from it. Instants are whole seconds since the epoch. */
export interface Authorization {
  readonly id: string
  /** The version that was read; absent until the first write. */
  readonly version?: string
  readonly client_id: string
  /** Whom the tokens speak for; absent where the client speaks for itself. */
  readonly subject?: string
  /** The grant type by which it came to be. */
  readonly grant_type: string
  /** What was granted; each token carries this or less. */
  readonly scope: Scope
  /** The resources it was granted for (RFC 8707); empty means not bound to any. */
  readonly resource: readonly string[]
  readonly createdAt: number
  /** Nothing that descends from it is valid from here on. Never goes down. */
  readonly expiresAt: number
  readonly revokedAt?: number
  readonly code?: AuthorizationCode
  readonly refreshToken?: RefreshToken
  /** Live opaque access tokens, oldest first. */
  readonly accessTokens: readonly OpaqueAccessToken[]
  /** Self-contained access tokens that were revoked one by one and have not expired yet; at most 100. */
  readonly revokedTokens?: readonly RevokedToken[]
  /** What the application wants to find again in its hooks; never sent. */
  readonly extra?: JsonObject
}

/** An authorization code (RFC 6749 §4.1.2) and what its redemption must prove. */
export interface AuthorizationCode {
  readonly hash: string
  readonly expiresAt: number
  readonly redirect_uri: string
  /** Whether the authorization request named it, so that the token request must too (§4.1.3). */
  readonly redirect_uri_named: boolean
  readonly pkce: CodeChallenge
  readonly status: 'issued' | 'used' | 'burnt'
  /** When it was used. Versions before 0.3.0 did not write it. */
  readonly usedAt?: number
}

/** The code challenge (RFC 7636), or the statement that there was none. Never merely absent. */
export type CodeChallenge = { readonly method: 'S256'; readonly code_challenge: string } | { readonly method: 'none' }

/** The head of the refresh tokens, and the one before it. */
export interface RefreshToken {
  /** Key of the tags of all generations. It can show that a token was ours, not make one that is accepted. */
  readonly key: string
  readonly generation: number
  readonly hash: string
  /** When the head ends unless it is used before. */
  readonly expiresAt: number
  readonly previous?: PreviousRefreshToken
}

/** What a client that lost an answer needs: the answer, sealed under the refresh token it presented. */
export interface PreviousRefreshToken {
  readonly hash: string
  readonly retryUntil: number
  readonly sealedAnswer: string
}

/** An opaque access token as it is remembered. */
export interface OpaqueAccessToken {
  readonly hash: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly scope: Scope
  readonly resource: readonly string[]
  /** What its type keeps about it, sealed under its text: the key of a MAC token. */
  readonly binding?: string
}

/** A self-contained access token that ended before its time. */
export interface RevokedToken {
  readonly jti: string
  readonly expiresAt: number
}

/** Whether anything of it may still be used. */
export function isLive(authorization: Authorization, now: number): boolean {
  return authorization.revokedAt === undefined && now < authorization.expiresAt
}

/** Its code was redeemed. The used code stays, with what a proof of possession needs (§4.1.2: a second use). */
export function withCodeUsed(authorization: Authorization, code: AuthorizationCode, usedAt: number): Authorization {
  return { ...authorization, code: withMembers(code, { status: 'used', usedAt } as const) }
}

/** Its code was presented by the right client with a wrong verifier, and is worth nothing from now on. */
export function withCodeBurnt(authorization: Authorization, code: AuthorizationCode): Authorization {
  return { ...authorization, code: { ...code, status: 'burnt' } }
}

/** It was revoked, with everything that descends from it. Its end stays where it was, so that the record outlives all. */
export function withRevocation(authorization: Authorization, now: number): Authorization {
  const { refreshToken: _refreshToken, ...rest } = authorization
  return { ...rest, accessTokens: [], revokedAt: authorization.revokedAt ?? now }
}

/** A new opaque access token, and the ones it pushed out. */
export interface AccessTokenAdded {
  readonly authorization: Authorization
  readonly dropped: number
}

/** One more opaque access token. Over `limit` live ones the oldest go. */
export function withAccessToken(authorization: Authorization, token: OpaqueAccessToken, limit: number, now: number): AccessTokenAdded {
  const current = withoutExpired(authorization, now)
  const live = [...current.accessTokens, token]
  const accessTokens = live.length > limit ? live.slice(-limit) : live
  const expiresAt = Math.max(current.expiresAt, token.expiresAt)
  return { authorization: { ...current, accessTokens, expiresAt }, dropped: live.length - accessTokens.length }
}

/** One opaque access token less. */
export function withoutAccessToken(authorization: Authorization, hash: string, now: number): Authorization {
  const current = withoutExpired(authorization, now)
  return { ...current, accessTokens: current.accessTokens.filter((token) => token.hash !== hash) }
}

/**
 * Without the access tokens that have ended, revoked or not, and the answer that nobody may ask for again. The used code stays, with what its
 * proof needs, and the head stays, because its key tells reuse.
 */
export function withoutExpired(authorization: Authorization, now: number): Authorization {
  const { accessTokens, refreshToken, revokedTokens } = authorization
  const isAlive = (token: { readonly expiresAt: number }) => now < token.expiresAt
  let current = accessTokens.every(isAlive) ? authorization : { ...authorization, accessTokens: accessTokens.filter(isAlive) }
  if (revokedTokens?.every(isAlive) === false) current = withRevokedTokens(current, revokedTokens.filter(isAlive))
  if (refreshToken?.previous === undefined || now < refreshToken.previous.retryUntil) return current
  const { previous: _previous, ...head } = refreshToken
  return { ...current, refreshToken: head }
}

function withRevokedTokens(
  { revokedTokens: _revokedTokens, ...rest }: Authorization,
  revokedTokens: readonly RevokedToken[],
): Authorization {
  return revokedTokens.length === 0 ? rest : { ...rest, revokedTokens }
}

/** So many self-contained access tokens of one Authorization may be revoked one by one. */
const maxRevokedTokens = 100

/**
 * One self-contained access token less. A record stays small: past {@link maxRevokedTokens} that have not expired, the Authorization ends, and all of them
 * with it. No shorter note would do: an older release that shares the store would not know it, and go on to accept what was revoked.
 */
export function withRevokedToken(authorization: Authorization, token: RevokedToken, now: number): Authorization {
  const current = withoutExpired(authorization, now)
  const { revokedTokens = [] } = current
  if (revokedTokens.length >= maxRevokedTokens) return withRevocation(current, now)
  return { ...current, revokedTokens: [...revokedTokens, token] }
}

/** Whether a self-contained access token of it may still be used. */
export function isTokenLive(authorization: Authorization, jti: string, now: number): boolean {
  return isLive(authorization, now) && !(authorization.revokedTokens ?? []).some((revoked) => revoked.jti === jti)
}

/** A refresh token as its new head, or the same head used again without rotation. */
export function withRefreshToken(authorization: Authorization, refreshToken: RefreshToken): Authorization {
  return withMembers(authorization, { refreshToken, expiresAt: Math.max(authorization.expiresAt, refreshToken.expiresAt) })
}

/** The same Authorization, with an end that is no earlier than `instant`. */
export function covering(authorization: Authorization, instant: number): Authorization {
  return instant > authorization.expiresAt ? { ...authorization, expiresAt: instant } : authorization
}

/** The live opaque access token with that text, or undefined. All hashes are compared. */
export function findAccessToken(authorization: Authorization, text: string, now: number): OpaqueAccessToken | undefined {
  if (!isLive(authorization, now)) return undefined
  const hash = sha256(text)
  const matching = authorization.accessTokens.filter((token) => equalInConstantTime(hash, token.hash))
  return matching.find((token) => now < token.expiresAt)
}

/**
 * What a presented refresh token is to an Authorization:
 *
 * - `head`: the newest one, good for one more use;
 * - `retry`: the one before, in time, its successor unused: the stored answer may be given again;
 * - `reused`: it was issued here and is spent: somebody holds a copy;
 * - `unrecognised`: not issued here, or by a store that has since lost writes. It proves nothing.
 */
export type RefreshTokenStanding = 'head' | 'retry' | 'reused' | 'unrecognised'

/** Judges a refresh token. Expiry of the head is not looked at. */
export function refreshTokenStanding(refreshToken: RefreshToken, token: RefreshTokenText, text: string, now: number): RefreshTokenStanding {
  if (token.generation === refreshToken.generation && matchesDigest(text, refreshToken.hash)) return 'head'
  // What is not recognised by its hash has its tag to show that it was one of ours.
  if (token.generation >= refreshToken.generation || !wasIssuedWith(refreshToken.key, token)) return 'unrecognised'
  const { previous } = refreshToken
  const isPrevious = token.generation === refreshToken.generation - 1 && previous !== undefined && matchesDigest(text, previous.hash)
  return isPrevious && now < previous.retryUntil ? 'retry' : 'reused'
}

/** What happens to the refresh token as an Authorization goes on. */
export type RefreshTokenStep =
  /** The first one, where server and client have them. */
  | { readonly step: 'begin' }
  /** A successor for the one that was presented. */
  | { readonly step: 'rotate'; readonly presented: string }
  /** The same one stays the head. */
  | { readonly step: 'keep' }
  /** The successor that an earlier answer carried is given again. */
  | { readonly step: 'repeat'; readonly successor: string }

/**
 * The one place where tokens are born.
 *
 * 1. The access token is written by its format; an opaque one is remembered by its hash.
 * 2. The refresh token begins, is rotated, stays, or is given again, as the grant said.
 * 3. The members of the response are put together (RFC 6749 §5.1), and with a rotation sealed for a retry.
 *
 * All of it happens before the write, and none of it counts unless the write succeeds.
 */
import {
  covering,
  withAccessToken,
  withoutExpired,
  withRefreshToken,
  type Authorization,
  type JsonObject,
  type RefreshToken,
  type RefreshTokenStep,
} from '../authorization.js'
import type { Client } from '../clients.js'
import { newRefreshTokenText } from '../credentials.js'
import type { Context } from '../protocol.js'
import { formatScope, type Scope } from '../scope.js'
import { sealAnswer, type SealedAnswer } from '../sealed-answer.js'
import { randomText, secretSize, sha256 } from '../secrets.js'
import type { AccessTokenFormat, TokenType } from './access-token.js'

/** What issuing needs of the server. Durations in seconds. */
export interface IssuingPolicy {
  readonly accessTokenFormat: AccessTokenFormat
  readonly tokenType: TokenType
  readonly issuer: string | undefined
  readonly maxAccessTokens: number
  readonly refreshTokenLifetime: number
  readonly refreshTokenIdleLifetime: number
  readonly refreshRetryWindow: number
  readonly clockTolerance: number
}

/** What to issue, all of it decided. */
export interface TokenOrder {
  readonly client: Client
  readonly grant_type: string
  readonly context: Context
  readonly now: number
  /** What the token carries. */
  readonly scope: Scope
  /** The same before the application's rules. */
  readonly askedScope: Scope
  readonly accessTokenLifetime: number
  /** The state to issue from; undefined when the token carries everything itself and nothing will be remembered. */
  readonly authorization: Authorization | undefined
  readonly subject: string | undefined
  /** Undefined: no refresh token. */
  readonly refreshToken: RefreshTokenStep | undefined
}

/** The tokens, and the state that must be written before they are handed out. */
export interface IssuedTokens {
  readonly next: Authorization | undefined
  readonly members: JsonObject
  /** How many live access tokens went because there were too many. */
  readonly dropped: number
}

/** Mints what was ordered. May be called again for the same request, with another state. */
export async function issueTokens(order: TokenOrder, policy: IssuingPolicy): Promise<IssuedTokens> {
  const expiresAt = order.now + order.accessTokenLifetime
  const access_token = await policy.accessTokenFormat.issue(accessTokenClaims(order, policy, expiresAt))
  const remembered = rememberAccessToken(order, policy, access_token, expiresAt)
  const refreshed = stepRefreshToken(order, policy, remembered.authorization)
  const members: JsonObject = {
    access_token,
    token_type: policy.tokenType.token_type,
    expires_in: order.accessTokenLifetime,
    ...(refreshed.text === undefined ? {} : { refresh_token: refreshed.text }),
    ...(order.scope.length === 0 ? {} : { scope: formatScope(order.scope) }),
  }
  const hash = remembered.hash === undefined ? {} : { accessTokenHash: remembered.hash }
  const answer = { members, askedScope: order.askedScope, accessTokenExpiresAt: expiresAt, ...hash }
  return { next: rememberAnswer(order, policy, refreshed, answer), members, dropped: remembered.dropped }
}

/** The members of an answer that is given again, with the time that is left. */
export function repeatedMembers(answer: SealedAnswer, now: number): JsonObject {
  return { ...answer.members, expires_in: answer.accessTokenExpiresAt - now }
}

function accessTokenClaims(order: TokenOrder, policy: IssuingPolicy, expiresAt: number) {
  const { client, subject, scope, grant_type, context, authorization, now } = order
  return {
    client,
    subject,
    scope,
    resource: authorization?.resource ?? [],
    grant_type,
    issuedAt: now,
    expiresAt,
    issuer: policy.issuer,
    authorization_id: authorization?.id,
    extra: authorization?.extra,
    context,
  }
}

interface Remembered {
  readonly authorization: Authorization | undefined
  readonly hash?: string
  readonly dropped: number
}

function rememberAccessToken(order: TokenOrder, policy: IssuingPolicy, access_token: string, expiresAt: number): Remembered {
  const { authorization, scope, now } = order
  if (authorization === undefined) return { authorization, dropped: 0 }
  if (policy.accessTokenFormat.kind === 'self-contained')
    return { authorization: covering(withoutExpired(authorization, now), expiresAt), dropped: 0 }
  const hash = sha256(access_token)
  const token = { hash, issuedAt: now, expiresAt, scope, resource: authorization.resource }
  return { ...withAccessToken(authorization, token, policy.maxAccessTokens, now), hash }
}

/** The state after the refresh token's step, and the text to hand out where there is one. */
interface Refreshed {
  readonly authorization: Authorization | undefined
  readonly text?: string
  /** What was the head before, with the text that was presented. */
  readonly replaced?: { readonly state: RefreshToken; readonly presented: string }
}

function stepRefreshToken(order: TokenOrder, policy: IssuingPolicy, authorization: Authorization | undefined): Refreshed {
  const { refreshToken: action, now } = order
  if (action === undefined || authorization === undefined) return { authorization }
  if (action.step === 'repeat') return { authorization, text: action.successor }
  const expiresAt = Math.min(now + policy.refreshTokenIdleLifetime, authorization.createdAt + policy.refreshTokenLifetime)
  if (action.step === 'begin') {
    const key = randomText(secretSize)
    const text = newRefreshTokenText(authorization.id, 0, key)
    return { text, authorization: withRefreshToken(authorization, { key, generation: 0, hash: sha256(text), expiresAt }) }
  }
  const state = authorization.refreshToken
  if (state === undefined) throw new TypeError('the authorization has no refresh token')
  const { key, generation, hash } = state
  if (action.step === 'keep') return { authorization: withRefreshToken(authorization, { key, generation, hash, expiresAt }) }
  const text = newRefreshTokenText(authorization.id, generation + 1, key)
  const head = { key, generation: generation + 1, hash: sha256(text), expiresAt }
  return { text, authorization: withRefreshToken(authorization, head), replaced: { state, presented: action.presented } }
}

/** With a rotation, the answer is kept for a client that loses it: sealed under the token that the client still holds. */
function rememberAnswer(
  order: TokenOrder,
  policy: IssuingPolicy,
  { authorization, replaced, text = '' }: Refreshed,
  answer: Omit<SealedAnswer, 'refresh_token'>,
): Authorization | undefined {
  const head = authorization?.refreshToken
  if (policy.refreshRetryWindow === 0 || authorization === undefined || head === undefined || replaced === undefined) return authorization
  const previous = {
    hash: replaced.state.hash,
    retryUntil: order.now + policy.refreshRetryWindow + policy.clockTolerance,
    sealedAnswer: sealAnswer({ ...answer, refresh_token: text }, replaced.presented, authorization.id),
  }
  return withRefreshToken(authorization, { ...head, previous })
}

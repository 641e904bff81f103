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
  type RefreshToken,
  type RefreshTokenStep,
} from '../authorization/authorization.js'
import { jsonCopy, type Json, type JsonObject } from '../json.js'
import { whenThere, type Awaitable } from '../awaitable.js'
import type { Client } from '../clients/client.js'
import { ServerError } from '../errors.js'
import { isTokenText, newRefreshTokenText } from '../authorization/credentials.js'
import type { Context } from '../http/message.js'
import { formatScope, type Scope } from '../authorization/scope.js'
import { sealAnswer, type SealedAnswer } from '../authorization/sealed-answer.js'
import { randomText, secretSize, sha256 } from '../secrets.js'
import type { Alias } from '../authorization/ledger.js'
import { withMembers } from '../with-members.js'
import type { AccessTokenFormat, TokenBinding, TokenClaims, TokenType } from './access-token.js'
import { maxTokenSize } from './read.js'

/** Writes the text of a refresh token. Must be hard to guess and never the same twice. */
export type RefreshTokenGenerator = (token: TokenClaims) => string | Promise<string>

/** What issuing needs of the server. Durations in seconds. */
export interface IssuingPolicy {
  readonly accessTokenFormat: AccessTokenFormat
  readonly tokenType: TokenType
  /** Writes the texts of refresh tokens, where the application does. */
  readonly refreshTokens: RefreshTokenGenerator | undefined
  /** Adds members to the response. */
  readonly responseParameters: ((token: TokenClaims) => JsonObject | Promise<JsonObject>) | undefined
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
  /** Whom the token is meant for; empty where that is not bound. */
  readonly resource: readonly string[]
  /** The scope before the application's rules. */
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
  /** To be written before `next`: texts by which it has to be found. */
  readonly aliases: readonly Alias[]
  readonly members: JsonObject
  /** How many live access tokens went because there were too many. */
  readonly dropped: number
}

/**
 * Mints what was ordered. May be called again for the same request, with another state.
 *
 * @throws ServerError when a function of the application answers something that cannot be sent.
 */
export function mintTokens(order: TokenOrder, policy: IssuingPolicy): Awaitable<IssuedTokens> {
  const claims = tokenClaims(order, policy)
  return whenThere(policy.accessTokenFormat.issue(claims), (text) => {
    const minted = rememberAccessToken(order, policy, assertSendable(text, 'accessTokens'), claims)
    return whenThere(stepRefreshToken(order, policy, minted.authorization), (refreshed) =>
      whenThere(responseMembers(order, policy, minted, refreshed.text, claims), (members) => ({
        next: rememberAnswer(order, policy, refreshed, { members, accessTokenExpiresAt: claims.expiresAt }, minted.hash),
        aliases: aliases(policy, refreshed, minted.access_token, claims),
        members,
        dropped: minted.dropped,
      })),
    )
  })
}

/** What the client gets: the members of RFC 6749 §5.1, what the token type adds, and what the application does. */
function responseMembers(
  order: TokenOrder,
  policy: IssuingPolicy,
  minted: Minted,
  refresh_token: string | undefined,
  claims: TokenClaims,
): Awaitable<JsonObject> {
  const members = requiredMembers(order, policy, minted, refresh_token)
  const { responseParameters } = policy
  return responseParameters === undefined ? members : withAddedMembers(members, responseParameters, claims)
}

function requiredMembers(
  { accessTokenLifetime, scope }: TokenOrder,
  { tokenType }: IssuingPolicy,
  { access_token, binding }: Minted,
  refresh_token: string | undefined,
): JsonObject {
  const members: Record<string, Json> = { access_token, token_type: tokenType.token_type, expires_in: accessTokenLifetime }
  if (refresh_token !== undefined) members.refresh_token = refresh_token
  if (scope.length > 0) members.scope = formatScope(scope)
  return binding === undefined ? members : withMembers(members, binding.members)
}

/** What the application adds, without touching what is there. */
async function withAddedMembers(
  members: JsonObject,
  responseParameters: NonNullable<IssuingPolicy['responseParameters']>,
  claims: TokenClaims,
): Promise<JsonObject> {
  const added = addedMembers(await responseParameters(claims))
  const taken = [...protocolMembers, ...Object.keys(members)].find((name) => name in added)
  if (taken !== undefined) throw new ServerError(undefined, { reason: `the option responseParameters may not set ${taken}` })
  return { ...members, ...added }
}

/** Copied before anything is written: what cannot be sent must not come to light afterwards. */
function addedMembers(answer: JsonObject): JsonObject {
  try {
    return jsonCopy(answer, 'responseParameters')
  } catch (cause) {
    throw new ServerError(undefined, {
      reason: 'the option responseParameters must return an object of plain JSON',
      cause,
    })
  }
}

const protocolMembers = ['refresh_token', 'scope', 'error', 'error_description', 'error_uri']

function assertSendable(text: unknown, option: string): string {
  if (typeof text === 'string' && isTokenText(text)) {
    if (text.length <= maxTokenSize) return text
    throw new ServerError(undefined, {
      reason: `the option ${option} made a token of more than ${maxTokenSize} characters, which nobody would read`,
    })
  }
  throw new ServerError(undefined, { reason: `the option ${option} must return a text of letters, digits and -._~+/` })
}

/** A text of the application's own says nothing about where it belongs, so the store has to. */
function aliases(
  { accessTokenFormat, refreshTokens, refreshTokenLifetime }: IssuingPolicy,
  refreshed: Refreshed,
  access_token: string,
  claims: TokenClaims,
): readonly Alias[] {
  const { authorization, text, isNew } = refreshed
  if (authorization === undefined) return []
  const authorization_id = authorization.id
  const head = authorization.refreshToken
  const forAccess = accessTokenFormat.read === undefined ? [{ text: access_token, authorization_id, expiresAt: claims.expiresAt }] : []
  if (refreshTokens === undefined || text === undefined || isNew !== true || head === undefined) return forAccess
  // It is kept as long as the Authorization can live, so that a use of an old one is known for what it is.
  const expiresAt = Math.max(
    authorization.expiresAt,
    authorization.createdAt + (claims.client.refreshTokenLifetime ?? refreshTokenLifetime),
  )
  return [...forAccess, { text, authorization_id, generation: head.generation, expiresAt }]
}

/** The members of an answer that is given again, with the time that is left. */
export function repeatedMembers(answer: SealedAnswer, now: number): JsonObject {
  return { ...answer.members, expires_in: answer.accessTokenExpiresAt - now }
}

function tokenClaims(order: TokenOrder, policy: IssuingPolicy): TokenClaims {
  const { client, subject, scope, grant_type, context, authorization, now } = order
  return {
    kind: 'access_token',
    client,
    subject,
    scope,
    resource: order.resource,
    grant_type,
    issuedAt: now,
    expiresAt: now + order.accessTokenLifetime,
    issuer: policy.issuer,
    authorization_id: authorization?.id,
    extra: authorization?.extra,
    context,
  }
}

/** An access token, and the state that remembers it where anything does. */
interface Minted {
  readonly access_token: string
  readonly binding: TokenBinding | undefined
  readonly authorization: Authorization | undefined
  readonly hash: string | undefined
  readonly dropped: number
}

function rememberAccessToken(order: TokenOrder, policy: IssuingPolicy, access_token: string, { expiresAt }: TokenClaims): Minted {
  const { authorization, scope, now } = order
  if (authorization === undefined) return { access_token, binding: undefined, authorization, hash: undefined, dropped: 0 }
  const binding = policy.tokenType.bind?.(access_token, authorization.id)
  if (policy.accessTokenFormat.kind === 'self-contained') {
    const covered = covering(withoutExpired(authorization, now), expiresAt)
    return { access_token, binding, authorization: covered, hash: undefined, dropped: 0 }
  }
  const hash = sha256(access_token)
  const unbound = { hash, issuedAt: now, expiresAt, scope, resource: order.resource }
  const token = binding === undefined ? unbound : withMembers(unbound, { binding: binding.sealed })
  const added = withAccessToken(authorization, token, policy.maxAccessTokens, now)
  return { access_token, binding, authorization: added.authorization, hash, dropped: added.dropped }
}

/** The state after the refresh token's step, and the text to hand out where there is one. */
interface Refreshed {
  readonly authorization: Authorization | undefined
  readonly text?: string
  /** Whether the text was made just now. */
  readonly isNew?: boolean
  /** What was the head before, with the text that was presented. */
  readonly replaced?: { readonly state: RefreshToken; readonly presented: string } | undefined
}

function stepRefreshToken(order: TokenOrder, policy: IssuingPolicy, authorization: Authorization | undefined): Awaitable<Refreshed> {
  const action = order.refreshToken
  if (action === undefined || authorization === undefined) return { authorization }
  if (action.step === 'repeat') return { authorization, text: action.successor }
  const expiresAt = refreshTokenEnd(order, policy, authorization)
  if (action.step === 'begin') {
    return withNewHead(order, policy, authorization, { key: randomText(secretSize), generation: 0, expiresAt }, undefined)
  }
  const state = authorization.refreshToken
  if (state === undefined) throw new TypeError('the authorization has no refresh token')
  const { key, generation, hash } = state
  if (action.step === 'keep') return { authorization: withRefreshToken(authorization, { key, generation, hash, expiresAt }) }
  const replaced = { state, presented: action.presented }
  return withNewHead(order, policy, authorization, { key, generation: generation + 1, expiresAt }, replaced)
}

/** The client's own lifetimes go before the server's. */
function refreshTokenEnd({ now, client }: TokenOrder, policy: IssuingPolicy, { createdAt }: Authorization): number {
  const { refreshTokenLifetime = policy.refreshTokenLifetime, refreshTokenIdleLifetime = policy.refreshTokenIdleLifetime } = client
  return Math.min(now + refreshTokenIdleLifetime, createdAt + refreshTokenLifetime)
}

/** A refresh token before its text is written. */
type Head = Pick<RefreshToken, 'key' | 'generation' | 'expiresAt'>

function withNewHead(
  order: TokenOrder,
  policy: IssuingPolicy,
  authorization: Authorization,
  head: Head,
  replaced: Refreshed['replaced'],
): Awaitable<Refreshed> {
  return whenThere(refreshTokenText(order, policy, authorization, head), (text) => {
    const { key, generation, expiresAt } = head
    const next = withRefreshToken(authorization, { key, generation, hash: sha256(text), expiresAt })
    return { text, isNew: true, authorization: next, replaced }
  })
}

/** The text of a new refresh token: always random, unless the application writes its own. */
function refreshTokenText(
  order: TokenOrder,
  policy: IssuingPolicy,
  authorization: Authorization,
  { key, generation, expiresAt }: Head,
): Awaitable<string> {
  const { refreshTokens } = policy
  if (refreshTokens === undefined) return newRefreshTokenText(authorization.id, generation, key)
  // RFC 6749 §6: a refresh token keeps the scope that was granted
  return writtenBy(refreshTokens, { ...tokenClaims(order, policy), kind: 'refresh_token', scope: authorization.scope, expiresAt })
}

async function writtenBy(refreshTokens: RefreshTokenGenerator, claims: TokenClaims): Promise<string> {
  return assertSendable(await refreshTokens(claims), 'refreshTokens')
}

/** With a rotation, the answer is kept for a client that loses it: sealed under the token that the client still holds. */
function rememberAnswer(
  order: TokenOrder,
  policy: IssuingPolicy,
  { authorization, replaced }: Refreshed,
  answer: Pick<SealedAnswer, 'members' | 'accessTokenExpiresAt'>,
  accessTokenHash: string | undefined,
): Authorization | undefined {
  const head = authorization?.refreshToken
  if (policy.refreshRetryWindow === 0 || authorization === undefined || head === undefined || replaced === undefined) return authorization
  const { members, accessTokenExpiresAt } = answer
  const { askedScope, resource } = order
  const sealed = { members, askedScope, resource, accessTokenHash, accessTokenExpiresAt }
  const previous = {
    hash: replaced.state.hash,
    retryUntil: order.now + policy.refreshRetryWindow + policy.clockTolerance,
    sealedAnswer: sealAnswer(sealed, replaced.presented, authorization.id),
  }
  const { key, generation, hash, expiresAt } = head
  return withRefreshToken(authorization, { key, generation, hash, expiresAt, previous })
}

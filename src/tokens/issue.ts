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
  jsonCopy,
  withAccessToken,
  withoutExpired,
  withRefreshToken,
  type Authorization,
  type Json,
  type JsonObject,
  type RefreshToken,
  type RefreshTokenStep,
} from '../authorization.js'
import type { Client } from '../clients.js'
import { ServerError } from '../errors.js'
import { isTokenText, newRefreshTokenText } from '../credentials.js'
import type { Context } from '../protocol.js'
import { formatScope, type Scope } from '../scope.js'
import { sealAnswer, type SealedAnswer } from '../sealed-answer.js'
import { randomText, secretSize, sha256 } from '../secrets.js'
import type { Alias } from '../stores/ledger.js'
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
export async function issueTokens(order: TokenOrder, policy: IssuingPolicy): Promise<IssuedTokens> {
  const claims = tokenClaims(order, policy)
  const { authorization_id } = claims
  const access_token = assertSendable(await policy.accessTokenFormat.issue(claims), 'accessTokens')
  const binding = authorization_id === undefined ? undefined : policy.tokenType.bind?.(access_token, authorization_id)
  const remembered = rememberAccessToken(order, policy, access_token, claims.expiresAt, binding)
  const { authorization } = remembered
  const hasStep = order.refreshToken !== undefined && authorization !== undefined
  const refreshed = hasStep ? await stepRefreshToken(order.refreshToken, authorization, order, policy) : { authorization }
  const required = responseMembers(order, policy, { access_token, binding, refresh_token: refreshed.text })
  const { responseParameters } = policy
  const members = responseParameters === undefined ? required : await withAddedMembers(required, responseParameters, claims)
  return {
    next: rememberAnswer(order, policy, refreshed, { members, accessTokenExpiresAt: claims.expiresAt }, remembered.hash),
    aliases: aliases(policy, refreshed, access_token, claims),
    members,
    dropped: remembered.dropped,
  }
}

interface Minted {
  readonly access_token: string
  readonly binding: TokenBinding | undefined
  readonly refresh_token: string | undefined
}

/** RFC 6749 §5.1, and what the token type adds. */
function responseMembers({ accessTokenLifetime, scope }: TokenOrder, { tokenType }: IssuingPolicy, minted: Minted): JsonObject {
  const { access_token, binding, refresh_token } = minted
  const members: Record<string, Json> = { access_token, token_type: tokenType.token_type, expires_in: accessTokenLifetime }
  if (refresh_token !== undefined) members.refresh_token = refresh_token
  if (scope.length > 0) members.scope = formatScope(scope)
  return binding === undefined ? members : { ...members, ...binding.members }
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
      reason: 'the option responseParameters answered something else than an object of plain JSON',
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
  throw new ServerError(undefined, { reason: `the option ${option} answered something else than a text of letters, digits and -._~+/` })
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
  const expiresAt = Math.max(authorization.expiresAt, authorization.createdAt + refreshTokenLifetime)
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

interface Remembered {
  readonly authorization: Authorization | undefined
  readonly hash?: string
  readonly dropped: number
}

function rememberAccessToken(
  order: TokenOrder,
  policy: IssuingPolicy,
  access_token: string,
  expiresAt: number,
  binding: TokenBinding | undefined,
): Remembered {
  const { authorization, scope, now } = order
  if (authorization === undefined) return { authorization, dropped: 0 }
  if (policy.accessTokenFormat.kind === 'self-contained')
    return { authorization: covering(withoutExpired(authorization, now), expiresAt), dropped: 0 }
  const hash = sha256(access_token)
  const unbound = { hash, issuedAt: now, expiresAt, scope, resource: order.resource }
  const token = binding === undefined ? unbound : { ...unbound, binding: binding.sealed }
  return { ...withAccessToken(authorization, token, policy.maxAccessTokens, now), hash }
}

/** The state after the refresh token's step, and the text to hand out where there is one. */
interface Refreshed {
  readonly authorization: Authorization | undefined
  readonly text?: string
  /** Whether the text was made just now. */
  readonly isNew?: boolean
  /** What was the head before, with the text that was presented. */
  readonly replaced?: { readonly state: RefreshToken; readonly presented: string }
}

async function stepRefreshToken(
  action: RefreshTokenStep,
  authorization: Authorization,
  order: TokenOrder,
  policy: IssuingPolicy,
): Promise<Refreshed> {
  if (action.step === 'repeat') return { authorization, text: action.successor }
  const expiresAt = Math.min(order.now + policy.refreshTokenIdleLifetime, authorization.createdAt + policy.refreshTokenLifetime)
  if (action.step === 'begin') {
    const key = randomText(secretSize)
    const text = await refreshTokenText(order, policy, authorization, { key, generation: 0, expiresAt })
    const head = { key, generation: 0, hash: sha256(text), expiresAt }
    return { text, isNew: true, authorization: withRefreshToken(authorization, head) }
  }
  const state = authorization.refreshToken
  if (state === undefined) throw new TypeError('the authorization has no refresh token')
  const { key, generation, hash } = state
  if (action.step === 'keep') return { authorization: withRefreshToken(authorization, { key, generation, hash, expiresAt }) }
  const next = { key, generation: generation + 1, expiresAt }
  const text = await refreshTokenText(order, policy, authorization, next)
  const head = { ...next, hash: sha256(text) }
  return { text, isNew: true, authorization: withRefreshToken(authorization, head), replaced: { state, presented: action.presented } }
}

/** The text of a new refresh token: always random, unless the application writes its own. */
function refreshTokenText(
  order: TokenOrder,
  policy: IssuingPolicy,
  authorization: Authorization,
  { key, generation, expiresAt }: Pick<RefreshToken, 'key' | 'generation' | 'expiresAt'>,
): string | Promise<string> {
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
  const { askedScope, resource } = order
  const previous = {
    hash: replaced.state.hash,
    retryUntil: order.now + policy.refreshRetryWindow + policy.clockTolerance,
    sealedAnswer: sealAnswer(
      accessTokenHash === undefined ? { ...answer, askedScope, resource } : { ...answer, askedScope, resource, accessTokenHash },
      replaced.presented,
      authorization.id,
    ),
  }
  return withRefreshToken(authorization, { ...head, previous })
}

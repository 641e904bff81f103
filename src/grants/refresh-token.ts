/**
 * The refresh token grant, with rotation, reuse detection and a sealed idempotent retry.
 *
 * 1. The token names an Authorization of this client that lives.
 * 2. What the token is to the Authorization (`refreshTokenStanding`) decides:
 *    - the head: it is rotated, or used again without rotation;
 *    - the one before, in time: the client lost the answer, and gets the same one again, or the same successor with an access token of its own;
 *    - an older one: somebody holds a copy, and the Authorization ends;
 *    - not one of ours: refused, and nothing changes.
 * 3. Where it is still good, the scope asked for is within what was granted, and within what server and client allow now.
 *
 * @see RFC 6749 §6, RFC 9700 §4.14
 */
import { refreshTokenStanding, withRevocation, type Authorization, type RefreshToken } from '../authorization/authorization.js'
import { InvalidGrant, InvalidRequest } from '../errors.js'
import { assertKnownKeys } from '../option-checks/reader.js'
import { unsealAnswer } from '../authorization/sealed-answer.js'
import type { Grant, GrantDecision, GrantRequest } from './grant.js'

/** Options of {@link refreshToken}. */
export interface RefreshTokenOptions {
  /** Lifetime of the access tokens it gets, in seconds. Default: the server's. */
  readonly accessTokenLifetime?: number
}

/** `grant_type=refresh_token`. When it is among the grants, clients that are registered for it get refresh tokens. */
export function refreshToken(options: RefreshTokenOptions = {}): Grant {
  assertKnownKeys(options, ['accessTokenLifetime'], 'refreshToken')
  return { ...options, type: 'refresh_token', presents: 'refresh_token', publicClients: true, authorize }
}

function authorize(request: GrantRequest): GrantDecision {
  const { refresh_token: text } = request.parameters
  if (text === undefined) throw new InvalidRequest('refresh_token is required')
  const { authorization, state, standing } = presentedRefreshToken(request, text)
  switch (standing) {
    case 'head': {
      const scope = request.grantableScope(authorization.scope)
      const step = request.rotatesRefreshTokens ? ({ step: 'rotate', presented: text } as const) : ({ step: 'keep' } as const)
      return { kind: 'continue', authorization, scope, refreshToken: step }
    }
    case 'retry':
      return retried(request, authorization, state, text)
    case 'reused':
      return {
        kind: 'refuse',
        // RFC 9700 §4.14.2: reuse of a rotated refresh token revokes what descends from it
        authorization: withRevocation(authorization, request.now),
        error: new InvalidGrant(undefined, { reason: 'the refresh token was used before' }),
        event: 'refresh_token.reused',
      }
  }
}

function refuse(reason: string): never {
  throw new InvalidGrant(undefined, { reason })
}

function presentedRefreshToken({ authorization, now, refreshToken: token }: GrantRequest, text: string) {
  const state = authorization?.refreshToken
  if (token === undefined || authorization === undefined || state === undefined) return refuse('unknown refresh token')
  const standing = refreshTokenStanding(state, token, text, now)
  if (standing === 'unrecognised') return refuse('a refresh token that was not issued here, or by a store that has lost writes')
  if (standing !== 'reused' && now >= state.expiresAt) return refuse('the refresh token has expired')
  return { authorization, state, standing }
}

/** The answer that was lost, if it is what this request asks for too; else its successor with another access token. */
function retried(request: GrantRequest, authorization: Authorization, state: RefreshToken, text: string): GrantDecision {
  const answer = unsealAnswer(state.previous?.sealedAnswer ?? '', text, authorization.id)
  if (answer === undefined) return refuse('the answer to repeat cannot be read')
  const scope = request.grantableScope(authorization.scope)
  if (answer.askedScope.join(' ') === scope.join(' ')) return { kind: 'repeat', authorization, answer }
  return { kind: 'continue', authorization, scope, refreshToken: { step: 'repeat', successor: answer.refresh_token } }
}

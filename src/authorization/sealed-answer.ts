/**
 * The answer to a refresh, sealed under the refresh token that was presented.
 *
 * A client that lost the answer still holds that token, and only it can open this: the store holds its hash alone.
 */
import type { JsonObject } from '../json.js'
import type { Scope } from './scope.js'
import { seal, unseal } from '../secrets.js'

/** The members of a token response, with an instant in the place of `expires_in`. */
export interface SealedAnswer {
  readonly members: JsonObject
  /** The one among the members. */
  readonly refresh_token: string
  /** The one among the members. Whether it still lives is asked of the Authorization, when the answer is about to be given again. */
  readonly access_token: string
  /** The scope that was asked for, before the application's rules narrowed it. */
  readonly askedScope: Scope
  readonly resource: readonly string[]
  /** Hash of its access token, where the Authorization remembers that. Written for version 0.1.0, which judges by it whether the token has been revoked. */
  readonly accessTokenHash?: string | undefined
  readonly accessTokenExpiresAt: number
}

const purpose = 'answer to a refresh'

/** Seals an answer for whoever holds the refresh token `presented`. */
export function sealAnswer(
  answer: Omit<SealedAnswer, 'refresh_token' | 'access_token'>,
  presented: string,
  authorization_id: string,
): string {
  return seal(JSON.stringify(answer), presented, purpose, authorization_id)
}

/** Reads an answer back; undefined when `presented` is not the token it was sealed under. */
export function unsealAnswer(sealed: string, presented: string, authorization_id: string): SealedAnswer | undefined {
  const text = unseal(sealed, presented, purpose, authorization_id)
  if (text === undefined) return undefined
  // What the seal authenticates was written by sealAnswer.
  const answer = JSON.parse(text) as Omit<SealedAnswer, 'refresh_token' | 'access_token'>
  const { refresh_token, access_token } = answer.members
  return { ...answer, refresh_token: refresh_token as string, access_token: access_token as string }
}

/**
 * The texts that are handed out, and how they are told apart. Each begins with the id of the Authorization that it
 * belongs to, so that one look-up finds everything about it:
 *
 *   authorization code     <id>.<random>
 *   opaque access token    <prefix><id>.<random>
 *   refresh token          <id>.<generation>.<random>.<tag>
 *
 * The tag is an HMAC over the rest with a key of the Authorization: it tells an old refresh token from an invented one
 * without keeping a hash of every generation.
 */
import { equalInConstantTime, hmacSha256, randomText, secretSize } from '../secrets.js'

const idSize = 22
const id = `[A-Za-z0-9_-]{${idSize}}`
const random = `[A-Za-z0-9_-]{${secretSize}}`

const authorizationId = new RegExp(`^${id}$`)
const secretText = new RegExp(`^(${id})\\.${random}$`)
const refreshTokenText = new RegExp(`^((${id})\\.(0|[1-9][0-9]{0,9})\\.${random})\\.(${random})$`)

// RFC 6750 §2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
const b64token = /^[A-Za-z0-9\-._~+/]+=*$/

/** True for a text that can be sent as a token, whoever made it. */
export function isTokenText(text: string): boolean {
  return b64token.test(text)
}

/** No credential is longer than this; what is longer is not looked at. */
const maxCredentialSize = 200

/** A new id: 132 random bits. */
export function newAuthorizationId(): string {
  return randomText(idSize)
}

/** True for what {@link newAuthorizationId} makes; no guard, alias or client record has such an id. */
export function isAuthorizationId(text: string): boolean {
  return authorizationId.test(text)
}

/** The text of a new code or opaque access token of an Authorization: 258 random bits behind its id. */
export function newSecretText(authorization_id: string): string {
  return `${authorization_id}.${randomText(secretSize)}`
}

/** The id in the text of a code or opaque access token, or undefined when it is not one. */
export function authorizationIdOf(text: string): string | undefined {
  if (text.length > maxCredentialSize) return undefined
  return secretText.exec(text)?.[1] ?? refreshTokenText.exec(text)?.[2]
}

/** A refresh token taken apart. */
export interface RefreshTokenText {
  readonly authorization_id: string
  readonly generation: number
  /**
   * How it shows that it was issued here: by its tag, and what the tag covers; or, for a text of the application's own, by the alias that was stored
   * when it was issued.
   */
  readonly proof: { readonly tagged: string; readonly tag: string } | 'alias'
}

/** The text of a new refresh token. `key` is the random key that the Authorization keeps for its tags. */
export function newRefreshTokenText(authorization_id: string, generation: number, key: string): string {
  const tagged = `${authorization_id}.${generation}.${randomText(secretSize)}`
  return `${tagged}.${hmacSha256(key, tagged)}`
}

/** Takes a refresh token apart; undefined when the text is not one. Says nothing about its tag. */
export function parseRefreshToken(text: string): RefreshTokenText | undefined {
  if (text.length > maxCredentialSize) return undefined
  const match = refreshTokenText.exec(text)
  if (match === null) return undefined
  const [, tagged = '', authorization_id = '', generation = '', tag = ''] = match
  return { authorization_id, generation: Number(generation), proof: { tagged, tag } }
}

/** True when the text was once issued from the Authorization that has this key: its tag was made with it, or an alias says so. */
export function wasIssuedWith(key: string, { proof }: RefreshTokenText): boolean {
  return proof === 'alias' || equalInConstantTime(hmacSha256(key, proof.tagged), proof.tag)
}

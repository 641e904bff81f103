/**
 * The one place where access tokens are read: a text in, an active token or nothing out.
 *
 * 1. The format verifies the text. There is no reading without verification.
 * 2. A reference is looked up in its Authorization: one `get`.
 * 3. Expired, revoked, unknown, another server's: all the same nothing.
 */
import { findAccessToken, type Authorization, type JsonObject } from '../authorization.js'
import type { Scope } from '../scope.js'
import type { Ledger } from '../stores/ledger.js'
import type { AccessTokenFormat } from './access-token.js'

/** What reading needs of the server. */
export interface ReadingPolicy {
  readonly accessTokenFormat: AccessTokenFormat
  readonly ledger: Ledger
  readonly clock: () => number
}

/** An access token that may be used now. Instants are whole seconds since the epoch. */
export interface ActiveAccessToken {
  readonly client_id: string
  readonly subject: string | undefined
  readonly scope: Scope
  readonly resource: readonly string[]
  readonly issuedAt: number
  readonly expiresAt: number
  /** Undefined for a token that carries everything itself and was not looked up. */
  readonly authorization_id: string | undefined
  readonly extra: JsonObject | undefined
}

const maxTokenSize = 16_384

/**
 * The access token with that text, or undefined when it is not active.
 *
 * @throws TemporarilyUnavailable when the store fails.
 */
export async function readAccessToken(text: string, policy: ReadingPolicy): Promise<ActiveAccessToken | undefined> {
  if (text === '' || text.length > maxTokenSize) return undefined
  const reading = await policy.accessTokenFormat.read(text)
  if (reading === undefined) return undefined
  const now = policy.clock()
  if (reading.kind === 'self-contained') {
    const { kind: _kind, ...token } = reading
    return now < token.expiresAt ? { ...token, extra: undefined } : undefined
  }
  const authorization = await policy.ledger.find(reading.authorization_id)
  return authorization === undefined ? undefined : activeToken(authorization, text, now)
}

/** The opaque access token with that text in an Authorization that was read already. */
export function activeToken(authorization: Authorization, text: string, now: number): ActiveAccessToken | undefined {
  const token = findAccessToken(authorization, text, now)
  if (token === undefined) return undefined
  const { scope, resource, issuedAt, expiresAt } = token
  const { id, client_id, subject, extra } = authorization
  return { client_id, subject, scope, resource, issuedAt, expiresAt, authorization_id: id, extra }
}

/**
 * The verification code (RFC 5849 §2.2): proof that the client talks to the user who agreed.
 *
 * 1. `newVerifier` makes it: 22 random characters, or digits where a person has to carry it to a device.
 * 2. `isVerifier` compares it.
 * 3. `refuseVerifier` counts a wrong one in the record of the temporary credentials, under the version that was read: of many requests at once each
 *    one is counted, in any process, and ten end the credentials.
 *
 * Digits can be tried one by one by whoever reads the database. So their digest is keyed with `oauth_token`, whose text the database does not hold.
 */
import { randomInt } from 'node:crypto'
import { TemporarilyUnavailable, type OAuthError } from '../errors.js'
import { equalInConstantTime, hmacSha256, randomText, sha256 } from '../secrets.js'
import { withWrongVerifier, type AuthorizedCredentials, type Credentials } from './credentials.js'
import type { OAuth1Configuration } from './options.js'
import type { Records } from './records.js'
import { unauthorized } from './responses.js'

/** A verifier, and what the record keeps of it. */
export interface NewVerifier {
  readonly oauth_verifier: string
  readonly verifierHash: string
}

const verifierSize = 22

/** A new verifier for temporary credentials, of that many digits where there are any. */
export function newVerifier(oauth_token: string, digits: number | undefined): NewVerifier {
  if (digits === undefined) {
    const oauth_verifier = randomText(verifierSize)
    return { oauth_verifier, verifierHash: sha256(oauth_verifier) }
  }
  const oauth_verifier = Array.from({ length: digits }, () => randomInt(10)).join('')
  return { oauth_verifier, verifierHash: hmacSha256(oauth_token, oauth_verifier) }
}

/** True for the verifier of these credentials. */
export function isVerifier(oauth_verifier: string, oauth_token: string, { verifierHash }: AuthorizedCredentials): boolean {
  const isText = equalInConstantTime(sha256(oauth_verifier), verifierHash)
  const isNumber = equalInConstantTime(hmacSha256(oauth_token, oauth_verifier), verifierHash)
  return isText || isNumber
}

/** More changes than these credentials can have before they end. */
const attempts = 20

/**
 * Counts a wrong verifier.
 *
 * @returns the refusal.
 * @throws TemporarilyUnavailable when the store fails: then nobody is told whether the verifier was right.
 */
export async function refuseVerifier(configuration: OAuth1Configuration, credentials: AuthorizedCredentials): Promise<OAuthError> {
  const counted = await replaceAuthorized(configuration.records, credentials, withWrongVerifier)
  const reason = counted?.stage === 'revoked' ? 'wrong verifier, once too often: the temporary credentials have ended' : 'wrong verifier'
  return unauthorized(configuration, reason)
}

/**
 * Writes the next state of temporary credentials that a user agreed to. A wrong verifier that was counted meanwhile is no reason to refuse the right one.
 *
 * @returns what was written; undefined when they were exchanged or ended meanwhile.
 * @throws TemporarilyUnavailable when the store fails.
 */
export async function replaceAuthorized<T extends Credentials>(
  records: Records,
  credentials: AuthorizedCredentials,
  nextOf: (current: AuthorizedCredentials) => T,
): Promise<T | undefined> {
  let current: AuthorizedCredentials | undefined = credentials
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (current === undefined) return undefined
    const next = nextOf(current)
    if (await records.replace(next)) return next
    current = await stillAuthorized(records, current)
  }
  throw new TemporarilyUnavailable(undefined, { reason: 'lost the race for these credentials too often' })
}

/** The same temporary credentials after a lost race; undefined when they were exchanged or ended. */
async function stillAuthorized(records: Records, { id, tokenHash }: AuthorizedCredentials): Promise<AuthorizedCredentials | undefined> {
  const found = await records.find(id)
  return found?.stage === 'authorized' && found.tokenHash === tokenHash ? found : undefined
}

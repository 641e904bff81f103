/**
 * The code challenge of an authorization request (RFC 7636 §4.3): S256, and required of every client that is not registered to go without.
 */
import type { CodeChallenge } from '../../authorization/authorization.js'
import type { Client } from '../../clients/client.js'
import { InvalidRequest } from '../../errors.js'

// RFC 7636 §4.2: the S256 challenge is the base64url of 32 bytes
const codeChallengeGrammar = /^[A-Za-z0-9_-]{43}$/

/** @throws InvalidRequest for a challenge that is missing, malformed, or not S256. */
export function readChallenge(
  client: Client,
  {
    code_challenge,
    code_challenge_method,
  }: { readonly code_challenge?: string | undefined; readonly code_challenge_method?: string | undefined },
): CodeChallenge {
  if (code_challenge === undefined) {
    if (code_challenge_method !== undefined) throw new InvalidRequest('code_challenge is required')
    // RFC 9700 §2.1.1: PKCE for every client that has not registered to go without
    if (client.require_pkce) throw new InvalidRequest('code_challenge is required')
    return { method: 'none' }
  }
  // RFC 7636 §4.3: without a method it would be plain, which protects nothing and is not served
  if (code_challenge_method !== 'S256') throw new InvalidRequest('code_challenge_method must be S256')
  if (!codeChallengeGrammar.test(code_challenge)) throw new InvalidRequest('code_challenge must be 43 characters of base64url')
  return { method: 'S256', code_challenge }
}

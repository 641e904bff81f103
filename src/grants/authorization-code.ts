/**
 * The authorization code grant with PKCE.
 *
 * 1. The request is well-formed: `code` is there, a verifier has its grammar.
 * 2. The code names an Authorization of this client, and is alive.
 * 3. The redirection URI is the one of the authorization request.
 * 4. The verifier answers the challenge. Only here can the right client burn its code.
 * 5. A used code whose second use has come this far proves possession, and ends what the first use got.
 *
 * @see RFC 6749 §4.1.3, RFC 7636 §4.5, §4.6
 */
import { withCodeBurnt, withCodeUsed, withRevocation, type Authorization, type AuthorizationCode } from '../authorization/authorization.js'
import { InvalidGrant, InvalidRequest } from '../errors.js'
import { assertKnownKeys } from '../option-checks/reader.js'
import { sentUri } from '../clients/redirect-uri.js'
import { matchesDigest, sha256, equalInConstantTime } from '../secrets.js'
import type { Grant, GrantDecision, GrantRequest, Refusal } from './grant.js'

/** Options of {@link authorizationCode}. */
export interface AuthorizationCodeOptions {
  /** Lifetime of its access tokens in seconds. Default: the server's. */
  readonly accessTokenLifetime?: number
}

/** `grant_type=authorization_code`, for codes that `issueAuthorizationCode` made. */
export function authorizationCode(options: AuthorizationCodeOptions = {}): Grant {
  assertKnownKeys(options, ['accessTokenLifetime'], 'authorizationCode')
  return { ...options, type: 'authorization_code', presents: 'code', publicClients: true, ignoresForeignScope: true, authorize }
}

// RFC 7636 §4.1: code-verifier = 43*128unreserved
const codeVerifierGrammar = /^[A-Za-z0-9._~-]{43,128}$/

function authorize(request: GrantRequest): GrantDecision {
  const { code: codeText, code_verifier } = request.parameters
  if (codeText === undefined) throw new InvalidRequest('code is required')
  if (code_verifier !== undefined && !codeVerifierGrammar.test(code_verifier)) {
    throw new InvalidRequest('code_verifier must be 43 to 128 unreserved characters')
  }
  const { authorization, code } = presentedCode(request, codeText)
  assertRedirectUri(request.parameters.redirect_uri, code)
  const verified = isVerified(code_verifier, code)
  if (code.status === 'used') return verified ? replayed(request, authorization) : refuse('the code was used, and the verifier is wrong')
  // Before the verifier counts: a request whose scope is refused burns nothing.
  const scope = request.grantableScope(authorization.scope)
  if (!verified) return burnt(authorization, code)
  return { kind: 'continue', authorization: withCodeUsed(authorization, code, request.now), scope, refreshToken: { step: 'begin' } }
}

function refuse(reason: string): never {
  throw new InvalidGrant(undefined, { reason })
}

function presentedCode(request: GrantRequest, text: string): { authorization: Authorization; code: AuthorizationCode } {
  const { authorization, now } = request
  const code = authorization?.code
  if (authorization === undefined || code === undefined || !matchesDigest(text, code.hash)) return refuse('unknown code')
  // RFC 6749 §4.1.2: a code is short-lived
  if (code.status === 'issued' && now >= code.expiresAt) return refuse('the code has expired')
  if (code.status === 'burnt') return refuse('the code was presented with a wrong verifier before')
  return { authorization, code }
}

function assertRedirectUri(redirect_uri: string | undefined, code: AuthorizationCode): void {
  // RFC 6749 §4.1.3: redirect_uri is required if the authorization request had it, and identical
  if (redirect_uri === undefined) {
    if (code.redirect_uri_named)
      throw new InvalidRequest('redirect_uri is required', { reason: 'the authorization request named a redirect_uri' })
  } else if (redirect_uri !== code.redirect_uri) {
    const facts = { ...sentUri(redirect_uri), registered: code.redirect_uri }
    throw new InvalidGrant(undefined, { reason: 'redirect_uri differs from the authorization request', facts })
  }
}

function isVerified(code_verifier: string | undefined, { pkce }: AuthorizationCode): boolean {
  if (pkce.method === 'none') {
    // RFC 9700 §4.8.2: a verifier without a challenge means that somebody took the challenge away
    return code_verifier === undefined ? true : refuse('a code_verifier for a code that was issued without challenge')
  }
  // RFC 7636 §4.5: a code with a challenge needs its verifier
  if (code_verifier === undefined) throw new InvalidRequest('code_verifier is required')
  // RFC 7636 §4.6: BASE64URL-ENCODE(SHA256(ASCII(code_verifier))) == code_challenge
  return equalInConstantTime(sha256(code_verifier), pkce.code_challenge)
}

function burnt(authorization: Authorization, code: AuthorizationCode): Refusal {
  return {
    kind: 'refuse',
    authorization: withCodeBurnt(authorization, code),
    error: new InvalidGrant(undefined, { reason: 'wrong code_verifier' }),
    event: 'code.burnt',
  }
}

function replayed({ now }: GrantRequest, authorization: Authorization): Refusal {
  const usedAt = authorization.code?.usedAt
  return {
    ...(usedAt === undefined ? {} : { age: Math.max(0, now - usedAt) }),
    kind: 'refuse',
    // RFC 6749 §4.1.2: a code used twice revokes what was issued for it
    authorization: withRevocation(authorization, now),
    error: new InvalidGrant(undefined, { reason: 'the code was used before' }),
    event: 'code.replayed',
  }
}

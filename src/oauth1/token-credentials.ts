/**
 * The token credentials endpoint (RFC 5849 §2.3), in the words of OAuth 1.0a the access token endpoint: temporary credentials that a
 * user agreed to, and the verifier, are exchanged for token credentials; once, under any concurrency.
 */
import { ServerError } from '../errors.js'
import type { Context, ProtocolRequest, ProtocolResponse } from '../protocol.js'
import { equalInConstantTime, randomText, secretSize, sha256 } from '../secrets.js'
import { assertTransport, authenticate } from './authenticate.js'
import { exchanged, newTokenText, type AuthorizedCredentials } from './credentials.js'
import { acceptEndpointRequest } from './endpoint-request.js'
import { configureOAuth1, type OAuth1Configuration, type OAuth1Options } from './options.js'
import { formResponse, refuse, unauthorized } from './responses.js'

const endpoint = 'token credentials'

/**
 * Answers a request for token credentials: `oauth_token`, `oauth_token_secret`, `oauth_authorized_realms` where there are realms, and what
 * `responseParameters` adds. It does not reject for anything a client sent.
 *
 * @throws ConfigurationError when the options are wrong.
 * @see RFC 5849 §2.3
 */
export async function createAccessTokenResponse(options: OAuth1Options, request: ProtocolRequest): Promise<ProtocolResponse> {
  const configuration = configureOAuth1(options)
  try {
    assertTransport(request, endpoint, configuration)
    const read = await acceptEndpointRequest(request, endpoint, configuration)
    const demand = { endpoint, stage: 'authorized', required: ['oauth_verifier'] } as const
    const { credentials, parameters } = await authenticate(configuration, read, demand)
    // RFC 5849 §2.3: the server must verify the verification code
    if (credentials === undefined || !isVerifier(parameters.protocol.oauth_verifier ?? '', credentials)) {
      throw unauthorized(configuration, 'wrong verifier')
    }
    return formResponse(await exchange(configuration, credentials, request.context ?? {}))
  } catch (thrown) {
    return refuse(configuration, endpoint, thrown)
  }
}

function isVerifier(verifier: string, { verifierHash }: AuthorizedCredentials): boolean {
  return equalInConstantTime(sha256(verifier), verifierHash)
}

async function exchange(
  configuration: OAuth1Configuration,
  credentials: AuthorizedCredentials,
  context: Context,
): Promise<Record<string, string>> {
  const { records, sealer, clock, clockTolerance, tokenLifetime, emit } = configuration
  const { id, client_id, subject, realms } = credentials
  const oauth_token = newTokenText(id)
  const oauth_token_secret = randomText(secretSize)
  const members = {
    oauth_token,
    oauth_token_secret,
    ...(realms.length === 0 ? {} : { oauth_authorized_realms: realms.join(' ') }),
  }
  const extra = extraMembers(configuration, { client_id, subject, realms, context })
  const endsAt = clock() + tokenLifetime
  const next = exchanged(credentials, {
    tokenHash: sha256(oauth_token),
    sealedSecret: sealer.seal(oauth_token_secret, 'oauth1 token secret', id),
    endsAt,
    expiresAt: endsAt + clockTolerance,
  })
  // RFC 5849 §2.3: temporary credentials are used once. One compare-and-set decides for whom.
  if (!(await records.replace(next))) throw unauthorized(configuration, 'another request was faster with the same temporary credentials')
  emit({ type: 'token.issued', endpoint, client_id, subject, authorization_id: id })
  return { ...members, ...extra }
}

const protocolMembers = ['oauth_token', 'oauth_token_secret', 'oauth_authorized_realms', 'oauth_callback_confirmed']

function extraMembers(
  { responseParameters }: OAuth1Configuration,
  token: Parameters<NonNullable<OAuth1Options['responseParameters']>>[0],
): Record<string, string> {
  if (responseParameters === undefined) return {}
  const answer: unknown = responseParameters(token)
  if (typeof answer !== 'object' || answer === null) throw wrongAnswer('something else than an object')
  const entries = Object.entries(answer).map(([name, value]: [string, unknown]) => {
    if (protocolMembers.includes(name)) throw wrongAnswer('a member of the protocol')
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return [name, String(value)]
    throw wrongAnswer('a member that is neither text, number nor boolean')
  })
  return Object.fromEntries(entries) as Record<string, string>
}

function wrongAnswer(what: string): ServerError {
  return new ServerError(undefined, { reason: `the option responseParameters answered ${what}` })
}

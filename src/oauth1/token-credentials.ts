/**
 * The token credentials endpoint (RFC 5849 §2.3), in the words of OAuth 1.0a the access token endpoint: temporary credentials that a
 * user agreed to, and the verifier, are exchanged for token credentials; once, under any concurrency.
 */
import { assertAvailable } from '../http/availability.js'
import { startTime } from '../events/events.js'
import type { Context, ProtocolRequest, ProtocolResponse } from '../http/message.js'
import { randomText, secretSize, sha256 } from '../secrets.js'
import { approvedRealms, extraMembers, inTime, tokenText } from './application-rules.js'
import { assertTransport, authenticate } from './authenticate.js'
import { exchanged, type AuthorizedCredentials, type NewToken } from './credentials.js'
import { acceptEndpointRequest } from './endpoint-request.js'
import { configureOAuth1, type OAuth1Configuration, type OAuth1Options } from './options.js'
import { formResponse, refuse, unauthorized } from './responses.js'
import { isVerifier, refuseVerifier, replaceAuthorized } from './verifier.js'

const endpoint = 'token credentials'
const demand = { endpoint, stage: 'authorized', required: ['oauth_verifier'] } as const

/**
 * Answers a request for token credentials: `oauth_token`, `oauth_token_secret`, `oauth_authorized_realms` where there are realms, and what
 * `responseParameters` adds. It does not reject for anything a client sent.
 *
 * @throws ConfigurationError when the options are wrong.
 * @see RFC 5849 §2.3
 */
export async function createAccessTokenResponse(options: OAuth1Options, request: ProtocolRequest): Promise<ProtocolResponse> {
  const configuration = configureOAuth1(options)
  const startedAt = request.startedAt ?? startTime(configuration.emit)
  const { context = {}, address } = request
  let client_id: string | undefined
  try {
    await assertAvailable(configuration)
    assertTransport(request, endpoint, configuration)
    const read = await acceptEndpointRequest(request, endpoint, configuration)
    const { client, credentials, parameters } = await authenticate(configuration, read, demand, context)
    client_id = client.client_id
    const { oauth_verifier = '', oauth_token = '' } = parameters.protocol
    if (credentials === undefined) throw unauthorized(configuration, 'no temporary credentials')
    // RFC 5849 §2.3: the server must verify the verification code
    if (!isVerifier(oauth_verifier, oauth_token, credentials)) throw await refuseVerifier(configuration, credentials)
    return formResponse(await exchange(configuration, credentials, context, startedAt))
  } catch (thrown) {
    return refuse(configuration, endpoint, thrown, { client_id, address, startedAt })
  }
}

async function exchange(
  configuration: OAuth1Configuration,
  credentials: AuthorizedCredentials,
  context: Context,
  startedAt: number | undefined,
): Promise<Record<string, string>> {
  const { records, tokens, emit } = configuration
  const { id, client_id, subject } = credentials
  const { next, members, oauth_token } = await inTime(configuration, () => mint(configuration, credentials, context))
  if (tokens !== undefined) await records.createAlias(oauth_token, id, next.endsAt)
  // RFC 5849 §2.3: temporary credentials are used once. One compare-and-set decides for whom.
  if ((await replaceAuthorized(records, credentials, (current) => exchanged(current, next))) === undefined) {
    throw unauthorized(configuration, 'another request was faster with the same temporary credentials')
  }
  emit({ type: 'token.issued', endpoint, client_id, subject, authorization_id: id, startedAt })
  return members
}

interface Minted {
  readonly oauth_token: string
  readonly next: NewToken
  readonly members: Record<string, string>
}

/** What functions of the application say, and what becomes of it. Nothing is written. */
async function mint(configuration: OAuth1Configuration, credentials: AuthorizedCredentials, context: Context): Promise<Minted> {
  const { sealer, clock, clockTolerance, tokenLifetime } = configuration
  const { id, client_id, subject } = credentials
  const realms = await approvedRealms(configuration, { client_id, subject, realms: credentials.realms, context })
  const endsAt = clock() + tokenLifetime
  const oauth_token = await tokenText(configuration, id, { kind: 'token', client_id, subject, realms, expiresAt: endsAt, context })
  const oauth_token_secret = randomText(secretSize)
  const members = {
    oauth_token,
    oauth_token_secret,
    ...(realms.length === 0 ? {} : { oauth_authorized_realms: realms.join(' ') }),
    ...(await extraMembers(configuration, { client_id, subject, realms, context })),
  }
  const sealedSecret = sealer.seal(oauth_token_secret, 'oauth1 token secret', id)
  return {
    oauth_token,
    members,
    next: { realms, tokenHash: sha256(oauth_token), sealedSecret, endsAt, expiresAt: endsAt + clockTolerance },
  }
}

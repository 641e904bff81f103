/**
 * The check at a protected resource (RFC 5849 §3): a request signed with token credentials, or with the client's alone (two-legged).
 */
import { OAuthError } from '../errors.js'
import type { ProtocolRequest, ReceivedRequest } from '../http/message.js'
import { assertTransport, authenticate } from './authenticate.js'
import type { OAuth1Configuration } from './options.js'
import { formPairs, hasFormBody, hasOAuth1Credentials } from './parameters.js'
import { factsOf, unauthorized } from './responses.js'

const endpoint = 'oauth1 resource'

/** What a resource needs. */
export interface OAuth1Demand {
  /** Realms that the token must have, all of them. */
  readonly realms: readonly string[]
  /** Whether a request that is signed by a client for itself will do. */
  readonly twoLegged: boolean
}

/** Who sent a request, as `req.auth`. */
export interface OAuth1Info {
  readonly clientId: string
  /** Whose resources these are; absent for a two-legged request, as are all that follow but `realms`. */
  readonly subject?: string
  readonly token?: string
  /** When the token ends, in seconds since the epoch. */
  readonly expiresAt?: number
  readonly realms: readonly string[]
}

/**
 * Who sent a request.
 *
 * @throws OAuthError: 400 for a malformed request, 401 for credentials that are missing or wrong, 403 for a realm that is missing.
 */
export async function checkOAuth1(
  configuration: OAuth1Configuration,
  request: ProtocolRequest,
  { realms, twoLegged }: OAuth1Demand,
): Promise<OAuth1Info> {
  assertTransport(request, endpoint, configuration)
  const read = readParsedBody(configuration, request)
  if (!hasOAuth1Credentials(read)) throw unauthorized(configuration, 'no OAuth 1 credentials')
  const demand = { endpoint, stage: 'token', tokenOptional: twoLegged } as const
  const { client, credentials, parameters } = await authenticate(configuration, read, demand, request.context ?? {})
  const granted = credentials?.realms ?? []
  if (!realms.every((realm) => granted.includes(realm))) {
    throw new OAuthError('access_denied', 'the token is not good for this realm', factsOf(client))
  }
  const { oauth_token } = parameters.protocol
  return {
    clientId: client.client_id,
    realms: granted,
    ...(credentials === undefined || oauth_token === undefined
      ? {}
      : { subject: credentials.subject, token: oauth_token, expiresAt: credentials.endsAt }),
  }
}

/** A guard never reads the stream: what is signed of a form has to be there already. */
function readParsedBody(configuration: OAuth1Configuration, request: ProtocolRequest): ReceivedRequest {
  const { body, context: _context, ...rest } = request
  if (!hasFormBody(request.headers)) return { ...rest, form: [] }
  if (body === undefined && mayHaveContent(request)) {
    configuration.warn(
      'requireOAuth1 met a form that nobody has read, so its signature could not be checked; mount express.urlencoded() before it, ' +
        'or keep the text of the body in req.rawBody',
    )
    throw unauthorized(configuration, 'the form body was not read before requireOAuth1')
  }
  // What a parser of the application let through is as large as the application wants it.
  return { ...rest, form: formPairs(body, Infinity) }
}

function mayHaveContent({ headers }: ProtocolRequest): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding, ':method': method } = headers
  // RFC 9113 §8.1.1: in HTTP/2 content may come without any announcement
  if (length === undefined) return encoding !== undefined || method !== undefined
  return encoding !== undefined || length !== '0'
}

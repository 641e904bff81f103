/**
 * The introspection endpoint (RFC 7662): a resource server asks whether a token is active, and what it says.
 *
 * Only authenticated callers get an answer, and only about tokens that concern them. An answer about any other token is the
 * same as about no token: `active: false` and nothing else.
 */
import { isLive, refreshTokenStanding } from '../authorization/authorization.js'
import { hasEndedFor } from '../clients/standing.js'
import type { Client } from '../clients/client.js'
import { configure, type Configuration } from '../configuration/configure.js'
import type { RefreshTokenText } from '../authorization/credentials.js'
import { InvalidClient, InvalidRequest } from '../errors.js'
import type { ServerOptions } from '../configuration/options.js'
import { jsonResponse, type ProtocolRequest, type ProtocolResponse } from '../http/message.js'
import { receivedRequest } from '../http/received-request.js'
import { formatScope } from '../authorization/scope.js'
import { identifyRefreshToken, type ActiveAccessToken } from '../tokens/read.js'
import { answerClient } from './client-request.js'
import { readTokenOfClient } from './token-and-client.js'

/**
 * Answers an introspection request with the JSON of RFC 7662 §2.2, or an error in that of RFC 6749 §5.2.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export async function createIntrospectionResponse(options: ServerOptions, request: ProtocolRequest): Promise<ProtocolResponse> {
  return introspectionResponse(configure(options, 'createIntrospectionResponse'), receivedRequest(request))
}

/** The same for options that were read, and a request that a handler has made. */
export function introspectionResponse(configuration: Configuration, request: ProtocolRequest): Promise<ProtocolResponse> {
  return answerClient(configuration, 'introspection', request, async ({ request: received, client, parameters }) => {
    // RFC 7662 §2.1: the caller is authorized, so that nobody can scan for tokens
    if (client.isPublic) throw new InvalidClient(undefined, { reason: 'a public client cannot introspect' })
    if (parameters.token === undefined) throw new InvalidRequest('token is required')
    return jsonResponse(200, (await describeToken(configuration, client, parameters.token, received)) ?? { active: false })
  })
}

async function describeToken(
  configuration: Configuration,
  client: Client,
  text: string,
  request: ProtocolRequest,
): Promise<object | undefined> {
  const refreshToken = await identifyRefreshToken(text, configuration)
  if (refreshToken !== undefined) return describeRefreshToken(configuration, client, refreshToken, text)
  const demand = { checkRevocation: true, checkClient: true, known: client }
  const { token } = await readTokenOfClient(text, configuration, demand, request)
  if (token === undefined) return undefined
  const concerns = client.introspect || token.client_id === client.client_id || token.audience.includes(client.client_id)
  if (!concerns) {
    tellUnrelated(configuration, client, token.client_id)
    return undefined
  }
  return {
    ...describe({ issuer: issuerOf(configuration, token) }, token),
    iat: token.issuedAt,
    exp: token.expiresAt,
    token_type: token.binding === undefined ? 'Bearer' : 'mac',
    ...(token.audience.length === 0 ? {} : { aud: token.audience.length === 1 ? token.audience[0] : token.audience }),
  }
}

/** Answered as if there were no such token. Whoever looks after the server reads why. */
function tellUnrelated({ emit }: Configuration, { client_id }: Client, token_client_id: string): void {
  const reason = 'a client asked about a token of another client: give it introspect: true, where it is a resource server'
  emit({ type: 'warning', endpoint: 'introspection', client_id, token_client_id, reason })
}

/** A token that says everything itself says who issued it, too. */
function issuerOf({ accessTokenFormat, issuer }: Configuration, { extra }: ActiveAccessToken): string | undefined {
  return accessTokenFormat.kind === 'self-contained' && typeof extra.iss === 'string' ? extra.iss : issuer
}

/** A refresh token is shown to the client that holds it, and to nobody who might take it for an access token. */
async function describeRefreshToken({ ledger, clock, issuer }: Configuration, client: Client, token: RefreshTokenText, text: string) {
  const authorization = await ledger.find(token.authorization_id)
  const head = authorization?.refreshToken
  if (authorization === undefined || head === undefined || authorization.client_id !== client.client_id) return undefined
  if (hasEndedFor(client, authorization.createdAt)) return undefined
  const now = clock()
  const isHead = refreshTokenStanding(head, token, text, now) === 'head'
  if (!isHead || !isLive(authorization, now) || now >= head.expiresAt) return undefined
  return {
    ...describe({ issuer }, { ...authorization, subject: authorization.subject }),
    iat: authorization.createdAt,
    exp: head.expiresAt,
    token_type: 'refresh_token',
  }
}

function describe({ issuer }: Pick<Configuration, 'issuer'>, token: Pick<ActiveAccessToken, 'client_id' | 'subject' | 'scope'>) {
  const { client_id, subject, scope } = token
  return {
    active: true,
    client_id,
    // Resource servers refuse an answer without `sub`, so a client that acts for itself is its own subject.
    sub: subject ?? client_id,
    // RFC 9700 §4.15: a client whose id is somebody's name must not be taken for that person
    ...(subject === undefined ? { sub_type: 'client' } : {}),
    scope: formatScope(scope),
    ...(issuer === undefined ? {} : { iss: issuer }),
  }
}

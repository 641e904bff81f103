/**
 * The revocation endpoint (RFC 7009): a client ends a token of its own.
 *
 * A refresh token takes its whole Authorization with it, an access token only itself. An unknown token and somebody else's are
 * answered 200 and nothing happens; a revocation that was not written is never answered 200.
 */
import { isTokenLive, withoutAccessToken, withRevocation, withRevokedToken, type Authorization } from '../authorization/authorization.js'
import type { Client } from '../clients/client.js'
import { configure, type Configuration } from '../configuration/configure.js'
import { wasIssuedWith, type RefreshTokenText } from '../authorization/credentials.js'
import { InvalidRequest, OAuthError } from '../errors.js'
import type { EventType } from '../events/events.js'
import type { ServerOptions } from '../configuration/options.js'
import { jsonResponse, type ProtocolRequest, type ProtocolResponse } from '../http/message.js'
import { receivedRequest } from '../http/received-request.js'
import { sha256 } from '../secrets.js'
import type { SelfContainedReading } from '../tokens/access-token.js'
import { identifyAccessToken, identifyRefreshToken, opaqueToken, revokedTokens } from '../tokens/read.js'
import { answerClient } from './client-request.js'

/**
 * Answers a revocation request: 200 with an empty object, or the JSON of RFC 6749 §5.2.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export async function createRevocationResponse(options: ServerOptions, request: ProtocolRequest): Promise<ProtocolResponse> {
  return revocationResponse(configure(options, 'createRevocationResponse'), receivedRequest(request))
}

/** The same for options that were read, and a request that a handler has made. */
export function revocationResponse(configuration: Configuration, request: ProtocolRequest): Promise<ProtocolResponse> {
  return answerClient(configuration, 'revocation', request, async ({ client, parameters }) => {
    // RFC 7009 §2.1: token is required; token_type_hint is only a hint, and not needed here
    if (parameters.token === undefined) throw new InvalidRequest('token is required')
    await revokeToken(configuration, client, parameters.token)
    // RFC 7009 §2.2: the body is ignored
    return jsonResponse(200, {})
  })
}

async function revokeToken(configuration: Configuration, client: Client, text: string): Promise<void> {
  const refreshToken = await identifyRefreshToken(text, configuration)
  if (refreshToken !== undefined) return revokeRefreshToken(configuration, client, refreshToken)
  const reading = await identifyAccessToken(text, configuration)
  if (reading?.kind === 'self-contained') return revokeSelfContained(configuration, client, reading)
  if (reading === undefined) return
  // RFC 7009 §2.2.1: unsupported_token_type, rather than a revocation that is confirmed and was not made
  if (reading.kind === 'sealed') throw new OAuthError('unsupported_token_type', 'a token of this kind cannot be revoked here')
  await change(configuration, client, reading.authorization_id, 'token.revoked', (authorization, now) =>
    opaqueToken(authorization, text, now) === undefined ? undefined : withoutAccessToken(authorization, sha256(text), now),
  )
}

async function revokeRefreshToken(configuration: Configuration, client: Client, token: RefreshTokenText): Promise<void> {
  await change(configuration, client, token.authorization_id, 'authorization.revoked', (authorization, now) => {
    const key = authorization.refreshToken?.key
    // A token of any generation is proof enough that its holder may end the Authorization.
    return key !== undefined && wasIssuedWith(key, token) ? withRevocation(authorization, now) : undefined
  })
}

/** A self-contained token is noted as revoked, and too many of them end their Authorization: in its Authorization, or as a guard where it has none. Who does not ask the store goes on to accept it. */
async function revokeSelfContained(configuration: Configuration, client: Client, token: SelfContainedReading): Promise<void> {
  const { authorization_id, jti, expiresAt } = token
  const { clock, ledger, emit } = configuration
  if (token.client_id !== client.client_id || clock() >= expiresAt) return
  if (authorization_id === undefined) {
    if (await ledger.claimOnce(revokedTokens, jti, expiresAt)) emit({ type: 'token.revoked', client_id: client.client_id })
    return
  }
  await change(configuration, client, authorization_id, 'token.revoked', (authorization, now) =>
    isTokenLive(authorization, jti, now) ? withRevokedToken(authorization, { jti, expiresAt }, now) : undefined,
  )
}

/** Makes one change to an Authorization of that client, ahead of everything that waits for it. */
async function change(
  { ledger, clock, emit }: Configuration,
  client: Client,
  id: string,
  type: EventType,
  next: (authorization: Authorization, now: number) => Authorization | undefined,
): Promise<void> {
  const changed = await ledger.settle(
    id,
    (current) => {
      // RFC 7009 §2.1: the token was issued to the client that asks
      if (current?.client_id !== client.client_id) return { result: undefined }
      const state = current.revokedAt === undefined ? next(current, clock()) : undefined
      return state === undefined ? { result: undefined } : { next: state, result: state }
    },
    { urgent: true },
  )
  if (changed === undefined) return
  const subject = changed.subject === undefined ? {} : { subject: changed.subject }
  const happened =
    changed.revokedAt === undefined || type === 'authorization.revoked'
      ? { type }
      : { type: 'authorization.revoked' as const, reason: 'too many of its self-contained tokens were revoked one by one' }
  emit({ ...happened, client_id: client.client_id, authorization_id: id, ...subject })
}

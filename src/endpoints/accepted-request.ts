/**
 * A request that was read, whose client is known and may use the grant it asks for: what the rest of the token endpoint
 * works with, and the view of it that a grant is given.
 */
import type { Authorization } from '../authorization.js'
import type { Client } from '../clients.js'
import type { Configuration } from '../configuration.js'
import type { Grant, GrantRequest } from '../grants/grant.js'
import type { Context, Parameters, ReceivedRequest } from '../protocol.js'
import { grantableScope, intersectScope, type Scope } from '../scope.js'

/** A request of an authenticated client for a grant that it may use. */
export interface AcceptedRequest {
  readonly configuration: Configuration
  readonly client: Client
  readonly grant: Grant
  readonly parameters: Parameters
  readonly received: ReceivedRequest
  /** Undefined where the request had no `scope`. */
  readonly requestedScope: Scope | undefined
  readonly context: Context
  /** What `claimOnce` has won for this request: judging it again must not lose to itself. */
  readonly claimed: Set<string>
}

/** The request as a grant sees it, beside the Authorization that its credential names. */
export function grantRequest(request: AcceptedRequest, authorization: Authorization | undefined): GrantRequest {
  const { configuration, client, parameters, received, context } = request
  return {
    client,
    parameters,
    received,
    context,
    now: configuration.clock(),
    authorization,
    // RFC 9700 §4.14.2: refresh tokens of public clients are rotated
    rotatesRefreshTokens: client.isPublic || (client.rotateRefreshTokens ?? configuration.rotateRefreshTokens),
    grantableScope: (granted) => grantableScope(scopeLimits(request, granted)),
    claimOnce: (namespace, value, expiresAt) => claimOnce(request, namespace, value, expiresAt),
  }
}

/** What server and client allow now, whatever was granted before. */
export function allowedScope({ configuration, client }: AcceptedRequest): Scope {
  return intersectScope(configuration.scopes, client.scope)
}

function scopeLimits(request: AcceptedRequest, granted: Scope | undefined) {
  const requested = request.requestedScope
  const allowed = allowedScope(request)
  return granted === undefined ? { requested, allowed, fallback: request.client.defaultScope } : { requested, allowed, granted }
}

async function claimOnce(request: AcceptedRequest, namespace: string, value: string, expiresAt: number): Promise<boolean> {
  const { claimed, configuration } = request
  const key = JSON.stringify([namespace, value])
  const won = claimed.has(key) || (await configuration.ledger.claimOnce(namespace, value, expiresAt))
  if (won) claimed.add(key)
  return won
}

const credentialParameters = [
  'client_secret', 'client_assertion', 'code', 'code_verifier', 'refresh_token', 'password', 'assertion', 'device_code',
  'subject_token', 'actor_token',
] // prettier-ignore

/** The parameters that a hook may see. */
export function withoutCredentials(parameters: Parameters, grant: Grant): Parameters {
  const shown = Object.assign(Object.create(null) as Partial<Record<string, string>>, parameters)
  for (const name of [...credentialParameters, grant.presents ?? 'code']) Reflect.deleteProperty(shown, name)
  return shown
}

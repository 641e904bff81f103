/**
 * A request that was read, whose client is known and may use the grant it asks for: what the rest of the token endpoint
 * works with, and the view of it that a grant is given.
 */
import { isLive, type Authorization } from '../../authorization/authorization.js'
import { whenThere, type Awaitable } from '../../awaitable.js'
import { madeBeforeNotBefore } from '../../events/events.js'
import { hasEndedFor } from '../../clients/standing.js'
import type { Client } from '../../clients/client.js'
import type { Configuration } from '../../configuration/configure.js'
import { authorizationIdOf, type RefreshTokenText } from '../../authorization/credentials.js'
import type { Grant, GrantRequest } from '../../grants/grant.js'
import type { Context, Parameters, ReceivedRequest } from '../../http/message.js'
import { grantableResources } from '../../authorization/resources.js'
import { grantableScope, intersectScope, isWithinScope, offlineAccess, type Scope } from '../../authorization/scope.js'
import { identifyRefreshToken } from '../../tokens/read.js'
import { allowedScopeOf } from './asked-scope.js'

/** A request of an authenticated client for a grant that it may use. */
export interface AcceptedRequest {
  readonly configuration: Configuration
  readonly client: Client
  readonly grant: Grant
  readonly parameters: Parameters
  readonly received: ReceivedRequest
  /** Undefined where the request had no `scope`. */
  readonly requestedScope: Scope | undefined
  /** The `resource` parameters; empty where the request had none. */
  readonly requestedResources: readonly string[]
  readonly context: Context
  /** The client's address, where it is known. */
  readonly address: string | undefined
  /** When the request arrived, where anybody listens: for `duration` in events. */
  readonly startedAt: number | undefined
  /** What `claimOnce` was asked for, by namespace and value: judging a request again must not lose to itself. */
  readonly claims: Map<string, Claim & { readonly state: 'noted' | 'made' | 'lost' }>
}

/** A one-time value that a grant wants to use up. */
export interface Claim {
  readonly namespace: string
  readonly value: string
  readonly expiresAt: number
}

/** The credential of an Authorization in a request. */
export interface PresentedCredential {
  /** Undefined where the grant presents none, and where the text is not one. */
  readonly authorization_id?: string
  readonly refreshToken?: RefreshTokenText | undefined
}

/** Which Authorization the presented credential names, by its text or, for a text of the application's own, by its alias. */
export function presentedCredential({ configuration, grant, parameters }: AcceptedRequest): Awaitable<PresentedCredential> {
  const text = grant.presents === undefined ? undefined : parameters[grant.presents]
  if (text === undefined) return {}
  if (grant.presents !== 'refresh_token') {
    const authorization_id = authorizationIdOf(text)
    return authorization_id === undefined ? {} : { authorization_id }
  }
  return whenThere(identifyRefreshToken(text, configuration), (refreshToken) =>
    refreshToken === undefined ? {} : { authorization_id: refreshToken.authorization_id, refreshToken },
  )
}

/** The request as a grant sees it, beside the Authorization that its credential names. */
export function grantRequest(
  request: AcceptedRequest,
  presented: PresentedCredential,
  authorization: Authorization | undefined,
): GrantRequest {
  const { configuration, client, parameters, received, context } = request
  return {
    client,
    parameters,
    received,
    context,
    now: configuration.clock(),
    refreshToken: presented.refreshToken,
    authorization,
    // RFC 9700 §4.14.2: refresh tokens of public clients are rotated
    rotatesRefreshTokens: client.isPublic || (client.rotateRefreshTokens ?? configuration.rotateRefreshTokens),
    grantableScope(granted) {
      resourcesOf(request, authorization?.resource)
      return grantableScopeOf(request, granted)
    },
    claimOnce: (namespace, value, expiresAt) => claimOnce(request, { namespace, value, expiresAt }),
  }
}

/** @throws OAuthError `invalid_target` when the request asks for a resource that is unknown, or was not granted. */
export function resourcesOf({ configuration, requestedResources }: AcceptedRequest, granted?: readonly string[]): readonly string[] {
  return grantableResources(requestedResources, configuration.resources, granted)
}

/** What server and client allow now for a decision about `wanted`, whatever was granted before. */
export function allowedScope({ configuration, client }: AcceptedRequest, wanted: Scope | undefined): Scope {
  return allowedScopeOf(configuration, client, wanted)
}

/** @throws InvalidScope when more is asked for than may be granted. */
export function grantableScopeOf(request: AcceptedRequest, granted?: Scope): Scope {
  const { requestedScope } = request
  if (granted === undefined) {
    const allowed = allowedScope(request, requestedScope)
    return grantableScope({ requested: requestedScope, allowed, fallback: request.client.defaultScope })
  }
  const allowed = allowedScope(request, granted)
  const requested = requestedWithin(request, granted, allowed)
  return grantableScope({ requested, allowed, granted })
}

/** What is asked for of something granted. `offline_access` that was not granted is dropped; and so is a whole `scope` where the grant has no such parameter. */
function requestedWithin(request: AcceptedRequest, granted: Scope, allowed: Scope): Scope | undefined {
  const { requestedScope: requested, grant } = request
  if (requested === undefined) return undefined
  if (grant.ignoresForeignScope === true && !isWithinScope(requested, intersectScope(granted, allowed))) {
    tellScopeIgnored(request)
    return undefined
  }
  if (!requested.includes(offlineAccess) || granted.includes(offlineAccess)) return requested
  const rest = requested.filter((token) => token !== offlineAccess)
  return rest.length === 0 ? undefined : rest
}

const toldScopeIgnored = new WeakSet<AcceptedRequest['claims']>()

/** Says once for each request that its `scope` was ignored. */
export function tellScopeIgnored({
  configuration,
  client,
  grant,
  claims,
}: Pick<AcceptedRequest, 'configuration' | 'client' | 'grant' | 'claims'>): void {
  if (toldScopeIgnored.has(claims)) return
  toldScopeIgnored.add(claims)
  configuration.emit({
    type: 'warning',
    client_id: client.client_id,
    grant_type: grant.type,
    reason: 'the scope of the token request is more than was granted, or malformed; this grant has no such parameter, and it is ignored',
  })
}

/** Why a request is not shown the Authorization that its credential names; undefined when it is. */
export function withheldReason({ client, configuration }: AcceptedRequest, authorization: Authorization | undefined): string | undefined {
  if (authorization === undefined) return undefined
  // RFC 6749 §4.1.3, §6: the credential was issued to this client
  if (authorization.client_id !== client.client_id) return 'it was issued to another client'
  if (configuration.notBefore !== undefined && authorization.createdAt < configuration.notBefore) return madeBeforeNotBefore
  if (hasEndedFor(client, authorization.createdAt)) return `${madeBeforeNotBefore} of the client`
  if (isLive(authorization, configuration.clock())) return undefined
  if (authorization.revokedAt !== undefined) return 'the authorization was revoked'
  return authorization.code?.status === 'issued' ? 'the code has expired' : 'the authorization has expired'
}

/** Notes a claim. It is made by {@link claimAll}, once nothing can refuse the request any more. */
async function claimOnce({ claims, configuration }: AcceptedRequest, claim: Claim): Promise<boolean> {
  const key = JSON.stringify([claim.namespace, claim.value])
  const known = claims.get(key)
  if (known !== undefined) return known.state !== 'lost'
  if (await configuration.ledger.wasClaimed(claim.namespace, claim.value)) return false
  claims.set(key, { ...claim, state: 'noted' })
  return true
}

/** Makes the claims that were noted. False when somebody else was first with one of them: `claimOnce` says so when the request is judged again. */
export async function claimAll({ claims, configuration }: AcceptedRequest): Promise<boolean> {
  for (const [key, claim] of claims) {
    if (claim.state !== 'noted') continue
    const isFirst = await configuration.ledger.claimOnce(claim.namespace, claim.value, claim.expiresAt)
    claims.set(key, { ...claim, state: isFirst ? 'made' : 'lost' })
    if (!isFirst) return false
  }
  return true
}

const credentialParameters = new Set([
  'client_secret', 'client_assertion', 'code', 'code_verifier', 'refresh_token', 'password', 'assertion', 'device_code',
  'subject_token', 'actor_token',
]) // prettier-ignore

/** The parameters that a hook may see. */
export function withoutCredentials(parameters: Parameters, grant: Grant): Parameters {
  const shown = Object.create(null) as Partial<Record<string, string>>
  for (const [name, value] of Object.entries(parameters)) {
    if (!credentialParameters.has(name) && name !== grant.presents) shown[name] = value
  }
  return shown
}

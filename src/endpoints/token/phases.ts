/**
 * The token endpoint in two phases, for an application that wants to look at a request between its validation and its tokens.
 *
 *   const validated = await validateTokenRequest(options, request)     throws an OAuthError → errorResponse(error)
 *   const response = await grantResponse(validated)
 */
import { configure } from '../../configuration/configure.js'
import { toOAuthError, UnvalidatedRequest, type OAuthError } from '../../errors.js'
import { startTime } from '../../events/events.js'
import type { ServerOptions } from '../../configuration/options.js'
import { jsonResponse, renderError, type Context, type ProtocolRequest, type ProtocolResponse } from '../../http/message.js'
import { receivedRequest } from '../../http/received-request.js'
import type { Scope } from '../../authorization/scope.js'
import type { TokenOrder } from '../../tokens/issue.js'
import type { AcceptedRequest } from './accepted-request.js'
import { readClientRequest } from '../client-request.js'
import { reportRefusal } from '../../events/refusals.js'
import { accept, callBeforeGrant, rehearse, settle } from './endpoint.js'

/** A request that `validateTokenRequest` found good: worth one call of `grantResponse`. */
export class ValidatedTokenRequest {
  readonly client_id: string
  readonly grant_type: string
  /** Whom the tokens will speak for; undefined where the client speaks for itself. */
  readonly subject: string | undefined
  /** What the access token will carry, as it was decided now. `grantResponse` decides again. */
  readonly scope: Scope
  /** Whom the access token will be meant for; empty where that is not bound. */
  readonly resource: readonly string[]
  /** What the application knew about the request. */
  readonly context: Context

  /** @internal */
  constructor({ client, grant, context }: AcceptedRequest, { subject, scope, resource }: TokenOrder) {
    this.client_id = client.client_id
    this.grant_type = grant.type
    this.subject = subject
    this.scope = Object.freeze([...scope])
    this.resource = Object.freeze([...resource])
    this.context = context
    Object.freeze(this)
  }
}

const validated = new WeakMap<ValidatedTokenRequest, AcceptedRequest>()
const errorUris = new WeakMap<OAuthError, string>()

/**
 * The first of two phases: everything but the tokens. A wrong verifier and a replay have their consequences here already.
 *
 * @throws OAuthError for whatever is wrong with the request; ConfigurationError when the options are.
 */
export async function validateTokenRequest(options: ServerOptions, request: ProtocolRequest): Promise<ValidatedTokenRequest> {
  const configuration = configure(options, 'validateTokenRequest')
  const received = receivedRequest(request)
  const startedAt = received.startedAt ?? startTime(configuration.emit)
  let client_id: string | undefined
  try {
    const clientRequest = await readClientRequest(configuration, 'token', received, startedAt)
    client_id = clientRequest.client.client_id
    const accepted = accept(configuration, clientRequest)
    await callBeforeGrant(accepted)
    const result = new ValidatedTokenRequest(accepted, await rehearse(accepted))
    validated.set(result, accepted)
    return result
  } catch (thrown) {
    const error = reportRefusal(configuration, 'token', thrown, { client_id, address: received.address, startedAt })
    if (configuration.errorUri !== undefined) errorUris.set(error, configuration.errorUri)
    throw error
  }
}

/**
 * The second phase: the tokens. What has become of the grant since is judged again, so a refusal is still possible; it is answered, not thrown.
 *
 * @throws UnvalidatedRequest for anything but what `validateTokenRequest` returned, and for the same one twice.
 */
export async function grantResponse(request: ValidatedTokenRequest): Promise<ProtocolResponse> {
  const accepted = validated.get(request)
  if (accepted === undefined) throw new UnvalidatedRequest()
  validated.delete(request)
  const { configuration, client, address, startedAt } = accepted
  try {
    return jsonResponse(200, await settle(accepted))
  } catch (thrown) {
    return renderError(
      reportRefusal(configuration, 'token', thrown, { client_id: client.client_id, address, startedAt }),
      configuration.errorUri,
    )
  }
}

/** The JSON error response for what `validateTokenRequest` threw. Anything but an OAuthError is a `server_error`. */
export function errorResponse(thrown: unknown): ProtocolResponse {
  const error = toOAuthError(thrown)
  return renderError(error, errorUris.get(error))
}

/**
 * What every endpoint for clients begins and ends with: transport, form, client; and the JSON of RFC 6749 §5.2 for whatever was thrown.
 *
 *   assertTransport → readForm → authenticateClient → answer
 */
import { assertAvailable } from '../http/availability.js'
import { isPromise, whenThere, type Awaitable } from '../awaitable.js'
import { authenticateClient } from '../client-authentication/method.js'
import type { Client } from '../clients/client.js'
import type { Configuration } from '../configuration/configure.js'
import { startTime } from '../events/events.js'
import { reportRefusal } from '../events/refusals.js'
import { assertNoForeignPage } from '../http/foreign-page.js'
import {
  assertTransport,
  readForm,
  renderError,
  type Context,
  type Pair,
  type Parameters,
  type ProtocolRequest,
  type ProtocolResponse,
} from '../http/message.js'

/** A well-formed request, and the client that sent it. */
export interface ClientRequest {
  readonly request: ProtocolRequest
  readonly parameters: Parameters
  /** The `resource` parameters (RFC 8707). */
  readonly resource: readonly string[]
  /** All parameters as they came. */
  readonly pairs: readonly Pair[]
  readonly client: Client
  /** As in {@link EventFields}. */
  readonly startedAt: number | undefined
}

const noContext: Context = Object.freeze({})

/**
 * Reads a request and finds out who sent it.
 *
 * @throws OAuthError when the server is not available, the request malformed, or the client not authenticated.
 */
export function readClientRequest(
  configuration: Configuration,
  endpoint: string,
  request: ProtocolRequest,
  startedAt = request.startedAt ?? startTime(configuration.emit),
): Awaitable<ClientRequest> {
  const available = assertAvailable(configuration)
  return isPromise(available)
    ? available.then(() => readAvailable(configuration, endpoint, request, startedAt))
    : readAvailable(configuration, endpoint, request, startedAt)
}

function readAvailable(
  configuration: Configuration,
  endpoint: string,
  request: ProtocolRequest,
  startedAt: number | undefined,
): Awaitable<ClientRequest> {
  assertTransport(request, endpoint, configuration)
  assertNoForeignPage(request.headers, configuration.cors)
  return whenThere(readForm(request, configuration), ({ parameters, resource, pairs }) => {
    const { headers, address, context = noContext } = request
    const authenticated = authenticateClient({ headers, parameters, address, context }, configuration)
    return whenThere(authenticated, (client) => ({ request, parameters, resource, pairs, client, startedAt }))
  })
}

/** Answers a request of a client. What is thrown becomes the error response; it does not reject. */
export async function answerClient(
  configuration: Configuration,
  endpoint: string,
  request: ProtocolRequest,
  answer: (request: ClientRequest) => Awaitable<ProtocolResponse>,
): Promise<ProtocolResponse> {
  const startedAt = request.startedAt ?? startTime(configuration.emit)
  let client: Client | undefined
  try {
    const clientRequest = await readClientRequest(configuration, endpoint, request, startedAt)
    client = clientRequest.client
    const response = answer(clientRequest)
    return isPromise(response) ? await response : response
  } catch (thrown) {
    return renderError(
      reportRefusal(configuration, endpoint, thrown, { client_id: client?.client_id, address: request.address, startedAt }),
      configuration.errorUri,
    )
  }
}

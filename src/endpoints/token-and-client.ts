/**
 * An access token and its client, read together: a token of a client that is disabled, or was made before its `notBefore`, is not active.
 *
 * 1. Without `checkClient` the client is looked at where that costs nothing: see `clientAtHand`.
 * 2. With it the client is looked up, which a guard that is to fail closed needs: one that is gone, or cannot be looked up, lets nothing pass.
 * 3. That look-up leaves with the one of the token, where the client is known by then: from a token that says so, or from the last request with a token of
 *    the same Authorization. Else it follows.
 */
import { isPromise, whenThere, type Awaitable } from '../awaitable.js'
import { keepLatest } from '../bounded-map.js'
import type { LookUpRequest } from '../clients/cache.js'
import { clientFault } from '../clients/standing.js'
import { isClientId, type Client } from '../clients/client.js'
import type { Configuration } from '../configuration/configure.js'
import type { AccessTokenReading } from '../tokens/access-token.js'
import { readAccessToken, type ActiveAccessToken } from '../tokens/read.js'

/** How much is looked up. */
export interface TokenDemand {
  readonly checkRevocation: boolean
  readonly checkClient: boolean
  /** A client that was looked up for this request anyway. */
  readonly known?: Client
}

/** The token, or why it is refused. */
export type TokenStanding =
  { readonly token: ActiveAccessToken; readonly fault?: undefined } | { readonly token?: undefined; readonly fault: string }

const notActive: TokenStanding = { fault: 'unknown, expired or revoked' }

/** @throws TemporarilyUnavailable when the store fails; ServerError when the application's function does. */
export function readTokenOfClient(
  text: string,
  configuration: Configuration,
  demand: TokenDemand,
  request: LookUpRequest,
): Awaitable<TokenStanding> {
  if (demand.checkClient) return readWithClient(text, configuration, demand, request)
  return whenThere(readAccessToken(text, configuration, demand.checkRevocation), (token) => {
    if (token === undefined) return notActive
    return whenThere(configuration.clientAtHand(token.client_id, request), (client) =>
      client === undefined ? { token } : judged(token, client),
    )
  })
}

function judged(token: ActiveAccessToken, client: Client): TokenStanding {
  const fault = clientFault(client, token.madeAt)
  return fault === undefined ? { token } : { fault }
}

function readWithClient(
  text: string,
  configuration: Configuration,
  { checkRevocation, known }: TokenDemand,
  request: LookUpRequest,
): Awaitable<TokenStanding> {
  const clientIds = clientIdsOf(configuration)
  const find = (client_id: string) => {
    if (client_id === known?.client_id) return known
    return isClientId(client_id) ? configuration.findClient(client_id, request) : undefined
  }
  let early: { readonly client_id: string; readonly client: Awaitable<Client | undefined> } | undefined
  function begin(reading: AccessTokenReading): void {
    if (reading.kind === 'sealed') return
    const client_id = reading.kind === 'reference' ? clientIds.get(reading.authorization_id) : reading.client_id
    if (client_id === undefined) return
    const client = find(client_id)
    // Nobody may come to wait for it.
    if (isPromise(client)) client.catch(() => undefined)
    early = { client_id, client }
  }
  return whenThere(readAccessToken(text, configuration, checkRevocation, begin), (token) => {
    if (token === undefined) return notActive
    const { client_id, authorization_id } = token
    if (authorization_id !== undefined) remember(clientIds, authorization_id, client_id)
    const found = early?.client_id === client_id ? early.client : find(client_id)
    return whenThere(found, (client) => (client === undefined ? { fault: 'the client is gone' } : judged(token, client)))
  })
}

/** The client of an Authorization, by its id: it never changes. */
type ClientIds = Map<string, string>

const mostRemembered = 10_000
const remembered = new WeakMap<object, ClientIds>()

function clientIdsOf({ ledger }: Configuration): ClientIds {
  const known = remembered.get(ledger)
  if (known !== undefined) return known
  const made: ClientIds = new Map()
  remembered.set(ledger, made)
  return made
}

function remember(clientIds: ClientIds, authorization_id: string, client_id: string): void {
  if (!clientIds.has(authorization_id)) keepLatest(clientIds, authorization_id, client_id, mostRemembered)
}

/**
 * Where the answer to an authorization request goes: the client and its redirection URI.
 *
 * Both are known before anything else is judged. When one of them is wrong, nobody is redirected (RFC 6749 §4.1.2.1).
 */
import type { LookUpRequest } from '../../clients/cache.js'
import { isClientId, isStranger, type Client } from '../../clients/client.js'
import type { Configuration } from '../../configuration/configure.js'
import { InvalidRequest } from '../../errors.js'
import { isRegisteredRedirectUri, redirectUriFault, sentUri } from '../../clients/redirect-uri.js'

/** @throws InvalidRequest for a client that does not exist, or is disabled. */
export async function knownClient(
  { findClientToAuthorize }: Pick<Configuration, 'findClientToAuthorize'>,
  client_id: unknown,
  request?: LookUpRequest,
): Promise<Client> {
  const client = typeof client_id === 'string' && isClientId(client_id) ? await findClientToAuthorize(client_id, request) : undefined
  if (client?.disabled === true) {
    throw new InvalidRequest('unknown client', {
      reason: 'the client is disabled, or cannot be used',
      facts: { client_id: client.client_id },
    })
  }
  if (client === undefined) throw new InvalidRequest('unknown client')
  return client
}

/** @throws InvalidRequest for a redirection URI that the client has not registered, or that may not be registered any more. */
export function registeredRedirectUri(
  client: Client,
  redirect_uri: string | undefined,
  { privateUseSchemes }: Pick<Configuration, 'privateUseSchemes'>,
): string {
  const { client_id, redirect_uris } = client
  const facts = { client_id, registered: redirect_uris.join(' ').slice(0, 1000) }
  const [only, ...others] = redirect_uris
  // RFC 6749 §3.1.2.3: it may be left out where exactly one is registered
  const named = redirect_uri ?? (others.length === 0 ? only : undefined)
  if (only === undefined) {
    const reason = 'the client has no redirect_uris; add them, and authorization_code to its grant_types'
    throw new InvalidRequest(named === undefined ? 'redirect_uri is required' : 'redirect_uri is not registered', {
      reason,
      facts: { client_id, ...(named === undefined ? {} : sentUri(named)) },
    })
  }
  if (named === undefined) throw new InvalidRequest('redirect_uri is required', { facts })
  if (!redirect_uris.some((registered) => isRegisteredRedirectUri(named, registered))) {
    throw new InvalidRequest('redirect_uri is not registered', {
      reason: 'redirect_uri is not registered; add it to the redirect_uris of the client, or let the client send one of them',
      facts: { ...facts, ...sentUri(named) },
    })
  }
  // The store may hold what an earlier version registered.
  const isRefused = redirectUriFault(named, isStranger(client) ? privateUseSchemes : undefined) !== undefined
  if (!isRefused) return named
  throw new InvalidRequest('redirect_uri is not registered', {
    reason: 'redirect_uri is registered, but may not be any more',
    facts: { ...facts, ...sentUri(named) },
  })
}

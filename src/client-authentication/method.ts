/**
 * The seam of client authentication (RFC 6749 §2.3), and its one rule: exactly one method in a request, and the one that the
 * client registered.
 *
 * 1. `presentedCredentials`: which method does the request use? None and two are refused.
 * 2. The client is looked up. An unknown one is replaced by a decoy, so that the next step costs the same.
 * 3. The method verifies, always. Unknown, disabled, wrong secret, wrong method: one answer for all.
 */
import { whenThere, type Awaitable } from '../awaitable.js'
import type { Client } from '../clients.js'
import { isClientId } from '../clients.js'
import type { LookUpRequest } from '../client-cache.js'
import { InvalidClient, InvalidRequest } from '../errors.js'
import { headerValues, type HeaderFields, type Parameters } from '../protocol.js'
import { randomText, Redacted, secretSize } from '../secrets.js'
import { digestOfSecret, isSlowHash } from '../client-secrets.js'
import { withinFailureLimit, type FailureCounter } from '../failed-authentication.js'

/** Where credentials of a client may stand. */
export interface ClientAuthenticationRequest {
  readonly headers: HeaderFields
  readonly parameters: Parameters
  /** The client's address, where it is known. */
  readonly address?: string | undefined
}

/** Credentials as one method found them in a request. */
export interface PresentedCredentials {
  readonly client_id: string
  /** The secret, in every reading that the encoding of the method allows; none where the method has no secret. */
  readonly secretReadings?: readonly string[]
  /** Whatever else the method found and verifies: an assertion, a certificate. */
  readonly proof?: unknown
}

/** One way to prove which client sends a request. To add a way is to write a value of this shape. */
export interface ClientAuthenticationMethod {
  /** Its name in the IANA registry of token endpoint authentication methods. */
  readonly name: string
  /**
   * The credentials of this method in the request, or undefined when it does not use this method.
   *
   * @throws InvalidClient when it does, and they are malformed.
   */
  presented(request: ClientAuthenticationRequest): PresentedCredentials | undefined
  /** Whether the credentials prove that the client sent them. `now` is in seconds since the epoch. */
  verify(credentials: PresentedCredentials, client: Client, now: number): Awaitable<boolean>
  /** The challenge for a refusal of this method; the Basic challenge when absent. */
  readonly challenge?: string
}

/** What authentication needs of the server. */
export interface ClientAuthenticationPolicy {
  readonly clientAuthenticationMethods: readonly ClientAuthenticationMethod[]
  /** The client with that id, or undefined. Never called with what cannot be a client_id. */
  readonly findClient: (client_id: string, request?: LookUpRequest) => Awaitable<Client | undefined>
  /** The slow hashes that a request for an unknown client has to wait for, where some client has them. */
  readonly decoyHashes: () => readonly string[]
  readonly clock: () => number
  /** Counts failures against guessing; undefined: no limit. */
  readonly failures: FailureCounter | undefined
}

/**
 * The client that sent the request.
 *
 * @throws InvalidRequest for two methods or two identities; InvalidClient for everything else.
 * @see RFC 6749 §2.3, §3.2.1
 */
export function authenticateClient(request: ClientAuthenticationRequest, policy: ClientAuthenticationPolicy): Awaitable<Client> {
  const { method, credentials } = presentedCredentials(request, policy.clientAuthenticationMethods)
  const attempt = { kind: 'client', name: credentials.client_id, address: request.address } as const
  return withinFailureLimit(policy.failures, attempt, isRefusal, () => verifiedClient(method, credentials, policy))
}

function isRefusal(thrown: unknown): boolean {
  return thrown instanceof InvalidClient
}

function verifiedClient(
  method: ClientAuthenticationMethod,
  credentials: PresentedCredentials,
  policy: ClientAuthenticationPolicy,
): Awaitable<Client> {
  const { client_id } = credentials
  return whenThere(isClientId(client_id) ? policy.findClient(client_id) : undefined, (found) => {
    const client = found !== undefined && mayUse(found, method.name) ? found : undefined
    const verified = method.verify(credentials, client ?? decoyClient(policy.decoyHashes()), policy.clock())
    return whenThere(verified, (answer: unknown) => {
      // Whatever else than true a method answers, it has proved nothing.
      const isVerified = answer === true
      if (client !== undefined && !client.disabled && isVerified) return client
      return refuse({ method, credentials, found, client, isVerified }, policy)
    })
  })
}

interface Unverified {
  readonly method: ClientAuthenticationMethod
  readonly credentials: PresentedCredentials
  /** The client with that id, and the same where it may use the method. */
  readonly found: Client | undefined
  readonly client: Client | undefined
  readonly isVerified: boolean
}

/** Takes no longer than a success, where nothing slow is to be made up for: of many tries at once, the failed ones are counted before one succeeds. */
function refuse({ method, credentials, found, client, isVerified }: Unverified, policy: ClientAuthenticationPolicy): Awaitable<never> {
  const error = refusal(method, reasonFor(found, client, isVerified))
  const slowHashes = policy.decoyHashes()
  // Where refusing an unknown client costs slow hashes, refusing a client that has fewer must cost as many.
  const spared = client === undefined ? [] : slowHashes.slice(slowHashCount(client))
  if (spared.length === 0) throw error
  return whenThere(method.verify(credentials, decoyClient(spared), policy.clock()), () => {
    throw error
  })
}

function slowHashCount({ secrets }: Client): number {
  return secrets.reveal().filter(({ hash }) => isSlowHash(hash)).length
}

function presentedCredentials(request: ClientAuthenticationRequest, methods: readonly ClientAuthenticationMethod[]) {
  // RFC 9110 §11.6.2: a request has one Authorization field
  if (headerValues(request.headers, 'authorization').length > 1) throw new InvalidRequest('the Authorization header must not be repeated')
  const presented: { method: ClientAuthenticationMethod; credentials: PresentedCredentials }[] = []
  for (const method of methods) {
    const credentials = method.presented(request)
    if (credentials !== undefined) presented.push({ method, credentials })
  }
  // RFC 7591 §2: `none` is the method of a request that uses no other
  const used = presented.length > 1 ? presented.filter(({ method }) => method.name !== 'none') : presented
  // RFC 6749 §2.3: the client must not use more than one authentication method in each request
  if (used.length > 1) throw new InvalidRequest('only one client authentication method may be used')
  const [only] = used
  if (only === undefined) throw new InvalidClient(undefined, { reason: 'no client credentials that this server accepts' })
  const { client_id = only.credentials.client_id } = request.parameters
  if (client_id !== only.credentials.client_id) throw new InvalidRequest('client_id disagrees with the client credentials')
  return only
}

function mayUse(client: Client, method: string): boolean {
  const { token_endpoint_auth_method: registered } = client
  // RFC 7591 §2: the method that is registered; without one, either way of sending the secret
  return registered === undefined ? method === 'client_secret_basic' || method === 'client_secret_post' : registered === method
}

function refusal(method: ClientAuthenticationMethod, reason: string): InvalidClient {
  const details = method.challenge === undefined ? { reason } : { reason, challenge: method.challenge }
  return new InvalidClient(undefined, details)
}

function reasonFor(found: Client | undefined, client: Client | undefined, verified: boolean): string {
  if (found === undefined) return 'unknown client'
  if (client === undefined) return 'the client is registered for another authentication method'
  return verified ? 'the client is disabled' : 'wrong or expired client secret'
}

const decoySecret = digestOfSecret(randomText(secretSize))

/** Stands in for a client that does not exist, so that refusing it is the same work. */
function decoyClient(slowHashes: readonly string[]): Client {
  return {
    client_id: '',
    source: 'application',
    secrets: new Redacted((slowHashes.length === 0 ? [decoySecret] : slowHashes).map((hash) => ({ hash }))),
    token_endpoint_auth_method: undefined,
    isPublic: false,
    grant_types: [],
    redirect_uris: [],
    scope: [],
    defaultScope: undefined,
    require_pkce: true,
    require_pushed_authorization_requests: false,
    rotateRefreshTokens: undefined,
    accessTokenLifetime: undefined,
    disabled: true,
    introspect: false,
    metadata: { client_id: '' },
  }
}

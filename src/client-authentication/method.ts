/**
 * The seam of client authentication (RFC 6749 §2.3), and its one rule: exactly one method in a request, and the one that the
 * client registered.
 *
 * 1. `presentedCredentials`: which method does the request use? None and two are refused.
 * 2. The client is looked up. An unknown one is replaced by a decoy, so that the next step costs the same.
 * 3. The method verifies, always. Unknown, disabled, wrong secret, wrong method: one answer for all.
 */
import { whenThere, type Awaitable } from '../awaitable.js'
import type { LookUpRequest } from '../clients/cache.js'
import { isClientId, type Client } from '../clients/client.js'
import { InvalidClient, InvalidRequest, type OAuthErrorDetails } from '../errors.js'
import type { JsonWebKey } from '../jose/jwk.js'
import { headerValues, type Context, type HeaderFields, type Parameters } from '../http/message.js'
import { randomText, Redacted, secretSize } from '../secrets.js'
import { digestOfSecret, isSlowHash, minGeneratedSize } from '../clients/secrets.js'
import { namingClient, rememberRefused, withinFailureLimit, type FailureCounter } from '../limits/failed-authentication.js'

/** Where credentials of a client may stand. */
export interface ClientAuthenticationRequest {
  readonly headers: HeaderFields
  readonly parameters: Parameters
  /** The client's address, where it is known. */
  readonly address?: string | undefined
  /** What the application knows about the request, trusted: a certificate of the connection, a tenant. */
  readonly context: Context
}

/** Credentials as one method found them in a request. */
export interface PresentedCredentials {
  readonly client_id: string
  /**
   * The secret, in every reading that the encoding of the method allows; none where the method has no secret. Only what has a secret can be guessed, and
   * only its failures count against `failedAuthenticationLimit`.
   */
  readonly secretReadings?: readonly string[]
  /** The address that sent the secret, where it is known: slow hashes are shared out by it. */
  readonly address?: string | undefined
  /** Whatever else the method found and verifies: an assertion, a certificate. */
  readonly proof?: unknown
}

/** What a method may know of the server, and ask of it. */
export interface ClientAuthenticationServer {
  /** Now, in whole seconds since the epoch. */
  readonly now: number
  /** The option `issuer`: whom an assertion is meant for. */
  readonly issuer: string | undefined
  /** What the application knows about the request, trusted. */
  readonly context: Context
  /**
   * Remembers a one-time value until `expiresAt` (seconds since the epoch). True for exactly one request with that value, in any process. Verify first:
   * it is remembered, whatever becomes of the request.
   */
  readonly claimOnce: (namespace: string, value: string, expiresAt: number) => Promise<boolean>
  /** The public keys that the client has registered as `jwks`; none where it has none. */
  readonly keysOf: (client: Client) => Promise<readonly JsonWebKey[]>
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
  /**
   * Whether the credentials prove that the client sent them. Where the client is unknown, or may not use this method, it is asked about a client without
   * id and keys that nothing matches, so that a refusal is the same work.
   */
  verify(credentials: PresentedCredentials, client: Client, server: ClientAuthenticationServer): Awaitable<boolean>
  /** The challenge for a refusal of this method; the Basic challenge when absent. */
  readonly challenge?: string
}

/** What authentication needs of the server. */
export interface ClientAuthenticationPolicy {
  readonly clientAuthenticationMethods: readonly ClientAuthenticationMethod[]
  /** The client with that id, or undefined. Never called with what cannot be a client_id. `request` is the one that names it. */
  readonly findClient: (client_id: string, request?: LookUpRequest) => Awaitable<Client | undefined>
  /** The slow hashes that a request for an unknown client has to wait for, where some client has them. */
  readonly decoyHashes: () => readonly string[]
  readonly clock: () => number
  readonly issuer: string | undefined
  /** As in {@link ClientAuthenticationServer}. */
  readonly claimOnce: ClientAuthenticationServer['claimOnce']
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
  // Without a secret there is nothing to guess.
  const name = credentials.secretReadings === undefined ? undefined : credentials.client_id
  const isGuessable = credentials.secretReadings?.some((reading) => reading.length < minGeneratedSize) === true
  const attempt = { kind: 'client', name, address: request.address, ...(isGuessable ? {} : { isGuessable: never }) } as const
  const verify = () => withinFailureLimit(policy.failures, attempt, isGuess, () => verifiedClient(request, method, credentials, policy))
  return namingClient(policy, credentials.client_id, verify)
}

function never(): false {
  return false
}

/** A secret where no secret is compared proves that nobody guesses: the client is public, or registered for another method. */
class NothingToGuess extends InvalidClient {}

/** An unknown client counts like a wrong secret, and so tells nothing. */
function isGuess(thrown: unknown): boolean {
  return thrown instanceof InvalidClient && !(thrown instanceof NothingToGuess)
}

function verifiedClient(
  request: ClientAuthenticationRequest,
  method: ClientAuthenticationMethod,
  credentials: PresentedCredentials,
  policy: ClientAuthenticationPolicy,
): Awaitable<Client> {
  const { client_id } = credentials
  return whenThere(isClientId(client_id) ? policy.findClient(client_id, request) : undefined, (found) => {
    const client = found !== undefined && mayUse(found, method.name) ? found : undefined
    const server = serverFor(request, policy)
    const verified = method.verify(credentials, client ?? decoyClient(policy.decoyHashes()), server)
    return whenThere(verified, (answer: unknown) => {
      // Whatever else than true a method answers, it has proved nothing.
      const isVerified = answer === true
      if (client !== undefined && !client.disabled && isVerified) return client
      return refuse({ method, credentials, found, client, isVerified, server }, policy)
    })
  })
}

function serverFor(
  { context }: ClientAuthenticationRequest,
  { clock, issuer, claimOnce }: ClientAuthenticationPolicy,
): ClientAuthenticationServer {
  return { now: clock(), issuer, context, claimOnce, keysOf }
}

const noKeys: readonly JsonWebKey[] = Object.freeze([])

/** The keys in the client's `jwks` (RFC 7591 §2). */
function keysOf({ metadata }: Client): Promise<readonly JsonWebKey[]> {
  return Promise.resolve(metadata.jwks?.keys ?? noKeys)
}

interface Unverified {
  readonly method: ClientAuthenticationMethod
  readonly credentials: PresentedCredentials
  /** The client with that id, and the same where it may use the method. */
  readonly found: Client | undefined
  readonly client: Client | undefined
  readonly isVerified: boolean
  readonly server: ClientAuthenticationServer
}

/** Takes no longer than a success, where nothing slow is to be made up for: of many tries at once, the failed ones are counted before one succeeds. */
function refuse(unverified: Unverified, policy: ClientAuthenticationPolicy): Awaitable<never> {
  const { method, credentials, found, client, isVerified, server } = unverified
  const Refusal = found !== undefined && client === undefined ? NothingToGuess : InvalidClient
  const facts = { facts: found === undefined ? {} : { client_id: found.client_id } }
  const error = new Refusal(undefined, { ...detailsOf(method, reasonFor(found, client, isVerified)), ...facts })
  rememberRefused(policy, credentials.client_id, found !== undefined)
  const slowHashes = policy.decoyHashes()
  // Where refusing an unknown client costs slow hashes, refusing a client that has fewer must cost as many.
  const spared = client === undefined ? [] : slowHashes.slice(slowHashCount(client))
  if (spared.length === 0) throw error
  return whenThere(method.verify(credentials, decoyClient(spared), server), () => {
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

function detailsOf({ challenge }: ClientAuthenticationMethod, reason: string): OAuthErrorDetails {
  return challenge === undefined ? { reason } : { reason, challenge }
}

function reasonFor(found: Client | undefined, client: Client | undefined, verified: boolean): string {
  if (found === undefined) return 'unknown client'
  if (client === undefined)
    return found.disabled ? 'the client is disabled, or cannot be used' : 'the client is registered for another authentication method'
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
    refreshTokenLifetime: undefined,
    refreshTokenIdleLifetime: undefined,
    disabled: true,
    notBefore: undefined,
    introspect: false,
    metadata: { client_id: '' },
  }
}

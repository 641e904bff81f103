/**
 * Who sent a request: the checks that every OAuth 1 request has to pass (RFC 5849 §3.2), in this order.
 *
 * 1. The transport and the shape of the request: what is malformed is answered 400.
 * 2. Client and token are looked up; where one is not known, a stand-in takes its place.
 * 3. The signature is checked, with the secrets of whichever it is.
 * 4. The verdict: everything known, live, fitting and rightly signed, or a 401 that does not say what was wrong. Wrong signatures are counted, whether
 *    client and token are known or not, and too many for one client from one address are answered 429.
 * 5. Whoever signed rightly is told of a stale timestamp, and of what the endpoint has against the request.
 * 6. Only then the nonce is claimed, so that nobody without the secrets can fill the store or spoil a nonce.
 */
import { isPromise } from '../awaitable.js'
import { InvalidRequest } from '../errors.js'
import { namingClient, rememberRefused, withinFailureLimit } from '../limits/failed-authentication.js'
import { headerValue, isSecure, type Context, type ProtocolRequest, type ReceivedRequest } from '../http/message.js'
import { madeBeforeNotBefore } from '../events/events.js'
import { equalInConstantTime, sha256 } from '../secrets.js'
import type { RegisteredClient } from './clients.js'
import { isTooOld, type Credentials } from './credentials.js'
import type { OAuth1Configuration } from './options.js'
import { readParameters, type RequestParameters } from './parameters.js'
import { unauthorized } from './responses.js'
import {
  baseStringUri,
  isPlaintext,
  isRightSignature,
  isRsa,
  signatureBaseString,
  type SignatureMethod,
  type VerificationKeys,
} from './signature.js'

/** Credentials in a stage in which a request may be signed with them. */
export type UsableStage = 'authorized' | 'token'

/** What an endpoint demands of a request. */
export interface Demand<S extends UsableStage> {
  readonly endpoint: string
  /** The stage of the credentials that `oauth_token` must name; undefined where it is not looked at. */
  readonly stage: S | undefined
  /** Whether a request without `oauth_token` will do (two-legged). */
  readonly tokenOptional?: boolean
  /** Protocol parameters that this endpoint needs beside the usual ones. */
  readonly required?: readonly string[]
}

/** A request that proved who sent it. */
export interface AuthenticatedRequest<S extends UsableStage> {
  readonly client: RegisteredClient
  /** Undefined for a request without a token. */
  readonly credentials: Extract<Credentials, { stage: S }> | undefined
  readonly parameters: RequestParameters
}

/** A request that was signed rightly. Its nonce is not claimed yet. */
export interface SignedRequest<S extends UsableStage> extends AuthenticatedRequest<S> {
  /** Undefined where PLAINTEXT came without one. */
  readonly nonce: { readonly value: string; readonly expiresAt: number } | undefined
}

/** Claims a one-time value; true for one caller. */
export type Claim = (value: string, expiresAt: number) => Promise<boolean>

/**
 * Checks the transport: TLS, no fragment.
 *
 * @throws InvalidRequest
 */
export function assertTransport(request: ProtocolRequest, endpoint: string, configuration: OAuth1Configuration): void {
  // RFC 5849 §2.1, §2.3: credentials travel over TLS only
  if (!isSecure(request) && !configuration.allowInsecureTransport) {
    throw new InvalidRequest(`the ${endpoint} endpoint requires https`, { reason: 'insecure transport' })
  }
  if (request.url.includes('#')) throw new InvalidRequest('the request target must not have a fragment')
}

/** The protocol parameters that every request has. */
interface Proof {
  readonly client_id: string
  readonly method: SignatureMethod
  readonly signature: string
  readonly token: string | undefined
  readonly timestamp: number | undefined
  readonly nonce: string | undefined
}

/**
 * The client, and the credentials, that a request is signed with.
 *
 * @throws InvalidRequest for a malformed request and a stale timestamp; OAuthError with status 401 for everything else, 429 for too many wrong signatures.
 */
export async function authenticate<S extends UsableStage>(
  configuration: OAuth1Configuration,
  request: ReceivedRequest,
  demand: Demand<S>,
  context: Context,
  claim?: Claim,
): Promise<AuthenticatedRequest<S>> {
  const signed = await identify(configuration, request, demand, context)
  await claimNonce(configuration, signed, claim)
  return signed
}

/**
 * The same before the nonce is claimed: nothing was written, for an endpoint that has more to refuse.
 *
 * @throws OAuthError as {@link authenticate} does, but for a used nonce.
 */
export async function identify<S extends UsableStage>(
  configuration: OAuth1Configuration,
  request: ReceivedRequest,
  demand: Demand<S>,
  context: Context,
): Promise<SignedRequest<S>> {
  const parameters = readParameters(request)
  const proof = readProof(configuration, request, parameters, demand)
  const baseString = signatureBaseString(request.method, uriOf(configuration, request), parameters.signed)
  const { client, credentials } = await signerOf(configuration, request, { proof, baseString, demand, context })
  const { client_id, token, timestamp, nonce } = proof
  const { clock, timestampWindow } = configuration
  // RFC 5849 §3.3: a stale timestamp is refused, so that no nonce has to be kept for ever
  if (timestamp !== undefined && Math.abs(clock() - timestamp) > timestampWindow) {
    const facts = { client_id: client.client_id }
    throw new InvalidRequest('oauth_timestamp is too far from the time of this server', {
      reason: 'stale timestamp: is a clock wrong?',
      facts,
    })
  }
  const hasNonce = timestamp !== undefined && nonce !== undefined
  return {
    client,
    credentials,
    parameters,
    // RFC 5849 §3.3: a nonce is unique per client, token and timestamp
    nonce: hasNonce
      ? { value: JSON.stringify([client_id, token ?? null, timestamp, nonce]), expiresAt: timestamp + timestampWindow + 1 }
      : undefined,
  }
}

/** @throws OAuthError with status 401 for a nonce that was used. */
export async function claimNonce(
  configuration: OAuth1Configuration,
  { client, nonce }: Pick<SignedRequest<UsableStage>, 'client' | 'nonce'>,
  claim: Claim = (value, expiresAt) => configuration.records.claimNonce(value, expiresAt),
): Promise<void> {
  if (nonce === undefined || (await claim(nonce.value, nonce.expiresAt))) return
  throw unauthorized(configuration, 'used nonce', client)
}

function uriOf({ origin }: OAuth1Configuration, request: ReceivedRequest): string {
  const { url, headers } = request
  return baseStringUri({ url, host: headerValue(headers, 'host') ?? headerValue(headers, ':authority'), secure: isSecure(request), origin })
}

/** A request whose parts were read. */
interface ReadRequest<S extends UsableStage> {
  readonly proof: Proof
  readonly baseString: string
  readonly demand: Demand<S>
  readonly context: Context
}

/**
 * Who signed the request. Every refusal is the same work, and counts the same, whether the client is known or not. A signature that was made for a token
 * which is not known is right for nobody, so it says nothing about a secret and does not count.
 */
async function signerOf<S extends UsableStage>(
  configuration: OAuth1Configuration,
  { address }: ReceivedRequest,
  { proof, baseString, demand, context }: ReadRequest<S>,
): Promise<Omit<AuthenticatedRequest<S>, 'parameters'>> {
  let isGuess = false
  let isGuessable = true
  const tried = { kind: 'client', name: proof.client_id, address, isGuessable: () => isGuessable } as const
  async function verify(): Promise<Omit<AuthenticatedRequest<S>, 'parameters'>> {
    const client = await configuration.findClient(proof.client_id, context)
    const found = await findCredentials(configuration, proof.token)
    const keys = verificationKeys(configuration, proof, client, found)
    const isSigned = isRightSignature(proof.method, proof.signature, baseString, keys)
    const { credentials } = found
    isGuess = !isSigned && (proof.token === undefined || credentials !== undefined)
    const fault = faultOf({ proof, client, credentials, demand, now: configuration.clock(), settings: configuration, isSigned })
    if (fault !== undefined || client === undefined) {
      rememberRefused(configuration, proof.client_id, client !== undefined)
      throw unauthorized(configuration, fault ?? 'unknown client', client)
    }
    isGuessable = client.publicKey === undefined && (client.secret?.reveal().length ?? 0) < unguessableSize
    return { client, credentials: credentials as AuthenticatedRequest<S>['credentials'] }
  }
  const isFailure = () => isGuess
  return namingClient(configuration, proof.client_id, () => withinFailureLimit(configuration.failures, tried, isFailure, verify))
}

// Characters that hold at least 128 random bits
const unguessableSize = 22
const maxNonceSize = 500
// RFC 5849 §3.3: a positive integer; so many digits reach beyond any clock
const timestampText = /^[1-9][0-9]{0,14}$/

function readProof(
  configuration: OAuth1Configuration,
  request: ReceivedRequest,
  { protocol }: RequestParameters,
  { required = [], stage, tokenOptional = false }: Demand<UsableStage>,
): Proof {
  const { oauth_consumer_key = '', oauth_signature_method, oauth_signature = '', oauth_version = '1.0' } = protocol
  const { oauth_timestamp, oauth_nonce, oauth_token } = protocol
  const needed = ['oauth_consumer_key', 'oauth_signature_method', 'oauth_signature', ...required]
  if (stage !== undefined && !tokenOptional) needed.push('oauth_token')
  const method = configuration.signatureMethods.find((allowed) => allowed === oauth_signature_method)
  // RFC 5849 §3.1: timestamp and nonce may be left out with PLAINTEXT
  if (method === undefined || !isPlaintext(method)) needed.push('oauth_timestamp', 'oauth_nonce')
  for (const name of needed) {
    if ((protocol[name] ?? '') === '') throw new InvalidRequest(`${name} is required`)
  }
  // RFC 5849 §3.1: the version must be 1.0 where it is given
  if (oauth_version !== '1.0') throw new InvalidRequest('oauth_version must be 1.0')
  // RFC 5849 §3.2: an unsupported signature method is a bad request
  if (method === undefined) throw new InvalidRequest('the signature method is not supported')
  // RFC 5849 §3.4.4: PLAINTEXT needs a secure channel, whatever else is allowed
  if (isPlaintext(method) && !isSecure(request)) throw new InvalidRequest('PLAINTEXT requires https')
  if (oauth_timestamp !== undefined && !timestampText.test(oauth_timestamp)) {
    throw new InvalidRequest('oauth_timestamp must be a positive whole number of seconds')
  }
  if (oauth_nonce !== undefined && oauth_nonce.length > maxNonceSize) throw new InvalidRequest('oauth_nonce is too long')
  return {
    client_id: oauth_consumer_key,
    method,
    signature: oauth_signature,
    token: stage === undefined || oauth_token === '' ? undefined : oauth_token,
    timestamp: oauth_timestamp === undefined ? undefined : Number(oauth_timestamp),
    nonce: oauth_nonce,
  }
}

interface FoundCredentials {
  /** Undefined where the request names no token, or none that is known. */
  readonly credentials: Credentials | undefined
  /** The secret to check with: of the credentials, or freshly opened from the stand-in, because a text that is met again is faster. */
  readonly tokenSecret: string | undefined
}

async function findCredentials(configuration: OAuth1Configuration, token: string | undefined): Promise<FoundCredentials> {
  if (token === undefined) return { credentials: undefined, tokenSecret: undefined }
  const { records, standIns, sealer, emit } = configuration
  const named = records.idOf(token)
  const id = isPromise(named) ? await named : named
  const found = await records.findOr(id ?? standIns.id, () => standIns.readCredentials())
  const known = found.stage === 'revoked' ? standIns.credentials : found
  const { tokenHash, sealedSecret } = known
  const isToken = equalInConstantTime(sha256(token), tokenHash)
  const tokenSecret = sealer.open(sealedSecret, 'oauth1 token secret', known.id)
  if (tokenSecret === undefined) {
    const reason = sealer.knowsKeyOf(sealedSecret) ? 'the secret of a token does not open' : 'a token was sealed with a key that is gone'
    emit({ type: 'warning', authorization_id: known.id, reason }, true)
  }
  return { credentials: isToken && tokenSecret !== undefined ? known : undefined, tokenSecret }
}

function verificationKeys(
  { standIns }: OAuth1Configuration,
  { token }: Proof,
  client: RegisteredClient | undefined,
  { tokenSecret }: FoundCredentials,
): VerificationKeys {
  return {
    clientSecret: client?.secret?.reveal() ?? standIns.clientSecret,
    tokenSecret: tokenSecret ?? (token === undefined ? '' : standIns.clientSecret),
    publicKey: client?.publicKey ?? standIns.publicKey,
  }
}

interface Findings {
  readonly proof: Proof
  readonly client: RegisteredClient | undefined
  readonly credentials: Credentials | undefined
  readonly demand: Demand<UsableStage>
  readonly now: number
  readonly settings: OAuth1Configuration
  readonly isSigned: boolean
}

/** Why the request is refused, for the event; undefined when it is not. Nothing here takes time. */
function faultOf({ proof, client, credentials, demand, now, settings, isSigned }: Findings): string | undefined {
  if (client === undefined) return 'unknown client'
  if (client.disabled) return 'the client is disabled'
  // A stand-in is never the client's own: a client without the secret or key that the method needs has not signed.
  if ((isRsa(proof.method) ? client.publicKey : client.secret) === undefined) return 'the client has no secret or key for this method'
  if (proof.token !== undefined) {
    if (credentials === undefined) return 'unknown token'
    // RFC 5849 §3.2: a token is good in one stage, for the client it was issued to
    if (credentials.stage !== demand.stage) return 'the token is in another stage: not authorized yet, or exchanged already'
    if (credentials.client_id !== client.client_id) return 'the token was issued to another client'
    if (now >= credentials.endsAt) return 'the token has expired'
    if (isTooOld(credentials, settings)) return madeBeforeNotBefore
  }
  return isSigned ? undefined : 'wrong signature'
}

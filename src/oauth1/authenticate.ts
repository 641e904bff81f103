/**
 * Who sent a request: the checks that every OAuth 1 request has to pass (RFC 5849 §3.2), in this order.
 *
 * 1. The transport and the shape of the request: what is malformed is answered 400.
 * 2. Client and token are looked up; where one is not known, a stand-in takes its place.
 * 3. The signature is checked, with the secrets of whichever it is.
 * 4. The verdict: everything known, live, fitting, fresh and rightly signed, or a 401 that does not say what was wrong.
 * 5. Only then the nonce is claimed, so that nobody without the secrets can fill the store or spoil a nonce.
 */
import { InvalidRequest } from '../errors.js'
import { headerValue, isSecure, type ProtocolRequest, type ReceivedRequest } from '../protocol.js'
import { equalInConstantTime, sha256 } from '../secrets.js'
import type { RegisteredClient } from './clients.js'
import { credentialsIdOf, type Credentials } from './credentials.js'
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

/** Claims a one-time value; true for one caller. */
export type Claim = (value: string, expiresAt: number) => Promise<boolean>

/**
 * Checks the transport: TLS, method, no fragment.
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
 * @throws InvalidRequest for a malformed request; OAuthError with status 401 for everything else.
 */
export async function authenticate<S extends UsableStage>(
  configuration: OAuth1Configuration,
  request: ReceivedRequest,
  demand: Demand<S>,
  claim: Claim = (value, expiresAt) => configuration.records.claimNonce(value, expiresAt),
): Promise<AuthenticatedRequest<S>> {
  const parameters = readParameters(request)
  const proof = readProof(configuration, request, parameters, demand)
  const uri = baseStringUri({
    url: request.url,
    host: headerValue(request.headers, 'host') ?? headerValue(request.headers, ':authority'),
    secure: isSecure(request),
    origin: configuration.origin,
  })
  const baseString = signatureBaseString(request.method, uri, parameters.signed)

  const client = await configuration.findClient(proof.client_id)
  const found = await findCredentials(configuration, proof.token)
  const keys = verificationKeys(configuration, proof, client, found)
  const isSigned = isRightSignature(proof.method, proof.signature, baseString, keys)

  const now = configuration.clock()
  const fault = faultOf(configuration, { proof, client, credentials: found.credentials, demand, now, isSigned })
  if (fault !== undefined || client === undefined) throw unauthorized(configuration, fault ?? 'unknown client')
  // RFC 5849 §3.3: a nonce is unique per client, token and timestamp
  if (proof.timestamp !== undefined && proof.nonce !== undefined) {
    const value = JSON.stringify([client.client_id, proof.token ?? null, proof.timestamp, proof.nonce])
    if (!(await claim(value, proof.timestamp + configuration.timestampWindow + 1))) throw unauthorized(configuration, 'used nonce')
  }
  return { client, credentials: found.credentials as AuthenticatedRequest<S>['credentials'], parameters }
}

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
  const found = await records.findOr(credentialsIdOf(token) ?? standIns.id, () => standIns.readCredentials())
  const known = found.stage === 'revoked' ? standIns.credentials : found
  const { tokenHash, sealedSecret } = known
  const isToken = equalInConstantTime(sha256(token), tokenHash)
  const tokenSecret = sealer.open(sealedSecret, 'oauth1 token secret', known.id)
  if (tokenSecret === undefined) {
    const reason = sealer.knowsKeyOf(sealedSecret) ? 'the secret of a token does not open' : 'a token was sealed with a key that is gone'
    emit({ type: 'warning', authorization_id: known.id, reason })
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
  readonly isSigned: boolean
}

/** Why the request is refused, for the event; undefined when it is not. Nothing here takes time. */
function faultOf({ timestampWindow }: OAuth1Configuration, findings: Findings): string | undefined {
  const { proof, client, credentials, demand, now, isSigned } = findings
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
  }
  if (!isSigned) return 'wrong signature'
  // RFC 5849 §3.3: a stale timestamp is refused, so that no nonce has to be kept for ever
  if (proof.timestamp !== undefined && Math.abs(now - proof.timestamp) > timestampWindow) return 'stale timestamp: is a clock wrong?'
  return undefined
}

/**
 * Between the two endpoints (RFC 5849 §2.2): the application shows its user who asks, and says here that the user agreed.
 * Also how it takes a token back.
 */
import { InvalidRequest, TemporarilyUnavailable } from '../errors.js'
import { sha256 } from '../secrets.js'
import { assertSubject } from '../option-checks/subject.js'
import { outOfBand, withQuery } from './callback.js'
import { isTooOld, revoked, withConsent, type Credentials, type TemporaryCredentials } from './credentials.js'
import { configureOAuth1, type OAuth1Configuration, type OAuth1Options } from './options.js'
import { newVerifier } from './verifier.js'

/** What a consent page needs to know. */
export interface PendingAuthorization {
  readonly client_id: string
  /** Where the user will be sent, or `oob`. */
  readonly callback: string
  /** What the token will be good for; empty where the server has no realms. */
  readonly realms: readonly string[]
}

/** What a user agreed to. */
export interface Consent {
  /** The `oauth_token` with which the user came. */
  readonly oauth_token: string
  /** Who the user is. */
  readonly subject: string
  /** Fewer realms than were asked for. Default: all of them. */
  readonly realms?: readonly string[]
}

/** What the client is to be told. */
export interface AuthorizedTemporaryCredentials {
  /** To be shown to the user where the callback is `oob`. */
  readonly oauth_verifier: string
  /** Where to redirect the user, with `oauth_token` and `oauth_verifier`; undefined for `oob`. */
  readonly redirect: string | undefined
}

const attempts = 20

/**
 * Who asks and for what, for the page on which a user decides. Undefined when there is nothing to decide: the token is unknown or has
 * expired, or somebody has decided already.
 *
 * @throws TemporarilyUnavailable when the store fails.
 */
export async function findTemporaryCredentials(options: OAuth1Options, oauth_token: string): Promise<PendingAuthorization | undefined> {
  const credentials = await findPending(configureOAuth1(options, 'findTemporaryCredentials'), oauth_token)
  if (credentials === undefined) return undefined
  const { client_id, callback, realms } = credentials
  return { client_id, callback, realms }
}

/**
 * The user has agreed. Call it on a POST of your own page, after login and with protection against cross-site requests: whoever can call
 * it gives access away. Works once for each `oauth_token`; of two calls at once one fails.
 *
 * @throws InvalidRequest when there is nothing to decide any more; TypeError for a subject or realms that make no sense.
 * @see RFC 5849 §2.2
 */
export async function authorizeTemporaryCredentials(options: OAuth1Options, consent: Consent): Promise<AuthorizedTemporaryCredentials> {
  const configuration = configureOAuth1(options, 'authorizeTemporaryCredentials')
  const { oauth_token, subject, realms } = consent
  assertSubject(subject, '')
  const pending = await findPending(configuration, oauth_token)
  if (pending === undefined) throw nothingToDecide()
  const granted = realms ?? pending.realms
  if (!granted.every((realm) => pending.realms.includes(realm))) throw new TypeError('realms must be among those that were asked for')
  const { callback, id } = pending
  const { oauth_verifier, verifierHash } = newVerifier(oauth_token, callback === outOfBand ? configuration.oobVerifierDigits : undefined)
  if (!(await configuration.records.replace(withConsent(pending, { subject, realms: granted, verifierHash })))) throw nothingToDecide()
  // They are those of a user now, and a stranger's no more.
  configuration.temporaryRoom.leave(id)
  return { oauth_verifier, redirect: callback === outOfBand ? undefined : withQuery(callback, { oauth_token, oauth_verifier }) }
}

function nothingToDecide(): InvalidRequest {
  return new InvalidRequest('the temporary credentials are unknown, expired, or were decided on already')
}

/**
 * Takes token credentials back, or temporary ones that were refused. True when it is written, false when there was nothing to take back.
 *
 * @throws TemporarilyUnavailable when the store fails: then it is not certain.
 */
export async function revokeTokenCredentials(options: OAuth1Options, oauth_token: string): Promise<boolean> {
  const configuration = configureOAuth1(options, 'revokeTokenCredentials')
  for (let attempt = 0; attempt < attempts; attempt++) {
    const credentials = await find(configuration, oauth_token)
    if (credentials === undefined) return false
    if (!(await configuration.records.replace(revoked(credentials)))) continue
    const { client_id, id } = credentials
    configuration.emit({ type: 'token.revoked', client_id, authorization_id: id })
    return true
  }
  throw new TemporarilyUnavailable(undefined, { reason: 'lost the race for these credentials too often' })
}

async function findPending(configuration: OAuth1Configuration, oauth_token: string): Promise<TemporaryCredentials | undefined> {
  const credentials = await find(configuration, oauth_token)
  return credentials?.stage === 'temporary' && configuration.clock() < credentials.endsAt && !isTooOld(credentials, configuration)
    ? credentials
    : undefined
}

/** Credentials by their whole text: the id alone, which a database shows, finds nothing. */
async function find(
  { records }: OAuth1Configuration,
  oauth_token: unknown,
): Promise<Exclude<Credentials, { stage: 'revoked' }> | undefined> {
  const id = typeof oauth_token === 'string' ? await records.idOf(oauth_token) : undefined
  const credentials = id === undefined ? undefined : await records.find(id)
  if (credentials === undefined || credentials.stage === 'revoked') return undefined
  return credentials.tokenHash === sha256(String(oauth_token)) ? credentials : undefined
}

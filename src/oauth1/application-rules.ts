/**
 * What functions of the application say about credentials before they are written: the realms, the members of the answer, the text of the token.
 *
 * They may narrow or refuse, never widen. `inTime` bounds all that one request asks of them. What they throw is an exported error, which is the answer,
 * or a failure of the server.
 */
import type { Awaitable } from '../awaitable.js'
import { AccessDenied, OAuthError, ServerError } from '../errors.js'
import { lateCallback, withinTime } from '../time-limit.js'
import { credentialsIdOf, newTokenText } from './credentials.js'
import type { IssuedTokenCredentials, OAuth1Configuration, OAuth1TokenRequest } from './options.js'
import { unauthorized } from './responses.js'

/** What `work` answers, or 503 when functions of the application take too long. */
export function inTime<T>({ callbackTimeout }: OAuth1Configuration, work: () => Awaitable<T>): Awaitable<T> {
  return withinTime(callbackTimeout, work, lateCallback)
}

/**
 * The realms that the option `authorize` leaves.
 *
 * @throws OAuthError when it refuses, AccessDenied when it leaves nothing, ServerError when it answers nonsense.
 */
export async function approvedRealms(configuration: OAuth1Configuration, token: IssuedTokenCredentials): Promise<readonly string[]> {
  const { authorize } = configuration
  const { realms } = token
  if (authorize === undefined) return realms
  const answer: unknown = await refusable(configuration, () => authorize(token))
  if (answer === undefined) return realms
  const isNarrower = Array.isArray(answer) && answer.every((realm: unknown) => typeof realm === 'string' && realms.includes(realm))
  if (!isNarrower) {
    throw new ServerError(undefined, { reason: 'the option authorize must return a part of the realms that it was given' })
  }
  // A token without realms is good wherever no realm is asked for, which is more than one with few of them.
  if (answer.length === 0 && realms.length > 0)
    throw new AccessDenied(undefined, { reason: 'the option authorize left none of the realms' })
  return realms.filter((realm) => answer.includes(realm))
}

/** An error for OAuth 2 that is a 401 has the challenge of OAuth 2: here it is the 401 of OAuth 1. */
async function refusable<T>(configuration: OAuth1Configuration, work: () => Awaitable<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    if (thrown instanceof OAuthError && thrown.status === 401) throw unauthorized(configuration, thrown.reason ?? thrown.description)
    throw thrown
  }
}

const protocolMembers = ['oauth_token', 'oauth_token_secret', 'oauth_authorized_realms', 'oauth_callback_confirmed']

/**
 * The members that the option `responseParameters` adds.
 *
 * @throws ServerError when it answers nonsense.
 */
export async function extraMembers(configuration: OAuth1Configuration, token: IssuedTokenCredentials): Promise<Record<string, string>> {
  const { responseParameters } = configuration
  if (responseParameters === undefined) return {}
  const answer: unknown = await refusable(configuration, () => responseParameters(token))
  if (typeof answer !== 'object' || answer === null) throw wrongAnswer('something that is no object; return an object')
  const entries = Object.entries(answer).map(([name, value]: [string, unknown]) => {
    if (protocolMembers.includes(name)) throw wrongAnswer('a member of the protocol')
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return [name, String(value)]
    throw wrongAnswer('a member that is neither text, number nor boolean')
  })
  return Object.fromEntries(entries) as Record<string, string>
}

function wrongAnswer(what: string): ServerError {
  return new ServerError(undefined, { reason: `the option responseParameters answered ${what}` })
}

const maxTokenSize = 1000
// The alphabet of OAuth 2 tokens too. RFC 6750 §2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
const tokenAlphabet = /^[A-Za-z0-9\-._~+/]+=*$/

/**
 * The text of a new `oauth_token`: of the option `tokens`, or random with the id inside.
 *
 * @throws ServerError when the option answers something that is no such text.
 */
export function tokenText({ tokens }: OAuth1Configuration, id: string, token: OAuth1TokenRequest): Awaitable<string> {
  return tokens === undefined ? newTokenText(id) : writtenText(tokens, token)
}

async function writtenText(tokens: NonNullable<OAuth1Configuration['tokens']>, token: OAuth1TokenRequest): Promise<string> {
  const text: unknown = await tokens(token)
  if (typeof text !== 'string' || !tokenAlphabet.test(text) || text.length > maxTokenSize) {
    throw new ServerError(undefined, {
      reason: `the option tokens must return a text of at most ${maxTokenSize} letters, digits and -._~+/`,
    })
  }
  if (credentialsIdOf(text) === undefined) return text
  throw new ServerError(undefined, {
    reason: 'the option tokens answered a text of the form <22 characters>.<22 characters>, which the server keeps',
  })
}

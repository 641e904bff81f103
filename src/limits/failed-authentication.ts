/**
 * The limit on guessing: after so many failures a minute for one client (or user name) from one address, the answer is 429 before anything is compared.
 *
 * 1. No more tries of one name from one address are in work than are left to fail. The others wait.
 * 2. A success forgives earlier failures of that name from that address, and nothing else.
 * 3. One address has ten times as many failures over all names, which no success forgives: one person may have many names.
 *
 * Without an address (a Unix socket whose proxy names none) all clients are one place, which strangers share with the right client. There, a right secret of
 * at least 128 bits passes whatever was tried before, because no number of tries guesses it. What can be guessed keeps the limit of its name. There is no
 * limit over all names, because made-up ones would use it up for everybody.
 *
 * Nobody is locked by an id alone: another address goes on. Memory is bounded, and the counter of one process; a hook replaces it where several processes
 * have to share one.
 */
import { isPromise, type Awaitable } from '../awaitable.js'
import { addLatest } from '../bounded-map.js'
import { ConfigurationError, OAuthError, ServerError } from '../errors.js'
import { FailureCounts } from './failure-counts.js'
import { isKnownAddress, networkOf } from '../http/network-address.js'
import { OptionReader, type Unchecked } from '../option-checks/reader.js'
import { sha256 } from '../secrets.js'
import { TriesInWork } from './tries-in-work.js'
import { lateCallback, withinTime } from '../time-limit.js'

/** Counts failures. `key` holds no credential and is at most 64 characters long. */
export interface FailureCounter {
  /** Seconds until the next try is allowed; 0 when it is allowed now. */
  readonly retryAfter: (key: string) => number | Promise<number>
  /** Notes one failure. */
  readonly failed: (key: string) => void | Promise<void>
  /** Told of each success: forgets the failures of that key. A counter without it goes on counting. */
  readonly succeeded?: (key: string) => void | Promise<void>
}

/** What may be tried only so often. */
export interface LimitedTry {
  readonly kind: 'client' | 'username'
  /** The name that is tried; undefined where there is none, and no limit. */
  readonly name: string | undefined
  /** The address that tries; undefined where it is not known, and no limit: a name alone is never locked. */
  readonly address: string | undefined
  /** Whether what has just proved right could have been guessed. Without it, it could. Asked only where the sender has no address. */
  readonly isGuessable?: () => boolean
}

/** Of a counter of the application it is not known how many failures it allows. */
const mostAtOnce = 20

const inWork = new WeakMap<FailureCounter, TriesInWork>()

/**
 * Does the work unless it has failed too often; what it throws counts when `isFailure` says so. Of many tries at the same time no more are told their
 * outcome than of as many in a row.
 *
 * @throws OAuthError 429 with `Retry-After` when it has failed too often.
 */
export function withinFailureLimit<T>(
  counter: FailureCounter | undefined,
  { kind, name, address, isGuessable }: LimitedTry,
  isFailure: (thrown: unknown) => boolean,
  work: () => Awaitable<T>,
): Awaitable<T> {
  if (counter === undefined || name === undefined || address === undefined) return work()
  const network = networkOf(address)
  const key = failureKey(kind, name, network)
  if (!isKnownAddress(address) && isGuessable !== undefined) return tryFromNowhere(counter, { kind, key, isGuessable }, isFailure, work)
  const tries = inWork.get(counter) ?? new TriesInWork()
  inWork.set(counter, tries)
  if (!(counter instanceof BuiltInCounter)) {
    return tries.take(key, () => mostAtOnce, () => tryWithHook(counter, { kind, key }, isFailure, work)) // prettier-ignore
  }
  const limit = { kind, key, network: isKnownAddress(address) ? `${kind} ${network}` : undefined }
  return tries.take(key, () => counter.left(key), () => tryOnce(counter, limit, isFailure, work)) // prettier-ignore
}

interface Limit {
  readonly kind: LimitedTry['kind']
  readonly key: string
  /** Undefined where the sender has no address. */
  readonly network: string | undefined
}

/** The built-in counter is asked and told without a pause, so that no other try comes in between. */
function tryOnce<T>(
  counter: BuiltInCounter,
  limit: Limit,
  isFailure: (thrown: unknown) => boolean,
  work: () => Awaitable<T>,
): Awaitable<T> {
  counter.assertAllowed(limit)
  const succeeded = (value: T): T => {
    counter.succeeded(limit.key)
    return value
  }
  const failed = (thrown: unknown): never => {
    if (isFailure(thrown)) counter.failedFrom(limit)
    throw thrown
  }
  let outcome: Awaitable<T>
  try {
    outcome = work()
  } catch (thrown) {
    return failed(thrown)
  }
  if (!isPromise(outcome)) return succeeded(outcome)
  return outcome.then(
    (value) => {
      // Tries with many names at the same time: how many of them were told their outcome is known only now.
      counter.assertNetworkAllowed(limit)
      return succeeded(value)
    },
    (thrown: unknown) => {
      if (isFailure(thrown)) counter.assertNetworkAllowed(limit)
      return failed(thrown)
    },
  )
}

interface TryFromNowhere extends Pick<Limit, 'kind' | 'key'> {
  readonly isGuessable: () => boolean
}

/** The outcome is judged when it is known: a right secret that nobody can guess is no try too many. Between looking and counting the built-in counter has no pause. */
async function tryFromNowhere<T>(
  counter: FailureCounter,
  { kind, key, isGuessable }: TryFromNowhere,
  isFailure: (thrown: unknown) => boolean,
  work: () => Awaitable<T>,
): Promise<T> {
  const assertLeft = (answered: number) => {
    assertAllowed(`this ${kind}`, answered)
  }
  let value: T
  try {
    value = await work()
  } catch (thrown) {
    if (!isFailure(thrown)) throw thrown
    const answered = counter.retryAfter(key)
    assertLeft(typeof answered === 'number' ? answered : await answered)
    await counter.failed(key)
    throw thrown
  }
  if (isGuessable()) assertLeft(await counter.retryAfter(key))
  return value
}

/** A counter of the application is asked again when the work is done: other processes may have counted meanwhile. */
async function tryWithHook<T>(
  counter: FailureCounter,
  { kind, key }: Pick<Limit, 'kind' | 'key'>,
  isFailure: (thrown: unknown) => boolean,
  work: () => Awaitable<T>,
): Promise<T> {
  assertAllowed(`this ${kind}`, await counter.retryAfter(key))
  let value: T
  try {
    value = await work()
  } catch (thrown) {
    if (!isFailure(thrown)) throw thrown
    assertAllowed(`this ${kind}`, await counter.retryAfter(key))
    await counter.failed(key)
    throw thrown
  }
  assertAllowed(`this ${kind}`, await counter.retryAfter(key))
  await counter.succeeded?.(key)
  return value
}

/**
 * Notes one more of something that is limited whether it succeeds or not.
 *
 * @throws OAuthError 429 with `Retry-After` when there were too many.
 */
export async function countAgainstLimit(counter: FailureCounter, { kind, name = '', address }: LimitedTry): Promise<void> {
  if (address === undefined) return
  const key = failureKey(kind, name, networkOf(address))
  const answered = counter.retryAfter(key)
  // Nothing may come between looking and counting where it need not: a flood arrives all at once.
  const retryAfter = typeof answered === 'number' ? answered : await answered
  if (retryAfter > 0)
    throw new OAuthError('temporarily_unavailable', 'too many requests', { status: 429, retryAfter, reason: `too many of ${name}` })
  await counter.failed(key)
}

function assertAllowed(what: string, retryAfter: number): void {
  if (retryAfter <= 0) return
  const details = { status: 429, retryAfter, reason: `too many failures for ${what} from this address` }
  throw new OAuthError('temporarily_unavailable', 'too many failed attempts', details)
}

/** A counter of the application: bounded in time, asked for whole seconds, and never told a name or an address. */
export function applicationCounter(counter: FailureCounter, timeout: number): FailureCounter {
  const { succeeded } = counter
  return {
    async retryAfter(key) {
      const seconds: unknown = await withinTime(timeout, async () => counter.retryAfter(sha256(key)), lateCallback)
      if (typeof seconds === 'number' && Number.isFinite(seconds)) return Math.ceil(seconds)
      throw new ServerError(undefined, {
        reason: 'retryAfter of the option failedAuthenticationLimit must return seconds',
      })
    },
    failed: (key) => withinTime(timeout, async () => counter.failed(sha256(key)), lateCallback),
    ...(typeof succeeded === 'function'
      ? { succeeded: (key: string) => withinTime(timeout, async () => succeeded.call(counter, sha256(key)), lateCallback) }
      : {}),
  }
}

/** How many more failures one address may have over all names than for one: enough for an office behind one address. */
const namesOfOneAddress = 10

/** The built-in counter: a fixed window of a minute for each name from each address, and one for each address. */
class BuiltInCounter implements FailureCounter {
  readonly #names: FailureCounts
  readonly #networks: FailureCounts

  constructor(perMinute: number, clock: () => number) {
    this.#names = new FailureCounts(perMinute, clock)
    this.#networks = new FailureCounts(perMinute * namesOfOneAddress, clock)
  }

  retryAfter(key: string): number {
    return this.#names.retryAfter(key)
  }

  failed(key: string): void {
    this.#names.add(key)
  }

  succeeded(key: string): void {
    this.#names.forget(key)
  }

  left(key: string): number {
    return this.#names.left(key)
  }

  /** @throws OAuthError 429 */
  assertAllowed(limit: Limit): void {
    assertAllowed(`this ${limit.kind}`, this.#names.retryAfter(limit.key))
    this.assertNetworkAllowed(limit)
  }

  /** @throws OAuthError 429 */
  assertNetworkAllowed({ kind, network }: Limit): void {
    if (network !== undefined) assertAllowed(`all names of a ${kind}`, this.#networks.retryAfter(network))
  }

  failedFrom({ key, network }: Limit): void {
    this.#names.add(key)
    if (network !== undefined) this.#networks.add(network)
  }
}

/** The built-in counter. */
export function createFailureCounter(perMinute: number, clock: () => number): FailureCounter {
  return new BuiltInCounter(perMinute, clock)
}

const maxKeySize = 64

/** The key under which failures of one name from one network are counted. */
function failureKey(kind: LimitedTry['kind'], name: string, network: string): string {
  // People are often found whatever the case of their name.
  const counted = kind === 'username' ? name.normalize('NFKC').trim().toLowerCase() : name
  const key = JSON.stringify([kind, counted, network])
  return key.length <= maxKeySize ? key : sha256(key)
}

/** @throws ConfigurationError */
export function readFailureLimit(members: Unchecked, clock: () => number, timeout: number): FailureCounter | undefined {
  const { failedAuthenticationLimit: limit = 20 } = members
  if (limit === false) return undefined
  if (typeof limit === 'number') {
    const perMinute = new OptionReader(members, '').whole('failedAuthenticationLimit', 20, 1, 1_000_000)
    return createFailureCounter(perMinute, clock)
  }
  const { retryAfter, failed } = typeof limit === 'object' && limit !== null ? (limit as Unchecked) : {}
  if (typeof retryAfter === 'function' && typeof failed === 'function') return applicationCounter(limit as FailureCounter, timeout)
  throw new ConfigurationError(
    'failedAuthenticationLimit must be failures a minute, false, or a counter with retryAfter(key) and failed(key)',
  )
}

/**
 * Names the client in the event of a refusal 429. The registry is not asked where there were too many failures; what it said when the client was refused
 * before is remembered, by the server that remembers it. A client that nobody has registered costs as much: see {@link rememberRefused}.
 */
export function namingClient<T>(server: object, client_id: string, work: () => Awaitable<T>): Awaitable<T> {
  function name(thrown: unknown): never {
    if (!(thrown instanceof OAuthError) || thrown.status !== 429) throw thrown
    if (refusedClients.get(server)?.found.has(client_id) !== true) throw thrown
    const { error, description, status, reason = description, retryAfter = 1 } = thrown
    throw new OAuthError(error, description, { status, reason, retryAfter, facts: { client_id } })
  }
  try {
    const answer = work()
    return isPromise(answer) ? answer.catch(name) : answer
  } catch (thrown) {
    return name(thrown)
  }
}

/** The ids that were refused last: of clients that were found, and, for the time that it takes, of those that were not. */
interface RefusedClients {
  readonly found: Set<string>
  readonly unknown: Set<string>
}

const refusedClients = new WeakMap<object, RefusedClients>()
const mostRemembered = 1000

/** Remembers a client that was refused; the last thousand of a server. An unknown one takes the same steps, so that no time tells which it was. */
export function rememberRefused(server: object, client_id: string, isFound: boolean): void {
  const refused = refusedClients.get(server) ?? { found: new Set<string>(), unknown: new Set<string>() }
  refusedClients.set(server, refused)
  addLatest(isFound ? refused.found : refused.unknown, client_id, mostRemembered)
}

/**
 * The limit on guessing: after so many failures a minute for one client (or user name) from one address, the answer is 429 before anything is compared.
 *
 * Successes never count, and nobody is locked by an id alone: another address goes on. Memory is bounded, and the counter of one process; a hook
 * replaces it where several processes have to share one.
 */
import { isPromise, whenThere, type Awaitable } from './awaitable.js'
import { OAuthError, ServerError } from './errors.js'
import { networkOf } from './network-address.js'
import { sha256 } from './secrets.js'
import { lateCallback, withinTime } from './within-time.js'

/** Counts failures. `key` holds no credential and is at most 64 characters long. */
export interface FailureCounter {
  /** Seconds until the next try is allowed; 0 when it is allowed now. */
  readonly retryAfter: (key: string) => number | Promise<number>
  /** Notes one failure. */
  readonly failed: (key: string) => void | Promise<void>
}

/** What may be tried only so often. */
export interface LimitedTry {
  readonly kind: 'client' | 'username'
  /** The name that is tried; undefined where there is none, and no limit. */
  readonly name: string | undefined
  /** The address that tries; undefined where it is not known, and no limit: a name alone is never locked. */
  readonly address: string | undefined
}

/**
 * Does the work unless it has failed too often; what it throws counts when `isFailure` says so. The limit is looked at again when the work is done:
 * of many tries at the same time no more are told their outcome than of as many in a row.
 *
 * @throws OAuthError 429 with `Retry-After` when it has failed too often.
 */
export function withinFailureLimit<T>(
  counter: FailureCounter | undefined,
  { kind, name, address }: LimitedTry,
  isFailure: (thrown: unknown) => boolean,
  work: () => Awaitable<T>,
): Awaitable<T> {
  if (counter === undefined || name === undefined || address === undefined) return work()
  const key = failureKey(kind, name, address)
  const whenAllowed = <R>(seconds: Awaitable<number>, next: () => Awaitable<R>): Awaitable<R> =>
    whenThere(seconds, (retryAfter) => {
      assertAllowed(kind, retryAfter)
      return next()
    })
  const failed = (thrown: unknown): Awaitable<never> => {
    if (!isFailure(thrown)) throw thrown
    return whenAllowed(counter.retryAfter(key), () =>
      whenThere(counter.failed(key), () => {
        throw thrown
      }),
    )
  }
  const asked = counter.retryAfter(key)
  return whenAllowed(asked, () => {
    let outcome: Awaitable<T>
    try {
      outcome = work()
    } catch (thrown) {
      return failed(thrown)
    }
    // The built-in counter is asked and told without a pause, so that no other try comes in between.
    if (!isPromise(asked) && !isPromise(outcome)) return outcome
    return Promise.resolve(outcome).then((value) => whenAllowed(counter.retryAfter(key), () => value), failed)
  })
}

/**
 * Notes one more of something that is limited whether it succeeds or not.
 *
 * @throws OAuthError 429 with `Retry-After` when there were too many.
 */
export async function countAgainstLimit(counter: FailureCounter, { kind, name = '', address }: LimitedTry): Promise<void> {
  if (address === undefined) return
  const key = failureKey(kind, name, address)
  const answered = counter.retryAfter(key)
  // Nothing may come between looking and counting where it need not: a flood arrives all at once.
  const retryAfter = typeof answered === 'number' ? answered : await answered
  if (retryAfter > 0)
    throw new OAuthError('temporarily_unavailable', 'too many requests', { status: 429, retryAfter, reason: `too many of ${name}` })
  await counter.failed(key)
}

function assertAllowed(kind: LimitedTry['kind'], retryAfter: number): void {
  if (retryAfter <= 0) return
  const details = { status: 429, retryAfter, reason: `too many failures for this ${kind} from this address` }
  throw new OAuthError('temporarily_unavailable', 'too many failed attempts', details)
}

/** A counter of the application: bounded in time, asked for whole seconds, and never told a name or an address. */
export function applicationCounter(counter: FailureCounter, timeout: number): FailureCounter {
  return {
    async retryAfter(key) {
      const seconds: unknown = await withinTime(timeout, async () => counter.retryAfter(sha256(key)), lateCallback)
      if (typeof seconds === 'number' && Number.isFinite(seconds)) return Math.ceil(seconds)
      throw new ServerError(undefined, {
        reason: 'retryAfter of the option failedAuthenticationLimit answered something else than seconds',
      })
    },
    failed: (key) => withinTime(timeout, async () => counter.failed(sha256(key)), lateCallback),
  }
}

const window = 60
const maxKeys = 10_000

interface Count {
  failures: number
  readonly since: number
}

/** The built-in counter: a fixed window of a minute for each key, at most 10,000 keys, the oldest forgotten first. */
export function createFailureCounter(perMinute: number, clock: () => number): FailureCounter {
  const counts = new Map<string, Count>()
  const current = (key: string): Count | undefined => {
    const count = counts.get(key)
    return count !== undefined && clock() < count.since + window ? count : undefined
  }
  return {
    retryAfter(key) {
      const count = current(key)
      return count === undefined || count.failures < perMinute ? 0 : Math.max(1, count.since + window - clock())
    },
    failed(key) {
      const count = current(key)
      if (count !== undefined) {
        count.failures++
        return
      }
      counts.delete(key)
      const [oldest] = counts.keys()
      if (counts.size >= maxKeys && oldest !== undefined) counts.delete(oldest)
      counts.set(key, { failures: 1, since: clock() })
    },
  }
}

const maxKeySize = 64

/** The key under which failures of one name from one address are counted. IPv6 addresses count by their /64. */
function failureKey(kind: LimitedTry['kind'], name: string, address: string): string {
  // People are often found whatever the case of their name.
  const counted = kind === 'username' ? name.normalize('NFKC').trim().toLowerCase() : name
  const key = JSON.stringify([kind, counted, networkOf(address)])
  return key.length <= maxKeySize ? key : sha256(key)
}

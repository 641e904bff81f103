/** One call of a store, bounded in time, and in number with the others that are under way. */
import { isPromise, type Awaitable } from '../awaitable.js'
import { TemporarilyUnavailable } from '../errors.js'
import { noteLastRemedy } from '../known-causes.js'
import { areCallsHeard, measured, StoreTimeout, type StoreCall, type StoreVerb } from '../events/store-calls.js'
import type { StoreLine } from './line.js'
import type { Store } from './store.js'

/** A store, the milliseconds that one call of it may take, and the line of its calls; without a line nothing bounds their number. */
export interface BoundedStore {
  readonly store: Store
  readonly timeout: number
  readonly line?: StoreLine
}

/** A call without an answer keeps its place for this many time-outs. */
const placeShare = 10

/**
 * What `work`, which calls that verb, answers. Whatever goes wrong is a plight of the server. An urgent call, one that ends an Authorization, waits for a place
 * before the others.
 *
 * @throws TemporarilyUnavailable
 */
export function callStore<T>(bounded: BoundedStore, verb: StoreVerb, work: (store: Store) => Awaitable<T>, isUrgent = false): Awaitable<T> {
  if (!areCallsHeard()) return callInLine(bounded, work, isUrgent)
  return measured(verb, () => callInLine(bounded, work, isUrgent), outcomeOf)
}

function callInLine<T>(bounded: BoundedStore, work: (store: Store) => Awaitable<T>, isUrgent: boolean): Awaitable<T> {
  const { line, timeout } = bounded
  if (line === undefined || line.isFree) return send(bounded, work, timeout)
  return new Promise((resolve, reject) => {
    function start(waited: number): void {
      try {
        resolve(send(bounded, work, timeout - waited))
      } catch (refusal) {
        // What `send` throws is a TemporarilyUnavailable.
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        reject(refusal)
      }
    }
    line.wait(timeout, isUrgent, start, () => {
      reject(new TemporarilyUnavailable(undefined, { reason: 'too many calls of the store under way', retryAfter: soon() }))
    })
  })
}

function send<T>({ store, timeout, line }: BoundedStore, work: (store: Store) => Awaitable<T>, remaining: number): Awaitable<T> {
  const answer = begin(store, work)
  if (!isPromise(answer)) return answer
  line?.enter()
  return new Promise((resolve, reject) => {
    let hasPlace = line !== undefined
    function leave(): void {
      if (!hasPlace) return
      hasPlace = false
      line?.leave()
    }
    let timer = setTimeout(() => {
      timer = setTimeout(leave, (placeShare - 1) * timeout).unref()
      reject(storeFailed(new StoreTimeout(timeout)))
    }, remaining)
    function end(): void {
      clearTimeout(timer)
      leave()
    }
    answer.then(
      (value) => {
        end()
        resolve(value)
      },
      (thrown: unknown) => {
        end()
        reject(storeFailed(thrown))
      },
    )
  })
}

function begin<T>(store: Store, work: (store: Store) => Awaitable<T>): Awaitable<T> {
  try {
    return work(store)
  } catch (cause) {
    throw storeFailed(cause)
  }
}

function storeFailed(cause: unknown): TemporarilyUnavailable {
  noteLastRemedy(cause, 'ask check() of the store')
  return new TemporarilyUnavailable(undefined, { reason: 'the store failed', cause, retryAfter: soon() })
}

function outcomeOf(thrown: unknown): StoreCall['outcome'] {
  const cause = thrown instanceof TemporarilyUnavailable ? thrown.cause : thrown
  // A call that was never sent has no cause.
  return cause === undefined ? 'refused' : cause instanceof StoreTimeout ? 'timeout' : 'failed'
}

/** One to three seconds, by chance: clients that were refused in the same moment are not to come back in the same moment. */
function soon(): number {
  return 1 + Math.floor(Math.random() * 3)
}

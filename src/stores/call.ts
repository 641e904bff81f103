/** One call of a store, bounded in time. */
import { isPromise, type Awaitable } from '../awaitable.js'
import { TemporarilyUnavailable } from '../errors.js'
import { withinTime } from '../within-time.js'
import type { Store } from './store.js'

/** A store, and the milliseconds that one call of it may take. */
export interface BoundedStore {
  readonly store: Store
  readonly timeout: number
}

/**
 * What `work` answers. Whatever goes wrong is a plight of the server.
 *
 * @throws TemporarilyUnavailable
 */
export function callStore<T>({ store, timeout }: BoundedStore, work: (store: Store) => Awaitable<T>): Awaitable<T> {
  try {
    const answer = withinTime(timeout, () => work(store), () => new Error(`the store did not answer within ${timeout} ms`)) // prettier-ignore
    return isPromise(answer) ? answer.catch(storeFailed) : answer
  } catch (cause) {
    return storeFailed(cause)
  }
}

function storeFailed(cause: unknown): never {
  throw new TemporarilyUnavailable(undefined, { reason: 'the store failed', cause })
}

/** One call of a store, bounded in time. */
import { TemporarilyUnavailable } from '../errors.js'
import { withinTime } from '../within-time.js'
import type { Store } from './store.js'

/** A store, and the milliseconds that one call of it may take. */
export interface BoundedStore {
  readonly store: Store
  readonly timeout: number
}

/**
 * What `work` resolves to. Whatever goes wrong is a plight of the server.
 *
 * @throws TemporarilyUnavailable
 */
export async function callStore<T>({ store, timeout }: BoundedStore, work: (store: Store) => Promise<T>): Promise<T> {
  try {
    return await withinTime(timeout, () => work(store), () => new Error(`the store did not answer within ${timeout} ms`)) // prettier-ignore
  } catch (cause) {
    throw new TemporarilyUnavailable(undefined, { reason: 'the store failed', cause })
  }
}

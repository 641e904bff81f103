/** The `node:diagnostics_channel` named `oauth2-token-handler:store`: how long each call of a store took. Nothing is measured where nobody subscribes. */
import { channel } from 'node:diagnostics_channel'
import { isPromise, type Awaitable } from '../awaitable.js'

/** What the channel `oauth2-token-handler:store` publishes of one call. */
export interface StoreCall {
  readonly verb: StoreVerb
  /** Milliseconds from the request's point of view, so with the time that the call waited for a place. */
  readonly ms: number
  /** `failed`: the store threw. `timeout`: it did not answer within `storeTimeout`. `refused`: too many calls were under way, and it was never sent. */
  readonly outcome: 'ok' | 'failed' | 'timeout' | 'refused'
}

/** The verbs of a store. Each page of a list is a call of its own. */
export type StoreVerb = 'get' | 'create' | 'replace' | 'list' | 'scan' | 'check'

const calls = channel('oauth2-token-handler:store')

/** A call that the store did not answer in time. */
export class StoreTimeout extends Error {
  constructor(timeout: number) {
    super(`the store did not answer within ${timeout} ms`)
  }
}

/** Whether somebody subscribes. Asked first where a call is not to cost a function for nobody. */
export function areCallsHeard(): boolean {
  return calls.hasSubscribers
}

/** What `work` answers or throws; the channel is told how long that took. `outcomeOf` judges what it throws. */
export function measured<T>(verb: StoreVerb, work: () => Awaitable<T>, outcomeOf: (thrown: unknown) => StoreCall['outcome']): Awaitable<T> {
  const begun = performance.now()
  function publish(outcome: StoreCall['outcome']): void {
    const call: StoreCall = { verb, ms: performance.now() - begun, outcome }
    calls.publish(call)
  }
  function fail(thrown: unknown): never {
    publish(outcomeOf(thrown))
    throw thrown
  }
  try {
    const answer = work()
    if (isPromise(answer)) {
      return answer.then((value) => {
        publish('ok')
        return value
      }, fail)
    }
    publish('ok')
    return answer
  } catch (thrown) {
    return fail(thrown)
  }
}

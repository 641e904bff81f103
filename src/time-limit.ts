/** A bound on waiting for what is not ours: a store, or a function of the application. */
import { isPromise, type Awaitable } from './awaitable.js'
import { TemporarilyUnavailable } from './errors.js'

/** The refusal when a function of the application takes too long. */
export function lateCallback(): TemporarilyUnavailable {
  return new TemporarilyUnavailable(undefined, { reason: 'a grant, hook or generator of the application did not answer in time' })
}

/**
 * What `work` answers, at once where it does; or a rejection with `late()` when it takes longer than `timeout` milliseconds. The work itself goes on.
 */
export function withinTime<T>(timeout: number, work: () => Awaitable<T>, late: () => Error): Awaitable<T> {
  const answer = work()
  if (!isPromise(answer)) return answer
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(late())
    }, timeout)
    answer.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (thrown: unknown) => {
        clearTimeout(timer)
        // What was thrown goes on as it is.
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        reject(thrown)
      },
    )
  })
}

/** A bound on waiting for what is not ours: a store, or a function of the application. */
import { TemporarilyUnavailable } from './errors.js'

/** The refusal when a function of the application takes too long. */
export function lateCallback(): TemporarilyUnavailable {
  return new TemporarilyUnavailable(undefined, { reason: 'a grant, hook or generator of the application did not answer in time' })
}

/** What `work` resolves to, or a rejection with `late()` when it takes longer than `timeout` milliseconds. The work itself goes on. */
export async function withinTime<T>(timeout: number, work: () => Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  try {
    return await Promise.race([
      work(),
      new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => {
          reject(late())
        }, timeout)
      }),
    ])
  } finally {
    clearTimeout(timer)
  }
}

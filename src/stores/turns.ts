/**
 * Requests for the same Authorization take turns inside one process.
 *
 * This is an economy, not a promise: without it a hundred parallel requests for one record would each lose the
 * compare-and-set many times. What is right stays right between processes, where nobody takes turns.
 */

interface Waiting {
  readonly start: () => void
}

/** The lines of those who wait, by the id they wait for. */
export class Turns {
  readonly #lines = new Map<string, Waiting[]>()

  /**
   * Runs `work` when all earlier work for `id` is done; `urgent` work goes to the front. Rejects with `onTimeout()` when
   * its turn has not come after `timeout` milliseconds.
   */
  async take<T>(id: string, urgent: boolean, timeout: number, onTimeout: () => Error, work: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(id)
    if (line === undefined) this.#lines.set(id, [])
    else await waitIn(line, urgent, timeout, onTimeout)
    try {
      return await work()
    } finally {
      this.#next(id)
    }
  }

  #next(id: string): void {
    const next = this.#lines.get(id)?.shift()
    if (next === undefined) this.#lines.delete(id)
    else next.start()
  }
}

function waitIn(line: Waiting[], urgent: boolean, timeout: number, onTimeout: () => Error): Promise<void> {
  return new Promise((resolve, reject) => {
    const waiting: Waiting = {
      start: () => {
        clearTimeout(timer)
        resolve()
      },
    }
    const timer = setTimeout(() => {
      line.splice(line.indexOf(waiting), 1)
      reject(onTimeout())
    }, timeout)
    if (urgent) line.unshift(waiting)
    else line.push(waiting)
  })
}

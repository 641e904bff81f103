/**
 * Requests for the same Authorization take turns inside one process.
 *
 * This is an economy, not a promise: without it a hundred parallel requests for one record would each lose the compare-and-set many times.
 * What is right stays right between processes, where nobody takes turns. So nobody is refused for waiting either: whoever has waited long enough
 * goes ahead without a turn.
 */
import { isPromise, type Awaitable } from '../awaitable.js'

interface Waiting {
  readonly start: () => void
}

/** Those who wait for one id: the urgent ones first, each group in the order in which it came. */
interface Line {
  readonly urgent: Waiting[]
  readonly others: Waiting[]
}

/** The lines of those who wait, by the id they wait for. */
export class Turns {
  readonly #lines = new Map<string, Line>()

  /** Runs `work` when all earlier work for `id` is done, urgent work before other work; or after `patience` milliseconds all the same. */
  take<T>(id: string, urgent: boolean, patience: number, work: () => Awaitable<T>): Awaitable<T> {
    const line = this.#lines.get(id)
    if (line !== undefined) return this.#takeLater(id, urgent ? line.urgent : line.others, patience, work)
    this.#lines.set(id, { urgent: [], others: [] })
    return this.#inTurn(id, work)
  }

  async #takeLater<T>(id: string, line: Waiting[], patience: number, work: () => Awaitable<T>): Promise<T> {
    return (await hasTurn(line, patience)) ? this.#inTurn(id, work) : work()
  }

  #inTurn<T>(id: string, work: () => Awaitable<T>): Awaitable<T> {
    let answer: Awaitable<T>
    try {
      answer = work()
    } catch (thrown) {
      this.#next(id)
      throw thrown
    }
    const pass = () => {
      this.#next(id)
    }
    if (isPromise(answer)) return answer.finally(pass)
    pass()
    return answer
  }

  #next(id: string): void {
    const line = this.#lines.get(id)
    const next = line?.urgent.shift() ?? line?.others.shift()
    if (next === undefined) this.#lines.delete(id)
    else next.start()
  }
}

/** True when the turn has come, false when patience has run out first. */
function hasTurn(line: Waiting[], patience: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      line.splice(line.indexOf(waiting), 1)
      resolve(false)
    }, patience)
    const waiting: Waiting = {
      start: () => {
        clearTimeout(timer)
        resolve(true)
      },
    }
    line.push(waiting)
  })
}

/**
 * Tries of one key that are in work at the same time: no more than may still fail. The others wait until one of those has ended.
 *
 * Who waits is not refused: a client that sends many right requests at once gets all of its answers. The wait is bounded in time and in number.
 */
import { isPromise, type Awaitable } from '../awaitable.js'
import { TemporarilyUnavailable } from '../errors.js'

/** Milliseconds. */
const patience = 10_000
const mostWaiting = 1_000

interface Tries {
  inWork: number
  readonly waiting: Set<() => void>
  left: () => number
}

/** The tries of all keys of one counter. */
export class TriesInWork {
  readonly #tries = new Map<string, Tries>()

  /**
   * Does the work as soon as fewer than `left()` tries of that key are in work. Where nothing is left, the work is what refuses.
   *
   * @throws TemporarilyUnavailable when too many wait, or one has waited too long.
   */
  take<T>(key: string, left: () => number, work: () => Awaitable<T>): Awaitable<T> {
    const tries = this.#tries.get(key)
    if (tries === undefined) return this.#work(key, work)
    const most = left()
    return most > 0 && tries.inWork >= most ? this.#takeLater(tries, key, left, work) : this.#work(key, work)
  }

  async #takeLater<T>(tries: Tries, key: string, left: () => number, work: () => Awaitable<T>): Promise<T> {
    if (tries.waiting.size >= mostWaiting) throw tooMany()
    const deadline = performance.now() + patience
    for (let current: Tries | undefined = tries; current !== undefined && left() > 0 && current.inWork >= left();) {
      current.left = left
      await turnIn(current.waiting, deadline - performance.now())
      current = this.#tries.get(key)
    }
    return this.#work(key, work)
  }

  #work<T>(key: string, work: () => Awaitable<T>): Awaitable<T> {
    let outcome: Awaitable<T>
    try {
      outcome = work()
    } catch (thrown) {
      this.#next(key)
      throw thrown
    }
    if (isPromise(outcome)) return this.#untilDone(key, outcome)
    this.#next(key)
    return outcome
  }

  async #untilDone<T>(key: string, outcome: Promise<T>): Promise<T> {
    const tries = this.#tries.get(key) ?? { inWork: 0, waiting: new Set(), left: () => 1 }
    this.#tries.set(key, tries)
    tries.inWork++
    try {
      return await outcome
    } finally {
      tries.inWork--
      this.#next(key)
    }
  }

  /** Lets as many go on as may be in work beside those that are. When one is done, or refused, it does the same for the next ones. */
  #next(key: string): void {
    const tries = this.#tries.get(key)
    if (tries === undefined) return
    const places = Math.max(1, tries.left() - tries.inWork)
    for (const goOn of [...tries.waiting].slice(0, places)) goOn()
    if (tries.inWork === 0 && tries.waiting.size === 0) this.#tries.delete(key)
  }
}

function turnIn(waiting: Set<() => void>, patience: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const goOn = () => {
      waiting.delete(goOn)
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(() => {
      waiting.delete(goOn)
      reject(tooMany())
    }, patience)
    waiting.add(goOn)
  })
}

function tooMany(): TemporarilyUnavailable {
  return new TemporarilyUnavailable(undefined, { reason: 'too many tries at once for one name from one address' })
}

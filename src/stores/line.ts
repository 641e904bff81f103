/**
 * The calls of one store that are under way in this process, and those that wait for a place among them.
 *
 * 1. Below the bound a call is sent at once.
 * 2. Above it a call waits: the oldest is sent first, or the newest once the oldest has waited a quarter of its time. Under overload the newest one is
 *    the one that can still be answered in time.
 * 3. Urgent calls get every second place that becomes free, the oldest first.
 * 4. A call that has waited three quarters of its time is refused, and is never sent.
 * 5. A call that was sent keeps its place until the store answers, or until ten times its time have passed: then an answer may never come.
 */
import type { Store } from './store.js'

/** One call that waits. */
interface Waiting {
  readonly since: number
  /** Milliseconds after which the newest goes before this one. */
  readonly patience: number
  readonly start: (waited: number) => void
  isRefused: boolean
}

/** The bound where neither the option nor the store names one. */
const defaultLimit = 64

/** Bounds the calls of one store. */
export class StoreLine {
  #limit: number
  #isConfigured = false
  #underWay = 0
  #wasUrgent = false
  readonly #urgent: Waiting[] = []
  readonly #others: Waiting[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  /** True where a call can be sent at once. */
  get isFree(): boolean {
    return this.#underWay < this.#limit
  }

  /** Sets the bound that an option names. Of several servers over one store the smallest number decides. */
  bound(limit: number): void {
    this.#limit = this.#isConfigured ? Math.min(this.#limit, limit) : limit
    this.#isConfigured = true
  }

  /** Counts a call that has been sent. */
  enter(): void {
    this.#underWay++
  }

  /** Gives back the place of one call, and starts the next. */
  leave(): void {
    this.#underWay--
    this.#startNext()
  }

  /** Calls `start` when there is a place, or `refuse` after three quarters of `time` milliseconds. */
  wait(time: number, isUrgent: boolean, start: (waited: number) => void, refuse: () => void): void {
    const line = isUrgent ? this.#urgent : this.#others
    const since = performance.now()
    const timer = setTimeout(() => {
      waiting.isRefused = true
      dropRefused(line)
      refuse()
    }, time * 0.75)
    const waiting: Waiting = {
      since,
      patience: time / 4,
      start: (waited) => {
        clearTimeout(timer)
        start(waited)
      },
      isRefused: false,
    }
    line.push(waiting)
  }

  #startNext(): void {
    while (this.isFree) {
      const next = this.#next()
      if (next === undefined) return
      next.start(performance.now() - next.since)
    }
  }

  #next(): Waiting | undefined {
    dropRefused(this.#urgent)
    dropRefused(this.#others)
    this.#wasUrgent = this.#urgent.length > 0 && (!this.#wasUrgent || this.#others.length === 0)
    if (this.#wasUrgent) return this.#urgent.shift()
    const [oldest] = this.#others
    if (oldest === undefined) return undefined
    const isLate = performance.now() - oldest.since > oldest.patience
    return isLate ? newest(this.#others) : this.#others.shift()
  }
}

/** Those that were refused are the oldest. */
function dropRefused(line: Waiting[]): void {
  while (line[0]?.isRefused === true) line.shift()
}

function newest(line: Waiting[]): Waiting | undefined {
  for (;;) {
    const last = line.pop()
    if (last?.isRefused !== true) return last
  }
}

const lines = new WeakMap<Store, StoreLine>()

/** The line of a store: one for all servers that share it. `limit` is the option `storeConcurrency`. */
export function lineOf(store: Store, limit?: number): StoreLine {
  const known = lines.get(store)
  const line = known ?? new StoreLine(ownLimit(store))
  if (known === undefined) lines.set(store, line)
  if (limit !== undefined) line.bound(limit)
  return line
}

function ownLimit({ concurrency }: Store): number {
  return Number.isSafeInteger(concurrency) && concurrency !== undefined && concurrency > 0 ? concurrency : defaultLimit
}

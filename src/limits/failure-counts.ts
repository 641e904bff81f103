/**
 * Failures in a fixed window of a minute for each key, in bounded memory.
 *
 * When there are too many keys, the ones whose minute is over go first, then the least advanced one: names that somebody makes up have failed once, and
 * push out each other, never a count that is near its limit.
 */

const window = 60
const maxKeys = 10_000

interface Count {
  failures: number
  readonly since: number
}

/** Counts of failures. */
export class FailureCounts {
  readonly #perMinute: number
  readonly #clock: () => number
  /** The one that began first is first. */
  readonly #counts = new Map<string, Count>()
  /** The keys with so many failures; the one that has had them for longest is first. */
  readonly #levels = new Map<number, Set<string>>()

  constructor(perMinute: number, clock: () => number) {
    this.#perMinute = perMinute
    this.#clock = clock
  }

  /** Seconds until the next try is allowed; 0 when it is allowed now. */
  retryAfter(key: string): number {
    const count = this.#current(key)
    return count === undefined || count.failures < this.#perMinute ? 0 : Math.max(1, count.since + window - this.#clock())
  }

  /** How many more failures are allowed now. */
  left(key: string): number {
    return this.#perMinute - (this.#current(key)?.failures ?? 0)
  }

  /** One failure more. */
  add(key: string): void {
    const count = this.#current(key)
    if (count !== undefined) {
      this.#leaveLevel(key, count.failures)
      count.failures++
      this.#enterLevel(key, count.failures)
      return
    }
    this.forget(key)
    if (this.#counts.size >= maxKeys) this.#makeRoom()
    this.#counts.set(key, { failures: 1, since: this.#clock() })
    this.#enterLevel(key, 1)
  }

  /** No failures any more. */
  forget(key: string): void {
    const count = this.#counts.get(key)
    if (count === undefined) return
    this.#counts.delete(key)
    this.#leaveLevel(key, count.failures)
  }

  #current(key: string): Count | undefined {
    const count = this.#counts.get(key)
    return count !== undefined && this.#isCurrent(count) ? count : undefined
  }

  #isCurrent({ since }: Count): boolean {
    return this.#clock() < since + window
  }

  #makeRoom(): void {
    for (const [key, count] of this.#counts) {
      if (this.#isCurrent(count)) break
      this.forget(key)
    }
    if (this.#counts.size < maxKeys) return
    const [first] = this.#levels.get(Math.min(...this.#levels.keys())) ?? []
    if (first !== undefined) this.forget(first)
  }

  #enterLevel(key: string, failures: number): void {
    const level = this.#levels.get(failures) ?? new Set<string>()
    this.#levels.set(failures, level.add(key))
  }

  #leaveLevel(key: string, failures: number): void {
    const level = this.#levels.get(failures)
    level?.delete(key)
    if (level?.size === 0) this.#levels.delete(failures)
  }
}

/**
 * Two clocks: that of this process and that of the database server. Now and then they are compared.
 *
 * 1. At the first call, and a minute after the last comparison, `check` asks the server for its time, beside the request.
 * 2. A difference above the tolerance is told as an event, once until it has gone.
 * 3. A difference above 30 seconds makes every call throw (503) until it has gone: codes and tokens would live too long or end early.
 *
 * The server's time is taken to be that of the middle between question and answer. A question that fails says nothing.
 */
import type { Upkeep } from './upkeep.js'

const interval = 60_000
const retryInterval = 1_000
const limit = 30

/** Compares clocks beside the calls of a store. */
export interface ServerTime {
  /**
   * Starts a comparison when one is due.
   *
   * @throws Error when the last one found too great a difference.
   */
  readonly check: () => void
  /** Compares now, and throws what {@link check} would. */
  readonly compare: () => Promise<void>
}

/** `ask` answers the server's time in seconds since the epoch. */
export function serverTime({ clock, clockTolerance, emit }: Upkeep, ask: () => Promise<number>): ServerTime {
  let due = 0
  let difference = 0
  let isTold = false

  async function compare(): Promise<void> {
    due = performance.now() + interval
    const before = clock()
    const server = await ask()
    if (!Number.isFinite(server)) return
    const after = clock()
    difference = server < before ? server - before : server > after + 1 ? server - after - 1 : 0
    if (Math.abs(difference) > limit) due = performance.now() + retryInterval
    const isOff = Math.abs(difference) > clockTolerance
    if (isOff && !isTold) {
      emit({ type: 'warning', reason: `the clock of the database server is ${inWords(difference)} the one of this process` }, true)
    }
    isTold = isOff
  }

  function assertClose(): void {
    if (Math.abs(difference) <= limit) return
    throw new Error(`the clocks of this process and of the database server are ${Math.round(Math.abs(difference))} seconds apart`)
  }

  return {
    check() {
      if (performance.now() >= due) void compare().catch(() => undefined)
      assertClose()
    },
    async compare() {
      await compare()
      assertClose()
    },
  }
}

/** As in `39 seconds behind`. */
function inWords(difference: number): string {
  const seconds = Math.round(Math.abs(difference))
  return `${seconds} ${seconds === 1 ? 'second' : 'seconds'} ${difference < 0 ? 'behind' : 'ahead of'}`
}

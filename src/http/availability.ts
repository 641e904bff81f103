/** Maintenance, said by the application: the option `available` of both houses. */
import { whenThere, type Awaitable } from '../awaitable.js'
import { TemporarilyUnavailable } from '../errors.js'
import { lateCallback, withinTime } from '../time-limit.js'

/** Who says it, and how many milliseconds that may take. */
export interface Availability {
  readonly available: (() => boolean | Promise<boolean>) | undefined
  readonly callbackTimeout: number
}

/** @throws TemporarilyUnavailable where the option says so, or does not answer in time. */
export function assertAvailable({ available, callbackTimeout }: Availability): Awaitable<void> {
  if (available === undefined) return undefined
  const answer: unknown = withinTime(callbackTimeout, available, lateCallback)
  return whenThere(answer, assertTold)
}

function assertTold(answer: unknown): void {
  if (answer === false)
    throw new TemporarilyUnavailable(undefined, {
      reason: 'the option available answered false; let it return true where the server should answer',
    })
}

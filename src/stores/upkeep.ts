/**
 * What durable stores have in common beside the verbs: options, the sweep of expired records, retries of what certainly did not
 * happen, and the comparison of two clocks.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { createEmit, type Emit, type EventListener } from '../events/events.js'
import { assertKnownKeys, assertObject } from '../option-checks/reader.js'

/** Options that every durable store has. */
export interface DurableStoreOptions {
  /** Now, in whole seconds since the epoch. Default: the system's clock. */
  readonly clock?: () => number
  /** Seconds by which the clocks of the machines may differ before an event says so. Default 5. */
  readonly clockTolerance?: number
  /**
   * Told what the store notices. Events go to `node:diagnostics_channel` in any case, and failures to the console where nobody listens. What it throws is
   * swallowed.
   */
  readonly onEvent?: EventListener
}

/** Options of a store whose expired records have to be deleted. */
export interface SweepingOptions {
  /**
   * Seconds between sweeps of expired records in this process; the timer keeps no process alive. Default: no timer, so that
   * the application calls `deleteExpired()` itself, or has the database do it.
   */
  readonly sweepInterval?: number
}

/** How many to delete in one batch. */
export interface DeleteExpiredOptions {
  /** The most that one call deletes. Default 1000. */
  readonly limit?: number
}

/** Options with their defaults. */
export interface Upkeep {
  readonly clock: () => number
  readonly clockTolerance: number
  readonly emit: Emit
  /** Prints one line for the deployer, and tells it as an event. Each text once. */
  readonly warn: (reason: string) => void
}

/** Records stay this many seconds longer than their end: no machine whose clock is late may miss one that it still honours. */
export const graceSeconds = 60

/** @throws ConfigurationError when there is no option of that name, TypeError when an option is wrong. */
export function readUpkeep(options: DurableStoreOptions, known: readonly string[], name: string): Upkeep {
  assertKnownKeys(assertObject(options, `${name}: the options`), known, name)
  const { clock = () => Math.floor(Date.now() / 1000), clockTolerance = 5, onEvent } = options
  if (typeof clock !== 'function') throw new TypeError(`${name}: clock must be a function`)
  if (onEvent !== undefined && typeof onEvent !== 'function') throw new TypeError(`${name}: onEvent must be a function`)
  assertWhole(clockTolerance, `${name}: clockTolerance`, 0)
  const emit = createEmit(onEvent, clock)
  return { clock, clockTolerance, emit, warn: createWarn(emit) }
}

function createWarn(emit: Emit): (reason: string) => void {
  const said = new Set<string>()
  return (reason) => {
    if (said.has(reason)) return
    said.add(reason)
    console.warn(`oauth2-token-handler: ${reason}`)
    emit({ type: 'warning', reason })
  }
}

/** The names of {@link DurableStoreOptions}. */
export const durableOptionNames: readonly string[] = ['clock', 'clockTolerance', 'onEvent']

/** @throws TypeError */
export function assertWhole(value: unknown, name: string, min = 1): asserts value is number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min) return
  throw new TypeError(`${name} must be a whole number of at least ${min}`)
}

/** One batch of a sweep. */
export interface SweptBatch {
  readonly deleted: number
  /** The latest end among the records that were deleted: the next batch need not look before it. */
  readonly reached?: number | undefined
}

/** Deletes a batch of at most `limit` expired records, none that ended before `from`. */
export type SweepBatch = (limit: number, from: number) => Promise<SweptBatch>

/** Between two batches a sweep rests for this many times as long as the batch took, so that requests keep the database for themselves. */
const restShare = 3

/**
 * A timer that sweeps until nothing is left to sweep, and the function that ends it. A sweep that fails is told, and tried again. Each batch begins
 * where the last one ended: entries of deleted rows may have to stay in an index, and each batch from the left would walk over all of them.
 */
export function startSweeping(interval: number | undefined, sweep: SweepBatch, { emit }: Pick<Upkeep, 'emit'>): () => void {
  if (interval === undefined) return () => undefined
  assertWhole(interval, 'sweepInterval')
  const limit = 1000
  let isSweeping = false
  const stop = new AbortController()
  async function sweepAll(): Promise<void> {
    if (isSweeping) return
    isSweeping = true
    let count = 0
    try {
      for (let from = 0; ;) {
        const begun = performance.now()
        const { deleted, reached = 0 } = await sweep(limit, from)
        count += deleted
        from = reached
        if (deleted < limit) break
        // By chance longer or shorter, so that several processes do not sweep in step.
        await delay((performance.now() - begun) * restShare * (0.5 + Math.random()), undefined, { ref: false })
        if (stop.signal.aborted) break
      }
    } catch (cause) {
      emit({ type: 'warning', reason: 'expired records could not be deleted', cause })
    } finally {
      isSweeping = false
      if (count > 0) emit({ type: 'store.swept', count })
    }
  }
  const timer = setInterval(() => void sweepAll(), interval * 1000).unref()
  return () => {
    stop.abort()
    clearInterval(timer)
  }
}

const hour = 3_600_000
const day = 86_400

/**
 * A function that asks, once an hour at the most and until it has warned, whether records lie there that ended more than a day ago. Where this
 * process sweeps, a sweep that fails is told already, and nothing is asked.
 */
export function watchBacklog(
  sweepInterval: number | undefined,
  { clock, warn }: Pick<Upkeep, 'clock' | 'warn'>,
  hasEndedBefore: (instant: number) => Promise<boolean>,
): () => void {
  let due = sweepInterval === undefined ? 0 : Infinity
  async function look(): Promise<void> {
    due = performance.now() + hour
    if (!(await hasEndedBefore(clock() - day))) return
    due = Infinity
    warn('records that ended more than a day ago were not deleted: set sweepInterval in one process, or call deleteExpired()')
  }
  return () => {
    if (performance.now() >= due) look().catch(() => undefined)
  }
}

/** The waits, in milliseconds, before what certainly did not happen is tried again: a second and a half in all. */
const waits = [2, 5, 10, 20, 40, 80, 150, 250, 400, 500]

/**
 * Calls `work` again while it fails in a way that `isSafe` knows to have had no effect. What may have taken effect is
 * never repeated.
 */
export async function retrying<T>(work: () => Promise<T>, isSafe: (error: unknown) => boolean): Promise<T> {
  for (const wait of waits) {
    try {
      return await work()
    } catch (error) {
      if (!isSafe(error)) throw error
      await delay(wait * (0.5 + Math.random() / 2))
    }
  }
  return work()
}

/** The member `code` of an error, or its beginning: drivers put what happened in either. */
export function errorMember(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? (error as Readonly<Record<string, unknown>>)[name] : undefined
}

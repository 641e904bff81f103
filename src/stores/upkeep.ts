/**
 * What durable stores have in common beside the verbs: options, the sweep of expired records, retries of what certainly did not
 * happen, and the comparison of two clocks.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { createEmit, type Emit, type EventListener } from '../events.js'
import { assertKnownKeys, assertObject } from '../option-checks.js'

/** Options that every durable store has. */
export interface DurableStoreOptions {
  /** Now, in whole seconds since the epoch. Default: the system's clock. */
  readonly clock?: () => number
  /** Seconds by which the clocks of the machines may differ before an event says so. Default 5. */
  readonly clockTolerance?: number
  /** Told what the store notices. Events go to `node:diagnostics_channel` in any case. What it throws is swallowed. */
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
  return { clock, clockTolerance, emit: createEmit(onEvent, clock) }
}

/** The names of {@link DurableStoreOptions}. */
export const durableOptionNames: readonly string[] = ['clock', 'clockTolerance', 'onEvent']

/** @throws TypeError */
export function assertWhole(value: unknown, name: string, min = 1): void {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min) return
  throw new TypeError(`${name} must be a whole number of at least ${min}`)
}

/** A timer that sweeps until nothing is left to sweep, and the function that ends it. A sweep that fails is told, and tried again. */
export function startSweeping(interval: number | undefined, sweep: (limit: number) => Promise<number>, emit: Emit): () => void {
  if (interval === undefined) return () => undefined
  assertWhole(interval, 'sweepInterval')
  const limit = 1000
  let isSweeping = false
  let isStopped = false
  async function sweepAll(): Promise<void> {
    if (isSweeping) return
    isSweeping = true
    try {
      while (!isStopped && (await sweep(limit)) >= limit);
    } catch (cause) {
      emit({ type: 'warning', reason: 'expired records could not be deleted', cause })
    } finally {
      isSweeping = false
    }
  }
  const timer = setInterval(() => void sweepAll(), interval * 1000).unref()
  return () => {
    isStopped = true
    clearInterval(timer)
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

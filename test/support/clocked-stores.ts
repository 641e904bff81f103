/**
 * Stores that live by a clock the test sets, and that are told when to forget.
 *
 * Where a store asks its database for the time, that one question is answered by the same clock; everything else is the database's. Redis drops
 * records by its own clock, which nobody can set: `sweep` deletes there what Redis would have dropped at the time on the clock. That clock
 * must never be behind the real one.
 */
import { memoryStore, type Store } from 'oauth2-token-handler'
import { postgresStore } from 'oauth2-token-handler/stores/postgres'
import { redisStore } from 'oauth2-token-handler/stores/redis'
import { start } from './server.js'
import { openPostgres, openRedis, openSqlite } from './services.js'

/** A clock that the test sets. */
export interface Clock {
  /** Whole seconds since the epoch. */
  now: number
}

export interface ClockedStore {
  readonly store: Store
  /** Deletes what has expired by the clock. */
  sweep(): Promise<unknown>
}

export interface ClockedPlace extends ClockedStore {
  close(): Promise<void>
}

export type OpenClocked = (clock: Clock) => Promise<ClockedPlace>

/** A clock that is not behind the real one. */
export function clockAhead(): Clock {
  return { now: Math.max(start, Math.ceil(Date.now() / 1000)) }
}

/** The memory store sweeps at each write. */
export async function clockedMemory(clock: Clock): Promise<ClockedPlace> {
  return { store: memoryStore({ clock: () => clock.now }), sweep: async () => {}, close: async () => {} }
}

export async function clockedSqlite(clock: Clock): Promise<ClockedPlace> {
  const { store, close } = await openSqlite({ clock: () => clock.now })
  return { store, sweep: () => store.deleteExpired(), close }
}

export async function clockedPostgres(clock: Clock): Promise<ClockedPlace> {
  const { pool, table, close } = await openPostgres()
  const query = (text: string, values: unknown[]) =>
    text.includes('clock_timestamp') ? Promise.resolve({ rows: [{ now: clock.now }] }) : pool.query(text, values)
  const store = postgresStore({ query }, { table, clock: () => clock.now })
  return { store, sweep: () => store.deleteExpired(), close }
}

export async function clockedRedis(clock: Clock): Promise<ClockedPlace> {
  const { sendCommand, prefix, close } = await openRedis()
  const keys = new Set<string>()
  const store = redisStore({
    prefix,
    clock: () => clock.now,
    sendCommand(args, key) {
      if (args[0] === 'TIME') return Promise.resolve([String(clock.now), '0'])
      if (args[0] !== 'INFO') keys.add(key)
      return sendCommand(args, key)
    },
  })
  /** -1: never, -2: it has gone already. */
  const endOf = async (key: string) => [key, Number(await sendCommand(['EXPIRETIME', key], key))] as const
  async function sweep(): Promise<void> {
    for (const [key, end] of await Promise.all([...keys].map(endOf))) {
      if (end === -1) throw new Error(`nothing ends the key ${key}`)
      if (end > clock.now) continue
      keys.delete(key)
      await sendCommand(['DEL', key], key)
    }
  }
  return { store, sweep, close }
}

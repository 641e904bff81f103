/**
 * The databases of the tests: each is opened under a name of its own, and leaves nothing behind when it is closed.
 */
import { describe } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Libsql from 'libsql'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { createClient } from 'redis'
import type { Store } from 'oauth2-token-handler'
import type { Address } from './store-of.js'
import { postgresStore, type PostgresPool, type PostgresStoreOptions } from 'oauth2-token-handler/stores/postgres'
import { redisStore, type RedisStoreOptions, type SendCommand } from 'oauth2-token-handler/stores/redis'
import { sqliteStore, type SqliteStoreOptions } from 'oauth2-token-handler/stores/sqlite'

// The Redis of the tests keeps no append-only file, and is there to be told of that once, in its own test.
const { warn } = console
console.warn = (...words: unknown[]) => {
  if (!String(words[0]).includes('append-only')) warn(...words)
}

export const databaseUrl = process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/test'
export const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'

/** `describe` where the service can be reached, else `describe.skip`. */
export function describeWith(service: 'PostgreSQL' | 'Redis'): typeof describe | typeof describe.skip {
  return process.env.SKIPPED_SERVICES?.includes(service) === true ? describe.skip : describe
}

/** A place in a database, and the options by which a store in any process finds it. */
export interface Place<S extends Store = Store> {
  /** A store over the connection of this place. */
  readonly store: S
  /** What another process needs to find it. */
  readonly address: Address
  /** Every text that is kept there, as the database has it. */
  dump(): Promise<string>
  close(): Promise<void>
}

function uniqueName(): string {
  return `test_${process.pid}_${randomBytes(6).toString('hex')}`
}

/** A schema of its own in PostgreSQL. */
export async function openPostgres(options: PostgresStoreOptions = {}, url = databaseUrl) {
  const pool = new Pool({ connectionString: url, max: 20 })
  pool.on('error', () => {})
  const schema = uniqueName()
  const table = `${schema}.records`
  await pool.query(`CREATE SCHEMA ${schema}`)
  const store = postgresStore(pool, { table, ...options })
  await store.createTables()
  return {
    pool,
    table,
    store,
    address: { kind: 'postgres', url, table } as const,
    async dump() {
      const { rows } = await pool.query<{ text: string }>(`SELECT records::text AS text FROM ${table}`)
      return rows.map(({ text }) => text).join('\n')
    },
    async close() {
      store.close()
      await pool.query(`DROP SCHEMA ${schema} CASCADE`)
      await pool.end()
    },
  } satisfies Place & { pool: PostgresPool; table: string }
}

type RedisOptions = Partial<RedisStoreOptions>

/** A prefix of its own in Redis, through ioredis in its default settings. */
export async function openRedis(options: RedisOptions = {}, url = redisUrl) {
  const client = new Redis(url)
  client.on('error', () => {})
  const prefix = `${uniqueName()}:`
  const sendCommand: SendCommand = ([command, ...args]) => client.call(command, ...args)
  return redisPlace(sendCommand, prefix, url, options, async () => {
    await client.quit()
  })
}

/** A prefix of its own in Redis, through node-redis in its default settings. */
export async function openNodeRedis(options: RedisOptions = {}, url = redisUrl) {
  const client = createClient({ url })
  client.on('error', () => {})
  await client.connect()
  const sendCommand: SendCommand = (args) => client.sendCommand(args)
  return redisPlace(sendCommand, `${uniqueName()}:`, url, options, () => client.close())
}

function redisPlace(sendCommand: SendCommand, prefix: string, url: string, options: RedisOptions, disconnect: () => Promise<unknown>) {
  async function keys(): Promise<string[]> {
    const found: string[] = []
    for (let cursor = '0'; ;) {
      const [next, page] = (await sendCommand(['SCAN', cursor, 'MATCH', `${prefix}*`, 'COUNT', '1000'], prefix)) as [unknown, string[]]
      found.push(...page)
      if (String(next) === '0') return found
      cursor = String(next)
    }
  }
  return {
    sendCommand,
    prefix,
    keys,
    store: redisStore({ sendCommand, prefix, ...options }),
    address: { kind: 'redis', url, prefix } as const,
    async dump() {
      const texts: string[] = []
      for (const key of await keys()) {
        const isRecord = key.startsWith(`${prefix}record:`) || key.endsWith(':complete')
        texts.push(key, JSON.stringify(await sendCommand(isRecord ? ['GET', key] : ['ZRANGE', key, '0', '-1'], key)))
      }
      return texts.join('\n')
    },
    async close() {
      for (const key of await keys()) await sendCommand(['DEL', key], key)
      await disconnect()
    },
  } satisfies Place & Record<string, unknown>
}

/** A file of its own in SQLite. */
export async function openSqlite(options: SqliteStoreOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'oauth2-token-handler-'))
  const file = join(folder, 'records.db')
  const database = new Libsql(file)
  const store = sqliteStore(database, options)
  await store.createTables()
  return {
    database,
    store,
    folder,
    address: { kind: 'sqlite', file } as const,
    async dump() {
      const rows = database.prepare('SELECT * FROM oauth2_records').all()
      return JSON.stringify(rows)
    },
    async close() {
      store.close()
      database.close()
      rmSync(folder, { recursive: true })
    },
  } satisfies Place & Record<string, unknown>
}

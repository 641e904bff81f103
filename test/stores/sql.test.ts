/** The SQL stores beside their contract: schema, sweep, retries, and the clock of the server. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import Libsql from 'libsql'
import { ConfigurationError, type ServerEvent, type StoredRecord } from 'oauth2-token-handler'
import { postgresStore } from 'oauth2-token-handler/stores/postgres'
import { sqliteStore } from 'oauth2-token-handler/stores/sqlite'
import { describeWith, openPostgres, openSqlite } from '../support/services.js'

const now = () => Math.floor(Date.now() / 1000)
let count = 0

function guard(expiresAt: number): StoredRecord {
  return { id: `guard-${count++}`, version: 'first', kind: 'guard', expiresAt, format: 1, data: {} }
}

const cli = (...args: string[]) => execFileSync(process.execPath, ['--import', 'tsx', 'src/cli.ts', ...args], { encoding: 'utf8' })

describeWith('PostgreSQL')('PostgreSQL', () => {
  let place: Awaited<ReturnType<typeof openPostgres>>
  beforeAll(async () => {
    place = await openPostgres()
  })
  afterAll(() => place.close())

  test('I4 createTables by ten at once, again, and while a request holds a record: nobody waits', async () => {
    const table = `${place.table}_again`
    const stores = Array.from({ length: 10 }, () => postgresStore(place.pool, { table }))
    await Promise.all(stores.map((store) => store.createTables()))
    await place.store.create(guard(now() + 60))
    const holder = await place.pool.connect()
    try {
      await holder.query(`BEGIN; UPDATE ${place.table} SET version = version`)
      await place.store.createTables()
      expect(await place.store.create(guard(now() + 60))).toBe(true)
    } finally {
      await holder.query('ROLLBACK')
      holder.release()
    }
  })

  test('A1 the printed schema makes the same tables', async () => {
    const [schema = ''] = place.table.split('.')
    await place.pool.query(cli('schema', 'postgres', `${schema}.printed`))
    const columns = async (name: string) => {
      const { rows } = await place.pool.query('SELECT column_name, data_type, is_nullable, collation_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 ORDER BY 1', [schema, name]) // prettier-ignore
      const { rows: indexes } = await place.pool.query<{ indexdef: string }>('SELECT indexdef FROM pg_indexes WHERE schemaname = $1 AND tablename = $2 ORDER BY 1', [schema, name]) // prettier-ignore
      return [rows, indexes.map(({ indexdef }) => indexdef.replaceAll(name, '…'))]
    }
    expect(await columns('printed')).toEqual(await columns('records'))
    await postgresStore(place.pool, { table: `${schema}.printed` }).createTables()
  })

  test('I5 deleteExpired: in batches, what ended more than a minute ago, past what a request holds', async () => {
    const table = `${place.table}_swept`
    const store = postgresStore(place.pool, { table })
    await store.createTables()
    const ended = Array.from({ length: 7 }, () => guard(now() - 120))
    const alive = [guard(now() - 5), guard(now() + 60)]
    for (const record of [...ended, ...alive]) await store.create(record)
    const holder = await place.pool.connect()
    try {
      await holder.query('BEGIN')
      await holder.query(`SELECT 1 FROM ${table} WHERE id = $1 FOR UPDATE`, [ended[0]?.id])
      expect(await store.deleteExpired({ limit: 4 })).toBe(4)
      expect(await store.deleteExpired({ limit: 4 })).toBe(2)
      expect(await store.deleteExpired()).toBe(0)
    } finally {
      await holder.query('ROLLBACK')
      holder.release()
    }
    expect(await store.deleteExpired()).toBe(1)
    for (const { id } of alive) expect(await store.get(id)).toBeDefined()
    await expect(store.deleteExpired({ limit: 0 })).rejects.toThrow('limit must be')
  })

  test('I5 sweepInterval does it by a timer, until close', async () => {
    const table = `${place.table}_timed`
    const store = postgresStore(place.pool, { table, sweepInterval: 1 })
    await store.createTables()
    const record = guard(now() - 120)
    await store.create(record)
    const deadline = Date.now() + 5000
    while ((await store.get(record.id)) !== undefined && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 100))
    store.close()
    expect(await store.get(record.id)).toBeUndefined()
  })

  test('I4 serialization failures are tried again: a pool in SERIALIZABLE keeps every promise', async () => {
    const query = async (text: string, values: unknown[]) => {
      const client = await place.pool.connect()
      try {
        await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE')
        const result = await client.query(text, values)
        await client.query('COMMIT')
        return result
      } catch (error) {
        await client.query('ROLLBACK')
        throw error
      } finally {
        client.release()
      }
    }
    const store = postgresStore({ query }, { table: place.table })
    const record = guard(now() + 60)
    const created = await Promise.all(Array.from({ length: 20 }, async () => store.create(record)))
    const replaced = await Promise.all(
      Array.from({ length: 20 }, async (_, turn) => store.replace({ ...record, version: `next ${turn}` }, 'first')),
    )
    expect([created.filter(Boolean).length, replaced.filter(Boolean).length]).toEqual([1, 1])
  })

  test('I5 a server whose clock is away: an event, then a refusal, and a return', async () => {
    const events: ServerEvent[] = []
    let clock = now
    const store = postgresStore(place.pool, { table: place.table, clock: () => clock(), onEvent: (event) => events.push(event) })
    clock = () => now() + 45
    await store.get('x')
    await expect(until(async () => store.get('x'))).rejects.toThrow('seconds apart')
    expect(events).toMatchObject([{ type: 'warning', reason: expect.stringContaining('seconds behind') }])
    clock = now
    await new Promise((resolve) => setTimeout(resolve, 1100))
    await Promise.resolve(store.get('x')).catch(() => undefined)
    const deadline = Date.now() + 3000
    while (Date.now() < deadline && (await Promise.resolve(store.get('x')).then(() => false, () => true))) await new Promise((resolve) => setTimeout(resolve, 50)) // prettier-ignore
    expect(await store.get('x')).toBeUndefined()
  })

  test('I6 nothing that a client sends becomes SQL', async () => {
    const record = { ...guard(now() + 60), kind: 'authorization' as const, subject: `'; DROP TABLE ${place.table}; --`, client_id: '$1' }
    await place.store.create(record)
    for await (const stored of place.store.list({ subject: record.subject })) expect(stored).toEqual(record)
    expect(() => postgresStore(place.pool, { table: 'x; DROP TABLE y' })).toThrow('table must be a name')
  })
})

/** Calls until it rejects, for a second. */
async function until(work: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    await work()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('SQLite', () => {
  test('A1 the printed schema is the one of createTables, which can run again', async () => {
    const place = await openSqlite()
    try {
      await place.store.createTables()
      const schema = (database: InstanceType<typeof Libsql>) => database.prepare('SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name').raw().all()
      const printed = new Libsql(':memory:')
      printed.exec(cli('schema', 'sqlite'))
      expect(schema(printed)).toEqual(schema(place.database))
      printed.close()
    } finally {
      await place.close()
    }
  }) // prettier-ignore

  test('I4 a file that another connection writes is waited for without stopping the event loop; a lasting one is an error', async () => {
    const place = await openSqlite()
    const other = new Libsql(place.address.file)
    try {
      await place.store.create(guard(now() + 60))
      other.prepare('BEGIN IMMEDIATE').run()
      let turns = 0
      const turning = setInterval(() => turns++, 5)
      setTimeout(() => other.prepare('COMMIT').run(), 300)
      expect(await place.store.create(guard(now() + 60))).toBe(true)
      expect(turns).toBeGreaterThan(3)
      other.prepare('BEGIN IMMEDIATE').run()
      await expect(place.store.create(guard(now() + 60))).rejects.toMatchObject({ code: 'SQLITE_BUSY' })
      clearInterval(turning)
      other.prepare('COMMIT').run()
    } finally {
      other.close()
      await place.close()
    }
  })

  test('I4 each write is on the disk: synchronous is FULL, whatever the driver chose', async () => {
    const place = await openSqlite()
    try {
      place.database.prepare('PRAGMA synchronous = OFF').run()
      await sqliteStore(place.database).get('x')
      expect(place.database.prepare('PRAGMA synchronous').get()).toMatchObject({ synchronous: 2 })
    } finally {
      await place.close()
    }
  })

  test('OP5 OP25 check(): passes after createTables(); rejects a missing table, other columns, and a file that is read-only; warns of a lost index', async () => {
    const warnings: string[] = []
    const { warn } = console
    console.warn = (text: string) => warnings.push(text)
    const place = await openSqlite()
    try {
      await place.store.check()
      await expect(sqliteStore(place.database, { table: 'nowhere' }).check()).rejects.toThrow('there is no table "nowhere"')
      place.database.exec('CREATE TABLE odd (id TEXT PRIMARY KEY NOT NULL, document BLOB)')
      await expect(sqliteStore(place.database, { table: 'odd' }).check()).rejects.toThrow('the columns of "odd" are id TEXT NOT NULL PRIMARY KEY, document BLOB, not')
      warnings.length = 0
      place.database.exec('DROP INDEX oauth2_records_client')
      await place.store.check()
      expect(warnings).toEqual([expect.stringContaining('no index "oauth2_records_client"')])
      place.database.exec('PRAGMA query_only = ON')
      await expect(place.store.check()).rejects.toMatchObject({ code: 'SQLITE_READONLY' })
      place.database.exec('PRAGMA query_only = OFF')
      const other = new Libsql(place.address.file)
      other.prepare('BEGIN IMMEDIATE').run()
      await expect(place.store.check()).rejects.toMatchObject({ code: 'SQLITE_BUSY' })
      other.close()
    } finally {
      console.warn = warn
      await place.close()
    }
  }) // prettier-ignore

  test('OP21 records that ended more than a day ago are warned of once, and not where this process sweeps', async () => {
    const warnings: string[] = []
    const { warn } = console
    console.warn = (text: string) => warnings.push(text)
    const place = await openSqlite()
    try {
      await place.store.create(guard(now() - 90_000))
      await sqliteStore(place.database, { sweepInterval: 600 }).get('x')
      await sqliteStore(place.database, { clock: () => now() - 80_000 }).get('x')
      expect(warnings).toEqual([])
      const store = sqliteStore(place.database)
      for (let turn = 0; turn < 3; turn++) await store.get('x')
      expect(warnings).toEqual([expect.stringContaining('set sweepInterval')])
    } finally {
      console.warn = warn
      await place.close()
    }
  })

  test('I5 deleteExpired: in batches, what ended more than a minute ago', async () => {
    const place = await openSqlite()
    try {
      const alive = [guard(now() - 5), guard(now() + 60)]
      for (const record of [guard(now() - 120), guard(now() - 120), guard(now() - 120), ...alive]) await place.store.create(record)
      expect([await place.store.deleteExpired({ limit: 2 }), await place.store.deleteExpired({ limit: 2 }), await place.store.deleteExpired()]).toEqual([2, 1, 0]) // prettier-ignore
      for (const { id } of alive) expect(await place.store.get(id)).toBeDefined()
    } finally {
      await place.close()
    }
  })
})

describe('options', () => {
  const nobody = { query: () => Promise.reject(new Error('not to be asked')) }

  test.each([
    [() => postgresStore(nobody, { tables: 'a' } as never), 'postgresStore has no member "tables"; did you mean "table"?'],
    [() => postgresStore(nobody, { prefix: 'a' } as never), 'postgresStore has no member "prefix". There is clock, clockTolerance, onEvent, table, sweepInterval, queryTimeout.'],
    [() => sqliteStore(new Libsql(':memory:'), { sweepIntervall: 5 } as never), 'sqliteStore has no member "sweepIntervall"; did you mean "sweepInterval"?'],
    [() => sqliteStore(new Libsql(':memory:'), 'records' as never), 'sqliteStore: the options must be an object, not a string'],
  ])('A1 one that does not exist stops the start, with the one that was meant: %#', (make, message) => {
    expect(make).toThrow(new ConfigurationError(message))
    expect(make).toThrow(ConfigurationError)
  }) // prettier-ignore
})

describe('what a database would change', () => {
  test('I4 a NUL character or half a surrogate pair is an error, not another text', async () => {
    const place = await openSqlite()
    try {
      for (const subject of ['a\0b', '\ud800']) {
        await expect(place.store.create({ ...guard(now() + 60), kind: 'authorization', subject })).rejects.toThrow(TypeError)
      }
    } finally {
      await place.close()
    }
  })

  test('I4 a row that is damaged is an error, and in a list is told', async () => {
    const place = await openSqlite()
    try {
      const damaged = { ...guard(now() + 60), kind: 'authorization' as const, subject: 'alice' }
      await place.store.create(damaged)
      place.database.prepare("UPDATE oauth2_records SET document = '{'").run()
      await expect(place.store.get(damaged.id)).rejects.toThrow('not JSON')
      const found: StoredRecord[] = []
      for await (const record of place.store.list({ subject: 'alice' })) found.push(record)
      expect(found).toMatchObject([{ id: damaged.id, format: 0 }])
    } finally {
      await place.close()
    }
  })
})

describe('the command', () => {
  test('A1 says how it is used when it is not understood', () => {
    for (const args of [[], ['schema'], ['schema', 'mysql'], ['schema', 'postgres', 'a;b'], ['schema', 'sqlite', 'a', 'b']]) {
      expect(() => cli(...args)).toThrow(/oauth2-token-handler schema postgres\|sqlite \[table\]|table must be a name/)
    }
  })
})

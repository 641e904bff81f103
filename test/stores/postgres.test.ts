/** PostgreSQL in bad weather, on a single connection pool each: what is created, what is checked, what is given up, and how a backlog is swept. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, jest, test } from '@jest/globals'
import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'pg'
import type { ServerEvent, StoredRecord } from 'oauth2-token-handler'
import { postgresStore, type PostgresPool } from 'oauth2-token-handler/stores/postgres'
import { isLong, patience } from '../security/sizes.js'
import { databaseUrl, describeWith, openPostgres } from '../support/services.js'

jest.setTimeout(patience)

const now = () => Math.floor(Date.now() / 1000)
const record: StoredRecord = { id: 'a', version: 'first', kind: 'guard', expiresAt: now() + 600, format: 1, data: {} }

describeWith('PostgreSQL')('PostgreSQL', () => {
  let place: Awaited<ReturnType<typeof openPostgres>>
  let warnings: string[]
  const { warn } = console
  const pools: Pool[] = []
  const roles: string[] = []

  beforeAll(async () => {
    place = await openPostgres()
  })
  afterAll(async () => {
    await Promise.all(pools.map((pool) => pool.end()))
    await place.close()
    for (const role of roles) await cleaned(role)
  })
  beforeEach(() => {
    warnings = []
    console.warn = (text: string) => warnings.push(text)
  })
  afterEach(() => {
    console.warn = warn
  })

  const schema = () => place.table.split('.')[0] ?? ''

  function poolOf(options: string, user?: string): Pool {
    const url = new URL(databaseUrl)
    if (user !== undefined) url.username = user
    const pool = new Pool({ connectionString: url.href, options, max: 3 })
    pool.on('error', () => {})
    pools.push(pool)
    return pool
  }

  async function role(...grants: string[]): Promise<string> {
    const name = `${schema()}_${roles.length}`
    roles.push(name)
    await place.pool.query(`CREATE ROLE ${name} LOGIN`)
    for (const grant of grants) await place.pool.query(`GRANT ${grant} TO ${name}`)
    return name
  }

  async function cleaned(name: string): Promise<void> {
    const pool = new Pool({ connectionString: databaseUrl, max: 1 })
    await pool.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`)
    await pool.end()
  }

  const indexesOf = async (table: string) => {
    const sql = `SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = '${table}'::regclass ORDER BY 1`
    return (await place.pool.query<{ name: string }>(sql)).rows.map(({ name }) => name)
  }

  test('OP1 a query without an answer is ended after queryTimeout, its connection with it, and the next one works', async () => {
    const pool = poolOf('')
    const store = postgresStore(pool, { table: place.table, queryTimeout: 200 })
    await store.create(record)
    const holder = await place.pool.connect()
    try {
      await holder.query(`BEGIN; SELECT 1 FROM ${place.table} WHERE id = 'a' FOR UPDATE`)
      const begun = performance.now()
      await expect(Promise.resolve(store.replace({ ...record, version: 'second' }, 'first'))).rejects.toThrow('timeout')
      expect(performance.now() - begun).toBeLessThan(1500)
      expect(pool.waitingCount).toBe(0)
      expect(await store.get('a')).toMatchObject({ version: 'first' })
    } finally {
      await holder.query('ROLLBACK')
      holder.release()
    }
  })

  test('OP1 queryTimeout is query_timeout of the pool, else 5000; another pool gets text and values as ever', async () => {
    const asked: unknown[][] = []
    const fake = (more: object) => ({ query: async (...args: unknown[]) => (asked.push(args), { rows: [] }), ...more })
    const pgPool = (options: object) => fake({ totalCount: 0, options }) as PostgresPool
    await postgresStore(pgPool({})).get('x')
    await postgresStore(pgPool({ query_timeout: 700 })).get('x')
    await postgresStore(pgPool({ query_timeout: 700 }), { queryTimeout: 900 }).get('x')
    await postgresStore(fake({})).get('x')
    const gets = asked.filter((args) => JSON.stringify(args).includes('WHERE id = $1'))
    const text = expect.stringContaining('WHERE id = $1')
    const config = (query_timeout: number) => [{ text, values: ['x'], query_timeout }]
    expect(gets).toEqual([config(5000), config(700), config(900), [text, ['x']]])
    expect(() => postgresStore(fake({}), { queryTimeout: 0 })).toThrow('postgresStore: queryTimeout must be a whole number of at least 1')
  })

  test('OP4 the size of the pool bounds the calls at once', () => {
    expect(postgresStore(poolOf('')).concurrency).toBe(3)
    expect(postgresStore({ query: () => Promise.reject(new Error()) }).concurrency).toBeUndefined()
  })

  test('OP2 a pool without a listener for errors is warned of once, with the line to write; one with a listener is not', async () => {
    const events: ServerEvent[] = []
    const pool = new Pool({ connectionString: databaseUrl, max: 1 })
    pools.push(pool)
    const store = postgresStore(pool, { table: place.table, onEvent: (event) => events.push(event) })
    await store.get('x')
    await store.get('x')
    expect(warnings).toEqual([expect.stringContaining("pool.on('error', () => {})")])
    expect(events).toMatchObject([{ type: 'warning', reason: expect.stringContaining('ends the process') }])
    pool.on('error', () => {})
    await postgresStore(pool, { table: place.table }).get('x')
    expect(warnings).toHaveLength(1)
  })

  test('OP8 createTables() of a role without CREATE: nothing where everything is there, an error where something is missing', async () => {
    const user = await role(`USAGE ON SCHEMA ${schema()}`, `SELECT, INSERT, UPDATE ON ${place.table}`)
    await postgresStore(poolOf('', user), { table: place.table }).createTables()
    await postgresStore(poolOf(`-c search_path=${schema()}`, user), { table: 'records' }).createTables()
    await expect(postgresStore(poolOf('', user), { table: `${schema()}.others` }).createTables()).rejects.toMatchObject({ code: '42501' })
  })

  test('OP9 an unqualified table gets its indexes whatever other tables on the search path have indexes of those names', async () => {
    const tenant = `${schema()}_tenant`
    await place.pool.query(`CREATE SCHEMA ${tenant}`)
    try {
      const store = postgresStore(poolOf(`-c search_path=${tenant},${schema()}`), { table: 'records' })
      await store.createTables()
      expect(await indexesOf(`${tenant}.records`)).toEqual(['records_client', 'records_expiry', 'records_pkey', 'records_subject'])
      await store.check()
      // One that was lost comes back, alone.
      await place.pool.query(`DROP INDEX ${tenant}.records_client`)
      await store.createTables()
      expect(await indexesOf(`${tenant}.records`)).toContain('records_client')
    } finally {
      await place.pool.query(`DROP SCHEMA ${tenant} CASCADE`)
    }
  })

  test('OP9 a name that another relation of the schema has is an error, not silence', async () => {
    const table = `${schema()}.taken`
    await place.pool.query(`CREATE TABLE ${schema()}.taken_client (x int)`)
    await expect(postgresStore(place.pool, { table }).createTables()).rejects.toThrow('have the names of these indexes of')
  })

  test('OP9 a schema with a strange name', async () => {
    const tenant = `"${schema()} o'$schema$ ""x"""`
    await place.pool.query(`CREATE SCHEMA ${tenant}`)
    try {
      const pool = poolOf('')
      const query = async (text: string, values: unknown[]) => {
        const client = await pool.connect()
        await client.query(`SET search_path = ${tenant}`)
        return client.query(text, values).finally(() => client.release())
      }
      const store = postgresStore({ query })
      await store.createTables()
      await store.check()
      expect(await store.create(record)).toBe(true)
    } finally {
      await place.pool.query(`DROP SCHEMA ${tenant} CASCADE`)
    }
  })

  test('OP5 check() passes on what createTables() made, and for a role that has no more than it needs', async () => {
    await place.store.check()
    const user = await role(`USAGE ON SCHEMA ${schema()}`, `SELECT, INSERT, UPDATE ON ${place.table}`)
    await postgresStore(poolOf('', user), { table: place.table }).check()
    const sweeping = postgresStore(poolOf('', user), { table: place.table, sweepInterval: 600 })
    await expect(sweeping.check()).rejects.toThrow('the role may not DELETE in')
    sweeping.close()
    expect(warnings).toEqual([])
  })

  test('OP5 check() rejects a missing table, a read-only server, a lost privilege, and a server that cannot be reached', async () => {
    await expect(postgresStore(place.pool, { table: `${schema()}.nowhere` }).check()).rejects.toThrow('there is no table')
    const readOnly = postgresStore(poolOf('-c default_transaction_read_only=on'), { table: place.table })
    await expect(readOnly.check()).rejects.toThrow('takes no writes')
    const user = await role(`USAGE ON SCHEMA ${schema()}`, `SELECT, UPDATE ON ${place.table}`)
    await expect(postgresStore(poolOf('', user), { table: place.table }).check()).rejects.toThrow('may not INSERT in')
    const gone = new Pool({ connectionString: 'postgres://127.0.0.1:1/none' })
    gone.on('error', () => {})
    await expect(postgresStore(gone).check()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const late = postgresStore(place.pool, { table: place.table, clock: () => now() - 300 })
    await expect(late.check()).rejects.toThrow('seconds apart')
  })

  const columns = {
    id: 'text COLLATE "C" PRIMARY KEY', version: 'text COLLATE "C" NOT NULL', kind: 'text COLLATE "C" NOT NULL', client_id: 'text COLLATE "C"',
    subject: 'text COLLATE "C"', expires_at: 'bigint NOT NULL', document: 'json NOT NULL',
  } // prettier-ignore

  test.each([
    [{ document: 'text NOT NULL' }, 'the column document of .* is text, not json'],
    [{ expires_at: 'integer NOT NULL' }, 'the column expires_at of .* is integer, not bigint'],
    [{ subject: 'text' }, 'the column subject of .* has the collation default, not C'],
    [{ subject: 'text COLLATE "C" NOT NULL' }, 'the column subject of .* is NOT NULL'],
    [{ id: 'text COLLATE "C"' }, 'has no primary key'],
    [{ version: undefined }, 'has no column version'],
    [{ tenant: 'text NOT NULL' }, 'the column tenant of .* must be filled'],
  ])('OP25 check() rejects a table with %j', async (changed, message) => {
    const table = `${schema()}.odd_${Object.keys(changed)[0]}_${String(Object.values(changed)[0]).length}`
    const list = Object.entries({ ...columns, ...changed } as Record<string, string | undefined>).flatMap(([name, type]) => type ? [`${name} ${type}`] : []) // prettier-ignore
    await place.pool.query(`CREATE TABLE ${table} (${list.join(', ')})`)
    await expect(postgresStore(place.pool, { table }).check()).rejects.toThrow(new RegExp(message))
  })

  test('OP25 check() takes more columns that nobody must fill, and warns of an index that is missing or invalid', async () => {
    const table = `${schema()}.more`
    const store = postgresStore(place.pool, { table })
    await store.createTables()
    await place.pool.query(`ALTER TABLE ${table} ADD COLUMN note text, ADD COLUMN made timestamptz NOT NULL DEFAULT now()`)
    await store.check()
    expect(warnings).toEqual([])
    await place.pool.query(`DROP INDEX ${table}_subject`)
    await store.check()
    expect(warnings).toEqual([expect.stringContaining('no valid index on (subject, id)')])
  })

  test('OP5 check() warns where synchronous_commit is off', async () => {
    await postgresStore(poolOf('-c synchronous_commit=off'), { table: place.table }).check()
    expect(warnings).toEqual([expect.stringContaining('synchronous_commit is off')])
  })

  test('OP22 a server that takes no writes at the moment is asked again', async () => {
    let refusals = 2
    const refused = () => Object.assign(new Error('cannot execute INSERT in a read-only transaction'), { code: '25006' })
    const pool: PostgresPool = { query: (text, values) => (text.startsWith('INSERT') && refusals-- > 0 ? Promise.reject(refused()) : place.pool.query(text, values)) } // prettier-ignore
    expect(await postgresStore(pool, { table: place.table }).create({ ...record, id: 'after 25006' })).toBe(true)
    expect(refusals).toBe(-1)
  })

  test.each([[-45, 'behind'], [45, 'ahead of']])('OP26 a server whose clock is %i seconds away is said to be so in words', async (offset, words) => {
    const events: ServerEvent[] = []
    const store = postgresStore(place.pool, { table: place.table, clock: () => now() - offset, onEvent: (event) => events.push(event) })
    await expect(store.check()).rejects.toThrow(/4[45] seconds apart/)
    expect(events).toMatchObject([{ type: 'warning', reason: expect.stringMatching(`^the clock of the database server is 4[45] seconds ${words} the one of this process$`) }])
  }) // prettier-ignore

  test('OP21 records that ended more than a day ago are warned of once, and not where this process sweeps', async () => {
    const table = `${schema()}.unswept`
    const events: ServerEvent[] = []
    const told = async (options: object) => {
      const store = postgresStore(place.pool, { table, onEvent: (event) => events.push(event), ...options })
      await store.createTables()
      for (let turn = 0; turn < 3; turn++) await store.get('x')
      await delay(50)
      store.close()
      return events.splice(0)
    }
    const store = postgresStore(place.pool, { table })
    await store.createTables()
    await store.create({ ...record, id: 'young', expiresAt: now() - 80_000 })
    expect(await told({})).toEqual([])
    await store.create({ ...record, id: 'old', expiresAt: now() - 90_000 })
    expect(await told({ sweepInterval: 600 })).toEqual([])
    expect(await told({})).toMatchObject([{ type: 'warning', reason: expect.stringContaining('set sweepInterval') }])
    expect(warnings).toHaveLength(1)
  })

  /** A pool that looks at the plan of what each batch of a sweep reads, before the batch runs. */
  function watchedPool() {
    const batches: { buffers: number; from: number; milliseconds: number }[] = []
    const query = async (text: string, values: unknown[]) => {
      const [, inner = ''] = /ARRAY\((SELECT .*?) FOR UPDATE/.exec(text) ?? []
      if (inner === '') return place.pool.query(text, values)
      const { rows } = await place.pool.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${inner}`, values)
      const [{ Plan: plan }] = (rows as [{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }])[0]['QUERY PLAN']
      const begun = performance.now()
      const result = await place.pool.query(text, values)
      const buffers = (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0)
      batches.push({ buffers, from: Number(values[2]), milliseconds: performance.now() - begun })
      return result
    }
    return { query, batches }
  }

  test('OP7 under an open snapshot the last batches of a sweep read no more than the first; what it did is an event', async () => {
    const batches = isLong ? 150 : 8
    const table = `${schema()}.backlog`
    const watched = watchedPool()
    const events: ServerEvent[] = []
    await postgresStore(place.pool, { table }).createTables()
    await place.pool.query(
      `INSERT INTO ${table} SELECT 'id' || n, 'v', 'guard', NULL, NULL, ${now() - 500_000} + n, '{"format":1,"data":{}}' FROM generate_series(1, $1::int) AS n`,
      [batches * 1000],
    )
    await place.pool.query(`ANALYZE ${table}`)
    const reader = await place.pool.connect()
    const store = postgresStore({ query: watched.query }, { table, sweepInterval: 1, onEvent: (event) => events.push(event) })
    try {
      await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      await reader.query(`SELECT count(*) FROM ${table}`)
      while (events.length === 0) await delay(20)
    } finally {
      store.close()
      await reader.query('ROLLBACK')
      reader.release()
    }
    expect(events).toMatchObject([{ type: 'store.swept', count: batches * 1000 }])
    const swept = watched.batches.slice(0, batches)
    const mean = (list: typeof swept, of: 'buffers' | 'milliseconds') => list.reduce((sum, batch) => sum + batch[of], 0) / list.length
    const part = Math.ceil(batches / 6)
    expect(mean(swept.slice(-part), 'buffers')).toBeLessThan(1.5 * mean(swept.slice(0, part), 'buffers'))
    expect(swept.map(({ from }) => from)).toEqual([...swept.map(({ from }) => from)].sort((a, b) => a - b))
    if (isLong) expect(mean(swept.slice(-part), 'milliseconds')).toBeLessThan(1.5 * mean(swept.slice(0, part), 'milliseconds'))
  })
})

/**
 * Records in PostgreSQL: one table, one statement per verb, no transaction and no prepared name, so that it is safe behind a
 * pooler in transaction mode.
 *
 *   create    INSERT … ON CONFLICT DO NOTHING       of two with one id, one gets its row back
 *   replace   UPDATE … WHERE id = … AND version = …  the second one waits for the first and then finds another version
 *
 * A query without an answer is ended after `queryTimeout`, where the pool is one of `pg`: a connection that was lost without a word would else
 * be waited for until the kernel gives it up, a quarter of an hour.
 *
 * The pool must reach the primary. What is acknowledged survives a crash of the server while `synchronous_commit` is on, and a
 * failover while a synchronous standby exists.
 */
import { noteRemedy } from '../known-causes.js'
import { has } from '../option-checks/value-advice.js'
import { fromListedRow, fromRow, rangeOfKind, toDocument, type Row } from './document.js'
import { checkStatement, creationBlock, lookStatement, readCheck, readLook } from './postgres-catalogue.js'
import { inSchema, missingTable, postgresStatements, tableNames } from './schema.js'
import { serverTime } from './server-time.js'
import type { ListFilter, Store, StoredRecord } from './store.js'
import {
  assertWhole,
  durableOptionNames,
  errorMember,
  graceSeconds,
  readUpkeep,
  retrying,
  startSweeping,
  watchBacklog,
  type DeleteExpiredOptions,
  type DurableStoreOptions,
  type SweepingOptions,
  type SweptBatch,
} from './upkeep.js'

/** What is used of a pool: `pg`, PGlite, Neon and others have it. */
export interface PostgresPool {
  query(text: string, values: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

/** Options of {@link postgresStore}. */
export interface PostgresStoreOptions extends DurableStoreOptions, SweepingOptions {
  /** The table, `name` or `schema.name`, of letters, digits and underscores. Default `oauth2_records`. */
  readonly table?: string
  /**
   * Milliseconds after which a query that has no answer is ended together with its connection, so that the pool makes a new one. Not below `storeTimeout`
   * of the server. For pools of `pg`; other pools have to do it themselves. Default: `query_timeout` of the pool, else 5000.
   */
  readonly queryTimeout?: number
}

/** A {@link Store} in PostgreSQL. */
export interface PostgresStore extends Store {
  /**
   * Looks for the table and its indexes, and creates what is missing, which alone needs the privilege CREATE. Can be run at any time, by several processes
   * at once, under load.
   */
  createTables(): Promise<void>
  /** Deletes a batch of records that ended more than a minute ago, and says how many. Waits for no request and lets none wait. */
  deleteExpired(options?: DeleteExpiredOptions): Promise<number>
  /**
   * Rejects with the reason where the store cannot work: no answer, a standby or read-only server, a clock that is more than 30 seconds away, a table that
   * is missing or differs from the schema, a privilege that the role does not have. Warns of a missing index and of `synchronous_commit` off.
   */
  check(): Promise<void>
  /** Ends the timer of `sweepInterval`. The pool stays yours. */
  close(): void
}

/** What pools of `pg` have beside. */
interface PgPool {
  query(config: { text: string; values: unknown[]; query_timeout: number }): ReturnType<PostgresPool['query']>
  readonly totalCount: number
  readonly options: { readonly max?: unknown; readonly query_timeout?: unknown }
  listenerCount?(event: string): unknown
}

const pageSize = 200

/** Milliseconds for a batch of a sweep: nobody waits for it. */
const sweepTimeout = 60_000

/**
 * Makes a store in PostgreSQL 12 or newer.
 *
 * @throws ConfigurationError when there is no option of that name, TypeError when an option is wrong.
 */
export function postgresStore(pool: PostgresPool, options: PostgresStoreOptions = {}): PostgresStore {
  if (!has(pool, 'query')) throw new TypeError('postgresStore takes a pool of pg, as in postgresStore(new Pool({ connectionString }))')
  const upkeep = readUpkeep(options, [...durableOptionNames, 'table', 'sweepInterval', 'queryTimeout'], 'postgresStore')
  const names = tableNames(options.table)
  const statements = prepareStatements(names.table)
  const pgPool = isPgPool(pool) ? pool : undefined
  const queryTimeout = readQueryTimeout(options.queryTimeout, pgPool)
  let isUsed = false
  const backlog = watchBacklog(options.sweepInterval, upkeep, async (instant) => (await send(statements.hasEnded, [instant])).length > 0)
  const time = serverTime(upkeep, async () => {
    const [row] = await send(statements.time, [])
    backlog()
    return Number(row?.now)
  })

  async function send(text: string, values: unknown[], query_timeout = queryTimeout): Promise<readonly Row[]> {
    if (!isUsed) beginUse()
    try {
      const { rows } = await (pgPool === undefined ? pool.query(text, values) : pgPool.query({ text, values, query_timeout }))
      return rows as readonly Row[]
    } catch (thrown) {
      // undefined_table
      if (errorMember(thrown, 'code') === '42P01') noteRemedy(thrown, missingTable(names))
      throw thrown
    }
  }

  function beginUse(): void {
    isUsed = true
    if (pgPool?.listenerCount?.('error') !== 0) return
    upkeep.warn("the pool has no listener for errors, so pg ends the process when an idle connection breaks: pool.on('error', () => {})")
  }

  /** Serialization failures and deadlocks were rolled back by the server, so they are tried again; nothing else is. */
  function call(text: string, values: unknown[]): Promise<readonly Row[]> {
    return retrying(async () => {
      time.check()
      return send(text, values)
    }, isRolledBack)
  }

  async function sweep(limit: number, from: number): Promise<SweptBatch> {
    const [row] = await send(statements.deleteExpired, [upkeep.clock() - graceSeconds, limit, from], sweepTimeout)
    return { deleted: Number(row?.deleted), reached: Number(row?.reached) }
  }

  const look = async () => readLook((await send(lookStatement(names), []))[0])

  async function createTables(): Promise<void> {
    const { isThere, schema, missing } = await look()
    if (isThere && missing.length === 0) return
    const placed = schema === undefined ? names : inSchema(names, schema)
    const { table, indexes } = postgresStatements(placed)
    // Building an index takes as long as it takes.
    const forever = 2 ** 31 - 1
    await send(creationBlock(table, indexes.filter(([name]) => missing.includes(name)), placed.table), [], forever) // prettier-ignore
    const after = await look()
    if (after.missing.length === 0) return
    throw new Error(`postgresStore: other relations have the names of these indexes of ${placed.table}: ${after.missing.join(', ')}`)
  }

  async function check(): Promise<void> {
    const [[row]] = await Promise.all([send(checkStatement(names, options.sweepInterval !== undefined), []), time.compare()])
    const { faults, warnings } = readCheck(row, names)
    for (const warning of warnings) upkeep.warn(warning)
    if (faults.length > 0) throw new Error(`postgresStore: ${faults.join('; ')}`)
    await send(statements.get, ['check'])
  }

  const stopSweeping = startSweeping(options.sweepInterval, sweep, upkeep)

  return {
    ...concurrencyOf(pgPool),
    check,
    async get(id) {
      const [row] = await call(statements.get, [id])
      return row === undefined ? undefined : fromRow(row)
    },
    async create(record) {
      return (await call(statements.create, columnsOf(record))).length === 1
    },
    async replace(record, version) {
      return (await call(statements.replace, [...columnsOf(record), version])).length === 1
    },
    async *list(filter: ListFilter) {
      const { subject, client_id } = filter
      const statement = subject === undefined ? statements.listByClient : statements.listBySubject
      for (let after = ''; ;) {
        const rows = await call(statement, [subject ?? client_id, after, pageSize])
        for (const row of rows) {
          if (client_id === undefined || row.client_id === client_id) yield fromListedRow(row)
        }
        const last = rows.at(-1)?.id
        if (rows.length < pageSize || typeof last !== 'string') return
        after = last
      }
    },
    async scan(kind, { after, limit }) {
      const [first, end] = rangeOfKind(kind)
      return (await call(statements.scan, [after ?? first, end, kind, limit])).map(fromListedRow)
    },
    createTables,
    async deleteExpired({ limit = 1000 } = {}) {
      assertWhole(limit, 'limit')
      return (await sweep(limit, 0)).deleted
    },
    close: stopSweeping,
  }
}

function columnsOf(record: StoredRecord): unknown[] {
  const { id, version, kind, client_id = null, subject = null, expiresAt } = record
  return [id, version, kind, client_id, subject, expiresAt, toDocument(record)]
}

function prepareStatements(table: string) {
  const all = 'id, version, kind, client_id, subject, expires_at, document'
  const listBy = (column: string) =>
    `SELECT ${all} FROM ${table} WHERE kind = 'authorization' AND ${column} = $1 AND id > $2 ORDER BY id LIMIT $3`
  return {
    get: `SELECT ${all} FROM ${table} WHERE id = $1`,
    create: `INSERT INTO ${table} (${all}) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING RETURNING id`,
    replace:
      `UPDATE ${table} SET version = $2, kind = $3, client_id = $4, subject = $5, expires_at = $6, document = $7 ` +
      'WHERE id = $1 AND version = $8 RETURNING id',
    listBySubject: listBy('subject'),
    listByClient: listBy('client_id'),
    scan: `SELECT ${all} FROM ${table} WHERE id > $1 AND id < $2 AND kind = $3 ORDER BY id LIMIT $4`,
    // Rows that a request holds are left for the next batch. The array is made once, whatever plan is chosen.
    deleteExpired:
      `WITH gone AS (DELETE FROM ${table} WHERE id = ANY (ARRAY(SELECT id FROM ${table} WHERE expires_at < $1 AND expires_at >= $3 ` +
      'ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING expires_at) ' +
      'SELECT count(*)::int AS deleted, coalesce(max(expires_at), 0)::float8 AS reached FROM gone',
    hasEnded: `SELECT 1 FROM ${table} WHERE expires_at < $1 ORDER BY expires_at LIMIT 1`,
    time: 'SELECT extract(epoch FROM clock_timestamp())::float8 AS now',
  }
}

/** serialization_failure, deadlock_detected, a server that does not take connections yet, and one that takes no writes at the moment. */
const rolledBack: readonly unknown[] = ['40001', '40P01', '57P03', '25006']

function isRolledBack(error: unknown): boolean {
  return rolledBack.includes(errorMember(error, 'code'))
}

function isPgPool(pool: PostgresPool): pool is PostgresPool & PgPool {
  const { totalCount, options } = pool as Partial<Omit<PgPool, 'query'>>
  return typeof totalCount === 'number' && typeof options === 'object' && (options as unknown) !== null
}

function readQueryTimeout(asked: unknown, pool: PgPool | undefined): number {
  const { query_timeout } = pool?.options ?? {}
  if (asked === undefined) return typeof query_timeout === 'number' && query_timeout > 0 ? query_timeout : 5000
  assertWhole(asked, 'postgresStore: queryTimeout')
  return asked
}

/** More calls at once than connections would wait in the pool, where nobody sees whether anybody still waits for them. */
function concurrencyOf(pool: PgPool | undefined): { concurrency?: number } {
  const max = pool?.options.max
  return typeof max === 'number' && max > 0 ? { concurrency: max } : {}
}

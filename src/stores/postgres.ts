/**
 * Records in PostgreSQL: one table, one statement per verb, no transaction and no prepared name, so that it is safe behind a
 * pooler in transaction mode.
 *
 *   create    INSERT … ON CONFLICT DO NOTHING       of two with one id, one gets its row back
 *   replace   UPDATE … WHERE id = … AND version = …  the second one waits for the first and then finds another version
 *
 * The pool must reach the primary. What is acknowledged survives a crash of the server while `synchronous_commit` is on, and a
 * failover while a synchronous standby exists.
 */
import { fromListedRow, fromRow, toDocument, type Row } from './document.js'
import { serverTime } from './server-time.js'
import type { ListFilter, Store, StoredRecord } from './store.js'
import { tableNames, postgresSchema } from './schema.js'
import {
  assertWhole,
  durableOptionNames,
  errorMember,
  graceSeconds,
  readUpkeep,
  retrying,
  startSweeping,
  type DeleteExpiredOptions,
  type DurableStoreOptions,
  type SweepingOptions,
} from './upkeep.js'

/** What is used of a pool: `pg`, PGlite, Neon and others have it. */
export interface PostgresPool {
  query(text: string, values: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

/** Options of {@link postgresStore}. */
export interface PostgresStoreOptions extends DurableStoreOptions, SweepingOptions {
  /** The table, `name` or `schema.name`, of letters, digits and underscores. Default `oauth2_records`. */
  readonly table?: string
}

/** A {@link Store} in PostgreSQL. */
export interface PostgresStore extends Store {
  /** Creates the table and its indexes where they are missing. Can be run at any time, by several processes at once, under load. */
  createTables(): Promise<void>
  /** Deletes a batch of records that ended more than a minute ago, and says how many. Waits for no request and lets none wait. */
  deleteExpired(options?: DeleteExpiredOptions): Promise<number>
  /** Ends the timer of `sweepInterval`. The pool stays yours. */
  close(): void
}

const pageSize = 200

/**
 * Makes a store in PostgreSQL 12 or newer.
 *
 * @throws ConfigurationError when there is no option of that name, TypeError when an option is wrong.
 */
export function postgresStore(pool: PostgresPool, options: PostgresStoreOptions = {}): PostgresStore {
  const upkeep = readUpkeep(options, [...durableOptionNames, 'table', 'sweepInterval'], 'postgresStore')
  const names = tableNames(options.table)
  const statements = prepareStatements(names.table)
  const time = serverTime(upkeep, async () => Number((await send(statements.time, []))[0]?.now))

  async function send(text: string, values: unknown[]): Promise<readonly Row[]> {
    const { rows } = await pool.query(text, values)
    return rows as readonly Row[]
  }

  /** Serialization failures and deadlocks were rolled back by the server, so they are tried again; nothing else is. */
  function call(text: string, values: unknown[]): Promise<readonly Row[]> {
    return retrying(async () => {
      time.check()
      return send(text, values)
    }, isRolledBack)
  }

  async function sweep(limit: number): Promise<number> {
    const [row] = await send(statements.deleteExpired, [upkeep.clock() - graceSeconds, limit])
    return Number(row?.deleted)
  }

  const stopSweeping = startSweeping(options.sweepInterval, sweep, upkeep.emit)

  return {
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
    async createTables() {
      await send(postgresSchema(names, 'block'), [])
    },
    async deleteExpired({ limit = 1000 } = {}) {
      assertWhole(limit, 'limit')
      return sweep(limit)
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
    // Rows that a request holds are left for the next batch. The array is made once, whatever plan is chosen.
    deleteExpired:
      `WITH gone AS (DELETE FROM ${table} WHERE id = ANY (ARRAY(SELECT id FROM ${table} WHERE expires_at < $1 ` +
      'ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING 1) SELECT count(*)::int AS deleted FROM gone',
    time: 'SELECT extract(epoch FROM clock_timestamp())::float8 AS now',
  }
}

/** serialization_failure, deadlock_detected, and a server that does not take connections yet. */
function isRolledBack(error: unknown): boolean {
  const code = errorMember(error, 'code')
  return code === '40001' || code === '40P01' || code === '57P03'
}

/**
 * Records in SQLite: one table, one statement per verb. Several processes on one machine may share the file.
 *
 * The database is synchronous, so a call of it stops the event loop; it may do so for 50 ms at the most while another process
 * writes, and is tried again after that without stopping anything. Each write is on the disk before it is answered.
 *
 * Give the store a connection of its own: a transaction that the application has open there would hold what the store writes.
 */
import { noteRemedy } from '../known-causes.js'
import { has } from '../option-checks/value-advice.js'
import { fromListedRow, fromRow, rangeOfKind, toDocument, type Row } from './document.js'
import { missingTable, sqliteColumns, sqliteSchema, tableNames, type TableNames } from './schema.js'
import type { ListFilter, Store, StoredRecord } from './store.js'
import {
  assertWhole,
  errorMember,
  graceSeconds,
  readUpkeep,
  retrying,
  startSweeping,
  watchBacklog,
  type DeleteExpiredOptions,
  type DurableStoreOptions,
  type SweepingOptions,
} from './upkeep.js'

/** A value that is bound to a statement. */
export type SqliteValue = string | number | null

/** What is used of a prepared statement. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): { readonly changes: number | bigint }
  get(...values: SqliteValue[]): unknown
}

/** What is used of a connection: `libsql`, better-sqlite3 and `node:sqlite` have it. */
export interface SqliteDatabase {
  prepare(sql: string): SqliteStatement
}

/** Options of {@link sqliteStore}. */
export interface SqliteStoreOptions extends Omit<DurableStoreOptions, 'clockTolerance'>, SweepingOptions {
  /** The table, of letters, digits and underscores. Default `oauth2_records`. */
  readonly table?: string
}

/** A {@link Store} in SQLite. */
export interface SqliteStore extends Store {
  /** Creates the table and its indexes where they are missing, and turns on the write-ahead log. Can be run at any time. */
  createTables(): Promise<void>
  /** Deletes a batch of records that ended more than a minute ago, and says how many. */
  deleteExpired(options?: DeleteExpiredOptions): Promise<number>
  /**
   * Rejects with the reason where the store cannot work: a file that cannot be read or written, a lock that lasts, a table that is missing or has other
   * columns. Warns of a missing index.
   */
  check(): Promise<void>
  /** Ends the timer of `sweepInterval`. The connection stays yours. */
  close(): void
}

/**
 * Makes a store in SQLite 3.24 or newer. Sets `busy_timeout` and `synchronous` of the connection.
 *
 * @throws ConfigurationError when there is no option of that name, TypeError when an option is wrong.
 */
export function sqliteStore(database: SqliteDatabase, options: SqliteStoreOptions = {}): SqliteStore {
  if (!has(database, 'prepare')) throw new TypeError("sqliteStore takes an open database, as in sqliteStore(new DatabaseSync('tokens.db'))")
  const upkeep = readUpkeep(options, ['clock', 'onEvent', 'table', 'sweepInterval'], 'sqliteStore')
  const names = tableNames(options.table)
  if (names.schema !== '') throw new TypeError('sqliteStore: table must be a name of letters, digits and underscores')
  const texts = statementTexts(names.table)
  const prepared = new Map<string, SqliteStatement>()
  let isSet = false

  function statement(sql: string): SqliteStatement {
    const known = prepared.get(sql)
    if (known !== undefined) return known
    if (!isSet) {
      database.prepare('PRAGMA busy_timeout = 50').get()
      // Some drivers choose NORMAL, with which a loss of power takes back what was answered.
      database.prepare('PRAGMA synchronous = FULL').run()
      isSet = true
    }
    const made = prepare(sql)
    prepared.set(sql, made)
    return made
  }

  function prepare(sql: string): SqliteStatement {
    try {
      return database.prepare(sql)
    } catch (thrown) {
      // SQLite has no code for it.
      if (/^no such table\b/.test(String(errorMember(thrown, 'message')))) noteRemedy(thrown, missingTable(names))
      throw thrown
    }
  }

  /** A busy database did nothing, so the call is repeated. */
  function call<T>(work: () => T): Promise<T> {
    return retrying(async () => {
      const answer = work()
      backlog()
      return answer
    }, isBusy)
  }

  const sweep = async (limit: number) =>
    Number((await call(() => statement(texts.deleteExpired).run(upkeep.clock() - graceSeconds, limit))).changes)

  const backlog = watchBacklog(options.sweepInterval, upkeep, async (instant) => isRow(statement(texts.hasEnded).get(instant)))

  async function check(): Promise<void> {
    const { columns, indexes } = await call(() => catalogueOf(database, names))
    for (const index of [names.bySubject, names.byClient, names.byExpiry]) {
      if (!indexes.includes(index.slice(1, -1)))
        upkeep.warn(`${names.table} has no index ${index}: every search for it reads the whole table; call createTables()`)
    }
    if (columns === '') throw new Error(`sqliteStore: there is no table ${names.table}; call createTables()`)
    if (columns !== sqliteColumns) throw new Error(`sqliteStore: the columns of ${names.table} are ${columns}, not ${sqliteColumns}`)
    // Takes the lock of a write, and fails where the file or the connection is read-only; changes nothing.
    await call(() => statement(texts.replace).run('', '', null, null, 0, '', 'check', ''))
    await call(() => statement(texts.get).get('check'))
  }

  const stopSweeping = startSweeping(options.sweepInterval, async (limit) => ({ deleted: await sweep(limit) }), upkeep)

  return {
    check,
    async get(id) {
      const row = await call(() => statement(texts.get).get(id))
      return isRow(row) ? fromRow(row) : undefined
    },
    async create(record) {
      const columns = columnsOf(record)
      return Number((await call(() => statement(texts.create).run(...columns))).changes) === 1
    },
    async replace(record, version) {
      const [id, ...columns] = columnsOf(record)
      return Number((await call(() => statement(texts.replace).run(...columns, id, version))).changes) === 1
    },
    async *list(filter: ListFilter) {
      const { subject, client_id } = filter
      const sql = subject === undefined ? texts.listByClient : texts.listBySubject
      for (let after = ''; ;) {
        const row = await call(() => statement(sql).get(subject ?? client_id, after))
        if (!isRow(row) || typeof row.id !== 'string') return
        after = row.id
        if (client_id === undefined || row.client_id === client_id) yield fromListedRow(row)
      }
    },
    async scan(kind, { after, limit }) {
      const [first, end] = rangeOfKind(kind)
      const found: StoredRecord[] = []
      // One row at a time: not every driver has a call for several.
      for (let last = after ?? first; found.length < limit;) {
        const row = await call(() => statement(texts.scan).get(last, end, kind))
        if (!isRow(row) || typeof row.id !== 'string') break
        last = row.id
        found.push(fromListedRow(row))
      }
      return found
    },
    async createTables() {
      await call(() => database.prepare('PRAGMA journal_mode = WAL').get())
      for (const sql of sqliteSchema(names)) await call(() => database.prepare(sql).run())
    },
    async deleteExpired({ limit = 1000 } = {}) {
      assertWhole(limit, 'limit')
      return sweep(limit)
    },
    close: stopSweeping,
  }
}

function columnsOf(record: StoredRecord): [id: string, ...rest: SqliteValue[]] {
  const { id, version, kind, client_id = null, subject = null, expiresAt } = record
  return [id, version, kind, client_id, subject, expiresAt, toDocument(record)]
}

function statementTexts(table: string) {
  const all = 'id, version, kind, client_id, subject, expires_at, document'
  const listBy = (column: string) =>
    `SELECT ${all} FROM ${table} WHERE kind = 'authorization' AND ${column} = ? AND id > ? ORDER BY id LIMIT 1`
  return {
    get: `SELECT ${all} FROM ${table} WHERE id = ?`,
    create: `INSERT INTO ${table} (${all}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
    replace:
      `UPDATE ${table} SET version = ?, kind = ?, client_id = ?, subject = ?, expires_at = ?, document = ? ` +
      'WHERE id = ? AND version = ?',
    listBySubject: listBy('subject'),
    listByClient: listBy('client_id'),
    scan: `SELECT ${all} FROM ${table} WHERE id > ? AND id < ? AND kind = ? ORDER BY id LIMIT 1`,
    deleteExpired: `DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`,
    hasEnded: `SELECT 1 FROM ${table} WHERE expires_at < ? LIMIT 1`,
  }
}

/** The columns of the table, as in {@link sqliteColumns} and empty where it is missing, and the names of its indexes. */
function catalogueOf(database: SqliteDatabase, { table }: TableNames): { columns: string; indexes: readonly string[] } {
  const name = table.slice(1, -1)
  const column = `name || ' ' || upper(type) || CASE WHEN "notnull" THEN ' NOT NULL' ELSE '' END || CASE WHEN pk THEN ' PRIMARY KEY' ELSE '' END`
  const columns = database.prepare(`SELECT coalesce(group_concat(${column}, ', '), '') AS list FROM pragma_table_info('${name}')`).get()
  const indexes = database.prepare(`SELECT coalesce(group_concat(name, ','), '') AS list FROM pragma_index_list('${name}')`).get()
  return { columns: listIn(columns), indexes: listIn(indexes).split(',') }
}

function listIn(row: unknown): string {
  return isRow(row) && typeof row.list === 'string' ? row.list : ''
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null
}

const busy = 5
const locked = 6

/** SQLITE_BUSY and SQLITE_LOCKED, in the words of each driver; extended codes carry more above the lowest byte. */
function isBusy(error: unknown): boolean {
  const code = errorMember(error, 'code')
  if (typeof code === 'string' && /^SQLITE_(BUSY|LOCKED)/.test(code)) return true
  const number = errorMember(error, 'errcode') ?? errorMember(error, 'rawCode')
  return typeof number === 'number' && [busy, locked].includes(number & 0xff)
}

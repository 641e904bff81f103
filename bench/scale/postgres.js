/** PostgreSQL as a place for a large and an empty store: two tables with the indexes that the package gives them. */
import { readFileSync } from 'node:fs'
import pg from 'pg'

const columns = 'id, version, kind, client_id, subject, expires_at, document'
const fillFactor = 69
const url = process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/test'

export async function open(name, role, load) {
  const { postgresStore } = await load('stores/postgres')
  const pool = new pg.Pool({ connectionString: url, max: 20, idleTimeoutMillis: 0, application_name: `${name}_${role}` })
  const tables = { empty: `${name}_empty`, full: `${name}_full` }
  const stores = {
    empty: postgresStore(pool, { table: tables.empty }),
    full: postgresStore(pool, { table: tables.full }),
  }

  /** The nanoseconds that the processes of connections have run for, by process; nothing where they are on another machine. */
  async function running() {
    const { rows } = await pool.query('SELECT pid FROM pg_stat_activity WHERE application_name = $1', [`${name}_server`])
    return new Map(rows.map(({ pid }) => [pid, nanosecondsOf(pid)]))
  }

  async function insert(store, rows) {
    const json = rows.map(({ document, ...row }) => `${JSON.stringify(row).slice(0, -1)},"document":${document}}`)
    await pool.query(
      `INSERT INTO ${tables[store]} (${columns}) SELECT ${columns} FROM json_to_recordset($1) AS row
       (id text, version text, kind text, client_id text, subject text, expires_at bigint, document json)`,
      [`[${json.join(',')}]`],
    )
  }

  /** What `createTables` has made of indexes, as statements that make them as full as random inserts leave them. */
  let indexes = []

  /** Building an index at the end takes a tenth of the time that filling it takes. */
  async function dropIndexes() {
    const { rows } = await pool.query('SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE tablename = $1', [tables.full])
    indexes = rows.map(({ sql }) => sql.replace(/( WHERE|$)/, ` WITH (fillfactor = ${fillFactor})$1`))
    await pool.query(`ALTER TABLE ${tables.full} DROP CONSTRAINT ${tables.full}_pkey`)
    for (const { name: index } of rows.filter((row) => row.name !== `${tables.full}_pkey`)) await pool.query(`DROP INDEX ${index}`)
  }

  async function createIndexes() {
    for (const sql of indexes) await pool.query(sql)
    await pool.query(`ALTER TABLE ${tables.full} ADD PRIMARY KEY USING INDEX ${tables.full}_pkey`)
  }

  /** By pg_prewarm, which comes with PostgreSQL; where it is not installed the requests have to do it. */
  async function warm() {
    const { rows } = await pool.query(`SELECT installed_version AS version FROM pg_available_extensions WHERE name = 'pg_prewarm'`)
    if (rows.length === 0) return
    if (rows[0].version === null) await pool.query('CREATE EXTENSION pg_prewarm')
    await pool.query(
      `SELECT pg_prewarm(oid) FROM pg_class
       WHERE oid = $1::regclass OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = $1::regclass)`,
      [tables.full],
    )
    if (rows[0].version === null) await pool.query('DROP EXTENSION pg_prewarm')
  }

  return {
    stores,
    hasSweep: true,
    insert,
    async create() {
      await stores.empty.createTables()
      await stores.full.createTables()
      await dropIndexes()
    },
    async read(id) {
      const { rows } = await pool.query(`SELECT *, document::text AS document FROM ${tables.empty} WHERE id = $1`, [id])
      return rows[0]
    },
    /** As in a database that has been up for a while: statistics, visibility, and in its buffers whatever they have room for. */
    async settle() {
      await createIndexes()
      await pool.query(`VACUUM (ANALYZE) ${tables.full}`)
      await pool.query('CHECKPOINT')
      await warm()
    },
    async refill(rows) {
      await pool.query(`TRUNCATE ${tables.empty}`)
      if (rows.length > 0) await insert('empty', rows)
      await pool.query(`VACUUM (ANALYZE) ${tables.empty}`)
    },
    async usage() {
      const { rows } = await pool.query(`SELECT pg_current_wal_insert_lsn() - '0/0' AS written`)
      return { processes: await running(), written: Number(rows[0].written) }
    },
    async sizes() {
      const { rows } = await pool.query(
        `SELECT relname AS name, pg_relation_size(oid) AS bytes FROM pg_class
         WHERE oid = $1::regclass OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = $1::regclass) ORDER BY relkind DESC, relname`,
        [tables.full],
      )
      return rows.map(({ name: of, bytes }) => [of.replace(tables.full, 'table').replace('table_', 'index '), Number(bytes)])
    },
    async version() {
      const { rows } = await pool.query('SHOW server_version')
      const { rows: settings } = await pool.query("SELECT current_setting('shared_buffers') AS shared_buffers")
      return `PostgreSQL ${rows[0].server_version.split(' ')[0]}, shared_buffers ${settings[0].shared_buffers}`
    },
    async drop() {
      await pool.query(`DROP TABLE IF EXISTS ${tables.empty}, ${tables.full}`)
    },
    close: () => pool.end(),
  }
}

function nanosecondsOf(pid) {
  try {
    if (!readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('postgres')) return undefined
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0])
  } catch {
    return undefined
  }
}

/** Microseconds of CPU and bytes of write-ahead log between two usages. */
export function difference(before, after) {
  let nanoseconds = 0
  for (const [pid, now] of after.processes) nanoseconds += (now ?? NaN) - (before.processes.get(pid) ?? 0)
  return { cpu: nanoseconds / 1000, written: after.written - before.written }
}

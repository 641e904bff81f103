/**
 * What the catalogue of PostgreSQL says about the table of records: what is missing, and what differs from the printed schema.
 *
 * 1. `lookStatement` finds the table where `CREATE TABLE` would make it, and else, where this role may not create there, the one that statements see.
 *    Indexes are those of that table, whatever other tables on the search path have indexes of the same names.
 * 2. `checkStatement` reads columns, indexes, privileges and the state of the server; `faultsOf` says what keeps the store from its work.
 */
import type { Row } from './document.js'
import { postgresColumns, type TableNames } from './schema.js'

/** The table that was found, and what it lacks. */
export interface TableLook {
  readonly isThere: boolean
  /** The quoted name of its schema. */
  readonly schema: string | undefined
  /** The names of the indexes that it does not have. */
  readonly missing: readonly string[]
}

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`

/** One row with the columns is_there, schema and missing: see {@link readLook}. */
export function lookStatement({ table, schema, bySubject, byClient, byExpiry }: TableNames): string {
  const place = schema === '' ? 'quote_ident(current_schema())' : literal(schema.slice(0, -1))
  const mayCreate = "coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
  const target =
    schema === ''
      ? `coalesce(to_regclass(${place} || ${literal(`.${table}`)}), CASE WHEN NOT ${mayCreate} THEN to_regclass(${literal(table)}) END)`
      : `to_regclass(${literal(table)})`
  const missing = [bySubject, byClient, byExpiry].map((quoted) => {
    const name = literal(quoted.slice(1, -1))
    return `CASE WHEN NOT ${hasIndex('t.target', name)} THEN ${name} END`
  })
  const ownSchema = 'SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = t.target'
  return (
    `SELECT CASE WHEN t.target IS NOT NULL THEN 'yes' END AS is_there, coalesce((${ownSchema}), ${place}) AS schema, ` +
    `concat_ws(',', ${missing.join(', ')}) AS missing FROM (SELECT ${target} AS target) AS t`
  )
}

function hasIndex(table: string, name: string): string {
  return `EXISTS (SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = ${table} AND c.relname = ${name})`
}

/** What the row of {@link lookStatement} says. */
export function readLook(row: Row | undefined): TableLook {
  const missing = typeof row?.missing === 'string' && row.missing !== '' ? row.missing.split(',') : []
  return { isThere: row?.is_there === 'yes', schema: typeof row?.schema === 'string' ? row.schema : undefined, missing }
}

/** One block that makes what is missing, in the schema of the look. Of several processes at once one makes it, and the others find it. */
export function creationBlock(createTable: string, indexes: readonly (readonly [name: string, create: string])[], table: string): string {
  const makeTable = `IF to_regclass(${literal(table)}) IS NULL THEN ${createTable}; END IF;`
  const makeIndexes = indexes.map(([name, create]) => {
    return `IF NOT ${hasIndex(`to_regclass(${literal(table)})`, literal(name))} THEN ${create}; END IF;`
  })
  const body = `BEGIN PERFORM pg_advisory_xact_lock(hashtext('oauth2-token-handler')); ${makeTable} ${makeIndexes.join(' ')} END`
  // Not a dollar quote, which the name of a schema could end.
  return `DO ${literal(body)}`
}

/** One row about the table and the server. The privileges of a sweep are asked for where this process sweeps. */
export function checkStatement({ table }: TableNames, isSweeping: boolean): string {
  const privileges = ['SELECT', 'INSERT', 'UPDATE', ...(isSweeping ? ['DELETE'] : [])]
  // One by one: of a list with commas has_table_privilege wants any, not all.
  const refused = privileges.map((name) => `CASE WHEN NOT has_table_privilege(t.target, '${name}') THEN '${name}' END`)
  const columns =
    "SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'required', a.attnotnull, " +
    "'collation', (SELECT collname FROM pg_collation WHERE oid = a.attcollation), 'filled', a.atthasdef OR a.attidentity <> '')) " +
    'FROM pg_attribute a WHERE a.attrelid = t.target AND a.attnum > 0 AND NOT a.attisdropped'
  const indexes =
    "SELECT json_agg(json_build_object('unique', i.indisunique AND i.indpred IS NULL, 'columns', (SELECT string_agg(pg_get_indexdef(i.indexrelid, " +
    "n, true), ',' ORDER BY n) FROM generate_series(1, i.indnkeyatts) AS n))) FROM pg_index i WHERE i.indrelid = t.target AND i.indisvalid"
  return (
    `SELECT CASE WHEN t.target IS NOT NULL THEN 'yes' END AS is_there, CASE WHEN pg_is_in_recovery() THEN 'yes' END AS is_standby, ` +
    "current_setting('transaction_read_only') AS read_only, current_setting('synchronous_commit') AS synchronous_commit, " +
    `concat_ws(', ', ${refused.join(', ')}) AS refused, (${columns})::text AS columns, (${indexes})::text AS indexes ` +
    `FROM (SELECT to_regclass(${literal(table)}) AS target) AS t`
  )
}

/** What is wrong, in words for people: `faults` keep the store from its work, `warnings` make it slow or forgetful. */
export interface CatalogueReport {
  readonly faults: readonly string[]
  readonly warnings: readonly string[]
}

/** What the row of {@link checkStatement} says. */
export function readCheck(row: Row | undefined, { table }: TableNames): CatalogueReport {
  const faults: string[] = []
  const warnings: string[] = []
  if (row?.is_standby === 'yes') faults.push('the server is a standby; connect to the primary')
  else if (row?.read_only === 'on') faults.push('the server takes no writes (transaction_read_only is on)')
  if (row?.is_there !== 'yes') return { faults: [...faults, `there is no table ${table}; call createTables()`], warnings }
  if (typeof row.refused === 'string' && row.refused !== '') faults.push(`the role may not ${row.refused} in ${table}`)
  faults.push(...columnFaults(listOf(row.columns), table))
  const indexed = listOf(row.indexes)
  if (!indexed.some(({ unique, columns }) => unique === true && columns === 'id')) faults.push(`${table} has no primary key (id)`)
  for (const wanted of ['subject,id', 'client_id,id', 'expires_at']) {
    const isIndexed = indexed.some(({ columns }) => typeof columns === 'string' && `${columns},`.startsWith(`${wanted},`))
    if (!isIndexed)
      warnings.push(`${table} has no valid index on (${wanted.replace(',', ', ')}): every search for it reads the whole table`)
  }
  if (row.synchronous_commit === 'off') {
    warnings.push('synchronous_commit is off: a crash of the server takes back the last writes, so a used code works again')
  }
  return { faults, warnings }
}

/** Orders that compare texts byte for byte. */
const plainCollations: readonly unknown[] = ['C', 'POSIX', 'ucs_basic']

function columnFaults(found: readonly Row[], table: string): string[] {
  const byName = new Map(found.map((column) => [column.name, column]))
  const faults = postgresColumns.flatMap(([name, type, isRequired]) => {
    const column = byName.get(name)
    byName.delete(name)
    if (column === undefined) return [`${table} has no column ${name}`]
    if (column.type !== type) return [`the column ${name} of ${table} is ${String(column.type)}, not ${type}`]
    if (type === 'text' && !plainCollations.includes(column.collation))
      return [`the column ${name} of ${table} has the collation ${String(column.collation)}, not C`]
    if (!isRequired && column.required === true) return [`the column ${name} of ${table} is NOT NULL; it is empty in many records`]
    return []
  })
  const unfilled = [...byName.values()].filter(({ required, filled }) => required === true && filled !== true)
  return [...faults, ...unfilled.map(({ name }) => `the column ${String(name)} of ${table} must be filled, and no statement fills it`)]
}

/** The objects of a JSON array; null, where it is of nothing, is an empty one. */
function listOf(json: unknown): readonly Row[] {
  const list: unknown = typeof json === 'string' ? JSON.parse(json) : []
  return Array.isArray(list) ? list.filter((item): item is Row => typeof item === 'object' && item !== null) : []
}

/**
 * The table of records, as SQL for PostgreSQL and SQLite.
 *
 * What is searched has a column; the rest is one JSON document that is checked on reading. Listing uses two partial indexes, so that
 * guards and clients, which are never listed, cost nothing there.
 */

/** Quoted names of a table and its indexes. */
export interface TableNames {
  readonly table: string
  readonly bySubject: string
  readonly byClient: string
  readonly byExpiry: string
  /** Before the name of the table: `"schema".`, or nothing. */
  readonly schema: string
}

export const defaultTable = 'oauth2_records'

const nameGrammar = /^(?:([A-Za-z_][A-Za-z0-9_]{0,47})\.)?([A-Za-z_][A-Za-z0-9_]{0,47})$/

/** @throws TypeError when it is not `name` or `schema.name` in letters, digits and underscores, 48 at the most. */
export function tableNames(table: string = defaultTable): TableNames {
  const match = typeof table === 'string' ? nameGrammar.exec(table) : null
  if (match === null) throw new TypeError('table must be a name, or schema.name, of letters, digits and underscores')
  const [, schema, name = ''] = match
  return namesIn(schema === undefined ? '' : `"${schema}".`, name)
}

/** The same table in a schema whose quoted name the database has answered. */
export function inSchema({ table, schema }: TableNames, quoted: string): TableNames {
  return namesIn(`${quoted}.`, table.slice(schema.length + 1, -1))
}

function namesIn(prefix: string, name: string): TableNames {
  return {
    table: `${prefix}"${name}"`,
    bySubject: `"${name}_subject"`,
    byClient: `"${name}_client"`,
    byExpiry: `"${name}_expiry"`,
    schema: prefix,
  }
}

/** The remedy where a database says that there is no such table. */
export function missingTable({ table }: TableNames): string {
  return `table ${table} does not exist; call await store.createTables()`
}

function indexesOf({ table, bySubject, byClient, byExpiry }: TableNames): readonly (readonly [name: string, on: string])[] {
  return [
    [bySubject, `${table} (subject, id) WHERE kind = 'authorization' AND subject IS NOT NULL`],
    [byClient, `${table} (client_id, id) WHERE kind = 'authorization'`],
    [byExpiry, `${table} (expires_at)`],
  ]
}

/** Name and type of each column in PostgreSQL, and whether every record has it. */
export const postgresColumns: readonly (readonly [name: string, type: string, isRequired: boolean])[] = [
  ['id', 'text', true],
  ['version', 'text', true],
  ['kind', 'text', true],
  ['client_id', 'text', false],
  ['subject', 'text', false],
  ['expires_at', 'bigint', true],
  ['document', 'json', true],
]

/** The statements that make the table and its indexes in PostgreSQL. */
export function postgresStatements(names: TableNames): {
  readonly table: string
  readonly indexes: readonly (readonly [name: string, create: string])[]
} {
  // Texts are compared byte for byte, which is also the cheapest order.
  const columns = postgresColumns.map(([name, type, isRequired]) => {
    const constraint = name === 'id' ? ' PRIMARY KEY' : isRequired ? ' NOT NULL' : ''
    return `  ${name} ${type}${type === 'text' ? ' COLLATE "C"' : ''}${constraint}`
  })
  // Records come and go; by default autovacuum waits until a fifth of the table is dead.
  const table = `CREATE TABLE IF NOT EXISTS ${names.table} (\n${columns.join(',\n')}\n) WITH (autovacuum_vacuum_scale_factor = 0.02)`
  const indexes = indexesOf(names).map(([name, on]) => [name.slice(1, -1), `CREATE INDEX IF NOT EXISTS ${name} ON ${on}`] as const)
  return { table, indexes }
}

/** The schema for PostgreSQL, as statements to read and to migrate with. */
export function postgresSchema(names: TableNames): string {
  const { table, indexes } = postgresStatements(names)
  return [table, ...indexes.map(([, create]) => create)].map((sql) => `${sql};\n`).join('')
}

/** The columns in SQLite, as its catalogue has them. */
export const sqliteColumns =
  'id TEXT NOT NULL PRIMARY KEY, version TEXT NOT NULL, kind TEXT NOT NULL, client_id TEXT, subject TEXT, expires_at INTEGER NOT NULL, document TEXT NOT NULL'

/** The schema for SQLite. */
export function sqliteSchema(names: TableNames): readonly string[] {
  const table = `CREATE TABLE IF NOT EXISTS ${names.table} (
  id TEXT PRIMARY KEY NOT NULL,
  version TEXT NOT NULL,
  kind TEXT NOT NULL,
  client_id TEXT,
  subject TEXT,
  expires_at INTEGER NOT NULL,
  document TEXT NOT NULL
)`
  return [table, ...indexesOf(names).map(([name, on]) => `CREATE INDEX IF NOT EXISTS ${name} ON ${on}`)]
}

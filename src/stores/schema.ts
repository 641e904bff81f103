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
  /** Before the name of an index, to look it up: `"schema".`, or nothing. */
  readonly schema: string
}

export const defaultTable = 'oauth2_records'

const nameGrammar = /^(?:([A-Za-z_][A-Za-z0-9_]{0,47})\.)?([A-Za-z_][A-Za-z0-9_]{0,47})$/

/** @throws TypeError when it is not `name` or `schema.name` in letters, digits and underscores, 48 at the most. */
export function tableNames(table: string = defaultTable): TableNames {
  const match = typeof table === 'string' ? nameGrammar.exec(table) : null
  if (match === null) throw new TypeError('table must be a name, or schema.name, of letters, digits and underscores')
  const [, schema, name = ''] = match
  const prefix = schema === undefined ? '' : `"${schema}".`
  return {
    table: `${prefix}"${name}"`,
    bySubject: `"${name}_subject"`,
    byClient: `"${name}_client"`,
    byExpiry: `"${name}_expiry"`,
    schema: prefix,
  }
}

function indexesOf({ table, bySubject, byClient, byExpiry }: TableNames): readonly (readonly [name: string, on: string])[] {
  return [
    [bySubject, `${table} (subject, id) WHERE kind = 'authorization' AND subject IS NOT NULL`],
    [byClient, `${table} (client_id, id) WHERE kind = 'authorization'`],
    [byExpiry, `${table} (expires_at)`],
  ]
}

/**
 * The schema for PostgreSQL: as statements to read and to migrate with, or as one block for any driver.
 *
 * The block looks for an index before it creates it, because CREATE INDEX IF NOT EXISTS locks the table first and asks later.
 */
export function postgresSchema(names: TableNames, form: 'statements' | 'block' = 'statements'): string {
  // Texts are compared byte for byte, which is also the cheapest order.
  const table = `CREATE TABLE IF NOT EXISTS ${names.table} (
  id text COLLATE "C" PRIMARY KEY,
  version text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  client_id text COLLATE "C",
  subject text COLLATE "C",
  expires_at bigint NOT NULL,
  document json NOT NULL
)`
  if (form === 'statements') {
    return [table, ...indexesOf(names).map(([name, on]) => `CREATE INDEX IF NOT EXISTS ${name} ON ${on}`)]
      .map((sql) => `${sql};\n`)
      .join('')
  }
  const indexes = indexesOf(names).map(([name, on]) => {
    return `IF to_regclass('${names.schema}${name}') IS NULL THEN CREATE INDEX IF NOT EXISTS ${name} ON ${on}; END IF;`
  })
  // Two processes that create at once would meet in the catalogue; the lock lasts as long as the block.
  return `DO $schema$ BEGIN PERFORM pg_advisory_xact_lock(hashtext('oauth2-token-handler')); ${table}; ${indexes.join(' ')} END $schema$`
}

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

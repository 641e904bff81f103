#!/usr/bin/env node
/**
 * The command `oauth2-token-handler schema postgres|sqlite [table]`: prints the SQL of a store, for people with migrations of their own.
 */
import { postgresSchema, sqliteSchema, tableNames } from './stores/schema.js'

const usage = 'usage: oauth2-token-handler schema postgres|sqlite [table]\n'

function schemaFor(database: string | undefined, table: string | undefined): string | undefined {
  if (database === 'postgres') return postgresSchema(tableNames(table))
  if (database === 'sqlite') return sqliteSchema(tableNames(table)).map((sql) => `${sql};\n`).join('') // prettier-ignore
  return undefined
}

function main([command, database, table, ...others]: readonly string[]): number {
  try {
    const sql = command === 'schema' && others.length === 0 ? schemaFor(database, table) : undefined
    if (sql === undefined) {
      process.stderr.write(usage)
      return 2
    }
    process.stdout.write(sql)
    return 0
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 2
  }
}

process.exitCode = main(process.argv.slice(2))

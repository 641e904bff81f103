#!/usr/bin/env node
/**
 * The command `oauth2-token-handler`: makes a signing key, makes a client secret, and prints the SQL of a store.
 *
 * The text in `help` is the reference. It ends with 0 when it did its work, with 1 when it could not, and with 2 when it was not understood.
 */
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { digestOfSecret } from './clients/secrets.js'
import { didYouMean } from './option-checks/did-you-mean.js'
import { randomText, secretSize } from './secrets.js'
import { postgresSchema, sqliteSchema, tableNames } from './stores/schema.js'

const usage = `usage: oauth2-token-handler key [file]
       oauth2-token-handler secret
       oauth2-token-handler schema postgres|sqlite [table]
       oauth2-token-handler --help | --version
`

const help = `${usage}
key      makes a private key for jwt({ key }): EC on P-256, as PEM. Writes it to the file, which only its owner
         may read, or prints it. Never overwrites a file.
secret   makes a client secret of 256 random bits, and prints it with its hash. The secret is for the client; the
         hash is for you: clients: [{ client_id, secrets: [{ hash }] }].
schema   prints the SQL that createTables() runs, for migrations of your own. The table is oauth2_records
         unless you name another.
`

/** What is told on stderr: the command was not understood (2), or could not do its work (1). */
class Unable extends Error {
  readonly exitCode: 1 | 2

  constructor(message: string, exitCode: 1 | 2) {
    super(message)
    this.exitCode = exitCode
  }
}

type Command = (args: readonly string[]) => string

const commands: Readonly<Record<string, Command>> = {
  key([file, ...others]) {
    assertNothingElse('key', others)
    const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    return file === undefined ? pem : writeKey(file, pem)
  },

  secret(others) {
    assertNothingElse('secret', others)
    const secret = randomText(secretSize)
    return `client_secret: ${secret}\nhash: ${digestOfSecret(secret)}\n`
  },

  schema([database, table, ...others]) {
    assertNothingElse('schema', others)
    const names = tableNames(table)
    if (database === 'postgres') return postgresSchema(names)
    if (database === 'sqlite') return sqliteSchema(names).map((sql) => `${sql};\n`).join('') // prettier-ignore
    const said = database === undefined ? 'name the database' : `there is no schema for ${JSON.stringify(database)}`
    throw new Unable(`schema: ${said}; it is postgres or sqlite`, 2)
  },
}

function assertNothingElse(command: string, [other]: readonly string[]): void {
  if (other !== undefined) throw new Unable(`${command} does not take ${JSON.stringify(other)}`, 2)
}

function writeKey(file: string, pem: string): string {
  if (file.startsWith('-')) throw new Unable(`key: the name of the file is ${JSON.stringify(file)}; a name does not begin with -`, 2)
  try {
    writeFileSync(file, pem, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    throw new Unable(`key: ${code === 'EEXIST' ? `${file} exists and is not overwritten; name another file` : message}`, 1)
  }
  return `${file} holds a new private key. Keep it secret. Every process of the server reads the same file.\n`
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { readonly version: string }
  return `${version}\n`
}

function answer([name, ...args]: readonly string[]): string {
  if (name === undefined) throw new Unable('name a command', 2)
  if (name === 'help' || [name, ...args].some((arg) => arg === '--help' || arg === '-h')) return help
  if (name === '--version' || name === '-v') return version()
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    throw new Unable(`there is no command ${JSON.stringify(name)}${didYouMean(name, [...Object.keys(commands), '--help', '--version'])}`, 2)
  }
  return command(args)
}

function main(args: readonly string[]): number {
  try {
    process.stdout.write(answer(args))
    return 0
  } catch (error) {
    if (error instanceof Unable) {
      process.stderr.write(`${error.message}\n${error.exitCode === 2 ? usage : ''}`)
      return error.exitCode
    }
    if (!(error instanceof TypeError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 2
  }
}

process.exitCode = main(process.argv.slice(2))

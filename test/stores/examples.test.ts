/** The examples of the stores: each runs as its header says, and its token is where it was said to be. */
import { describe, expect, test } from '@jest/globals'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runInThisContext } from 'node:vm'
import { testStore, testStoreAcrossProcesses } from 'oauth2-token-handler/testing'
import { paste, startExample } from '../support/example.js'
import { databaseUrl, describeWith, openPostgres, openRedis, openSqlite, type Place } from '../support/services.js'

/** Runs an example with an environment, and the curl line that it prints. */
async function tokenFrom(name: string, environment: Record<string, string>): Promise<string> {
  const before = { ...process.env }
  Object.assign(process.env, environment)
  const example = await startExample(`examples/${name}`).finally(() => (process.env = before))
  try {
    const answer = await paste(`${example.curlLine} -s`)
    const header = readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8')
    expect(header).toContain(` * Answer:  ${answer.replace(/"access_token":"[^"]+"/, '"access_token":"…"')}\n`)
    return String(JSON.parse(answer).access_token)
  } finally {
    await example.stop()
  }
}

const runs = [
  ['sqlite.ts', describe, openSqlite, (place: Place) => ({ SQLITE_FILE: place.address.kind === 'sqlite' ? place.address.file : '' })],
  [
    'redis.ts',
    describeWith('Redis'),
    openRedis,
    (place: Place) => ({ REDIS_PREFIX: place.address.kind === 'redis' ? place.address.prefix : '' }),
  ],
] as const

for (const [name, declare, open, environment] of runs) {
  declare(`examples/${name}`, () => {
    test('G7 gives a token that outlives the process', async () => {
      const place = await open()
      try {
        const token = await tokenFrom(name, environment(place))
        expect(await place.store.get(token.slice(0, 22))).toMatchObject({ kind: 'authorization', client_id: 'reports' })
      } finally {
        await place.close()
      }
    })
  })
}

describeWith('PostgreSQL')('examples/postgres.ts', () => {
  test('G7 gives a token that outlives the process', async () => {
    const place = await openPostgres()
    try {
      const [schema = ''] = place.table.split('.')
      const url = new URL(databaseUrl)
      url.searchParams.set('options', `-c search_path=${schema}`)
      const token = await tokenFrom('postgres.ts', { DATABASE_URL: url.href })
      const { rows } = await place.pool.query(`SELECT client_id FROM ${schema}.oauth2_records WHERE id = $1`, [token.slice(0, 22)])
      expect(rows).toEqual([{ client_id: 'reports' }])
    } finally {
      await place.close()
    }
  })
})

describe('examples/custom-store.ts', () => {
  test('G7 gives a token', async () => {
    expect(await tokenFrom('custom-store.ts', {})).toMatch(/^[\w-]{22}\.[\w-]{43}$/)
  })

  // The store of the example, without its server.
  const source = readFileSync(join(import.meta.dirname, '../../examples/custom-store.ts'), 'utf8')
  const body = source.slice(
    source.indexOf('export const store: Store = ') + 'export const store: Store = '.length,
    source.indexOf('\n}\n') + 2,
  )
  const make = runInThisContext(`(records) => (${body})`) as (records: Map<string, unknown>) => Parameters<typeof testStore>[1]
  const records = new Map()
  testStore('I1 OP3 keeps the contract, through two stores over one Map', () => make(records) as never, { describe, test })

  test('OP3 is told that other processes do not see its Map', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'oauth2-token-handler-'))
    try {
      const module = join(folder, 'store.mjs')
      writeFileSync(module, `const records = new Map()\nexport const createStore = () => (${body})`)
      const tests: (() => Promise<void>)[] = []
      testStoreAcrossProcesses(
        '',
        { module, execArgv: ['--import', 'tsx'] },
        { describe: (_name, declare) => declare(), test: (_title, check) => tests.push(check) },
      )
      await expect(tests[0]?.()).rejects.toThrow('createStore() must open the same records in each process')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

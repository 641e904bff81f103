/** Every store keeps the contract of `oauth2-token-handler/testing`; each broken one is found out by the test that is meant for it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { memoryStore } from 'oauth2-token-handler'
import { sqliteStore, type SqliteDatabase } from 'oauth2-token-handler/stores/sqlite'
import { testStore, type TestFramework } from 'oauth2-token-handler/testing'
import { brokenStores } from '../support/stores-with-a-fault.js'
import { describeWith, openNodeRedis, openPostgres, openRedis, openSqlite, type Place } from '../support/services.js'

const framework: TestFramework = { describe, test }

testStore('I1 I3 I4 memoryStore keeps the contract', () => memoryStore(), framework)

keepsContract(describe, 'I1 I3 I4 sqliteStore keeps the contract with libsql', openSqlite)
keepsContract(describeWith('PostgreSQL'), 'I1 I3 I4 postgresStore keeps the contract with pg', openPostgres)
keepsContract(describeWith('Redis'), 'I1 I3 I4 redisStore keeps the contract with ioredis', openRedis)
keepsContract(describeWith('Redis'), 'I1 I3 I4 redisStore keeps the contract with node-redis', openNodeRedis)

function keepsContract(
  declare: typeof describe | typeof describe.skip,
  title: string,
  open: () => Promise<Pick<Place, 'store' | 'close'>>,
): void {
  declare(title, () => {
    let place: Pick<Place, 'store' | 'close'>
    beforeAll(async () => {
      place = await open()
    })
    afterAll(() => place.close())
    testStore('its only connection', () => place.store, framework)
  })
}

// From Node 22.5 on.
const nodeSqlite = process.getBuiltinModule('node:sqlite') as { DatabaseSync: new (file: string) => NodeDatabase } | undefined

interface NodeDatabase extends SqliteDatabase {
  close(): void
}

const nodeSqliteTitle = 'I1 I3 I4 sqliteStore keeps the contract with node:sqlite'
if (nodeSqlite === undefined) test.skip(`${nodeSqliteTitle}, which this Node does not have`, () => {})
else {
  const { DatabaseSync } = nodeSqlite
  keepsContract(describe, nodeSqliteTitle, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'oauth2-token-handler-'))
    const database = new DatabaseSync(join(folder, 'records.db'))
    const store = sqliteStore(database)
    await store.createTables()
    return {
      store,
      async close() {
        database.close()
        rmSync(folder, { recursive: true })
      },
    }
  })
}

describe('I1 I3 I4 the contract finds out', () => {
  let failures: Readonly<Record<string, readonly string[]>> = {}

  beforeAll(async () => {
    const entries = Object.entries(brokenStores).map(async ([fault, { make }]) => [fault, await failuresOf(make)] as const)
    failures = Object.fromEntries(await Promise.all(entries))
  })

  test.each(Object.entries(brokenStores))('a store that %s', (fault, { foundBy }) => {
    expect(failures[fault]).toEqual(expect.arrayContaining([...foundBy]))
  })

  test('nothing in a store that is right', async () => {
    expect(await failuresOf(() => memoryStore())).toEqual([])
  })
})

/** The titles of the tests that fail. */
async function failuresOf(factory: Parameters<typeof testStore>[1]): Promise<string[]> {
  const declared: [string, () => Promise<void>][] = []
  testStore('a store', factory, { describe: (_name, body) => body(), test: (title, body) => declared.push([title, body]) })
  const outcomes = await Promise.allSettled(declared.map(([, body]) => body()))
  return declared.filter((_entry, position) => outcomes[position]?.status === 'rejected').map(([title]) => title)
}

test('I4 testStore says what to hand over where describe and test are no globals', () => {
  expect(() => testStore('a store', () => memoryStore())).toThrow(/testStore\(name, factory, \{ describe, test \}\)/)
})

describe('I4 the contract under node:test', () => {
  const fixture = fileURLToPath(new URL('../support/contract-in-node-test.ts', import.meta.url))

  /** The titles of the tests that passed and failed there, and the exit code. */
  function run(broken: Record<string, string> = {}) {
    const { NODE_OPTIONS: _options, ...env } = process.env
    const args = ['--import', 'tsx', '--test', '--test-reporter=tap', fixture]
    const { status, stdout } = spawnSync(process.execPath, args, { env: { ...env, ...broken }, encoding: 'utf8' })
    const titles = (word: string) => [...stdout.matchAll(new RegExp(`^ +${word} \\d+ - (.*)$`, 'gm'))].map(([, title]) => title)
    return { status, passed: titles('ok'), failed: titles('not ok') }
  }

  test('passes for the memory store', () => {
    const { status, passed, failed } = run()
    expect({ status, failed }).toEqual({ status: 0, failed: [] })
    expect(passed).toContain('replace: one of many parallel callers sees true')
  })

  test('fails for a store that is broken, where it is', () => {
    const fault = 'reads, checks, and then replaces'
    const { status, passed, failed } = run({ BROKEN_STORE: fault })
    expect(status).toBe(1)
    expect(failed).toEqual(expect.arrayContaining([...(brokenStores[fault]?.foundBy ?? ['there is no such store'])]))
    expect(passed).toContain('get: undefined for an unknown id')
  })
})

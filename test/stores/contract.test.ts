/** Every store keeps the contract of `oauth2-token-handler/testing`; each broken one is found out by the test that is meant for it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
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

function keepsContract(declare: typeof describe | typeof describe.skip, title: string, open: () => Promise<Place>): void {
  declare(title, () => {
    let place: Place
    beforeAll(async () => {
      place = await open()
    })
    afterAll(() => place.close())
    testStore('its only connection', () => place.store, framework)
  })
}

// From Node 22.5 on.
const nodeSqlite = process.getBuiltinModule('node:sqlite') as { DatabaseSync: new (file: string) => SqliteDatabase } | undefined
if (nodeSqlite !== undefined) {
  const { DatabaseSync } = nodeSqlite
  async function openInMemory() {
    const store = sqliteStore(new DatabaseSync(':memory:'))
    await store.createTables()
    return store
  }
  testStore('I1 I3 I4 sqliteStore keeps the contract with node:sqlite', openInMemory, framework)
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

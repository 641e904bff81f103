/** Every store keeps the contract of `oauth2-token-handler/testing`; each broken one is found out by the test that is meant for it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { memoryStore } from 'oauth2-token-handler'
import { sqliteStore, type SqliteDatabase } from 'oauth2-token-handler/stores/sqlite'
import { testStore, testStoreAcrossProcesses, type TestFramework } from 'oauth2-token-handler/testing'
import { moduleOf, openWrongStore, sharedFaults } from '../support/shared-stores.js'
import { brokenStores } from '../support/stores-with-a-fault.js'
import { describeWith, openNodeRedis, openPostgres, openRedis, openSqlite, type Place } from '../support/services.js'

/** Opens a store for the tests of a block. */
type Open = () => Promise<Pick<Place, 'store' | 'close'>>

// Each store is asked for two seconds whether it drops a record early. All begin together, before the first test, so that they are waited for once.
const waits: { readonly title: string; readonly open: Open }[] = []
const waited = new Map<string, Promise<void>>()
const slowTitle = 'no record is dropped before its end'

beforeAll(() => {
  for (const { title, open } of waits) {
    const outcome = runOne(open)
    outcome.catch(() => undefined)
    waited.set(title, outcome)
  }
})

/** The slow test of a store, over a place of its own. */
async function runOne(open: Open): Promise<void> {
  const place = await open()
  try {
    const body = declaredBy((collector) => testStore('a store', () => place.store, collector)).get(slowTitle)
    await body?.()
  } finally {
    await place.close()
  }
}

function keepsContract(declare: typeof describe | typeof describe.skip, title: string, open: Open): void {
  if (declare === describe) waits.push({ title, open })
  declare(title, () => {
    let place: Awaited<ReturnType<Open>>
    beforeAll(async () => {
      place = await open()
    })
    afterAll(() => place.close())
    testStore('its only connection', () => place.store, {
      describe,
      test: (name, body) => test(name, () => (name === slowTitle ? waited.get(title) : undefined) ?? body()),
    })
  })
}

const openMemory: Open = async () => ({ store: memoryStore(), close: async () => {} })

keepsContract(describe, 'I1 I3 I4 memoryStore keeps the contract', openMemory)
keepsContract(describe, 'I1 I3 I4 sqliteStore keeps the contract with libsql', openSqlite)
keepsContract(describeWith('PostgreSQL'), 'I1 I3 I4 postgresStore keeps the contract with pg', openPostgres)
keepsContract(describeWith('Redis'), 'I1 I3 I4 redisStore keeps the contract with ioredis', openRedis)
keepsContract(describeWith('Redis'), 'I1 I3 I4 redisStore keeps the contract with node-redis', openNodeRedis)

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

/** The store over two connections, and in two processes. */
function keepsContractAcross(declare: typeof describe | typeof describe.skip, title: string, open: () => Promise<Place>): void {
  declare(title, () => {
    let place: Place
    beforeAll(async () => {
      place = await open()
    })
    afterAll(() => place.close())
    // Where the records are is known once the place is open, which is when a test runs: so the tests are collected and declared in two steps.
    const titles = [...declaredBy((collector) => testStoreAcrossProcesses('', { module: import.meta.url }, collector)).keys()]
    let tests: ReadonlyMap<string, () => Promise<void>>
    const ends: (() => Promise<void>)[] = []
    beforeAll(() => {
      const options = { module: moduleOf({ address: place.address }), execArgv }
      const collector = { afterAll: (body: () => Promise<void>) => ends.push(body) }
      tests = declaredBy((base) => testStoreAcrossProcesses('', options, { ...base, ...collector }))
    })
    afterAll(() => Promise.all(ends.map((end) => end())))
    test.each(titles)('%s', (name) => tests.get(name)?.() ?? Promise.reject(new Error(`there is no test ${name}`)))
  })
}

const execArgv = ['--import', 'tsx']

keepsContractAcross(describe, 'OP3 sqliteStore keeps the contract across processes', openSqlite)
keepsContractAcross(describeWith('PostgreSQL'), 'OP3 postgresStore keeps the contract across processes', openPostgres)
keepsContractAcross(describeWith('Redis'), 'OP3 redisStore keeps the contract across processes', openRedis)

describe('I1 I3 I4 the contract finds out', () => {
  let failures: Readonly<Record<string, readonly string[]>> = {}

  beforeAll(async () => {
    const entries = Object.entries(brokenStores).map(async ([fault, { make }]) => {
      const store = make()
      return [fault, await failuresOf((collector) => testStore('a store', () => store, collector))] as const
    })
    failures = Object.fromEntries(await Promise.all(entries))
  })

  test.each(Object.entries(brokenStores))('a store that %s', (fault, { foundBy }) => {
    expect(failures[fault]).toEqual(expect.arrayContaining([...foundBy]))
  })

  test('nothing in a store that is right', async () => {
    const store = memoryStore()
    expect(await failuresOf((collector) => testStore('a store', () => store, collector))).toEqual([])
  })
})

describe('OP3 the contract finds out, between two doors or in time,', () => {
  const places = new Map<string, Place & { readonly folder: string }>()
  const outcomes = new Map<string, { readonly alone: readonly string[]; readonly across: readonly string[] }>()

  beforeAll(async () => {
    const all = Object.entries(sharedFaults).map(async ([fault, { foundBy, foundAcrossProcesses }]) => {
      const place = await openSqlite()
      places.set(fault, place)
      const { file } = place.address
      const alone = await failuresOf(
        (collector) => testStore('a store', () => openWrongStore(fault, file), collector),
        (title) => foundBy.includes(title),
      )
      const options = { module: moduleOf({ fault, file }), execArgv }
      const across =
        foundAcrossProcesses === undefined ? [] : await failuresOf((collector) => testStoreAcrossProcesses('a store', options, collector))
      outcomes.set(fault, { alone, across })
    })
    await Promise.all(all)
  }, 60_000)
  afterAll(() => Promise.all([...places.values()].map((place) => place.close())))

  test.each(Object.entries(sharedFaults))('a store that %s', (fault, { foundBy, foundAcrossProcesses = [] }) => {
    const { alone, across } = outcomes.get(fault) ?? { alone: [], across: [] }
    expect(alone).toEqual(expect.arrayContaining([...foundBy]))
    expect(across).toEqual(expect.arrayContaining(foundAcrossProcesses.map((title) => `${title}, in 2 processes`)))
    expect(foundBy.length + foundAcrossProcesses.length).toBeGreaterThan(0)
  })

  test('nothing in the store that these are made of', async () => {
    const place = await openSqlite()
    try {
      const isMeant = (title: string) => Object.values(sharedFaults).some(({ foundBy }) => foundBy.includes(title))
      expect(
        await failuresOf((collector) => testStore('a store', () => openWrongStore('none', place.address.file), collector), isMeant),
      ).toEqual([])
    } finally {
      await place.close()
    }
  })
})

/** The tests that are declared, by their titles. */
function declaredBy(declare: (framework: TestFramework) => void): Map<string, () => Promise<void>> {
  const declared = new Map<string, () => Promise<void>>()
  declare({ describe: (_name, body) => body(), test: (title, body) => declared.set(title, body) })
  return declared
}

/** The titles of the tests that fail, of all or of some, one after the other. */
async function failuresOf(
  declare: (framework: TestFramework) => void,
  isMeant: (title: string) => boolean = () => true,
): Promise<string[]> {
  const failed: string[] = []
  const ends: (() => Promise<void>)[] = []
  const declared = declaredBy((framework) => declare({ ...framework, afterAll: (body) => ends.push(body) }))
  for (const [title, body] of declared) if (isMeant(title)) await body().catch(() => failed.push(title))
  for (const end of ends) await end()
  return failed
}

test('OP3 testStore says what to do where two calls of the factory open different records', async () => {
  const declared = declaredBy((collector) => testStore('a store', () => memoryStore(), collector))
  const sentence = /each call of the factory must open the same records; .* const store = memoryStore\(\); testStore\(name, \(\) => store\)/
  await expect(declared.get('replace: no update is lost')?.()).rejects.toThrow(sentence)
  await expect(declared.get('get: undefined for an unknown id')?.()).resolves.toBeUndefined()
})

test('OP3 every door is closed, once, whatever comes of the test', async () => {
  let [opened, closed] = [0, 0]
  const records = memoryStore()
  const shared = { ...records, get: () => Promise.reject(new Error('the database is away')) }
  const factory = () => (opened++, { store: shared, close: () => closed++ })
  const declared = declaredBy((collector) => testStore('a store', factory, collector))
  await expect(declared.get('replace: no update is lost')?.()).rejects.toThrow('the database is away')
  expect([opened, closed]).toEqual([2, 2])
})

test('I4 testStore says what to hand over where describe and test are no globals', () => {
  expect(() => testStore('a store', () => memoryStore())).toThrow(/testStore\(name, factory, \{ describe, test \}\)/)
  expect(() => testStoreAcrossProcesses('a store', { module: import.meta.url })).toThrow(/\(name, options, \{ describe, test \}\)/)
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

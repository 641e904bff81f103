/**
 * The contract of a store as tests, for people who write one of their own.
 *
 *     import { testStore, testStoreAcrossProcesses } from 'oauth2-token-handler/testing'
 *     testStore('my store', () => myStore(pool))
 *     testStoreAcrossProcesses('my store', { module: new URL('./my-store.js', import.meta.url), processes: 4 })
 *
 * `testStore` finds a store that answers wrongly, and one that is right through one object only. `testStoreAcrossProcesses` finds one that is
 * right in one process only: with a lock or a cache in memory. A store that several processes use must pass both.
 *
 * Each test uses ids of its own, so that all may share one database. Knows no test framework: it uses `describe` and `test` of Jest,
 * Vitest or node:test, and Node's assertions.
 *
 * Not tested: durability (a crash, a loss of power), failover, every isolation level that the database can be set to, and the sweep of expired
 * records. They depend on how the database is run; `docs/store-of-your-own.md` says what to look at.
 */
import { pathToFileURL } from 'node:url'
import type { Store } from './stores/store.js'
import { contract } from './testing/contract.js'
import { asStoreUnderTest, type StoreUnderTest } from './testing/opened-store.js'
import { StoreProcesses } from './testing/processes.js'
import { assertSameRecords, races, type RaceCheck } from './testing/races.js'

export type { StoreUnderTest }

/**
 * Opens a store. Each call opens another door to the same records: the tests of races call it twice and use both stores in turn, which finds
 * a cache or a lock that each store has for itself.
 *
 * Where the records are reached through one object only, as those of `memoryStore()`, make it once and return it at each call:
 *
 *     const store = memoryStore()
 *     testStore('memory', () => store)
 */
export type StoreFactory = () => Store | StoreUnderTest | Promise<Store | StoreUnderTest>

/** What is used of a test framework. */
export interface TestFramework {
  describe(name: string, body: () => void): unknown
  test(name: string, body: () => Promise<void>): unknown
  /** What Jest and Vitest call so. With it, or with `after`, {@link testStoreAcrossProcesses} starts its processes once for all of its tests. */
  readonly afterAll?: (body: () => Promise<void>) => unknown
  /** What node:test calls so. */
  readonly after?: (body: () => Promise<void>) => unknown
}

/** Where processes find the store that is to be tested. */
export interface StoreAcrossProcesses {
  /**
   * The module that exports `createStore()`, as a `file:` URL or an absolute path. The function is a {@link StoreFactory}: it is called once in each
   * process, and each call must open the same records. The module is imported by Node itself, not by the test framework.
   */
  readonly module: URL | string
  /** How many processes, from 2 to 16. Default 2. */
  readonly processes?: number
  /** Arguments of Node in each process, such as `['--import', 'tsx']` for a module in TypeScript. Default: none. */
  readonly execArgv?: readonly string[]
}

/**
 * Declares the tests that every store has to pass. Without `framework` it takes the global `describe` and `test`.
 *
 * @throws TypeError when there are none.
 */
export function testStore(
  name: string,
  factory: StoreFactory,
  framework: TestFramework = globalFramework('testStore(name, factory'),
): void {
  framework.describe(name, () => {
    for (const [title, check] of contract) framework.test(title, () => withStores(factory, 1, ([store]) => check(store)))
    for (const [title, check] of races) framework.test(title, () => withStores(factory, 2, onSameRecords(check, oneFactory)))
  })
}

/**
 * Declares the tests that every store has to pass which several processes use at once: the races of {@link testStore}, between processes that
 * are started for them and ended after them. Where the framework was handed over without `afterAll` or `after`, each test starts and ends its own. Without `framework` it takes the global `describe` and `test`.
 *
 * @throws TypeError when there are none, or when an option is wrong.
 */
export function testStoreAcrossProcesses(
  name: string,
  options: StoreAcrossProcesses,
  framework: TestFramework = globalFramework('testStoreAcrossProcesses(name, options'),
): void {
  const { module, processes = 2, execArgv = [] } = options
  if (!Number.isSafeInteger(processes) || processes < 2 || processes > 16)
    throw new TypeError('testStoreAcrossProcesses: processes must be a whole number from 2 to 16')
  const settings = { module: moduleUrl(module), processes, execArgv }
  framework.describe(name, () => {
    const after = framework.afterAll ?? framework.after
    const shared = after === undefined ? undefined : new StoreProcesses(settings)
    after?.(async () => shared?.end())
    for (const [title, check] of races) {
      framework.test(`${title}, in ${processes} processes`, async () => {
        const stores = shared ?? new StoreProcesses(settings)
        try {
          await stores.run(onSameRecords(check, oneModule))
        } finally {
          if (stores !== shared) await stores.end()
        }
      })
    }
  })
}

const oneFactory =
  'each call of the factory must open the same records; where one object alone reaches them, make it once and return it at each call, ' +
  'as in const store = memoryStore(); testStore(name, () => store)'
const oneModule = 'createStore() must open the same records in each process'

function onSameRecords(check: RaceCheck, remedy: string): RaceCheck {
  return async (doors) => {
    await assertSameRecords(doors, remedy)
    await check(doors)
  }
}

/** Opens one store or several, and closes each of them, whatever comes of the check. */
async function withStores(factory: StoreFactory, count: number, check: (stores: readonly [Store, ...Store[]]) => Promise<void>) {
  const opened = new Set<Store | StoreUnderTest>()
  const stores: Store[] = []
  try {
    while (stores.length < count) {
      const made = await factory()
      opened.add(made)
      stores.push(asStoreUnderTest(made).store)
    }
    const [first, ...others] = stores
    if (first !== undefined) await check([first, ...others])
  } finally {
    await Promise.all([...opened].map(async (made) => asStoreUnderTest(made).close?.()))
  }
}

function moduleUrl(module: unknown): string {
  const url = typeof module === 'string' && !module.startsWith('file:') ? pathToFileURL(module).href : String(module)
  if (!URL.canParse(url) || new URL(url).protocol !== 'file:')
    throw new TypeError('testStoreAcrossProcesses: module must be a file: URL, as new URL("./my-store.js", import.meta.url) is, or a path')
  return url
}

function globalFramework(call: string): TestFramework {
  const { describe, test, afterAll } = globalThis as Partial<TestFramework>
  if (typeof describe === 'function' && typeof test === 'function')
    return { describe, test, ...(typeof afterAll === 'function' ? { afterAll } : {}) }
  const [name = ''] = call.split('(')
  throw new TypeError(`${name}: there is no global describe and test; hand them over, as in ${call}, { describe, test })`)
}

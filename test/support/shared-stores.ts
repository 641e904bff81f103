/**
 * Stores that several objects and several processes open over the same records: ours, and over one SQLite file such as are wrong between doors or in
 * time, as people get them wrong.
 *
 * For `testStoreAcrossProcesses` this module is the one to import: the query of its URL names the store that `createStore()` opens.
 */
import Libsql from 'libsql'
import { setTimeout as delay } from 'node:timers/promises'
import type { Store, StoredRecord } from '../../src/index.js'
import { toDocument } from '../../src/stores/kit.js'
import { sqliteStore } from '../../src/stores/sqlite.js'
import type { Address } from './store-of.js'

/** The URL of this module that opens the store at an address, or a wrong one over a file of SQLite. */
export function moduleOf(query: { readonly address: Address } | { readonly fault: string; readonly file: string }): URL {
  const url = new URL(import.meta.url)
  url.searchParams.set('query', JSON.stringify(query))
  return url
}

export async function createStore(): Promise<Store> {
  const query = JSON.parse(new URL(import.meta.url).searchParams.get('query') ?? '{}') as Parameters<typeof moduleOf>[0]
  if ('fault' in query) return openWrongStore(query.fault, query.file)
  // The drivers of all databases, which the others do without.
  const { storeAt } = await import('./store-of.js')
  return storeAt(query.address)
}

interface SharedFault {
  readonly make: (right: Place) => Partial<Store>
  /** The tests of `testStore` that notice it. */
  readonly foundBy: readonly string[]
  /** The tests of `testStoreAcrossProcesses` that notice it, where the ones before cannot. */
  readonly foundAcrossProcesses?: readonly string[]
}

/** The records of a file, through a connection of its own. */
interface Place {
  readonly file: string
  readonly store: Store
  /** Writes whatever was there before. */
  readonly overwrite: (record: StoredRecord) => void
}

export function openWrongStore(fault: string, file: string): Store {
  const database = new Libsql(file)
  const store = sqliteStore(database)
  const insert =
    'INSERT OR REPLACE INTO oauth2_records (id, version, kind, client_id, subject, expires_at, document) VALUES (?, ?, ?, ?, ?, ?, ?)'
  function overwrite(record: StoredRecord): void {
    const { id, version, kind, client_id = null, subject = null, expiresAt } = record
    database.prepare(insert).run(id, version, kind, client_id, subject, expiresAt, toDocument(record))
  }
  const { get, create, replace, list } = store
  return { get, create, replace, list, ...sharedFaults[fault]?.make({ file, store, overwrite }) }
}

/** A value for each key of the process, made when it is first asked for. */
function perProcess<T>(make: () => T): (key: string) => T {
  const values = new Map<string, T>()
  return (key) => {
    const value = values.get(key) ?? make()
    values.set(key, value)
    return value
  }
}

class Lock {
  #last: Promise<unknown> = Promise.resolve()

  run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work)
    this.#last = mine.catch(() => undefined)
    return mine
  }
}

/** Reads, compares, and writes without a condition, under a lock that not everybody knows. */
function readCheckWrite({ store, overwrite }: Place, lock: Lock): Partial<Store> {
  const write = (record: StoredRecord, isMeant: (current: StoredRecord | undefined) => boolean) =>
    lock.run(async () => {
      const current = await store.get(record.id)
      await delay(1)
      if (isMeant(current)) overwrite(record)
      return isMeant(current)
    })
  return {
    create: (record) => write(record, (current) => current === undefined),
    replace: (record, version) => write(record, (current) => current?.version === version),
  }
}

/** Answers from a cache that only its own writes put right. */
function cached({ store }: Place, cache: Map<string, StoredRecord>): Partial<Store> {
  function forget(wasWritten: boolean, id: string): boolean {
    if (wasWritten) cache.delete(id)
    return wasWritten
  }
  return {
    async get(id) {
      const record = cache.get(id) ?? (await store.get(id))
      if (record !== undefined) cache.set(id, record)
      return record
    },
    create: async (record) => forget(await store.create(record), record.id),
    replace: async (record, version) => forget(await store.replace(record, version), record.id),
  }
}

interface Write {
  readonly at: number
  readonly record: StoredRecord
  readonly by: Place
}

const lag = 20

/** Answers what was true before, as a replica does; its own writes at once where `isSticky` is true. */
function lagging(place: Place, history: Map<string, Write[]>, isSticky: boolean): Partial<Store> {
  const { store } = place
  function note(wasWritten: boolean, record: StoredRecord): boolean {
    if (wasWritten) history.set(record.id, [...(history.get(record.id) ?? []), { at: performance.now(), record, by: place }])
    return wasWritten
  }
  return {
    async get(id) {
      const known = history.get(id)
      if (known === undefined) return store.get(id)
      return known.filter(({ at, by }) => at <= performance.now() - lag || (isSticky && by === place)).at(-1)?.record
    },
    create: async (record) => note(await store.create(record), record),
    replace: async (record, version) => note(await store.replace(record, version), record),
  }
}

const locks = perProcess(() => new Lock())
const caches = perProcess(() => new Map<string, StoredRecord>())
const histories = perProcess(() => new Map<string, Write[]>())

const createTwice = 'create: one of many parallel callers sees true'
const replaceTwice = 'replace: one of many parallel callers sees true'
const lostUpdate = 'replace: no update is lost'
const seenAtOnce = 'get: a write is seen at once by whoever else reads'
const nothingOld = 'get: nothing older than what was known when the read began'

export const sharedFaults: Readonly<Record<string, SharedFault>> = {
  'is atomic in each object only': {
    make: (place) => readCheckWrite(place, new Lock()),
    foundBy: [createTwice, replaceTwice, lostUpdate],
  },
  'is atomic in each process only': {
    make: (place) => readCheckWrite(place, locks(place.file)),
    foundBy: [],
    foundAcrossProcesses: [createTwice, replaceTwice, lostUpdate],
  },
  'has a cache in each object': {
    make: (place) => cached(place, new Map()),
    foundBy: [seenAtOnce, nothingOld],
  },
  'has a cache in each process': {
    make: (place) => cached(place, caches(place.file)),
    foundBy: [],
    foundAcrossProcesses: [seenAtOnce, nothingOld],
  },
  'hides a record in the second that it ends': {
    make: ({ store }) => ({
      async get(id) {
        const record = await store.get(id)
        return record !== undefined && record.expiresAt > Math.floor(Date.now() / 1000) ? record : undefined
      },
    }),
    foundBy: ['no record is dropped before its end', 'get: a record that has just ended is still there'],
  },
  'answers what was true 20 ms before': {
    make: (place) => lagging(place, histories(place.file), false),
    foundBy: [seenAtOnce, nothingOld],
  },
  'answers what was true 20 ms before, but for what it wrote itself': {
    make: (place) => lagging(place, histories(`${place.file} sticky`), true),
    foundBy: [seenAtOnce, nothingOld],
  },
  'answers a read with the answer of one that was under way': {
    make({ store }) {
      const underWay = new Map<string, Promise<StoredRecord | undefined>>()
      return {
        get(id) {
          const reading = underWay.get(id) ?? Promise.resolve(store.get(id)).then((record) => delay(2, record))
          underWay.set(id, reading)
          return reading.finally(() => underWay.delete(id))
        },
      }
    },
    foundBy: [nothingOld],
  },
}

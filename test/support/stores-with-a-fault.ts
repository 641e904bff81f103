/** Stores that are wrong in one way each, as people get them wrong, and the tests of the contract that notice. */
import type { ListFilter, Store, StoredRecord } from '../../src/index.js'

type Records = Map<string, StoredRecord>

interface Fault {
  readonly make: () => Store
  readonly foundBy: readonly string[]
}

const elsewhere = () => new Promise((resolve) => setImmediate(resolve))

function rightStore(records: Records): Store {
  return {
    async get(id) {
      await elsewhere()
      return records.get(id)
    },
    async create(record) {
      await elsewhere()
      if (records.has(record.id)) return false
      records.set(record.id, record)
      return true
    },
    async replace(record, version) {
      await elsewhere()
      if (records.get(record.id)?.version !== version) return false
      records.set(record.id, record)
      return true
    },
    async *list(filter: ListFilter) {
      await elsewhere()
      for (const record of [...records.values()]) {
        const isMeant = record.kind === 'authorization' && (filter.subject === undefined || record.subject === filter.subject)
        if (isMeant && (filter.client_id === undefined || record.client_id === filter.client_id)) yield records.get(record.id) ?? record
      }
    },
  }
}

function faulty(change: (store: Store, records: Records) => Partial<Store>): () => Store {
  return () => {
    const records: Records = new Map()
    const store = rightStore(records)
    return { ...store, ...change(store, records) }
  }
}

export const brokenStores: Readonly<Record<string, Fault>> = {
  'reads, checks, and then replaces': {
    make: faulty((store, records) => ({
      async replace(record, version) {
        if ((await store.get(record.id))?.version !== version) return false
        await elsewhere()
        records.set(record.id, record)
        return true
      },
    })),
    foundBy: ['replace: one of many parallel callers sees true', 'replace: no update is lost'],
  },
  'looks whether an id exists, and then inserts': {
    make: faulty((store, records) => ({
      async create(record) {
        if ((await store.get(record.id)) !== undefined) return false
        await elsewhere()
        records.set(record.id, record)
        return true
      },
    })),
    foundBy: ['create: one of many parallel callers sees true'],
  },
  'inserts where there is nothing to replace': {
    make: faulty((store, records) => ({
      async replace(record, version) {
        if ((await store.get(record.id)) === undefined) records.set(record.id, record)
        return store.replace(record, version)
      },
    })),
    foundBy: ['replace: false where there is no record, and none comes to be'],
  },
  'has no column for a member': {
    make: faulty((store) => ({
      async get(id) {
        const record = await store.get(id)
        if (record === undefined) return undefined
        const { issuer: _forgotten, ...rest } = record
        return rest
      },
    })),
    foundBy: ['create, get: every member comes back as it was'],
  },
  'compares texts without regard to case': {
    make: faulty((store) => ({
      get: (id) => store.get(id.toLowerCase()),
      create: (record) => store.create({ ...record, id: record.id.toLowerCase() }),
    })),
    foundBy: ['ids are compared character by character'],
  },
  'lists what is no authorization': {
    make: faulty((_store, records) => ({
      async *list({ subject, client_id }) {
        for (const record of [...records.values()]) {
          if (subject === undefined ? record.client_id === client_id : record.subject === subject) yield record
        }
      },
    })),
    foundBy: ['list: the authorizations of a subject, of a client, of both'],
  },
  'answers from a cache': {
    make: faulty((store) => {
      const cache: Records = new Map()
      return {
        async get(id) {
          const record = cache.get(id) ?? (await store.get(id))
          if (record !== undefined) cache.set(id, record)
          return record
        },
      }
    }),
    foundBy: ['replace: the whole record, where the version is right', 'a write is seen by the next read'],
  },
  'drops records a second early': {
    make: faulty((store) => ({
      async get(id) {
        const record = await store.get(id)
        return record !== undefined && record.expiresAt > Date.now() / 1000 + 1 ? record : undefined
      },
    })),
    foundBy: ['no record is dropped before its end', 'get: a record that has just ended is still there'],
  },
}

/** Opens a store at an address, in whatever process. Knows no test framework. */
import Libsql from 'libsql'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import type { Store, StoredRecord } from '../../src/index.js'
import { postgresStore } from '../../src/stores/postgres.js'
import { redisStore } from '../../src/stores/redis.js'
import { sqliteStore } from '../../src/stores/sqlite.js'

/** Where a store is, as plain data. */
export type Address =
  | { readonly kind: 'postgres'; readonly url: string; readonly table: string }
  | { readonly kind: 'redis'; readonly url: string; readonly prefix: string }
  | { readonly kind: 'sqlite'; readonly file: string }

/** A store over a connection of its own, for as long as the process lives. */
export function storeAt(address: Address): Store {
  switch (address.kind) {
    case 'postgres': {
      const pool = new Pool({ connectionString: address.url, max: 10 })
      pool.on('error', () => {})
      return postgresStore(pool, { table: address.table })
    }
    case 'redis': {
      const client = new Redis(address.url)
      client.on('error', () => {})
      return redisStore({ sendCommand: ([command, ...args]) => client.call(command, ...args), prefix: address.prefix })
    }
    case 'sqlite':
      return sqliteStore(new Libsql(address.file))
  }
}

/** Writes a record over whatever is there. */
async function overwrite(store: Store, record: StoredRecord): Promise<void> {
  for (;;) {
    const current = await store.get(record.id)
    if (current === undefined ? await store.create(record) : await store.replace(record, current.version)) return
  }
}

/** The same store with the mistake that races are there to find: it reads, checks, and then writes whatever is there by then. */
export function readCheckWrite(store: Store): Store {
  const elsewhere = () => new Promise((resolve) => setTimeout(resolve, 5))
  return {
    get: (id) => store.get(id),
    async create(record) {
      if ((await store.get(record.id)) !== undefined) return false
      await elsewhere()
      await overwrite(store, record)
      return true
    },
    async replace(record, version) {
      if ((await store.get(record.id))?.version !== version) return false
      await elsewhere()
      await overwrite(store, record)
      return true
    },
    list: (filter) => store.list(filter),
  }
}

/** The same store with the mistake that kills are there to find: it answers at once, and writes a little later what it has answered. */
export function writeBehind(store: Store): Store {
  const unwritten = new Map<string, StoredRecord>()
  const get = async (id: string) => unwritten.get(id) ?? store.get(id)
  function writeLater(record: StoredRecord): true {
    unwritten.set(record.id, record)
    setTimeout(() => {
      if (unwritten.get(record.id) !== record) return
      void overwrite(store, record).finally(() => {
        if (unwritten.get(record.id) === record) unwritten.delete(record.id)
      })
    }, 100)
    return true
  }
  return {
    get,
    create: async (record) => (await get(record.id)) === undefined && writeLater(record),
    replace: async (record, version) => (await get(record.id))?.version === version && writeLater(record),
    list: (filter) => store.list(filter),
  }
}

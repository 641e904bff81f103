/**
 * Stores that break their promise, so that a test can show that it would notice.
 *
 * Each verb of `readCheckWriteStore` reads, checks, and then writes, with a pause in between: what a store does that has no
 * atomic statement for it. Requests of one server take turns and hide that; two servers over one such store do not.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ListFilter, Store, StoredRecord } from '../../src/index.js'

/** A store whose `create` and `replace` are not atomic. `pause` stands between the check and the write. */
export function readCheckWriteStore(pause: () => Promise<unknown> = () => nextTurn()): Store {
  const records = new Map<string, StoredRecord>()
  return {
    get: async (id) => records.get(id),
    async create(record) {
      const isFree = !records.has(record.id)
      await pause()
      if (isFree) records.set(record.id, record)
      return isFree
    },
    async replace(record, version) {
      const isCurrent = records.get(record.id)?.version === version
      await pause()
      if (isCurrent) records.set(record.id, record)
      return isCurrent
    },
    async *list({ subject, client_id }: ListFilter) {
      for (const record of [...records.values()]) {
        const isWanted = (subject ?? record.subject) === record.subject && (client_id ?? record.client_id) === record.client_id
        if (isWanted && record.kind === 'authorization') yield record
      }
    },
  }
}

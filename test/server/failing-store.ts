import { memoryStore, type Store } from '../../src/index.js'

/** A memory store of which one verb always fails. */
export function storeWithout(verb: 'get' | 'create' | 'replace'): Store {
  const store = memoryStore()
  const verbs: Store = {
    get: (id) => store.get(id),
    create: (record) => store.create(record),
    replace: (record, version) => store.replace(record, version),
    list: (filter) => store.list(filter),
  }
  return { ...verbs, [verb]: () => Promise.reject(new Error('the store is down: password=hunter2')) }
}

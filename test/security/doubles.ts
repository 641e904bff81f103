/** Doubles of a store: some keep its promises and are awkward, slow in an order that somebody else decides, or failing; some break them. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Scheduler } from 'fast-check'
import type { Awaitable } from '../../src/awaitable.js'
import type { Store, StoredRecord } from '../../src/index.js'

/** A store whose every verb takes effect when the scheduler says, and answers when it says so again. */
export function scheduledStore(store: Store, scheduler: Scheduler): Store {
  async function step<T>(label: string, work: () => Awaitable<T>): Promise<T> {
    await scheduler.schedule(Promise.resolve(), label)
    const answer = await work()
    await scheduler.schedule(Promise.resolve(), `answer to ${label}`)
    return answer
  }
  return {
    get: (id) => step('get', () => store.get(id)),
    create: (record) => step('create', () => store.create(record)),
    replace: (record, version) => step('replace', () => store.replace(record, version)),
    list: (filter) => store.list(filter),
  }
}

/** A store on the far side of a network: every verb takes effect later, and answers later still. */
export function unhurriedStore(store: Store): Store {
  async function step<T>(work: () => Awaitable<T>): Promise<T> {
    await nextTurn()
    const answer = await work()
    await nextTurn()
    return answer
  }
  return {
    get: (id) => step(() => store.get(id)),
    create: (record) => step(() => store.create(record)),
    replace: (record, version) => step(() => store.replace(record, version)),
    list: (filter) => store.list(filter),
  }
}

/** A store that says of every fifth replacement that it was made, and forgets it. */
export function forgetfulStore(store: Store): Store {
  let replaced = 0
  return { ...verbsOf(store), replace: async (record, version) => ++replaced % 5 === 0 || store.replace(record, version) }
}

/** A store that answers every fifth read with the record as it was before it was last replaced, as a replica does that lags behind. */
export function laggingStore(store: Store): Store {
  const former = new Map<string, StoredRecord>()
  let reads = 0
  return {
    ...verbsOf(store),
    get: async (id) => (++reads % 5 === 0 ? former.get(id) : undefined) ?? store.get(id),
    async replace(record, version) {
      const before = await store.get(record.id)
      const isReplaced = await store.replace(record, version)
      if (isReplaced && before !== undefined) former.set(record.id, before)
      return isReplaced
    },
  }
}

/** A store that keeps records ten minutes less than they have to live, and does not let it show. */
export function hastyStore(store: Store): Store {
  const haste = 600
  const shortened = (record: StoredRecord) => ({ ...record, expiresAt: record.expiresAt - haste })
  return {
    ...verbsOf(store),
    async get(id) {
      const record = await store.get(id)
      return record && { ...record, expiresAt: record.expiresAt + haste }
    },
    create: (record) => store.create(shortened(record)),
    replace: (record, version) => store.replace(shortened(record), version),
  }
}

function verbsOf(store: Store): Store {
  return {
    get: (id) => store.get(id),
    create: (record) => store.create(record),
    replace: (record, version) => store.replace(record, version),
    list: (filter) => store.list(filter),
  }
}

/**
 * How a call of a store goes wrong:
 *
 * - `throws before`: it fails and has done nothing;
 * - `throws after`: it has done what was asked, and its answer is lost;
 * - `false after`: it has done what was asked, and a resent command answers that there was nothing to do;
 * - `false after, then throws`: the same, and the next call fails;
 * - `hangs`: it has done what was asked, and never answers.
 */
export type Fault = 'throws before' | 'throws after' | 'false after' | 'false after, then throws' | 'hangs'

export const faults: readonly Fault[] = ['throws before', 'throws after', 'false after', 'false after, then throws', 'hangs']

export interface FaultyStore extends Store {
  /** From now on the `call`-th call, counted from 1, goes wrong. */
  arm(call: number, fault: Fault): void
  /** From now on nothing goes wrong. Returns the names of the verbs called since `arm`. */
  disarm(): readonly string[]
}

export function faultyStore(store: Store): FaultyStore {
  let calls: string[] = []
  let faultyCall = 0
  let fault: Fault = 'throws before'

  async function call<T extends boolean | StoredRecord | undefined>(verb: string, work: () => Awaitable<T>): Promise<T> {
    calls.push(verb)
    if (fault === 'false after, then throws' && calls.length === faultyCall + 1 && faultyCall > 0) throw new StoreOutage()
    if (calls.length !== faultyCall) return work()
    if (fault === 'throws before') throw new StoreOutage()
    const answer = await work()
    if (fault === 'throws after') throw new StoreOutage()
    if (fault === 'hangs') return new Promise<never>(() => {})
    return typeof answer === 'boolean' ? (false as T) : answer
  }

  return {
    get: (id) => call('get', () => store.get(id)),
    create: (record) => call('create', () => store.create(record)),
    replace: (record, version) => call('replace', () => store.replace(record, version)),
    list: (filter) => store.list(filter),
    arm(number, kind) {
      calls = []
      faultyCall = number
      fault = kind
    },
    disarm() {
      faultyCall = 0
      const made = calls
      calls = []
      return made
    },
  }
}

/** What a driver throws when the database is gone. */
export class StoreOutage extends Error {
  override readonly name = 'StoreOutage'
  readonly code = 'ECONNRESET'
  constructor() {
    super('connection terminated unexpectedly')
  }
}

/**
 * Records in the memory of one process: the default for development, and for a server whose tokens may end with it.
 *
 * One step of JavaScript is atomic, so each verb is. Live records are never evicted: a full store refuses new ones.
 * Expired records really go: they stand in buckets by the time at which they end, each write sweeps a few of the buckets that
 * are due, and a timer that keeps no process alive sweeps the rest.
 */
import { createEmit, type EventFields } from '../events/events.js'
import { assertKnownKeys } from '../option-checks/reader.js'
import type { ListFilter, ScannedKind, ScanPage, Store, StoredRecord } from './store.js'

/** Options of {@link memoryStore}. */
export interface MemoryStoreOptions {
  /**
   * How many records of Authorizations, tokens and clients of the application it holds at the most. As many guards apart from them, and as many records
   * that strangers make it remember, so that neither takes the place of a token. Default 1,000,000.
   */
  readonly maxRecords?: number
  /** Now, in seconds since the epoch. Default: the system's clock. */
  readonly clock?: () => number
  /**
   * Told once when a part of the store is 80 % full, and again after it has emptied below 70 %. Default: the `node:diagnostics_channel`, or the console
   * where nobody listens.
   */
  readonly onEvent?: (event: EventFields) => void
}

/** A {@link Store} in memory. */
export interface MemoryStore extends Store {
  /** How many records it holds, expired ones included that were not swept yet. */
  readonly size: number
  scan(kind: ScannedKind, page: ScanPage): readonly StoredRecord[]
}

const memoryStores = new WeakSet<Store>()

/** Whether a store is one that {@link memoryStore} has made, so that a look into it costs nothing. */
export function isMemoryStore(store: Store): boolean {
  return memoryStores.has(store)
}

/** Seconds that share a bucket, and that an expired record may stay longer. */
const bucketWidth = 4
const sweptPerWrite = 8
const sweptPerTick = 20_000
const tick = 5_000

/**
 * Makes a store in the memory of this process. What it holds is lost when the process ends, and no other process sees it.
 *
 * A full store throws on `create`, which is answered 503; it never drops what is still valid.
 *
 * @throws TypeError when `maxRecords` is not a positive whole number.
 */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  assertKnownKeys(options, ['maxRecords', 'clock', 'onEvent'], 'memoryStore')
  const { maxRecords = 1_000_000, clock = () => Math.floor(Date.now() / 1000), onEvent } = options
  if (!Number.isSafeInteger(maxRecords) || maxRecords < 1) throw new TypeError('maxRecords must be a positive whole number')

  const records = new Map<string, StoredRecord>()
  const bySubject = new Index()
  const byClient = new Index()
  const clients = new OrderedIds()
  const due = new DueTimes()
  const counts: Record<Part, number> = { tokens: 0, guards: 0, strangers: 0 }
  // Without a listener of its own, whoever hears the events of this process hears it.
  const tell = onEvent ?? createEmit(undefined, clock)
  const filling: Record<Part, boolean> = { tokens: false, guards: false, strangers: false }
  let timer: NodeJS.Timeout | undefined

  function forget(record: StoredRecord): void {
    records.delete(record.id)
    counts[partOf(record)]--
    if (record.kind === 'client') clients.remove(record.id)
    bySubject.remove(record.subject, record.id)
    byClient.remove(record.client_id, record.id)
  }

  function sweep(limit: number): void {
    const now = clock()
    if (!due.isDue(now)) return
    for (const id of due.take(now, limit)) {
      const record = records.get(id)
      if (record === undefined) continue
      if (record.expiresAt < now) forget(record)
      else due.add(id, record.expiresAt)
    }
  }

  function onTick(): void {
    sweep(sweptPerTick)
    if (records.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  function assertRoom(part: Part): void {
    const count = counts[part]
    if (count >= maxRecords) throw new Error(`the memory store is full: maxRecords is ${maxRecords}`)
    const wasFilling = filling[part]
    filling[part] = count >= maxRecords * (wasFilling ? 0.7 : 0.8)
    if (filling[part] && !wasFilling) report(`the memory store holds 80 % of maxRecords (${maxRecords})`)
  }

  function report(reason: string): void {
    try {
      tell({ type: 'store.filling', reason })
    } catch {
      // A listener's failure is no reason to refuse a record.
    }
  }

  function insert(record: StoredRecord): boolean {
    sweep(sweptPerWrite)
    if (records.has(record.id)) return false
    const part = partOf(record)
    assertRoom(part)
    records.set(record.id, record)
    counts[part]++
    if (record.kind === 'client') clients.add(record.id)
    if (record.kind === 'authorization') {
      bySubject.add(record.subject, record.id)
      byClient.add(record.client_id, record.id)
    }
    due.add(record.id, record.expiresAt)
    timer ??= setInterval(onTick, tick).unref()
    return true
  }

  function exchange(record: StoredRecord, version: string): boolean {
    sweep(sweptPerWrite)
    const replaced = records.get(record.id)
    if (replaced?.version !== version) return false
    // A record may change its part: a stranger's client is the application's once that has saved it. What is there already is never refused.
    counts[partOf(replaced)]--
    counts[partOf(record)]++
    records.set(record.id, record)
    // One that ends earlier than before is looked at then; one that ends later is found at its old time, and put back.
    if (record.expiresAt < replaced.expiresAt) due.add(record.id, record.expiresAt)
    return true
  }

  const store: MemoryStore = {
    get size() {
      return records.size
    },
    // What is at hand is not promised.
    get: (id) => records.get(id),
    create: insert,
    replace: exchange,
    scan(_kind, { after, limit }) {
      return clients.after(after, limit).flatMap((id) => records.get(id) ?? [])
    },
    async *list(filter: ListFilter) {
      const ids = filter.subject === undefined ? byClient.get(filter.client_id) : bySubject.get(filter.subject)
      for (const id of [...ids]) {
        const record = await Promise.resolve(records.get(id))
        if (record !== undefined && (filter.client_id === undefined || record.client_id === filter.client_id)) yield record
      }
    },
  }
  memoryStores.add(store)
  return store
}

/** The parts of the store. Each has a quota of its own. */
type Part = 'tokens' | 'guards' | 'strangers'

/** What has no end of its own is given one that every database can hold: see `clients/records.ts`. */
const never = 253_402_214_400

/**
 * The part that a record counts in. Nobody but the application makes an Authorization, or keeps a client for good; a stranger makes the store remember
 * requests, clients with an end, and OAuth 1 credentials that nobody has agreed to.
 */
function partOf({ kind, expiresAt, data }: StoredRecord): Part {
  switch (kind) {
    case 'guard':
      return 'guards'
    case 'request':
      return 'strangers'
    case 'client':
      return expiresAt < never ? 'strangers' : 'tokens'
    case 'oauth1':
      return data.stage === 'temporary' ? 'strangers' : 'tokens'
    case 'alias':
    case 'authorization':
      return 'tokens'
  }
}

/** Ids by a text they share. */
class Index {
  readonly #ids = new Map<string, Set<string>>()

  get(key: string): ReadonlySet<string> {
    return this.#ids.get(key) ?? new Set()
  }

  add(key: string | undefined, id: string): void {
    if (key === undefined) return
    const ids = this.#ids.get(key)
    if (ids === undefined) this.#ids.set(key, new Set([id]))
    else ids.add(id)
  }

  remove(key: string | undefined, id: string): void {
    if (key === undefined) return
    const ids = this.#ids.get(key)
    if (ids?.delete(id) === true && ids.size === 0) this.#ids.delete(key)
  }
}

/** Ids in order. They are sorted when they are asked for, and once for all pages while none comes or goes. */
class OrderedIds {
  readonly #ids = new Set<string>()
  #sorted: readonly string[] | undefined

  add(id: string): void {
    this.#ids.add(id)
    this.#sorted = undefined
  }

  remove(id: string): void {
    this.#ids.delete(id)
    this.#sorted = undefined
  }

  after(id: string | undefined, limit: number): readonly string[] {
    const sorted = (this.#sorted ??= [...this.#ids].sort())
    const start = id === undefined ? 0 : placeAfter(sorted, id)
    return sorted.slice(start, start + limit)
  }
}

/** The place of the first text that comes after that one. */
function placeAfter(sorted: readonly string[], text: string): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') > text) high = middle
    else low = middle + 1
  }
  return low
}

/** Ids by the time at which to look at them. A record whose end has moved is found at its old time, and put back. */
class DueTimes {
  readonly #buckets = new Map<number, string[]>()
  #earliest = Infinity

  add(id: string, expiresAt: number): void {
    const slot = Math.floor(expiresAt / bucketWidth) + 1
    const bucket = this.#buckets.get(slot)
    if (bucket === undefined) this.#buckets.set(slot, [id])
    else bucket.push(id)
    if (slot < this.#earliest) this.#earliest = slot
  }

  isDue(now: number): boolean {
    return this.#earliest <= Math.floor(now / bucketWidth)
  }

  /** Takes out up to `limit` ids whose time has come. */
  take(now: number, limit: number): string[] {
    const taken: string[] = []
    const present = Math.floor(now / bucketWidth)
    while (taken.length < limit && this.#earliest <= present) {
      const bucket = this.#buckets.get(this.#earliest)
      const id = bucket?.pop()
      if (id !== undefined) taken.push(id)
      if (bucket !== undefined && bucket.length > 0) continue
      this.#buckets.delete(this.#earliest)
      this.#earliest = this.#buckets.size === 0 ? Infinity : this.#nextSlot(present)
    }
    return taken
  }

  /** The next slot that holds something, or the first one that is not due yet. Looks at slots or at buckets, whatever is fewer. */
  #nextSlot(present: number): number {
    if (present - this.#earliest > this.#buckets.size) return [...this.#buckets.keys()].reduce((a, b) => Math.min(a, b))
    let slot = this.#earliest + 1
    while (slot <= present && !this.#buckets.has(slot)) slot++
    return slot
  }
}

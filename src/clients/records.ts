/**
 * Registered clients as records of the same store, over the same four verbs, and `scan` where they are listed.
 *
 * A record lives under a hash of issuer and client_id, which no credential can name, and is never found by `list`. There is no verb that
 * deletes: a client that was deleted leaves a record without a client, which ends a day later.
 */
import type { JsonObject } from '../json.js'
import type { ClientSource, StoredClient } from './client.js'
import { ClientConflict, ConfigurationError, TemporarilyUnavailable } from '../errors.js'
import { randomText, sha256 } from '../secrets.js'
import { callStore, type BoundedStore } from '../stores/call.js'
import { recordFormat, unreadableFormat, type Store, type StoredRecord } from '../stores/store.js'

/** What the records of clients need to know. */
export interface ClientRecordSettings extends BoundedStore {
  readonly clock: () => number
  readonly issuer: string | undefined
  /** A client that registered itself before this instant, and was not used, is refused. */
  readonly notBefore?: number | undefined
}

/** A client as its record says, the version of that record, and who says it. */
export interface RecordedClient {
  readonly client: StoredClient
  readonly version: string
  readonly source: ClientSource
  /** True for one that registered itself before the option `notBefore`, and was not used. */
  readonly isTooOld?: boolean
}

/** A client in a list, and where the list goes on after it. */
export interface ListedRecord extends RecordedClient {
  readonly cursor: string
}

const pageSize = 200

/** Milliseconds that the first page of a list may take: a store that an earlier release has used may look at every key for it, once. */
const firstPageTimeout = 60_000

/** 9999-12-31: a client has no end of its own, and a record needs one that every database can hold. */
const never = 253_402_214_400
const day = 86_400
const versionSize = 22

/** Clients, over the verbs of a store. Every method throws TemporarilyUnavailable when the store fails or holds what this release cannot read. */
export class ClientRecords {
  readonly #settings: ClientRecordSettings
  #hasWritten = false

  constructor(settings: ClientRecordSettings) {
    this.#settings = settings
  }

  /** Whether this process has stored a client. */
  get hasWritten(): boolean {
    return this.#hasWritten
  }

  async find(client_id: string): Promise<RecordedClient | undefined> {
    const record = await this.#read(client_id)
    return record === undefined ? undefined : this.#recorded(record)
  }

  #recorded(record: StoredRecord): RecordedClient | undefined {
    const { version, data, expiresAt } = record
    if (expiresAt <= this.#settings.clock()) return undefined
    if (data.client !== undefined) {
      const { unusedSince } = data
      const isTooOld = typeof unusedSince === 'number' && unusedSince < (this.#settings.notBefore ?? 0)
      return { client: data.client as unknown as StoredClient, version, source: sourceOf(record), isTooOld }
    }
    // What is kept of a metadata document: see `id-metadata.ts`.
    return data.metadata === undefined ? undefined : { client: data.metadata as unknown as StoredClient, version, source: 'document' }
  }

  /**
   * All clients of this server in order of their records, those after a cursor where it is given. `onUnreadable` is told of each record that cannot be read;
   * the list goes on.
   *
   * @throws ConfigurationError when the store has no verb `scan`; TemporarilyUnavailable when it fails.
   */
  list(cursor: string | undefined, limit: number, onUnreadable: () => void): AsyncGenerator<ListedRecord> {
    const { store } = this.#settings
    if (store.scan === undefined) throw new ConfigurationError(withoutScan)
    return this.#pages(store.scan.bind(store), cursor, limit, onUnreadable)
  }

  async *#pages(scan: NonNullable<Store['scan']>, cursor: string | undefined, limit: number, onUnreadable: () => void) {
    let after = cursor === undefined ? undefined : idPrefix + cursor
    let bounded: BoundedStore = { ...this.#settings, timeout: Math.max(this.#settings.timeout, firstPageTimeout) }
    for (let left = limit; left > 0;) {
      const page = { after, limit: Math.min(pageSize, left) }
      const records = await callStore(bounded, 'scan', () => scan('client', page))
      bounded = this.#settings
      const last = records.at(-1)?.id
      if (last === undefined || last === after) return
      after = last
      for (const record of records) {
        const listed = this.#listed(record, onUnreadable)
        if (listed === undefined) continue
        yield listed
        if (--left === 0) return
      }
    }
  }

  #listed(record: StoredRecord, onUnreadable: () => void): ListedRecord | undefined {
    if (record.format === unreadableFormat || record.format > recordFormat) {
      onUnreadable()
      return undefined
    }
    if (((record.issuer as string | null | undefined) ?? undefined) !== this.#settings.issuer) return undefined
    const recorded = this.#recorded(record)
    return recorded === undefined ? undefined : { ...recorded, cursor: record.id.slice(idPrefix.length) }
  }

  /**
   * Stores a new client: one of the application for good, one that registered itself until `expiresAt`. False when there is one with that id already, or
   * was until lately.
   */
  async create(client: StoredClient, source: ClientSource = 'application', expiresAt = never): Promise<boolean> {
    // Whoever is used loses the note of its age: see `keepUntil`.
    const data =
      source === 'application' ? { client: toJson(client) } : { client: toJson(client), source, unusedSince: this.#settings.clock() }
    const record = this.#record(client.client_id, data, expiresAt)
    this.#hasWritten = true
    if (await callStore(this.#settings, 'create', (store) => store.create(record))) return true
    return (await this.#read(client.client_id))?.version === record.version
  }

  /**
   * Stores a client, new or changed. Of two at once, one is last. With `version` it replaces that version and no other.
   *
   * @throws ClientConflict when there is another version by now, or none.
   */
  async save(client: StoredClient, version?: string): Promise<void> {
    const { client_id } = client
    const record = this.#record(client_id, { client: toJson(client) }, never)
    this.#hasWritten = true
    if (version === undefined) return this.#write(client_id, () => record)
    if (!(await this.#replace(record, version))) throw new ClientConflict(client_id)
  }

  /**
   * Changes what is stored of a client, and nothing else of its record: who says it, and when it ends. Decided again from what another has written
   * meanwhile. False where there is no such client.
   */
  async change(client_id: string, next: (client: StoredClient) => StoredClient): Promise<boolean> {
    const deadline = performance.now() + this.#settings.timeout
    for (;;) {
      const record = await this.#read(client_id)
      if (record?.data.client === undefined || record.expiresAt <= this.#settings.clock()) return false
      const client = toJson(next(record.data.client as unknown as StoredClient))
      if (await this.#replace(this.#record(client_id, { ...record.data, client }, record.expiresAt), record.version)) return true
      if (performance.now() > deadline) throw lostRace()
    }
  }

  /** A command that a driver sent twice answers false although it took effect. */
  async #replace(record: StoredRecord, version: string): Promise<boolean> {
    if (await callStore(this.#settings, 'replace', (store) => store.replace(record, version))) return true
    return (await this.#read(record.client_id ?? ''))?.version === record.version
  }

  /**
   * Keeps a client that would have ended before `instant` until then. Nothing is written where it would end later anyway, nor where it was deleted. The write
   * replaces the version that was read and no other; where another was faster, what it left is judged again.
   */
  async keepUntil(client_id: string, instant: number): Promise<void> {
    const deadline = performance.now() + this.#settings.timeout
    for (let record = await this.#read(client_id); ;) {
      if (record?.data.client === undefined || (record.expiresAt >= instant && record.data.unusedSince === undefined)) return
      const { version } = record
      const { unusedSince: _unused, ...data } = record.data
      const kept = this.#record(client_id, data, Math.max(record.expiresAt, instant + day))
      if (await callStore(this.#settings, 'replace', (store) => store.replace(kept, version))) return
      record = await this.#read(client_id)
      if (performance.now() > deadline) throw lostRace()
    }
  }

  /** Deletes a client, where there is one. */
  async remove(client_id: string, now: number): Promise<void> {
    if ((await this.#read(client_id)) !== undefined) await this.#write(client_id, () => this.#record(client_id, {}, now + day))
  }

  /** Writes over whatever is there. */
  async #write(client_id: string, next: () => StoredRecord): Promise<void> {
    const deadline = performance.now() + this.#settings.timeout
    this.#hasWritten = true
    for (let current = await this.#read(client_id); ;) {
      const record = next()
      const replaced = current?.version
      const isWritten = await callStore(this.#settings, replaced === undefined ? 'create' : 'replace', (store) =>
        replaced === undefined ? store.create(record) : store.replace(record, replaced),
      )
      if (isWritten) return
      current = await this.#read(client_id)
      // A command that a driver sent twice answers false although it took effect.
      if (current?.version === record.version) return
      if (performance.now() > deadline) throw lostRace()
    }
  }

  async #read(client_id: string): Promise<StoredRecord | undefined> {
    const id = this.#idOf(client_id)
    const record = (await callStore(this.#settings, 'get', (store) => store.get(id))) as StoredRecord | null | undefined
    if (record === undefined || record === null) return undefined
    if (record.format === recordFormat && record.kind === 'client') return record
    throw new TemporarilyUnavailable(undefined, { reason: `the record of a client has format ${record.format}, not ${recordFormat}` })
  }

  #record(client_id: string, data: JsonObject, expiresAt: number): StoredRecord {
    const { issuer } = this.#settings
    return {
      id: this.#idOf(client_id),
      version: randomText(versionSize),
      kind: 'client',
      ...(issuer === undefined ? {} : { issuer }),
      client_id,
      expiresAt,
      format: recordFormat,
      data,
    }
  }

  #idOf(client_id: string): string {
    return `${idPrefix}${sha256(JSON.stringify([this.#settings.issuer ?? null, client_id]))}`
  }
}

/** Version 0.1.0 wrote no source: what it let register itself has an end, and what the application saved has none. */
function sourceOf({ data, expiresAt }: StoredRecord): ClientSource {
  return data.source === 'registration' || expiresAt !== never ? 'registration' : 'application'
}

function lostRace(): TemporarilyUnavailable {
  return new TemporarilyUnavailable(undefined, { reason: 'lost the race for this client until the deadline' })
}

const idPrefix = 'client:'
const withoutScan =
  'listClients: the option store has no verb scan(), which lists clients; add it as the type Store describes it, or use a store of this package'

function toJson(client: StoredClient): JsonObject {
  return JSON.parse(JSON.stringify(client)) as JsonObject
}

/**
 * Registered clients as records of the same store, over the same four verbs.
 *
 * A record lives under a hash of issuer and client_id, which no credential can name, and is never listed. There is no verb that
 * deletes: a client that was deleted leaves a record without a client, which ends a day later.
 */
import type { JsonObject } from '../authorization.js'
import type { ClientSource, StoredClient } from '../clients.js'
import { TemporarilyUnavailable } from '../errors.js'
import { randomText, sha256 } from '../secrets.js'
import { callStore, type BoundedStore } from './call.js'
import { recordFormat, type StoredRecord } from './store.js'

/** What the records of clients need to know. */
export interface ClientRecordSettings extends BoundedStore {
  readonly clock: () => number
  readonly issuer: string | undefined
}

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

  async find(client_id: string): Promise<StoredClient | undefined> {
    return (await this.findWithSource(client_id))?.client
  }

  /** The same, and who says it. */
  async findWithSource(client_id: string): Promise<{ readonly client: StoredClient; readonly source: ClientSource } | undefined> {
    const record = await this.#read(client_id)
    if (record === undefined || record.expiresAt <= this.#settings.clock()) return undefined
    const client = clientIn(record)
    return client === undefined ? undefined : { client, source: sourceOf(record) }
  }

  /**
   * Stores a new client: one of the application for good, one that registered itself until `expiresAt`. False when there is one with that id already, or
   * was until lately.
   */
  async create(client: StoredClient, source: ClientSource = 'application', expiresAt = never): Promise<boolean> {
    const data = source === 'application' ? { client: toJson(client) } : { client: toJson(client), source }
    const record = this.#record(client.client_id, data, expiresAt)
    this.#hasWritten = true
    if (await callStore(this.#settings, 'create', (store) => store.create(record))) return true
    return (await this.#read(client.client_id))?.version === record.version
  }

  /** Stores a client, new or changed. Of two at once, one is last. */
  save(client: StoredClient): Promise<void> {
    return this.#write(client.client_id, { client: toJson(client) }, never)
  }

  /**
   * Keeps a client that would have ended before `instant` until then. Nothing is written where it would end later anyway, nor where it was deleted. The write
   * replaces the version that was read and no other; where another was faster, what it left is judged again.
   */
  async keepUntil(client_id: string, instant: number): Promise<void> {
    const deadline = performance.now() + this.#settings.timeout
    for (let record = await this.#read(client_id); ;) {
      if (record?.data.client === undefined || record.expiresAt >= instant) return
      const { version, data } = record
      const kept = this.#record(client_id, data, instant + day)
      if (await callStore(this.#settings, 'replace', (store) => store.replace(kept, version))) return
      record = await this.#read(client_id)
      if (performance.now() > deadline)
        throw new TemporarilyUnavailable(undefined, { reason: 'lost the race for this client until the deadline' })
    }
  }

  /** Deletes a client, where there is one. */
  async remove(client_id: string, now: number): Promise<void> {
    if ((await this.#read(client_id)) !== undefined) await this.#write(client_id, {}, now + day)
  }

  async #write(client_id: string, data: JsonObject, expiresAt: number): Promise<void> {
    const deadline = performance.now() + this.#settings.timeout
    this.#hasWritten = true
    for (let current = await this.#read(client_id); ;) {
      const record = this.#record(client_id, data, expiresAt)
      const replaced = current?.version
      const isWritten = await callStore(this.#settings, replaced === undefined ? 'create' : 'replace', (store) =>
        replaced === undefined ? store.create(record) : store.replace(record, replaced),
      )
      if (isWritten) return
      current = await this.#read(client_id)
      // A command that a driver sent twice answers false although it took effect.
      if (current?.version === record.version) return
      if (performance.now() > deadline)
        throw new TemporarilyUnavailable(undefined, { reason: 'lost the race for this client until the deadline' })
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
    return `client:${sha256(JSON.stringify([this.#settings.issuer ?? null, client_id]))}`
  }
}

/** Version 0.1.0 wrote no source: what it let register itself has an end, and what the application saved has none. */
function sourceOf({ data, expiresAt }: StoredRecord): ClientSource {
  return data.source === 'registration' || expiresAt !== never ? 'registration' : 'application'
}

/** What is read is checked where clients are read: see `clients.ts`. */
function clientIn({ data }: StoredRecord): StoredClient | undefined {
  return data.client === undefined ? undefined : (data.client as unknown as StoredClient)
}

function toJson(client: StoredClient): JsonObject {
  return JSON.parse(JSON.stringify(client)) as JsonObject
}

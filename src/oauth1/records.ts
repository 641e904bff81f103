/**
 * How the credentials use a store: `get` and one compare-and-set for each change, `create` as the guard of nonces.
 *
 * A false is not yet a lost race: a driver may have sent a command twice. The record is read again; one that carries the version
 * just written means that this very request has won. Every call is bounded in time; what a store throws becomes
 * `TemporarilyUnavailable`, because a failing store is never the client's fault.
 */
import type { Awaitable } from '../awaitable.js'
import { ServerError, TemporarilyUnavailable } from '../errors.js'
import { randomText, sha256 } from '../secrets.js'
import { recordFormat, type Store, type StoredRecord } from '../stores/store.js'
import { withinTime } from '../within-time.js'
import { fromRecord, recordIdOf, toRecord, type Credentials } from './credentials.js'

/** What the records need to know. */
export interface RecordSettings {
  readonly store: Store
  /** Milliseconds that one call may take. */
  readonly timeout: number
  readonly issuer: string | undefined
  /** Seconds by which the clocks of the machines may differ. */
  readonly clockTolerance: number
}

const versionSize = 22

/** Credentials and nonces in a {@link Store}. */
export class Records {
  readonly #settings: RecordSettings

  constructor(settings: RecordSettings) {
    this.#settings = settings
  }

  /** The credentials with that id, or undefined; they may have ended. Those of another issuer are unknown. */
  find(id: string): Promise<Credentials | undefined> {
    return this.findOr(id, () => undefined)
  }

  /** The same with something else in their place; it takes as long, down to what it costs to await an object and not undefined. */
  async findOr<T>(id: string, otherwise: () => T): Promise<Credentials | T> {
    const { record } = await this.#call(async (store) => ({ record: await store.get(recordIdOf(id)) }))
    return record === undefined || record.issuer !== this.#settings.issuer ? otherwise() : fromRecord(record)
  }

  /** Inserts new credentials. */
  async create(credentials: Credentials): Promise<void> {
    if (await this.#write(credentials)) return
    throw new ServerError(undefined, { reason: 'new credentials met a record with the same id' })
  }

  /** Writes the next state of credentials that were read. False when another request was faster: then nothing is written. */
  replace(next: Credentials): Promise<boolean> {
    return this.#write(next)
  }

  /** Remembers a nonce until `expiresAt`. True for exactly one request, in any process. */
  async claimNonce(nonce: string, expiresAt: number): Promise<boolean> {
    const { issuer, clockTolerance } = this.#settings
    const record: StoredRecord = {
      id: `guard:${sha256(JSON.stringify([issuer ?? null, 'oauth1 nonce', nonce]))}`,
      version: randomText(versionSize),
      kind: 'guard',
      ...(issuer === undefined ? {} : { issuer }),
      expiresAt: expiresAt + clockTolerance,
      format: recordFormat,
      data: {},
    }
    return (await this.#call((store) => store.create(record))) || this.#isOwn(record)
  }

  async #write(credentials: Credentials): Promise<boolean> {
    const { version } = credentials
    const record = toRecord(credentials, randomText(versionSize), this.#settings.issuer)
    const written = await this.#call((store) => (version === undefined ? store.create(record) : store.replace(record, version)))
    return written || this.#isOwn(record)
  }

  async #isOwn(record: StoredRecord): Promise<boolean> {
    const stored = await this.#call((store) => store.get(record.id))
    return stored?.version === record.version
  }

  async #call<T>(work: (store: Store) => Awaitable<T>): Promise<T> {
    const { store, timeout } = this.#settings
    try {
      return await withinTime(timeout, () => work(store), () => new Error(`the store did not answer within ${timeout} ms`)) // prettier-ignore
    } catch (cause) {
      throw new TemporarilyUnavailable(undefined, { reason: 'the store failed', cause })
    }
  }
}

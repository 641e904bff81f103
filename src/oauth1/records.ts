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
import { measured, StoreTimeout, type StoreVerb } from '../events/store-calls.js'
import { recordFormat, type RecordKind, type Store, type StoredRecord } from '../stores/store.js'
import { withinTime } from '../time-limit.js'
import { credentialsIdOf, fromRecord, recordIdOf, toRecord, type Credentials } from './credentials.js'

/** What the records need to know. */
export interface RecordSettings {
  readonly store: Store
  /** Milliseconds that one call may take. */
  readonly timeout: number
  readonly issuer: string | undefined
  /** Seconds by which the clocks of the machines may differ. */
  readonly clockTolerance: number
  /** Whether the application writes texts of `oauth_token`: they hold no id, and an alias says which one is meant. */
  readonly ownTexts: boolean
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
    const { record } = await this.#call('get', async (store) => ({ record: await store.get(recordIdOf(id)) }))
    return record === undefined || record.issuer !== this.#settings.issuer ? otherwise() : fromRecord(record)
  }

  /** The id of the credentials that an `oauth_token` names; undefined where it names none. */
  idOf(oauth_token: string): Awaitable<string | undefined> {
    const id = credentialsIdOf(oauth_token)
    return id !== undefined || !this.#settings.ownTexts ? id : this.#findAlias(oauth_token)
  }

  async #findAlias(oauth_token: string): Promise<string | undefined> {
    const { record } = await this.#call('get', async (store) => ({ record: await store.get(this.#aliasId(oauth_token)) }))
    if (record?.kind !== 'alias' || record.issuer !== this.#settings.issuer) return undefined
    const { credentials_id } = record.data
    return typeof credentials_id === 'string' ? credentials_id : undefined
  }

  /**
   * Remembers which credentials a text of the application's own belongs to. Written before them.
   *
   * @throws ServerError when the text was there before: nothing may be issued.
   */
  async createAlias(oauth_token: string, credentials_id: string, expiresAt: number): Promise<void> {
    const record = this.#newRecord('alias', this.#aliasId(oauth_token), { credentials_id }, expiresAt)
    if ((await this.#call('create', (store) => store.create(record))) || (await this.#isOwn(record))) return
    throw new ServerError(undefined, { reason: 'the option tokens repeated itself: its text belongs to other credentials' })
  }

  #aliasId(oauth_token: string): string {
    return `alias:${sha256(JSON.stringify([this.#settings.issuer ?? null, 'oauth1 token', oauth_token]))}`
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
    const { issuer } = this.#settings
    const record = this.#newRecord('guard', `guard:${sha256(JSON.stringify([issuer ?? null, 'oauth1 nonce', nonce]))}`, {}, expiresAt)
    return (await this.#call('create', (store) => store.create(record))) || this.#isOwn(record)
  }

  #newRecord(kind: RecordKind, id: string, data: StoredRecord['data'], expiresAt: number): StoredRecord {
    const { issuer, clockTolerance } = this.#settings
    const version = randomText(versionSize)
    const until = expiresAt + clockTolerance
    return { id, version, kind, ...(issuer === undefined ? {} : { issuer }), expiresAt: until, format: recordFormat, data }
  }

  async #write(credentials: Credentials): Promise<boolean> {
    const { version } = credentials
    const record = toRecord(credentials, randomText(versionSize), this.#settings.issuer)
    const written = await this.#call(version === undefined ? 'create' : 'replace', (store) =>
      version === undefined ? store.create(record) : store.replace(record, version),
    )
    return written || this.#isOwn(record)
  }

  async #isOwn(record: StoredRecord): Promise<boolean> {
    const stored = await this.#call('get', (store) => store.get(record.id))
    return stored?.version === record.version
  }

  async #call<T>(verb: StoreVerb, work: (store: Store) => Awaitable<T>): Promise<T> {
    const { store, timeout } = this.#settings
    const bounded = () => withinTime(timeout, () => work(store), () => new StoreTimeout(timeout)) // prettier-ignore
    try {
      return await measured(verb, bounded, (thrown) => (thrown instanceof StoreTimeout ? 'timeout' : 'failed'))
    } catch (cause) {
      throw new TemporarilyUnavailable(undefined, { reason: 'the store failed', cause })
    }
  }
}

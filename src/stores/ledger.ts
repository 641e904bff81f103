/**
 * How the endpoints use a store: every change of an Authorization is one compare-and-set, and this file makes it.
 *
 * 1. `settle` takes its turn, reads the record, and lets the caller decide on the next state.
 * 2. It writes the next state under a fresh version, if nobody was faster.
 * 3. A false is not yet a lost race: a driver may have sent a command twice. It reads again; a record that carries the version
 *    just written means that this very request has won.
 * 4. A lost race is decided again from the state that won, until the deadline.
 *
 * Every call is bounded in time. What a store throws, and what cannot be read, becomes `TemporarilyUnavailable`: a failing
 * store is never the client's fault. A write whose outcome is unknown is not repeated and gives out nothing.
 */
import type { Authorization } from '../authorization.js'
import { isAuthorizationId } from '../credentials.js'
import { ServerError, TemporarilyUnavailable } from '../errors.js'
import { randomText, sha256 } from '../secrets.js'
import { fromRecord, toRecord } from './authorization-record.js'
import { callStore, type BoundedStore } from './call.js'
import { recordFormat, unreadableFormat, type ListFilter, type StoredRecord } from './store.js'
import { Turns } from './turns.js'

/** What a decision leads to: the state to write, where there is one, and the result that stands once it is written. */
export interface Settlement<T> {
  readonly next?: Authorization
  readonly result: T
}

/** What the ledger needs to know. */
export interface LedgerSettings extends BoundedStore {
  readonly issuer: string | undefined
  /** Seconds by which the clocks of the machines may differ. */
  readonly clockTolerance: number
  /** Authorizations that were made before this instant are unknown. */
  readonly notBefore?: number | undefined
}

const versionSize = 22

/** Authorizations and guards, over the four verbs of a store. */
export class Ledger {
  readonly #settings: LedgerSettings
  readonly #turns = new Turns()

  constructor(settings: LedgerSettings) {
    this.#settings = settings
  }

  /**
   * The Authorization with that id, or undefined; it may have expired or been revoked. One of another issuer is unknown.
   *
   * @throws TemporarilyUnavailable when the store fails or the record cannot be read.
   */
  async find(id: string): Promise<Authorization | undefined> {
    if (!isAuthorizationId(id)) return undefined
    const record = await callStore(this.#settings, (store) => store.get(id))
    if (record === undefined || record.issuer !== this.#settings.issuer) return undefined
    const authorization = readable(record)
    return this.#isTooOld(authorization) ? undefined : authorization
  }

  /**
   * The Authorizations of a subject, of a client, or of both, expired and revoked ones among them. `onUnreadable` is told of each that cannot be
   * read; the list goes on.
   *
   * @throws TemporarilyUnavailable when the store fails.
   */
  async *list(filter: ListFilter, onUnreadable: (id: string, cause: unknown) => void): AsyncGenerator<Authorization> {
    const records = this.#settings.store.list(filter)[Symbol.asyncIterator]()
    try {
      for (;;) {
        const step = await callStore(this.#settings, () => records.next())
        if (step.done === true) return
        const authorization = this.#listed(step.value, onUnreadable)
        if (authorization !== undefined && !this.#isTooOld(authorization)) yield authorization
      }
    } finally {
      // Not awaited: a store that hangs would hold up its own refusal.
      records.return?.().catch(() => undefined)
    }
  }

  #listed(record: StoredRecord, onUnreadable: (id: string, cause: unknown) => void): Authorization | undefined {
    if (record.format !== unreadableFormat && record.issuer !== this.#settings.issuer) return undefined
    try {
      return fromRecord(record)
    } catch (cause) {
      onUnreadable(record.id, cause)
      return undefined
    }
  }

  #isTooOld({ createdAt }: Authorization): boolean {
    return this.#settings.notBefore !== undefined && createdAt < this.#settings.notBefore
  }

  /**
   * Decides and writes as one step. `decide` sees the present state, and may be called several times: it must have no
   * side effects. Its settlement stands when this returns; nothing was written when it throws anything but a failure of the store.
   *
   * @throws TemporarilyUnavailable when the store fails, or when races were lost until the deadline.
   */
  async settle<T>(
    id: string | undefined,
    decide: (current: Authorization | undefined) => Promise<Settlement<T>> | Settlement<T>,
    { urgent = false } = {},
  ): Promise<T> {
    if (id === undefined) return this.#settleFrom(undefined, undefined, decide)
    const { timeout } = this.#settings
    const busy = () => new TemporarilyUnavailable(undefined, { reason: 'waited too long for other requests of this authorization' })
    return this.#turns.take(id, urgent, timeout, busy, async () => this.#settleFrom(id, await this.find(id), decide))
  }

  /**
   * Remembers a one-time value until `expiresAt`. True for exactly one caller with that value, in any process.
   *
   * @throws TemporarilyUnavailable when the store fails.
   */
  async claimOnce(namespace: string, value: string, expiresAt: number): Promise<boolean> {
    const { issuer, clockTolerance } = this.#settings
    const record: StoredRecord = {
      id: `guard:${sha256(JSON.stringify([issuer ?? null, namespace, value]))}`,
      version: randomText(versionSize),
      kind: 'guard',
      ...(issuer === undefined ? {} : { issuer }),
      expiresAt: expiresAt + clockTolerance,
      format: recordFormat,
      data: {},
    }
    if (await callStore(this.#settings, (store) => store.create(record))) return true
    const stored = await callStore(this.#settings, (store) => store.get(record.id))
    return stored?.version === record.version
  }

  async #settleFrom<T>(
    id: string | undefined,
    read: Authorization | undefined,
    decide: (current: Authorization | undefined) => Promise<Settlement<T>> | Settlement<T>,
  ): Promise<T> {
    const deadline = performance.now() + this.#settings.timeout
    for (let current = read; ;) {
      const { next, result } = await decide(current)
      if (next === undefined) return result
      const version = randomText(versionSize)
      if (await this.#write(next, version)) return result
      const stored = await this.find(next.id)
      if (stored?.version === version) return result
      if (id === undefined) throw new ServerError(undefined, { reason: 'a new authorization met one with the same id' })
      if (performance.now() > deadline) {
        throw new TemporarilyUnavailable(undefined, { reason: 'lost the race for this authorization until the deadline' })
      }
      current = stored
    }
  }

  #write(next: Authorization, version: string): Promise<boolean> {
    const record = toRecord(next, version, this.#settings.issuer)
    const replaced = next.version
    return callStore(this.#settings, (store) => (replaced === undefined ? store.create(record) : store.replace(record, replaced)))
  }
}

function readable(record: StoredRecord): Authorization {
  try {
    return fromRecord(record)
  } catch (cause) {
    throw new TemporarilyUnavailable(undefined, { reason: 'the store returned a record that cannot be read', cause })
  }
}

/**
 * How the endpoints use a store: every change of an Authorization is one compare-and-set, and this file makes it.
 *
 * 1. `settle` takes its turn, or goes ahead when that does not come, reads the record, and lets the caller decide on the next state.
 * 2. It writes the next state under a fresh version, if nobody was faster.
 * 3. A false is not yet a lost race: a driver may have sent a command twice. It reads again; a record that carries the version
 *    just written means that this very request has won.
 * 4. A lost race is decided again from the state that won, until the deadline.
 *
 * Every call is bounded in time. What a store throws, and what cannot be read, becomes `TemporarilyUnavailable`: a failing
 * store is never the client's fault. A write whose outcome is unknown is not repeated and gives out nothing.
 */
import { setImmediate } from 'node:timers/promises'
import { withRevocation, type Authorization } from './authorization.js'
import type { JsonObject } from '../json.js'
import { whenThere, type Awaitable } from '../awaitable.js'
import { isAuthorizationId } from './credentials.js'
import { ServerError, TemporarilyUnavailable } from '../errors.js'
import { randomText, sha256 } from '../secrets.js'
import { lateCallback, withinTime } from '../time-limit.js'
import { fromRecord, toRecord, UnreadableRecord } from './record.js'
import { callStore, type BoundedStore } from '../stores/call.js'
import { recordFormat, unreadableFormat, type ListFilter, type RecordKind, type StoredRecord } from '../stores/store.js'
import { Turns } from './turns.js'

/** What a decision leads to: the state to write, where there is one, and the result that stands once it is written. */
export interface Settlement<T> {
  readonly next?: Authorization
  /** Texts without an id inside by which that Authorization has to be found. Written before it. */
  readonly aliases?: readonly Alias[]
  readonly result: T
}

/** A credential whose text is the application's own, and what it points at. */
export interface Alias {
  readonly text: string
  readonly authorization_id: string
  /** Where it is a refresh token. */
  readonly generation?: number
  readonly expiresAt: number
}

/** Decides on the next state. May be asked several times, and must have no side effects. */
type Decide<T> = (current: Authorization | undefined) => Awaitable<Settlement<T>>

/** The write of a next state that was answered false. */
interface LostWrite {
  readonly id: string
  readonly version: string
}

/** What was decided, and where it does not stand yet the write that was lost. */
interface Attempt<T> {
  readonly result: T
  readonly lost: LostWrite | undefined
}

/** What the ledger needs to know. */
export interface LedgerSettings extends BoundedStore {
  /** Milliseconds that a decision may take: it may hold functions of the application. */
  readonly decisionTimeout: number
  readonly issuer: string | undefined
  /** Seconds by which the clocks of the machines may differ. */
  readonly clockTolerance: number
  /** Authorizations that were made before this instant are found as revoked, and are not listed. */
  readonly notBefore?: number | undefined
}

const versionSize = 22

/** A request waits for its turn for this part of the time-out, and then goes ahead: the compare-and-set decides anyway. */
const patienceShare = 4

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
  find(id: string, urgent = false): Awaitable<Authorization | undefined> {
    return isAuthorizationId(id) ? whenThere(this.#get(id, urgent), (record) => this.#found(record, id)) : undefined
  }

  #found(record: StoredRecord | null | undefined, id: string): Authorization | undefined {
    if (!isOurs(record, this.#settings.issuer)) return undefined
    const authorization = readable(record, id)
    return this.#isTooOld(authorization) ? withRevocation(authorization, authorization.createdAt) : authorization
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
        const step = await callStore(this.#settings, 'list', () => records.next())
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
    if (record.format !== unreadableFormat && !isOurs(record, this.#settings.issuer)) return undefined
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
  settle<T>(id: string | undefined, decide: Decide<T>, { urgent = false } = {}): Awaitable<T> {
    const { timeout } = this.#settings
    const deadline = performance.now() + timeout
    if (id === undefined) return this.#settleFrom(undefined, decide, deadline)
    const work = () => whenThere(this.find(id, urgent), (current) => this.#settleFrom(current, decide, deadline, id))
    return this.#turns.take(id, urgent, timeout / patienceShare, work)
  }

  /**
   * Remembers a one-time value until `expiresAt`. True for exactly one caller with that value, in any process.
   *
   * @throws TemporarilyUnavailable when the store fails.
   */
  async claimOnce(namespace: string, value: string, expiresAt: number): Promise<boolean> {
    const record = this.#newRecord('guard', this.#guardId(namespace, value), {}, expiresAt)
    if (await callStore(this.#settings, 'create', (store) => store.create(record))) return true
    const stored = await this.#get(record.id)
    return stored?.version === record.version
  }

  /** Whether a one-time value was claimed, and is still remembered. */
  async wasClaimed(namespace: string, value: string): Promise<boolean> {
    const record = await this.#get(this.#guardId(namespace, value))
    return isOurs(record, this.#settings.issuer)
  }

  /** Keeps plain data under a random text of ours until `expiresAt`. For a text that requests have in common see {@link rememberShared}. */
  async remember(kind: RecordKind, text: string, data: JsonObject, expiresAt: number): Promise<void> {
    if (await this.rememberShared(kind, text, data, expiresAt)) return
    throw new ServerError(undefined, { reason: `a new ${kind} met one with the same text` })
  }

  /** Keeps plain data under a text that several requests may have in common. False where something is kept there already: nothing is written then. */
  async rememberShared(kind: RecordKind, text: string, data: JsonObject, expiresAt: number): Promise<boolean> {
    const record = this.#newRecord(kind, this.#textId(kind, text), data, expiresAt)
    if (await callStore(this.#settings, 'create', (store) => store.create(record))) return true
    const stored = await this.#get(record.id)
    return stored?.version === record.version
  }

  /** What is kept under a text, or undefined. Its expiry is the caller's to judge. */
  async recall(kind: RecordKind, text: string): Promise<StoredRecord | undefined> {
    const record = await this.#get(this.#textId(kind, text))
    return isOurs(record, this.#settings.issuer) && record.kind === kind ? record : undefined
  }

  /** Replaces what was recalled, unless somebody was faster: then false. */
  async exchange(recalled: StoredRecord, data: JsonObject, expiresAt: number): Promise<boolean> {
    const record = { ...recalled, version: randomText(versionSize), data, expiresAt: Math.max(expiresAt, recalled.expiresAt) }
    if (await callStore(this.#settings, 'replace', (store) => store.replace(record, recalled.version))) return true
    const stored = await this.#get(record.id)
    return stored?.version === record.version
  }

  /** What a text of the application's own points at, or undefined. */
  async findAlias(text: string): Promise<Pick<Alias, 'authorization_id' | 'generation'> | undefined> {
    const record = await this.#get(this.#aliasId(text))
    if (!isOurs(record, this.#settings.issuer) || record.kind !== 'alias') return undefined
    const { authorization_id, generation } = record.data
    if (typeof authorization_id !== 'string') return undefined
    return typeof generation === 'number' ? { authorization_id, generation } : { authorization_id }
  }

  /** Writes an alias. One that exists and points elsewhere means that a generator repeated itself: nothing may be issued. */
  async #writeAlias({ text, authorization_id, generation, expiresAt }: Alias): Promise<void> {
    const data = generation === undefined ? { authorization_id } : { authorization_id, generation }
    const record = this.#newRecord('alias', this.#aliasId(text), data, expiresAt)
    if (await callStore(this.#settings, 'create', (store) => store.create(record))) return
    const existing = await this.findAlias(text)
    if (existing?.authorization_id === authorization_id && existing.generation === generation) return
    throw new ServerError(undefined, { reason: 'a generator repeated itself: its text belongs to another authorization' })
  }

  /** The record with that id. A driver's null means the same as undefined: there is none. */
  #get(id: string, urgent = false): Awaitable<StoredRecord | null | undefined> {
    return callStore(this.#settings, 'get', (store) => store.get(id), urgent)
  }

  #newRecord(kind: RecordKind, id: string, data: JsonObject, expiresAt: number): StoredRecord {
    const { issuer, clockTolerance } = this.#settings
    const version = randomText(versionSize)
    const until = expiresAt + clockTolerance
    return { id, version, kind, ...(issuer === undefined ? {} : { issuer }), expiresAt: until, format: recordFormat, data }
  }

  #guardId(namespace: string, value: string): string {
    return `guard:${sha256(JSON.stringify([this.#settings.issuer ?? null, namespace, value]))}`
  }

  #aliasId(text: string): string {
    return this.#textId('alias', text)
  }

  #textId(kind: RecordKind, text: string): string {
    return `${kind}:${sha256(JSON.stringify([this.#settings.issuer ?? null, text]))}`
  }

  #settleFrom<T>(current: Authorization | undefined, decide: Decide<T>, deadline: number, id?: string): Awaitable<T> {
    return whenThere(this.#attempt(current, decide), (attempt) =>
      attempt.lost === undefined ? attempt.result : this.#settleAgain(attempt, decide, deadline, id),
    )
  }

  /** One decision and its write. */
  #attempt<T>(current: Authorization | undefined, decide: Decide<T>): Awaitable<Attempt<T>> {
    const settlement = withinTime(this.#settings.decisionTimeout, () => decide(current), lateCallback)
    return whenThere(settlement, ({ next, aliases, result }) => {
      if (next === undefined) return { result, lost: undefined }
      const version = randomText(versionSize)
      // Whatever else than true a store answers is not taken for it: the record is read again.
      return whenThere(this.#write(next, aliases, version), (isWritten: unknown) =>
        isWritten === true ? { result, lost: undefined } : { result, lost: { id: next.id, version } },
      )
    })
  }

  /** After a write that answered false, until one is written or the deadline has passed. */
  async #settleAgain<T>(first: Attempt<T>, decide: Decide<T>, deadline: number, id: string | undefined): Promise<T> {
    for (let attempt = first; ;) {
      const { result, lost } = attempt
      if (lost === undefined) return result
      // A store that answers without waiting must not keep everybody else from running; one that waits loses no time here.
      const turn = setImmediate()
      const stored = await this.find(lost.id)
      if (stored?.version === lost.version) return result
      if (id === undefined) throw new ServerError(undefined, { reason: 'a new authorization met one with the same id' })
      if (performance.now() > deadline) {
        throw new TemporarilyUnavailable(undefined, { reason: 'lost the race for this authorization until the deadline' })
      }
      await turn
      attempt = await this.#attempt(stored, decide)
    }
  }

  #write(next: Authorization, aliases: readonly Alias[] = [], version: string): Awaitable<boolean> {
    const write = () => this.#writeRecord(next, version)
    return aliases.length === 0 ? write() : this.#writeAliases(aliases).then(write)
  }

  async #writeAliases(aliases: readonly Alias[]): Promise<void> {
    for (const alias of aliases) await this.#writeAlias(alias)
  }

  #writeRecord(next: Authorization, version: string): Awaitable<boolean> {
    const record = toRecord(next, version, this.#settings.issuer)
    const replaced = next.version
    // A write that ends an Authorization waits for a place before others.
    const isUrgent = next.revokedAt !== undefined
    return replaced === undefined
      ? callStore(this.#settings, 'create', (store) => store.create(record), isUrgent)
      : callStore(this.#settings, 'replace', (store) => store.replace(record, replaced), isUrgent)
  }
}

/** A column that is empty reads as null, and means the same as a member that is not there. */
function isOurs(record: StoredRecord | null | undefined, issuer: string | undefined): record is StoredRecord {
  return record !== undefined && record !== null && ((record.issuer as string | null | undefined) ?? undefined) === issuer
}

function readable(record: StoredRecord, id: string): Authorization {
  try {
    const authorization = fromRecord(record)
    if (authorization.id !== id) throw new UnreadableRecord('the store returned another record than the one asked for')
    return authorization
  } catch (cause) {
    throw new TemporarilyUnavailable(undefined, { reason: 'the store returned a record that cannot be read', cause })
  }
}

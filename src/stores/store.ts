/**
 * The seam of storage: four verbs over small records, each of them one step in whatever keeps them, and two more that a store may have.
 *
 * A store knows nothing of OAuth. It finds, inserts, and replaces under a condition; that is all the endpoints need to be
 * right under any concurrency. What the records mean is in `authorization/record.ts`; how the verbs are used, in `ledger.ts`.
 */
import type { JsonObject } from '../json.js'
import type { Awaitable } from '../awaitable.js'

/**
 * Where Authorizations are remembered. A store that has its answer at hand may give it without a promise.
 *
 * - **Failure.** Each verb does what it says, or throws (or rejects). The request that called it is then answered `503 temporarily_unavailable`, and gives
 *   out nothing. A store repeats a call by itself only where it is certain that the call had no effect. It never answers `false` or
 *   `undefined` because of a failure: these say that a record is not as it was, or not there.
 * - **Consistency.** `get` is linearizable for each id: it answers every write that was acknowledged anywhere before it was asked. `create` and
 *   `replace` are atomic among all processes. `list` may lag.
 * - **Grace.** A record stays for at least 60 seconds after its `expiresAt`, by the clock of the store: no process whose clock is late may miss a record that it
 *   still honours. A store of one process, with one clock, may drop it as soon as the second of its end is over.
 * - **Sizes.** In bytes of UTF-8, at most: `id` 255, `version` 64, `kind` 16, `client_id` 255, `subject` 1000. Ids and versions are visible ASCII. `data` has no
 *   bound of its own: 1 to 4 kB are usual, and 1 MB must be kept.
 * - **Texts** come back character by character, and are compared so: with case, with spaces at the end. A store throws for a text that its database would change.
 *
 * `testStore` and `testStoreAcrossProcesses` of `oauth2-token-handler/testing` test this; `oauth2-token-handler/stores/kit` has the parts that stores
 * over a database share.
 */
export interface Store {
  /**
   * The record, or undefined. Returns one past its `expiresAt` too, as long as it is there: the caller's clock judges expiry, in one place.
   * Never drops a record early, and never answers from a replica or a cache that may lag.
   */
  get(id: string): Awaitable<StoredRecord | undefined>
  /**
   * Inserts. False when the id exists, even where it has expired and was not yet swept. Atomic: of any number of callers
   * with one id exactly one sees true, so this verb is also the replay guard for one-time values.
   */
  create(record: StoredRecord): Awaitable<boolean>
  /**
   * Replaces the record of that id if the stored version still is `version`; false when it is not, or is gone. Atomic: a second
   * caller with the same `version` sees false.
   */
  replace(record: StoredRecord, version: string): Awaitable<boolean>
  /**
   * The Authorizations of a subject, of a client, or of both. Those written while it runs may be missing; one that cannot be read
   * is not passed over in silence, but listed as it is, or with the format 0.
   */
  list(filter: ListFilter): AsyncIterable<StoredRecord>
  /**
   * Optional; `listClients` needs it. A page of at most `limit` records of that kind, in order of their ids (of their bytes), those after the id `after`
   * where it is given. An empty page ends the list. The ids of the kind are those that begin with it and a colon, as in `client:…`, so that a database finds
   * them by its primary key. Those written meanwhile may be missing; one that cannot be read is listed with the format 0.
   */
  scan?(kind: ScannedKind, page: ScanPage): Awaitable<readonly StoredRecord[]>
  /**
   * Optional. Resolves where the store can do all of its work now, and rejects with the reason where it cannot: for a health check, and before
   * the first request. Changes no record.
   */
  check?(): Awaitable<void>
  /** Optional. How many calls make sense at once, as the size of a pool of connections. Default 64; the option `storeConcurrency` goes before it. */
  readonly concurrency?: number
}

/** Whose Authorizations to list. */
export type ListFilter =
  { readonly subject: string; readonly client_id?: string } | { readonly client_id: string; readonly subject?: undefined }

/** The kinds that `scan` lists. */
export type ScannedKind = 'client'

/** Which page `scan` lists. */
export interface ScanPage {
  /** The last id of the page before. Default: from the first one on. */
  readonly after?: string | undefined
  readonly limit: number
}

/** What a record is for. Only an `authorization` has an id that an OAuth 2 credential can name, and is found by `list`. */
export type RecordKind = 'authorization' | 'alias' | 'guard' | 'client' | 'request' | 'oauth1'

/** One record. `data` is plain JSON; the other members are what a store may index. */
export interface StoredRecord {
  readonly id: string
  /** Fresh random text at every write: never a counter, which would repeat itself after a restore. */
  readonly version: string
  readonly kind: RecordKind
  /** The server it belongs to, where that has a name. */
  readonly issuer?: string
  readonly subject?: string
  readonly client_id?: string
  /** When it may be forgotten, in whole seconds since the epoch. */
  readonly expiresAt: number
  /** The number of the form of `data`. */
  readonly format: number
  readonly data: JsonObject
}

/** The form of `data` that this release writes, and the newest that it reads. */
export const recordFormat = 1

/** The form of a record in a list that its store could not read. No release writes it. */
export const unreadableFormat = 0

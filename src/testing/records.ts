/** Records for the checks of a store: fresh ones, and the states that follow. */
import { randomText } from '../secrets.js'
import type { StoredRecord } from '../stores/store.js'

/** Now, in whole seconds since the epoch. */
export function now(): number {
  return Math.floor(Date.now() / 1000)
}

/** A new record that no other check knows. It ends in an hour, which is far enough away for any check. */
export function freshRecord(members: Partial<StoredRecord> = {}): StoredRecord {
  return { id: randomText(22), version: randomText(22), kind: 'authorization', client_id: 'client', expiresAt: now() + 3600, format: 1, data: {}, ...members } // prettier-ignore
}

/** The next state of a record, told apart by `mark`. */
export function nextState(before: StoredRecord, mark: string): StoredRecord {
  return { ...before, version: randomText(22), data: { mark } }
}

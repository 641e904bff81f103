/**
 * The form in which stores outside this process keep a record: columns for what is searched, one JSON document for the rest.
 *
 * What comes back is checked as if somebody else had written it. What it means is not looked at: a document of a newer format
 * than this release knows is handed on with its number, and refused where it is read.
 */
import type { JsonObject } from '../json.js'
import { unreadableFormat, type RecordKind, type StoredRecord } from './store.js'

/** What a store returned is not a record. Answered 503; nothing is written over it. */
export class UnreadableDocument extends Error {
  override readonly name = 'UnreadableDocument'
}

/** One row of a table of records, as drivers return it: numbers may be text, JSON may be parsed. */
export type Row = Readonly<Partial<Record<string, unknown>>>

const kinds: readonly string[] = ['authorization', 'alias', 'guard', 'client', 'request', 'oauth1'] satisfies RecordKind[]

/**
 * The JSON of what has no column.
 *
 * @throws TypeError for a text that a database would change: one with a NUL character or with half a surrogate pair.
 */
export function toDocument({ issuer, format, data, ...columns }: StoredRecord): string {
  for (const text of [columns.id, columns.version, columns.subject, columns.client_id]) {
    if (text !== undefined && !isStorable(text)) throw new TypeError('a record holds a text that no database keeps as it is')
  }
  return JSON.stringify({ format, issuer, data })
}

function isStorable(text: string): boolean {
  return !text.includes('\0') && Buffer.from(text).toString() === text
}

/**
 * The record in a row with the columns id, version, kind, client_id, subject, expires_at and document.
 *
 * @throws UnreadableDocument
 */
export function fromRow(row: Row): StoredRecord {
  const { format, issuer, data } = parseDocument(row.document)
  const kind = text(row.kind, 'kind')
  if (!kinds.includes(kind)) throw new UnreadableDocument('the kind of a record is not known')
  return {
    id: text(row.id, 'id'),
    version: text(row.version, 'version'),
    kind: kind as RecordKind,
    ...optional('issuer', issuer),
    ...optional('subject', row.subject),
    ...optional('client_id', row.client_id),
    expiresAt: whole(row.expires_at, 'expires_at'),
    format: whole(format, 'format'),
    data: object(data, 'data') as JsonObject,
  }
}

/**
 * The record in a row of a list. One that cannot be read is handed on as such, under {@link unreadableFormat}, so that
 * whoever lists can tell of it and go on.
 */
export function fromListedRow(row: Row): StoredRecord {
  try {
    return fromRow(row)
  } catch (cause) {
    if (!(cause instanceof UnreadableDocument)) throw cause
    const id = typeof row.id === 'string' ? row.id : ''
    return { id, version: '', kind: 'authorization', expiresAt: 0, format: unreadableFormat, data: {} }
  }
}

/** The ids of the kind lie between these two, in the order of their bytes: each begins with the kind and a colon. */
export function rangeOfKind(kind: RecordKind): readonly [after: string, before: string] {
  return [`${kind}:`, `${kind};`]
}

function parseDocument(value: unknown): Row {
  if (typeof value !== 'string') return object(value, 'document')
  try {
    return object(JSON.parse(value) as unknown, 'document')
  } catch (cause) {
    if (cause instanceof UnreadableDocument) throw cause
    // Without the cause: the message of a syntax error quotes the text.
    throw new UnreadableDocument('the document of a record is not JSON')
  }
}

function object(value: unknown, name: string): Row {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Row
  throw unreadable(name)
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw unreadable(name)
}

function whole(value: unknown, name: string): number {
  const number = typeof value === 'number' ? value : typeof value === 'bigint' || typeof value === 'string' ? Number(value) : NaN
  if (value !== '' && Number.isSafeInteger(number)) return number
  throw unreadable(name)
}

function optional<N extends string>(name: N, value: unknown): Partial<Record<N, string>> {
  return value === undefined || value === null ? {} : ({ [name]: text(value, name) } as Record<N, string>)
}

function unreadable(name: string): UnreadableDocument {
  return new UnreadableDocument(`the member ${name} of a stored record is missing or of the wrong kind`)
}

/** The subject (RFC 6749: resource owner) as a text that every store can keep, find and list. */
import { kindOf } from './reader.js'

/** An index of PostgreSQL holds no more than some 2,650 bytes, one of MySQL 3,072; here every store has the same bound. */
const maxBytes = 1000

/** True for a text of 1 to 1,000 bytes of UTF-8, without a NUL character or half a surrogate pair, which databases refuse or change. */
export function isSubject(value: unknown): value is string {
  if (typeof value !== 'string' || value === '' || value.length > maxBytes) return false
  const bytes = Buffer.from(value)
  return bytes.length <= maxBytes && !value.includes('\0') && bytes.toString() === value
}

/** Why a value is no subject, and the remedy, in words without the value. */
export function subjectFault(value: unknown): string {
  if (typeof value === 'string' && value !== '') return `subject must have at most ${maxBytes} bytes, without NUL or half a surrogate pair`
  return `subject must be a text, not ${kindOf(value)}${remedyFor(value)}`
}

function remedyFor(value: unknown): string {
  if (value === undefined || value === null || value === '') return '; is nobody logged in?'
  if (typeof value === 'number' || typeof value === 'bigint') return '; write String(user.id)'
  if (typeof value !== 'object') return '; it is the id of the person, as in user.id'
  return 'then' in value ? '; it is a promise: await it' : '; it is the id of the person: write String(user.id)'
}

/** @throws TypeError, with `where` before the name, for what is not a subject. */
export function assertSubject(value: unknown, where: string): asserts value is string {
  if (!isSubject(value)) throw new TypeError(`${where}${subjectFault(value)}`)
}

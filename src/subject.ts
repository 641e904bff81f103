/** The subject (RFC 6749: resource owner) as a text that every store can keep, find and list. */

/** An index of PostgreSQL holds no more than some 2,650 bytes, one of MySQL 3,072; here every store has the same bound. */
const maxBytes = 1000

/** True for a text of 1 to 1,000 bytes of UTF-8, without a NUL character or half a surrogate pair, which databases refuse or change. */
export function isSubject(value: unknown): value is string {
  if (typeof value !== 'string' || value === '' || value.length > maxBytes) return false
  const bytes = Buffer.from(value)
  return bytes.length <= maxBytes && !value.includes('\0') && bytes.toString() === value
}

/** @throws TypeError, with `where` before the name, for what is not a subject. */
export function assertSubject(value: unknown, where: string): asserts value is string {
  if (typeof value !== 'string' || value === '') throw new TypeError(`${where}subject must be a text that is not empty`)
  if (!isSubject(value)) throw new TypeError(`${where}subject must have at most ${maxBytes} bytes, without NUL or half a surrogate pair`)
}

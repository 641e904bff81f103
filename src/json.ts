/** Plain JSON: what a store can keep, and a copy that nobody else can change. */

/** Text, numbers, and lists and objects of them: what a store can keep. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }
export type JsonObject = Readonly<Record<string, Json>>

/**
 * A copy that the application cannot change any more, and a store can keep.
 *
 * @throws TypeError when it is not plain JSON.
 */
export function jsonCopy(value: JsonObject, name: string): JsonObject {
  const text = JSON.stringify(value) as string | undefined
  const copy: unknown = text === undefined ? undefined : JSON.parse(text)
  if (typeof copy === 'object' && copy !== null && !Array.isArray(copy)) return copy as JsonObject
  throw new TypeError(`${name} must be an object of plain JSON`)
}

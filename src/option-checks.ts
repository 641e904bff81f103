/**
 * Checks of options: what a deployer got wrong stops the start, with the name of the option and the remedy.
 * Knows no option by name; `configuration.ts` and `clients.ts` say which are expected.
 */
import { ConfigurationError } from './errors.js'

/** Members of an options object before they are known to be right. */
export type Unchecked = Readonly<Partial<Record<string, unknown>>>

/** @throws ConfigurationError when `value` is not a plain object. */
export function assertObject(value: unknown, name: string): Unchecked {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Unchecked
  throw new ConfigurationError(`${name} must be an object, not ${kindOf(value)}`)
}

/** @throws ConfigurationError for the first member that is not known, with the name it is nearest to. */
export function assertKnownKeys(value: object, known: readonly string[], name: string, remedy = ''): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    throw new ConfigurationError(`${name} has no member "${key}"${didYouMean(key, known)}${remedy}`)
  }
}

/** `; did you mean "…"?` where one of the candidates is near, else nothing. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[_-]/g, '')
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(plain(word), plain(candidate)) }))
    .sort((a, b) => a.distance - b.distance)
  const [nearest] = ranked
  const isNear = nearest !== undefined && nearest.distance <= Math.max(1, Math.floor(word.length / 3))
  return isNear ? `; did you mean "${nearest.candidate}"?` : ''
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** A word for what a value is, without the value: it may be a secret. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (value === undefined) return 'undefined'
  if (value === '') return 'an empty string'
  return typeof value === 'object' || typeof value === 'undefined' ? 'an object' : `a ${typeof value}`
}

/** Reads the members of one options object. `where` stands before their names in messages. */
export class OptionReader {
  readonly #members: Unchecked
  readonly #where: string

  constructor(members: Unchecked, where: string) {
    this.#members = members
    this.#where = where
  }

  /** The message of a refusal of one option. */
  refuse(name: string, expected: string): ConfigurationError {
    const rule = `${name} must be ${expected}`
    return new ConfigurationError(`${this.#where}${rule}, not ${kindOf(this.#members[name])}`, rule)
  }

  boolean<D extends boolean | undefined>(name: string, fallback: D): boolean | D {
    const value = this.#members[name]
    if (value === undefined) return fallback
    if (typeof value !== 'boolean') throw this.refuse(name, 'true or false')
    return value
  }

  /** A whole number from `min` to `max`. */
  whole<D extends number | undefined>(name: string, fallback: D, min: number, max: number): number | D {
    const value = this.#members[name]
    if (value === undefined) return fallback
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
      const rule = `${name} must be a whole number from ${min} to ${max}`
      throw new ConfigurationError(`${this.#where}${rule}, not ${describeNumber(value)}`, rule)
    }
    return value
  }

  text(name: string): string | undefined {
    const value = this.#members[name]
    if (value === undefined) return undefined
    if (typeof value !== 'string' || value === '') throw this.refuse(name, 'a string that is not empty')
    return value
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.#members[name]
    if (value === undefined) return undefined
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string' && item !== '')) {
      throw this.refuse(name, 'an array of strings that are not empty')
    }
    return value as readonly string[]
  }

  /** Refuses what is neither absent nor a function. */
  assertCallback(name: string): void {
    const value = this.#members[name]
    if (value !== undefined && typeof value !== 'function') throw this.refuse(name, 'a function')
  }
}

function describeNumber(value: unknown): string {
  return typeof value === 'number' ? String(value) : kindOf(value)
}

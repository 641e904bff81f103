/**
 * Checks of options: what a deployer got wrong stops the start, with the name of the option and the remedy.
 * Knows no option by name; `configuration/` and `clients/client.ts` say which are expected.
 */
import { didYouMean } from './did-you-mean.js'
import { ConfigurationError } from '../errors.js'
import { valueAdvice } from './value-advice.js'

/** Members of an options object before they are known to be right. */
export type Unchecked = Readonly<Partial<Record<string, unknown>>>

/** @throws ConfigurationError when `value` is not a plain object. */
export function assertObject(value: unknown, name: string): Unchecked {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Unchecked
  throw new ConfigurationError(`${name} must be an object, not ${kindOf(value)}${valueAdvice(value)}`)
}

/**
 * `remedy` is a sentence. Without one the message names what there is.
 *
 * @throws ConfigurationError for the first member that is not known, with the name it is nearest to.
 */
export function assertKnownKeys(value: object, known: readonly string[], name: string, remedy?: string): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    const near = didYouMean(key, known)
    const more = remedy ?? (near === '' ? thereIs(known) : '')
    const stop = more === '' || near !== '' ? ' ' : '. '
    throw new ConfigurationError(`${name} has no member "${key}"${near}${more === '' ? '' : stop + more}`)
  }
}

function thereIs(known: readonly string[]): string {
  return known.length > 8 ? 'Remove it.' : `There is ${known.join(', ')}.`
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
    const value = this.#members[name]
    return new ConfigurationError(`${this.#where}${rule}, not ${kindOf(value)}${typeof value === 'string' ? '' : valueAdvice(value)}`, rule)
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

/**
 * What this package knows of something that was thrown below, beside what that says itself: which function of the application threw it, and what helps.
 *
 * Kept beside the value, so that an application gets what its function has thrown, as it was.
 */
import { isPromise, type Awaitable } from './awaitable.js'

const throwers = new WeakMap<object, string>()
const remedies = new WeakMap<object, string>()

/** Calls a function of the application, and notes that what it throws came from there. `name` says which function, in fixed words. */
export function calling<T>(name: string, work: () => Awaitable<T>): Awaitable<T> {
  try {
    const answer = work()
    return isPromise(answer) ? Promise.resolve(answer).catch((thrown: unknown) => noteAndThrow(thrown, name)) : answer
  } catch (thrown) {
    return noteAndThrow(thrown, name)
  }
}

/** The same function, with what it throws noted. Whatever is no function stays as it is. */
export function named<F>(name: string, work: F): F {
  if (typeof work !== 'function') return work
  const call = work as unknown as (...args: unknown[]) => unknown
  return ((...args: unknown[]) => calling(name, () => call(...args))) as F
}

function noteAndThrow(thrown: unknown, name: string): never {
  // The innermost function is the one that threw it.
  if (isObject(thrown) && !throwers.has(thrown)) throwers.set(thrown, name)
  throw thrown
}

/** Notes what helps against a failure: an option, or a call. Nothing of the failure's own words may be in it. */
export function noteRemedy(thrown: unknown, remedy: string): void {
  if (isObject(thrown)) remedies.set(thrown, remedy)
}

/** The same, unless something is known that helps better. */
export function noteLastRemedy(thrown: unknown, remedy: string): void {
  if (isObject(thrown) && !remedies.has(thrown)) remedies.set(thrown, remedy)
}

/** As in `authorize threw a TypeError`; undefined where no function of the application is known to have thrown it. */
export function throwerOf(thrown: unknown): string | undefined {
  const name = isObject(thrown) ? throwers.get(thrown) : undefined
  if (name === undefined) return undefined
  const { cause_name } = describeCause(thrown)
  return `${name} threw ${/^[aeiou]/i.test(cause_name) ? 'an' : 'a'} ${cause_name}`
}

/** What helps, where that is known. */
export function remedyFor(thrown: unknown): string | undefined {
  if (!isObject(thrown)) return undefined
  return remedies.get(thrown) ?? (throwers.has(thrown) ? 'to refuse, throw an OAuthError such as AccessDenied' : undefined)
}

/** Name and code of what was thrown. Only what looks like an identifier may pass: neither is a place for a message. */
export function describeCause(cause: unknown): { readonly cause_name: string; readonly cause_code?: string } {
  if (!(cause instanceof Error)) return { cause_name: typeof cause }
  const code: unknown = 'code' in cause ? cause.code : undefined
  const cause_name = identifier(cause.name) ?? 'Error'
  const cause_code = identifier(code)
  return cause_code === undefined ? { cause_name } : { cause_name, cause_code }
}

function identifier(text: unknown): string | undefined {
  return typeof text === 'string' && /^[A-Za-z0-9_.:-]{1,64}$/.test(text) ? text : undefined
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

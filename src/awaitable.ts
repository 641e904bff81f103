/** Values that are there, or will be. What is there is not waited for: an `await` costs memory and a turn, whatever it waits for. */

/** A value, or the promise of one. */
export type Awaitable<T> = T | Promise<T>

/** True for whatever `await` would wait for: a promise of any library, and a proxy that can be called as well. */
export function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  return 'then' in value && typeof value.then === 'function'
}

/** What `next` makes of the value: at once where it is there, else once it is. */
export function whenThere<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return isPromise(value) ? Promise.resolve(value).then(next) : next(value)
}

/** Where an answer is needed at once, a promise of one is none. Nobody waits for it, so its rejection must not end the process. */
export function leaveAlone(answer: unknown): void {
  if (typeof answer === 'object' && answer !== null) Promise.resolve(answer).catch(() => undefined)
}

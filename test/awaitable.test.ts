import { describe, expect, test } from '@jest/globals'
import { isPromise, whenThere, type Awaitable } from '../src/awaitable.js'

/** What some libraries answer in the place of a promise: it can be waited for, and nothing else. */
function thenable<T>(value: T): Promise<T> {
  const queued = { then: (resolve: (value: T) => void) => void setImmediate(() => resolve(value)) }
  return queued as unknown as Promise<T>
}

describe('whenThere', () => {
  test('goes on at once with what is there', () => {
    const order: string[] = []
    const answer = whenThere('value', (value) => order.push(value))
    order.push('after')
    expect([answer, order]).toEqual([1, ['value', 'after']])
  })

  test.each([undefined, null, false, 0, ''])('takes %p for a value', (value) => {
    expect(whenThere<unknown, unknown>(value, (given) => [given])).toEqual([value])
  })

  test('goes on with what is promised once it is there', async () => {
    const order: unknown[] = []
    const answer = whenThere(Promise.resolve('value'), (value) => order.push(value))
    order.push('before')
    expect([isPromise(answer), await answer, order]).toEqual([true, 2, ['before', 'value']])
  })

  test('waits for promises of other libraries, and gives a real one', async () => {
    const answer = whenThere(thenable(1), (value) => value + 1)
    expect(answer).toBeInstanceOf(Promise)
    expect(await answer).toBe(2)
  })

  test('what is thrown is thrown at once, or rejected', async () => {
    const fail = (): Awaitable<never> => {
      throw new Error('no')
    }
    expect(() => whenThere(1, fail)).toThrow('no')
    await expect(whenThere(Promise.resolve(1), fail)).rejects.toThrow('no')
    await expect(whenThere(Promise.reject(new Error('never')), fail)).rejects.toThrow('never')
  })
})

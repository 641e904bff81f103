/** More calls than a store can work on: how many are under way, who waits, who is refused, and what is never sent. */
import { describe, expect, test } from '@jest/globals'
import { setTimeout as delay } from 'node:timers/promises'
import { memoryStore, type ServerOptions, type Store } from 'oauth2-token-handler'
import { callStore } from '../../src/stores/call.js'
import { lineOf } from '../../src/stores/line.js'
import { basic, machine, testServer, web } from '../support/server.js'

/** A store that keeps every call until it is told to answer, in the order in which calls came. */
function held() {
  const calls: { readonly id: string; answer: () => void }[] = []
  let most = 0
  let open = 0
  const store: Store = {
    ...memoryStore(),
    get(id) {
      most = Math.max(most, ++open)
      return new Promise((resolve) => {
        const answer = () => {
          open--
          resolve(undefined)
        }
        calls.push({ id, answer })
      })
    },
  }
  return { store, calls, ids: () => calls.map(({ id }) => id), most: () => most }
}

/** Calls `get` of a store with `limit` places. */
function caller(store: Store, limit: number, timeout = 1000) {
  const line = lineOf(store, limit)
  return (id: string, isUrgent = false) => Promise.resolve(callStore({ store, timeout, line }, 'get', (verbs) => verbs.get(id), isUrgent))
}

const turn = () => delay(1)

describe('OP4 calls of a store under way', () => {
  test('OP4 no more than storeConcurrency; the oldest is sent first while waits are short', async () => {
    const { store, calls, ids, most } = held()
    const call = caller(store, 2)
    const answers = ['a', 'b', 'c', 'd', 'e'].map((id) => call(id))
    expect(ids()).toEqual(['a', 'b'])
    for (let at = 0; at < 5; at++) {
      calls[at]?.answer()
      await turn()
    }
    await Promise.all(answers)
    expect(ids()).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(most()).toBe(2)
  })

  test('OP4 the newest is sent first once the oldest has waited a quarter of storeTimeout', async () => {
    const { store, calls, ids } = held()
    const call = caller(store, 1, 400)
    const answers = ['first', 'old', 'older than new'].map((id) => call(id))
    await delay(120)
    answers.push(call('new'))
    calls[0]?.answer()
    await turn()
    expect(ids()).toEqual(['first', 'new'])
    calls[1]?.answer()
    await turn()
    expect(ids()).toEqual(['first', 'new', 'older than new'])
    calls[2]?.answer()
    await turn()
    calls[3]?.answer()
    await Promise.all(answers)
  })

  test('OP4 a call that has waited three quarters of storeTimeout is refused, and is never sent', async () => {
    const { store, calls, ids } = held()
    const call = caller(store, 1, 80)
    const first = call('first').catch(() => 'late')
    const begun = performance.now()
    const refusals = await Promise.allSettled([call('x'), call('y'), call('urgent', true)])
    expect(performance.now() - begun).toBeGreaterThan(50)
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({
        status: 'rejected',
        reason: { status: 503, reason: 'too many calls of the store under way', retryAfter: expect.any(Number) },
      })
    }
    // What was sent keeps its place although nobody waits for it any more.
    expect(await first).toBe('late')
    await expect(call('z')).rejects.toMatchObject({ reason: 'too many calls of the store under way' })
    calls[0]?.answer()
    await turn()
    const last = call('last')
    expect(ids()).toEqual(['first', 'last'])
    calls[1]?.answer()
    await last
  })

  test('OP4 a call that is never answered gives its place back after ten time-outs', async () => {
    const { store, calls, ids } = held()
    const call = caller(store, 1, 20)
    await expect(call('lost')).rejects.toMatchObject({ reason: 'the store failed' })
    await delay(200)
    const next = call('next')
    expect(ids()).toEqual(['lost', 'next'])
    calls[1]?.answer()
    await next
    // An answer that comes after all gives back no second place.
    calls[0]?.answer()
    await turn()
    const answers = [call('c').catch(() => 0), call('d').catch(() => 0)]
    expect(ids()).toEqual(['lost', 'next', 'c'])
    await Promise.all(answers)
  })

  test('OP4 an urgent call gets every second place, whoever else is newer; the others get the other places', async () => {
    const { store, calls, ids } = held()
    const call = caller(store, 1, 4000)
    const answers = [call('first'), call('u1', true), call('u2', true), call('a'), call('b')]
    for (let at = 0; at < 5; at++) {
      calls[at]?.answer()
      await turn()
    }
    await Promise.all(answers)
    expect(ids()).toEqual(['first', 'u1', 'a', 'u2', 'b'])
  })

  test('OP4 a store that answers at once is never counted', () => {
    const store = memoryStore()
    const line = lineOf(store, 1)
    expect(callStore({ store, timeout: 1000, line }, 'get', (verbs) => verbs.get('x'))).toBeUndefined()
    expect(line.isFree).toBe(true)
  })

  test('OP4 a call that throws at once leaves its place to the next', async () => {
    const { store, calls } = held()
    const line = lineOf(store, 1)
    const first = callStore({ store, timeout: 1000, line }, 'get', (verbs) => verbs.get('first'))
    const second = Promise.resolve(callStore({ store, timeout: 1000, line }, 'get', () => { throw new Error('no') })) // prettier-ignore
    const third = Promise.resolve(callStore({ store, timeout: 1000, line }, 'get', (verbs) => verbs.get('third')))
    calls[0]?.answer()
    await first
    await expect(second).rejects.toMatchObject({ reason: 'the store failed' })
    calls[1]?.answer()
    await third
    expect(line.isFree).toBe(true)
  })

  test('OP4 servers over one store share its places; the smallest option decides, and without one the size of the pool, else 64', () => {
    const store = memoryStore()
    expect(lineOf(store)).toBe(lineOf(store, 3))
    const places = (line: ReturnType<typeof lineOf>) => {
      let count = 0
      for (; line.isFree; count++) line.enter()
      return count
    }
    expect(places(lineOf(memoryStore()))).toBe(64)
    expect(places(lineOf({ ...memoryStore(), concurrency: 7 }))).toBe(7)
    expect(places(lineOf({ ...memoryStore(), concurrency: NaN }))).toBe(64)
    lineOf(store, 5)
    lineOf(store, 9)
    expect(places(lineOf(store))).toBe(3)
  })
})

/** A store that is slow, and works on a few calls at once in the order in which they came, like a pool of connections in front of a slow database. */
function slowStore(places: number, milliseconds: number) {
  const memory = memoryStore()
  const queue: (() => void)[] = []
  let busy = 0
  let written = 0
  async function slowly<T>(work: () => T): Promise<Awaited<T>> {
    if (busy >= places) await new Promise<void>((resolve) => queue.push(resolve))
    else busy++
    await delay(milliseconds)
    const next = queue.shift()
    if (next === undefined) busy--
    else next()
    return await work()
  }
  const store: Store = {
    get: (id) => slowly(() => memory.get(id)),
    create: (record) => slowly(() => (written++, memory.create(record))),
    replace: (record, version) => slowly(() => (written++, memory.replace(record, version))),
    list: (filter) => memory.list(filter),
  }
  return { store, written: () => written, waiting: () => queue.length }
}

/** Clients that ask for tokens, each again as soon as it was answered, for some time. */
async function load(options: ServerOptions, clients: number, milliseconds: number) {
  const server = testServer(options)
  const statuses = new Map<number, number>()
  const end = performance.now() + milliseconds
  async function client(): Promise<void> {
    while (performance.now() < end) {
      const { status } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      // Clients come back after a refusal, but not in the same millisecond.
      if (status !== 200) await delay(20)
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return { good: statuses.get(200) ?? 0, refused: statuses.get(503) ?? 0, events: server.events, others: [...statuses.keys()].filter((status) => status !== 200 && status !== 503) }
} // prettier-ignore

describe('OP4 a slow store under load', () => {
  const storeTimeout = 100

  test('OP4 thirteen times the clients it can serve: at least half of the goodput, and next to nothing written for nobody', async () => {
    const few = slowStore(4, 20)
    const fitting = await load({ store: few.store, storeTimeout, storeConcurrency: 4 }, 4, 800)
    const many = slowStore(4, 20)
    const overloaded = await load({ store: many.store, storeTimeout, storeConcurrency: 4 }, 60, 800)
    expect(overloaded.good).toBeGreaterThan(fitting.good / 2)
    expect(overloaded.refused).toBeGreaterThan(0)
    expect(overloaded.others).toEqual([])
    expect(many.written() - overloaded.good).toBeLessThan(fitting.good / 4)
    expect(many.waiting()).toBe(0)
    expect(overloaded.events).toContainEqual(expect.objectContaining({ type: 'request.failed', reason: 'too many calls of the store under way' }))
  }) // prettier-ignore

  test('OP4 the same without the bound collapses, so the test above can fail', async () => {
    const many = slowStore(4, 20)
    const collapsed = await load({ store: many.store, storeTimeout, storeConcurrency: 100_000 }, 60, 800)
    const few = slowStore(4, 20)
    const fitting = await load({ store: few.store, storeTimeout, storeConcurrency: 4 }, 4, 800)
    expect(collapsed.good).toBeLessThan(fitting.good / 2)
  })

  test('OP4 five times the places, all served in time: nobody is refused', async () => {
    const { store } = slowStore(10, 2)
    const { good, refused } = await load({ store, storeConcurrency: 10 }, 50, 500)
    expect([good > 100, refused]).toEqual([true, 0])
  })

  test('OP4 revocations go on while everybody asks for tokens', async () => {
    const { store } = slowStore(4, 20)
    const options = { store, storeTimeout: 300, storeConcurrency: 4 }
    const server = testServer({ ...options, storeTimeout: 2000 })
    const tokens = await Promise.all(Array.from({ length: 10 }, async () => (await server.tokens()).refresh_token))
    const overload = load(options, 60, 1000)
    await delay(100)
    const statuses: number[] = []
    const quick = testServer(options)
    for (const token of tokens) statuses.push((await quick.revoke({ token }, basic(web))).status)
    await overload
    expect(statuses).toEqual(Array<number>(10).fill(200))
  })
})

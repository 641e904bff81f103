/** The memory store: its four verbs, what goes and what never does. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  InvalidGrant,
  memoryStore,
  type AccessTokenFormat,
  type Grant,
  type ListFilter,
  type Store,
  type StoredRecord,
} from '../../src/index.js'
import { sizes } from '../security/sizes.js'
import { basic, machine, start, testServer, web } from '../support/server.js'
import { isActive, storedServer } from '../support/stored.js'

const form = { grant_type: 'client_credentials' }
const unavailable = {
  status: 503,
  headers: {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    Pragma: 'no-cache',
    'Retry-After': expect.stringMatching(/^[1-3]$/),
  },
  body: '{"error":"temporarily_unavailable","error_description":"the server is temporarily unable to answer"}',
}

function record(id: string, more: Partial<StoredRecord> = {}): StoredRecord {
  return { id, version: 'v1', kind: 'authorization', client_id: 'web', expiresAt: start + 100, format: 1, data: {}, ...more }
}

async function idsOf(store: Store, filter: ListFilter): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of store.list(filter)) ids.push(id)
  return ids
}

/** Bytes of the heap that something still refers to. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}

/** A store with a clock that the test sets. */
function timed(options: Parameters<typeof memoryStore>[0] = {}) {
  const time = { now: start }
  return { time, store: memoryStore({ clock: () => time.now, ...options }) }
}

describe('the verbs', () => {
  test('get gives what was created, or undefined', async () => {
    const { store } = timed()
    expect(await store.create(record('a', { data: { n: 1 } }))).toBe(true)
    expect(await store.get('a')).toEqual(record('a', { data: { n: 1 } }))
    expect(await store.get('b')).toBeUndefined()
    expect(await store.get('__proto__')).toBeUndefined()
  })

  test('create is false where the id exists, and changes nothing', async () => {
    const { store } = timed()
    await store.create(record('a'))
    expect(await store.create(record('a', { version: 'v2', kind: 'guard' }))).toBe(false)
    expect(await store.get('a')).toEqual(record('a'))
    expect(store.size).toBe(1)
  })

  test('create is false for an id that has expired and was not swept', async () => {
    const { store, time } = timed()
    await store.create(record('a'))
    time.now = start + 101
    expect(await store.create(record('a', { version: 'v2', expiresAt: start + 500 }))).toBe(false)
    expect(await store.get('a')).toEqual(record('a'))
  })

  test('replace writes over the version it names, once', async () => {
    const { store } = timed()
    await store.create(record('a'))
    expect(await store.replace(record('a', { version: 'v2' }), 'v1')).toBe(true)
    expect(await store.replace(record('a', { version: 'v3' }), 'v1')).toBe(false)
    expect(await store.get('a')).toEqual(record('a', { version: 'v2' }))
  })

  test('replace is false for an id that does not exist, and creates nothing', async () => {
    const { store } = timed()
    expect(await store.replace(record('a', { version: 'v2' }), 'v1')).toBe(false)
    expect(store.size).toBe(0)
  })

  test('of many at the same time one creates, and one replaces', async () => {
    const { store } = timed()
    const created = await Promise.all(Array.from({ length: 20 }, async () => store.create(record('a'))))
    expect(created.filter(Boolean)).toHaveLength(1)
    const replaced = await Promise.all(Array.from({ length: 20 }, async (_, i) => store.replace(record('a', { version: `w${i}` }), 'v1')))
    expect(replaced.filter(Boolean)).toHaveLength(1)
  })

  test('list finds by subject, by client, and by both', async () => {
    const { store } = timed()
    await store.create(record('a', { subject: 'alice', client_id: 'web' }))
    await store.create(record('b', { subject: 'alice', client_id: 'app' }))
    await store.create(record('c', { subject: 'bob', client_id: 'web' }))
    await store.create(record('d', { client_id: 'web' }))
    await store.create(record('e', { subject: 'alice', client_id: 'web', kind: 'guard' }))
    expect(await idsOf(store, { subject: 'alice' })).toEqual(['a', 'b'])
    expect(await idsOf(store, { client_id: 'web' })).toEqual(['a', 'c', 'd'])
    expect(await idsOf(store, { subject: 'alice', client_id: 'web' })).toEqual(['a'])
    expect(await idsOf(store, { subject: 'nobody' })).toEqual([])
    expect(await idsOf(store, { subject: '__proto__' })).toEqual([])
  })

  test('list shows the present state, and bears writes while it runs', async () => {
    const { store, time } = timed()
    for (const id of ['a', 'b', 'c']) await store.create(record(id))
    const seen: string[] = []
    for await (const { id, version } of store.list({ client_id: 'web' })) {
      seen.push(`${id} ${version}`)
      await store.replace(record('b', { version: 'v2' }), 'v1')
      await store.create(record(`new-${id}`, { expiresAt: start + 1000 }))
      if (id !== 'b') continue
      time.now = start + 200
      await store.create(record('late', { expiresAt: start + 1000 }))
    }
    expect(seen).toEqual(['a v1', 'b v2'])
  })

  test.each([0, -1, 1.5, NaN, '10'])('maxRecords may not be %p', (maxRecords) => {
    expect(() => memoryStore({ maxRecords: maxRecords as number })).toThrow(new TypeError('maxRecords must be a positive whole number'))
  })
})

describe('what has expired', () => {
  test('stays for the second it ends in, and goes within the width of a bucket', async () => {
    const { store, time } = timed()
    for (let end = 0; end < 40; end++) await store.create(record(`r${end}`, { expiresAt: start + end }))
    for (let second = 0; second < 60; second++) {
      time.now = start + second
      for (let write = 0; write < 8; write++) await store.replace(record('none'), 'x')
      for (let end = 0; end < 40; end++) {
        const found = await store.get(`r${end}`)
        if (end >= second) expect(found).toBeDefined()
        if (end < second - 4) expect(found).toBeUndefined()
      }
    }
    expect(store.size).toBe(0)
    expect(await idsOf(store, { client_id: 'web' })).toEqual([])
  })

  test('a record whose end has moved stays until the new one', async () => {
    const { store, time } = timed()
    await store.create(record('a'))
    await store.replace(record('a', { version: 'v2', expiresAt: start + 1000 }), 'v1')
    for (time.now = start; time.now <= start + 1000; time.now += 10) {
      await store.replace(record('none'), 'x')
      expect(await store.get('a')).toBeDefined()
    }
    time.now = start + 1005
    await store.replace(record('none'), 'x')
    expect(await store.get('a')).toBeUndefined()
  })

  test('a record whose end has moved to the moment of the sweep, or just behind it, stays', async () => {
    const { store, time } = timed()
    for (const [id, end] of [
      ['a', 3],
      ['b', 4],
      ['c', 5],
    ] as const) {
      await store.create(record(id, { expiresAt: start + 1 }))
      await store.replace(record(id, { version: 'v2', expiresAt: start + end }), 'v1')
    }
    time.now = start + 4
    await store.replace(record('none'), 'x')
    expect(await idsOf(store, { client_id: 'web' })).toEqual(['b', 'c'])
  })

  test('a clock that jumps far ahead, or back, loses nothing that lives', async () => {
    const { store, time } = timed()
    await store.create(record('a', { expiresAt: start + 10 }))
    await store.create(record('b', { expiresAt: start + 10_000_000 }))
    time.now = start + 9_999_999
    await store.replace(record('none'), 'x')
    expect(await store.get('a')).toBeUndefined()
    expect(await store.get('b')).toBeDefined()
    time.now = start
    expect(await store.create(record('c', { expiresAt: start + 10 }))).toBe(true)
    expect(await store.get('c')).toBeDefined()
    time.now = start + 20
    await store.replace(record('none'), 'x')
    expect(await store.get('c')).toBeUndefined()
    expect(store.size).toBe(1)
  })

  test(`of ${sizes.heldTokens} issued tokens only the live ones are held, and none goes early`, async () => {
    const { server, store } = storedServer({ accessTokenLifetime: 60, onEvent: () => {} })
    const perSecond = 50
    const heap = new Map<number, number>()
    let watched: { token: string; until: number } | undefined
    for (let count = 1; count <= sizes.heldTokens; count++) {
      const { json } = await server.token(form, basic(machine))
      if (count % perSecond === 0) server.now++
      watched ??= { token: json.access_token ?? '', until: server.now + 58 }
      if (server.now === watched.until) {
        expect(await server.introspect({ token: watched.token }, basic(machine))).toMatchObject({ json: { active: true } })
        watched = undefined
      }
      if (count % 5000 === 0) expect(store.size).toBeLessThanOrEqual(perSecond * 68)
      if (count !== sizes.heldTokens / 5 && count !== sizes.heldTokens) continue
      heap.set(count, heapUsed())
    }
    expect(store.size).toBeGreaterThanOrEqual(perSecond * 60)
    expect((await idsOf(store, { client_id: 'machine' })).length).toBe(store.size)
    expect((heap.get(sizes.heldTokens) ?? 0) - (heap.get(sizes.heldTokens / 5) ?? 0)).toBeLessThan(8 * 1024 * 1024)
  }, 60_000)

  test('of 50,000 records with subjects and clients of their own nothing is left', async () => {
    const { store, time } = timed()
    const before = heapUsed()
    for (let count = 0; count < 50_000; count++) {
      time.now = start + Math.floor(count / 100)
      await store.create(record(`r${count}`, { subject: `subject ${count}`, client_id: `client ${count}`, expiresAt: time.now + 10 }))
    }
    time.now += 1000
    while (store.size > 0) await store.replace(record('none'), 'x')
    expect(heapUsed() - before).toBeLessThan(4 * 1024 * 1024)
  })

  describe('without a write', () => {
    beforeEach(() => {
      jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] })
    })
    afterEach(() => {
      jest.useRealTimers()
    })

    test('it goes by a timer, which ends with the last record', async () => {
      const { store, time } = timed()
      expect(jest.getTimerCount()).toBe(0)
      for (let count = 0; count < 1000; count++) await store.create(record(`r${count}`))
      await store.create(record('last', { expiresAt: start + 300 }))
      expect(jest.getTimerCount()).toBe(1)
      jest.advanceTimersByTime(5000)
      expect(store.size).toBe(1001)
      time.now = start + 110
      jest.advanceTimersByTime(5000)
      expect(store.size).toBe(1)
      time.now = start + 310
      jest.advanceTimersByTime(5000)
      expect(store.size).toBe(0)
      expect(jest.getTimerCount()).toBe(0)
      await store.create(record('again', { expiresAt: start + 320 }))
      expect(jest.getTimerCount()).toBe(1)
    })
  })

  test('the timer keeps no process alive', async () => {
    const { store } = timed()
    const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    await store.create(record('a'))
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout')).toHaveLength(before)
  })
})

describe('a full store', () => {
  test('R4 refuses new records with 503, and keeps every live one', async () => {
    const store = memoryStore({ maxRecords: 3, clock: () => server.now })
    const server: ReturnType<typeof testServer> = testServer({ store })
    const tokens = [await server.tokens(), await server.tokens(), await server.tokens()]
    expect(await server.token(form, basic(machine))).toMatchObject(unavailable)
    await expect(server.code()).rejects.toMatchObject({ error: 'temporarily_unavailable' })
    for (const { access_token } of tokens) expect(await isActive(server, access_token)).toBe(true)
    expect(await server.refresh(tokens[0]?.refresh_token ?? '')).toMatchObject({ status: 200 })
    server.now += 15 * 86_400
    expect(await server.token(form, basic(machine))).toMatchObject({ status: 200 })
  })

  test('guards are counted apart', async () => {
    const { store } = timed({ maxRecords: 2 })
    for (const id of ['g1', 'g2']) expect(await store.create(record(id, { kind: 'guard' }))).toBe(true)
    expect(() => store.create(record('g3', { kind: 'guard' }))).toThrow('the memory store is full: maxRecords is 2')
    for (const id of ['a', 'b']) expect(await store.create(record(id))).toBe(true)
    expect(() => store.create(record('c'))).toThrow('the memory store is full: maxRecords is 2')
    expect(await store.create(record('a'))).toBe(false)
    expect(store.size).toBe(4)
  })

  test('X2 X3 what strangers make it remember is counted apart from tokens and from clients of the application', () => {
    const { store } = timed({ maxRecords: 2 })
    const never = 253_402_214_400
    const strangers: Partial<StoredRecord>[] = [{ kind: 'request' }, { kind: 'client' }, { kind: 'oauth1', data: { stage: 'temporary' } }]
    for (const id of ['r1', 'r2']) expect(store.create(record(id, { kind: 'request' }))).toBe(true)
    for (const more of strangers) expect(() => store.create(record('r3', more))).toThrow('the memory store is full: maxRecords is 2')
    expect(store.create(record('app', { kind: 'client', expiresAt: never }))).toBe(true)
    expect(store.create(record('token', { kind: 'oauth1', data: { stage: 'token' } }))).toBe(true)
    expect(() => store.create(record('a'))).toThrow('the memory store is full: maxRecords is 2')
  })

  test('X3 a record that changes its part is counted where it is, and never refused', async () => {
    const { store } = timed({ maxRecords: 1 })
    const client = (version: string, expiresAt = start + 100) => record('c', { kind: 'client', version, expiresAt })
    await store.create(record('a'))
    await store.create(client('v1'))
    expect(store.replace(client('v2', 253_402_214_400), 'v1')).toBe(true)
    expect(store.create(record('r', { kind: 'request' }))).toBe(true)
    expect(store.replace(client('v3'), 'v2')).toBe(true)
    expect(() => store.create(record('r2', { kind: 'request' }))).toThrow('full')
    expect(() => store.create(record('b'))).toThrow('full')
  })

  test('R4 a flood of one-time values stops no token, and the other way round', async () => {
    const type = 'urn:example:ticket'
    const ticket: Grant = {
      type,
      async authorize({ parameters, claimOnce, now }) {
        if (!(await claimOnce('ticket', parameters.ticket ?? '', now + 60))) throw new InvalidGrant()
        return {}
      },
    }
    // Its tokens carry everything themselves: without a subject a request leaves its claim in the store, and nothing else.
    const accessTokens: AccessTokenFormat = { name: 'text', kind: 'self-contained', issue: () => 'text', read: () => undefined }
    const store = memoryStore({ maxRecords: 2, clock: () => start })
    const server = testServer({ store, accessTokens, clients: [web, { ...machine, grant_types: [type] }], grants: [ticket, { type: 'authorization_code', authorize: () => ({ subject: 'alice' }) }] }) // prettier-ignore
    const claim = (name: string) => server.token({ grant_type: type, ticket: name }, basic(machine))
    const authorize = () => server.token({ grant_type: 'authorization_code' }, basic(web))
    expect(await claim('T1')).toMatchObject({ status: 200 })
    for (let count = 0; count < 2; count++) expect(await authorize()).toMatchObject({ status: 200 })
    expect(await authorize()).toMatchObject(unavailable)
    expect(await claim('T2')).toMatchObject({ status: 200 })
    expect(await claim('T3')).toMatchObject(unavailable)
    expect(store.size).toBe(4)
  })

  test('is told once at 80 %, and again after it has emptied below 70 %', async () => {
    const onEvent = jest.fn()
    const { store, time } = timed({ maxRecords: 10, onEvent })
    const fill = async (name: string, count: number, lifetime: number) => {
      for (let n = 0; n < count; n++) await store.create(record(`${name}${n}`, { expiresAt: time.now + lifetime }))
    }
    await fill('a', 8, 100)
    expect(onEvent).toHaveBeenCalledTimes(0)
    await fill('b', 2, 1000)
    expect(onEvent.mock.calls).toEqual([[{ type: 'store.filling', reason: 'the memory store holds 80 % of maxRecords (10)' }]])
    time.now += 110
    await fill('c', 8, 100)
    expect(onEvent).toHaveBeenCalledTimes(2)
  })

  test('is told once for guards and once for the others, in whatever order they come', async () => {
    const onEvent = jest.fn()
    const { store } = timed({ maxRecords: 10, onEvent })
    for (let n = 0; n < 10; n++) {
      await store.create(record(`g${n}`, { kind: 'guard' }))
      if (n % 2 === 0) await store.create(record(`a${n}`))
    }
    expect(onEvent).toHaveBeenCalledTimes(1)
    for (let n = 10; n < 15; n++) await store.create(record(`a${n}`))
    expect(onEvent).toHaveBeenCalledTimes(2)
  })

  test('a listener that throws costs no record', async () => {
    const { store } = timed({ maxRecords: 5, onEvent: () => { throw new Error('no') } }) // prettier-ignore
    for (const id of ['a', 'b', 'c', 'd', 'e']) expect(await store.create(record(id))).toBe(true)
  })
})

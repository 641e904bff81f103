/** Requests for one Authorization: they take turns inside a process, and a lost race between processes is decided again. */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test } from '@jest/globals'
import type { Authorization } from '../../src/authorization/authorization.js'
import { memoryStore, type Store } from '../../src/index.js'
import { Ledger } from '../../src/authorization/ledger.js'
import { Turns } from '../../src/authorization/turns.js'
import { basic, exchange, start, testServer, web } from '../support/server.js'
import { authorizationOf, invalidGrant, isActive } from '../support/stored.js'

const id = '0123456789abcdefghijkl'
const initial: Authorization = {
  id,
  client_id: 'web',
  grant_type: 'authorization_code',
  scope: [],
  resource: [],
  createdAt: start,
  expiresAt: start + 100,
  accessTokens: [],
}

/** A store that answers in its own time, as a database does. `tries` counts its `replace`. */
function slowStore(verbs: Partial<Store> = {}) {
  const memory = memoryStore({ clock: () => start })
  const counted = { tries: 0 }
  const store: Store = {
    list: memory.list,
    get: async (key) => (await wait(0), memory.get(key)),
    create: async (record) => (await wait(0), memory.create(record)),
    async replace(record, version) {
      counted.tries++
      await wait(0)
      return memory.replace(record, version)
    },
    ...verbs,
  }
  return { memory, store, counted }
}

function ledgerOver(store: Store, timeout = 2000): Ledger {
  return new Ledger({ store, timeout, decisionTimeout: 10_000, issuer: undefined, clockTolerance: 5 })
}

/** One more second of life: a decision that each caller makes on the state it is shown. */
const longer = (current: Authorization | undefined) => {
  if (current === undefined) throw new Error('nothing is stored')
  return { next: { ...current, expiresAt: current.expiresAt + 1 }, result: current.expiresAt + 1 }
}

async function begin(ledger: Ledger): Promise<void> {
  await ledger.settle(undefined, () => ({ next: initial, result: undefined }))
}

describe('turns', () => {
  test('100 requests for one Authorization at the same time need 100 tries', async () => {
    const { store, counted } = slowStore()
    // Nobody's patience ends here: whoever goes ahead without a turn may need more tries.
    const ledger = ledgerOver(store, 60_000)
    await begin(ledger)
    const results = await Promise.all(Array.from({ length: 100 }, async () => ledger.settle(id, longer)))
    expect(results).toEqual(Array.from({ length: 100 }, (_, i) => start + 101 + i))
    expect(counted.tries).toBe(100)
  })

  test('between processes nobody takes turns: more tries, the same outcome', async () => {
    const { store, counted, memory } = slowStore()
    const ledgers = Array.from({ length: 10 }, () => ledgerOver(store))
    await begin(ledgerOver(store))
    const results = await Promise.all(ledgers.map(async (ledger) => ledger.settle(id, longer)))
    expect([...results].sort()).toEqual(Array.from({ length: 10 }, (_, i) => start + 101 + i))
    expect(counted.tries).toBeGreaterThan(10)
    expect((await memory.get(id))?.expiresAt).toBe(start + 110)
  })

  test('one that is urgent goes before all that wait, and after the one that is on', async () => {
    const { store } = slowStore()
    const ledger = ledgerOver(store)
    await begin(ledger)
    const order: string[] = []
    const named = (name: string) => (current: Authorization | undefined) => (order.push(name), longer(current))
    await Promise.all([
      ledger.settle(id, named('on')),
      ledger.settle(id, named('first')),
      ledger.settle(id, named('second')),
      ledger.settle(id, named('urgent'), { urgent: true }),
    ])
    expect(order).toEqual(['on', 'urgent', 'first', 'second'])
  })

  test('a revocation does not wait for a hundred refreshes', async () => {
    const { store } = slowStore()
    const server = testServer({ store, rotateRefreshTokens: false })
    const { refresh_token, access_token } = await server.tokens()
    const refreshes = Array.from({ length: 100 }, () => server.refresh(refresh_token))
    await wait(2)
    const revoked = server.revoke({ token: refresh_token }, basic(web))
    const responses = await Promise.all(refreshes)
    expect((await revoked).status).toBe(200)
    expect(responses.filter(({ status }) => status === 200).length).toBeLessThan(20)
    expect(responses.at(-1)).toMatchObject(invalidGrant)
    expect(await isActive(server, access_token)).toBe(false)
    for (const { json } of responses) if (json.access_token !== undefined) expect(await isActive(server, json.access_token)).toBe(false)
  })

  test('different Authorizations do not wait for each other', async () => {
    const turns = new Turns()
    void turns.take('a', false, 60_000, () => new Promise<never>(() => {}))
    expect(await turns.take('b', false, 60_000, () => Promise.resolve(7))).toBe(7)
  })

  test('whoever has waited long enough goes ahead without a turn, and the line goes on', async () => {
    const turns = new Turns()
    const order: string[] = []
    let release: () => void = () => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    const holder = turns.take('a', false, 60_000, async () => (await held, order.push('holder')))
    const impatient = turns.take('a', false, 20, async () => order.push('impatient'))
    const patient = turns.take('a', false, 60_000, async () => order.push('patient'))
    await impatient
    expect(order).toEqual(['impatient'])
    release()
    await Promise.all([holder, patient])
    expect(order).toEqual(['impatient', 'holder', 'patient'])
  })

  test('urgent ones go first, in the order in which they came', async () => {
    const turns = new Turns()
    const order: string[] = []
    const names = ['on', 'first', 'urgent 1', 'second', 'urgent 2']
    await Promise.all(
      names.map(async (name) => turns.take('a', name.startsWith('urgent'), 60_000, async () => (await wait(0), order.push(name)))),
    )
    expect(order).toEqual(['on', 'urgent 1', 'urgent 2', 'first', 'second'])
  })

  test('one that hangs delays the others by a quarter of storeTimeout, and by no more', async () => {
    const { store } = slowStore()
    const ledger = ledgerOver(store, 2000)
    await begin(ledger)
    let release: () => void = () => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    const hung = ledger.settle(id, async () => (await held, { result: 'released' }))
    const begun = performance.now()
    expect(await ledger.settle(id, longer)).toBe(start + 101)
    const waited = performance.now() - begun
    expect(waited).toBeGreaterThanOrEqual(495)
    expect(waited).toBeLessThan(2000)
    release()
    expect(await hung).toBe('released')
  })

  test('R4 a flood of slow requests for one Authorization is served: nobody is refused for waiting', async () => {
    const { store } = slowStore()
    const ledger = ledgerOver(store, 2000)
    await begin(ledger)
    // In turns alone these would take three times as long as a call of the store may.
    const slowly = async (current: Authorization | undefined) => (
      await wait(150),
      current === undefined ? longer(current) : { result: 'served' }
    )
    const outcomes = await Promise.all(Array.from({ length: 40 }, () => ledger.settle<unknown>(id, slowly)))
    expect(outcomes).toEqual(Array<string>(40).fill('served'))
  })

  test('R4 a decision that hangs is 503 after callbackTimeout', async () => {
    const { store, memory } = slowStore()
    const server = testServer({ store, callbackTimeout: 50, authorize: () => new Promise<never>(() => {}) })
    const code = await server.code()
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 503, headers: { 'Retry-After': '1' } })
    expect(server.events.at(-1)).toMatchObject({ reason: 'a grant, hook or generator of the application did not answer in time' })
    expect((await authorizationOf(memory, code)).code?.status).toBe('issued')
  })

  test('one that fails lets the next one in', async () => {
    const { store } = slowStore()
    const ledger = ledgerOver(store)
    await begin(ledger)
    const outcomes = await Promise.allSettled([
      ledger.settle(id, () => { throw new Error('no') }),
      ledger.settle(id, () => Promise.reject(new Error('no'))),
      ledger.settle(id, longer),
    ]) // prettier-ignore
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
  })
})

describe('a lost race', () => {
  test('is decided again, from the state that won', async () => {
    const seen: unknown[] = []
    const rivals: (() => unknown)[] = []
    const { store } = slowStore()
    const rival = ledgerOver(store)
    const ledger = ledgerOver({ ...store, replace: async (record, version) => (await rivals.shift()?.(), store.replace(record, version)) })
    await begin(rival)
    rivals.push(() => rival.settle(id, longer), () => rival.settle(id, longer)) // prettier-ignore
    const result = await ledger.settle(id, (current) => (seen.push(current?.expiresAt), longer(current)))
    expect(seen).toEqual([start + 100, start + 101, start + 102])
    expect(result).toBe(start + 103)
  })

  test('I3 is decided again at once on what was read: a revocation does not fall behind those who come anew', async () => {
    const { store } = slowStore()
    await begin(ledgerOver(store))
    let isFresh = false
    const freshness: boolean[] = []
    const ledger = ledgerOver({
      ...store,
      async get(key) {
        const record = await store.get(key)
        isFresh = true
        setImmediate(() => (isFresh = false))
        return record
      },
      replace: async (record, version) => (freshness.push(isFresh), await wait(0), freshness.length > 5 && store.replace(record, version)),
    })
    await ledger.settle(id, longer, { urgent: true })
    expect(freshness).toEqual(Array<boolean>(6).fill(true))
  })

  test('R4 does not keep everybody else from running, where the store answers without waiting', async () => {
    const { memory } = slowStore()
    await begin(ledgerOver(memory))
    let isHeard = false
    setImmediate(() => (isHeard = true))
    const heard: boolean[] = []
    const ledger = ledgerOver({
      ...memory,
      replace: async (record, version) => (heard.push(isHeard), heard.length > 1 && memory.replace(record, version)),
    })
    await ledger.settle(id, longer)
    expect(heard).toEqual([false, true])
  })

  test('may be decided otherwise: nothing is written then', async () => {
    const { store, memory } = slowStore()
    const rival = ledgerOver(store)
    let rivals = 1
    const ledger = ledgerOver({ ...store, replace: async (record, version) => (rivals-- > 0 && (await rival.settle(id, longer)), store.replace(record, version)) }) // prettier-ignore
    await begin(rival)
    const result = await ledger.settle<unknown>(id, (current) =>
      current?.expiresAt === start + 100 ? longer(current) : { result: 'too late' },
    )
    expect(result).toBe('too late')
    expect((await memory.get(id))?.expiresAt).toBe(start + 101)
  })

  test('I3 a token that was being minted while its Authorization was revoked is not given out', async () => {
    const { store, memory } = slowStore()
    const other = testServer({ store })
    const { refresh_token } = await other.tokens()
    let isRevoked = false
    const racing: Store = {
      ...store,
      async replace(record, version) {
        if (!isRevoked) await other.revoke({ token: refresh_token }, basic(web))
        isRevoked = true
        return store.replace(record, version)
      },
    }
    expect(await testServer({ store: racing }).refresh(refresh_token)).toMatchObject(invalidGrant)
    expect(await authorizationOf(memory, refresh_token)).toMatchObject({ revokedAt: start, accessTokens: [] })
  })

  test('is lost for good at the deadline: 503, and no sooner than there were tries', async () => {
    const { store, memory } = slowStore()
    await begin(ledgerOver(store))
    let tries = 0
    const ledger = ledgerOver({ ...store, replace: async () => (tries++, await wait(5), false) }, 100)
    const begun = performance.now()
    await expect(ledger.settle(id, longer)).rejects.toMatchObject({
      status: 503,
      retryAfter: 1,
      reason: 'lost the race for this authorization until the deadline',
    })
    expect(performance.now() - begun).toBeLessThan(1000)
    expect(tries).toBeGreaterThan(3)
    expect((await memory.get(id))?.expiresAt).toBe(start + 100)
  })

  test('one whose record has gone meanwhile is decided on nothing', async () => {
    const { store } = slowStore()
    await begin(ledgerOver(store))
    let isGone = false
    const ledger = ledgerOver({
      ...store,
      get: (key) => (isGone ? Promise.resolve(undefined) : store.get(key)),
      replace: () => ((isGone = true), Promise.resolve(false)),
    })
    expect(await ledger.settle<unknown>(id, (current) => (current === undefined ? { result: 'gone' } : longer(current)))).toBe('gone')
  })
})

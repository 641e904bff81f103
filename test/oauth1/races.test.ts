import { expect, test } from '@jest/globals'
import { memoryStore, type ProtocolResponse, type Store, type StoredRecord } from '../../src/index.js'
import { createAccessTokenResponse } from '../../src/oauth1/index.js'
import { sizes } from '../security/sizes.js'
import {
  authorized,
  client,
  exchangeRequest,
  formOf,
  initiate,
  oauth1Server,
  resource,
  resourceUrl,
  signed,
  start,
  type OAuth1Server,
  type Token,
} from './support.js'

const parallel = 100
const { rounds } = sizes
const later = () => new Promise((resolve) => setImmediate(resolve))

/** The memory store, with a pause before and after every verb, as a database has it. */
function remote(): Store {
  const inner = memoryStore({ clock: () => start })
  return {
    get: async (id) => (await later(), inner.get(id)),
    create: async (record) => (await later(), inner.create(record)),
    replace: async (record, version) => (await later(), inner.replace(record, version)),
    list: (filter) => inner.list(filter),
  }
}

/** What a store must not be: it reads, checks, and writes, as three steps. */
function broken(): Store {
  const records = new Map<string, StoredRecord>()
  return {
    get: async (id) => (await later(), records.get(id)),
    async create(record) {
      const exists = records.has(record.id)
      await later()
      if (!exists) records.set(record.id, record)
      return !exists
    },
    async replace(record, version) {
      const isSame = records.get(record.id)?.version === version
      await later()
      if (isSame) records.set(record.id, record)
      return isSame
    },
    async *list() {},
  }
}

async function race(server: OAuth1Server): Promise<readonly ProtocolResponse[]> {
  const pending = await authorized(server)
  const requests = Array.from({ length: parallel }, () => exchangeRequest(server, pending))
  return Promise.all(requests.map((request) => createAccessTokenResponse(server.options, request)))
}

const count = (responses: readonly ProtocolResponse[], status: number) => responses.filter((response) => response.status === status).length

test('O9 of 100 parallel exchanges of one temporary credential one succeeds, and its token works', async () => {
  for (let round = 0; round < rounds; round++) {
    const server = oauth1Server({ store: remote() })
    const responses = await race(server)
    expect([count(responses, 200), count(responses, 401)]).toEqual([1, parallel - 1])
    const winner = responses.find(({ status }) => status === 200)
    const token = formOf(winner ?? { status: 0, headers: {}, body: '' }) as unknown as Token
    expect((await resource(server, signed(resourceUrl, { ...client, token }))).status).toBe(200)
  }
})

test('O9 the same race is lost by a store that reads, checks and writes', async () => {
  expect(count(await race(oauth1Server({ store: broken() })), 200)).toBeGreaterThan(1)
})

async function nonceRace(store: Store): Promise<number> {
  const server = oauth1Server({ store })
  const protocol = { oauth_nonce: 'one' }
  return count(await Promise.all(Array.from({ length: parallel }, () => initiate(server, client, { protocol }))), 200)
}

test('O5 of 100 parallel requests with one nonce one passes', async () => {
  for (let round = 0; round < rounds; round++) expect(await nonceRace(remote())).toBe(1)
})

test('O5 the same race of nonces is lost by a store that reads, checks and writes', async () => {
  expect(await nonceRace(broken())).toBeGreaterThan(1)
})

test('O9 a write that took effect but answers false still wins, and no other does', async () => {
  const inner = memoryStore({ clock: () => start })
  const store: Store = {
    ...inner,
    create: async (record) => (await inner.create(record), false),
    replace: async (record, version) => (await inner.replace(record, version), false),
  }
  const responses = await race(oauth1Server({ store }))
  expect([count(responses, 200), count(responses, 401)]).toEqual([1, parallel - 1])
})

test('O9 a store that throws at its k-th call, before or after taking effect: 503, and never two tokens', async () => {
  for (const takesEffect of [false, true]) {
    for (let k = 1; ; k++) {
      const inner = memoryStore({ clock: () => start })
      const server = oauth1Server({ store: inner })
      const pending = await authorized(server)
      let calls = 0
      const failing = async <T>(work: () => T | Promise<T>): Promise<T> => {
        if (++calls !== k) return work()
        if (takesEffect) await work()
        throw new Error('connection lost')
      }
      const store: Store = {
        get: (id) => failing(() => inner.get(id)),
        create: (record) => failing(() => inner.create(record)),
        replace: (record, version) => failing(() => inner.replace(record, version)),
        list: (filter) => inner.list(filter),
      }
      const request = exchangeRequest(server, pending)
      const first = await createAccessTokenResponse(oauth1Server({ store }).options, request)
      if (calls < k) {
        // Every call of the flow has failed once: look up, nonce, exchange.
        expect([first.status, k]).toEqual([200, 4])
        break
      }
      expect(first.status).toBe(503)
      const second = await createAccessTokenResponse(server.options, exchangeRequest(server, pending))
      expect(second.status).toBe(takesEffect && k === 3 ? 401 : 200)
    }
  }
})

/** What went wrong elsewhere with grants, clients and stores, one test for each lesson that applies to what is built here. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { memoryStore, type Store, type StoredRecord } from '../../src/index.js'
import { basic, code_verifier, exchange, native, redirect_uri, start, testServer, web } from '../support/server.js'
import { faultyStore } from './doubles.js'
import { fleetOver, freshMemoryStore, raceForCode, raceForRefreshStrictly } from './races.js'
import { patience } from './sizes.js'

jest.setTimeout(patience)

const rival = { ...web, client_id: 'rival', client_secret: 'rival-secret-0123456789abcdef' }

beforeEach(() => {
  jest.spyOn(console, 'warn').mockImplementation(() => {})
})

afterEach(() => {
  jest.restoreAllMocks()
})

/** A memory store that shows its records, and lets a test spoil what it returns. */
function openStore(spoil: (record: StoredRecord) => StoredRecord = (record) => record) {
  const inner = memoryStore({ clock: () => start })
  const calls: string[] = []
  const store: Store = {
    ...inner,
    get: async (id) => {
      calls.push('get')
      const record = await inner.get(id)
      return record === undefined ? undefined : spoil(structuredClone(record))
    },
    create: (record) => (calls.push('create'), inner.create(record)),
    replace: (record, version) => (calls.push('replace'), inner.replace(record, version)),
  }
  return { store, calls, inner }
}

describe('I1 two parallel redemptions of one code, or uses of one refresh token, do not both succeed', () => {
  test('because one compare-and-set decides', async () => {
    expect(await raceForCode(await fleetOver(freshMemoryStore, 2), 2)).toEqual([])
    expect(await raceForRefreshStrictly(await fleetOver(freshMemoryStore, 2, { refreshRetryWindow: 0 }), 2)).toEqual([])
  })
})

describe('I3 no token survives the replay of its code', () => {
  test('because code, tokens and revocation are one record, written once', async () => {
    const { store, calls } = openStore()
    const server = testServer({ store })
    const code = await server.code()
    calls.length = 0
    const { json } = await server.token(exchange(code), basic(web))
    expect(calls).toEqual(['get', 'replace'])
    await server.token(exchange(code), basic(web))
    expect((await server.introspect({ token: json.access_token ?? '' }, basic(web))).json).toEqual({ active: false })
    expect((await server.refresh(json.refresh_token ?? '')).json.error).toBe('invalid_grant')
  })
})

describe('I4 an interruption leaves no code consumed without its tokens', () => {
  test.each([1, 2])('when the store stops at call %i of the exchange, the code is as good as before', async (call) => {
    const store = faultyStore(memoryStore())
    const server = testServer({ store })
    const code = await server.code()
    store.arm(call, 'throws before')
    expect((await server.token(exchange(code), basic(web))).status).toBe(503)
    store.disarm()
    expect((await server.token(exchange(code), basic(web))).status).toBe(200)
  })
})

describe('G3 a code seen in a log does not end the session', () => {
  test.each([
    ['another client', {}, basic(rival)],
    ['no client', {}, {}],
    ['the public identity of its client', { client_id: 'web' }, {}],
    ['a wrong verifier', { code_verifier: 'x'.repeat(43) }, basic(web)],
    ['no verifier', { code_verifier: '' }, basic(web)],
    ['another redirect_uri', { redirect_uri: `${redirect_uri}/x` }, basic(web)],
  ])('a replay with %s only fails', async (_what, form, headers) => {
    const server = testServer({ clients: [web, rival] })
    const code = await server.code()
    const { json } = await server.token(exchange(code), basic(web))
    expect((await server.token({ ...exchange(code), ...form }, headers)).status).toBeGreaterThanOrEqual(400)
    expect((await server.introspect({ token: json.access_token ?? '' }, basic(web))).json.active).toBe(true)
    expect((await server.refresh(json.refresh_token ?? '')).status).toBe(200)
  })
})

describe('G1 a code of one client is not redeemed by another', () => {
  test.each([
    ['confidential', {}, basic(rival)],
    ['public', { client_id: 'native' }, {}],
  ])('which is %s', async (_kind, form, headers) => {
    const server = testServer({ clients: [web, rival, native] })
    const code = await server.code()
    expect((await server.token({ ...exchange(code), ...form }, headers)).json.error).toBe('invalid_grant')
    expect((await server.token(exchange(code), basic(web))).status).toBe(200)
  })
})

describe('G2 PKCE is not checked only when the verifier is sent', () => {
  const relaxed = { ...web, require_pkce: false }
  const withoutChallenge = { code_challenge: undefined, code_challenge_method: undefined }

  test('a code with a challenge needs its verifier', async () => {
    const server = testServer({ clients: [relaxed] })
    const { code_verifier: _omitted, ...form } = exchange(await server.code())
    expect((await server.token(form, basic(web))).json).toMatchObject({ error: 'invalid_request' })
  })

  test('a verifier for a code without challenge is refused', async () => {
    const server = testServer({ clients: [relaxed] })
    const code = await server.code(withoutChallenge)
    expect((await server.token(exchange(code), basic(web))).json.error).toBe('invalid_grant')
  })

  test('a verifier is guessed once', async () => {
    const server = testServer()
    const code = await server.code()
    const guess = await server.token({ ...exchange(code), code_verifier: 'x'.repeat(43) }, basic(web))
    expect(guess.json.error).toBe('invalid_grant')
    expect((await server.token(exchange(code), basic(web))).json.error).toBe('invalid_grant')
  })

  test.each([
    ['the challenge', { method: 'S256' }],
    ['the method', { code_challenge: 'x'.repeat(43) }],
    ['all of it', undefined],
    ['all of it, as null', null],
  ])('a store that forgets %s does not switch it off', async (_what, pkce) => {
    const { store } = openStore((record) => {
      const code = record.data.code as object
      return { ...record, data: JSON.parse(JSON.stringify({ ...record.data, code: { ...code, pkce } })) }
    })
    const server = testServer({ store, clients: [relaxed] })
    const code = await server.code()
    const { code_verifier: _omitted, ...bare } = exchange(code)
    expect((await server.token(bare, basic(web))).status).toBe(503)
    expect((await server.token({ ...bare, code_verifier }, basic(web))).status).toBe(503)
  })
})

describe('C4 two ways to authenticate in one request are not judged by the first that matches', () => {
  test.each([
    ['Basic and a secret in the body', { client_id: 'web', client_secret: web.client_secret }, basic(web)],
    ['Basic of one client and the id of another', { client_id: 'rival' }, basic(web)],
    ['Basic of a stranger and the right secret in the body', { client_id: 'web', client_secret: web.client_secret }, basic(rival)],
  ])('%s', async (_what, form, headers) => {
    const server = testServer({ clients: [web, rival] })
    const code = await server.code()
    const { status, json } = await server.token({ ...exchange(code), ...form }, headers)
    expect([status, json.error]).toEqual([400, 'invalid_request'])
    expect((await server.token(exchange(code), basic(web))).status).toBe(200)
  })
})

describe('C5 a code_verifier does not stand for a secret', () => {
  test('of a confidential client', async () => {
    const server = testServer()
    const code = await server.code()
    const { status, json } = await server.token({ ...exchange(code), client_id: 'web' })
    expect([status, json.error]).toEqual([401, 'invalid_client'])
  })
})

describe('G5 the reuse of a refresh token is not forgiven for any generation, nor answered with a dead token', () => {
  test('one that is two generations old ends the Authorization', async () => {
    const server = testServer()
    const { refresh_token: first } = await server.tokens()
    const { json: second } = await server.refresh(first)
    const { json: third } = await server.refresh(second.refresh_token ?? '')
    expect((await server.refresh(first)).json.error).toBe('invalid_grant')
    expect((await server.refresh(third.refresh_token ?? '')).json.error).toBe('invalid_grant')
  })

  test('a retry is the same answer, and it works', async () => {
    const server = testServer()
    const { refresh_token } = await server.tokens()
    const { json: lost } = await server.refresh(refresh_token)
    const { json: again } = await server.refresh(refresh_token)
    expect(again).toEqual(lost)
    expect((await server.introspect({ token: again.access_token ?? '' }, basic(web))).json.active).toBe(true)
    expect((await server.refresh(again.refresh_token ?? '')).status).toBe(200)
  })

  test('a retry after the access token was revoked gets one that works', async () => {
    const server = testServer()
    const { refresh_token } = await server.tokens()
    const { json: lost } = await server.refresh(refresh_token)
    await server.revoke({ token: lost.access_token ?? '' }, basic(web))
    const { json: again } = await server.refresh(refresh_token)
    expect(again.refresh_token).toBe(lost.refresh_token)
    expect((await server.introspect({ token: again.access_token ?? '' }, basic(web))).json.active).toBe(true)
  })
})

describe('I8 a revocation is not confirmed although the store failed', () => {
  test.each([1, 2])('at call %i', async (call) => {
    const store = faultyStore(memoryStore())
    const server = testServer({ store })
    const { refresh_token } = await server.tokens()
    store.arm(call, 'throws before')
    expect((await server.revoke({ token: refresh_token }, basic(web))).status).toBe(503)
  })
})

describe('I1 what was decided is not kept in the memory of a process', () => {
  test('a server that starts anew on the same store knows the used code and the rotated token', async () => {
    const { store } = openStore()
    const before = testServer({ store, refreshRetryWindow: 0 })
    const code = await before.code()
    const { json } = await before.token(exchange(code), basic(web))
    await before.refresh(json.refresh_token ?? '')
    const other = await before.code()
    await before.token(exchange(other), basic(web))
    const after = testServer({ store, refreshRetryWindow: 0 })
    expect((await after.refresh(json.refresh_token ?? '')).json.error).toBe('invalid_grant')
    expect((await after.token(exchange(other), basic(web))).json.error).toBe('invalid_grant')
  })

  test('a write that the store took back advances nothing', async () => {
    const { store, inner } = openStore()
    let isRolledBack = true
    const rollback: Store = {
      ...store,
      replace: (record, version) => (isRolledBack ? Promise.reject(new Error('rolled back')) : inner.replace(record, version)),
    }
    const server = testServer({ store: rollback, refreshRetryWindow: 0 })
    const code = await server.code()
    expect((await server.token(exchange(code), basic(web))).status).toBe(503)
    isRolledBack = false
    expect((await server.token(exchange(code), basic(web))).status).toBe(200)
  })
})

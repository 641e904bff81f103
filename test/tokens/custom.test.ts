/** Access tokens and refresh tokens whose texts the application writes (F5, F6): found by alias, under the same rules as all others. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { requireAccessToken, type Store, type StoredRecord, type TokenClaims } from '../../src/index.js'
import { faults, faultyStore, type Fault, type FaultyStore } from '../security/doubles.js'
import { readCheckWriteStore } from '../support/broken-stores.js'
import { ask, aGet } from '../support/mac.js'
import { basic, exchange, machine, start, testServer, web, type TestServer } from '../support/server.js'
import { invalidGrant, isActive, reasons, storedServer } from '../support/stored.js'

const serverError = { status: 500, body: '{"error":"server_error","error_description":"the server met an unexpected condition"}' }
const machineForm = { grant_type: 'client_credentials' }

/** A generator of short texts without any id inside, and what it was called with. */
function counting(prefix: string) {
  const calls: TokenClaims[] = []
  return { calls, generate: (token: TokenClaims) => `${prefix}-${calls.push(token)}` }
}

/** Every record, by its kind. */
function watched(store: Store) {
  const written: StoredRecord[] = []
  const watching: Store = {
    get: (id) => store.get(id),
    create: (record) => (written.push(record), store.create(record)),
    replace: (record, version) => (written.push(record), store.replace(record, version)),
    list: (filter) => store.list(filter),
  }
  return { written, watching }
}

beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterAll(() => {
  jest.restoreAllMocks()
})

describe('access tokens', () => {
  test('F5 the function gets client, subject, scope, expiresAt and context, and its text is the token', async () => {
    const { calls, generate } = counting('at')
    const server = testServer({ accessTokens: generate, issuer: 'https://server.example' })
    const { access_token } = await server.tokens({ scope: 'read', extra: { room: 7 } })
    expect(access_token).toBe('at-1')
    expect(calls).toEqual([
      {
        kind: 'access_token',
        client: expect.objectContaining({ client_id: 'web' }),
        subject: 'alice',
        scope: ['read'],
        resource: [],
        grant_type: 'authorization_code',
        issuedAt: start,
        expiresAt: start + 3600,
        issuer: 'https://server.example',
        authorization_id: expect.stringMatching(/^[\w-]{22}$/),
        extra: { room: 7 },
        context: {},
      },
    ])
    await server.token(machineForm, basic(machine))
    expect(calls[1]).toMatchObject({ subject: undefined, client: { client_id: 'machine' }, authorization_id: expect.any(String) })
  })

  test('F5 a text without an id is found by its alias: guard, introspection, revocation, expiry', async () => {
    const server = testServer({ accessTokens: async () => 'at-1' })
    const { access_token } = await server.tokens({ scope: 'read' })
    const request = { ...aGet, headers: { authorization: `Bearer ${access_token}` } }
    expect(await ask(server, request, { scope: 'read' })).toBe('accepted')
    expect(await server.introspect({ token: access_token }, basic(web))).toMatchObject({
      json: { active: true, sub: 'alice', client_id: 'web', scope: 'read', exp: start + 3600, token_type: 'Bearer' },
    })
    expect(await ask(server, { ...request, headers: { authorization: 'Bearer at-2' } })).toMatchObject({ status: 401 })
    server.now = start + 3600
    expect(await isActive(server, access_token)).toBe(false)
    server.now = start
    expect(await server.revoke({ token: access_token }, basic(machine))).toMatchObject({ status: 200 })
    expect(await isActive(server, access_token)).toBe(true)
    await server.revoke({ token: access_token }, basic(web))
    expect(await isActive(server, access_token)).toBe(false)
    expect(await ask(server, request)).toMatchObject({ status: 401 })
  })

  test('F5 I6 the alias is written before the Authorization, and holds neither text nor anything that opens something', async () => {
    const { server: plain, store } = storedServer()
    const { written, watching } = watched(store)
    const server = testServer({ store: watching, accessTokens: () => 'my-own-text', clock: () => plain.now })
    await server.token(machineForm, basic(machine))
    expect(written.map(({ kind }) => kind)).toEqual(['alias', 'authorization'])
    const [alias, authorization] = written
    expect(alias).toEqual({
      id: expect.stringMatching(/^alias:[\w-]{43}$/),
      version: expect.any(String),
      kind: 'alias',
      expiresAt: start + 3600 + 5,
      format: 1,
      data: { authorization_id: authorization?.id },
    })
    expect(JSON.stringify(written)).not.toContain('my-own-text')
  })

  test('F5 aliases of servers with other issuers are unknown to each other', async () => {
    const { store } = storedServer()
    const at = (issuer: string) => testServer({ store, issuer, accessTokens: () => 'same-text' })
    const [one, two, three] = [at('https://one.example'), at('https://two.example'), at('https://three.example')]
    expect(await one.token(machineForm, basic(machine))).toMatchObject({ status: 200 })
    expect(await two.token(machineForm, basic(machine))).toMatchObject({ status: 200 })
    expect(await three.introspect({ token: 'same-text' }, basic(machine))).toMatchObject({ json: { active: false } })
  })

  test('F5 the store is not asked for a text that nobody issues: empty, or over 16 KiB', async () => {
    const { store } = storedServer()
    const asked: string[] = []
    const server = testServer({ accessTokens: () => 'x', store: { ...store, get: (id) => (asked.push(id), store.get(id)) } })
    for (const token of ['', 'a'.repeat(16_385)]) {
      const answer = await ask(server, { ...aGet, headers: { authorization: `Bearer ${token}` } })
      expect(answer).toMatchObject({ status: 401 })
    }
    expect(asked).toEqual([])
    expect(await ask(server, { ...aGet, headers: { authorization: `Bearer ${'a'.repeat(16_384)}` } })).toMatchObject({ status: 401 })
    expect(asked).toHaveLength(1)
  })
})

describe('a generator that goes wrong', () => {
  test.each(['accessTokens', 'refreshTokens'] as const)('F5 F6 %s repeats itself: 500, an event, nothing issued', async (option) => {
    let text = 'first'
    const server = testServer({ [option]: () => text })
    await server.tokens()
    const code = await server.code({ subject: 'bob' })
    const { status, body } = await server.token(exchange(code), basic(web))
    expect({ status, body }).toEqual(serverError)
    expect(server.events.at(-1)).toMatchObject({
      type: 'request.failed',
      endpoint: 'token',
      status: 500,
      reason: 'a generator repeated itself: its text belongs to another authorization',
    })
    expect(server.events.filter(({ type }) => type === 'token.issued')).toHaveLength(1)
    const { json } = await server.introspect({ token: 'first' }, basic(web))
    expect(json).toMatchObject({ active: true, sub: 'alice' })
    // Nothing was consumed either.
    text = 'second'
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
  })

  test('F6 one text for the access token and the refresh token: 500', async () => {
    const server = testServer({ accessTokens: () => 'one', refreshTokens: () => 'one' })
    expect(await server.token(exchange(await server.code()), basic(web))).toMatchObject(serverError)
  })

  test('F6 the text of a refresh token again at its rotation: 500, and the old one stays good', async () => {
    const texts = ['one', 'one', 'two']
    const server = testServer({ refreshTokens: () => texts.shift() ?? '' })
    await server.tokens()
    expect(await server.refresh('one')).toMatchObject(serverError)
    expect(await server.refresh('one')).toMatchObject({ status: 200, json: { refresh_token: 'two' } })
  })

  const unsendable: unknown[] = ['', 'a b', 'ä', 'a\nb', 'a"b', '=', 'a=b', undefined, null, 7, {}, ['a']]
  test.each(['accessTokens', 'refreshTokens'] as const)('F5 F6 %s answers what cannot be sent: 500, nothing consumed', async (option) => {
    let text: unknown
    const server = testServer({ [option]: () => text as string })
    const code = await server.code()
    for (text of unsendable) expect(await server.token(exchange(code), basic(web))).toMatchObject(serverError)
    expect(new Set(reasons(server))).toEqual(new Set([`the option ${option} must return a text of letters, digits and -._~+/`]))
    text = 'aZ09-._~+/=='
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
  })

  test.each(['accessTokens', 'refreshTokens'] as const)(
    'F5 F6 %s makes a text that nobody would read: 500, nothing consumed',
    async (option) => {
      let text = 'x'.repeat(16_385)
      const server = testServer({ [option]: () => text })
      const code = await server.code()
      expect(await server.token(exchange(code), basic(web))).toMatchObject(serverError)
      expect(reasons(server)).toEqual([`the option ${option} made a token of more than 16384 characters, which nobody would read`])
      text = 'x'.repeat(16_384)
      expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
    },
  )

  test.each(['accessTokens', 'refreshTokens'] as const)('F5 F6 %s throws: 500 without detail, nothing consumed', async (option) => {
    let fails = true
    const generate = async () => {
      if (fails) throw new Error('vault://admin:hunter2@hsm')
      return `good-${Math.random()}`
    }
    const server = testServer({ [option]: generate })
    const code = await server.code()
    expect(await server.token(exchange(code), basic(web))).toMatchObject(serverError)
    fails = false
    const { json } = await server.token(exchange(code), basic(web))
    fails = true
    expect(await server.refresh(json.refresh_token ?? '')).toMatchObject(serverError)
    expect(JSON.stringify(server.events)).not.toContain('hunter2')
    fails = false
    expect(await server.refresh(json.refresh_token ?? '')).toMatchObject({ status: 200 })
    expect(await isActive(server, json.access_token ?? '')).toBe(true)
  })

  test('F5 F6 a race that was lost calls them again, and only the winner’s texts are good', async () => {
    const store = readCheckWriteStore()
    const access = counting('at')
    const refresh = counting('rt')
    const options = { store, accessTokens: access.generate, refreshTokens: refresh.generate, clock: () => start, refreshRetryWindow: 0 }
    const [one, two] = [testServer(options), testServer(options)]
    const code = await one.code()
    // Somebody else writes between the read and the write of the exchange.
    let touches = 1
    const touched: Store = {
      ...store,
      async replace(record, version) {
        const current = await store.get(record.id)
        if (touches-- > 0 && current !== undefined) await store.replace({ ...current, version: 'touched' }, current.version)
        return store.replace(record, version)
      },
    }
    const third = testServer({ ...options, store: touched })
    const { status, json } = await third.token(exchange(code), basic(web))
    expect({ status, json }).toMatchObject({ status: 200, json: { access_token: 'at-2', refresh_token: 'rt-2' } })
    expect(await isActive(two, 'at-1')).toBe(false)
    expect(await isActive(two, 'at-2')).toBe(true)
    expect(await one.refresh('rt-1')).toMatchObject(invalidGrant)
    expect(await one.refresh('rt-2')).toMatchObject({ status: 200 })
  })
})

describe('faults of the store', () => {
  const storeTimeout = 25

  function prepared(): { server: TestServer; store: FaultyStore } {
    const { store: inner } = storedServer()
    const store = faultyStore(inner)
    let count = 0
    const text = () => `text-${count++}`
    return { server: testServer({ store, storeTimeout, accessTokens: text, refreshTokens: text }), store }
  }

  /** What a request that presents `credential` asks of the store. */
  const flows = [
    { title: 'client credentials', calls: ['create', 'create'], prepare: async () => '', send: (server: TestServer) => server.token(machineForm, basic(machine)) },
    {
      title: 'a code exchange',
      calls: ['get', 'create', 'create', 'replace'],
      prepare: (server: TestServer) => server.code(),
      send: (server: TestServer, code: string) => server.token(exchange(code), basic(web)),
    },
    {
      title: 'a refresh with rotation',
      calls: ['get', 'get', 'create', 'create', 'replace'],
      prepare: async (server: TestServer) => (await server.tokens()).refresh_token,
      send: (server: TestServer, text: string) => server.refresh(text),
    },
  ] // prettier-ignore

  const cases = flows.flatMap((flow) =>
    flow.calls.flatMap((verb, index) =>
      faults.filter((fault) => verb !== 'get' || !fault.startsWith('false')).map((fault) => ({ ...flow, verb, call: index + 1, fault })),
    ),
  )

  test.each(flows)('F5 F6 $title asks for an alias before it writes', async ({ calls, prepare, send }) => {
    const { server, store } = prepared()
    const credential = await prepare(server)
    store.arm(0, 'throws before')
    expect((await send(server, credential)).status).toBe(200)
    expect(store.disarm()).toEqual(calls)
  })

  test.each(cases)('R4 I4 I8 $title when call $call ($verb) $fault', async ({ calls, call, fault, prepare, send }) => {
    const { server, store } = prepared()
    const credential = await prepare(server)
    store.arm(call, fault)
    const first = await send(server, credential)
    store.disarm()
    // A false after the write of an alias finds that it points where it should, and a false after the last write that it has won.
    expect([call, fault, first.status]).toEqual([call, fault, fault === 'false after' ? 200 : 503])
    if (first.status === 503) expect(first.json).toEqual({ error: 'temporarily_unavailable', error_description: expect.any(String) })
    else
      expect(await server.introspect({ token: first.json.access_token ?? '' }, basic(callerOf(calls)))).toMatchObject({
        json: { active: true },
      })

    const second = await send(server, credential)
    const wasWritten = call === calls.length && fault !== 'throws before'
    // A code that was spent, and a credential of the first answer, are as in any other format; a retried refresh has its answer.
    const isSpent = calls.length === 4 && (wasWritten || first.status === 200)
    expect(second.status).toBe(isSpent ? 400 : 200)
    if (second.status !== 200) return
    expect(await server.introspect({ token: second.json.access_token ?? '' }, basic(callerOf(calls)))).toMatchObject({
      json: { active: true },
    })
    if (calls.length === 5 && first.status === 200) expect(second.json).toEqual(first.json)
  })

  function callerOf(calls: readonly string[]) {
    return calls.length === 2 ? machine : web
  }

  test.each(['throws before', 'throws after'] as Fault[])('I8 the look-up of an alias that %s is a plight of the server', async (fault) => {
    const { server, store } = prepared()
    const { access_token, refresh_token } = await server.tokens()
    for (const send of [
      () => server.introspect({ token: access_token }, basic(web)),
      () => server.revoke({ token: refresh_token }, basic(web)),
      () => server.refresh(refresh_token),
      () => ask(server, { ...aGet, headers: { authorization: `Bearer ${access_token}` } }),
    ]) {
      store.arm(1, fault)
      expect(await send()).toMatchObject({ status: 503, headers: { 'Retry-After': expect.stringMatching(/^[1-3]$/) } })
      store.disarm()
    }
    expect(await isActive(server, access_token)).toBe(true)
    expect(() => requireAccessToken(server.options)).not.toThrow()
  })
})

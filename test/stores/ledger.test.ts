/** How the endpoints use a store: what a false means, what is never written twice, what is not to be read, and failures. */
import { describe, expect, test } from '@jest/globals'
import {
  memoryStore,
  type AccessTokenFormat,
  type Grant,
  type MemoryStore,
  type ServerOptions,
  type Store,
  type StoredRecord,
} from '../../src/index.js'
import { Ledger } from '../../src/authorization/ledger.js'
import { basic, exchange, machine, start, testServer, web, type TestServer } from '../support/server.js'
import { authorizationOf, invalidGrant, isActive, recordOf } from '../support/stored.js'

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
const machineForm = { grant_type: 'client_credentials' }

const ticket: Grant = {
  type: 'urn:example:ticket',
  authorize: async ({ claimOnce, now }) => ({ subject: (await claimOnce('ticket', 'T-1', now + 60)) ? 'won' : 'lost' }),
}
const holder = { ...machine, grant_types: ['urn:example:ticket'] }

/** A memory store, some of whose verbs are another's, and a server over it. `calls` counts what reached the store. */
function over(verbs: (memory: MemoryStore) => Partial<Store>, options: ServerOptions = {}) {
  const memory: MemoryStore = memoryStore({ clock: () => server.now })
  const calls = { get: 0, create: 0, replace: 0 }
  const base: Store = { get: memory.get, create: memory.create, replace: memory.replace, list: memory.list }
  const { get, create, replace, list } = { ...base, ...verbs(memory) }
  const store: Store = {
    get: (id) => (calls.get++, get(id)),
    create: (record) => (calls.create++, create(record)),
    replace: (record, version) => (calls.replace++, replace(record, version)),
    list,
  }
  const server: TestServer = testServer({ storeTimeout: 100, ...options, store })
  const healthy = testServer({ ...options, store: memory })
  return { server, healthy, memory, calls }
}

describe('a false that took effect', () => {
  const lying = (memory: MemoryStore): Partial<Store> => ({
    create: async (record) => (await memory.create(record), false),
    replace: async (record, version) => (await memory.replace(record, version), false),
  })

  test('I4 is won: codes, tokens and refresh tokens are good, and each was written once', async () => {
    const { server, calls } = over(lying)
    const tokens = await server.tokens()
    expect(calls).toEqual({ get: 3, create: 1, replace: 1 })
    expect(await isActive(server, tokens.access_token)).toBe(true)
    const { status, json } = await server.refresh(tokens.refresh_token)
    expect(status).toBe(200)
    expect(await isActive(server, json.access_token ?? '')).toBe(true)
    expect(await server.token(machineForm, basic(machine))).toMatchObject({ status: 200 })
    expect(await server.revoke({ token: json.refresh_token ?? '' }, basic(web))).toMatchObject({ status: 200 })
    expect(await isActive(server, json.access_token ?? '')).toBe(false)
    expect(calls).toMatchObject({ create: 2, replace: 3 })
  })

  test('I4 is won for guards, too, and only by the one who wrote', async () => {
    const { memory } = over(lying)
    const options: ServerOptions = {
      clients: [holder],
      grants: [ticket],
      store: { ...lying(memory), get: memory.get, list: memory.list } as Store,
    }
    const servers = [testServer(options), testServer(options)]
    const tokens = []
    for (const server of servers) tokens.push((await server.token({ grant_type: 'urn:example:ticket' }, basic(holder))).json.access_token)
    expect((await authorizationOf(memory, tokens[0] ?? '')).subject).toBe('won')
    expect((await authorizationOf(memory, tokens[1] ?? '')).subject).toBe('lost')
  })
})

describe('versions', () => {
  test('are fresh random text at every write, even of an equal state', async () => {
    const versions: string[] = []
    const states: string[] = []
    const note = ({ version, data, expiresAt }: StoredRecord) => {
      versions.push(version)
      states.push(JSON.stringify({ data, expiresAt }))
    }
    const selfContained: AccessTokenFormat = { name: 'text', kind: 'self-contained', issue: () => 'text', read: () => undefined }
    const { server } = over(
      (memory) => ({
        create: (record) => (note(record), memory.create(record)),
        replace: (record, version) => (note(record), memory.replace(record, version)),
      }),
      { accessTokens: selfContained, rotateRefreshTokens: false },
    )
    const { refresh_token } = await server.tokens()
    for (let use = 0; use < 20; use++) expect(await server.refresh(refresh_token)).toMatchObject({ status: 200 })
    expect(versions).toHaveLength(22)
    expect(new Set(states.slice(2)).size).toBe(1)
    expect(new Set(versions).size).toBe(22)
    for (const version of versions) expect(version).toMatch(/^[A-Za-z0-9_-]{22}$/)
  })
})

describe('a record of another issuer', () => {
  test('is unknown: its code, its access token, its refresh token', async () => {
    const store = memoryStore({ clock: () => start })
    const ours = testServer({ store, issuer: 'https://one.example' })
    const others = [testServer({ store, issuer: 'https://two.example' }), testServer({ store })]
    const tokens = await ours.tokens()
    const code = await ours.code()
    expect(await recordOf(store, code)).toMatchObject({ issuer: 'https://one.example' })
    const { version } = await recordOf(store, tokens.access_token)
    for (const server of others) {
      expect(await server.token(exchange(code), basic(web))).toMatchObject(invalidGrant)
      expect(await server.refresh(tokens.refresh_token)).toMatchObject(invalidGrant)
      expect(await isActive(server, tokens.access_token)).toBe(false)
      expect(await server.revoke({ token: tokens.refresh_token }, basic(web))).toMatchObject({ status: 200 })
    }
    expect((await recordOf(store, tokens.access_token)).version).toBe(version)
    expect(await ours.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
  })

  test('a server with an issuer does not know what was written without', async () => {
    const store = memoryStore({ clock: () => start })
    const { access_token } = await testServer({ store }).tokens()
    expect(await isActive(testServer({ store, issuer: 'https://one.example' }), access_token)).toBe(false)
  })
})

describe('ids', () => {
  test.each(['', 'x', `guard:${'a'.repeat(43)}`, 'a'.repeat(21), 'a'.repeat(23), `${'a'.repeat(21)} `, '../../../../etc/passwd'])(
    'a look-up of %j does not reach the store',
    async (id) => {
      let calls = 0
      const store = { ...memoryStore(), get: async () => (calls++, undefined) }
      const ledger = new Ledger({ store, timeout: 100, decisionTimeout: 100, issuer: undefined, clockTolerance: 5 })
      expect(await ledger.find(id)).toBeUndefined()
      expect(calls).toBe(0)
    },
  )

  test('a guard lives under a prefixed hash, with the issuer in it', async () => {
    const created: StoredRecord[] = []
    const { server } = over((memory) => ({ create: (record) => (created.push(record), memory.create(record)) }), { clients: [holder], grants: [ticket], issuer: 'https://one.example', clockTolerance: 7 }) // prettier-ignore
    await server.token({ grant_type: 'urn:example:ticket' }, basic(holder))
    expect(created[0]).toEqual({
      id: expect.stringMatching(/^guard:[A-Za-z0-9_-]{43}$/),
      version: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
      kind: 'guard',
      issuer: 'https://one.example',
      expiresAt: start + 67,
      format: 1,
      data: {},
    })
    expect(JSON.stringify(created[0])).not.toContain('T-1')
  })
})

describe('the null of SQL', () => {
  const nullable = (memory: Store): Partial<Store> => ({
    get: async (id) => {
      const record = await memory.get(id)
      const row = { issuer: null, subject: null, client_id: null, ...record }
      return (record === undefined ? null : row) as unknown as StoredRecord | undefined
    },
  })

  test('means absent: as an issuer, as a subject, and as a record', async () => {
    const { server } = over(nullable)
    const { json } = await server.token(machineForm, basic(machine))
    const asked = await server.introspect({ token: json.access_token ?? '' }, basic(machine))
    expect(asked.json).toMatchObject({ active: true, sub: 'machine' })
    const tokens = await server.tokens()
    expect(await server.refresh(tokens.refresh_token)).toMatchObject({ status: 200 })
    expect(await server.token(exchange(`${'a'.repeat(22)}.${'a'.repeat(43)}`), basic(web))).toMatchObject(invalidGrant)
  })
})

describe('a record that cannot be read', () => {
  const spoilers: [string, (record: StoredRecord) => StoredRecord][] = [
    ['of a newer format', (record) => ({ ...record, format: 2 })],
    ['of another kind', (record) => ({ ...record, kind: 'alias' })],
    ['without its access tokens', ({ data: { accessTokens: _accessTokens, ...data }, ...record }) => ({ ...record, data })],
    ['of another id', (record) => ({ ...record, id: 'z'.repeat(22) })],
    ['that is no object', () => 'record' as unknown as StoredRecord],
  ]
  test.each(spoilers)('R4 one %s is 503, and nothing is written over it', async (_what, spoil) => {
    let isSpoilt = false
    const { server, calls } = over((memory) => ({
      get: async (id) => {
        const record = await memory.get(id)
        return isSpoilt && record !== undefined ? spoil(record) : record
      },
    }))
    const code = await server.code()
    const tokens = await server.tokens()
    const { replace } = calls
    isSpoilt = true
    for (const response of [
      await server.token(exchange(code), basic(web)),
      await server.refresh(tokens.refresh_token),
      await server.introspect({ token: tokens.access_token }, basic(web)),
      await server.revoke({ token: tokens.refresh_token }, basic(web)),
    ]) {
      expect(response).toMatchObject(unavailable)
    }
    expect(calls.replace).toBe(replace)
    isSpoilt = false
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
  })
})

describe('a store that fails', () => {
  const failures: [string, () => Promise<never>][] = [
    ['rejects', () => Promise.reject(new Error('ECONNREFUSED postgres://admin:hunter2@db'))],
    ['throws at once', () => { throw new Error('ECONNREFUSED postgres://admin:hunter2@db') }], // prettier-ignore
    ['never answers', () => new Promise(() => {})],
  ]
  const verbs = ['get', 'create', 'replace'] as const

  test.each(failures.flatMap(([how, fail]) => verbs.map((verb) => [verb, how, fail] as const)))(
    'R4 where %s %s the answer is 503 with Retry-After, in time, and nothing is consumed',
    async (verb, _how, fail) => {
      let isFailing = false
      const { server, healthy } = over((memory) => ({
        get: (id) => (isFailing && verb === 'get' ? fail() : memory.get(id)),
        create: (record) => (isFailing && verb === 'create' ? fail() : memory.create(record)),
        replace: (record, version) => (isFailing && verb === 'replace' ? fail() : memory.replace(record, version)),
      }))
      const code = await server.code()
      const tokens = await server.tokens()
      isFailing = true
      const begun = performance.now()
      if (verb === 'create') {
        expect(await server.token(machineForm, basic(machine))).toMatchObject(unavailable)
      } else {
        expect(await server.token(exchange(code), basic(web))).toMatchObject(unavailable)
        expect(await server.refresh(tokens.refresh_token)).toMatchObject(unavailable)
        expect(await server.revoke({ token: tokens.refresh_token }, basic(web))).toMatchObject(unavailable)
      }
      expect(performance.now() - begun).toBeLessThan(1000)
      expect(JSON.stringify(server.events)).not.toContain('hunter2')
      isFailing = false
      expect(await healthy.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
      expect(await healthy.refresh(tokens.refresh_token)).toMatchObject({ status: 200 })
    },
  )

  test('R4 a store that hangs is given up after storeTimeout, not before', async () => {
    const { server } = over(() => ({ get: () => new Promise(() => {}) }), { storeTimeout: 200 })
    const code = await server.code()
    const begun = performance.now()
    expect(await server.token(exchange(code), basic(web))).toMatchObject(unavailable)
    const took = performance.now() - begun
    expect(took).toBeGreaterThan(190)
    expect(took).toBeLessThan(1000)
  })

  test('I4 a write whose outcome is unknown is not repeated: the code is spent, and its retry ends what nobody received', async () => {
    let isLost = true
    const { server, memory, calls } = over((store) => ({
      async replace(record, version) {
        const done = await store.replace(record, version)
        if (isLost) throw new Error('connection reset')
        return done
      },
    }))
    const code = await server.code()
    expect(await server.token(exchange(code), basic(web))).toMatchObject(unavailable)
    expect(calls.replace).toBe(1)
    isLost = false
    expect(await server.token(exchange(code), basic(web))).toMatchObject(invalidGrant)
    expect(await authorizationOf(memory, code)).toMatchObject({ revokedAt: start, accessTokens: [] })
  })

  test('I4 a refresh whose outcome is unknown gives the same successor to its retry', async () => {
    let isLost = false
    const { server, memory } = over((store) => ({
      async replace(record, version) {
        const done = await store.replace(record, version)
        if (isLost) throw new Error('connection reset')
        return done
      },
    }))
    const { refresh_token } = await server.tokens()
    isLost = true
    expect(await server.refresh(refresh_token)).toMatchObject(unavailable)
    isLost = false
    const { status, json } = await server.refresh(refresh_token)
    expect(status).toBe(200)
    expect((await authorizationOf(memory, refresh_token)).refreshToken?.generation).toBe(1)
    expect(await server.refresh(json.refresh_token ?? '')).toMatchObject({ status: 200 })
  })

  test('R4 a guard that could not be written lets nobody pass', async () => {
    const { server } = over((memory) => ({ create: (record) => (record.kind === 'guard' ? Promise.reject(new Error('no')) : memory.create(record)) }), { clients: [holder], grants: [ticket] }) // prettier-ignore
    expect(await server.token({ grant_type: 'urn:example:ticket' }, basic(holder))).toMatchObject(unavailable)
  })

  test('a new Authorization that meets another of its id gives out nothing', async () => {
    const { server, memory } = over((store) => ({ create: async (record) => (await store.create({ ...record, version: 'other' }), false) }))
    expect(await server.token(machineForm, basic(machine))).toMatchObject({ status: 500, json: { error: 'server_error' } })
    expect(memory.size).toBe(1)
  })
})

test('what it costs: a code exchange is one get and one replace, client credentials one create, a bearer check one get', async () => {
  const { server, calls } = over(() => ({}))
  const code = await server.code()
  expect(calls).toEqual({ get: 0, create: 1, replace: 0 })
  const { json } = await server.token(exchange(code), basic(web))
  expect(calls).toEqual({ get: 1, create: 1, replace: 1 })
  await server.token(machineForm, basic(machine))
  expect(calls).toEqual({ get: 1, create: 2, replace: 1 })
  await server.introspect({ token: json.access_token ?? '' }, basic(web))
  expect(calls).toEqual({ get: 2, create: 2, replace: 1 })
  await server.refresh(json.refresh_token ?? '')
  await server.refresh(json.refresh_token ?? '')
  expect(calls).toEqual({ get: 4, create: 2, replace: 2 })
})

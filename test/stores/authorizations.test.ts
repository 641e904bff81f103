/** Connected apps and "log out everywhere", over every store. */
import { describe, expect, test } from '@jest/globals'
import { listAuthorizations, memoryStore, revokeAuthorizations, type Store } from 'oauth2-token-handler'
import { basic, machine, start, testServer, web, type TestServer } from '../support/server.js'
import { describeWith, openPostgres, openRedis, openSqlite } from '../support/services.js'

const inMemory = () => Promise.resolve({ store: memoryStore(), close: () => Promise.resolve() })

const places = [
  ['memory', describe, inMemory],
  ['PostgreSQL', describeWith('PostgreSQL'), openPostgres],
  ['Redis', describeWith('Redis'), openRedis],
  ['SQLite', describe, openSqlite],
] as const

async function listed(server: TestServer, filter: Parameters<typeof listAuthorizations>[1]) {
  const found: string[] = []
  for await (const { client_id, subject = 'nobody' } of listAuthorizations(server.options, filter)) found.push(`${client_id} ${subject}`)
  return found.sort()
}

const activeOf = async (server: TestServer, token: string) => (await server.introspect({ token }, basic(web))).json.active

for (const [name, declare, open] of places) {
  declare(`N6 over ${name}`, () => {
    test('lists and ends what a subject, a client, or both have', async () => {
      const { store, close } = await open()
      try {
        const server = testServer({ store })
        const alice = await server.tokens()
        const second = await server.tokens()
        await server.tokens({ client_id: 'native' })
        const bob = await server.tokens({ subject: 'bob' })
        await server.token({ grant_type: 'client_credentials' }, basic(machine))
        expect(await listed(server, { subject: 'alice' })).toEqual(['native alice', 'web alice', 'web alice'])
        expect(await listed(server, { client_id: 'web' })).toEqual(['web alice', 'web alice', 'web bob'])
        expect(await listed(server, { subject: 'bob', client_id: 'web' })).toEqual(['web bob'])
        expect(await listed(server, { client_id: 'machine' })).toEqual(['machine nobody'])

        const id = alice.access_token.slice(0, 22)
        expect(await revokeAuthorizations(server.options, { subject: 'bob', id })).toBe(0)
        expect(await activeOf(server, alice.access_token)).toBe(true)
        expect(await revokeAuthorizations(server.options, { subject: 'alice', id })).toBe(1)
        expect(await revokeAuthorizations(server.options, { subject: 'alice', id })).toBe(0)
        expect([await activeOf(server, alice.access_token), await activeOf(server, second.access_token)]).toEqual([false, true])

        expect(await revokeAuthorizations(server.options, { subject: 'alice', client_id: 'web' })).toBe(1)
        expect(await listed(server, { subject: 'alice' })).toEqual(['native alice'])
        expect((await server.refresh(second.refresh_token)).json).toMatchObject({ error: 'invalid_grant' })
        expect(await activeOf(server, bob.access_token)).toBe(true)
        expect(await revokeAuthorizations(server.options, { subject: 'nobody' })).toBe(0)
      } finally {
        await close()
      }
    })

    test('ends many, and what cannot be read is told, and never taken for ended', async () => {
      const { store, close } = await open()
      try {
        const server = testServer({ store })
        const codes = await Promise.all(Array.from({ length: 30 }, () => server.code()))
        const record = await store.get((codes[7] ?? '').slice(0, 22))
        if (record === undefined) throw new Error('the code is not stored')
        await store.replace({ ...record, version: 'newer', format: 2 }, record.version)

        expect(await listed(server, { subject: 'alice' })).toHaveLength(29)
        expect(server.events.filter(({ type }) => type === 'record.unreadable')).toHaveLength(1)
        await expect(revokeAuthorizations(server.options, { subject: 'alice' })).rejects.toMatchObject({ error: 'temporarily_unavailable' })
        expect(await listed(server, { subject: 'alice' })).toEqual([])
        expect(await store.get(record.id)).toMatchObject({ version: 'newer', format: 2 })
      } finally {
        await close()
      }
    })
  })
}

describe('N6 what is asked for', () => {
  const filters: unknown[] = [
    undefined,
    null,
    'alice',
    {},
    { subject: undefined },
    { subject: '' },
    { subject: 7 },
    { subject: null, client_id: 'web' },
    { subject: 'alice', client_id: undefined },
    { subject: 'alice', client_id: '' },
    { id: 'x' },
    { subject: 'alice', id: undefined },
    { subject: 'alice', user: 'alice' },
  ]

  test.each(filters)('%j is a TypeError, and the store is not asked', async (filter) => {
    const touched = () => {
      throw new Error('the store was asked')
    }
    const { options } = testServer({ store: { get: touched, create: touched, replace: touched, list: touched } })
    await expect(revokeAuthorizations(options, filter as never)).rejects.toThrow(TypeError)
    expect(() => listAuthorizations(options, filter as never)).toThrow(TypeError)
  })

  test('one authorization cannot be listed by its id', () => {
    expect(() => listAuthorizations(testServer().options, { subject: 'alice', id: 'x' } as never)).toThrow('there is no member "id"')
  })

  test('a store that fails is not taken for an empty one', async () => {
    const records = memoryStore()
    const failing: Store = {
      ...records,
      async *list(filter) {
        yield* records.list(filter)
        throw new Error('connection lost')
      },
    }
    const server = testServer({ store: failing })
    await server.code()
    await expect(listed(server, { subject: 'alice' })).rejects.toMatchObject({ error: 'temporarily_unavailable' })
    await expect(revokeAuthorizations(server.options, { subject: 'alice' })).rejects.toMatchObject({ error: 'temporarily_unavailable' })
  })

  test('a store that hangs is given up', async () => {
    const hanging: Store = {
      ...memoryStore(),
      // eslint-disable-next-line require-yield
      async *list() {
        await new Promise(() => {})
      },
    }
    const { options } = testServer({ store: hanging, storeTimeout: 20 })
    await expect(revokeAuthorizations(options, { subject: 'alice' })).rejects.toMatchObject({ error: 'temporarily_unavailable' })
  })
})

describe('N6 notBefore', () => {
  test('ends everything older, whatever the store says, and nothing younger', async () => {
    const store = memoryStore()
    const before = testServer({ store })
    const old = await before.tokens()
    before.now = start + 10
    const young = await before.tokens()
    const after = testServer({ store, notBefore: start + 10 })
    after.now = start + 20
    expect([await activeOf(after, old.access_token), await activeOf(after, young.access_token)]).toEqual([false, true])
    expect((await after.refresh(old.refresh_token)).json).toMatchObject({ error: 'invalid_grant' })
    expect((await after.refresh(young.refresh_token)).status).toBe(200)
    expect(await listed(after, { subject: 'alice' })).toEqual(['web alice'])
  })
})

describe('I8 log out everywhere, while everywhere is busy', () => {
  test('gets through refreshes without rotation', async () => {
    const server = testServer({ rotateRefreshTokens: false })
    const { refresh_token } = await server.tokens()
    let isOver = false
    const loops = Array.from({ length: 15 }, async () => {
      while (!isOver) isOver = (await server.refresh(refresh_token)).status === 400
    })
    expect(await revokeAuthorizations(server.options, { subject: 'alice' })).toBe(1)
    await Promise.all(loops)
    expect((await server.refresh(refresh_token)).json).toMatchObject({ error: 'invalid_grant' })
  })
})

/** Clients that are kept in the store: saved, found by the endpoints, registered, changed and deleted, over the memory store and PostgreSQL. */
import { describe, expect, test } from '@jest/globals'
import { createHash } from 'node:crypto'
import {
  deleteClient,
  findClient,
  hashClientSecret,
  listAuthorizations,
  memoryStore,
  registerClient,
  saveClient,
  type ServerOptions,
  type Store,
} from 'oauth2-token-handler'
import { basic, machine, redirect_uri, start, web, type TestServer } from '../support/server.js'
import { describeWith, openPostgres, openRedis, openSqlite } from '../support/services.js'
import { serverOfStoredClients } from '../support/stored.js'

const storedMachine = { ...machine, scope: 'read write', extra: { team: 'reports' } }

const inMemory = () => Promise.resolve({ store: memoryStore(), close: () => Promise.resolve() })

const places = [
  ['memory', describe, inMemory],
  ['PostgreSQL', describeWith('PostgreSQL'), openPostgres],
  ['Redis', describeWith('Redis'), openRedis],
  ['SQLite', describe, openSqlite],
] as const

for (const [name, declare, open] of places) {
  declare(`C10 clients in ${name}`, () => {
    async function within(work: (server: TestServer, store: Store) => Promise<void>, options: ServerOptions = {}): Promise<void> {
      const { store, close } = await open()
      try {
        await work(serverOfStoredClients({ store, ...options }), store)
      } finally {
        await close()
      }
    }

    const statusOf = async (server: TestServer, client = machine as { client_id: string; client_secret: string }) =>
      (await server.token({ grant_type: 'client_credentials' }, basic(client))).status

    test('C8 saved, found without its secret, accepted, changed, and gone when deleted', () =>
      within(async (server) => {
        expect(await statusOf(server)).toBe(401)
        await saveClient(server.options, storedMachine)
        const found = await findClient(server.options, 'machine')
        expect(found).toMatchObject({ client_id: 'machine', scope: 'read write', extra: { team: 'reports' } })
        expect(found?.secrets).toEqual([{ hash: expect.stringMatching(/^scrypt:/) }])
        expect(JSON.stringify(found)).not.toContain(machine.client_secret)
        expect(await statusOf(server)).toBe(200)
        await saveClient(server.options, { ...storedMachine, disabled: true })
        expect(await statusOf(server)).toBe(401)
        await saveClient(server.options, storedMachine)
        await deleteClient(server.options, 'machine')
        expect(await findClient(server.options, 'machine')).toBeUndefined()
        expect(await statusOf(server)).toBe(401)
        await saveClient(server.options, storedMachine)
        expect(await statusOf(server)).toBe(200)
      }))

    test('C7 several live secrets: an old one until it expires, a new one beside it', () =>
      within(async (server) => {
        const [older, newer] = ['older-secret-0123456789abcdef', 'newer-secret-0123456789abcdef']
        const hash = (secret: string) => hashClientSecret(secret, { generated: true })
        const secrets = [{ hash: await hash(older), expiresAt: start + 60 }, { hash: await hash(newer) }]
        await saveClient(server.options, { client_id: 'machine', grant_types: ['client_credentials'], secrets })
        const accepted = () => Promise.all([older, newer].map((client_secret) => statusOf(server, { client_id: 'machine', client_secret })))
        expect(await accepted()).toEqual([200, 200])
        server.now += 60
        expect(await accepted()).toEqual([401, 200])
      }))

    test('N6 deleting a client ends its authorizations, and nobody else’s', () =>
      within(async (server) => {
        await saveClient(server.options, web)
        await saveClient(server.options, { ...web, client_id: 'other' })
        const code = { client_id: 'other', redirect_uri, subject: 'alice' }
        const { access_token } = await server.tokens()
        await server.code(code)
        await deleteClient(server.options, 'web')
        expect(await liveIds(server, { subject: 'alice' })).toEqual(['other'])
        await saveClient(server.options, web)
        expect((await server.introspect({ token: access_token }, basic(web))).json).toEqual({ active: false })
      }))
  })
}

async function liveIds(server: TestServer, filter: { subject: string }): Promise<string[]> {
  const found: string[] = []
  for await (const { client_id } of listAuthorizations(server.options, filter)) found.push(client_id)
  return found
}

describe('registering', () => {
  test('C8 registerClient makes an id and a secret, shows the secret once, and stores its hash', async () => {
    const server = serverOfStoredClients({ store: memoryStore() })
    const { client_id, client_secret = '', ...rest } = await registerClient(server.options, { grant_types: ['client_credentials'] })
    expect([client_id.length, client_secret.length, rest]).toEqual([
      22,
      43,
      { grant_types: ['client_credentials'], client_id_issued_at: start },
    ])
    expect((await server.token({ grant_type: 'client_credentials' }, basic({ client_id, client_secret }))).status).toBe(200)
    const stored = await findClient(server.options, client_id)
    expect(stored?.secrets).toEqual([{ hash: expect.stringMatching(/^sha256:/) }])
    expect(JSON.stringify(stored)).not.toContain(client_secret)
  })

  test('C5 registerClient gives a public client no secret', async () => {
    const server = serverOfStoredClients({ store: memoryStore() })
    const client = await registerClient(server.options, { token_endpoint_auth_method: 'none', redirect_uris: [redirect_uri] })
    expect(client).not.toHaveProperty('client_secret')
    expect(await findClient(server.options, client.client_id)).toMatchObject({ token_endpoint_auth_method: 'none', secrets: [] })
  })

  test('C5 a client that contradicts itself, or does not fit the server, is not stored', async () => {
    const store = memoryStore()
    const server = serverOfStoredClients({ store })
    await expect(saveClient(server.options, { client_id: 'x', grant_types: ['client_credentials'] })).rejects.toThrow('has no secret')
    await expect(saveClient(server.options, { ...machine, scope: 'unheard' })).rejects.toThrow('scope "unheard" is not among')
    await expect(registerClient(server.options, { redirect_uris: ['http://client.example/'] })).rejects.toThrow('redirect_uris')
    expect(store.size).toBe(0)
  })
})

describe('the cache in front', () => {
  test('C10 clientCacheLifetime: one look-up while it lasts, and staleness in other processes only', async () => {
    let lookUps = 0
    const records = memoryStore()
    const store: Store = {
      ...records,
      get(id) {
        if (id.startsWith('client:')) lookUps++
        return records.get(id)
      },
    }
    const [here, there] = [
      serverOfStoredClients({ store, clientCacheLifetime: 60 }),
      serverOfStoredClients({ store, clientCacheLifetime: 60 }),
    ]
    const status = async (server: TestServer) => (await server.token({ grant_type: 'client_credentials' }, basic(machine))).status
    const { client_secret: _secret, ...rest } = machine
    await saveClient(here.options, { ...rest, secrets: [{ hash: await hashClientSecret(machine.client_secret, { generated: true }) }] })
    lookUps = 0
    expect([await status(here), await status(here), await status(there)]).toEqual([200, 200, 200])
    expect(lookUps).toBe(2)
    await deleteClient(here.options, 'machine')
    expect([await status(here), await status(there)]).toEqual([401, 200])
  })

  test('C10 without it a change holds at once, everywhere', async () => {
    const store = memoryStore()
    const [here, there] = [serverOfStoredClients({ store }), serverOfStoredClients({ store })]
    await saveClient(here.options, machine)
    expect((await there.token({ grant_type: 'client_credentials' }, basic(machine))).status).toBe(200)
    await deleteClient(here.options, 'machine')
    expect((await there.token({ grant_type: 'client_credentials' }, basic(machine))).status).toBe(401)
  })
})

describe('what cannot be read', () => {
  test('R4 a client of a newer format: 503, and nothing is written over it', async () => {
    const store = memoryStore()
    const server = serverOfStoredClients({ store })
    await saveClient(server.options, machine)
    const id = `client:${createHash('sha256').update('[null,"machine"]').digest('base64url')}`
    const record = await store.get(id)
    if (record === undefined) throw new Error('the client is not stored')
    await store.replace({ ...record, version: 'newer', format: 2 }, record.version)
    expect((await server.token({ grant_type: 'client_credentials' }, basic(machine))).status).toBe(503)
    await expect(saveClient(server.options, machine)).rejects.toMatchObject({ error: 'temporarily_unavailable' })
    expect(await store.get(id)).toMatchObject({ version: 'newer', format: 2 })
  })

  test('C10 a name that is no client_id is a TypeError', async () => {
    const server = serverOfStoredClients({ store: memoryStore() })
    for (const name of ['', 'é', 'x'.repeat(256), undefined as never]) {
      await expect(findClient(server.options, name)).rejects.toThrow(TypeError)
      await expect(deleteClient(server.options, name)).rejects.toThrow(TypeError)
    }
  })
})

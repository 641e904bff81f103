/** All clients of the store, page by page, and changes of a client that lose nothing: rows OP14, in each store. */
import { describe, expect, jest, test } from '@jest/globals'
import {
  ClientConflict,
  ConfigurationError,
  deleteClient,
  findClient,
  InvalidRequest,
  listClients,
  memoryStore,
  registerClient,
  rotateClientSecret,
  saveClient,
  type ListedClient,
  type ServerOptions,
  type Store,
  type StoredRecord,
} from 'oauth2-token-handler'
import { redisStore } from 'oauth2-token-handler/stores/redis'
import { readCheckWriteStore } from '../support/broken-stores.js'
import { basic, machine, redirect_uri, start, type TestServer } from '../support/server.js'
import { describeWith, openPostgres, openRedis, openSqlite } from '../support/services.js'
import { serverOfStoredClients } from '../support/stored.js'

jest.setTimeout(60_000)

const inMemory = () => Promise.resolve({ store: memoryStore(), close: () => Promise.resolve() })

const places = [
  ['memory', describe, inMemory],
  ['PostgreSQL', describeWith('PostgreSQL'), openPostgres],
  ['Redis', describeWith('Redis'), openRedis],
  ['SQLite', describe, openSqlite],
] as const

async function listed(options: ServerOptions, list = {}): Promise<ListedClient[]> {
  const found: ListedClient[] = []
  for await (const client of listClients(options, list)) found.push(client)
  return found
}

const idsOf = (clients: readonly ListedClient[]) => clients.map(({ client }) => client.client_id).sort()
const machineOf = (client_id: string) => ({ client_id, secrets: [], token_endpoint_auth_method: 'none', redirect_uris: [redirect_uri] })

for (const [name, declare, open] of places) {
  declare(`OP14 clients in ${name}`, () => {
    async function within(work: (server: TestServer, store: Store) => Promise<void>, options: ServerOptions = {}): Promise<void> {
      const { store, close } = await open()
      try {
        await work(serverOfStoredClients({ store, ...options }), store)
      } finally {
        await close()
      }
    }

    const statusOf = async ({ token }: TestServer, client_secret: string) =>
      (await token({ grant_type: 'client_credentials' }, basic({ client_id: 'machine', client_secret }))).status

    test('OP14 every client is listed once, whatever the pages are, without what was deleted and what is of another server', () =>
      within(async ({ options }, store) => {
        const ids = Array.from({ length: 23 }, (_, i) => `client-${i}`)
        for (const id of [...ids, 'gone']) await saveClient(options, machineOf(id))
        await deleteClient(options, 'gone')
        const registered = await registerClient(options, { redirect_uris: [redirect_uri] })
        await saveClient(serverOfStoredClients({ store, issuer: 'https://other.example' }).options, machineOf('foreign'))
        const all = await listed(options)
        expect(idsOf(all)).toEqual([...ids, registered.client_id].sort())
        expect(all.map(({ source }) => source)).toEqual(all.map(() => 'application'))
        const paged: ListedClient[] = []
        for (;;) {
          const page = await listed(options, { after: paged.at(-1)?.cursor, limit: 5 })
          if (page.length === 0) break
          expect(page.length).toBeLessThanOrEqual(5)
          paged.push(...page)
        }
        expect(paged).toEqual(all)
        expect(JSON.stringify(all)).not.toContain(registered.client_secret)
        const { client } = all.find((one) => one.client.client_id === 'client-3') ?? fail()
        expect(client.version).toBe((await findClient(options, 'client-3'))?.version)
        expect(JSON.stringify(client)).not.toContain(client.version)
      }))

    test('OP14 a version that was changed or deleted since is not saved over; without a version the last one wins, as before', () =>
      within(async ({ options }) => {
        await saveClient(options, machineOf('client'))
        const found = (await findClient(options, 'client')) ?? fail()
        await saveClient(options, { ...found, disabled: true }, { version: found.version })
        await expect(saveClient(options, { ...found, client_name: 'Lost' }, { version: found.version })).rejects.toThrow(ClientConflict)
        expect(await findClient(options, 'client')).toMatchObject({ disabled: true })
        expect(await findClient(options, 'client')).not.toHaveProperty('client_name')
        await saveClient(options, { ...found, client_name: 'Last' })
        expect(await findClient(options, 'client')).toMatchObject({ client_name: 'Last' })
        const again = (await findClient(options, 'client')) ?? fail()
        await deleteClient(options, 'client')
        await expect(saveClient(options, again, { version: again.version })).rejects.toThrow('changed or deleted since it was read')
        expect(await findClient(options, 'client')).toBeUndefined()
      }))

    test('OP14 a new secret works at once, the old one as long as it was kept, and one that ends sooner ends then', () =>
      within(async (server) => {
        await saveClient(server.options, { ...machine, client_secret: 'first-secret' })
        const { client_secret, oldSecretsExpireAt } = await rotateClientSecret(server.options, 'machine', { keepOldFor: 60 })
        expect(oldSecretsExpireAt).toBe(start + 60)
        expect(client_secret).toMatch(/^[A-Za-z0-9_-]{43}$/)
        expect(await Promise.all(['first-secret', client_secret].map((secret) => statusOf(server, secret)))).toEqual([200, 200])
        const second = await rotateClientSecret(server.options, 'machine', { keepOldFor: 600 })
        server.now += 60
        expect([await statusOf(server, 'first-secret'), await statusOf(server, client_secret)]).toEqual([401, 200])
        const third = await rotateClientSecret(server.options, 'machine', { keepOldFor: 0 })
        const old = ['first-secret', client_secret, second.client_secret]
        expect(await Promise.all([...old, third.client_secret].map((secret) => statusOf(server, secret)))).toEqual([401, 401, 401, 200])
        expect((await findClient(server.options, 'machine'))?.secrets).toHaveLength(1)
      }))

    test('OP14 of a rotation and a disabling at once, and of twenty rotations, nothing is lost', () =>
      within(async ({ options }) => {
        await saveClient(options, { ...machine, client_secret: 'first-secret' })
        const found = (await findClient(options, 'machine')) ?? fail()
        const rotations = Array.from({ length: 20 }, () => rotateClientSecret(options, 'machine', { keepOldFor: 600 }))
        const disabling = async (): Promise<void> => {
          const { version, ...client } = (await findClient(options, 'machine')) ?? fail()
          await saveClient(options, { ...client, disabled: true }, { version }).catch(disabling)
        }
        await Promise.all([...rotations, disabling()])
        const after = (await findClient(options, 'machine')) ?? fail()
        expect(after.disabled).toBe(true)
        expect(after.secrets).toHaveLength(21)
        expect(after.version).not.toBe(found.version)
      }))
  })
}

function fail(): never {
  throw new Error('there is no such client')
}

describe('OP14 beside the stores', () => {
  test('OP14 a store of your own without scan is told by the name of the verb, at once', () => {
    const { scan: _scan, ...store } = memoryStore()
    expect(() => listClients({ store })).toThrow(ConfigurationError)
    expect(() => listClients({ store })).toThrow('the option store has no verb scan()')
  })

  test.each([
    [{ after: 'client' }, 'after must be the cursor'],
    [{ limit: 0 }, 'limit must be a whole number'],
    [{ first: 1 }, 'has no member'],
  ])('OP14 listClients(options, %j) throws at once', (list, message) => {
    expect(() => listClients({ store: memoryStore() }, list as never)).toThrow(new RegExp(message, 'i'))
  })

  test.each([undefined, {}, { keepOldFor: -1 }, { keepOldFor: 1.5 }])(
    'OP14 rotateClientSecret with %j throws a TypeError',
    async (rotation) => {
      await expect(rotateClientSecret({ store: memoryStore() }, 'machine', rotation as never)).rejects.toThrow(
        /keepOldFor must be whole seconds/,
      )
    },
  )

  test('OP14 rotateClientSecret refuses a client that is unknown, one that has no secret, and one of the list', async () => {
    const options = { store: memoryStore() }
    await expect(rotateClientSecret(options, 'machine', { keepOldFor: 0 })).rejects.toThrow(InvalidRequest)
    await saveClient(options, machineOf('public'))
    await expect(rotateClientSecret(options, 'public', { keepOldFor: 0 })).rejects.toThrow(ConfigurationError)
    await expect(rotateClientSecret({ clients: [machine] }, 'machine', { keepOldFor: 0 })).rejects.toThrow(ConfigurationError)
  })

  test('OP14 a client that registered itself keeps its source and its end when its secret is exchanged', async () => {
    const store = memoryStore()
    const { options } = serverOfStoredClients({ store })
    await saveClient(options, { ...machine, client_secret: 'first-secret' })
    const [record] = store.scan('client', { limit: 1 })
    if (record === undefined) throw fail()
    const registered = { ...record, version: 'registered', expiresAt: start + 600, data: { ...record.data, source: 'registration' } }
    await store.replace(registered, record.version)
    await rotateClientSecret(options, 'machine', { keepOldFor: 0 })
    const [after] = store.scan('client', { limit: 1 })
    expect(after).toMatchObject({ expiresAt: start + 600, data: { source: 'registration' } })
  })

  test('OP14 the race is there: over a store that reads, checks and then writes, a version is saved over twice', async () => {
    const options = { store: readCheckWriteStore() }
    await saveClient(options, machineOf('client'))
    const found = (await findClient(options, 'client')) ?? fail()
    const outcomes = await Promise.allSettled([1, 2].map((i) => saveClient(options, { ...found, client_name: `${i}` }, { version: found.version }))) // prettier-ignore
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
  })

  test('OP14 one client that cannot be read is told as an event, and the list goes on', async () => {
    const store = memoryStore()
    const server = serverOfStoredClients({ store })
    for (const id of ['a', 'b', 'c']) await saveClient(server.options, machineOf(id))
    const [record] = store.scan('client', { limit: 1 })
    if (record === undefined) throw fail()
    await store.replace({ ...record, version: 'newer', format: 2 }, record.version)
    expect(await listed(server.options)).toHaveLength(2)
    expect(server.events).toContainEqual(expect.objectContaining({ type: 'record.unreadable', reason: 'a client in the store cannot be read' })) // prettier-ignore
  })

  test('OP14 the first page may take longer than storeTimeout, a later one may not', async () => {
    const record: StoredRecord = { id: 'client:a', version: 'v', kind: 'client', expiresAt: 253_402_214_400, format: 1, data: { client: machineOf('x') } } // prettier-ignore
    const late = (records: readonly StoredRecord[]) =>
      new Promise<readonly StoredRecord[]>((resolve) => setTimeout(() => resolve(records), 200))
    let id = 'client:a'
    const store: Store = { ...memoryStore(), scan: () => late([{ ...record, id }]) }
    const pages = listClients({ store, storeTimeout: 100 })[Symbol.asyncIterator]()
    expect((await pages.next()).value).toMatchObject({ client: { client_id: 'x' } })
    id = 'client:b'
    await expect(pages.next()).rejects.toMatchObject({ error: 'temporarily_unavailable' })
  })

  test('OP14 100,000 clients are listed in flat memory, and no page reads more than 200', async () => {
    const record: StoredRecord = { id: '', version: 'v', kind: 'client', expiresAt: 253_402_214_400, format: 1, data: { client: machineOf('x') } } // prettier-ignore
    let longest = 0
    const store: Store = {
      ...memoryStore(),
      scan(_kind, { after = 'client:00000000', limit }) {
        longest = Math.max(longest, limit)
        const next = Number(after.slice('client:'.length)) + 1
        const ids = Array.from({ length: Math.min(limit, 100_000 - next) }, (_, i) => `client:${String(next + i).padStart(8, '0')}`)
        return ids.map((id) => ({ ...record, id }))
      },
    }
    let count = 0
    let grown = 0
    const before = process.memoryUsage().heapUsed
    for await (const { client } of listClients({ store })) {
      if (client.client_id === 'x') count++
      if (count % 10_000 === 0) grown = Math.max(grown, process.memoryUsage().heapUsed - before)
    }
    expect([count, longest]).toEqual([99_999, 200])
    expect(grown).toBeLessThan(100_000_000)
  })
})

describeWith('Redis')('OP14 Redis', () => {
  test('OP14 clients that earlier releases wrote are listed, though they stand in no list', async () => {
    const place = await openRedis()
    try {
      const { options } = serverOfStoredClients({ store: place.store })
      for (const id of ['old-1', 'old-2']) await saveClient(options, machineOf(id))
      await place.sendCommand(['DEL', `${place.prefix}{clients}:ids`, `${place.prefix}{clients}:ends`], place.prefix)
      await saveClient(options, machineOf('new'))
      expect(idsOf(await listed(options))).toEqual(['new', 'old-1', 'old-2'])
      const { sendCommand, prefix } = place
      let scans = 0
      const counting = redisStore({ prefix, sendCommand: (args, key) => (scans += Number(args.includes('MATCH') || args.join().includes(`${prefix}record:client:*`)), sendCommand(args, key)) }) // prettier-ignore
      expect(idsOf(await listed(serverOfStoredClients({ store: counting }).options))).toEqual(['new', 'old-1', 'old-2'])
      expect(scans).toBe(0)
    } finally {
      await place.close()
    }
  })

  test('OP14 a list of 30,000 is told whole and each once, though the scan repeats what it told just before', async () => {
    const pages = Array.from({ length: 300 }, (_, page) => Array.from({ length: 110 }, (_, i) => `${page * 100 + i}`.padStart(22, 'x')))
    const value = JSON.stringify([
      'v',
      { kind: 'authorization', client_id: 'big', expires_at: 4_102_444_800, document: '{"format":1,"data":{}}' },
    ])
    const answers: Record<string, (args: readonly string[]) => unknown> = {
      INFO: () => 'maxmemory_policy:noeviction\r\naof_enabled:1',
      TIME: () => [`${Math.floor(Date.now() / 1000)}`, '0'],
      GET: () => value,
      ZSCAN: ([, cursor = '0']) => [`${(Number(cursor) + 1) % pages.length}`, (pages[Number(cursor)] ?? []).flatMap((id) => [id, '1'])],
    }
    const store = redisStore({ sendCommand: ([command, ...args]) => Promise.resolve(answers[command]?.(args)) })
    const found: string[] = []
    for await (const { id } of store.list({ client_id: 'big' })) found.push(id)
    expect(found).toEqual([...new Set(pages.flat())])
  })
})

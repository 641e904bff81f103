/**
 * What takes a place for a stranger gives it back, is charged once, and is never taken for another's: the rooms, the line of slow hashes, the fetches of
 * documents, and the answer that a client is there and cannot be used. Rows X2, X6, X8, X9, X10.
 */
import { scryptSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { configure } from '../../src/configuration/configure.js'
import { createTokenResponse, memoryStore, type ClientMetadata, type ServerOptions, type Store } from '../../src/index.js'
import { openPushedRequest } from '../../src/endpoints/authorization/pushed.js'
import { createPushedAuthorizationResponse } from '../../src/endpoints/authorization/pushed.js'
import { siteOf } from '../../src/http/network-address.js'
import { NamedRoom, SharedRoom } from '../../src/limits/shared-room.js'
import { TriesInWork } from '../../src/limits/tries-in-work.js'
import { formRequest, native, parsed, redirect_uri, start, testServer } from '../support/server.js'
import { serverOfStoredClients } from '../support/stored.js'
import { Resources } from '../support/wire.js'
import { asked, authorizePath, startSite } from './site.js'

beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterAll(() => {
  jest.restoreAllMocks()
})

const id = 'https://client.example/app.json'
const document = { client_id: id, redirect_uris: [redirect_uri] }
const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

describe('X8 a client that is there and cannot be used', () => {
  const rows: [string, object][] = [
    ['disabled as a number', { disabled: 1 }],
    ['disabled as a text', { disabled: 'yes' }],
    ['disabled, with another fault', { disabled: true, redirect_uris: '["https://client.example/callback"]' }],
    ['of another name', { client_id: 'another' }],
  ]
  test.each(rows)('X8 %s: nobody else is asked who it is', async (_what, fault) => {
    const fetched: string[] = []
    const row = { client_id: id, token_endpoint_auth_method: 'none', redirect_uris: [redirect_uri], ...fault } as unknown as ClientMetadata
    const options: ServerOptions = {
      clients: (client_id) => (client_id === id ? row : undefined),
      store: memoryStore(),
      clientIdMetadataDocuments: { fetch: (url) => (fetched.push(url), Promise.resolve({ document, headers: {} })) },
    }
    const configuration = configure(options)
    expect(await configuration.findClientToAuthorize(id)).toMatchObject({ disabled: true })
    expect(await configuration.findClient(id)).toMatchObject({ disabled: true })
    expect(fetched).toEqual([])
    const request = formRequest({ grant_type: 'authorization_code', client_id: id, code: 'x' })
    expect(parsed(await createTokenResponse(options, request))).toMatchObject({ status: 401, json: { error: 'invalid_client' } })
  })
})

describe('X10 the line of slow hashes', () => {
  test('X10 four addresses that use up the share of a client do not keep a fifth one out', async () => {
    const salt = 'c2FsdHNhbHRzYWx0c2FsdA'
    const hash = `scrypt:1024:8:1:${salt}:${scryptSync('right', salt, 32, { N: 1024, r: 8, p: 1 }).toString('base64url')}`
    const options: ServerOptions = { clients: [{ client_id: 'x', secrets: [{ hash }], grant_types: ['client_credentials'] }] }
    const ask = async (client_secret: string, address: string) =>
      (await createTokenResponse(options, { ...formRequest({ grant_type: 'client_credentials', client_id: 'x', client_secret }), address }))
        .status
    const flood = Array.from({ length: 80 }, (_, n) => ask('wrong', `203.0.113.${n % 4}`))
    expect(await ask('right', '198.51.100.7')).toBe(200)
    expect(new Set(await Promise.all(flood))).toEqual(new Set([401, 503]))
  })

  test('X10 after a success as many go on as may be in work', async () => {
    const tries = new TriesInWork()
    let left = 1
    let inWork = 0
    let most = 0
    const work = async () => {
      most = Math.max(most, ++inWork)
      await wait(5)
      inWork--
      left = 20
    }
    await Promise.all(Array.from({ length: 60 }, async () => tries.take('key', () => left, work)))
    expect(most).toBe(20)
  })
})

describe('X6 fetches of documents', () => {
  test('X6 one IPv6 site does not take them all', async () => {
    const options: ServerOptions = {
      store: memoryStore(),
      clientIdMetadataDocuments: { fetch: async (url) => (await wait(50), { document: { ...document, client_id: url }, headers: {} }) },
    }
    const { findClientToAuthorize } = configure(options)
    const flood = Array.from({ length: 20 }, async (_, n) =>
      findClientToAuthorize(`https://h${n}.example/c`, { address: `2001:db8:0:${n.toString(16)}::1` }),
    )
    const settled = Promise.allSettled(flood)
    expect(await findClientToAuthorize('https://other.example/c', { address: '198.51.100.9' })).toMatchObject({ source: 'document' })
    expect((await settled).filter(({ status }) => status === 'fulfilled')).toHaveLength(8)
  })

  test('X6 X3 sixty who wait for one document are charged for one', async () => {
    let fetches = 0
    const options: ServerOptions = {
      store: memoryStore(),
      clientIdMetadataDocuments: {
        fetch: async () => (fetches++, await wait(20), { document: { ...document, client_name: 'n'.repeat(150) }, headers: {} }),
      },
    }
    const { findClientToAuthorize, rooms } = configure(options)
    await Promise.all(Array.from({ length: 60 }, async () => findClientToAuthorize(id)))
    expect([fetches, rooms.documents.size]).toEqual([1, 1])
    expect(rooms.documents.used).toBeLessThan(2_000)
  })
})

describe('X12 X6 X2 a page of another site', () => {
  const resources = new Resources()
  afterAll(() => resources.close())

  test('X12 an image of it asks for nothing: no document is fetched, no pushed request opened; a visit from it does', async () => {
    let fetches = 0
    const clientIdMetadataDocuments = { fetch: () => (fetches++, Promise.resolve({ document, headers: {} })) }
    const site = await startSite(resources, { store: memoryStore({ clock: () => start }), clientIdMetadataDocuments })
    const path = authorizePath({ client_id: id, redirect_uri })
    const foreign = { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' }
    for (const mode of ['no-cors', 'cors', 'websocket']) {
      const page = await site.browser().go(path, { headers: { ...foreign, 'sec-fetch-mode': mode } })
      expect([page.status, page.headers['set-cookie']]).toEqual([400, undefined])
    }
    expect(fetches).toBe(0)
    const visit = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
    expect((await site.browser().go(path, { headers: visit })).status).toBe(200)
    expect(fetches).toBe(1)
  })
})

describe('X2 rooms', () => {
  test('X2 a /48 holds eight shares, and its networks no more each', () => {
    const room = new SharedRoom({ clock: () => start, of: 'things', share: 10_000, size: 10_000_000 })
    let inside = 0
    for (let n = 0; n < 256; n++) {
      for (let more = true; more;) {
        try {
          room.enter({ address: `2001:db8:7:${n.toString(16)}::1`, bytes: 488, until: start + 60 })
          inside++
        } catch {
          more = false
        }
      }
    }
    expect(inside).toBe(80)
    expect(() => room.enter({ address: '2001:db8:8::1', bytes: 488, until: start + 60 })).not.toThrow()
    expect([siteOf('2001:db8:7:1::1'), siteOf('203.0.113.1'), siteOf('::ffff:203.0.113.1'), siteOf('unknown')]).toEqual(['2001:db8:7::/48', undefined, undefined, undefined]) // prettier-ignore
  })

  test('X2 a name that comes again stays once, and is forgotten when it ends, whatever came before it', () => {
    const clock = { now: start }
    const room = new NamedRoom(new SharedRoom({ clock: () => clock.now, of: 'things' }))
    room.enter('long', { address: '203.0.113.1', bytes: 488, until: start + 1_000_000 })
    for (let n = 0; n < 10; n++) room.enter('again', { address: '203.0.113.1', bytes: 488, until: start + 60 })
    expect([room.used, room.size]).toEqual([2_000, 2])
    clock.now += 100
    expect([room.used, room.size]).toEqual([1_000, 1])
  })

  test('X2 a pushed request that cannot be written as open gives the longer place back', async () => {
    const inner = memoryStore({ clock: () => start })
    let fails = false
    const store: Store = {
      get: (record) => inner.get(record),
      create: (record) => inner.create(record),
      replace: (record, version) => (fails ? Promise.reject(new Error('down')) : inner.replace(record, version)),
      list: (filter) => inner.list(filter),
    }
    const { options } = testServer({ clients: [native], store })
    const { json } = parsed(
      await createPushedAuthorizationResponse(options, { ...formRequest({ ...asked, client_id: 'native' }), address: '203.0.113.1' }),
    )
    const configuration = configure(options)
    const { used } = configuration.rooms.pushed
    fails = true
    const query = { parameters: { client_id: 'native', request_uri: String(json.request_uri) }, resource: [], audience: [], pairs: [] }
    for (let n = 0; n < 5; n++)
      await expect(
        openPushedRequest(configuration, query, { browser: 'browser', address: '203.0.113.1', mayStay: true }),
      ).rejects.toMatchObject({ status: 503 })
    expect(configuration.rooms.pushed.used).toBe(used)
  })
})

describe('X9 the end of a client', () => {
  test('X9 of two that keep one client, the longer one counts', async () => {
    const server = serverOfStoredClients({ store: memoryStore({ clock: () => start }) })
    const { clientRecords } = configure(server.options)
    await clientRecords.create(
      { client_id: 'self', redirect_uris: [redirect_uri], token_endpoint_auth_method: 'none' },
      'registration',
      start + 100,
    )
    await Promise.all([clientRecords.keepUntil('self', start + 1_000), clientRecords.keepUntil('self', start + 9_000_000)])
    server.now = start + 8_000_000
    expect(await clientRecords.find('self')).toMatchObject({ client: { client_id: 'self' } })
  })

  test('X2 X9 the record of a deleted client leaves the memory store a day later', async () => {
    const store = memoryStore({ clock: () => server.now, maxRecords: 20 })
    const server = serverOfStoredClients({ store })
    const { clientRecords } = configure(server.options)
    for (let n = 0; n < 25; n++) {
      await clientRecords.save({ client_id: `c${n}`, redirect_uris: [redirect_uri], token_endpoint_auth_method: 'none' })
      await clientRecords.remove(`c${n}`, server.now)
      server.now += 3 * 86_400
    }
    await clientRecords.save({ client_id: 'last', redirect_uris: [redirect_uri], token_endpoint_auth_method: 'none' })
    expect(store.size).toBe(1)
  })
})

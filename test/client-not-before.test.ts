/** One write of the operator ends all that was made for a client, and what each way in does about it: rows OP13. */
import { describe, expect, jest, test } from '@jest/globals'
import {
  clientCredentials,
  deleteClient,
  encrypted,
  findClient,
  jwt,
  listAuthorizations,
  memoryStore,
  saveClient,
  tokenVerifier,
  type AccessTokenRequirement,
  type ClientMetadata,
  type ServerOptions,
  type Store,
} from '../src/index.js'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { digestOfSecret } from '../src/clients/secrets.js'
import { configure } from '../src/configuration/configure.js'
import { readStrangerMetadata } from '../src/clients/stranger-metadata.js'
import { basic, exchange, machine, redirect_uri, start, testServer, web, type TestServer } from './support/server.js'
import { describeWith, openPostgres } from './support/services.js'
import { invalidGrant, reasons, serverOfStoredClients } from './support/stored.js'
import { statusOf } from './support/tokens.js'

jest.setTimeout(60_000)

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const issuer = 'https://server.example'

/** A store that is not at hand: each call goes somewhere. */
function remote(store: Store = memoryStore()) {
  const calls: string[] = []
  let isDown = false
  const call = async <T>(verb: string, work: () => T): Promise<Awaited<T>> => {
    calls.push(verb)
    if (isDown) throw new Error('down')
    await new Promise((resolve) => setImmediate(resolve))
    return await work()
  }
  const verbs: Store = {
    get: (id) => call(id.startsWith('client:') ? 'get client' : 'get', () => store.get(id)),
    create: (record) => call('create', () => store.create(record)),
    replace: (record, version) => call('replace', () => store.replace(record, version)),
    list: (filter) => store.list(filter),
  }
  return { store: verbs, calls, fail: (value = true) => (isDown = value) }
}

async function endAll(server: Pick<TestServer, 'options' | 'now'>, members: Partial<ClientMetadata> = { notBefore: server.now }) {
  const found = await findClient(server.options, 'web')
  if (found === undefined) throw new Error('there is no such client')
  await saveClient(server.options, { ...found, ...members })
}

const guard = (options: ServerOptions, token: string, requirement: AccessTokenRequirement = {}) => statusOf(options, token, requirement)

async function storedWeb(options: ServerOptions & { store: Store }): Promise<TestServer> {
  const server = serverOfStoredClients(options)
  for (const { client_secret, ...client } of [web, machine])
    await saveClient(server.options, { ...client, secrets: [{ hash: digestOfSecret(client_secret) }] })
  return server
}

describe('OP13 notBefore of a client', () => {
  test('OP13 ends codes, refresh tokens and access tokens up to and in that second, at every endpoint, and nothing later', async () => {
    const server = await storedWeb({ store: memoryStore() })
    const [code, tokens] = [await server.code(), await server.tokens()]
    expect(await guard(server.options, tokens.access_token)).toBe(200)
    await endAll(server)
    expect(await server.token(exchange(code), basic(web))).toMatchObject(invalidGrant)
    expect(await server.refresh(tokens.refresh_token)).toMatchObject(invalidGrant)
    for (const token of [tokens.access_token, tokens.refresh_token])
      expect((await server.introspect({ token }, basic(web))).json).toEqual({ active: false })
    expect((await server.revoke({ token: tokens.refresh_token }, basic(web))).status).toBe(200)
    expect(await guard(server.options, tokens.access_token)).toBe(401)
    const listed = []
    for await (const one of listAuthorizations(server.options, { subject: 'alice' })) listed.push(one)
    expect(listed).toEqual([])
    expect(reasons(server)).toEqual(
      expect.arrayContaining(['made before notBefore of the client', 'made before notBefore of the client', 'made before notBefore of the client']), // prettier-ignore
    )
    server.now += 1
    const later = await server.tokens()
    expect((await server.refresh(later.refresh_token)).status).toBe(200)
    expect(await guard(server.options, later.access_token)).toBe(200)
  })

  test('OP13 a token of an old Authorization does not outlive it by a later iat', async () => {
    const server = await storedWeb({ store: memoryStore() })
    const { refresh_token } = await server.tokens()
    server.now += 10
    const refreshed = await server.refresh(refresh_token)
    await endAll(server, { notBefore: server.now - 5 })
    expect(await guard(server.options, String(refreshed.json.access_token))).toBe(401)
  })

  test('OP13 milliseconds are refused: they would end everything for good', async () => {
    await expect(saveClient(serverOfStoredClients({ store: memoryStore() }).options, { ...web, notBefore: Date.now() })).rejects.toThrow(
      /notBefore must be a whole number from 0 to 99999999999/,
    )
  })

  test('OP13 a registration and a metadata document cannot carry notBefore or disabled', () => {
    const rules = {
      scopes: [],
      grantTypes: ['authorization_code'],
      methods: ['none'],
      privateUseSchemes: new Set<string>(),
      defaultMethod: 'none',
    }
    const sent = { redirect_uris: [redirect_uri], disabled: true, notBefore: start }
    for (const onMistake of ['refuse', 'drop'] as const) {
      const read = readStrangerMetadata(sent, { ...rules, onMistake })
      expect(read).not.toHaveProperty('notBefore')
      expect(read).not.toHaveProperty('disabled')
    }
  })

  const formats = [
    ['opaque', {}],
    ['jwt', { accessTokens: jwt({ key }), issuer }],
    ['encrypted', { accessTokens: encrypted({ key: randomBytes(32) }), issuer }],
  ] as const
  describe.each(formats)('OP13 %s', (_format, options) => {
    test('OP13 the guard with checkClient refuses a client that is disabled, ended or gone, and 503 where the look-up fails', async () => {
      const { store, fail } = remote()
      const server = await storedWeb({ store, ...options })
      const { access_token } = await server.tokens()
      const checked = { checkClient: true }
      expect(await guard(server.options, access_token, checked)).toBe(200)
      expect(await guard(server.options, access_token)).toBe(200)
      await endAll(server, { disabled: true })
      expect(await guard(server.options, access_token, checked)).toBe(401)
      await expect(tokenVerifier(server.options, { checkClient: true }).verifyAccessToken(access_token)).rejects.toThrow()
      expect(reasons(server)).toContain('the client is disabled')
      await endAll(server, { disabled: false, notBefore: start })
      expect(await guard(server.options, access_token, checked)).toBe(401)
      await endAll(server, { notBefore: start - 1 })
      expect(await guard(server.options, access_token, checked)).toBe(200)
      fail()
      expect(await guard(server.options, access_token, checked)).toBe(503)
      fail(false)
      await deleteClient(server.options, 'web')
      expect(await guard(server.options, access_token, checked)).toBe(401)
    })

    test('OP13 the guard sees it without an option in the list of clients, and in a memory store', async () => {
      const client = { ...web } as { -readonly [N in keyof ClientMetadata]: ClientMetadata[N] }
      const before = testServer({ ...options, store: memoryStore() })
      const { access_token } = await before.tokens()
      for (const members of [{ disabled: true }, { notBefore: start }]) {
        const after = { ...before.options, clients: [{ ...client, ...members }] }
        expect(await guard(after, access_token)).toBe(401)
      }
      const stored = await storedWeb({ store: memoryStore(), ...options })
      const tokens = await stored.tokens()
      await endAll(stored)
      expect(await guard(stored.options, tokens.access_token)).toBe(401)
    })

    test('OP13 the guard sees it without an option within clientCacheLifetime, and an outage of the store ends no more than before', async () => {
      const { store, calls, fail } = remote()
      const server = await storedWeb({ store, ...options })
      const { access_token } = await server.tokens()
      await endAll(server)
      const other = { ...server.options, clientCacheLifetime: 300 }
      expect(await guard(other, access_token)).toBe(401)
      await endAll(server, { notBefore: start - 1, disabled: true })
      const third = { ...server.options, clientCacheLifetime: 300 }
      calls.length = 0
      for (let i = 0; i < 5; i++) expect(await guard(third, access_token)).toBe(401)
      expect(calls.filter((verb) => verb === 'get client')).toHaveLength(1)
      await endAll(server, { disabled: false })
      const fourth = { ...server.options, clientCacheLifetime: 300 }
      fail()
      expect(await guard(fourth, access_token)).toBe(configure(fourth).accessTokenFormat.kind === 'reference' ? 503 : 200)
    })
  })

  test('OP13 checkClient costs one get more, which leaves with the one of the token from the second request on', async () => {
    const memory = memoryStore()
    const events: string[] = []
    const later = async <T>(name: string, work: () => T): Promise<Awaited<T>> => {
      events.push(`${name} sent`)
      await new Promise((resolve) => setTimeout(resolve, 5))
      events.push(`${name} answered`)
      return await work()
    }
    const store: Store = {
      ...memory,
      get: (id) => later(id.startsWith('client:') ? 'client' : 'token', () => memory.get(id)),
    }
    const server = await storedWeb({ store })
    const { access_token } = await server.tokens()
    const asked = async () => {
      events.length = 0
      expect(await guard(server.options, access_token, { checkClient: true })).toBe(200)
      return [...events]
    }
    expect(await asked()).toEqual(['token sent', 'token answered', 'client sent', 'client answered'])
    expect((await asked()).slice(0, 2).sort()).toEqual(['client sent', 'token sent'])
    expect(events).toHaveLength(4)
  })

  test('OP13 a resource server that introspects is told of the client of the token, not of its own', async () => {
    const { store } = remote()
    const server = await storedWeb({ store })
    await saveClient(server.options, { ...machine, introspect: true })
    const { access_token } = await server.tokens()
    const active = async () => (await server.introspect({ token: access_token }, basic(machine))).json.active
    expect(await active()).toBe(true)
    await endAll(server, { disabled: true })
    expect(await active()).toBe(false)
    await endAll(server, { disabled: false })
    expect(await active()).toBe(true)
    await endAll(server)
    expect(await active()).toBe(false)
  })

  test('OP13 client credentials of before have ended, and the client goes on', async () => {
    const server = await storedWeb({ store: memoryStore(), grants: [clientCredentials()] })
    const ask = async () => String((await server.token({ grant_type: 'client_credentials' }, basic(machine))).json.access_token)
    const old = await ask()
    const found = await findClient(server.options, 'machine')
    if (found === undefined) throw new Error('there is no such client')
    await saveClient(server.options, { ...found, notBefore: start })
    server.now += 1
    expect([await guard(server.options, old), await guard(server.options, await ask())]).toEqual([401, 200])
  })
})

describeWith('PostgreSQL')('OP13 over PostgreSQL', () => {
  test('OP13 10,000 authorizations of one client are ended by one write, seen by each of three servers at once', async () => {
    const place = await openPostgres()
    try {
      const server = await storedWeb({ store: place.store })
      const { access_token, refresh_token } = await server.tokens()
      const { table, pool } = place
      const copies = `SELECT left(md5(i::text) || md5(i::text), 22), version, kind, client_id, subject, expires_at, document FROM ${table}, generate_series(1, 10000) AS i WHERE kind = 'authorization'`
      await pool.query(`INSERT INTO ${table} ${copies}`)
      const others = [1, 2, 3].map(() => serverOfStoredClients({ store: place.store }))
      const ended = (token: string) => Promise.all(others.map((other) => guard(other.options, token, { checkClient: true })))
      const live = async () => {
        let count = 0
        for await (const _one of listAuthorizations(server.options, { client_id: 'web' })) count++
        return count
      }
      expect(await live()).toBe(10_001)
      expect(await ended(access_token)).toEqual([200, 200, 200])
      const version = await pool.query(`SELECT id, version FROM ${table} WHERE kind = 'authorization' ORDER BY id`)
      await endAll(server)
      expect(await ended(access_token)).toEqual([401, 401, 401])
      for (const other of others) {
        expect(await other.refresh(refresh_token)).toMatchObject(invalidGrant)
        expect(reasons(other)).toContain('made before notBefore of the client')
      }
      expect(await live()).toBe(0)
      // Nothing but the record of the client was written.
      expect((await pool.query(`SELECT id, version FROM ${table} WHERE kind = 'authorization' ORDER BY id`)).rows).toEqual(version.rows)
    } finally {
      await place.close()
    }
  })
})

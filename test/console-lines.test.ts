/** Where nobody listens, what the application, the store or the deployer does wrong is one line on the console; a burst is two. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterAll, afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import { authorizationHandler, listAuthorizations, memoryStore, tokenHandler, type ServerOptions, type Store } from '../src/index.js'
import { temporaryCredentialsHandler } from '../src/oauth1/index.js'
import { postgresStore, type PostgresPool } from '../src/stores/postgres.js'
import { sqliteStore, type SqliteDatabase } from '../src/stores/sqlite.js'
import { listen } from './support/listen.js'
import { basic, code_challenge, machine, redirect_uri, testServer, web } from './support/server.js'

const form = { grant_type: 'client_credentials' }
const hint = '; set onEvent, or NODE_DEBUG=oauth2-token-handler, to see all of it'
const realNow = performance.now.bind(performance)
let later = 0
const now = jest.spyOn(performance, 'now').mockImplementation(() => realNow() + later)
const error = jest.spyOn(console, 'error')
const warn = jest.spyOn(console, 'warn')
const lines = () => error.mock.calls.flat()

beforeEach(() => {
  error.mockReset().mockReturnValue()
  warn.mockReset().mockReturnValue()
})
afterEach(() => {
  expect(lines().join('')).not.toContain('hunter2')
})
afterAll(() => {
  for (const spy of [now, error, warn]) spy.mockRestore()
})

/** An error whose message nobody may see, of a kind of its own: kinds are remembered by the process. */
function failure(code: string): Error {
  return Object.assign(new Error('connect postgres://admin:hunter2@db'), { code })
}

function failing(thrown: Error): Store {
  return { ...memoryStore(), create: () => Promise.reject(thrown) }
}

/** A server without a listener. */
function silentServer(options: ServerOptions = {}) {
  return testServer({ ...options, onEvent: undefined } as unknown as ServerOptions)
}

describe('a failure', () => {
  test('OP6 V2 is one line at first, and then one a minute with a count', async () => {
    const server = silentServer({ store: failing(failure('ECONNREFUSED')) })
    for (let count = 0; count < 50; count++) await server.token(form, basic(machine))
    const line =
      'oauth2-token-handler: request.failed (token) for client machine: the store failed [Error ECONNREFUSED]; ask check() of the store'
    expect(lines()).toEqual([`${line}${hint}`])
    later += 60_001
    for (let count = 0; count < 10; count++) await server.token(form, basic(machine))
    expect(lines().slice(1)).toEqual([`${line}; 49 more since the last such line${hint}`])
    // What was counted last is said with the next one, however late that comes.
    later += 3_600_000
    await server.token(form, basic(machine))
    expect(lines().slice(2)).toEqual([`${line}; 9 more since the last such line${hint}`])
  })

  test('OP6 is of one kind at every endpoint, and of another with another code', async () => {
    const server = silentServer({ store: { ...failing(failure('EFIRST')), get: () => Promise.reject(failure('EFIRST')) } })
    await server.token(form, basic(machine))
    await server.revoke({ token: `${'a'.repeat(22)}.${'b'.repeat(22)}` }, basic(web))
    expect(lines()).toHaveLength(1)
    await silentServer({ store: failing(failure('ESECOND')) }).token(form, basic(machine))
    expect(lines()).toHaveLength(2)
  })

  test('OP6 of the 101st kind shares a line with those after it, so that neither memory nor console fills', async () => {
    for (let count = 0; count < 150; count++) await silentServer({ store: failing(failure(`E${count}`)) }).token(form, basic(machine))
    expect(lines().length).toBeGreaterThan(90)
    expect(lines().length).toBeLessThanOrEqual(101)
    // Kinds that were quiet for a minute make room.
    later += 60_001
    error.mockClear()
    await silentServer({ store: failing(failure('ENEW')) }).token(form, basic(machine))
    expect(lines()).toEqual([expect.stringContaining('ENEW')])
    later += 60_001
  })

  test('OP6 is not on the console where onEvent or a subscriber of the channel hears it', async () => {
    const heard = testServer({ store: failing(failure('EHEARD')) })
    await heard.token(form, basic(machine))
    expect(heard.events).toHaveLength(1)
    const note = () => undefined
    subscribe('oauth2-token-handler', note)
    await silentServer({ store: failing(failure('EHEARD')) }).token(form, basic(machine))
    unsubscribe('oauth2-token-handler', note)
    expect(lines()).toEqual([])
  })

  test("OP6 what a client does wrong, and a client_id that is a stranger's URL, is not on the console", async () => {
    const server = silentServer()
    await server.token(form, basic({ client_id: 'evil', client_secret: 'x' }))
    await server.token({ grant_type: 'evil' }, basic(machine))
    await server.token({ ...form, scope: 'evil' }, basic(machine))
    expect(lines()).toEqual([])
    const url = 'https://evil.example/client'
    const client = { ...machine, client_id: url }
    await silentServer({ clients: [client], store: failing(failure('EURL')) }).token(form, basic(client))
    expect(lines()).toEqual([
      `oauth2-token-handler: request.failed (token): the store failed [Error EURL]; ask check() of the store${hint}`,
    ])
  })
})

describe('what is wrong', () => {
  const callbacks: [name: string, options: ServerOptions][] = [
    ['the option beforeGrant', { beforeGrant: () => { throw new TypeError('hunter2') } }],
    ['the option checkScope', { checkScope: () => Promise.reject(new TypeError('hunter2')) }],
    ['the option authorize', { authorize: () => { throw new TypeError('hunter2') } }],
    ['the option accessTokenLifetime', { accessTokenLifetime: () => { throw new TypeError('hunter2') } }],
    ['the option responseParameters', { responseParameters: () => { throw new TypeError('hunter2') } }],
    ['the option available', { available: () => { throw new TypeError('hunter2') } }],
    ['the grant urn:x:own', { grants: [{ type: 'urn:x:own', authorize: () => { throw new TypeError('hunter2') } }], clients: [{ ...machine, grant_types: ['urn:x:own'] }] }],
  ] // prettier-ignore

  test.each(callbacks)('V2 %s: the line names it', async (name, options) => {
    const server = silentServer(options)
    const isOwn = name.startsWith('the grant')
    expect(await server.token(isOwn ? { grant_type: 'urn:x:own' } : form, basic(machine))).toMatchObject({ status: 500 })
    expect(lines()).toEqual([
      expect.stringMatching(
        new RegExp(`: ${name} threw a TypeError \\[TypeError\\]; to refuse, throw an OAuthError such as AccessDenied; set onEvent`),
      ),
    ])
  })

  test('V2 a session that is missing: the line says that authorize threw, and a wrong context likewise', async () => {
    const { options } = silentServer()
    const app = express()
    app.use('/authorize', authorizationHandler({ ...options, allowInsecureTransport: true }, (_request, req: { session: { user: string } }) => ({ subject: req.session.user }))) // prettier-ignore
    app.use('/token', tokenHandler({ ...options, allowInsecureTransport: true, context: (req: { session: { id: object } }) => ({ id: req.session.id }) })) // prettier-ignore
    const { url, close } = await listen(app)
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: 'web',
      redirect_uri,
      code_challenge,
      code_challenge_method: 'S256',
    })
    const response = await fetch(`${url}/authorize?${query.toString()}`, { redirect: 'manual' })
    expect(response.headers.get('location')).toContain('error=server_error')
    await fetch(`${url}/token`, { method: 'POST' })
    await close()
    expect(lines()).toEqual([
      `oauth2-token-handler: request.failed (authorization) for client web: authorize threw a TypeError [TypeError]; to refuse, throw an OAuthError such as AccessDenied${hint}`,
      `oauth2-token-handler: request.failed (token): the option context threw a TypeError [TypeError]; to refuse, throw an OAuthError such as AccessDenied${hint}`,
    ])
  })

  test('V2 a table that was forgotten: the line says what to call, in the name of the options and not of the message', async () => {
    const missing = Object.assign(new Error('relation "hunter2" does not exist'), { code: '42P01', name: 'error' })
    const pool: PostgresPool = { query: () => Promise.reject(missing) }
    await silentServer({ store: postgresStore(pool, { table: 'auth.tokens' }) }).token(form, basic(machine))
    expect(lines()).toEqual([
      'oauth2-token-handler: request.failed (token) for client machine: the store failed [error 42P01]; ' +
        `table "auth"."tokens" does not exist; call await store.createTables()${hint}`,
    ])
    const database = { prepare: (sql: string) => {
      if (sql.startsWith('PRAGMA')) return { run: () => ({ changes: 0 }), get: () => undefined }
      throw Object.assign(new Error('no such table: hunter2'), { code: 'SQLITE_ERROR' })
    } } as SqliteDatabase // prettier-ignore
    const heard = testServer({ store: sqliteStore(database) })
    await heard.token(form, basic(machine))
    expect(heard.events[0]?.remedy).toBe('table "oauth2_records" does not exist; call await store.createTables()')
  })

  test('OP6 a sweep that fails, and a record that cannot be read', async () => {
    const pool: PostgresPool = { query: () => Promise.reject(failure('ESWEEP')) }
    const { close } = postgresStore(pool, { sweepInterval: 1 })
    await new Promise((resolve) => setTimeout(resolve, 1100))
    close()
    expect(lines()).toEqual([`oauth2-token-handler: warning: expired records could not be deleted [Error ESWEEP]${hint}`])
    error.mockClear()
    const { options } = silentServer({
      store: {
        ...memoryStore(),
        async *list() {
          yield { id: 'a'.repeat(22), version: 'v', kind: 'authorization', expiresAt: 5e9, format: 0, data: {} }
        },
      },
    })
    for await (const found of listAuthorizations(options, { subject: 'alice' })) expect(found).toBeUndefined()
    expect(lines()).toEqual([
      expect.stringMatching(/^oauth2-token-handler: record.unreadable: an authorization in the store cannot be read/),
    ])
  })

  test('OP6 a memory store that fills up', async () => {
    const server = silentServer({ store: memoryStore({ maxRecords: 5 }) })
    for (let count = 0; count < 5; count++) await server.token(form, basic(machine))
    expect(lines()).toEqual([`oauth2-token-handler: store.filling: the memory store holds 80 % of maxRecords (5)${hint}`])
  })

  test('OP6 of OAuth 1 likewise', async () => {
    const app = express()
    app.use(temporaryCredentialsHandler({
      clients: () => { throw new TypeError('hunter2') },
      secrets: [{ kid: 'k1', key: 'server-key-0123456789-0123456789-0123456789-abcdef' }],
      allowInsecureTransport: true,
    })) // prettier-ignore
    const { url, close } = await listen(app)
    await fetch(url, { method: 'POST', headers: { authorization: `OAuth oauth_consumer_key="a", oauth_signature_method="HMAC-SHA1", oauth_timestamp="${Math.floor(Date.now() / 1000)}", oauth_nonce="n", oauth_signature="x", oauth_callback="oob"` } }) // prettier-ignore
    await close()
    expect(lines()).toEqual([
      `oauth2-token-handler: request.failed (temporary credentials): the clients function failed [TypeError]; for a client that is unknown, return undefined${hint}`,
    ])
  })
})

/** How long and for how much a refresh token is good (G4, G5, G14), and who gets one (G6). */
import { describe, expect, test } from '@jest/globals'
import { memoryStore, type DecidedRequest, type MemoryStore, type ServerOptions } from '../../src/index.js'
import { basic, exchange, native, start, testServer, web } from '../support/server.js'
import { invalidGrant, invalidScope, isActive, reasons, recordOf, storedServer } from '../support/stored.js'

const day = 86_400

/** Two servers that differ in their options and share a store: one before a change of configuration and one after. */
function beforeAndAfter(after: ServerOptions, before: ServerOptions = {}) {
  const store: MemoryStore = memoryStore({ clock: () => start })
  return { store, before: testServer({ store, ...before }), after: testServer({ store, ...after }) }
}

describe('lifetimes', () => {
  test('G5 a refresh token ends after 14 days unused, although its Authorization lives on', async () => {
    const server = testServer({ accessTokenLifetime: 30 * day })
    const { refresh_token } = await server.tokens()
    const unused = await server.tokens()
    server.now += 14 * day - 1
    expect(await server.refresh(refresh_token)).toMatchObject({ status: 200 })
    server.now += 1
    expect(await server.refresh(unused.refresh_token)).toMatchObject(invalidGrant)
    expect(reasons(server)).toEqual(['the refresh token has expired'])
    expect(await isActive(server, unused.access_token)).toBe(true)
  })

  test('G5 no use keeps it alive for more than 90 days', async () => {
    const server = testServer({ accessTokenLifetime: 365 * day })
    let { refresh_token } = await server.tokens()
    for (let days = 10; days <= 80; days += 10) {
      server.now = start + days * day
      refresh_token = (await server.refresh(refresh_token)).json.refresh_token ?? ''
    }
    server.now = start + 90 * day - 1
    refresh_token = (await server.refresh(refresh_token)).json.refresh_token ?? ''
    expect(refresh_token).not.toBe('')
    server.now = start + 90 * day
    expect(await server.refresh(refresh_token)).toMatchObject(invalidGrant)
  })

  test('G5 both are options', async () => {
    const server = testServer({ refreshTokenIdleLifetime: 100, refreshTokenLifetime: 150 })
    const { refresh_token } = await server.tokens()
    server.now += 99
    const { json } = await server.refresh(refresh_token)
    server.now += 50
    const last = await server.refresh(json.refresh_token ?? '')
    expect(last.status).toBe(200)
    server.now += 1
    expect(await server.refresh(last.json.refresh_token ?? '')).toMatchObject(invalidGrant)
  })
})

describe('clients whose refresh token does not rotate', () => {
  const still = { ...web, rotateRefreshTokens: false }

  test.each<[string, ServerOptions]>([
    ['by the server', { rotateRefreshTokens: false }],
    ['by the client', { clients: [still] }],
  ])('G5 %s: the same refresh token goes on, and is not sent again', async (_by, options) => {
    const { server, store } = storedServer({ ...options, accessTokenLifetime: 30 * day })
    const { refresh_token } = await server.tokens({ scope: 'read' })
    for (let use = 0; use < 3; use++) {
      server.now += 10 * day
      const { status, json } = await server.refresh(refresh_token)
      expect(status).toBe(200)
      expect(json).toEqual({ access_token: expect.any(String), token_type: 'Bearer', expires_in: 30 * day, scope: 'read' })
    }
    const { version } = await recordOf(store, refresh_token)
    server.now += 14 * day
    expect(await server.refresh(refresh_token)).toMatchObject(invalidGrant)
    expect((await recordOf(store, refresh_token)).version).toBe(version)
  })

  test('G5 what the client says goes before what the server says', async () => {
    const server = testServer({ rotateRefreshTokens: false, clients: [{ ...web, rotateRefreshTokens: true }] })
    const { refresh_token } = await server.tokens()
    expect((await server.refresh(refresh_token)).json.refresh_token).toMatch(/^.{22}\.1\./)
  })

  test('G5 a public client always rotates', async () => {
    const server = testServer({ rotateRefreshTokens: false, clients: [{ ...native, rotateRefreshTokens: false }] })
    const { refresh_token } = await server.tokens({ client_id: 'native' })
    const { json } = await server.token({ grant_type: 'refresh_token', refresh_token, client_id: 'native' })
    expect(json.refresh_token).toMatch(/^.{22}\.1\./)
  })

  test('G5 one that stopped rotating: the token before the head is spent once the head was used', async () => {
    const { before, after } = beforeAndAfter({ rotateRefreshTokens: false })
    const { refresh_token } = await before.tokens()
    const { json } = await before.refresh(refresh_token)
    expect(await after.refresh(json.refresh_token ?? '')).toMatchObject({ status: 200 })
    expect(await after.refresh(refresh_token)).toMatchObject(invalidGrant)
    expect(await after.refresh(json.refresh_token ?? '')).toMatchObject(invalidGrant)
  })
})

describe('scope', () => {
  test('G4 scope may be narrowed for the access token, and the refresh token keeps its own', async () => {
    const server = testServer()
    const { refresh_token } = await server.tokens({ scope: 'read write' })
    const narrow = await server.refresh(refresh_token, { scope: 'write' })
    expect(narrow).toMatchObject({ status: 200, json: { scope: 'write' } })
    expect(await server.introspect({ token: narrow.json.access_token ?? '' }, basic(web))).toMatchObject({ json: { scope: 'write' } })
    const full = await server.refresh(narrow.json.refresh_token ?? '')
    expect(full).toMatchObject({ status: 200, json: { scope: 'read write' } })
  })

  test('G4 scope is never widened, not even to what the client may have', async () => {
    const server = testServer()
    const { refresh_token } = await server.tokens({ scope: 'read' })
    expect(await server.refresh(refresh_token, { scope: 'read write' })).toMatchObject(invalidScope)
    expect(await server.refresh(refresh_token, { scope: 'unknown' })).toMatchObject(invalidScope)
    expect(await server.refresh(refresh_token)).toMatchObject({ status: 200, json: { scope: 'read' } })
  })

  test.each<[string, ServerOptions]>([
    ['server', { scopes: ['write', 'admin'] }],
    ['client', { clients: [{ ...web, scope: 'write admin' }] }],
  ])('G14 a refresh grants no more than the %s allows now', async (_who, shrunk) => {
    const { before, after } = beforeAndAfter(shrunk)
    const { refresh_token } = await before.tokens({ scope: 'read write' })
    expect(await after.refresh(refresh_token, { scope: 'read' })).toMatchObject(invalidScope)
    const narrowed = await after.refresh(refresh_token)
    expect(narrowed).toMatchObject({ status: 200, json: { scope: 'write' } })
    expect(await before.refresh(narrowed.json.refresh_token ?? '')).toMatchObject({ json: { scope: 'read write' } })
  })

  test('G14 where nothing is left the refresh token is not consumed', async () => {
    const { store, before, after } = beforeAndAfter({ scopes: ['admin'] })
    const { refresh_token } = await before.tokens({ scope: 'read write' })
    const { version } = await recordOf(store, refresh_token)
    expect(await after.refresh(refresh_token)).toMatchObject(invalidScope)
    expect((await recordOf(store, refresh_token)).version).toBe(version)
    expect(await before.refresh(refresh_token)).toMatchObject({ status: 200 })
  })

  test('G14 a retry grants no more than is allowed now either', async () => {
    const { before, after } = beforeAndAfter({ scopes: ['read'] })
    const { refresh_token } = await before.tokens({ scope: 'read write' })
    const { json } = await before.refresh(refresh_token)
    const retried = await after.refresh(refresh_token)
    expect(retried).toMatchObject({ status: 200, json: { scope: 'read', refresh_token: json.refresh_token } })
    expect(retried.json.access_token).not.toBe(json.access_token)
  })

  test('G14 an Authorization without scope is refreshed without scope', async () => {
    const { before, after } = beforeAndAfter({ scopes: ['admin'] }, { scopes: [] })
    const { refresh_token } = await before.tokens()
    const { status, json } = await after.refresh(refresh_token)
    expect(status).toBe(200)
    expect(json).not.toHaveProperty('scope')
  })

  test('G14 a disabled client is stopped wherever it authenticates, and introspection calls its access tokens inactive', async () => {
    const api = { client_id: 'api', client_secret: 'api-secret-0123456789abcdef', grant_types: [], introspect: true }
    const { store, before, after } = beforeAndAfter({ clients: [{ ...web, disabled: true }, api] })
    const { access_token, refresh_token } = await before.tokens()
    const { version } = await recordOf(store, refresh_token)
    const code = await before.code()
    for (const response of [
      await after.refresh(refresh_token),
      await after.token(exchange(code), basic(web)),
      await after.revoke({ token: refresh_token }, basic(web)),
      await after.introspect({ token: access_token }, basic(web)),
    ]) {
      expect(response).toMatchObject({ status: 401, json: { error: 'invalid_client' } })
    }
    expect((await recordOf(store, refresh_token)).version).toBe(version)
    expect(await after.introspect({ token: access_token }, basic(api))).toMatchObject({ body: '{"active":false}' })
    await expect(after.code()).rejects.toMatchObject({ error: 'invalid_request', description: 'unknown client' })
  })
})

describe('who gets a refresh token', () => {
  const without = { ...web, grant_types: ['authorization_code'] }

  test('G6 refreshable: false issues none, and the grant is not served', async () => {
    const { before, after } = beforeAndAfter({ refreshable: false })
    const { refresh_token } = await before.tokens()
    expect(await after.tokens()).not.toHaveProperty('refresh_token')
    expect(await after.refresh(refresh_token)).toMatchObject({
      status: 400,
      body: '{"error":"unsupported_grant_type","error_description":"the grant type is not supported; there are authorization_code, client_credentials"}',
    })
    expect(await before.refresh(refresh_token)).toMatchObject({ status: 200 })
  })

  test('G6 a client without refresh_token in its grant_types gets none', async () => {
    const server = testServer({ clients: [without] })
    expect(await server.tokens()).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'read write admin',
    })
  })

  test('G6 a client that lost refresh_token from its grant_types cannot use the one it holds', async () => {
    const { before, after } = beforeAndAfter({ clients: [without] })
    const { refresh_token } = await before.tokens()
    expect(await after.refresh(refresh_token)).toMatchObject({
      status: 400,
      body: '{"error":"unauthorized_client","error_description":"the client is not authorized to use this grant type"}',
    })
    expect(await before.refresh(refresh_token)).toMatchObject({ status: 200 })
  })

  test('G6 refreshable(request) that answers false at issue: no refresh token', async () => {
    const seen: DecidedRequest[] = []
    const server = testServer({ refreshable: (request) => seen.push(request) === 0 })
    expect(await server.tokens({ scope: 'read' })).not.toHaveProperty('refresh_token')
    expect(seen).toMatchObject([{ grant_type: 'authorization_code', client: { client_id: 'web' }, subject: 'alice', scope: ['read'] }])
  })

  test('G6 refreshable(request) may be asynchronous', async () => {
    const server = testServer({ refreshable: async ({ subject }) => subject === 'alice' })
    expect(await server.tokens()).toHaveProperty('refresh_token')
    expect(await server.tokens({ subject: 'bob' })).not.toHaveProperty('refresh_token')
  })

  test('G6 refreshable(request) that answers false at refresh: invalid_grant, nothing consumed', async () => {
    const { store, before, after } = beforeAndAfter({ refreshable: ({ grant_type }) => grant_type !== 'refresh_token' })
    const { refresh_token } = await before.tokens()
    const { version } = await recordOf(store, refresh_token)
    expect(await after.refresh(refresh_token)).toMatchObject(invalidGrant)
    expect(reasons(after)).toEqual(['the option refreshable answered false'])
    expect((await recordOf(store, refresh_token)).version).toBe(version)
    expect(await before.refresh(refresh_token)).toMatchObject({ status: 200 })
  })

  test('G6 refreshable(request) is asked at the retry of a lost answer, too', async () => {
    const { before, after } = beforeAndAfter({ refreshable: () => false })
    const { refresh_token } = await before.tokens()
    const { json } = await before.refresh(refresh_token)
    expect(await after.refresh(refresh_token)).toMatchObject(invalidGrant)
    expect(await before.refresh(refresh_token)).toMatchObject({ json })
  })
})

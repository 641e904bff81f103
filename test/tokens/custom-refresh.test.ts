/** Refresh tokens whose texts the application writes (F6): rotation, retry, reuse, strangers and the end, as with those of our own. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { type ServerOptions, type TokenClaims } from '../../src/index.js'
import { faultyStore } from '../security/doubles.js'
import { ask, aGet } from '../support/mac.js'
import { basic, exchange, machine, native, redirect_uri, start, testServer, web } from '../support/server.js'
import { invalidGrant, isActive, reasons, storedServer } from '../support/stored.js'

const other = { ...web, client_id: 'other', client_secret: 'other-secret-0123456789abcdef', redirect_uris: [redirect_uri] }

/** A server whose refresh tokens are rt-1, rt-2 and so on, and what their generator was called with. */
function prepared(options: ServerOptions = {}) {
  const calls: TokenClaims[] = []
  const refreshTokens = (token: TokenClaims) => `rt-${calls.push(token)}`
  const { server, store } = storedServer({ clients: [web, machine, native, other], refreshTokens, ...options })
  return { server, store, calls }
}

beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterAll(() => {
  jest.restoreAllMocks()
})

describe('rotation', () => {
  test('F6 the function gets kind, the scope that was granted, and when it ends', async () => {
    const { server, calls } = prepared({ authorize: () => ['read'] })
    const tokens = await server.tokens({ scope: 'read write' })
    expect(tokens).toMatchObject({ refresh_token: 'rt-1', scope: 'read' })
    expect(calls).toEqual([
      expect.objectContaining({
        kind: 'refresh_token',
        client: expect.objectContaining({ client_id: 'web' }),
        subject: 'alice',
        scope: ['read', 'write'],
        grant_type: 'authorization_code',
        issuedAt: start,
        expiresAt: start + 1_209_600,
        context: {},
      }),
    ])
    server.now = start + 100
    const { json } = await server.refresh('rt-1', { scope: 'read' })
    expect(json).toMatchObject({ refresh_token: 'rt-2', scope: 'read' })
    expect(calls[1]).toMatchObject({
      kind: 'refresh_token',
      scope: ['read', 'write'],
      grant_type: 'refresh_token',
      expiresAt: start + 1_209_700,
    })
  })

  test('F6 the default is random, whatever the access token is', async () => {
    const server = testServer({ accessTokens: () => 'fixed' })
    const { refresh_token } = await server.tokens()
    expect(refresh_token).toMatch(/^[\w-]{22}\.0\.[\w-]{43}\.[\w-]{43}$/)
    expect(await server.refresh(refresh_token)).toMatchObject({ status: 200 })
  })

  test('F6 G5 each refresh hands out a new text, and a chain of them goes on', async () => {
    const { server } = prepared()
    await server.tokens()
    for (let generation = 1; generation < 6; generation++)
      expect((await server.refresh(`rt-${generation}`)).json).toMatchObject({ refresh_token: `rt-${generation + 1}` })
    expect(await server.introspect({ token: 'rt-6' }, basic(web))).toMatchObject({ json: { active: true, token_type: 'refresh_token' } })
  })

  test('F6 G5 without rotation the text stays, and the function is not called', async () => {
    const { server, calls } = prepared({ rotateRefreshTokens: false })
    await server.tokens()
    expect((await server.refresh('rt-1')).json).not.toHaveProperty('refresh_token')
    expect(await server.refresh('rt-1')).toMatchObject({ status: 200 })
    expect(calls).toHaveLength(1)
  })

  test('F6 what a server gave out before it had a generator goes on, and its successor is of the new kind', async () => {
    const { store } = storedServer()
    const { refresh_token } = await testServer({ store }).tokens()
    const server = testServer({ store, refreshTokens: () => 'own' })
    expect((await server.refresh(refresh_token)).json).toMatchObject({ refresh_token: 'own' })
    expect(await server.refresh('own')).toMatchObject({ status: 500 })
  })

  test('F6 a text that was written for a generator is unknown to a server without one', async () => {
    const { server, store } = prepared()
    await server.tokens()
    expect(await testServer({ store }).refresh('rt-1')).toMatchObject(invalidGrant)
  })

  test('F6 G5 it ends when it lay unused', async () => {
    const { server } = prepared()
    await server.tokens()
    server.now = start + 1_209_600
    expect(await server.refresh('rt-1')).toMatchObject(invalidGrant)
    server.now = start + 1_209_599
    expect(await server.refresh('rt-1')).toMatchObject({ status: 200 })
  })
})

describe('a second use', () => {
  test('F6 G5 in time gets the sealed answer again, and nothing is written', async () => {
    const { server, calls } = prepared()
    await server.tokens()
    const { json: lost } = await server.refresh('rt-1')
    server.now = start + 30
    const { json: again } = await server.refresh('rt-1')
    expect(again).toEqual({ ...lost, expires_in: 3570 })
    expect(calls).toHaveLength(2)
    expect(server.events.at(-1)).toMatchObject({ type: 'token.repeated' })
    expect((await server.refresh('rt-1', { scope: 'read' })).json).toMatchObject({ refresh_token: 'rt-2', scope: 'read' })
    expect(calls).toHaveLength(2)
  })

  test('F6 G5 for less scope gets another access token, and the alias of the successor is not written again', async () => {
    const { store: inner } = storedServer()
    const store = faultyStore(inner)
    const { server } = prepared({ store })
    await server.tokens()
    await server.refresh('rt-1')
    store.arm(0, 'throws before')
    expect((await server.refresh('rt-1', { scope: 'read' })).json).toMatchObject({ refresh_token: 'rt-2', scope: 'read' })
    expect(store.disarm()).toEqual(['get', 'get', 'replace'])
  })

  test.each([
    ['after its time', 36, 2],
    ['once its successor was used', 0, 3],
  ])('F6 G5 %s is known by the generation of its alias, and ends everything', async (_when, later, uses) => {
    const { server } = prepared()
    const { access_token } = await server.tokens()
    for (let use = 1; use < uses; use++) await server.refresh(`rt-${use}`)
    server.now = start + later
    expect(await server.refresh('rt-1')).toMatchObject(invalidGrant)
    expect(server.events.at(-2)).toMatchObject({ type: 'refresh_token.reused', client_id: 'web', subject: 'alice' })
    expect(await isActive(server, access_token)).toBe(false)
    expect(await server.refresh(`rt-${uses}`)).toMatchObject(invalidGrant)
  })

  test('F6 G5 of a text that is older than the idle lifetime ends everything, too', async () => {
    const { server } = prepared()
    await server.tokens()
    for (let use = 1; use < 7; use++) {
      server.now += 1_000_000
      expect((await server.refresh(`rt-${use}`)).status).toBe(200)
      // Records that have expired go from the store as time passes.
      for (let writes = 0; writes < 3; writes++) await server.token({ grant_type: 'client_credentials' }, basic(machine))
    }
    expect(await server.refresh('rt-1')).toMatchObject(invalidGrant)
    expect(server.events.at(-2)).toMatchObject({ type: 'refresh_token.reused' })
    expect(await server.refresh('rt-7')).toMatchObject(invalidGrant)
  })

  test('F6 I2 of a hundred parallel refreshes all carry one successor, and one head is left', async () => {
    const { server } = prepared()
    await server.tokens()
    const answers = await Promise.all(Array.from({ length: 100 }, () => server.refresh('rt-1')))
    expect(new Set(answers.map(({ status, json }) => `${status} ${json.refresh_token ?? ''}`))).toEqual(new Set(['200 rt-2']))
    expect(await server.refresh('rt-2')).toMatchObject({ status: 200 })
  })

  test('F6 I2 in strict mode one of a hundred wins, and everything ends', async () => {
    const { server } = prepared({ refreshRetryWindow: 0 })
    await server.tokens()
    const answers = await Promise.all(Array.from({ length: 100 }, () => server.refresh('rt-1')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(await server.refresh('rt-2')).toMatchObject(invalidGrant)
  })
})

describe('strangers', () => {
  test('F6 G4 another client with the text: invalid_grant, an event, nothing changes', async () => {
    const { server } = prepared()
    await server.tokens()
    const form = { grant_type: 'refresh_token', refresh_token: 'rt-1' }
    expect(await server.token(form, basic(other))).toMatchObject(invalidGrant)
    expect(reasons(server)).toEqual(['it was issued to another client'])
    await server.refresh('rt-1')
    await server.refresh('rt-2')
    // An old text in other hands proves nothing, either.
    expect(await server.token(form, basic(other))).toMatchObject(invalidGrant)
    expect(await server.refresh('rt-3')).toMatchObject({ status: 200 })
  })

  test('F6 an invented text, and an access token in the place of a refresh token', async () => {
    const { server } = prepared({ accessTokens: () => 'access-1' })
    await server.tokens()
    for (const text of ['rt-0', 'rt-2', 'access-1', 'x'.repeat(20_000), ''])
      expect((await server.refresh(text)).json.error).toBe(
        text === '' ? 'invalid_request' : text.length > 16_384 ? 'invalid_request' : 'invalid_grant',
      )
    expect(await ask(server, { ...aGet, headers: { authorization: 'Bearer rt-1' } })).toMatchObject({ status: 401 })
    expect(await ask(server, { ...aGet, headers: { authorization: 'Bearer access-1' } })).toBe('accepted')
  })

  test('F6 G5 a public client gets a new one each time', async () => {
    const { server } = prepared({ rotateRefreshTokens: false })
    await server.tokens({ client_id: 'native' })
    const { json } = await server.token({ grant_type: 'refresh_token', refresh_token: 'rt-1', client_id: 'native' })
    expect(json).toMatchObject({ refresh_token: 'rt-2' })
  })
})

describe('revocation and introspection', () => {
  test('F6 N2 any of its texts ends the Authorization, for its own client alone', async () => {
    const { server } = prepared()
    const { access_token } = await server.tokens()
    await server.refresh('rt-1')
    expect(await server.revoke({ token: 'rt-1' }, basic(other))).toMatchObject({ status: 200 })
    expect(await isActive(server, access_token)).toBe(true)
    expect(await server.revoke({ token: 'rt-1' }, basic(web))).toMatchObject({ status: 200 })
    expect(server.events.at(-1)).toMatchObject({ type: 'authorization.revoked', client_id: 'web', subject: 'alice' })
    expect(await isActive(server, access_token)).toBe(false)
    expect(await server.refresh('rt-2')).toMatchObject(invalidGrant)
  })

  test('F6 N2 an unknown text: 200, and nothing happens', async () => {
    const { server } = prepared()
    await server.tokens()
    expect(await server.revoke({ token: 'rt-9' }, basic(web))).toMatchObject({ status: 200, body: '{}' })
    expect(await server.refresh('rt-1')).toMatchObject({ status: 200 })
  })

  test('F6 N3 the head is shown to its own client, and nothing else is', async () => {
    const { server } = prepared({ issuer: 'https://server.example' })
    const { json: issued } = await server.token(exchange(await server.code({ scope: 'read' })), basic(web))
    expect(issued.refresh_token).toBe('rt-1')
    const about = async (token: string, client: { client_id: string; client_secret: string } = web) =>
      (await server.introspect({ token }, basic(client))).json
    expect(await about('rt-1')).toEqual({
      active: true,
      client_id: 'web',
      sub: 'alice',
      scope: 'read',
      iss: 'https://server.example',
      iat: start,
      exp: start + 1_209_600,
      token_type: 'refresh_token',
    })
    expect(await about('rt-1', other)).toEqual({ active: false })
    expect(await about('rt-2')).toEqual({ active: false })
    await server.refresh('rt-1')
    expect(await about('rt-1')).toEqual({ active: false })
    expect(await about('rt-2')).toMatchObject({ active: true })
  })
})

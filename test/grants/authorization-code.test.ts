/** The authorization code grant: G1 to G3, and what it must not consume (G15). */
import { createHash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { newSecretText } from '../../src/authorization/credentials.js'
import { basic, code_challenge, code_verifier, exchange, native, redirect_uri, start, testServer, web } from '../support/server.js'
import {
  authorizationOf,
  invalidGrant,
  invalidRequest,
  invalidScope,
  isActive,
  reasons,
  recordOf,
  rewrite,
  storedServer,
} from '../support/stored.js'

const other = { ...web, client_id: 'other', client_secret: 'other-secret-0123456789abcdef' }
const relaxed = { ...web, client_id: 'relaxed', client_secret: 'relaxed-secret-0123456789abcdef', require_pkce: false }
const wrongVerifier = 'A'.repeat(43)

function without(form: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(form).filter(([key]) => key !== name))
}

describe('what a code must prove', () => {
  test('G1 a code is exchanged for tokens', async () => {
    const { server } = storedServer()
    const code = await server.code({ scope: 'read write' })
    const body = `grant_type=authorization_code&code=${code}&redirect_uri=https%3A%2F%2Fclient.example%2Fcallback&code_verifier=${code_verifier}`
    const response = await server.token(body, basic(web))
    expect(response.status).toBe(200)
    expect(response.headers).toEqual({ 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache' })
    const id = code.slice(0, 22)
    const secret = '[A-Za-z0-9_-]{43}'
    expect(response.body).toMatch(
      new RegExp(
        `^\\{"access_token":"${id}\\.${secret}","token_type":"Bearer","expires_in":3600,"refresh_token":"${id}\\.0\\.${secret}\\.${secret}","scope":"read write"\\}$`,
      ),
    )
  })

  test('G1 code is required', async () => {
    const server = testServer()
    expect(await server.token(without(exchange('x'), 'code'), basic(web))).toMatchObject(invalidRequest('code is required'))
    expect(await server.token(exchange(''), basic(web))).toMatchObject(invalidRequest('code is required'))
  })

  test('G1 unknown, malformed, foreign, expired and used codes get the same bytes', async () => {
    const { server } = storedServer({ clients: [web, other] })
    const used = await server.code()
    await server.token(exchange(used), basic(web))
    const foreign = await server.code()
    const unknown = newSecretText('0123456789abcdefghijkl')
    for (const code of [unknown, 'x', `${foreign}.`, `guard:${unknown}`, used]) {
      expect(await server.token(exchange(code), basic(web))).toMatchObject(invalidGrant)
    }
    expect(await server.token(exchange(foreign), basic(other))).toMatchObject(invalidGrant)
    server.now += 60
    expect(await server.token(exchange(foreign), basic(web))).toMatchObject(invalidGrant)
    expect(reasons(server)).toEqual([
      ...Array<string>(4).fill('unknown code'),
      'the code was used before',
      'it was issued to another client',
      'the code has expired',
    ])
  })

  test('G1 the right id with another secret is not the code', async () => {
    const { server } = storedServer()
    const code = await server.code()
    expect(await server.token(exchange(newSecretText(code.slice(0, 22))), basic(web))).toMatchObject(invalidGrant)
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
  })

  test('G1 an access token and a refresh token are not codes', async () => {
    const { server } = storedServer()
    const { access_token, refresh_token } = await server.tokens()
    expect(await server.token(exchange(access_token), basic(web))).toMatchObject(invalidGrant)
    expect(await server.token(exchange(refresh_token), basic(web))).toMatchObject(invalidGrant)
    expect(await isActive(server, access_token)).toBe(true)
  })

  test('G1 a code of a client cannot be used by another, public or confidential', async () => {
    const { server } = storedServer({ clients: [web, other, native] })
    const code = await server.code()
    expect(await server.token(exchange(code), basic(other))).toMatchObject(invalidGrant)
    expect(await server.token({ ...exchange(code), client_id: 'native' })).toMatchObject(invalidGrant)
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
  })

  test.each([`${redirect_uri}/`, `${redirect_uri}?a=1`, 'https://CLIENT.example/callback', 'https://client.example/%63allback', 'x'])(
    'G1 redirect_uri %s is not the one of the authorization request',
    async (wrong) => {
      const { server } = storedServer()
      const code = await server.code()
      expect(await server.token({ ...exchange(code), redirect_uri: wrong }, basic(web))).toMatchObject(invalidGrant)
      expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
    },
  )

  test('G1 redirect_uri is required where the authorization request named it', async () => {
    const server = testServer()
    const code = await server.code()
    const form = without(exchange(code), 'redirect_uri')
    expect(await server.token(form, basic(web))).toMatchObject(invalidRequest('redirect_uri is required'))
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
  })

  test('G1 redirect_uri may be missing where the authorization request did not name it, but not differ', async () => {
    const server = testServer()
    const first = await server.code({ redirect_uri: undefined })
    expect(await server.token({ ...exchange(first), redirect_uri: 'https://client.example/' }, basic(web))).toMatchObject(invalidGrant)
    expect(await server.token(without(exchange(first), 'redirect_uri'), basic(web))).toMatchObject({ status: 200 })
    const second = await server.code({ redirect_uri: undefined })
    expect(await server.token(exchange(second), basic(web))).toMatchObject({ status: 200 })
  })

  test('G1 a code of a revoked Authorization is worth nothing', async () => {
    const { server, store } = storedServer()
    const code = await server.code()
    await rewrite(store, code, (authorization) => ({ ...authorization, revokedAt: start }))
    expect(await server.token(exchange(code), basic(web))).toMatchObject(invalidGrant)
  })
})

describe('PKCE', () => {
  test.each([web, native])('G2 client $client_id gets no code without a challenge', async ({ client_id }) => {
    const issued = testServer().code({ client_id, code_challenge: undefined, code_challenge_method: undefined })
    await expect(issued).rejects.toMatchObject({ name: 'InvalidRequest', description: 'code_challenge is required' })
  })

  test('G2 a confidential client registered with require_pkce: false may go without', async () => {
    const server = testServer({ clients: [relaxed] })
    const code = await server.code({ client_id: 'relaxed', code_challenge: undefined, code_challenge_method: undefined })
    expect(await server.token(without(exchange(code), 'code_verifier'), basic(relaxed))).toMatchObject({ status: 200 })
  })

  test('G2 a verifier for a code without challenge is refused, and burns nothing', async () => {
    const server = testServer({ clients: [relaxed] })
    const code = await server.code({ client_id: 'relaxed', code_challenge: undefined, code_challenge_method: undefined })
    expect(await server.token(exchange(code), basic(relaxed))).toMatchObject(invalidGrant)
    expect(await server.token(without(exchange(code), 'code_verifier'), basic(relaxed))).toMatchObject({ status: 200 })
  })

  test.each([web, relaxed])('G2 client $client_id must answer a challenge that it sent', async (client) => {
    const server = testServer({ clients: [web, relaxed] })
    const code = await server.code({ client_id: client.client_id })
    const form = without(exchange(code), 'code_verifier')
    expect(await server.token(form, basic(client))).toMatchObject(invalidRequest('code_verifier is required'))
    expect(await server.token(exchange(code), basic(client))).toMatchObject({ status: 200 })
  })

  test.each(['A'.repeat(42), 'A'.repeat(129), `${'A'.repeat(42)}+`, `${'A'.repeat(42)}é`, `${'A'.repeat(43)}\n`])(
    'G2 the malformed verifier %j burns nothing',
    async (malformed) => {
      const server = testServer()
      const code = await server.code()
      expect(await server.token({ ...exchange(code), code_verifier: malformed }, basic(web))).toMatchObject(
        invalidRequest('code_verifier must be 43 to 128 unreserved characters'),
      )
      expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
    },
  )

  test.each(['A'.repeat(43), 'a'.repeat(128), `-._~${'0'.repeat(40)}`])('G2 the verifier %s is well-formed', async (verifier) => {
    const server = testServer()
    const code = await server.code({ code_challenge: createHash('sha256').update(verifier).digest('base64url') })
    expect(await server.token({ ...exchange(code), code_verifier: verifier }, basic(web))).toMatchObject({ status: 200 })
  })

  test.each([wrongVerifier, code_challenge, code_verifier.toLowerCase()])('G2 the wrong verifier %s burns the code', async (wrong) => {
    const server = testServer()
    const code = await server.code()
    expect(await server.token({ ...exchange(code), code_verifier: wrong }, basic(web))).toMatchObject(invalidGrant)
    expect(await server.token(exchange(code), basic(web))).toMatchObject(invalidGrant)
    expect(await server.token({ ...exchange(code), code_verifier: wrong }, basic(web))).toMatchObject(invalidGrant)
    expect(server.events.filter(({ type }) => type === 'code.burnt')).toHaveLength(1)
    expect(reasons(server)).toEqual([
      'wrong code_verifier',
      ...Array<string>(2).fill('the code was presented with a wrong verifier before'),
    ])
  })

  test('G2 the wrong verifier of a public client burns its code too', async () => {
    const server = testServer()
    const code = await server.code({ client_id: 'native' })
    const form = { ...exchange(code), client_id: 'native' }
    expect(await server.token({ ...form, code_verifier: wrongVerifier })).toMatchObject(invalidGrant)
    expect(await server.token(form)).toMatchObject(invalidGrant)
  })
})

describe('once, and not for long', () => {
  test('G3 a code works until 59 seconds after it was issued', async () => {
    const server = testServer()
    const code = await server.code()
    server.now += 59
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
  })

  test('G3 a code ends after 60 seconds, whatever else its Authorization lives for', async () => {
    const { server, store } = storedServer()
    const code = await server.code()
    await rewrite(store, code, (authorization) => ({ ...authorization, expiresAt: start + 1000 }))
    server.now += 60
    expect(await server.token(exchange(code), basic(web))).toMatchObject(invalidGrant)
    expect(reasons(server)).toEqual(['the code has expired'])
  })

  test('G3 codeLifetime is at most 600', async () => {
    const server = testServer({ codeLifetime: 600 })
    const code = await server.code()
    server.now += 599
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
    await expect(testServer({ codeLifetime: 601 }).code()).rejects.toThrow('codeLifetime must be a whole number from 1 to 600, not 601')
  })

  test('G3 a code works once, of 50 at the same time', async () => {
    const server = testServer()
    const code = await server.code()
    const responses = await Promise.all(Array.from({ length: 50 }, () => server.token(exchange(code), basic(web))))
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(responses.filter(({ json }) => json.error === 'invalid_grant')).toHaveLength(49)
  })

  test('G3 a second use that proves possession revokes what the first one got', async () => {
    const { server, store } = storedServer()
    const code = await server.code()
    const { json: first } = await server.token(exchange(code), basic(web))
    const { json: second } = await server.refresh(first.refresh_token ?? '')
    server.now += 120
    expect(await isActive(server, second.access_token ?? '')).toBe(true)
    expect(await server.token(exchange(code), basic(web))).toMatchObject(invalidGrant)
    for (const token of [first.access_token, second.access_token, second.refresh_token]) {
      expect(await isActive(server, token ?? '')).toBe(false)
    }
    expect(await server.refresh(second.refresh_token ?? '')).toMatchObject(invalidGrant)
    expect(server.events.filter(({ type }) => type === 'code.replayed')).toHaveLength(1)
    const { version } = await recordOf(store, code)
    expect(await server.token(exchange(code), basic(web))).toMatchObject(invalidGrant)
    expect((await recordOf(store, code)).version).toBe(version)
  })

  test('G3 a second use is a replay whatever scope it asks for', async () => {
    const server = testServer()
    const code = await server.code({ scope: 'read' })
    const { json } = await server.token(exchange(code), basic(web))
    expect(await server.token({ ...exchange(code), scope: 'admin' }, basic(web))).toMatchObject(invalidGrant)
    expect(await isActive(server, json.access_token ?? '')).toBe(false)
  })

  const unproven: [string, Record<string, string>, Record<string, string>][] = [
    ['with a wrong verifier', { code_verifier: wrongVerifier }, basic(web)],
    ['with a wrong redirect_uri', { redirect_uri: 'https://client.example/' }, basic(web)],
    ['by another client', {}, basic(other)],
    ['by a client with a wrong secret', {}, basic({ ...web, client_secret: 'wrong' })],
    ['without a verifier', { code_verifier: '' }, basic(web)],
    ['without redirect_uri', { redirect_uri: '' }, basic(web)],
  ]
  test.each(unproven)('G3 a second use %s only fails', async (_how, wrong, headers) => {
    const { server, store } = storedServer({ clients: [web, other] })
    const code = await server.code()
    const { json } = await server.token(exchange(code), basic(web))
    const { version } = await recordOf(store, code)
    expect((await server.token({ ...exchange(code), ...wrong }, headers)).status).toBeGreaterThanOrEqual(400)
    expect((await recordOf(store, code)).version).toBe(version)
    expect(await isActive(server, json.access_token ?? '')).toBe(true)
    expect(await server.refresh(json.refresh_token ?? '')).toMatchObject({ status: 200 })
  })
})

describe('what consumes nothing', () => {
  const refused: [string, Record<string, string>, Record<string, string>, object][] = [
    ['without authentication', {}, {}, { status: 401 }],
    ['with a wrong secret', {}, basic({ ...web, client_secret: 'wrong' }), { status: 401 }],
    ['of another client', {}, basic(other), invalidGrant],
    ['of another client with a wrong verifier', { code_verifier: wrongVerifier }, basic(other), invalidGrant],
    ['with a wrong redirect_uri and a wrong verifier', { redirect_uri: 'x:', code_verifier: wrongVerifier }, basic(web), invalidGrant],
    ['without grant_type', { grant_type: '' }, basic(web), invalidRequest('grant_type is required')],
    ['with two identities', { client_id: 'other' }, basic(web), { status: 400 }],
  ]
  test.each(refused)('G15 a request %s spoils no code', async (_how, wrong, headers, expected) => {
    const { server, store } = storedServer({ clients: [web, other] })
    const code = await server.code({ scope: 'read write' })
    const { version } = await recordOf(store, code)
    expect(await server.token({ ...exchange(code), ...wrong }, headers)).toMatchObject(expected)
    expect((await recordOf(store, code)).version).toBe(version)
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
  })

  test('G15 a code whose scope the server has given up altogether is not consumed', async () => {
    const { server, store } = storedServer()
    const code = await server.code({ scope: 'write' })
    const shrunk = testServer({ store, scopes: ['read'] })
    expect(await shrunk.token(exchange(code), basic(web))).toMatchObject(invalidScope)
    expect(await authorizationOf(store, code)).toMatchObject({ code: { status: 'issued' } })
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200, json: { scope: 'write' } })
  })
})

/** The revocation endpoint: row N2. */
import { describe, expect, it } from '@jest/globals'
import { clientCredentials, createRevocationResponse, memoryStore, type AccessTokenFormat, type Store } from '../src/index.js'
import { basic, formRequest, machine, native, parsed, testServer, web, type TestServer } from './support/server.js'

const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache' }
const done = { status: 200, headers, body: '{}', json: {} }

async function isActive(server: TestServer, token: string, client: { client_id: string; client_secret: string } = web): Promise<unknown> {
  return (await server.introspect({ token }, basic(client))).json.active
}

describe('one token', () => {
  it('N2 an access token ends, its refresh token lives on', async () => {
    const server = testServer()
    const { access_token, refresh_token } = await server.tokens()
    expect(await server.revoke(`token=${access_token}`, basic(web))).toEqual(done)
    expect(await isActive(server, access_token)).toBe(false)
    expect((await server.refresh(refresh_token)).status).toBe(200)
    expect(server.events.filter(({ type }) => type === 'token.revoked')).toMatchObject([{ client_id: 'web', subject: 'alice' }])
  })

  it('N2 of two access tokens of one Authorization only the one named ends', async () => {
    const server = testServer()
    const first = await server.tokens()
    const second = (await server.refresh(first.refresh_token)).json
    await server.revoke({ token: first.access_token }, basic(web))
    expect(await isActive(server, first.access_token)).toBe(false)
    expect(await isActive(server, second.access_token ?? '')).toBe(true)
  })

  it('N2 a refresh token ends its Authorization and every access token of it', async () => {
    const server = testServer()
    const first = await server.tokens()
    const second = (await server.refresh(first.refresh_token)).json
    expect(await server.revoke({ token: second.refresh_token ?? '' }, basic(web))).toEqual(done)
    for (const token of [first.access_token, second.access_token, second.refresh_token])
      expect(await isActive(server, token ?? '')).toBe(false)
    expect((await server.refresh(second.refresh_token ?? '')).json.error).toBe('invalid_grant')
    expect(server.events.filter(({ type }) => type === 'authorization.revoked')).toHaveLength(1)
  })

  it('N2 a refresh token that was rotated ends its Authorization too', async () => {
    const server = testServer()
    const { refresh_token } = await server.tokens()
    const { json } = await server.refresh(refresh_token)
    await server.revoke({ token: refresh_token }, basic(web))
    expect(await isActive(server, json.access_token ?? '')).toBe(false)
    expect((await server.refresh(json.refresh_token ?? '')).json.error).toBe('invalid_grant')
  })

  it.each(['access_token', 'refresh_token', 'unknown_kind', ''])('N2 both kinds end whatever the hint: %j', async (token_type_hint) => {
    const server = testServer()
    const one = await server.tokens()
    await server.revoke({ token: one.access_token, token_type_hint }, basic(web))
    expect(await isActive(server, one.access_token)).toBe(false)
    await server.revoke({ token: one.refresh_token, token_type_hint }, basic(web))
    expect(await isActive(server, one.refresh_token)).toBe(false)
  })

  it('N2 a token of client_credentials ends', async () => {
    const server = testServer()
    const { json } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
    const { access_token = '' } = json
    expect(await isActive(server, access_token, machine)).toBe(true)
    expect(await server.revoke({ token: access_token }, basic(machine))).toEqual(done)
    expect(await isActive(server, access_token, machine)).toBe(false)
  })

  it('N2 a second revocation is 200 and changes nothing', async () => {
    const server = testServer()
    const { refresh_token } = await server.tokens()
    await server.revoke({ token: refresh_token }, basic(web))
    const before = server.events.length
    expect(await server.revoke({ token: refresh_token }, basic(web))).toEqual(done)
    expect(server.events).toHaveLength(before)
  })

  it('F7 N2 a token that carries everything itself, and has no Authorization, is noted and inactive from then on', async () => {
    const accessTokens: AccessTokenFormat = {
      name: 'plain',
      kind: 'self-contained',
      issue: () => 'self-contained',
      read: (text) => {
        if (text !== 'self-contained') return undefined
        const token = {
          client_id: 'machine',
          subject: undefined,
          scope: [],
          audience: [],
          issuedAt: 0,
          expiresAt: 5_000_000_000,
          jti: 'j-1',
          claims: {},
        }
        return { ...token, kind: 'self-contained', authorization_id: undefined }
      },
    }
    const server = testServer({ accessTokens })
    expect(await server.revoke({ token: 'self-contained' }, basic(web))).toEqual(done)
    expect(await isActive(server, 'self-contained', machine)).toBe(true)
    expect(await server.revoke({ token: 'self-contained' }, basic(machine))).toEqual(done)
    expect(await isActive(server, 'self-contained', machine)).toBe(false)
    expect(server.events.filter(({ type }) => type === 'token.revoked')).toMatchObject([{ client_id: 'machine' }])
  })
})

describe('somebody else', () => {
  it('N2 a foreign token is 200, and lives', async () => {
    const other = { ...web, client_id: 'other', client_secret: 'other-secret' }
    const server = testServer({ clients: [web, other] })
    const { access_token, refresh_token } = await server.tokens()
    expect(await server.revoke({ token: access_token }, basic(other))).toEqual(done)
    expect(await server.revoke({ token: refresh_token }, basic(other))).toEqual(done)
    expect(await isActive(server, access_token)).toBe(true)
    expect(await isActive(server, refresh_token)).toBe(true)
    expect(server.events.filter(({ type }) => type.endsWith('.revoked'))).toEqual([])
  })

  it('N2 an unknown token is 200, and its neighbours live', async () => {
    const server = testServer()
    const { access_token, refresh_token } = await server.tokens()
    const id = access_token.slice(0, 22)
    const invented = `${id}.0.${'a'.repeat(43)}.${'b'.repeat(43)}`
    for (const token of ['x', '0', '\u0000', id, `${id}.${'a'.repeat(43)}`, invented, 'a'.repeat(10_000), '__proto__']) {
      expect(await server.revoke({ token }, basic(web))).toEqual(done)
    }
    expect(server.events.filter(({ type }) => type.endsWith('.revoked'))).toEqual([])
    expect(await isActive(server, access_token)).toBe(true)
    expect((await server.refresh(refresh_token)).status).toBe(200)
  })

  it('N2 a code is not a token: it is 200, and can still be redeemed', async () => {
    const server = testServer()
    const code = await server.code()
    expect(await server.revoke({ token: code }, basic(web))).toEqual(done)
    const { status } = await server.token({ grant_type: 'authorization_code', code, code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk', redirect_uri: 'https://client.example/callback' }, basic(web)) // prettier-ignore
    expect(status).toBe(200)
  })

  it('N2 C3 a public client revokes its own token by its client_id', async () => {
    const server = testServer({ clients: [native, { ...web, introspect: true }] })
    const { access_token } = await server.tokens({ client_id: 'native' })
    expect(await isActive(server, access_token)).toBe(true)
    expect(await server.revoke({ token: access_token, client_id: 'native' })).toEqual(done)
    expect(await isActive(server, access_token)).toBe(false)
  })
})

describe('the request', () => {
  it('N2 without authentication, or with a wrong secret: 401, and the token lives', async () => {
    const server = testServer()
    const { access_token } = await server.tokens()
    for (const headers of [{}, basic({ ...web, client_secret: 'wrong' })] as Record<string, string>[]) {
      const response = await server.revoke({ token: access_token }, headers)
      expect(response.body).toBe('{"error":"invalid_client","error_description":"client authentication failed"}')
      expect(response.status).toBe(401)
    }
    expect(await isActive(server, access_token)).toBe(true)
  })

  it.each(['', 'token=', 'token_type_hint=access_token'])('N2 without a token (%j): 400', async (form) => {
    const response = await testServer().revoke(form, basic(web))
    expect(response.body).toBe('{"error":"invalid_request","error_description":"token is required"}')
    expect(response.status).toBe(400)
  })

  it.each([
    [{ method: 'GET' }, 405, 'the revocation endpoint answers POST only'],
    [{ url: 'http://server.example/revoke' }, 400, 'the revocation endpoint requires https'],
    [{ url: 'https://server.example/revoke#a' }, 400, 'the request target must not have a fragment'],
    [{ headers: { 'content-type': 'application/json' } }, 415, 'the body must be application/x-www-form-urlencoded in UTF-8'],
    [{ body: 'token=a&token=b' }, 400, 'token is included more than once'],
    [{ body: 'token=%zz' }, 400, 'the body is not valid application/x-www-form-urlencoded'],
  ])('N2 the rules of the transport hold: %j is %i', async (change, status, error_description) => {
    const request = { ...formRequest({ token: 'a' }, basic(web)), ...change }
    const response = parsed(await createRevocationResponse(testServer().options, request))
    expect(response.json).toEqual({ error: 'invalid_request', error_description })
    expect(response.status).toBe(status)
    expect(response.headers.Allow).toBe(status === 405 ? 'POST' : undefined)
  })
})

describe('the write', () => {
  it.each(['access_token', 'refresh_token'] as const)('N2 never 200 when the write of a revoked %s failed', async (kind) => {
    let broken = false
    const inner = memoryStore({ clock: () => server.now })
    const store: Store = {
      ...inner,
      replace: (record, version) => (broken ? Promise.reject(new Error('disk full')) : inner.replace(record, version)),
    }
    const server = testServer({ store })
    const tokens = await server.tokens()
    broken = true
    const { status, json, headers } = await server.revoke({ token: tokens[kind] }, basic(web))
    expect(json).toEqual({ error: 'temporarily_unavailable', error_description: 'the server is temporarily unable to answer' })
    expect(status).toBe(503)
    expect(headers['Retry-After']).toMatch(/^[1-3]$/)
    broken = false
    expect(await isActive(server, tokens[kind])).toBe(true)
    expect(await server.revoke({ token: tokens[kind] }, basic(web))).toEqual(done)
    expect(await isActive(server, tokens[kind])).toBe(false)
  })

  it('N2 a lost race is decided again, until it is written', async () => {
    let lost = 0
    const inner = memoryStore({ clock: () => server.now })
    const store: Store = {
      ...inner,
      replace: (record, version) =>
        record.data.revokedAt !== undefined && lost++ < 3 ? Promise.resolve(false) : inner.replace(record, version),
    }
    const server = testServer({ store })
    const { refresh_token } = await server.tokens()
    expect(await server.revoke({ token: refresh_token }, basic(web))).toEqual(done)
    expect(lost).toBe(4)
    expect(await isActive(server, refresh_token)).toBe(false)
  })

  it('N2 a race that is lost until the deadline is 503, not 200', async () => {
    const inner = memoryStore({ clock: () => server.now })
    const store: Store = {
      ...inner,
      replace: (record, version) => (record.data.revokedAt === undefined ? inner.replace(record, version) : Promise.resolve(false)),
    }
    const server = testServer({ store, storeTimeout: 30 })
    const { refresh_token } = await server.tokens()
    expect((await server.revoke({ token: refresh_token }, basic(web))).status).toBe(503)
  })

  it('N2 where refresh tokens are not served, access tokens can be revoked', async () => {
    const server = testServer({ grants: [clientCredentials()], refreshable: false })
    const { json } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
    expect(await server.revoke({ token: json.access_token ?? '' }, basic(machine))).toEqual(done)
    expect(await isActive(server, json.access_token ?? '', machine)).toBe(false)
  })
})

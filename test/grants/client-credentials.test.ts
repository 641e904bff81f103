/** The client credentials grant (G7), and how long access tokens live (G12). */
import { describe, expect, test } from '@jest/globals'
import { authorizationCode, clientCredentials, refreshToken, type DecidedRequest, type ServerOptions } from '../../src/index.js'
import { basic, machine, native, testServer, web } from '../support/server.js'
import { invalidScope, storedServer } from '../support/stored.js'

const form = { grant_type: 'client_credentials' }
const seconds = { ...machine, accessTokenLifetime: 11 }

describe('a client that acts for itself', () => {
  test('G7 it gets an access token and nothing else', async () => {
    const server = testServer()
    const response = await server.token('grant_type=client_credentials&scope=write+read', basic(machine))
    expect(response.status).toBe(200)
    expect(response.headers).toEqual({ 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache' })
    expect(response.body).toMatch(
      /^\{"access_token":"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}","token_type":"Bearer","expires_in":3600,"scope":"write read"\}$/,
    )
  })

  test('G7 never a refresh token, even for a client that may use them', async () => {
    const { server, store } = storedServer({
      clients: [{ ...machine, grant_types: ['client_credentials', 'refresh_token'] }],
      refreshable: () => true,
    })
    const { json } = await server.token(form, basic(machine))
    expect(Object.keys(json)).toEqual(['access_token', 'token_type', 'expires_in', 'scope'])
    const record = await store.get((json.access_token ?? '').slice(0, 22))
    expect(record?.data).not.toHaveProperty('refreshToken')
  })

  test('G7 it has no subject of its own', async () => {
    const { server, store } = storedServer()
    const { json } = await server.token(form, basic(machine))
    expect(await store.get((json.access_token ?? '').slice(0, 22))).not.toHaveProperty('subject')
    expect(await server.introspect({ token: json.access_token ?? '' }, basic(machine))).toMatchObject({ json: { sub: 'machine' } })
  })

  test('G7 not for public clients, whatever they are registered for', async () => {
    const registered = { ...native, grant_types: ['authorization_code', 'client_credentials'] }
    const server = testServer({ clients: () => registered })
    expect(await server.token({ ...form, client_id: 'native' })).toMatchObject({
      status: 400,
      body: '{"error":"unauthorized_client","error_description":"the client is not authorized to use this grant type"}',
    })
  })

  test('G7 not for a client that is not registered for it', async () => {
    expect(await testServer().token(form, basic(web))).toMatchObject({ status: 400, json: { error: 'unauthorized_client' } })
  })

  test('G7 scope stays within the client’s', async () => {
    const server = testServer({ clients: [{ ...machine, scope: 'read write' }] })
    expect(await server.token(form, basic(machine))).toMatchObject({ json: { scope: 'read write' } })
    expect(await server.token({ ...form, scope: 'write' }, basic(machine))).toMatchObject({ json: { scope: 'write' } })
    expect(await server.token({ ...form, scope: 'read admin' }, basic(machine))).toMatchObject(invalidScope)
  })
})

describe('lifetime', () => {
  async function expiresIn(options: ServerOptions): Promise<unknown> {
    const server = testServer(options)
    const { json } = await server.token(form, basic(machine))
    const token = json.access_token ?? ''
    server.now += Number(json.expires_in) - 1
    expect(await server.introspect({ token }, basic(machine))).toMatchObject({ json: { active: true, exp: server.now + 1 } })
    server.now += 1
    expect((await server.introspect({ token }, basic(machine))).body).toBe('{"active":false}')
    return json.expires_in
  }

  test.each<[string, number, ServerOptions]>([
    ['by default', 3600, {}],
    ['of the server', 17, { accessTokenLifetime: 17 }],
    [
      'of the grant before the server’s',
      13,
      { accessTokenLifetime: 17, grants: [clientCredentials({ accessTokenLifetime: 13 }), authorizationCode(), refreshToken()] },
    ],
    [
      'of the client before the grant’s',
      11,
      { clients: [seconds], grants: [clientCredentials({ accessTokenLifetime: 13 }), authorizationCode()] },
    ],
    ['of the client before the server’s', 11, { clients: [seconds], accessTokenLifetime: 17 }],
    ['of a function before all', 7, { clients: [seconds], accessTokenLifetime: () => 7 }],
  ])('G12 the lifetime %s is %d, and expires_in tells the truth', async (_whose, expected, options) => {
    expect(await expiresIn(options)).toBe(expected)
  })

  test('G12 grants have lifetimes of their own', async () => {
    const server = testServer({
      grants: [authorizationCode({ accessTokenLifetime: 20 }), refreshToken({ accessTokenLifetime: 30 }), clientCredentials()],
      clients: [web],
    })
    const tokens = await server.tokens()
    expect(tokens.expires_in).toBe(20)
    expect((await server.refresh(tokens.refresh_token)).json.expires_in).toBe(30)
  })

  test('G12 the function knows the request', async () => {
    const seen: DecidedRequest[] = []
    const server = testServer({
      accessTokenLifetime(request) {
        seen.push(request)
        return request.scope.includes('admin') ? 60 : 600
      },
    })
    expect((await server.token({ ...form, scope: 'admin' }, basic(machine))).json.expires_in).toBe(60)
    expect((await server.token({ ...form, scope: 'read' }, basic(machine))).json.expires_in).toBe(600)
    expect(seen[0]).toMatchObject({
      grant_type: 'client_credentials',
      client: { client_id: 'machine' },
      subject: undefined,
      scope: ['admin'],
    })
  })

  test.each([0, -1, 1.5, NaN, Infinity, 31_536_001, '60', undefined])(
    'G12 a function that answers %p is a server error',
    async (answer) => {
      const { server, store } = storedServer({ accessTokenLifetime: () => answer as number })
      expect(await server.token(form, basic(machine))).toMatchObject({
        status: 500,
        body: '{"error":"server_error","error_description":"the server met an unexpected condition"}',
      })
      expect(store.size).toBe(0)
    },
  )
})

/** A protected resource: its metadata document (RFC 9728), the challenges of its guard, and the verifier for MCP servers. */
import { afterEach, describe, expect, test } from '@jest/globals'
import express from 'express'
import { createServer, type Server } from 'node:http'
import request from 'supertest'
import {
  OAuthError,
  protectedResourceHandler,
  requireAccessToken,
  tokenVerifier,
  type AccessTokenRequirement,
  type AuthInfo,
  type ProtectedResourceOptions,
  type ServerOptions,
} from '../../src/index.js'
import { basic, machine, testServer, type TestServer } from '../support/server.js'
import { storeWithout } from './failing-store.js'
import { issuer } from './site.js'

const mcp = 'https://api.example.com/mcp'
const files = 'https://files.example.com'
const place = '/.well-known/oauth-protected-resource/mcp'
const resource_metadata = `https://api.example.com${place}`

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

function serve(app: express.Express): Server {
  const server = createServer(app)
  servers.push(server)
  return server
}

function document(options: ServerOptions = {}, about?: ProtectedResourceOptions) {
  const { options: oauth } = testServer({ issuer, resources: [mcp], ...options })
  return request(serve(express().use(place, protectedResourceHandler(oauth, about))))
}

describe('M3 the document of a resource', () => {
  test('M3 says who authorizes, byte for byte', async () => {
    const response = await document({ issuer: 'https://as.example/' }).get(place)
    expect(response.status).toBe(200)
    expect(response.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'public, max-age=300',
      'access-control-allow-origin': '*',
    })
    expect(response.body).toEqual({
      resource: mcp,
      authorization_servers: ['https://as.example/'],
      scopes_supported: ['read', 'write', 'admin'],
      bearer_methods_supported: ['header'],
    })
  })

  test('M3 its scopes and name are said; offline_access never', async () => {
    const options = { scopes: ['read', 'offline_access'], resources: [mcp, files] }
    const about = { resource: 'HTTPS://API.example.com/mcp', scopes: ['offline_access', 'read'], name: 'Files & more', maxAge: 60 }
    const response = await document(options, about).get(place)
    expect(response.headers['cache-control']).toBe('public, max-age=60')
    expect(response.body).toEqual({
      resource: mcp,
      authorization_servers: [issuer],
      scopes_supported: ['read'],
      bearer_methods_supported: ['header'],
      resource_name: 'Files & more',
    })
    expect((await document({ scopes: ['read', 'offline_access'] }).get(place)).body).toMatchObject({ scopes_supported: ['read'] })
  })

  test.each([{}, { cors: { origins: ['https://other.example'] } }])(
    'M3 T12 any page may read it, and ask beforehand %j',
    async (options) => {
      const preflight = await document(options).options(place).set({
        origin: 'https://page.example',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'mcp-protocol-version',
      })
      expect(preflight.status).toBe(204)
      expect(preflight.headers).toMatchObject({ 'access-control-allow-origin': '*', 'access-control-allow-methods': 'GET' })
      expect(preflight.headers['access-control-allow-headers']).toContain('Mcp-Protocol-Version')
      const answered = await document(options).get(place).set('origin', 'https://page.example')
      expect(answered.headers['access-control-allow-origin']).toBe('*')
      expect(answered.headers).not.toHaveProperty('access-control-allow-credentials')
    },
  )

  test('M3 is read only', async () => {
    const response = await document().post(place).send('a=b')
    expect(response.status).toBe(405)
    expect(response.headers).toMatchObject({ allow: 'GET, HEAD', 'access-control-allow-origin': '*' })
  })

  test.each<[string, ServerOptions, ProtectedResourceOptions | undefined, RegExp]>([
    ['without issuer', { issuer: undefined } as unknown as ServerOptions, undefined, /issuer/],
    ['without resources', { resources: [] }, undefined, /resource/],
    ['with several and none named', { resources: [mcp, files] }, undefined, /resource/],
    ['with an unknown one', {}, { resource: files }, /resource/],
    ['with a misspelt option', {}, { scope: ['read'] } as ProtectedResourceOptions, /scope/],
    ['with a wrong lifetime', {}, { maxAge: -1 }, /maxAge/],
  ])('M3 %s it stops the start', (_what, options, about, message) => {
    expect(() => document(options, about)).toThrow(message)
  })
})

/** An API whose guard has this requirement; answers with what the guard found. */
async function guarded(requirement: AccessTokenRequirement, options: ServerOptions = {}) {
  const server = testServer({ issuer, resources: [mcp], ...options })
  const app = express().use('/mcp', requireAccessToken(server.options, requirement), (req: express.Request & { auth?: AuthInfo }, res) => {
    res.json(req.auth ?? null)
  })
  const http = serve(app)
  return {
    server,
    get: (token?: string, path = '/mcp') => {
      const asking = request(http).get(path)
      return token === undefined ? asking : asking.set('authorization', `Bearer ${token}`)
    },
    preflight: () => request(http).options('/mcp').set({ origin: 'https://page.example', 'access-control-request-method': 'POST' }),
  }
}

async function machineToken(server: TestServer, form: Record<string, string> = {}): Promise<string> {
  const { json } = await server.token({ grant_type: 'client_credentials', ...form }, basic(machine))
  return json.access_token ?? ''
}

describe('M4 challenges', () => {
  test('M4 401 without a token: where to look, and all the scope that is needed', async () => {
    const { get } = await guarded({ scope: 'read write' })
    const response = await get()
    expect(response.status).toBe(401)
    expect(response.headers['www-authenticate']).toBe(`Bearer realm="oauth2", scope="read write", resource_metadata="${resource_metadata}"`)
    expect(response.headers['content-type']).toBe('application/json')
  })

  test('M4 401 with a bad token, 403 with too little scope', async () => {
    const { get, server } = await guarded({ scope: ['read', 'write'] })
    const bad = await get('nonsense')
    expect(bad.status).toBe(401)
    expect(bad.headers['www-authenticate']).toBe(
      'Bearer realm="oauth2", error="invalid_token", error_description="the access token is invalid, expired, or was revoked", ' +
        `scope="read write", resource_metadata="${resource_metadata}"`,
    )
    const poor = await get(await machineToken(server, { scope: 'read' }))
    expect(poor.status).toBe(403)
    expect(poor.headers['www-authenticate']).toBe(
      'Bearer realm="oauth2", error="insufficient_scope", error_description="the access token lacks a scope that is needed", ' +
        `scope="read write", resource_metadata="${resource_metadata}"`,
    )
  })

  test('M4 the scope may depend on the request', async () => {
    const scope = (req: express.Request) => (req.query.deep === undefined ? ['read'] : 'read admin')
    const { get, server } = await guarded({ scope })
    const token = await machineToken(server, { scope: 'read' })
    expect((await get(token)).status).toBe(200)
    const refused = await get(token, '/mcp?deep')
    expect(refused.status).toBe(403)
    expect(refused.headers['www-authenticate']).toContain('scope="read admin"')
  })

  test.each([() => 'reed', () => { throw new Error('secret detail') }])('M4 R4 a scope function that fails is 500 without detail', async (scope) => {
    const { get, server } = await guarded({ scope })
    const response = await get(await machineToken(server))
    expect({ status: response.status, body: response.body as unknown }).toEqual({
      status: 500,
      body: { error: 'server_error', error_description: 'the server met an unexpected condition' },
    })
  }) // prettier-ignore

  test('M4 what a scope implies it implies through others, in a circle too', async () => {
    const implies = { admin: ['write'], write: ['read', 'admin'] }
    const { get, server } = await guarded({ scope: 'read' }, { implies })
    expect((await get(await machineToken(server, { scope: 'admin' }))).status).toBe(200)
    const strict = await guarded({ scope: 'admin' }, { implies: { admin: ['write'], write: ['read'] } })
    expect((await strict.get(await machineToken(strict.server, { scope: 'write' }))).status).toBe(403)
  })

  test('M4 T12 a preflight is not refused', async () => {
    expect((await (await guarded({})).preflight()).status).toBe(204)
    const preflight = await (await guarded({}, { cors: { origins: ['https://page.example'] } })).preflight()
    expect(preflight.status).toBe(204)
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': 'https://page.example',
      'access-control-expose-headers': 'WWW-Authenticate, Retry-After, Mcp-Session-Id',
    })
  })

  test('M1 a guard with a resource refuses tokens for any other, and those for nobody', async () => {
    const { get, server } = await guarded({ resource: mcp }, { resources: [mcp, files] })
    const good = await get(await machineToken(server, { resource: mcp }))
    expect(good.status).toBe(200)
    expect(good.body).toMatchObject({ clientId: 'machine', resource: mcp, scopes: ['read', 'write', 'admin'] })
    for (const token of [await machineToken(server, { resource: files }), await machineToken(server)]) {
      const refused = await get(token)
      expect(refused.status).toBe(401)
      expect(refused.headers['www-authenticate']).toContain('error="invalid_token"')
      expect(refused.headers['www-authenticate']).toContain(resource_metadata)
    }
  })

  test('M4 a resource that the server does not have stops the start', async () => {
    await expect(guarded({ resource: files })).rejects.toThrow(/not among the server's resources/)
    await expect(guarded({ resource: mcp, audience: mcp })).rejects.toThrow(/remove one of the two/)
  })
})

describe('M5 tokenVerifier', () => {
  class InvalidTokenError extends Error {}
  const invalidToken = (message: string) => new InvalidTokenError(message)

  test('M5 N1 an active token becomes what MCP servers read', async () => {
    const server = testServer({ issuer, resources: [mcp] })
    const { access_token } = await server.tokens({ scope: 'read', extra: { tenant: 7 } })
    expect(await tokenVerifier(server.options).verifyAccessToken(access_token)).toEqual({
      token: access_token,
      clientId: 'web',
      scopes: ['read'],
      expiresAt: server.now + 3600,
      resource: new URL(mcp),
      extra: { tenant: 7 },
      subject: 'alice',
      issuedAt: server.now,
    })
  })

  test('M5 a bad, foreign, revoked or expired token is the error of the SDK', async () => {
    const server = testServer({ issuer, resources: [mcp, files] })
    const verifier = tokenVerifier(server.options, { resource: mcp, invalidToken })
    const { access_token } = await server.tokens({ resource: mcp })
    const foreign = await machineToken(server, { resource: files })
    for (const token of ['', 'nonsense', `${access_token}x`, foreign]) {
      await expect(verifier.verifyAccessToken(token)).rejects.toThrow(InvalidTokenError)
    }
    server.now += 3600
    await expect(verifier.verifyAccessToken(access_token)).rejects.toThrow('the access token is invalid, expired, or was revoked')
    server.now -= 3600
    await server.revoke({ token: access_token }, basic({ client_id: 'web', client_secret: 'web-secret-0123456789abcdef' }))
    await expect(verifier.verifyAccessToken(access_token)).rejects.toThrow(InvalidTokenError)
    await expect(tokenVerifier(server.options).verifyAccessToken('x')).rejects.toThrow(OAuthError)
  })

  test('M5 I8 a store that fails is not the fault of the token', async () => {
    const server = testServer({ issuer, resources: [mcp], store: storeWithout('get') })
    const verifier = tokenVerifier(server.options, { invalidToken })
    await expect(verifier.verifyAccessToken(`${'a'.repeat(22)}.${'b'.repeat(43)}`)).rejects.toMatchObject({
      error: 'temporarily_unavailable',
    })
  })

  test('M5 a MAC token is no bearer token', async () => {
    const server = testServer({ issuer, resources: [mcp], authenticationMethod: 'mac' })
    await expect(tokenVerifier(server.options, { invalidToken }).verifyAccessToken(await machineToken(server))).rejects.toThrow(
      InvalidTokenError,
    )
  })

  test('M5 wrong options stop the start', () => {
    const { options } = testServer({ resources: [mcp] })
    expect(() => tokenVerifier(options, { resource: files })).toThrow(/resource/)
    expect(() => tokenVerifier(options, { scope: 'read' } as object)).toThrow(/scope/)
    expect(() => tokenVerifier(options, { invalidToken: 'x' as unknown as typeof invalidToken })).toThrow(/function/)
  })
})

/** Where the documents and endpoints are found, and what they say: U4, U5, U13, U17, U23, U24. */
import { afterAll, afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import {
  authorizationServer,
  createMetadataResponse,
  metadataHandler,
  protectedResourceHandler,
  requireAccessToken,
  tokenHandler,
  type AuthorizationServerParts,
  type CorsOptions,
  type Handler,
  type JsonObject,
  type MetadataOptions,
  type ServerOptions,
} from '../../src/index.js'
import { basic, machine, testServer } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { authorizePath } from './site.js'

const resources = new Resources()
const said = jest.spyOn(console, 'warn')
beforeEach(() => {
  said.mockReset()
})
afterEach(() => resources.close())
afterAll(() => {
  said.mockRestore()
})
const warnings = () => said.mock.calls.flat().filter((line) => !String(line).includes('allowInsecureTransport is on'))

const secure = { trustProxy: () => true }
const headers = { 'x-forwarded-proto': 'https' }

async function serve(issuer: string, parts: Partial<AuthorizationServerParts> = {}, mount = '', more: ServerOptions = {}) {
  const server = testServer({ issuer, ...secure, ...more })
  const seen: string[] = []
  const authorize: AuthorizationServerParts['authorize'] = (request, _req, res) => {
    seen.push(request.url)
    res.end('login')
    return undefined
  }
  const handler = authorizationServer(server.options, { authorize, ...parts })
  const { url } = await resources.listen(mount === '' ? express().use(handler) : express().use(mount, handler))
  const get = async (path: string) => {
    const response = await fetch(url + path, { headers })
    const text = await response.text()
    return { status: response.status, text }
  }
  const token = async (path: string) =>
    (await fetch(url + path, { method: 'POST', headers: { ...headers, ...basic(machine), 'content-type': 'application/x-www-form-urlencoded' }, body: 'grant_type=client_credentials' })).status // prettier-ignore
  return { server, seen, get, token }
}

describe('the documents of an issuer with a path', () => {
  test('U5 openid-configuration is at both places, and both are the same document', async () => {
    const { get } = await serve('https://as.example/tenant', { openidConfiguration: true })
    const inserted = await get('/.well-known/openid-configuration/tenant')
    expect(inserted).toMatchObject({ status: 200 })
    expect(await get('/tenant/.well-known/openid-configuration')).toEqual(inserted)
    expect(await get('/.well-known/oauth-authorization-server/tenant')).toEqual(inserted)
    // RFC 8414 §3.1 knows the inserted place only
    expect((await get('/tenant/.well-known/oauth-authorization-server')).status).toBe(404)
    expect((await get('/.well-known/openid-configuration')).status).toBe(404)
  })

  test('U5 without a path there is one place, and without the option none', async () => {
    const { get } = await serve('https://as.example', { openidConfiguration: true })
    expect((await get('/.well-known/openid-configuration')).status).toBe(200)
    const without = await serve('https://as.example/tenant')
    for (const path of ['/.well-known/openid-configuration/tenant', '/tenant/.well-known/openid-configuration'])
      expect((await without.get(path)).status).toBe(404)
  })
})

describe('the path as it arrives', () => {
  test.each<[string, string, string | undefined, string, string]>([
    ['a proxy that takes the path off', 'https://as.example/tenant', '/', '', '/oauth2/token'],
    ['a proxy that adds a path', 'https://as.example', '/auth', '', '/auth/oauth2/token'],
    ['a mount below another path', 'https://as.example', '/auth/', '/auth', '/auth/oauth2/token'],
    ['a path in place of another', 'https://as.example/tenant', '/auth', '', '/auth/oauth2/token'],
    ['a mount below the path of the issuer', 'https://as.example/tenant', undefined, '/tenant', '/tenant/oauth2/token'],
  ])('U13 %s', async (_what, issuer, mountPath, mount, place) => {
    const { get, token, seen } = await serve(issuer, mountPath === undefined ? {} : { mountPath }, mount)
    expect(await token(place)).toBe(200)
    const prefix = place.replace('/oauth2/token', '')
    await get(prefix + authorizePath())
    // The browser comes back to the published address.
    expect(seen).toEqual([new URL(issuer).pathname.replace(/\/$/, '') + authorizePath()])
    if (mountPath !== undefined) {
      const document = await get(`${prefix}/.well-known/oauth-authorization-server`)
      expect(JSON.parse(document.text)).toMatchObject({ issuer, token_endpoint: `${issuer}/oauth2/token` })
    }
    // Its metadata are not there, and somebody is told.
    expect(warnings()).toEqual(
      mountPath === undefined ? [expect.stringMatching(/was mounted under \/tenant, .* mount it at the root/)] : [],
    )
  })

  test.each<[string, string, string, string]>([
    ['a proxy that takes the path off', 'https://as.example/tenant', '', '/oauth2/token'],
    ['a proxy that adds a path', 'https://as.example', '', '/auth/oauth2/token'],
    ['a mount below a path', 'https://as.example', '/auth', '/auth/oauth2/token'],
  ])('U13 %s without mountPath is said once', async (_what, issuer, mount, place) => {
    const { token, server } = await serve(issuer, {}, mount)
    expect([await token(place), await token(place)]).toEqual([404, 404])
    expect(warnings()).toEqual([expect.stringMatching(/^oauth2-token-handler: authorizationServer answers at \S+, .* set mountPath/)])
    expect(JSON.stringify(server.events)).not.toContain('/auth/')
  })

  test('U13 nothing is said of other paths, nor after an endpoint was found', async () => {
    const { token, get } = await serve('https://as.example/tenant')
    for (const path of ['/', '/favicon.ico', '/token', '/tenant', '/tenant/oauth2/tokens']) await get(path)
    expect(await token('/tenant/oauth2/token')).toBe(200)
    expect(await token('/oauth2/token')).toBe(404)
    expect(warnings()).toEqual([])
  })

  test.each(['tenant', '', '/a?b', '/a#b', 7])('U13 mountPath %j stops the start', async (mountPath) => {
    await expect(serve('https://as.example', { mountPath: mountPath as string })).rejects.toThrow(/mountPath must be a path/)
  })
})

const mcp = 'https://api.example/mcp'
const files = 'https://api.example/files'

describe('bearer_methods_supported', () => {
  async function methods(requirements: readonly object[], resource = mcp): Promise<unknown> {
    const { options } = testServer({ issuer: 'https://as.example', resources: [mcp, files] })
    const handler = protectedResourceHandler(options, { resource })
    for (const requirement of requirements) requireAccessToken(options, requirement)
    const { url } = await resources.listen((req, res) => handler(req, res))
    return ((await (await fetch(url)).json()) as Record<string, unknown>).bearer_methods_supported
  }

  test('U17 says what the guards of that resource accept', async () => {
    expect(await methods([{ resource: mcp }])).toEqual(['header'])
    expect(await methods([{ resource: mcp, allowBodyToken: true }])).toEqual(['header', 'body'])
    expect(await methods([{ resource: files, allowBodyToken: true }])).toEqual(['header'])
    expect(await methods([{ allowBodyToken: true }])).toEqual(['header', 'body'])
  })
})

describe('openid among the scopes', () => {
  test('U23 is said at the start, once', () => {
    const options = { issuer: 'https://as.example', clients: [machine], scopes: ['openid', 'read'] }
    tokenHandler(options)
    metadataHandler(options)
    expect(warnings()).toEqual([expect.stringContaining('no id_token is issued')])
    tokenHandler({ ...options, scopes: ['read'] })
    expect(warnings()).toHaveLength(1)
  })
})

describe('members of the metadata', () => {
  const options: ServerOptions = { issuer: 'https://as.example', clients: [machine] }
  const extra = {
    service_documentation: 'https://as.example/docs',
    userinfo_endpoint: 'https://as.example/me',
    ui_locales_supported: ['de'],
  }
  const make = (about: MetadataOptions) => () => metadataHandler(options, about)

  test('U24 of the application are there, beside the computed ones', async () => {
    const { body } = createMetadataResponse(options, { url: '/', method: 'GET', headers: {} }, { extra, maxAge: 60 })
    expect(JSON.parse(body)).toMatchObject({ issuer: 'https://as.example', ...extra })
    const { get } = await serve('https://as.example', { metadata: { extra }, openidConfiguration: true })
    for (const name of ['oauth-authorization-server', 'openid-configuration'])
      expect(JSON.parse((await get(`/.well-known/${name}`)).text)).toMatchObject(extra)
  })

  test('U24 may not replace one that is computed: not one that is there, and not one that is absent', async () => {
    const { body } = createMetadataResponse(options, { url: '/', method: 'GET', headers: {} })
    const whole = await serve('https://as.example', { registration: true }, '', { resources: [mcp], clientIdMetadataDocuments: true, requirePushedAuthorizationRequests: true }) // prettier-ignore
    const all = JSON.parse((await whole.get('/.well-known/oauth-authorization-server')).text) as object
    for (const name of new Set([...Object.keys(JSON.parse(body) as object), ...Object.keys(all), 'jwks_uri']))
      expect(make({ extra: { [name]: 'x' } })).toThrow(`extra must not hold "${name}"`)
  })

  test.each<[string, unknown, RegExp]>([
    ['null members', { op_policy_uri: null }, /op_policy_uri must not be null/],
    ['__proto__', JSON.parse('{"__proto__":{"issuer":"x"}}'), /__proto__|plain JSON/],
    ['no object', 'x', /must be an object/],
    ['no JSON', { x: 1n }, /plain JSON/],
  ])('U24 %s stop the start', (_what, wrong, message) => {
    expect(make({ extra: wrong as JsonObject })).toThrow(message)
    expect(({} as Record<string, unknown>).issuer).toBeUndefined()
  })

  test('U24 a misspelt option stops the start', () => {
    expect(make({ extras: {} } as MetadataOptions)).toThrow(/extras/)
  })
})

describe('pages that call a guarded route', () => {
  const page = 'https://page.example'
  async function ask(cors: CorsOptions, asked: string | undefined, before?: Handler) {
    const { options } = testServer({ allowInsecureTransport: true, cors })
    const app = express()
    if (before !== undefined) app.use(before)
    app.use('/token', tokenHandler(options))
    app.use('/api', requireAccessToken(options))
    const { url } = await resources.listen(app)
    const preflight = async (path: string) => {
      const answer = await fetch(url + path, {
        method: 'OPTIONS',
        headers: { origin: page, 'access-control-request-method': 'POST', ...(asked === undefined ? {} : { 'access-control-request-headers': asked }) },
      }) // prettier-ignore
      return new Set((answer.headers.get('access-control-allow-headers') ?? '').toLowerCase().split(', '))
    }
    return { url, api: await preflight('/api'), token: await preflight('/token') }
  }
  const mcpHeaders = ['mcp-session-id', 'last-event-id', 'mcp-protocol-version', 'mcp-method', 'mcp-name', 'x-requested-with', 'authorization', 'content-type'] // prettier-ignore

  test.each<CorsOptions>([{ origins: [page] }, { origins: '*' }, { origins: [page], allowedHeaders: ['X-Trace'] }])(
    'U4 may send the headers of MCP and X-Requested-With with %j, and none of DPoP',
    async (cors) => {
      const { api, token } = await ask(cors, 'x-requested-with')
      for (const name of mcpHeaders) expect([name, api.has(name)]).toEqual([name, true])
      expect(token.has('x-requested-with')).toBe(true)
      expect([...api, ...token].join()).not.toContain('dpop')
    },
  )

  test('U4 a named page may send what it asks for at the guard, and not at the endpoints', async () => {
    const { api, token } = await ask({ origins: [page] }, 'x-trace,x-tenant')
    expect([api.has('x-trace'), api.has('x-tenant'), token.has('x-trace')]).toEqual([true, true, false])
  })

  test("U4 with '*', or with a list, it may send what the option names and nothing else", async () => {
    expect((await ask({ origins: '*' }, 'x-trace')).api.has('x-trace')).toBe(false)
    const { api, token } = await ask({ origins: [page], allowedHeaders: ['X-Trace'] }, 'x-trace,x-tenant')
    expect([api.has('x-trace'), api.has('x-tenant'), token.has('x-trace')]).toEqual([true, false, true])
  })

  test.each(['*', 'x y', 'x-a,,x-b', 'x-a;x-b', 'x'.repeat(200), Array.from({ length: 65 }, (_, at) => `x-${at}`).join(), 'x-é'])(
    'U4 a list that is none allows nothing more: %s',
    async (asked) => {
      const { api } = await ask({ origins: [page] }, asked)
      expect([...api].sort()).toEqual([...mcpHeaders].sort())
    },
  )

  test.each(['/api', '/token'])('U4 at %s what a middleware in front has said is added to, each name once', async (path) => {
    const before: Handler = (_req, res, next) => {
      res.setHeader('Access-Control-Expose-Headers', 'X-Total, retry-after')
      res.setHeader('Vary', ['Origin', 'Accept'])
      next?.()
    }
    const { url } = await ask({ origins: [page], exposedHeaders: ['X-Rate'] }, undefined, before)
    for (const method of ['POST', 'OPTIONS']) {
      const asked = method === 'OPTIONS' ? { 'access-control-request-method': 'POST' } : undefined
      const response = await fetch(url + path, { method, headers: { origin: page, ...asked } })
      const exposed = response.headers.get('access-control-expose-headers')
      expect(exposed).toBe(`X-Total, retry-after, WWW-Authenticate${path === '/api' ? ', Mcp-Session-Id' : ''}, X-Rate`)
      expect(response.headers.get('vary')).toBe('Origin, Accept')
      expect(response.headers.get('access-control-allow-origin')).toBe(page)
      expect(response.headers.has('access-control-allow-credentials')).toBe(false)
    }
  })

  test.each<[string, unknown]>([
    ['allowedHeaders', '*'], ['allowedHeaders', ['*']], ['allowedHeaders', ['x y']], ['allowedHeaders', [7]], ['exposedHeaders', 'x'], ['exposedHeaders', ['x\r\ny']],
  ])('U4 %s: %j stops the start', (name, value) => {
    const cors = { origins: '*', [name]: value } as unknown as CorsOptions
    expect(() => tokenHandler({ clients: [machine], cors })).toThrow(`cors.${name} must be an array of names of header fields`)
  }) // prettier-ignore
})

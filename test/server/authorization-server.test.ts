/** The whole server: its metadata (RFC 8414), and every endpoint at its place. */
import { afterEach, describe, expect, test } from '@jest/globals'
import express from 'express'
import { generateKeyPairSync } from 'node:crypto'
import {
  authorizationCode,
  authorizationHandler,
  authorizationServer,
  backendApplication,
  createMetadataResponse,
  jwt,
  requireAccessToken,
  type ServerOptions,
} from '../../src/index.js'
import { basic, exchange, machine, testServer, web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { asked, authorizePath, Browser, issuer, startSite } from './site.js'

const resources = new Resources()
afterEach(() => resources.close())

const mcp = 'https://api.example.com/mcp'
const accessTokens = jwt({ key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey })
const wellKnown = '/.well-known/oauth-authorization-server'
type Document = Readonly<Record<string, unknown>>

function documentOf(options: ServerOptions): Document {
  return JSON.parse(createMetadataResponse(options, { method: 'GET', url: '/', headers: {} }).body) as Document
}

async function json(browser: Browser, path: string): Promise<Document> {
  return JSON.parse((await browser.go(path)).body) as Document
}

describe('M12 metadata', () => {
  test('M12 of a whole server', async () => {
    const site = await startSite(resources, { resources: [mcp], accessTokens }, { registration: true })
    expect(await json(site.browser(), wellKnown)).toEqual({
      issuer,
      authorization_endpoint: `${issuer}/oauth2/authorize`,
      token_endpoint: `${issuer}/oauth2/token`,
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      revocation_endpoint: `${issuer}/oauth2/revoke`,
      revocation_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      introspection_endpoint: `${issuer}/oauth2/introspect`,
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      jwks_uri: `${issuer}/oauth2/jwks`,
      registration_endpoint: `${issuer}/oauth2/register`,
      pushed_authorization_request_endpoint: `${issuer}/oauth2/par`,
      authorization_response_iss_parameter_supported: true,
      protected_resources: [mcp],
      scopes_supported: ['read', 'write', 'admin', 'offline_access'],
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
      code_challenge_methods_supported: ['S256'],
    })
  })

  test.each<[string, ServerOptions]>([
    ['nothing but issuer', {}],
    ['codes alone', { grants: [authorizationCode()] }],
    ['no codes', { grants: backendApplication() }],
    ['pushed requests, documents of clients', { requirePushedAuthorizationRequests: true, clientIdMetadataDocuments: true }],
    ['no scopes', { scopes: [] }],
  ])('M12 with %s no member is null, undefined or of another type', (_what, options) => {
    const document = documentOf({ issuer, clients: [], ...options })
    for (const value of Object.values(document)) {
      const isList = Array.isArray(value) && value.every((item) => typeof item === 'string')
      expect(isList || typeof value === 'string' || value === true).toBe(true)
    }
  })

  test('M12 the authorization endpoint is named wherever codes are granted', () => {
    const codes = { response_types_supported: ['code'], code_challenge_methods_supported: ['S256'] }
    expect(documentOf({ issuer, clients: [] })).toMatchObject({ ...codes, authorization_endpoint: `${issuer}/oauth2/authorize` })
    const elsewhere = { issuer, clients: [], endpoints: { authorization: 'https://login.example/authorize' } }
    expect(documentOf(elsewhere)).toMatchObject({ ...codes, authorization_endpoint: 'https://login.example/authorize' })
  })

  test('M12 a server for machines alone has none, unless it names one', () => {
    const options = { issuer, clients: [machine], grants: backendApplication() }
    const document = documentOf(options)
    expect(document).not.toHaveProperty('authorization_endpoint')
    expect(document).not.toHaveProperty('code_challenge_methods_supported')
    expect(document).not.toHaveProperty('authorization_response_iss_parameter_supported')
    expect(document.response_types_supported).toEqual([])
    const named = documentOf({ ...options, endpoints: { authorization: '/nowhere' } })
    expect(named).toMatchObject({ authorization_endpoint: `${issuer}/nowhere`, response_types_supported: [] })
    expect(named).not.toHaveProperty('authorization_response_iss_parameter_supported')
  })

  test('M7 M12 iss is promised where a handler of ours answers, or a page of the application is named', () => {
    const named = { ...testServer({ issuer }).options, endpoints: { authorization: '/consent' } }
    expect(documentOf(named)).toMatchObject({ authorization_response_iss_parameter_supported: true })
    const { options } = testServer({ issuer })
    expect(documentOf(options)).not.toHaveProperty('authorization_response_iss_parameter_supported')
    authorizationHandler(options, () => undefined)
    expect(documentOf(options)).toMatchObject({ authorization_response_iss_parameter_supported: true })
  })

  test.each([
    ['https://as.example/tenant', '/tenant'],
    ['https://as.example/tenant/', '/tenant'],
    ['https://as.example/a/b', '/a/b'],
  ])('M12 %s answers at the path-inserted URL only', async (withPath, path) => {
    const site = await startSite(resources, { issuer: withPath }, { openidConfiguration: true })
    const browser = site.browser()
    const document = await json(browser, wellKnown + path)
    expect(document).toMatchObject({ issuer: withPath, token_endpoint: `https://as.example${path}/oauth2/token` })
    expect(await json(browser, `/.well-known/openid-configuration${path}`)).toEqual(document)
    for (const wrong of [wellKnown, path + wellKnown, `${wellKnown}/other`, `${wellKnown}${path}/x`, '/.well-known/openid-configuration']) {
      expect((await browser.go(wrong)).status).toBe(404)
    }
    const answer = await browser.decide(`${path}${authorizePath()}`)
    expect(answer.answer).toMatchObject({ code: expect.any(String), iss: withPath })
    expect((await browser.go(authorizePath())).status).toBe(404)
  })

  test('M12 openid-configuration is off unless it is asked for', async () => {
    const site = await startSite(resources)
    expect((await site.browser().go('/.well-known/openid-configuration')).status).toBe(404)
    expect((await site.browser().go(wellKnown)).headers).toMatchObject({ 'cache-control': 'public, max-age=300' })
  })
})

describe('M13 authorizationServer', () => {
  test('M13 every advertised endpoint answers', async () => {
    const endpoints = { token: '/t', authorization: '/login/a', jwks: '/keys.json', pushedAuthorization: `${issuer}/push` }
    for (const places of [{}, endpoints]) {
      const site = await startSite(resources, { accessTokens, resources: [mcp], endpoints: places }, { registration: true })
      const browser = site.browser()
      const document = await json(browser, wellKnown)
      const urls = Object.entries(document).filter(([name]) => name.endsWith('_endpoint') || name === 'jwks_uri')
      expect(urls).toHaveLength(7)
      for (const [name, url] of urls) {
        const { pathname } = new URL(String(url))
        const isRead = name === 'jwks_uri' || name === 'authorization_endpoint'
        const page = await browser.go(pathname, isRead ? {} : { method: 'POST' })
        expect([name, page.status]).not.toEqual([name, 404])
        expect((await browser.go(`${pathname}/`, isRead ? {} : { method: 'POST' })).status).toBe(page.status)
        expect((await browser.go(`${pathname}x`)).status).toBe(404)
      }
      expect((await browser.go('/.well-known/oauth-protected-resource/mcp')).status).toBe(200)
    }
  })

  test('M13 what is not ours goes on, and is 404 where nothing follows', async () => {
    const { options } = testServer({ issuer })
    const handler = authorizationServer(options, { authorize: () => undefined })
    const { url } = await resources.listen(express().use(handler).use((_req, res) => void res.send('the application')))
    const bare = await resources.listen((req, res) => handler(req, res))
    for (const path of ['/', '/oauth2', '/oauth2/tokens', '/oauth2/jwks', '/oauth2/register', '//oauth2/token', '/oauth2/token/x', '/OAUTH2/token', '/oauth2%2Ftoken', '/__proto__', '/constructor']) {
      expect(await (await fetch(url + path)).text()).toBe('the application')
      expect((await fetch(bare.url + path)).status).toBe(404)
    }
    expect((await fetch(`${bare.url}/oauth2/token?tenant=a`, { method: 'POST' })).status).toBe(400)
  }) // prettier-ignore

  test('M3 M13 resources on several hosts each get their own document', async () => {
    const list = ['https://one.example', 'https://two.example/', 'https://one.example/mcp', 'https://two.example/mcp']
    const site = await startSite(resources, { resources: list })
    const ask = async (host: string, path: string) =>
      (JSON.parse((await site.browser().go(path, { headers: { host } })).body) as { resource: string }).resource
    const place = '/.well-known/oauth-protected-resource'
    expect(await ask('one.example', place)).toBe('https://one.example')
    expect(await ask('TWO.example', place)).toBe('https://two.example/')
    expect(await ask('two.example', `${place}/mcp`)).toBe('https://two.example/mcp')
    expect(await ask('elsewhere.example', place)).toBe('https://one.example')
  })

  test('M13 without codes there is no authorization endpoint', async () => {
    const site = await startSite(resources, { clients: [machine], grants: backendApplication() })
    expect((await site.browser().go(authorizePath())).status).toBe(404)
    expect((await site.browser().go('/oauth2/par', { method: 'POST' })).status).toBe(404)
  })

  test.each<[string, ServerOptions, object, RegExp]>([
    ['without issuer', {}, {}, /issuer/],
    ['with a misspelt part', { issuer }, { registrations: true }, /registrations/],
    ['without authorize', { issuer }, { authorize: undefined }, /the second argument needs the function authorize, not undefined/],
    ['with wrong texts', { issuer }, { texts: { titel: 'x' } }, /titel/],
  ])('M13 %s it stops the start', (_what, options, parts, message) => {
    const { options: server } = testServer(options)
    expect(() => authorizationServer(server, { authorize: () => undefined, ...parts })).toThrow(message)
  })

  test('M13 an API with a login of its own, in some twenty lines', async () => {
    const app = express()
    const oauth: ServerOptions = {
      issuer: 'https://as.example',
      resources: ['https://as.example/mcp'],
      scopes: ['read', 'write'],
      clients: [web],
      trustProxy: () => true,
    }
    app.use((req, res, next) => {
      if (req.path === '/login') res.cookie('user', 'alice').redirect(typeof req.query.back === 'string' ? req.query.back : '/')
      else next()
    })
    app.use(
      authorizationServer(oauth, {
        authorize({ url }, req: express.Request, res: express.Response) {
          const user = /user=(\w+)/.exec(req.headers.cookie ?? '')?.[1]
          if (user !== undefined) return { subject: user }
          res.redirect(`/login?back=${encodeURIComponent(url)}`)
          return undefined
        },
      }),
    )
    app.use('/mcp', requireAccessToken(oauth, { scope: 'read' }), (req, res) => {
      res.json({ hello: (req as { auth?: { subject?: string } }).auth?.subject })
    })

    const { url } = await resources.listen(app)
    const browser = new Browser(url)
    const challenged = await browser.go('/mcp')
    const [, metadata = ''] = /resource_metadata="https:\/\/as\.example([^"]*)"/.exec(challenged.headers['www-authenticate'] ?? '') ?? []
    expect(await json(browser, metadata)).toMatchObject({ resource: 'https://as.example/mcp', authorization_servers: [issuer] })
    const path = authorizePath({ resource: 'https://as.example/mcp' })
    const login = await browser.go(path)
    const back = await browser.go(login.location ?? '')
    const { answer } = await browser.decide(back.location ?? '')
    expect(answer).toMatchObject({ state: asked.state, iss: issuer })
    const form = { ...exchange(answer.code ?? ''), resource: 'https://as.example/mcp' }
    const headers = { ...basic(web), 'content-type': 'application/x-www-form-urlencoded' }
    const granted = await browser.go('/oauth2/token', { method: 'POST', headers, body: new URLSearchParams(form).toString() })
    const { access_token } = JSON.parse(granted.body) as { access_token: string }
    expect((await browser.go('/mcp', { headers: { authorization: `Bearer ${access_token}` } })).body).toBe('{"hello":"alice"}')
  })
})

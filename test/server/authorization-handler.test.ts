/** The authorization endpoint over real HTTP: what is shown, what goes back to the client, and who decides. */
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import type { ServerResponse } from 'node:http'
import {
  AccessDenied,
  authorizationHandler,
  authorizationResponse,
  createMetadataResponse,
  InvalidClient,
  OAuthError,
  type AuthorizationRequest,
  type Decide,
  type ServerOptions,
} from '../../src/index.js'
import { code_challenge, exchange, native, basic, redirect_uri, testServer, web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { storeWithout } from './failing-store.js'
import { asked, authorizePath, Browser, issuer, startSite } from './site.js'

const resources = new Resources()
afterEach(() => resources.close())

const hosts: [name: string, (handler: ReturnType<typeof authorizationHandler>) => Parameters<Resources['listen']>[0]][] = [
  ['Express 5', (handler) => express().use('/oauth2/authorize', handler)],
  ['node:http', (handler) => (req, res) => handler(req, res)],
]

async function start(decide: Decide, options: ServerOptions = {}, host = hosts[0], texts = {}) {
  const server = testServer({ issuer, trustProxy: () => true, ...options })
  const handler = authorizationHandler(server.options, decide, { texts })
  const { url } = await resources.listen(host?.[1](handler) ?? handler)
  return { server, browser: new Browser(url), url }
}

const alice: Decide = () => ({ subject: 'alice' })
const protection = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

describe.each(hosts)('M6 on %s', (name, listener) => {
  const host = [name, listener] as (typeof hosts)[0]

  test('M6 M7 the page, the decision, the code', async () => {
    const { server, browser } = await start(alice, {}, host)
    const page = await browser.go(authorizePath())
    expect(page.status).toBe(200)
    expect(page.headers).toMatchObject({ ...protection, 'content-type': 'text/html; charset=utf-8' })
    expect(page.headers['content-security-policy']).toMatch(
      /^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; frame-ancestors 'none'$/,
    )
    expect(page.headers['set-cookie']).toEqual([
      expect.stringMatching(/^__Host-oauth2-confirmation=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Secure$/),
    ])
    const answered = await browser.post(authorizePath(), { ...page.fields, decision: 'allow' })
    expect(answered.status).toBe(303)
    expect(answered.headers).toMatchObject(protection)
    expect(answered.location).toMatch(
      /^https:\/\/client\.example\/callback\?code=[^&]+&state=state%20of%20web&iss=https%3A%2F%2Fas\.example$/,
    )
    const { status, json } = await server.token(exchange(answered.answer.code ?? ''), basic(web))
    expect([status, json.scope]).toEqual([200, 'read'])
  })

  test('M6 denial goes back, and the application is not asked again', async () => {
    const decide = jest.fn(alice)
    const { browser } = await start(decide, {}, host)
    expect((await browser.decide(authorizePath(), 'deny')).answer).toEqual({
      error: 'access_denied',
      error_description: 'the request was denied',
      state: 'state of web',
      iss: issuer,
    })
    expect(decide).toHaveBeenCalledTimes(1)
  })

  test.each([
    ['no client', { client_id: undefined }, 'client_id is required'],
    ['an unknown client', { client_id: 'nobody' }, 'unknown client'],
    ['a client_id outside the grammar', { client_id: 'wéb' }, 'unknown client'],
    ['an unknown redirection URI', { redirect_uri: 'https://evil.example/' }, 'redirect_uri is not registered'],
  ])('M6 %s is a page, never a redirect', async (_what, differences, said) => {
    const { browser } = await start(alice, {}, host)
    for (const method of ['GET', 'POST']) {
      const { status, headers, body, location } = await browser.go(authorizePath(differences), { method })
      expect([status, location]).toEqual([400, undefined])
      expect(headers).toMatchObject({ ...protection, 'content-type': 'text/html; charset=utf-8' })
      expect(body).toContain(`<p>${said}.</p>`)
    }
  })

  test.each([
    [{ response_type: undefined }, 'invalid_request', 'response_type is required'],
    [{ response_type: 'token' }, 'unsupported_response_type', 'response_type must be code'],
    [{ response_type: 'code id_token' }, 'unsupported_response_type', 'response_type must be code'],
    [{ response_mode: 'fragment' }, 'invalid_request', 'response_mode must be query'],
    [{ scope: 'read everything' }, 'invalid_scope', 'the requested scope is invalid, unknown, malformed, or exceeds what may be granted'],
    [{ scope: 'a"b' }, 'invalid_scope', 'the requested scope is invalid, unknown, malformed, or exceeds what may be granted'],
    [{ code_challenge: undefined }, 'invalid_request', 'code_challenge is required'],
    [{ code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request', 'code_challenge is required'],
    [{ code_challenge_method: 'plain' }, 'invalid_request', 'code_challenge_method must be S256'],
    [{ code_challenge_method: undefined }, 'invalid_request', 'code_challenge_method must be S256'],
    [{ code_challenge: 'short' }, 'invalid_request', 'code_challenge must be 43 characters of base64url'],
    [{ request: 'eyJhbGciOiJub25lIn0.e30.' }, 'request_not_supported', 'request objects are not supported'],
    [{ request_uri: 'https://evil.example/r' }, 'request_uri_not_supported', 'request_uri must be one that was pushed here'],
  ])('M6 M7 %j goes back to the client with state and iss', async (differences, error, error_description) => {
    const decide = jest.fn(alice)
    const { browser } = await start(decide, {}, host)
    const { status, location, answer } = await browser.go(authorizePath(differences))
    expect(status).toBe(303)
    expect(location).toMatch(/^https:\/\/client\.example\/callback\?/)
    expect(answer).toEqual({ error, error_description, state: 'state of web', iss: issuer })
    expect(decide).not.toHaveBeenCalled()
  })

  test('M6 GET and POST only, over https only', async () => {
    const { browser, url } = await start(alice, {}, host)
    for (const method of ['PUT', 'DELETE', 'OPTIONS', 'HEAD']) {
      const { status, headers } = await browser.go(authorizePath(), { method })
      expect([status, headers.allow]).toEqual([405, 'GET, POST'])
    }
    const plain = await fetch(url + authorizePath(), { redirect: 'manual' })
    expect(plain.status).toBe(400)
    expect(await plain.text()).toContain('the authorization endpoint requires https')
  })
})

describe('M6 decide', () => {
  test('M6 knows the request, the client, and where to come back to', async () => {
    let seen: AuthorizationRequest | undefined
    const decide: Decide = (request, _req, res: express.Response) => {
      seen = request
      res.redirect('/login')
      return undefined
    }
    const metadata = {
      client_name: 'Web <app>',
      client_uri: 'https://client.example/',
      policy_uri: 'javascript:alert(1)',
      logo_uri: 'data:,x',
    }
    const { browser } = await start(decide, { clients: [{ ...web, ...metadata }] })
    const path = authorizePath({ login_hint: 'alice', scope: undefined })
    const { status, location, headers } = await browser.go(path)
    expect([status, location]).toEqual([302, '/login'])
    expect(headers).toMatchObject({ ...protection, 'content-security-policy': "frame-ancestors 'none'" })
    expect(seen).toEqual({
      client_id: 'web',
      client: {
        name: 'Web <app>',
        uri: 'https://client.example/',
        logo_uri: undefined,
        policy_uri: undefined,
        tos_uri: undefined,
        isStranger: false,
        documentHost: undefined,
        redirectHost: 'client.example',
        isLoopbackOnly: false,
      },
      redirect_uri,
      scope: ['read', 'write', 'admin'],
      resource: [],
      request_uri: undefined,
      parameters: expect.objectContaining({ login_hint: 'alice', state: 'state of web' }),
      url: path,
      confirmation: expect.stringMatching(/^[\w-]{43}$/),
      isAskedAgain: false,
    })
  })

  test.each(['//evil.example', 'http://evil.example', '/\\evil.example', 'HTTPS://evil.example:1/x'])('M6 the address to come back to after %s stays here', async (target) => {
    const decide: Decide = ({ url }, _req, res: ServerResponse) => void res.end(url)
    const { url } = await start(decide, {}, hosts[1])
    const connection = await resources.connect(Number(new URL(url).port))
    connection.send([`GET ${target}${authorizePath()} HTTP/1.1`, 'Host: as.example', 'X-Forwarded-Proto: https', 'Connection: close'])
    expect((await connection.response()).body).toMatch(/^\/[a-z][^?\\]*\/authorize\?response_type=code&/)
  }) // prettier-ignore

  test.each<[string, () => unknown, object]>([
    ['AccessDenied', () => new AccessDenied('not for you'), { error: 'access_denied', error_description: 'not for you' }],
    [
      'an OAuthError',
      () => new OAuthError('login_required', 'nobody is logged in'),
      { error: 'login_required', error_description: 'nobody is logged in' },
    ],
    ['an error of another endpoint', () => new InvalidClient(), { error: 'server_error' }],
    ['insufficient_scope', () => new OAuthError('insufficient_scope', 'x'), { error: 'server_error' }],
    [
      'an Error',
      () => new Error('password=hunter2'),
      { error: 'server_error', error_description: 'the server met an unexpected condition' },
    ],
    ['nothing at all', () => undefined, { error: 'server_error' }],
    ['CR LF in a description', () => new AccessDenied('no\r\nSet-Cookie: a=b "\\'), { error_description: 'no??Set-Cookie: a=b ??' }],
  ])('M6 R5 throws %s on GET or POST', async (_what, thrown, expected) => {
    for (const failing of ['GET', 'POST']) {
      const { browser } = await start((_request, req: express.Request) => {
        if (req.method === failing) throw thrown()
        return { subject: 'alice' }
      })
      const { status, answer, location } = failing === 'GET' ? await browser.go(authorizePath()) : await browser.decide(authorizePath())
      expect(status).toBe(303)
      expect(answer).toMatchObject({ ...expected, state: 'state of web', iss: issuer })
      expect(location).not.toContain('hunter2')
    }
  })

  test('M6 agrees to less, which is what the page says and the code gives', async () => {
    const { browser, server } = await start(() => ({ subject: 'alice', scope: 'write' }))
    const path = authorizePath({ scope: 'read write admin' })
    expect((await browser.go(path)).body).toContain('<ul><li>write</li></ul>')
    const { answer } = await browser.decide(path)
    expect((await server.token(exchange(answer.code ?? ''), basic(web))).json.scope).toBe('write')
  })

  test.each([['read admin'], [['read', 'nothing such']], ['a"b'], [5]])('M6 never agrees to more: %j', async (scope) => {
    const { browser, server } = await start(() => ({ subject: 'alice', scope: scope as string }))
    expect((await browser.go(authorizePath())).answer).toMatchObject({ error: 'server_error', state: 'state of web' })
    expect(server.events.at(-1)?.reason).toMatch(/^authorize returned \{ subject: a text, scope: .+ \}: scope must be /)
  })

  test.each([{ subject: '' }, {}, true, null, { subject: 7 }])('M6 a decision that is none, %j, gives no code', async (decision) => {
    const { browser, server } = await start(() => decision as unknown as { subject: string })
    const { answer } = await browser.go(authorizePath())
    expect(answer).toMatchObject({ error: 'server_error', state: 'state of web' })
    expect(server.events.at(-1)?.reason).toMatch(/^authorize returned .*: (?:subject|it must be)/)
  })

  test('M6 a page of the application, with the confirmation of the request', async () => {
    const decide: Decide = (request, req: express.Request, res: express.Response) => {
      if (req.method === 'POST') return { subject: 'alice', scope: 'read' }
      res.send(`<form method="post"><input type="hidden" name="confirmation" value="${request.confirmation}"></form>`)
      return undefined
    }
    const { browser, server } = await start(decide)
    const path = authorizePath({ scope: 'read write' })
    const { fields } = await browser.go(path)
    const { answer } = await browser.post(path, { ...fields, decision: 'allow' })
    expect((await server.token(exchange(answer.code ?? ''), basic(web))).json.scope).toBe('read')
  })
})

describe('M6 failures of the world', () => {
  test('M6 I8 a store that cannot write is told to the client, and one that cannot find clients on a page', async () => {
    const { browser } = await start(alice, { store: storeWithout('create') })
    expect((await browser.decide(authorizePath())).answer).toMatchObject({ error: 'temporarily_unavailable', state: 'state of web' })
    const clients = () => Promise.reject(new Error('password=hunter2'))
    const { status, body } = await (await start(alice, { clients })).browser.go(authorizePath())
    expect(status).toBe(500)
    expect(body).not.toContain('hunter2')
  })

  test('M6 R4 503 says when to come back', async () => {
    const { clients: _clients, ...rest } = testServer().options
    const server = { ...rest, issuer, trustProxy: () => true, store: storeWithout('get') }
    const { url } = await resources.listen(authorizationHandler(server, alice))
    const { status, headers } = await new Browser(url).go(authorizePath())
    expect([status, headers['retry-after']]).toEqual([503, expect.stringMatching(/^[1-3]$/)])
  })

  test('M6 an answer that was given already, and a proxy rule that throws, crash nothing', async () => {
    const { options } = testServer({ trustProxy: () => { throw new Error('boom') } }) // prettier-ignore
    const handler = authorizationHandler(options, alice)
    const { url } = await resources.listen((req, res) => {
      if (req.url === '/answered') res.end('done')
      handler(req, res)
    })
    expect(await (await fetch(`${url}/answered`)).text()).toBe('done')
    expect((await new Browser(url).go(authorizePath())).status).toBe(500)
  })
})

describe('M7 authorizationResponse', () => {
  const request = { client_id: 'web', redirect_uri, state: 's&=#', code_challenge, code_challenge_method: 'S256', scope: 'read' }

  test('M7 a code, or an error, with state and iss', async () => {
    const { options, token } = testServer({ issuer })
    const url = new URL(await authorizationResponse(options, { ...request, subject: 'alice' }))
    expect([...url.searchParams.keys()]).toEqual(['code', 'state', 'iss'])
    expect([url.searchParams.get('state'), url.searchParams.get('iss'), url.hash]).toEqual(['s&=#', issuer, ''])
    expect((await token(exchange(url.searchParams.get('code') ?? ''), basic(web))).status).toBe(200)
    expect(await authorizationResponse(options, { ...request, error: new AccessDenied() })).toBe(
      'https://client.example/callback?error=access_denied&error_description=the%20request%20was%20denied&state=s%26%3D%23&iss=https%3A%2F%2Fas.example',
    )
    expect(await authorizationResponse(options, { ...request, subject: 'alice', scope: 'all' })).toContain('?error=invalid_scope&')
  })

  test('M7 never to an unknown place; and the mistakes of the application are its own', async () => {
    const { options } = testServer({ issuer })
    await expect(authorizationResponse(options, { ...request, subject: 'alice', redirect_uri: 'https://evil.example' })).rejects.toThrow(
      /redirect_uri/,
    )
    await expect(authorizationResponse(options, { ...request, client_id: 'nobody', error: new AccessDenied() })).rejects.toThrow(
      'unknown client',
    )
    await expect(authorizationResponse(options, request)).rejects.toThrow(TypeError)
  })

  test('M7 without issuer there is no iss; the query of the redirection URI stays', async () => {
    const uri = 'https://client.example/cb?tenant=a'
    const { options } = testServer({ clients: [{ ...native, redirect_uris: [uri] }] })
    const url = await authorizationResponse(options, { ...request, client_id: 'native', redirect_uri: uri, subject: 'alice' })
    expect(url).toMatch(/^https:\/\/client\.example\/cb\?tenant=a&code=[^&]+&state=s%26%3D%23$/)
  })

  test('U14 state that never came is left out, and one that is empty likewise', async () => {
    const { options } = testServer({ issuer })
    const { state: _state, ...rest } = request
    for (const answer of [{ subject: 'alice' }, { error: new AccessDenied() }])
      expect(await authorizationResponse(options, { ...rest, ...answer })).not.toContain('state')
    const site = await startSite(resources)
    expect((await site.browser().decide(authorizePath({ state: '' }))).location).not.toContain('state')
  })

  test('U14 the metadata promise iss where a handler of ours answers, or the option says so, and nowhere else', async () => {
    const promised = (server: ServerOptions) =>
      (
        JSON.parse(createMetadataResponse(server, { method: 'GET', url: '/', headers: {} }).body) as {
          authorization_response_iss_parameter_supported?: boolean
        }
      ).authorization_response_iss_parameter_supported
    const { options: byHand } = testServer({ issuer })
    expect(promised(byHand)).toBeUndefined()
    authorizationHandler(byHand, alice)
    expect(promised(byHand)).toBe(true)
    expect(promised(testServer({ issuer, endpoints: { authorization: '/consent' } }).options)).toBe(true)
    expect(promised((await startSite(resources)).server.options)).toBe(true)
  })

  test('M7 the site answers with iss where the request is wrong, too', async () => {
    const site = await startSite(resources)
    expect((await site.browser().go(authorizePath({ scope: 'x' }))).answer.iss).toBe(issuer)
    expect(asked.state).toBe('state of web')
  })
})

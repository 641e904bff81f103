/** Pushed authorization requests (RFC 9126), from the push to the code. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { setTimeout } from 'node:timers/promises'
import { memoryStore, type ServerOptions, type Store } from '../../src/index.js'
import { basic, exchange, native, redirect_uri, web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { asked, issuer, startSite, type Browser, type Page, type Site } from './site.js'

const resources = new Resources()
afterEach(() => resources.close())

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const machine = { client_id: 'machine', client_secret: 'machine-secret-0123456789abcdef', grant_types: ['client_credentials'] }

function start(options: ServerOptions = {}): Promise<Site> {
  return startSite(resources, { clients: [web, native, machine], ...options })
}

async function push(
  site: Site,
  differences: Readonly<Record<string, string>> = {},
  headers: Readonly<Record<string, string>> = basic(web),
) {
  const body = new URLSearchParams({ ...asked, ...differences }).toString()
  const page = await site.browser().go('/oauth2/par', { method: 'POST', headers: { ...form, ...headers }, body })
  return {
    ...page,
    json: JSON.parse(page.body) as { request_uri?: string; expires_in?: number; error?: string; error_description?: string },
  }
}

function pathOf(request_uri = '', client_id = 'web'): string {
  return `/oauth2/authorize?${new URLSearchParams({ client_id, request_uri }).toString()}`
}

async function pushed(site: Site, differences?: Readonly<Record<string, string>>): Promise<string> {
  return pathOf((await push(site, differences)).json.request_uri)
}

const unusable = (page: Page) => {
  expect([page.status, page.location]).toEqual([400, undefined])
  expect(page.body).toContain('the request_uri is unknown, expired, or was used')
}

describe('M11 pushing', () => {
  test('M11 is answered 201, not to be cached', async () => {
    const { status, headers, json } = await push(await start())
    expect(status).toBe(201)
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' })
    expect(json).toEqual({ request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:[\w-]{43}$/), expires_in: 60 })
  })

  test.each<[string, Record<string, string>, Record<string, string>, number, string]>([
    ['an unauthenticated client', { client_id: 'web' }, {}, 401, 'invalid_client'],
    ['a wrong secret', {}, basic({ ...web, client_secret: 'wrong' }), 401, 'invalid_client'],
    ['another client_id than that of the credentials', { client_id: 'native' }, basic(web), 400, 'invalid_request'],
    ['an unknown redirection URI', { redirect_uri: 'https://evil.example/' }, basic(web), 400, 'invalid_request'],
    ['too much scope', { scope: 'everything' }, basic(web), 400, 'invalid_scope'],
    ['no PKCE', { code_challenge: '' }, basic(web), 400, 'invalid_request'],
    ['plain PKCE', { code_challenge_method: 'plain' }, basic(web), 400, 'invalid_request'],
    ['another response_type', { response_type: 'token' }, basic(web), 400, 'unsupported_response_type'],
    ['a request object', { request: 'e30.e30.' }, basic(web), 400, 'request_not_supported'],
    ['a reference inside', { request_uri: 'urn:ietf:params:oauth:request_uri:x' }, basic(web), 400, 'invalid_request'],
    ['a client without codes', { client_id: 'machine', redirect_uri: '' }, basic(machine), 400, 'invalid_request'],
  ])('M11 %s is refused as JSON', async (_what, differences, headers, status, error) => {
    const answered = await push(await start(), differences, headers)
    expect([answered.status, answered.json.error]).toEqual([status, error])
    expect(answered.location).toBeUndefined()
  })

  test('M11 an unknown resource is refused', async () => {
    const site = await start({ resources: ['https://api.example.com'] })
    expect((await push(site, { resource: 'https://evil.example' })).json.error).toBe('invalid_target')
  })

  test('M11 POST only, form only', async () => {
    const browser = (await start()).browser()
    expect((await browser.go('/oauth2/par')).status).toBe(405)
    expect((await browser.go('/oauth2/par', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })).status).toBe(
      415,
    )
  })

  test('M11 I6 the secret is not kept', async () => {
    const written: string[] = []
    const memory = memoryStore()
    const store: Store = {
      get: (id) => memory.get(id),
      create: (record) => (written.push(JSON.stringify(record)), memory.create(record)),
      replace: (record, version) => memory.replace(record, version),
      list: (filter) => memory.list(filter),
    }
    const { json } = await push(await start({ store }), { client_secret: web.client_secret, login_hint: 'alice' }, {})
    expect(written.join()).toContain('login_hint')
    expect(written.join()).not.toContain(web.client_secret)
    expect(written.join()).not.toContain(json.request_uri?.split(':').at(-1))
  })
})

describe('M11 authorizing', () => {
  test('M11 the request that was pushed is the one that counts', async () => {
    const site = await start()
    const path = await pushed(site, { scope: 'read write' })
    const tampered = `${path}&scope=admin&state=x&redirect_uri=https://evil.example`
    const { location, answer } = await site.browser().decide(tampered)
    expect(location?.startsWith(`${redirect_uri}?code=`)).toBe(true)
    expect(answer).toEqual({ code: expect.any(String), state: asked.state, iss: issuer })
    const { json } = await site.server.token(exchange(answer.code ?? ''), basic(web))
    expect(json.scope).toBe('read write')
  })

  test('M11 a public client pushes too', async () => {
    const site = await start()
    const { json } = await push(site, { client_id: 'native' }, {})
    expect((await site.browser().decide(pathOf(json.request_uri, 'native'))).answer).toHaveProperty('code')
  })

  test('M11 lives 60 seconds until a browser brings it, and then ten minutes', async () => {
    const site = await start()
    const [late, early] = [await pushed(site), await pushed(site)]
    const browser = site.browser()
    site.server.now += 59
    expect((await browser.go(early)).status).toBe(200)
    site.server.now += 1
    unusable(await browser.go(late))
    site.server.now += 598
    expect((await browser.go(early)).status).toBe(200)
    site.server.now += 1
    unusable(await browser.go(early))
  })

  test('M11 is used once, by agreeing or by denying', async () => {
    const site = await start()
    for (const decision of ['allow', 'deny'] as const) {
      const path = await pushed(site)
      const browser = site.browser()
      expect((await browser.decide(path, decision)).status).toBe(303)
      unusable(await browser.go(path))
      unusable(await browser.post(path, { decision }))
    }
  })

  test('M11 another browser is refused, and spoils nothing', async () => {
    const site = await start()
    const path = await pushed(site)
    const [first, second] = [site.browser(), site.browser()]
    const { fields } = await first.go(path)
    unusable(await second.go(path))
    unusable(await second.post(path, { ...fields, decision: 'allow' }))
    expect((await first.post(path, { ...fields, decision: 'allow' })).answer).toHaveProperty('code')
  })

  test('M11 another client is refused, and spoils nothing', async () => {
    const site = await start()
    const { json } = await push(site)
    const browser = site.browser()
    unusable(await browser.go(pathOf(json.request_uri, 'native')))
    unusable(await browser.go(`/oauth2/authorize?request_uri=${json.request_uri ?? ''}`))
    expect((await site.browser().go(pathOf(json.request_uri))).status).toBe(200)
  })

  test.each(['urn:ietf:params:oauth:request_uri:', 'urn:ietf:params:oauth:request_uri:nonsense', `urn:ietf:params:oauth:request_uri:${'A'.repeat(43)}`])(
    'M11 %s is unknown',
    async (request_uri) => unusable(await (await start()).browser().go(pathOf(request_uri))),
  ) // prettier-ignore

  test('M11 a login in between keeps it', async () => {
    const site = await start()
    const path = await pushed(site)
    const browser = site.browser()
    site.subject = undefined
    expect((await browser.go(path)).body).toBe('please log in')
    site.subject = 'alice'
    expect((await browser.decide(path)).answer).toHaveProperty('code')
  })

  test('M11 I1 of 100 decisions at once one gets a code', async () => {
    const site = await start()
    const path = await pushed(site)
    const browser = site.browser()
    const { fields } = await browser.go(path)
    const decide = () => browser.post(path, { ...fields, decision: 'allow' })
    const pages = await Promise.all(Array.from({ length: 100 }, decide))
    expect(pages.filter(({ answer }) => answer.code !== undefined)).toHaveLength(1)
    for (const page of pages.filter(({ answer }) => answer.code === undefined)) {
      if (page.status === 400) unusable(page)
      else expect(page.answer).toMatchObject({ error: 'invalid_request_uri', iss: issuer })
    }
    expect(site.server.events.filter(({ type }) => type === 'code.issued')).toHaveLength(1)
  })

  test('M11 a page that is asked for twice at once, by a browser that is known, is shown', async () => {
    const memory = memoryStore()
    const slow: Store = {
      async get(id) {
        const record = await memory.get(id)
        await setTimeout(50)
        return record
      },
      create: (record) => memory.create(record),
      replace: (record, version) => memory.replace(record, version),
      list: (filter) => memory.list(filter),
    }
    const site = await start({ store: slow })
    const browser: Browser = site.browser()
    await browser.go(await pushed(site))
    const path = await pushed(site)
    const pages = await Promise.all([browser.go(path), browser.go(path), browser.go(path)])
    expect(pages.map(({ status }) => status)).toEqual([200, 200, 200])
  })
})

describe('M11 required', () => {
  test.each<[string, ServerOptions]>([
    ['by the server', { requirePushedAuthorizationRequests: true }],
    ['by the client', { clients: [{ ...web, require_pushed_authorization_requests: true }, native] }],
  ])('M11 %s, a request that was not pushed goes back', async (_by, options) => {
    const site = await start(options)
    const plain = `/oauth2/authorize?${new URLSearchParams(asked).toString()}`
    const refused = {
      error: 'invalid_request',
      error_description: 'the authorization request must be pushed',
      state: asked.state,
      iss: issuer,
    }
    expect((await site.browser().go(plain)).answer).toEqual(refused)
    expect((await site.browser().post(plain, {})).answer).toEqual(refused)
    expect((await site.browser().decide(await pushed(site))).answer).toHaveProperty('code')
    const native = plain.replace('client_id=web', 'client_id=native')
    expect((await site.browser().go(native)).status).toBe(options.requirePushedAuthorizationRequests === true ? 303 : 200)
  })
})

/** The rows of what newcomers meet that no other test names: what is said, and what the server does then. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import { generateKeyPairSync } from 'node:crypto'
import {
  authorizationServer,
  clientCredentials,
  encrypted,
  issueTokens,
  jwt,
  memoryStore,
  opaque,
  password,
  requireAccessToken,
  tokenHandler,
  tokenVerifier,
  type AccessTokenFormat,
  type ServerEvent,
} from '../../src/index.js'
import { authorizePath, startSite } from '../server/site.js'
import { blocksOf, pages, runBlock } from '../support/pages.js'
import { code_challenge, machine, redirect_uri, web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { linesOf, tellOf, type Mistake } from './mistake.js'

const wrong = (value: unknown) => value as never
const resources = new Resources()

beforeEach(() => {
  for (const name of ['warn', 'error'] as const) jest.spyOn(console, name).mockReturnValue()
})
afterEach(async () => {
  await resources.close()
  jest.restoreAllMocks()
})

/** What is said about a mistake, without the name of the error. */
async function said(make: Mistake['make']): Promise<readonly string[]> {
  const lines = linesOf(await tellOf({ what: '', names: '', make }))
  return lines.map((line) => line.replace(/^(?:ConfigurationError|TypeError|oauth2-token-handler): /, ''))
}

/** The same about options that are wrong. */
const saidOf = (options: object) => said(({ oauth }) => tokenHandler(oauth(options)))

const blocks = [...pages.values()].flatMap((page) => blocksOf(page))
const https = { 'x-forwarded-proto': 'https' }

describe('who is logged in', () => {
  test.each([
    ['a number', { subject: 42 }, 'authorize returned { subject: 42 }: subject must be a text, not a number; write String(user.id)'],
    ['a text', 'alice', /^authorize returned a text: it must be \{ subject \}/],
    ['true', true, /^authorize returned true: it must be \{ subject \}/],
    ['the user', { user: 'alice' }, /^authorize returned \{ user: a text \}: subject is missing; return/],
    ['nobody', { subject: null }, /^authorize returned \{ subject: null \}: subject must be a text, not null/],
  ])('V1 authorize returned %s: told on GET, before anybody is asked', async (_what, decision, reason) => {
    const site = await startSite(resources, {}, { authorize: () => wrong(decision) })
    const answer = await fetch(site.url + authorizePath(), { headers: https, redirect: 'manual' })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, expect.stringContaining('error=server_error')])
    const told = site.server.events.filter(({ type }) => type === 'request.failed')
    expect(told).toMatchObject([{ client_id: 'web', reason: typeof reason === 'string' ? reason : expect.stringMatching(reason) }])
  })

  test.each([
    ['a promise that stays open', () => new Promise<undefined>(() => undefined)],
    ['nothing, and leaves the response alone', () => undefined],
  ])('V1 authorize returned %s: an event says so after callbackTimeout', async (_what, authorize) => {
    const leave = new AbortController()
    const told = new Promise<ServerEvent>((resolve) => {
      const onEvent = (event: ServerEvent) => {
        if (event.type === 'request.failed') resolve(event)
      }
      void startSite(resources, { callbackTimeout: 20, onEvent }, { authorize }).then(({ url }) =>
        fetch(url + authorizePath(), { headers: https, signal: leave.signal }).catch(() => undefined),
      )
    })
    expect(await told).toMatchObject({
      endpoint: 'authorization',
      client_id: 'web',
      reason: 'authorize has neither answered nor returned { subject }, within callbackTimeout; redirect to your login, or return one',
    })
    leave.abort()
  })
})

describe('the pages', () => {
  const [block = ''] = blocks.filter((code) => code.includes('authorizationResponse(oauth') && code.includes("app.post('/authorize'"))

  async function decide(query: Record<string, string> | string, decision = 'allow'): Promise<Response> {
    const app = express()
    app.use(express.urlencoded(), (req, _res, next) => {
      Object.assign(req, { session: { userId: 'alice' } })
      next()
    })
    await runBlock(block, app)
    const { url } = await resources.listen(app)
    const text = new URLSearchParams(query).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return fetch(`${url}/authorize?${text}`, { method: 'POST', body: `decision=${decision}`, headers, redirect: 'manual' })
  }

  const asked = { client_id: 'web', redirect_uri, state: 's', code_challenge, code_challenge_method: 'S256' }

  test('V3 the block of the code flow runs as it stands, and leads to what is registered and nowhere else', async () => {
    const allowed = await decide(asked)
    expect([allowed.status, allowed.headers.get('location')]).toEqual([303, expect.stringMatching(/^https:\/\/client\.example\/callback\?code=/)]) // prettier-ignore
    expect((await decide(asked, 'deny')).headers.get('location')).toContain('error=access_denied')
    const twice = `${new URLSearchParams(asked).toString()}&redirect_uri=https%3A%2F%2Fevil.example%2Fsteal`
    for (const query of [{ ...asked, redirect_uri: 'https://evil.example/steal' }, { ...asked, client_id: 'nobody' }, twice, '']) {
      const refused = await decide(query)
      expect([refused.status >= 400, refused.headers.get('location')]).toEqual([true, null])
    }
  })

  test('V31 the place to come back to stays in the session, and is in no URL of a login', async () => {
    for (const code of blocks) expect(code).not.toMatch(/redirect\([^)]*\?\w+=\$\{encodeURIComponent\(request\.url/)
    const [server = ''] = blocks.filter((code) => code.includes('req.session.back = request.url') && code.includes('registration: true'))
    const session: { back?: string } = {}
    const app = express()
    app.set('trust proxy', true).use((req, _res, next) => {
      Object.assign(req, { session })
      next()
    })
    await runBlock(server.replace(/^const app = express\(\)$/m, ''), app)
    const { url } = await resources.listen(app)
    const body = JSON.stringify({ redirect_uris: [redirect_uri] })
    const registered = await fetch(`${url}/oauth2/register`, { method: 'POST', body, headers: { ...https, 'content-type': 'application/json' } }) // prettier-ignore
    const { client_id } = (await registered.json()) as { client_id: string }
    const path = authorizePath({ client_id, scope: 'notes:read' })
    const toLogin = await fetch(url + path, { headers: https, redirect: 'manual' })
    expect([toLogin.status, toLogin.headers.get('location'), session.back]).toEqual([302, '/login', path])
  })

  test('V43 a client that registers is found beside the option clients', async () => {
    const site = await startSite(resources, { clients: [machine] }, { registration: true })
    const body = JSON.stringify({ redirect_uris: [redirect_uri] })
    const registered = await fetch(`${site.url}/oauth2/register`, { method: 'POST', body, headers: { ...https, 'content-type': 'application/json' } }) // prettier-ignore
    const { client_id } = (await registered.json()) as { client_id: string }
    const page = await fetch(site.url + authorizePath({ client_id }), { headers: https })
    expect([page.status, (await page.text()).includes('<form')]).toEqual([200, true])
  })
})

describe('the guard and the web', () => {
  test('V9 a guard with cors on a route that OPTIONS does not reach: one warning, as soon as a page asks', async () => {
    const get = (path: string, method: 'get' | 'use') =>
      said(async ({ oauth }) => {
        const options = oauth({ cors: { origins: ['https://app.example'] }, store: memoryStore() })
        const app = express()
        app[method](path, requireAccessToken(options))
        const { url } = await resources.listen(app)
        const headers = { origin: 'https://app.example' }
        if (method === 'use')
          await fetch(url + path, { method: 'OPTIONS', headers: { ...headers, 'access-control-request-method': 'GET' } })
        for (let time = 0; time < 3; time++) await fetch(url + path, { headers })
      })
    expect(await get('/notes', 'get')).toEqual([
      'requireAccessToken with the option cors stands on a route that OPTIONS does not reach, so browsers get no answer to their preflight; ' +
        'mount it with app.use(path, …) or app.all(path, …)',
    ])
    expect(await get('/used', 'use')).toEqual([])
  })

  test('V38 prompt=none: no page; the answer says whether somebody has to log in, or to agree', async () => {
    const site = await startSite(resources)
    const path = authorizePath({ prompt: 'none' })
    const errorOf = async () => {
      const answer = await fetch(site.url + path, { headers: https, redirect: 'manual' })
      return [answer.status, new URL(answer.headers.get('location') ?? '').searchParams.get('error')]
    }
    expect(await errorOf()).toEqual([303, 'consent_required'])
    site.subject = undefined
    expect(await errorOf()).toEqual([303, 'login_required'])
  })

  test('V40 no body, a parameter twice, and a grant that is not served: the event names each', async () => {
    const site = await startSite(resources)
    const token = (body: string, type = 'application/x-www-form-urlencoded') => {
      const headers = { ...https, 'content-type': type, authorization: `Basic ${btoa(`${web.client_id}:${web.client_secret}`)}` }
      return fetch(`${site.url}/oauth2/token`, { method: 'POST', body, headers })
    }
    for (const body of ['', 'grant_type=password&grant_type=password', 'grant_type=password', 'grant_type=hunter2', 'hunter2=1&hunter2=2'])
      await token(body)
    expect(site.server.events.map(({ reason, grant_type }) => [reason, grant_type])).toEqual([
      ['grant_type is required', undefined],
      ['grant_type is included more than once', undefined],
      ['grant_type is not among the option grants', 'password'],
      ['grant_type is neither one of the option grants nor a registered name', undefined],
      ['a parameter is included more than once', undefined],
    ])
    expect(JSON.stringify(site.server.events)).not.toContain('hunter2')
  })
})

describe('what is missing, by the names that people wrote', () => {
  test('V13 authorizationServer(oauth)', async () => {
    expect(await said(({ oauth }) => authorizationServer(oauth(), wrong(undefined)))).toEqual([
      'authorizationServer: the second argument is missing; write authorizationServer(oauth, { authorize(request, req, res) { … } })',
    ])
  })

  test('V14 authorizationServer({ …, authorize }, {}) says which authorize it needs', async () => {
    const options = { authorize: () => undefined }
    expect(await said(({ oauth }) => authorizationServer(oauth(options), wrong({})))).toEqual([
      'authorizationServer: the second argument needs the function authorize, not undefined; write authorizationServer(oauth, ' +
        '{ authorize(request, req, res) { … } }); the option authorize is another thing, a rule before tokens are issued',
    ])
  })

  test('V15 a format that was not called stops the start', async () => {
    expect(await saidOf({ accessTokens: jwt })).toEqual(['accessTokens: it is the function jwt itself; call it: jwt({ key })'])
    expect(await saidOf({ accessTokens: opaque })).toEqual(['accessTokens: it is the function opaque itself; call it: opaque()'])
  })

  test('V21 authorizationServer below a path: one line, whatever the path of the issuer', async () => {
    const under = (issuer: string) =>
      said(async ({ oauth }) => {
        const app = express()
        app.set('trust proxy', true).use('/auth', authorizationServer(oauth({ issuer, store: memoryStore() }), { authorize: () => ({ subject: 'alice' }) })) // prettier-ignore
        const { url } = await resources.listen(app)
        for (let time = 0; time < 3; time++) await fetch(`${url}/auth/oauth2/token`, { method: 'POST', headers: https })
      })
    const lines = (await under('https://x.example')).filter((line) => !line.startsWith('event:'))
    expect(lines).toEqual([expect.stringMatching(/^authorizationServer answers at .* set mountPath to/)])
    const below = (await under('https://x.example/auth')).filter((line) => !line.startsWith('event:'))
    expect(below).toEqual([expect.stringMatching(/^authorizationServer was mounted under \/auth, .*; mount it at the root/)])
  })

  test.each([
    ['clientId', { clientId: 'a', clientSecret: 'x' }, 'clients[0] has no member "clientId"; did you mean "client_id"?'],
    ['redirect_uri', { ...web, redirect_uri }, 'client "web" has no member "redirect_uri"; did you mean "redirect_uris"?'],
    ['grantTypes', { ...machine, grantTypes: [] }, 'client "machine" has no member "grantTypes"; did you mean "grant_types"?'],
  ])('V27 an unknown member is looked at first: %s', async (_name, client, start) => {
    expect(await saidOf({ clients: [client] })).toEqual([`${start} What is your own goes under "extra".`])
  })

  test.each([
    ['scopes', 'scope'],
    ['name', 'client_name'],
    ['logo', 'logo_uri'],
  ])('V39 %s of a client: the name that is meant, and one question mark', async (name, meant) => {
    const [line = ''] = await saidOf({ clients: [{ ...machine, [name]: 'x' }] })
    expect(line).toBe(`client "machine" has no member "${name}"; did you mean "${meant}"? What is your own goes under "extra".`)
  })
})

describe('values', () => {
  const client = (more: object) => ({ clients: [{ ...machine, ...more }] })

  test.each([
    ['a short secret', client({ client_secret: 'ab' }), 'client_secret has fewer than 12 characters'],
    ['a lifetime in milliseconds', { accessTokenLifetime: 3_600_000 }, 'if milliseconds were meant, use 3600'],
    ['a wildcard', { clients: [{ ...web, redirect_uris: ['https://*.example/cb'] }] }, 'register every URI'],
    ['a hash of bcrypt', client({ client_secret: `$2b$10$${'a'.repeat(53)}` }), 'hashClientSecret(secret)'],
    ['refresh_token alone', client({ grant_types: ['refresh_token'] }), 'grant_types has refresh_token alone'],
    ['implicit', client({ grant_types: ['client_credentials', 'implicit'] }), 'grant_types has implicit'],
    ['openid', { scopes: ['openid'] }, 'scopes has "openid"'],
  ])('V28 %s: the server starts, and warns once', async (_what, options, text) => {
    const lines = await said(({ oauth }) => {
      const same = oauth(options)
      tokenHandler(same)
      tokenHandler(same)
    })
    expect(lines).toEqual([expect.stringContaining(text)])
  })

  test('V28 options that are changed after the start: nothing changes, as docs/options.md and the comment of ServerOptions say', async () => {
    const options = { clients: [machine], scopes: ['read'], store: memoryStore(), accessTokenLifetime: 60 }
    const lifetime = async () => (await issueTokens(options, { client_id: 'machine', subject: null })).expires_in
    expect(await lifetime()).toBe(60)
    options.accessTokenLifetime = 7
    expect(await lifetime()).toBe(60)
    expect(pages.get('docs/options.md')).toContain('Options are read once; a change to the object afterwards has no effect.')
  })

  test.each([
    ['a grant by name', { grants: ['authorization_code'] }, 'call it: authorizationCode()'],
    ['a grant that was not called', { grants: [clientCredentials] }, 'call it: clientCredentials()'],
    ['a store that was not called', { store: memoryStore }, 'call it: memoryStore()'],
    ['a format by name', { accessTokens: 'jwt' }, 'call it: jwt({ key })'],
    ['cors: true', { cors: true }, "as in { origins: ['https://app.example.com'] }"],
    ['a pool', { store: { query() {}, connect() {} } }, 'store: postgresStore(pool)'],
    ['a promise', { store: Promise.resolve(memoryStore()) }, 'await it'],
  ])('V29 %s: the start stops with the remedy', async (_what, options, remedy) => {
    expect(await saidOf(options)).toEqual([expect.stringContaining(remedy)])
  })

  test('V29 password() says which function it needs', async () => {
    expect(await said(() => password(wrong(undefined)))).toEqual([
      'password needs its function: password({ authenticate: (username, password) => subject })',
    ])
  })

  test('V30 allowInsecureTransport in production: both remedies', async () => {
    const before = process.env.NODE_ENV
    process.env.NODE_ENV = 'production'
    try {
      expect(await saidOf({ allowInsecureTransport: true, store: memoryStore() })).toEqual([
        'allowInsecureTransport is for development; with NODE_ENV=production remove it and serve https, or, behind a proxy that ends TLS, ' +
          "remove it and set app.set('trust proxy', 1)",
      ])
    } finally {
      process.env.NODE_ENV = before
    }
  })
})

describe('a token for two services', () => {
  const audience = ['https://stock.example', 'https://invoices.example']
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const formats: readonly [string, AccessTokenFormat][] = [
    ['jwt', jwt({ key, audience })],
    ['encrypted', encrypted({ key: Buffer.alloc(32, 7), audience })],
    [
      'encrypted and signed',
      encrypted({ key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, signWith: jwt({ key, audience }) }),
    ],
  ]

  test.each(formats)('V24 %s: written, and read by the guard and by tokenVerifier of each', async (name, accessTokens) => {
    const options = { issuer: 'https://auth.example', clients: [machine], scopes: ['read'], accessTokens, store: memoryStore() }
    const { access_token } = await issueTokens(options, { client_id: 'machine', subject: null, scope: 'read' })
    if (name === 'jwt') {
      const [, claims = ''] = access_token.split('.')
      expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({ aud: audience })
    }
    const app = express()
    const requirements = [undefined, ...audience, 'https://other.example'].map((one) => (one === undefined ? {} : { audience: one }))
    for (const [at, requirement] of requirements.entries())
      app.get(`/${at}`, requireAccessToken(options, requirement), (_req, res) => void res.json({}))
    const { url } = await resources.listen(app)
    const statuses = []
    for (const at of requirements.keys())
      statuses.push((await fetch(`${url}/${at}`, { headers: { authorization: `Bearer ${access_token}` } })).status)
    expect(statuses).toEqual([200, 200, 200, 401])
    for (const requirement of requirements.slice(0, 3))
      expect(await tokenVerifier(options, requirement).verifyAccessToken(access_token)).toMatchObject({ clientId: 'machine' })
    await expect(tokenVerifier(options, requirements[3]).verifyAccessToken(access_token)).rejects.toThrow('the access token is invalid')
  })
})

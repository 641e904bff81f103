/** Clients of strangers: nobody is led to a place that a stranger has registered, before somebody is known to be there. */
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import {
  AccessDenied,
  authorizationHandler,
  memoryStore,
  type Decide,
  type ServerOptions,
  type Store,
  type StoredRecord,
} from '../../src/index.js'
import { sha256 } from '../../src/secrets.js'
import { code_challenge, exchange, testServer } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { authorizePath, Browser, issuer, startSite, type Page, type Site } from './site.js'

const resources = new Resources()
afterEach(() => resources.close())

const document_id = 'https://evil.example/client.json'
const phish = 'https://phish.example/'
const frame = { 'sec-fetch-dest': 'iframe', 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'cross-site' }

/** A site where anybody may register, and be a document. */
function start(decide?: Decide, options: ServerOptions = {}): Promise<Site> {
  const fetch = (client_id: string) =>
    Promise.resolve({ document: { client_id, client_name: 'Claude', redirect_uris: [phish] }, headers: {} })
  const open = { clientIdMetadataDocuments: { fetch }, ...options }
  return startSite(resources, open, { registration: { perMinute: 1000 }, ...(decide === undefined ? {} : { authorize: decide }) })
}

async function register(site: Site, ...redirect_uris: readonly string[]) {
  const body = JSON.stringify({ redirect_uris, token_endpoint_auth_method: 'none' })
  const page = await site.browser().go('/oauth2/register', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  return { status: page.status, json: JSON.parse(page.body) as { client_id: string; error?: string } }
}

/** Path of a request of a client that has just registered itself with that URI. */
async function pathOfStranger(site: Site, differences = {}, redirect_uri = phish) {
  const { client_id } = (await register(site, redirect_uri)).json
  return authorizePath({ client_id, redirect_uri, ...differences })
}

/** The link of an error page. */
const linkOf = ({ body }: Page) => /<a href="([^"]*)" rel="noreferrer noopener">/.exec(body)?.[1]?.replaceAll('&amp;', '&') ?? ''

function expectPageWithLink(page: Page, link: string, error: object): void {
  expect([page.status, page.location, page.headers.refresh]).toEqual([400, undefined, undefined])
  expect(page.headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', 'referrer-policy': 'no-referrer' })
  expect(linkOf(page).startsWith(`${link}?`)).toBe(true)
  expect(Object.fromEntries(new URL(linkOf(page)).searchParams)).toEqual({ ...error, state: 'state of web', iss: issuer })
  expect(page.body.match(/<a /g)).toHaveLength(1)
  expect(page.body).not.toMatch(/<script|http-equiv/)
}

describe('X5 the script', () => {
  test('X5 schemes of other programs cannot be registered, and nobody is asked or redirected', async () => {
    const decide = jest.fn(() => undefined)
    const site = await start(decide)
    for (const uri of ['ms-msdt:/id', 'search-ms:query=x&crumb=location:%5C%5Cevil', 'tel:+1900', 'filesystem:https://x/', 'view-source:https://x/']) {
      const { status, json } = await register(site, uri)
      expect([uri, status, json.error]).toEqual([uri, 400, 'invalid_redirect_uri'])
    }
    const registered = await site.browser().go(await pathOfStranger(site, { response_type: 'x' }))
    expectPageWithLink(registered, phish, { error: 'unsupported_response_type', error_description: 'response_type must be code' })
    expect(registered.body).toContain('<strong dir="auto">phish.example</strong>')
    const documented = await site.browser().go(authorizePath({ client_id: document_id, redirect_uri: phish, scope: 'nonsense' }))
    expectPageWithLink(documented, phish, { error: 'invalid_scope', error_description: expect.any(String) })
    expect(decide).not.toHaveBeenCalled()
  }) // prettier-ignore
})

describe('X5 before anybody is known to be there', () => {
  test.each([
    [{ response_type: undefined }, 'invalid_request'],
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ response_mode: 'fragment' }, 'invalid_request'],
    [{ scope: 'nonsense' }, 'invalid_scope'],
    [{ code_challenge: undefined }, 'invalid_request'],
    [{ code_challenge_method: 'plain' }, 'invalid_request'],
    [{ request: 'e30.e30.' }, 'request_not_supported'],
    [{ request_uri: 'https://evil.example/r' }, 'request_uri_not_supported'],
    [{ prompt: 'none login' }, 'invalid_request'],
    [{ prompt: 'none', scope: 'nonsense' }, 'invalid_scope'],
    [{ prompt: 'none', response_type: 'token' }, 'unsupported_response_type'],
  ])('X5 %j is a page with a link, by GET and POST', async (differences, error) => {
    const decide = jest.fn(() => ({ subject: 'alice' }))
    const site = await start(decide)
    for (const path of [await pathOfStranger(site, differences), authorizePath({ client_id: document_id, redirect_uri: phish, ...differences })]) {
      for (const method of ['GET', 'POST'])
        expectPageWithLink(await site.browser().go(path, { method }), phish, { error, error_description: expect.any(String) })
    }
    expect(decide).not.toHaveBeenCalled()
  }) // prettier-ignore

  test('X5 a client of the application goes back as before', async () => {
    const site = await start()
    const { status, answer } = await site.browser().go(authorizePath({ scope: 'nonsense' }))
    expect([status, answer.error]).toEqual([303, 'invalid_scope'])
  })

  test('X5 a request that had to be pushed, and an unknown resource', async () => {
    const site = await start(undefined, { requirePushedAuthorizationRequests: true })
    expect((await site.browser().go(await pathOfStranger(site))).status).toBe(400)
    const other = await start(undefined, { resources: ['https://api.example.com'] })
    const page = await other.browser().go(`${await pathOfStranger(other)}&resource=https://evil.example`)
    expect([page.status, new URL(linkOf(page)).searchParams.get('error')]).toEqual([400, 'invalid_target'])
  })

  test.each<[string, () => unknown, number, string]>([
    ['denies', () => { throw new AccessDenied('not for you') }, 400, 'access_denied'],
    ['fails', () => { throw new Error('password=hunter2') }, 500, 'server_error'],
    ['names nobody', () => ({}), 500, 'server_error'],
  ])('X5 an application that %s before it has named a subject', async (_what, decide, status, error) => {
    const site = await start(decide as Decide)
    const page = await site.browser().go(await pathOfStranger(site))
    expect([page.status, page.location, new URL(linkOf(page)).searchParams.get('error')]).toEqual([status, undefined, error])
    expect(page.body).not.toContain('hunter2')
  }) // prettier-ignore

  test('X5 the texts of the page may be others, and what a client registered is text there', async () => {
    const { options } = testServer({ issuer, trustProxy: () => true, clientIdMetadataDocuments: { fetch: (client_id) => Promise.resolve({ document: { client_id, redirect_uris: ["https://phish.example/?'&lt;"] }, headers: {} }) } }) // prettier-ignore
    const texts = { errorDestination: 'Nach {host}, {client}?', errorLink: 'Zurück zu {host}' }
    const { url } = await resources.listen(authorizationHandler(options, () => undefined, { texts }))
    const path = authorizePath({ client_id: document_id, redirect_uri: "https://phish.example/?'&lt;", scope: 'x' })
    const { body } = await new Browser(url).go(path)
    expect(body).toContain('<p>Nach <strong dir="auto">phish.example</strong>, {client}?</p>')
    expect(body).toContain(' rel="noreferrer noopener">Zurück zu <strong dir="auto">phish.example</strong></a>')
    expect(body).toContain('href="https://phish.example/?&#39;&amp;lt;&amp;error=invalid_scope&amp;')
  })
})

describe('X5 when somebody is there', () => {
  test('X5 agreement and denial go to the client', async () => {
    const site = await start()
    for (const path of [await pathOfStranger(site), authorizePath({ client_id: document_id, redirect_uri: phish })]) {
      expect((await site.browser().decide(path)).location).toMatch(/^https:\/\/phish\.example\/\?code=/)
      expect((await site.browser().decide(path, 'deny')).location).toMatch(/^https:\/\/phish\.example\/\?error=access_denied&/)
    }
  })

  test('X5 a failure after the subject was named goes to the client', async () => {
    const site = await start(() => ({ subject: 'alice', scope: 'admin' }))
    const page = await site.browser().go(await pathOfStranger(site))
    expect([page.status, page.answer.error]).toEqual([303, 'server_error'])
  })

  test('X5 an application that denies after the person has agreed', async () => {
    const site = await start((_request, req: { method: string }) => {
      if (req.method === 'POST') throw new AccessDenied('not for you')
      return { subject: 'alice' }
    })
    expect((await site.browser().decide(await pathOfStranger(site))).answer).toMatchObject({ error: 'access_denied' })
  })

  test('X5 a decision that was not confirmed goes nowhere', async () => {
    const site = await start()
    const path = await pathOfStranger(site)
    for (const decision of ['allow', 'deny', '']) {
      const { status, location } = await site.browser().post(path, { decision })
      expect([status, location?.[0]]).toEqual([303, '?'])
    }
  })

  test.each<[string, Record<string, string>]>([
    ['a browser that does not say where', {}],
    ['a window', { 'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'cross-site' }],
    ['an embedded object', { 'sec-fetch-dest': 'object', 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'same-origin' }],
  ])('X5 U7 M6 prompt=none in %s is a page with a link, and nobody is asked', async (_what, headers) => {
    const decide = jest.fn(() => ({ subject: 'alice' }))
    const site = await start(decide)
    for (const path of [await pathOfStranger(site, { prompt: 'none' }), authorizePath({ client_id: document_id, redirect_uri: phish, prompt: 'none' })]) {
      for (const method of ['GET', 'POST']) {
        const page = await site.browser().go(path, { method, headers })
        expectPageWithLink(page, phish, { error: 'interaction_required', error_description: 'the resource owner must be asked' })
      }
    }
    expect(decide).not.toHaveBeenCalled()
  }) // prettier-ignore

  test.each([
    [{}, 'interaction_required'],
    [{ scope: 'nonsense' }, 'invalid_scope'],
  ])('X5 U7 M6 prompt=none %j in a frame goes back, and says nothing about who is logged in', async (differences, error) => {
    const decide = jest.fn(() => ({ subject: 'alice' }))
    const site = await start(decide)
    await site.browser().go(authorizePath({ client_id: document_id, redirect_uri: phish }))
    decide.mockClear()
    for (const of of [{ client_id: document_id }, { client_id: (await register(site, phish)).json.client_id }]) {
      const path = authorizePath({ ...of, redirect_uri: phish, prompt: 'none', ...differences })
      const { status, location, answer } = await site.browser().go(path, { headers: frame })
      expect([status, location?.startsWith(`${phish}?error=`), answer.error]).toEqual([303, true, error])
    }
    expect(decide).not.toHaveBeenCalled()
  })

  test('X5 M6 a frame without prompt=none gets the page, whatever the application says of who is logged in', async () => {
    const site = await start(() => { throw new AccessDenied('not for you') }) // prettier-ignore
    for (const differences of [{}, { scope: 'nonsense' }, { prompt: 'none login' }]) {
      const page = await site.browser().go(await pathOfStranger(site, differences), { headers: frame })
      expect([page.status, page.location]).toEqual([400, undefined])
    }
  })

  test('X5 U7 prompt=none for a client of the application goes back in a window too', async () => {
    const site = await start(() => undefined)
    for (const [scope, error] of [
      ['read', 'login_required'],
      ['nonsense', 'invalid_scope'],
    ]) {
      const { status, answer } = await site.browser().go(authorizePath({ prompt: 'none', scope }))
      expect([status, answer.error]).toEqual([303, error])
    }
  })
})

describe('X5 U27 private-use schemes of strangers', () => {
  test('X5 that of Cursor is taken, and so is one with a dot; the option names others', async () => {
    const site = await start()
    for (const uri of ['cursor://anysphere.cursor-mcp/oauth/callback', 'com.example.app:/callback']) {
      const { location } = await site.browser().decide(await pathOfStranger(site, {}, uri))
      expect(location?.startsWith(`${uri}?code=`)).toBe(true)
    }
    const other = await start(undefined, { privateUseSchemes: ['myapp'] })
    const statuses = [await register(other, 'myapp://cb'), await register(other, 'cursor://cb'), await register(other, 'a.b:/cb')]
    expect(statuses.map(({ status }) => status)).toEqual([201, 400, 201])
  })

  test('U26 U27 a document with a redirection URI that may not be registered is refused, in fixed words', async () => {
    for (const uri of ['https:claude.ai', 'ms-msdt:/id', 'ftp://x/', `https://x/\n10:00 INFO admin logged in`]) {
      const fetch = (client_id: string) => Promise.resolve({ document: { client_id, redirect_uris: [phish, uri] }, headers: {} })
      const site = await start(undefined, { clientIdMetadataDocuments: { fetch } })
      const { status, body } = await site.browser().go(authorizePath({ client_id: document_id, redirect_uri: phish }))
      expect([status, body.includes('unknown client')]).toEqual([400, true])
      if (!uri.includes('\n'))
        expect(site.server.events.at(-1)?.reason).toMatch(/^the client id metadata document cannot be used: redirect_uris must be /)
    }
  })

  test.each(['ms-msdt:/id', 'ftp://x/', 'https:claude.ai', 'https://x.example/a/../b'])(
    'X5 U26 a client that 0.1.0 let register %s keeps its other URIs and its refresh tokens, but is not sent there',
    async (uri) => {
      const store = memoryStore()
      const site = await start(undefined, { store })
      const { json } = await register(site, phish)
      const { client_id } = json
      const record = await storedClient(store, client_id)
      const client = {
        ...(record.data.client as object),
        redirect_uris: [uri, phish],
        grant_types: ['authorization_code', 'refresh_token'],
      }
      // The record as 0.1.0 wrote it
      await store.replace({ ...record, version: 'another', data: { client } }, record.version)
      const refused = await site.browser().go(authorizePath({ client_id, redirect_uri: uri, code_challenge }))
      expect([refused.status, refused.location, linkOf(refused)]).toEqual([400, undefined, ''])
      expect(site.server.events.at(-1)).toMatchObject({ reason: 'redirect_uri is registered, but may not be any more' })
      const { answer } = await site.browser().decide(authorizePath({ client_id, redirect_uri: phish }))
      const { json: tokens } = await site.server.token({ ...exchange(answer.code ?? ''), client_id, redirect_uri: phish })
      const form = { grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token), client_id }
      expect((await site.server.token(form)).status).toBe(200)
    },
  )
})

/** Found as the server would find it: by the id that a request for it names. */
async function storedClient(store: Store, client_id: string): Promise<StoredRecord> {
  const record = await store.get(`client:${sha256(JSON.stringify([issuer, client_id]))}`)
  if (record === undefined) throw new Error('no such client')
  return record
}

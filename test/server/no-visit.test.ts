/** What reaches the authorization endpoint although nobody visits it: frames of another site's page, pages loaded ahead, forms that were forged. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { memoryStore } from '../../src/index.js'
import { basic, redirect_uri, start, web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { asked, authorizePath, startSite, type Site } from './site.js'

const resources = new Resources()
afterEach(() => resources.close())

const id = 'https://client.example/client.json'
const byDocument = authorizePath({ client_id: id, redirect_uri })
const frame = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }
const visit = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
let fetches: number
let now: number
let site: Site
beforeEach(async () => {
  fetches = 0
  now = start
  const document = { client_id: id, client_name: 'Documented', redirect_uris: [redirect_uri] }
  const clientIdMetadataDocuments = { fetch: () => (fetches++, Promise.resolve({ document, headers: {} })) }
  const store = memoryStore({ clock: () => now })
  site = await startSite(resources, { store, clock: () => now, clientIdMetadataDocuments })
})

async function push(): Promise<string> {
  const body = new URLSearchParams(asked).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded', ...basic(web) }
  const { request_uri } = JSON.parse((await site.browser().go('/oauth2/par', { method: 'POST', headers, body })).body) as {
    request_uri: string
  }
  return `/oauth2/authorize?${new URLSearchParams({ client_id: 'web', request_uri }).toString()}`
}

describe('X12 a frame of another page', () => {
  test.each([
    ['an iframe of another site', {}],
    ['an iframe of a sibling', { 'sec-fetch-site': 'same-site' }],
    ['an object', { 'sec-fetch-dest': 'object' }],
    ['an embed', { 'sec-fetch-dest': 'embed' }],
    ['a fenced frame', { 'sec-fetch-dest': 'fencedframe' }],
  ])('X12 %s causes no fetch of a document, with prompt=none or without', async (_what, more) => {
    for (const path of [byDocument, authorizePath({ client_id: id, redirect_uri, prompt: 'none' })]) {
      const page = await site.browser().go(path, { headers: { ...frame, ...more } })
      expect([page.status, page.location, fetches]).toEqual([400, undefined, 0])
    }
    expect((await site.browser().go(byDocument, { headers: visit })).status).toBe(200)
    expect(fetches).toBe(1)
  })

  test('U7 X12 silent authentication goes on: of a client of the application, and of a document that is known', async () => {
    const silent = await site.browser().go(authorizePath({ prompt: 'none' }), { headers: frame })
    expect([silent.status, silent.answer.error]).toEqual([303, 'consent_required'])
    await site.browser().go(byDocument, { headers: visit })
    now += 60
    const known = await site.browser().go(authorizePath({ client_id: id, redirect_uri, prompt: 'none' }), { headers: frame })
    expect([known.status, known.answer.error, fetches]).toEqual([303, 'interaction_required', 1])
  })

  test('X2 X12 a pushed request that it opens does not live longer, and takes no room of its visitor', async () => {
    const framed = await push()
    const browser = site.browser()
    expect((await browser.go(framed, { headers: frame })).status).toBe(200)
    const visited = await push()
    expect((await browser.go(visited, { headers: visit })).status).toBe(200)
    now += 61
    expect((await browser.go(framed, { headers: visit })).status).toBe(400)
    expect((await browser.go(visited, { headers: visit })).status).toBe(200)
  })
})

describe('X12 a page that is loaded ahead', () => {
  test.each(['prefetch', 'prefetch;prerender', 'prefetch;anonymous-client-ip', 'Prefetch'])(
    'X12 Sec-Purpose: %s fetches nothing and opens nothing; the visit that follows works',
    async (purpose) => {
      const path = await push()
      for (const target of [byDocument, path]) {
        const ahead = await site.browser().go(target, { headers: { ...visit, 'sec-purpose': purpose } })
        expect([ahead.status, ahead.headers['set-cookie'], fetches]).toEqual([400, undefined, 0])
      }
      expect((await site.browser().go(path, { headers: visit })).status).toBe(200)
    },
  )
})

describe('M11 a pushed request that is posted before its page was shown', () => {
  test('M11 a browser without its cookie is sent to the page, and decides there', async () => {
    const path = await push()
    const browser = site.browser()
    const posted = await browser.go(path, { method: 'POST', headers: visit })
    expect([posted.status, posted.location]).toEqual([303, path.slice(path.indexOf('?'))])
    const page = await browser.go(path)
    expect(page.status).toBe(200)
    expect((await browser.post(path, { ...page.fields, decision: 'allow' })).answer).toHaveProperty('code')
    expect(site.server.events.filter(({ type }) => type === 'code.issued')).toHaveLength(1)
  })

  test('M11 a forged answer spoils no request that a person has open', async () => {
    const path = await push()
    const browser = site.browser()
    const page = await browser.go(path)
    await site.browser().post(path, { decision: 'deny' }, { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' })
    expect((await browser.post(path, { ...page.fields, decision: 'allow' })).answer).toHaveProperty('code')
  })
})

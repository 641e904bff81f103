/** Attacks on the decision: it is taken by the person who saw the page, in the browser that showed it, about the request that it named. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { native, redirect_uri, web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { asked, authorizePath, issuer, startSite, type Page, type Site } from './site.js'

const resources = new Resources()
const mcp = 'https://api.example.com/mcp'
const other = { ...native, client_id: 'other', redirect_uris: [redirect_uri, 'https://client.example/other'] }
let site: Site
beforeEach(async () => {
  const clients = [{ ...web, redirect_uris: [redirect_uri, 'https://client.example/two'] }, other]
  site = await startSite(resources, { clients, resources: [mcp, 'https://files.example.com'] })
})
afterEach(() => resources.close())

/** A page that alice has open, and what she would send. */
async function openPage(path = authorizePath()) {
  const browser = site.browser()
  const page = await browser.go(path)
  return { browser, fields: { ...page.fields, decision: 'allow' } }
}

/** Nothing was decided, and the client is not told that it was denied: the page is shown again, or the request itself is wrong. */
function expectNoCode({ status, answer, location = '' }: Page): void {
  expect([303, 400]).toContain(status)
  expect(answer).not.toHaveProperty('code')
  expect(location).toMatch(status === 303 ? /^(?:\?response_type=|https:\/\/client\.example\/callback\?error=invalid_)/ : /^$/)
  expect(site.server.events.map(({ type }) => type)).not.toContain('code.issued')
}

describe('M6 cross-site consent', () => {
  test('M6 the same, unharmed, gives a code', async () => {
    const { browser, fields } = await openPage()
    expect((await browser.post(authorizePath(), fields)).answer).toHaveProperty('code')
  })

  test('M6 a GET decides nothing', async () => {
    const { browser, fields } = await openPage()
    const path = `${authorizePath()}&${new URLSearchParams(fields).toString()}`
    const page = await browser.go(path)
    expect([page.status, page.location]).toEqual([200, undefined])
    expect((await browser.go(path, { method: 'HEAD' })).status).toBe(405)
    const overridden = await browser.go(`${path}&_method=POST`, { headers: { 'x-http-method-override': 'POST' } })
    expect([overridden.status, overridden.location]).toEqual([200, undefined])
  })

  test('M6 a forged POST brings no cookie, and does not replace the one of an open page', async () => {
    const { browser, fields } = await openPage()
    const stranger = site.browser()
    const forged = await stranger.post(authorizePath(), fields)
    expectNoCode(forged)
    expect(forged.headers['set-cookie']?.join()).toMatch(/^__Host-oauth2-asked-again=1;[^,]*$/)
    expect((await browser.post(authorizePath(), fields)).answer).toHaveProperty('code')
  })

  test('M6 a confirmation that the attacker got for himself is of no use elsewhere', async () => {
    const attacker = await openPage()
    const victim = await openPage()
    expectNoCode(await victim.browser.post(authorizePath(), attacker.fields))
  })

  test.each([
    ['cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['same-site', { 'sec-fetch-site': 'same-site' }],
    ['from nowhere', { 'sec-fetch-site': 'none' }],
    ['of no known kind', { 'sec-fetch-site': 'Same-Origin' }],
    ['of another origin', { 'sec-fetch-site': '', origin: 'https://evil.example' }],
    ['cross-site in spite of its origin', { 'sec-fetch-site': 'cross-site', origin: issuer }],
  ])('M6 a POST that is %s decides nothing, although it brings everything', async (_what, headers) => {
    const { browser, fields } = await openPage()
    expectNoCode(await browser.post(authorizePath(), fields, headers))
  })

  test('M6 browsers that say less: an origin that is ours, or null, or none', async () => {
    const { browser, fields } = await openPage()
    const body = new URLSearchParams(fields).toString()
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    for (const headers of [{ ...form, origin: issuer }, { ...form, origin: 'null' }, form]) {
      expect((await browser.go(authorizePath(), { method: 'POST', headers, body })).answer).toHaveProperty('code')
    }
    for (const origin of ['https://evil.example', 'https://as.example.evil.example', 'https://as.example:444', 'as.example']) {
      const { answer, location } = await browser.go(authorizePath(), { method: 'POST', headers: { ...form, origin }, body })
      expect([answer.code, location]).toEqual([undefined, authorizePath().slice('/oauth2/authorize'.length)])
    }
    const forged = await site.browser().go(authorizePath(), { method: 'POST', headers: { ...form, origin: 'null' }, body })
    expect([forged.answer.code, forged.location?.[0]]).toEqual([undefined, '?'])
  })

  test.each([{}, { confirmation: '' }, { confirmation: 'x' }, { confirmation: 'A'.repeat(43) }])(
    'M6 a POST with %j decides nothing',
    async (fields) => {
      const { browser } = await openPage()
      expectNoCode(await browser.post(authorizePath(), { ...fields, decision: 'allow' }))
    },
  )

  test('M6 a body that is none, or too much, or twice, decides nothing', async () => {
    const { browser, fields } = await openPage()
    const form = { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' }
    const confirmation = new URLSearchParams(fields).get('confirmation') ?? ''
    for (const body of [
      '',
      '%zz',
      `confirmation=${confirmation}&confirmation=${confirmation}`,
      `confirmation[]=${confirmation}`,
      'a'.repeat(20_000),
    ]) {
      expectNoCode(await browser.go(authorizePath(), { method: 'POST', headers: form, body }))
    }
  })

  test('M6 no page of ours can be framed, and cookies are not told to scripts', async () => {
    const browser = site.browser()
    const pages = [
      await browser.go(authorizePath()),
      await browser.go('/oauth2/authorize'),
      await browser.go(authorizePath({ scope: 'x' })),
    ]
    site.subject = undefined
    pages.push(await browser.go(authorizePath()))
    for (const { headers } of pages) {
      expect(headers['x-frame-options']).toBe('DENY')
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
      expect(headers).not.toHaveProperty('access-control-allow-origin')
    }
    expect(pages[0]?.headers['set-cookie']?.[0]).toMatch(/; HttpOnly; SameSite=Lax; Secure$/)
  })

  test('M6 a cookie that another host could have set counts for nothing', async () => {
    const { browser, fields } = await openPage()
    const [value = ''] = browser.cookies.values()
    browser.cookies.clear()
    for (const name of ['oauth2-confirmation', '__Secure-oauth2-confirmation', ' __host-oauth2-confirmation']) {
      browser.cookies.set(name, value)
      expectNoCode(await browser.post(authorizePath(), fields))
    }
    browser.cookies.set('__Host-oauth2-confirmation', 'short')
    expectNoCode(await browser.post(authorizePath(), fields))
  })
})

describe('M6 the request is the one on the page', () => {
  test.each([
    ['client_id', 'other'],
    ['redirect_uri', 'https://client.example/two'],
    ['scope', 'read write'],
    ['state', 'another'],
    ['code_challenge', 'B'.repeat(43)],
    ['nonce', 'added'],
    ['prompt', 'login'],
    ['resource', mcp],
    ['login_hint', 'mallory'],
  ])('M6 another %s between page and decision decides nothing', async (name, value) => {
    const { browser, fields } = await openPage()
    expectNoCode(await browser.post(authorizePath({ [name]: value }), fields))
  })

  test.each(Object.keys(asked).filter((name) => !['client_id', 'response_type'].includes(name)))('M6 nor without %s', async (name) => {
    const { browser, fields } = await openPage()
    expectNoCode(await browser.post(authorizePath({ [name]: undefined }), fields))
  })

  test('M6 nor with the resources changed, taken away, or in another order', async () => {
    const files = 'https://files.example.com'
    const path = (...list: string[]) => authorizePath() + list.map((resource) => `&resource=${encodeURIComponent(resource)}`).join('')
    const { browser, fields } = await openPage(path(mcp, files))
    for (const changed of [path(mcp), path(files, mcp), path(), path(mcp, files, files)]) expectNoCode(await browser.post(changed, fields))
    expect((await browser.post(path(mcp, files), fields)).answer).toHaveProperty('code')
  })

  test('M6 what the body says beside the confirmation changes nothing', async () => {
    const { browser, fields } = await openPage()
    const extra = { scope: 'admin', client_id: 'other', redirect_uri: 'https://evil.example', subject: 'bob', state: 'x' }
    const { location, answer } = await browser.post(authorizePath(), { ...fields, ...extra })
    expect(location?.startsWith(`${redirect_uri}?code=`)).toBe(true)
    expect(answer.state).toBe(asked.state)
    expect(site.server.events.at(-1)).toMatchObject({ type: 'code.issued', client_id: 'web', subject: 'alice' })
  })
})

describe('M6 the person is the one who saw the page', () => {
  test('M6 another session between page and decision decides nothing', async () => {
    const { browser, fields } = await openPage()
    site.subject = 'mallory'
    expectNoCode(await browser.post(authorizePath(), fields))
    site.subject = 'alice'
    expect((await browser.post(authorizePath(), fields)).answer).toHaveProperty('code')
  })

  test('M6 a person who has logged out in between is asked to log in', async () => {
    const { browser, fields } = await openPage()
    site.subject = undefined
    const page = await browser.post(authorizePath(), fields)
    expect([page.status, page.body]).toEqual([200, 'please log in'])
  })

  test('M6 a scope that grew between page and decision decides nothing', async () => {
    let scope = ['read']
    const growing = await startSite(resources, {}, { authorize: () => ({ subject: 'alice', scope }) })
    const browser = growing.browser()
    const path = authorizePath({ scope: 'read write' })
    const { fields } = await browser.go(path)
    scope = ['read', 'write']
    const { answer, location } = await browser.post(path, { ...fields, decision: 'allow' })
    expect([answer.code, location?.[0]]).toEqual([undefined, '?'])
  })

  test('M6 a confirmation that is sent again asks the application again, and serves no other browser', async () => {
    const { browser, fields } = await openPage()
    const first = await browser.post(authorizePath(), fields)
    const second = await browser.post(authorizePath(), fields)
    expect(second.answer.code).not.toBe(first.answer.code)
    site.subject = undefined
    expect((await browser.post(authorizePath(), fields)).body).toBe('please log in')
    const elsewhere = await site.browser().post(authorizePath(), fields)
    expect(elsewhere.answer).not.toHaveProperty('code')
  })
})

/** Decisions on the consent page: one word agrees, an answer that is not confirmed is asked for again, and one cookie proves the browser. */
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import type express from 'express'
import { createHmac } from 'node:crypto'
import { authorizationResponse, type AuthorizationRequest, type Decide, type ServerOptions } from '../../src/index.js'
import { basic, exchange, web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { asked, authorizePath, issuer, startSite, type Browser, type Page, type Site } from './site.js'

const resources = new Resources()
afterEach(() => resources.close())

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const cookieName = '__Host-oauth2-confirmation'
const codesOf = ({ server }: Site) => server.events.filter(({ type }) => type === 'code.issued').length

/** The page that a browser gets where its answer was not taken. */
async function pageAgain(browser: Browser, { status, location = '', answer }: Page): Promise<Page> {
  expect([status, location[0], answer.code, answer.error]).toEqual([303, '?', undefined, undefined])
  return browser.go(`/oauth2/authorize${location}`)
}

const isAskedAgain = ({ body }: Page) => body.includes('<p class="note" role="status">Your answer was not accepted')

describe('X13 the word that agrees', () => {
  test('X13 the script: everything but allow denies', async () => {
    const site = await startSite(resources)
    const browser = site.browser()
    const { fields } = await browser.go(authorizePath())
    for (const decision of ['deny', 'Deny', 'denied', 'no', 'cancel', '', 'ALLOW', 'allow ', 'allowed', 'true', 'yes', '1', 'allow,deny']) {
      const { answer } = await browser.post(authorizePath(), { ...fields, decision })
      expect([decision, answer.error, answer.code]).toEqual([decision, 'access_denied', undefined])
    }
    expect((await browser.post(authorizePath(), fields)).answer.error).toBe('access_denied')
    expect(codesOf(site)).toBe(0)
    expect((await browser.post(authorizePath(), { ...fields, decision: 'allow' })).answer).toHaveProperty('code')
  })

  test('X13 the same on a page of the application, which is told the word by the type of its request', async () => {
    const decide = jest.fn(ownPage)
    const site = await startSite(resources, {}, { authorize: decide })
    const browser = site.browser()
    const { fields } = await browser.go(authorizePath())
    for (const answer of [{ decision: 'no' }, { decision: 'Allow' }, { decision: '' }, {}]) {
      expect((await browser.post(authorizePath(), { ...fields, ...answer })).answer.error).toBe('access_denied')
    }
    expect(decide).toHaveBeenCalledTimes(1)
    expect((await browser.post(authorizePath(), { ...fields, decision: 'allow' })).answer).toHaveProperty('code')
  })

  test('X13 the agreement of the own page cannot be left out, nor replaced', async () => {
    const site = await startSite(resources)
    const browser = site.browser()
    const { fields } = await browser.go(authorizePath())
    const { confirmation = '', agreement = '' } = fields
    for (const answer of [{ confirmation }, { confirmation, agreement: '' }, { confirmation, agreement: 'x' }, { confirmation, agreement: confirmation }, { confirmation: agreement, agreement }]) {
      expect(isAskedAgain(await pageAgain(browser, await browser.post(authorizePath(), { ...answer, decision: 'allow' })))).toBe(true)
    }
    expect(codesOf(site)).toBe(0)
  }) // prettier-ignore

  test('X13 the own page does not print the confirmation that a page of the application gets, which is bound to nobody', async () => {
    let given = ''
    const site = await startSite(resources, {}, { authorize: ({ confirmation }) => ({ subject: (given = confirmation) && 'alice' }) })
    const { body, fields } = await site.browser().go(authorizePath())
    expect(given).toMatch(/^[\w-]{43}$/)
    expect(body).not.toContain(given)
    expect(fields.confirmation).not.toBe(given)
  })
})

/** A page of the application's own. */
const ownPage: Decide = ({ confirmation, isAskedAgain }, req: express.Request, res: express.Response) => {
  if (req.method === 'POST') return { subject: 'alice' }
  res.send(
    `${isAskedAgain ? 'again' : 'first'}<form method="post"><input type="hidden" name="confirmation" value="${confirmation}"></form>`,
  )
  return undefined
}

describe('X16 the cookie', () => {
  // What a sibling host could make, that knows the text of the cookie because it has set it
  const secret = 'A'.repeat(43)
  const pairs = Object.entries(asked).sort(([a], [b]) => (a < b ? -1 : 1))
  const confirmation = createHmac('sha256', secret).update(JSON.stringify([pairs, [], asked.redirect_uri])).digest('base64url') // prettier-ignore

  async function forge(cookies: readonly string[], fields: Readonly<Record<string, string>> = {}) {
    const site = await startSite(resources)
    const connection = await resources.connect(Number(new URL(site.url).port))
    const body = new URLSearchParams({ confirmation, decision: 'allow', ...fields }).toString()
    const head = [
      `POST ${authorizePath()} HTTP/1.1`,
      'Host: as.example',
      'Connection: close',
      'X-Forwarded-Proto: https',
      'Origin: null',
      ...cookies.map((cookie) => `Cookie: ${cookie}`),
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${body.length}`,
    ]
    connection.write(Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1'))
    const { status, headers } = await connection.response()
    return { status, location: String(headers.location), codes: codesOf(site) }
  }

  test('X16 control: whoever knows the text of the cookie, and of that alone, has the code of a page of the application', async () => {
    for (const cookie of [`${cookieName}=${secret}`, `a=b; ${cookieName}=${secret};c`, `a=b;\t ${cookieName}=${secret} \t; c=d`])
      expect(await forge([cookie])).toMatchObject({ status: 303, codes: 1 })
  })

  test.each([
    ['\xa0 before the name (the script)', [`\xa0${cookieName}=${secret}`]],
    ['\xa0 behind', [`${cookieName}\xa0=${secret}`]],
    ['the mark of a byte order', [`\xef\xbb\xbf${cookieName}=${secret}`]],
    ['a next line', [`\x85${cookieName}=${secret}`]],
    ['a value with \xa0', [`${cookieName}=${secret}\xa0`]],
    ['a name in other letters', [`__host-oauth2-confirmation=${secret}`]],
    ['a name without prefix', [`oauth2-confirmation=${secret}`]],
    ['a nameless one', [`=${cookieName}=${secret}`]],
    ['a value in quotes', [`${cookieName}="${secret}"`]],
    ['twice', [`${cookieName}=${secret}; ${cookieName}=${'B'.repeat(43)}`]],
    ['twice, the other first', [`${cookieName}=${'B'.repeat(43)}; ${cookieName}=${secret}`]],
    ['twice the same', [`${cookieName}=${secret}; ${cookieName}=${secret}`]],
    ['twice, one of them empty', [`${cookieName}=; ${cookieName}=${secret}`]],
    ['in two fields', [`${cookieName}=${secret}`, `${cookieName}=${'B'.repeat(43)}`]],
    ['a comma between', [`a=b, ${cookieName}=${secret}`]],
  ])('X16 %s is no cookie of ours', async (_what, cookies) => {
    const { status, location, codes } = await forge(cookies)
    expect([status, location[0], codes]).toEqual([303, '?', 0])
  })
})

describe('U10 asked again', () => {
  test('U10 two pages at once in one browser both work, and the cookie of the first stays', async () => {
    const site = await startSite(resources)
    const browser = site.browser()
    const paths = [authorizePath(), authorizePath({ state: 'another', scope: 'write' })] as const
    const first = await browser.go(paths[0])
    const second = await browser.go(paths[1])
    expect([first.headers['set-cookie']?.length, second.headers['set-cookie']]).toEqual([1, undefined])
    expect((await browser.post(paths[0], { ...first.fields, decision: 'allow' })).answer.state).toBe('state of web')
    expect((await browser.post(paths[1], { ...second.fields, decision: 'allow' })).answer.state).toBe('another')
    expect(codesOf(site)).toBe(2)
  })

  test('U10 two first pages at the same moment set two cookies: the page that lost is shown again, says so once, and works', async () => {
    const site = await startSite(resources)
    const browser = site.browser()
    const paths = [authorizePath(), authorizePath({ state: 'another' })] as const
    const pages = await Promise.all(paths.map((path) => browser.go(path)))
    expect(pages.map(({ headers }) => headers['set-cookie']?.length)).toEqual([1, 1])
    const kept = browser.cookies.get(cookieName)
    const lost = pages[0]?.headers['set-cookie']?.[0]?.includes(kept ?? '') === true ? 1 : 0
    const [path, losing] = [paths[lost], pages[lost]]
    const again = await pageAgain(browser, await browser.post(path, { ...losing?.fields, decision: 'allow' }))
    expect([isAskedAgain(again), browser.cookies.get(cookieName)]).toEqual([true, kept])
    expect(isAskedAgain(await browser.go(path))).toBe(false)
    expect((await browser.post(path, { ...again.fields, decision: 'allow' })).answer).toHaveProperty('code')
    expect((await browser.post(paths[1 - lost] ?? '', { ...pages[1 - lost]?.fields, decision: 'allow' })).answer).toHaveProperty('code')
  })

  test('U10 a browser that has lost its cookie gets the page again, whatever it answered', async () => {
    const site = await startSite(resources)
    for (const decision of ['allow', 'deny']) {
      const browser = site.browser()
      const { fields } = await browser.go(authorizePath())
      browser.cookies.clear()
      const again = await pageAgain(browser, await browser.post(authorizePath(), { ...fields, decision }))
      expect(isAskedAgain(again)).toBe(true)
      expect(site.server.events.at(-1)).toMatchObject({ type: 'request.refused', client_id: 'web', status: 303, reason: expect.stringContaining('confirmation') }) // prettier-ignore
      expect((await browser.post(authorizePath(), { ...again.fields, decision: 'allow' })).answer).toHaveProperty('code')
    }
  })

  test('U10 another person than the page was shown to sees it anew', async () => {
    const site = await startSite(resources)
    const browser = site.browser()
    const { fields } = await browser.go(authorizePath())
    site.subject = 'mallory'
    const again = await pageAgain(browser, await browser.post(authorizePath(), { ...fields, decision: 'allow' }))
    expect([isAskedAgain(again), codesOf(site)]).toEqual([true, 0])
    await browser.post(authorizePath(), { ...again.fields, decision: 'allow' })
    expect(site.server.events.at(-1)).toMatchObject({ type: 'code.issued', subject: 'mallory' })
  })

  test('U10 a POST that is not confirmed is never put before the application, which may take it for an agreement', async () => {
    const decide = jest.fn(ownPage)
    const site = await startSite(resources, {}, { authorize: decide })
    const browser = site.browser()
    const { fields } = await browser.go(authorizePath())
    const forged = await browser.post(authorizePath(), { ...fields, decision: 'allow' }, { 'sec-fetch-site': 'cross-site' })
    expect(decide).toHaveBeenCalledTimes(1)
    const again = await pageAgain(browser, forged)
    expect(again.body).toMatch(/^again/)
    expect(decide.mock.calls.map(([, req]) => (req as express.Request).method)).toEqual(['GET', 'GET'])
    expect((await browser.go(authorizePath())).body).toMatch(/^first/)
  })

  test('U10 the address stays, with bytes that are no URL encoded', async () => {
    const site = await startSite(resources)
    const connection = await resources.connect(Number(new URL(site.url).port))
    const path = `${authorizePath()}&x=%C3%A9&y=%0d%0aSet-Cookie:z`
    connection.send([`POST ${path} HTTP/1.1`, 'Host: as.example', 'X-Forwarded-Proto: https', 'Content-Length: 0', 'Connection: close'])
    const { status, headers } = await connection.response()
    expect([status, headers.location]).toEqual([303, path.slice('/oauth2/authorize'.length)])
  })
})

describe('U12 the origin of the issuer is ours', () => {
  test.each([
    ['a Host that a proxy rewrote', 'internal:8080', issuer],
    ['a Host with the default port', 'as.example:443', issuer],
    ['a Host in capitals', 'AS.Example', issuer],
    ['another public name of the same server', 'login.example:443', 'https://login.example'],
    ['a port of its own', 'login.example:8443', 'https://login.example:8443'],
  ])('U12 %s', async (_what, host, origin) => {
    const { browser, body } = await openPage()
    const { answer } = await browser.go(authorizePath(), { method: 'POST', headers: { ...form, host, origin }, body })
    expect(answer).toHaveProperty('code')
  })

  test.each([
    ['plain http', 'as.example', 'http://as.example'],
    ['another port', 'as.example', 'https://as.example:8443'],
    ['another host', 'as.example', 'https://evil.example'],
    ['a Host that is none', 'as.example@evil.example', 'https://evil.example'],
    ['a Host with a path', 'evil.example/as.example', 'https://evil.example'],
    ['no URL', 'as.example', 'as.example'],
    ['an opaque one', 'as.example', 'com.example.app://as.example'],
  ])('U12 %s is not', async (_what, host, origin) => {
    const { browser, body } = await openPage()
    const page = await browser.go(authorizePath(), { method: 'POST', headers: { ...form, host, origin }, body })
    expect([page.status, page.location?.[0], page.answer.code]).toEqual([303, '?', undefined])
  })

  async function openPage() {
    const site = await startSite(resources)
    const browser = site.browser()
    const { fields } = await browser.go(authorizePath())
    return { browser, body: new URLSearchParams({ ...fields, decision: 'allow' }).toString() }
  }
})

describe('U16 a pushed request gives one code, when the application answers by itself', () => {
  /** Answers by itself: with the whole request, or as an application of 0.1.0 did, with or without where it was pushed. */
  const answering = (site: () => Site, how: 'asked' | 'request_uri'): Decide => {
    return async (request: AuthorizationRequest, _req, res: express.Response) => {
      const { options } = site().server
      const { client_id, parameters, scope, request_uri } = request
      const { redirect_uri, state, code_challenge, code_challenge_method } = parameters
      const members = { client_id, redirect_uri, state, code_challenge, code_challenge_method, scope, request_uri }
      const answer = how === 'asked' ? { asked: request } : members
      res.redirect(303, await authorizationResponse(options, { ...answer, subject: 'alice' }))
      return undefined
    }
  }

  async function start(how: 'asked' | 'request_uri', options: ServerOptions = {}) {
    const site: Site = await startSite(resources, options, { authorize: answering(() => site, how) })
    const body = new URLSearchParams(asked).toString()
    const pushed = await site.browser().go('/oauth2/par', { method: 'POST', headers: { ...form, ...basic(web) }, body })
    const { request_uri } = JSON.parse(pushed.body) as { request_uri: string }
    return { site, path: `/oauth2/authorize?${new URLSearchParams({ client_id: 'web', request_uri }).toString()}` }
  }

  test.each(['asked', 'request_uri'] as const)('U16 by %s', async (how) => {
    const { site, path } = await start(how)
    const browser = site.browser()
    const { answer } = await browser.go(path)
    expect(answer).toEqual({ code: expect.any(String), state: 'state of web', iss: issuer })
    const second = await browser.go(path)
    expect([second.status, second.location]).toEqual([400, undefined])
    expect(second.body).toContain('the request_uri is unknown, expired, or was used')
    expect((await site.server.token(exchange(answer.code ?? ''), basic(web))).json.scope).toBe('read')
  })

  test('U16 I1 of 20 at once one gets a code', async () => {
    const { site, path } = await start('asked')
    const browser = site.browser()
    await browser.go(authorizePath())
    const pages = await Promise.all(Array.from({ length: 20 }, () => browser.go(path)))
    const codes = pages.filter(({ answer }) => answer.code !== undefined)
    // The first request here was not pushed.
    expect([codes.length, codesOf(site)]).toEqual([1, 2])
    for (const { status, answer } of pages.filter((page) => !codes.includes(page))) {
      expect(status === 400 || answer.error === 'invalid_request_uri').toBe(true)
    }
  })

  test('U16 a denial uses it up; another client, or what was never pushed, gets none', async () => {
    const { site, path } = await start('asked')
    const { options } = site.server
    const request_uri = new URLSearchParams(path.slice(path.indexOf('?'))).get('request_uri') ?? ''
    const { code_challenge, code_challenge_method, redirect_uri } = asked
    const answer = { client_id: 'web', redirect_uri, code_challenge, code_challenge_method, request_uri }
    const native = { ...answer, client_id: 'native', subject: 'alice' }
    expect(await authorizationResponse(options, native)).toContain('error=invalid_request_uri')
    for (const unknown of ['urn:ietf:params:oauth:request_uri:x', 'https://evil.example/', ''])
      expect(await authorizationResponse(options, { ...answer, request_uri: unknown, subject: 'alice' })).toContain(
        'error=invalid_request_uri',
      )
    expect(await authorizationResponse(options, { ...answer, subject: 'alice', scope: 'nonsense' })).toContain('error=invalid_scope')
    expect(await authorizationResponse(options, { ...answer, error: new Error('denied') })).toContain('error=server_error')
    expect(await authorizationResponse(options, { ...answer, subject: 'alice' })).toContain('error=invalid_request_uri')
    expect(codesOf(site)).toBe(0)
  })
})

/** The person agrees to be taken where the page says: a client that registers another redirection URI meanwhile gets no code there. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { authorizationResponse, InvalidRequest, type AuthorizationRequest } from '../../src/index.js'
import { web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { authorizePath, startSite, type Site } from './site.js'

const resources = new Resources()
afterEach(() => resources.close())

const shown = 'https://claude.example/cb'
const other = 'https://phish.example/cb'
/** A request may leave the redirection URI out where exactly one is registered. */
const path = authorizePath({ redirect_uri: undefined })
let registered: string
let asked: AuthorizationRequest[]
let site: Site
beforeEach(async () => {
  registered = shown
  asked = []
  site = await startSite(
    resources,
    { clients: (client_id) => (client_id === 'web' ? { ...web, redirect_uris: [registered] } : undefined) },
    { authorize: (request) => (asked.push(request), { subject: 'alice' }) },
  )
})

const issued = () => site.server.events.filter(({ type }) => type === 'code.issued').length

describe('M6 the redirection URI is the one on the page', () => {
  test('M6 on the page of the package: another one between page and decision shows the page again', async () => {
    const browser = site.browser()
    const page = await browser.go(path)
    expect(page.body).toContain('claude.example')
    registered = other
    const answer = await browser.post(path, { ...page.fields, decision: 'allow' })
    expect([answer.status, answer.location?.[0], issued()]).toEqual([303, '?', 0])
    const again = await browser.go(path)
    expect(again.body).toContain('phish.example')
    const { location } = await browser.post(path, { ...again.fields, decision: 'allow' })
    expect(location?.startsWith(`${other}?code=`)).toBe(true)
  })

  test('M6 on a page of the application, which sends its confirmation back', async () => {
    const browser = site.browser()
    await browser.go(path)
    const fields = { confirmation: String(asked[0]?.confirmation), decision: 'allow' }
    registered = other
    expect((await browser.post(path, fields)).location?.[0]).toBe('?')
    registered = shown
    expect((await browser.post(path, fields)).location?.startsWith(`${shown}?code=`)).toBe(true)
    expect(issued()).toBe(1)
  })

  test('M6 M7 in the answer of an application that kept the request: authorizationResponse refuses', async () => {
    await site.browser().go(path)
    const [request] = asked
    if (request === undefined) throw new Error('authorize was not asked')
    registered = other
    const answer = authorizationResponse(site.server.options, { asked: request, subject: 'alice' })
    await expect(answer).rejects.toThrow(InvalidRequest)
    expect(issued()).toBe(0)
    registered = shown
    const url = await authorizationResponse(site.server.options, { asked: request, subject: 'alice' })
    expect(url.startsWith(`${shown}?code=`)).toBe(true)
  })

  test('M6 a redirection URI that is named and still registered stays the one of the page, whatever else is registered', async () => {
    const named = authorizePath({ redirect_uri: shown })
    const browser = site.browser()
    const { fields } = await browser.go(named)
    const { location } = await browser.post(named, { ...fields, decision: 'allow' })
    expect(location?.startsWith(`${shown}?code=`)).toBe(true)
  })
})

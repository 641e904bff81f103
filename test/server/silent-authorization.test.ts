/** prompt=none (OpenID Connect Core 1.0 §3.1.2.1): nothing is shown, and the client is told what stands in the way. */
import { afterEach, describe, expect, test } from '@jest/globals'
import express from 'express'
import type { ServerResponse } from 'node:http'
import { AccessDenied, authorizationHandler, OAuthError, type Decide, type ServerOptions } from '../../src/index.js'
import { basic, testServer, web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { asked, authorizePath, Browser, issuer, startSite } from './site.js'

const resources = new Resources()
afterEach(() => resources.close())

const silent = authorizePath({ prompt: 'none' })
const told = (error: string, error_description: string) => ({ error, error_description, state: 'state of web', iss: issuer })
const login = told('login_required', 'the resource owner must log in')

describe('U7 prompt=none', () => {
  test('U7 nobody is logged in: login_required; somebody is: consent_required', async () => {
    const site = await startSite(resources)
    for (const [subject, answer] of [
      [undefined, login],
      ['alice', told('consent_required', 'the resource owner must agree')],
    ] as const) {
      site.subject = subject
      for (const method of ['GET', 'POST']) {
        const page = await site.browser().go(silent, { method })
        expect([page.status, page.body, page.answer]).toEqual([303, '', answer])
        expect(page.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
      }
    }
  })

  test.each<[string, Decide<express.Request, express.Response>]>([
    ['a redirect', (_request, _req, res) => {
      res.redirect('/login')
      return undefined
    }],
    ['a page', (_request, _req, res) => void res.status(401).type('html').send('<h1>Log in</h1>')],
    ['JSON', (_request, _req, res) => void res.json({ login: true })],
    ['a cookie and a header', (_request, _req, res) => void res.cookie('back', '1').set('X-Login', '1').set('Refresh', '0').end()],
    ['raw writes', (_request, _req, res) => void res.writeHead(302, { Location: '/login' }).end('x')],
    ['a stream', (_request, _req, res) => {
      for (const piece of ['a', 'b'.repeat(100_000)]) res.write(piece)
      return void res.end()
    }],
    ['its own variables', (_request, req, res) => void res.send(String(res.locals.user) + req.hostname + String(res.app === req.app))],
    ['an answer that comes late', async (_request, _req, res) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      res.redirect('/login')
      return undefined
    }],
  ])('U7 an application on Express that answers by itself, with %s, reaches nobody', async (_what, decide) => {
    const { options } = testServer({ issuer, trustProxy: () => true })
    const app = express().use((_req, res, next) => {
      res.locals.user = 'nobody'
      next()
    })
    const { url } = await resources.listen(app.use('/oauth2/authorize', authorizationHandler(options, decide)))
    const page = await new Browser(url).go(silent)
    expect([page.status, page.body, page.answer]).toEqual([303, '', login])
    expect(page.headers).not.toHaveProperty('x-login')
    expect(page.headers).not.toHaveProperty('refresh')
    expect(page.headers['set-cookie']?.join()).toMatch(/^__Host-oauth2-confirmation=[^,]*$/)
  }) // prettier-ignore

  test('U7 on node:http, too', async () => {
    const { options } = testServer({ issuer, trustProxy: () => true })
    const handler = authorizationHandler(
      options,
      (_request, _req, res: ServerResponse) => void res.writeHead(302, { Location: '/login' }).end(),
    )
    const { url } = await resources.listen((req, res) => handler(req, res))
    expect((await new Browser(url).go(silent)).answer).toEqual(login)
  })

  test.each<[string, () => unknown, object]>([
    ['denies', () => { throw new AccessDenied() }, told('access_denied', 'the request was denied')],
    ['says more', () => { throw new OAuthError('interaction_required', 'a second factor is needed') }, told('interaction_required', 'a second factor is needed')],
    ['fails', () => { throw new Error('password=hunter2') }, told('server_error', 'the server met an unexpected condition')],
    ['returns nonsense', () => null, told('server_error', 'the server met an unexpected condition')],
    ['does not answer', () => new Promise(() => undefined), told('interaction_required', 'the resource owner must be asked')],
  ])('U7 an application that %s', async (_what, decide, answer) => {
    const site = await startSite(resources, { callbackTimeout: 50 }, { authorize: decide as Decide })
    expect((await site.browser().go(silent)).answer).toEqual(answer)
  }) // prettier-ignore

  test.each(['none login', 'login none', 'none consent', 'none none', ' none  select_account'])(
    'U7 prompt=%j is invalid_request, and nobody is asked',
    async (prompt) => {
      const site = await startSite(resources, {}, { authorize: () => { throw new Error('asked') } }) // prettier-ignore
      const description = 'prompt must not be none together with other values'
      expect((await site.browser().go(authorizePath({ prompt }))).answer).toEqual(told('invalid_request', description))
      const body = new URLSearchParams({ ...asked, prompt }).toString()
      const headers = { 'content-type': 'application/x-www-form-urlencoded', ...basic(web) }
      const pushed = await site.browser().go('/oauth2/par', { method: 'POST', headers, body })
      expect([pushed.status, JSON.parse(pushed.body)]).toEqual([400, { error: 'invalid_request', error_description: description }])
    },
  )

  test.each(['login', 'consent', 'select_account', 'create', 'None', 'NONE', 'nonesuch', 'none\tlogin', 'login consent'])(
    'U7 prompt=%j is for the application to read',
    async (prompt) => {
      let read: string | undefined
      const authorize: Decide = ({ parameters }) => ((read = parameters.prompt), { subject: 'alice' })
      const site = await startSite(resources, {}, { authorize })
      expect((await site.browser().go(authorizePath({ prompt }))).status).toBe(200)
      expect(read).toBe(prompt)
    },
  )

  test('U7 a request that was pushed with it', async () => {
    const options: ServerOptions = { requirePushedAuthorizationRequests: true }
    const site = await startSite(resources, options)
    const headers = { 'content-type': 'application/x-www-form-urlencoded', ...basic(web) }
    const body = new URLSearchParams({ ...asked, prompt: 'none' }).toString()
    const pushed = await site.browser().go('/oauth2/par', { method: 'POST', headers, body })
    const { request_uri } = JSON.parse(pushed.body) as { request_uri: string }
    const path = `/oauth2/authorize?${new URLSearchParams({ client_id: 'web', request_uri }).toString()}`
    expect((await site.browser().go(path)).answer.error).toBe('consent_required')
  })
})

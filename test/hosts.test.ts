/**
 * One table: every handler, on every host, however it is mounted, behind every parser and without one.
 */
import { afterAll, afterEach, describe, expect, jest, test } from '@jest/globals'
import connect from 'connect'
import express from 'express'
import express4 from 'express4'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import {
  introspectionHandler,
  requireAccessToken,
  revocationHandler,
  tokenHandler,
  type Guard,
  type Handler,
  type HostRequest,
} from '../src/index.js'
import { formType } from './support/requests.js'
import { basic, exchange, testServer, web, type TestServer } from './support/server.js'
import { Resources } from './support/wire.js'

/** The application's own middleware, as all of these hosts take it. */
type Middleware = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void

/** Where the handlers are mounted. Before them run the parser, where there is one; behind the guard runs the resource. */
interface Application {
  readonly parser: Middleware | undefined
  readonly endpoints: Readonly<Record<'/oauth2/token' | '/oauth2/revoke' | '/oauth2/introspect', Handler>>
  readonly guard: Guard
  readonly resource: (req: HostRequest, res: ServerResponse) => void
}

// What these tests use of Express is the same in both versions.
const express4As5 = express4 as unknown as typeof express

function onExpress(create: typeof express, verb: 'use' | 'post') {
  return ({ parser, endpoints, guard, resource }: Application): RequestListener => {
    const app = create()
    if (parser !== undefined) app.use(parser)
    for (const [path, handler] of Object.entries(endpoints)) app[verb](path, handler)
    app[verb]('/api', guard, resource)
    return app
  }
}

/** Behind a router of its own, so that `url` is not what the client sent. */
function onRouter(create: typeof express, verb: 'use' | 'post') {
  return ({ parser, endpoints, guard, resource }: Application): RequestListener => {
    const app = create()
    const router = create.Router()
    if (parser !== undefined) router.use(parser)
    for (const [path, handler] of Object.entries(endpoints)) router[verb](path.replace('/oauth2', ''), handler)
    app.use('/oauth2', router)
    app[verb]('/api', guard, resource)
    return app
  }
}

function onConnect({ parser, endpoints, guard, resource }: Application): RequestListener {
  const app = connect()
  if (parser !== undefined) app.use(parser)
  for (const [path, handler] of Object.entries(endpoints)) app.use(path, handler)
  return app.use('/api', guard).use('/api', resource)
}

function onNodeHttp({ parser, endpoints, guard, resource }: Application): RequestListener {
  const routes = new Map<string, Handler>(Object.entries(endpoints))
  return (req, res) => {
    const [path = ''] = (req.url ?? '').split('?')
    const route = (): void => {
      const handler = routes.get(path.replace(/\/$/, ''))
      // An endpoint answers on its own; only the guard is given a next.
      if (handler === undefined) guard(req, res, () => resource(req, res))
      else handler(req, res)
    }
    if (parser === undefined) route()
    else parser(req, res, route)
  }
}

const hosts: [name: string, mount: (application: Application) => RequestListener, create: typeof express][] = [
  ['Express 5, use', onExpress(express, 'use'), express],
  ['Express 5, post', onExpress(express, 'post'), express],
  ['Express 5, use in a router', onRouter(express, 'use'), express],
  ['Express 5, post in a router', onRouter(express, 'post'), express],
  ['Express 4, use', onExpress(express4As5, 'use'), express4As5],
  ['Express 4, post', onExpress(express4As5, 'post'), express4As5],
  ['Express 4, use in a router', onRouter(express4As5, 'use'), express4As5],
  ['Express 4, post in a router', onRouter(express4As5, 'post'), express4As5],
  ['Connect, use', onConnect, express4As5],
  ['node:http', onNodeHttp, express],
]

const parsers: [name: string, make: (create: typeof express) => Middleware | undefined][] = [
  ['no parser', () => undefined],
  ['urlencoded, extended', (create) => create.urlencoded({ extended: true })],
  ['urlencoded, simple', (create) => create.urlencoded({ extended: false })],
  ['text', (create) => create.text({ type: formType })],
  ['raw', (create) => create.raw({ type: formType })],
  ['json', (create) => create.json()],
]

const table = hosts.flatMap(([host, mount, create]) => parsers.map(([parser, make]) => [host, parser, mount, make(create)] as const))

const resources = new Resources()
const warn = jest.spyOn(console, 'warn').mockReturnValue()
afterEach(() => resources.close())
afterAll(() => warn.mockRestore())

async function serve(server: TestServer, mount: (application: Application) => RequestListener, parser: Middleware | undefined) {
  const { options } = server
  const endpoints = {
    '/oauth2/token': tokenHandler(options),
    '/oauth2/revoke': revocationHandler(options),
    '/oauth2/introspect': introspectionHandler(options),
  }
  const resource: Application['resource'] = (req, res) => res.end(JSON.stringify(req.auth))
  const { url } = await resources.listen(mount({ parser, endpoints, guard: requireAccessToken(options, { scope: 'read' }), resource }))
  return async (path: string, form: string, headers: Record<string, string> = basic(web)) => {
    const response = await fetch(url + path, { method: 'POST', headers: { 'content-type': formType, ...headers }, body: form })
    const text = await response.text()
    return { status: response.status, challenge: response.headers.get('www-authenticate'), json: text === '' ? {} : JSON.parse(text) }
  }
}

describe('hosts', () => {
  test.each(table)('T10 T9 %s, %s: token, guard, introspection, refresh, revocation', async (_host, _parser, mount, parser) => {
    const server = testServer({ allowInsecureTransport: true })
    const post = await serve(server, mount, parser)
    const encoded = (form: Record<string, string>) => new URLSearchParams(form).toString()

    const issued = await post('/oauth2/token?tenant=a', encoded(exchange(await server.code({ scope: 'read write' }))))
    expect(issued).toMatchObject({ status: 200, json: { token_type: 'Bearer', expires_in: 3600, scope: 'read write' } })
    const { access_token, refresh_token } = issued.json
    const bearer = { authorization: `Bearer ${access_token}` }

    const allowed = await post('/api', 'a=b', bearer)
    expect(allowed).toMatchObject({ status: 200, json: { clientId: 'web', subject: 'alice', scopes: ['read', 'write'] } })
    expect(await post('/api', 'a=b', {})).toMatchObject({ status: 401, challenge: 'Bearer realm="oauth2", scope="read"' })

    const active = { status: 200, json: { active: true, sub: 'alice', client_id: 'web', scope: 'read write' } }
    const inactive = { status: 200, challenge: null, json: { active: false } }
    expect(await post('/oauth2/introspect', encoded({ token: access_token }))).toMatchObject(active)

    // T10: with any trailing slash that the mount allows
    const refreshed = await post('/oauth2/token/', encoded({ grant_type: 'refresh_token', refresh_token, scope: 'write' }))
    expect(refreshed).toMatchObject({ status: 200, json: { scope: 'write' } })
    expect((await post('/api', '', { authorization: `Bearer ${refreshed.json.access_token}` })).status).toBe(403)

    expect(await post('/oauth2/revoke', encoded({ token: access_token }))).toMatchObject({ status: 200, json: {} })
    expect(await post('/oauth2/introspect', encoded({ token: access_token }))).toEqual(inactive)
    expect(await post('/api', 'a=b', bearer)).toMatchObject({ status: 401, json: { error: 'invalid_token' } })

    expect(await post('/oauth2/revoke', encoded({ token: refreshed.json.refresh_token }))).toMatchObject({ status: 200 })
    expect(await post('/oauth2/introspect', encoded({ token: refreshed.json.access_token }))).toEqual(inactive)

    for (const path of ['/oauth2/token', '/oauth2/revoke', '/oauth2/introspect']) {
      expect(await post(path, 'grant_type=x&token=x', {})).toMatchObject({ status: 401, json: { error: 'invalid_client' } })
      expect(await post(`${path}?client_secret=x`, 'token=x')).toMatchObject({ status: 400, json: { error: 'invalid_request' } })
      expect(await post(path, 'client_id=web&client_id=web')).toMatchObject({ status: 400, json: { error: 'invalid_request' } })
    }
    expect(server.events.filter(({ type }) => type === 'request.failed')).toEqual([])
  })
})

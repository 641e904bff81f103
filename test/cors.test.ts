/** Calls from web pages (T12): what a browser is told beforehand and with each answer, on Express 5 and on node:http. */
import express from 'express'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { RequestListener } from 'node:http'
import {
  ConfigurationError,
  introspectionHandler,
  requireAccessToken,
  revocationHandler,
  tokenHandler,
  type AccessTokenRequirement,
  type CorsOptions,
  type Handler,
  type ServerOptions,
} from '../src/index.js'
import { formType } from './support/requests.js'
import { basic, machine, testServer } from './support/server.js'
import { Resources } from './support/wire.js'

const resources = new Resources()
beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterEach(() => resources.close())
afterAll(() => {
  jest.restoreAllMocks()
})

const page = 'https://app.example.com'
const cors: CorsOptions = { origins: [page, 'https://admin.example.com:8443'] }
const form = 'grant_type=client_credentials'

type Mount = (routes: Readonly<Record<string, Handler>>) => RequestListener

const onExpress: Mount = (routes) => {
  const app = express()
  for (const [path, handler] of Object.entries(routes)) app.use(path, handler)
  return app
}
const onNodeHttp: Mount = (routes) => (req, res) => {
  routes[req.url ?? '']?.(req, res)
}
const hosts: [name: string, mount: Mount][] = [
  ['Express 5', onExpress],
  ['node:http', onNodeHttp],
]

/** All of a server over HTTP. Its routes are the endpoints, and `/api` and `/optional` behind guards. */
async function serve(mount: Mount, more: ServerOptions = {}) {
  const server = testServer({ allowInsecureTransport: true, ...more })
  const { options } = server
  const guarded = (requirement: AccessTokenRequirement): Handler => {
    const guard = requireAccessToken(options, requirement)
    return (req, res) =>
      guard(req, res, () => {
        res.appendHeader('Vary', 'Accept-Encoding')
        res.end('{"passed":true}')
      })
  }
  const routes = {
    '/token': tokenHandler(options),
    '/revoke': revocationHandler(options),
    '/introspect': introspectionHandler(options),
    '/api': guarded({ scope: 'read' }),
    '/optional': guarded({ optional: true }),
  }
  const { url } = await resources.listen(mount(routes))
  return async (path: string, headers: Record<string, string> = {}, method = 'POST', body = form) => {
    const sent = {
      method,
      headers: { 'content-type': formType, ...headers },
      ...(method === 'GET' || method === 'OPTIONS' ? {} : { body }),
    }
    const response = await fetch(url + path, sent)
    const names = ['allow-origin', 'allow-methods', 'allow-headers', 'expose-headers', 'max-age', 'allow-credentials']
    const found = names.flatMap((name) => {
      const value = response.headers.get(`access-control-${name}`)
      return value === null ? [] : [[name, value]]
    })
    return {
      status: response.status,
      vary: response.headers.get('vary'),
      cors: found.length === 0 ? 'none' : Object.fromEntries(found),
      text: await response.text(),
    }
  }
}

const preflight = { origin: page, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' }
const exposed = 'WWW-Authenticate, Retry-After'
const allowed = 'Authorization, Content-Type, X-Requested-With, Mcp-Protocol-Version'
const exposedAtGuard = `${exposed}, Mcp-Session-Id`
const allowedAtGuard = `${allowed}, Mcp-Session-Id, Last-Event-ID, Mcp-Method, Mcp-Name`

describe.each(hosts)('on %s', (_host, mount) => {
  test.each(['/token', '/revoke', '/introspect'])('T12 %s: a preflight is answered 204, without credentials', async (path) => {
    const send = await serve(mount, { cors })
    expect(await send(path, preflight, 'OPTIONS')).toEqual({
      status: 204,
      vary: 'Origin',
      cors: { 'allow-origin': page, 'allow-methods': 'POST', 'allow-headers': allowed, 'expose-headers': exposed, 'max-age': '600' },
      text: '',
    })
  })

  test('T12 successes and errors carry the origin of the page, and Vary', async () => {
    const send = await serve(mount, { cors })
    const origin = { origin: page }
    const seen = { vary: 'Origin', cors: { 'allow-origin': page, 'expose-headers': exposed } }
    expect(await send('/token', { ...origin, ...basic(machine) })).toMatchObject({ status: 200, ...seen })
    expect(await send('/token', { ...origin, ...basic({ ...machine, client_secret: 'wrong' }) })).toMatchObject({ status: 401, ...seen })
    expect(await send('/token', { ...origin, ...basic(machine), 'content-type': 'text/plain' })).toMatchObject({ status: 415, ...seen })
    expect(await send('/token', origin, 'GET')).toMatchObject({ status: 405, ...seen })
    expect(await send('/token', origin, 'OPTIONS')).toMatchObject({ status: 405, ...seen })
    expect(await send('/token', origin, 'POST', 'a'.repeat(20_000))).toMatchObject({ status: 413, ...seen })
    expect(await send('/introspect', { ...origin, ...basic(machine) }, 'POST', 'token=x')).toMatchObject({ status: 200, ...seen })
    expect(await send('/revoke', origin, 'POST', 'token=x')).toMatchObject({ status: 401, ...seen })
  })

  test('T12 a failure of the application carries it, too', async () => {
    const send = await serve(mount, { cors, context: () => { throw new Error() } }) // prettier-ignore
    expect(await send('/token', { origin: page, ...basic(machine) })).toMatchObject({ status: 500, cors: { 'allow-origin': page } })
  })

  test.each([
    'https://app.example.com:8443', 'http://app.example.com', 'https://app.example.com.evil.example', 'https://example.com',
    'https://APP.example.com', 'null', 'https://admin.example.com', '*',
  ])('T12 the origin %s is not one of them: it is answered, and allowed nothing', async (origin) => {
    const send = await serve(mount, { cors })
    const nothing = { vary: 'Origin', cors: 'none' }
    expect(await send('/token', { ...preflight, origin }, 'OPTIONS')).toMatchObject({ status: 204, ...nothing })
    expect(await send('/token', { origin, ...basic(machine) })).toMatchObject({ status: 200, ...nothing })
  }) // prettier-ignore

  test('T12 an origin with a port is that port', async () => {
    const send = await serve(mount, { cors })
    const origin = 'https://admin.example.com:8443'
    expect((await send('/token', { origin, ...basic(machine) })).cors).toMatchObject({ 'allow-origin': origin })
  })

  test('T12 without an Origin there is Vary and nothing else', async () => {
    const send = await serve(mount, { cors })
    expect(await send('/token', basic(machine))).toMatchObject({ status: 200, vary: 'Origin', cors: 'none' })
  })

  test("T12 '*' is for everybody, without Vary and never with credentials", async () => {
    const send = await serve(mount, { cors: { origins: '*' } })
    const everybody = { vary: null, cors: { 'allow-origin': '*', 'expose-headers': exposed } }
    expect(await send('/token', { origin: 'https://any.example', ...basic(machine) })).toMatchObject({ status: 200, ...everybody })
    expect(await send('/token', basic(machine))).toMatchObject(everybody)
    const answer = await send('/token', { ...preflight, origin: 'null' }, 'OPTIONS')
    expect(answer).toMatchObject({ status: 204, vary: null, cors: { 'allow-origin': '*', 'allow-methods': 'POST' } })
    expect(answer.cors).not.toHaveProperty('allow-credentials')
  })

  test('T12 off by default: no header at all, and OPTIONS is a method like any other', async () => {
    const send = await serve(mount)
    expect(await send('/token', { origin: page, ...basic(machine) })).toMatchObject({ status: 200, vary: null, cors: 'none' })
    expect(await send('/token', preflight, 'OPTIONS')).toMatchObject({ status: 405, vary: null, cors: 'none' })
  })

  test('T12 the guard: preflight for the method that is asked for, refusals, and what it lets pass', async () => {
    const send = await serve(mount, { cors })
    expect(await send('/api', { ...preflight, 'access-control-request-method': 'DELETE' }, 'OPTIONS')).toEqual({
      status: 204,
      vary: 'Origin',
      cors: {
        'allow-origin': page,
        'allow-methods': 'DELETE',
        'allow-headers': allowedAtGuard,
        'expose-headers': exposedAtGuard,
        'max-age': '600',
      },
      text: '',
    })
    const seen = { cors: { 'allow-origin': page, 'expose-headers': exposedAtGuard } }
    expect(await send('/api', { origin: page })).toMatchObject({ status: 401, vary: 'Origin', ...seen })
    const token = async (scope: string) => {
      const { text } = await send('/token', basic(machine), 'POST', `${form}&scope=${scope}`)
      return { authorization: `Bearer ${String(JSON.parse(text).access_token)}` }
    }
    expect(await send('/api', { origin: page, ...(await token('write')) })).toMatchObject({ status: 403, vary: 'Origin', ...seen })
    const passed = await send('/api', { origin: page, ...(await token('read')) })
    expect(passed).toMatchObject({ status: 200, vary: 'Origin, Accept-Encoding', text: '{"passed":true}', ...seen })
    expect(await send('/optional', { origin: page })).toMatchObject({ status: 200, ...seen })
    expect(await send('/optional', { origin: 'https://evil.example' })).toMatchObject({ status: 200, cors: 'none' })
  })

  test('T12 what only looks like a preflight is none: nothing passes the guard without a token', async () => {
    for (const more of [{ cors }, {}]) {
      const send = await serve(mount, more)
      for (const method of ['GET', 'POST', 'DELETE']) expect(await send('/api', preflight, method)).toMatchObject({ status: 401 })
      expect(await send('/token', { ...preflight, ...basic(machine) })).toMatchObject({ status: 200 })
    }
  })

  test('X1 T12 the guard without the option: a preflight is answered and allowed nothing; only an optional guard lets it pass', async () => {
    const send = await serve(mount)
    expect(await send('/api', preflight, 'OPTIONS')).toEqual({ status: 204, vary: null, cors: 'none', text: '' })
    expect(await send('/api', { origin: page }, 'OPTIONS')).toMatchObject({ status: 401 })
    expect(await send('/api', { 'access-control-request-method': 'POST' }, 'OPTIONS')).toMatchObject({ status: 401 })
    expect(await send('/optional', { origin: page })).toMatchObject({ status: 200, cors: 'none' })
    expect(await send('/optional', preflight, 'OPTIONS')).toMatchObject({ status: 200, cors: 'none', text: '{"passed":true}' })
    const bad = { ...preflight, authorization: 'Bearer nonsense' }
    expect(await send('/optional', bad, 'OPTIONS')).toMatchObject({ status: 401 })
  })
})

describe('the option', () => {
  const make = (value: unknown) => () => tokenHandler({ clients: [machine], cors: value as CorsOptions })

  test.each([
    [true, "cors must be an object with origins, as in { origins: ['https://app.example.com'] }, not a boolean"],
    [{ origin: '*' }, 'cors has no member "origin"; did you mean "origins"?'],
    [{ origins: '*', credentials: true }, 'cors has no member "credentials". There is origins, allowedHeaders, exposedHeaders.'],
  ])('T12 %j stops the start', (value, message) => {
    expect(make(value)).toThrow(new ConfigurationError(message))
  })

  test.each([
    undefined, page, ['*'], ['app.example.com'], [`${page}/`], [`${page}/path`], ['HTTPS://app.example.com'], ['https://app.example.com:443'],
    ['null'], ['https://*.example.com'].map((text) => `${text}/x`), [7], [page, ''], 'https://app.example.com',
  ])('T12 origins %j stop the start', (origins) => {
    expect(make({ origins })).toThrow(
      new ConfigurationError("cors.origins must be '*' or an array of origins such as 'https://app.example.com', without path"),
    )
  }) // prettier-ignore

  test('T12 the list is read once', async () => {
    const origins = [page]
    const send = await serve(onNodeHttp, { cors: { origins } })
    origins.push('https://late.example')
    expect((await send('/token', { origin: 'https://late.example', ...basic(machine) })).cors).toBe('none')
    expect((await send('/token', { origin: page, ...basic(machine) })).cors).toHaveProperty('allow-origin', page)
  })
})

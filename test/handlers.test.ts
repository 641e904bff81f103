/**
 * The handlers behind real servers: how they judge TLS, what they make of a body that the application has read, and what they tell.
 */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import connect from 'connect'
import express from 'express'
import express4 from 'express4'
import type { RequestListener } from 'node:http'
import {
  introspectionHandler,
  requireAccessToken,
  revocationHandler,
  tokenHandler,
  type Handler,
  type ServerOptions,
} from '../src/index.js'
import { formType } from './support/requests.js'
import { basic, machine, testServer } from './support/server.js'
import { Resources } from './support/wire.js'

const resources = new Resources()
let warn: jest.SpiedFunction<typeof console.warn>
beforeEach(() => {
  warn = jest.spyOn(console, 'warn').mockReturnValue()
})
afterEach(async () => {
  warn.mockRestore()
  await resources.close()
})

// What these tests use of Express is the same in both versions.
const versions: [name: string, create: typeof express][] = [
  ['Express 5', express],
  ['Express 4', express4 as unknown as typeof express],
]

const form = 'grant_type=client_credentials&scope=read'
const headers = { ...basic(machine), 'content-type': formType }
const refusedHttp = { error: 'invalid_request', error_description: 'the token endpoint requires https' }
const viaHttps = { 'x-forwarded-proto': 'https' }

/** A POST to a listener that is served for this one request. */
async function postTo(listener: RequestListener, extra: Record<string, string> = {}, body: string | Buffer = form) {
  const { url } = await resources.listen(listener)
  return post(`${url}/token`, extra, body)
}

async function post(url: string, extra: Record<string, string> = {}, body: string | Buffer = form) {
  const response = await fetch(url, { method: 'POST', headers: { ...headers, ...extra }, body })
  return { status: response.status, headers: Object.fromEntries(response.headers), json: await response.json() }
}

function handlerFor(options: ServerOptions = {}): Handler {
  return tokenHandler(testServer(options).options)
}

describe('plain http', () => {
  const hosts: [name: string, host: (handler: Handler) => RequestListener][] = [
    ['Express 5', (handler) => express().use('/token', handler)],
    ['Express 4', (handler) => express4().use('/token', handler)],
    ['Connect', (handler) => connect().use('/token', handler)],
    ['node:http', (handler) => (req, res) => handler(req, res)],
  ]

  test.each(hosts)('T1 is refused, whatever X-Forwarded-Proto claims: %s', async (_name, host) => {
    const { url } = await resources.listen(host(handlerFor()))
    for (const claim of [{}, viaHttps, { forwarded: 'proto=https', 'x-forwarded-ssl': 'on', 'front-end-https': 'on' }]) {
      expect(await post(`${url}/token`, claim)).toMatchObject({ status: 400, json: refusedHttp })
    }
  })

  test.each(hosts)('T1 the first refusal prints one line that names both remedies: %s', async (_name, host) => {
    const server = testServer()
    const { url } = await resources.listen(host(tokenHandler(server.options)))
    for (let round = 0; round < 3; round++) await post(`${url}/token`)
    expect(warn).toHaveBeenCalledTimes(1)
    const [line] = warn.mock.calls[0] as [string]
    for (const remedy of ['allowInsecureTransport: true', 'trust proxy', 'trustProxy: (address) => boolean']) expect(line).toContain(remedy)
    expect(line).not.toContain('\n')
    expect(server.events.filter(({ type }) => type === 'warning')).toHaveLength(1)
  })

  test.each(hosts)('T1 is accepted with allowInsecureTransport: %s', async (_name, host) => {
    expect((await postTo(host(handlerFor({ allowInsecureTransport: true })))).status).toBe(200)
    expect(warn.mock.calls).toEqual([[expect.stringContaining('allowInsecureTransport is on')]])
  })

  test.each([
    ['revocation', revocationHandler],
    ['introspection', introspectionHandler],
  ])('T1 is refused by the %s endpoint, too', async (endpoint, make) => {
    const { options } = testServer()
    tokenHandler(options)
    const response = await postTo(make(options))
    expect(response).toMatchObject({ status: 400, json: { error_description: `the ${endpoint} endpoint requires https` } })
  })
})

describe('TLS', () => {
  test.each([
    ['Express 5', (handler: Handler) => express().use(handler)],
    ['Express 4', (handler: Handler) => express4().use(handler)],
    ['Connect', (handler: Handler) => connect().use(handler)],
    [
      'node:http',
      (handler: Handler): RequestListener =>
        (req, res) =>
          handler(req, res),
    ],
  ])('T1 a socket with TLS is secure, whatever X-Forwarded-Proto claims: %s', async (_name, host) => {
    const server = await resources.listenTls(host(handlerFor()))
    for (const claim of [{}, { 'x-forwarded-proto': 'http' }]) {
      expect((await server.post('/token', { ...headers, ...claim }, form)).status).toBe(200)
    }
    expect(warn).not.toHaveBeenCalled()
  })
})

describe('behind a proxy', () => {
  test.each(versions)("T1 Express' trust proxy decides: %s", async (_name, create) => {
    const judge = async (trusted: unknown, claim: Record<string, string>) => {
      const app = create()
      app.set('trust proxy', trusted)
      app.use(handlerFor())
      return (await postTo(app, claim)).status
    }
    expect(await judge('loopback', viaHttps)).toBe(200)
    expect(await judge(true, viaHttps)).toBe(200)
    expect(await judge('loopback', { 'x-forwarded-proto': 'http' })).toBe(400)
    expect(await judge('loopback', {})).toBe(400)
    expect(await judge('10.0.0.1', viaHttps)).toBe(400)
    expect(await judge(false, viaHttps)).toBe(400)
  })

  const hosts: [name: string, host: (handler: Handler) => RequestListener][] = [
    ['Connect', (handler) => connect().use(handler)],
    ['node:http', (handler) => (req, res) => handler(req, res)],
  ]

  test.each(hosts)('T1 trustProxy decides whose X-Forwarded-Proto is believed: %s', async (_name, host) => {
    const asked: string[] = []
    const { url } = await resources.listen(host(handlerFor({ trustProxy: (address) => asked.push(address) > 0 })))
    const judge = async (claim: string) => (await post(`${url}/token`, { 'x-forwarded-proto': claim })).status
    expect(await judge('https')).toBe(200)
    expect(await judge('HTTPS')).toBe(200)
    expect(await judge('https, https')).toBe(200)
    expect(await judge('http')).toBe(400)
    expect(await judge('https, http')).toBe(400)
    expect(await judge('http, https')).toBe(400)
    expect(await judge('httpsx')).toBe(400)
    expect(new Set(asked)).toEqual(new Set(['127.0.0.1']))
    expect((await post(`${url}/token`)).status).toBe(400)
    expect((await postTo(host(handlerFor({ trustProxy: () => false })), viaHttps)).status).toBe(400)
  })

  test('T1 trustProxy sees an IPv4 address as such on a socket for both families', async () => {
    const asked: string[] = []
    const handler = handlerFor({ trustProxy: (address) => asked.push(address) > 0 })
    const { url } = await resources.listen(handler, '::ffff:127.0.0.1')
    expect((await post(url, viaHttps)).status).toBe(200)
    expect(new Set(asked)).toEqual(new Set(['127.0.0.1']))
  })

  test('R4 a trustProxy that fails is 500', async () => {
    const trustProxy = () => {
      throw new Error('canary')
    }
    const response = await postTo(handlerFor({ trustProxy }), viaHttps)
    expect(response).toMatchObject({ status: 500, json: { error: 'server_error' } })
    expect(JSON.stringify(response)).not.toContain('canary')
  })

  test('R4 N1 a trustProxy that fails is 500 at a guard', async () => {
    const server = testServer({ trustProxy: () => { throw new Error('canary') } }) // prettier-ignore
    const guard = requireAccessToken(server.options)
    const response = await postTo((req, res) => guard(req, res, () => res.end('{"passed":true}')), viaHttps)
    expect(response).toMatchObject({ status: 500, json: { error: 'server_error' } })
    expect(JSON.stringify(response)).not.toContain('canary')
  })

  test.each([[1], ['yes'], [Promise.resolve(true)]])('T1 only the word true is trust: %p is none', async (answer) => {
    const trustProxy = () => answer as unknown as boolean
    expect(await postTo(handlerFor({ trustProxy }), viaHttps)).toMatchObject({ status: 400, json: refusedHttp })
  })
})

describe('context', () => {
  test('T13 context is made from the request of the host, and awaited', async () => {
    const seen: unknown[] = []
    const server = testServer({
      trustProxy: () => true,
      context: async (req: Parameters<Handler>[0]) => ({ address: req.socket.remoteAddress, trace: req.headers['x-trace'] }),
      beforeGrant: ({ context }) => void seen.push(context),
    })
    expect((await postTo(tokenHandler(server.options), { ...viaHttps, 'x-trace': 'abc' })).status).toBe(200)
    expect(seen).toEqual([{ address: '127.0.0.1', trace: 'abc' }])
  })

  test.each([
    ['throws', () => { throw new Error('canary') }],
    ['rejects', () => Promise.reject(new Error('canary'))],
    ['answers a text', () => 'canary' as never],
    ['answers nothing', () => undefined as never],
  ])('T13 R4 a context function that %s is 500', async (_name, context) => {
    const response = await postTo(handlerFor({ trustProxy: () => true, context }), viaHttps)
    expect(response).toMatchObject({ status: 500, json: { error: 'server_error' } })
    expect(JSON.stringify(response)).not.toContain('canary')
  }) // prettier-ignore
})

describe('a body that the application has read', () => {
  const cases = versions.flatMap(([name, create]) =>
    (['extended', 'simple', 'text', 'raw'] as const).map((parser) => [name, parser, create] as const),
  )

  function parserOf(create: typeof express, name: (typeof cases)[number][1]): RequestListener {
    if (name === 'text') return create.text({ type: formType, limit: '1mb' }) as RequestListener
    if (name === 'raw') return create.raw({ type: formType, limit: '1mb' }) as RequestListener
    return create.urlencoded({ extended: name === 'extended', limit: '1mb' }) as RequestListener
  }

  function appWith(create: typeof express, ...upstream: RequestListener[]): RequestListener {
    const app = create().set('trust proxy', true)
    for (const parser of upstream) app.use(parser)
    return app.use('/token', handlerFor())
  }

  test.each(cases)('T9 %s, %s: only its values are judged', async (_name, parser, create) => {
    const { url } = await resources.listen(appWith(create, parserOf(create, parser)))
    const answer = async (body: string) => (await post(`${url}/token`, viaHttps, body)).status
    expect(await answer(form)).toBe(200)
    expect(await answer(`${form}&unknown=1&empty=`)).toBe(200)
    expect(await answer(`${form}&scope=read`)).toBe(400)
    expect(await answer(`${form}&unknown=1&unknown=2`)).toBe(400)
    expect(await answer(`${form}&resource=a&resource=b`)).toBe(200)
    expect(await answer('')).toBe(400)
    expect(await answer('&')).toBe(400)
    // Brackets are structure to one parser and a part of the name to the others.
    expect(await answer(`${form}&unknown[a]=b`)).toBe(parser === 'extended' ? 400 : 200)
  })

  test.each(versions)('T9 %s: a text or bytes are held to the limit and the grammar of a form', async (_name, create) => {
    for (const parser of ['text', 'raw'] as const) {
      const { url } = await resources.listen(appWith(create, parserOf(create, parser)))
      expect((await post(`${url}/token`, viaHttps, `${form}&a=${'a'.repeat(20_000)}`)).status).toBe(413)
      expect((await post(`${url}/token`, viaHttps, `${form}&a=%zz`)).status).toBe(400)
    }
  })

  test.each(versions)('T9 %s: express.json() leaves the form to the handler, and JSON is refused', async (_name, create) => {
    const { url } = await resources.listen(appWith(create, create.json() as RequestListener))
    expect((await post(`${url}/token`, viaHttps)).status).toBe(200)
    expect((await post(`${url}/token`, viaHttps, '')).status).toBe(400)
    const json = { 'content-type': 'application/json' }
    const response = await post(`${url}/token`, { ...viaHttps, ...json }, '{"grant_type":"client_credentials"}')
    expect(response).toMatchObject({ status: 415, json: { error: 'invalid_request' } })
  })

  test.each(versions)('T9 %s: a body that was consumed with nothing left of it is 500 and says so once', async (_name, create) => {
    const server = testServer()
    const app = create().set('trust proxy', true)
    app.use((req, _res, next) => {
      req.resume()
      req.once('end', () => next())
    })
    const { url } = await resources.listen(app.use('/token', tokenHandler(server.options)))
    for (let round = 0; round < 2; round++) {
      expect(await post(`${url}/token`, viaHttps)).toMatchObject({ status: 500, json: { error: 'server_error' } })
    }
    expect(warn.mock.calls).toEqual([[expect.stringMatching(/body was read before it reached the handler.*mount the handler before/)]])
    expect(server.events.filter(({ type }) => type === 'request.failed')).toHaveLength(2)
  })

  test('T9 a body read by the handler itself is not left in the request', async () => {
    const { options } = testServer({ trustProxy: () => true })
    const handler = tokenHandler(options)
    const left: unknown[] = []
    const response = await postTo((req, res) => {
      res.once('finish', () => left.push((req as { body?: unknown }).body))
      handler(req, res)
    }, viaHttps)
    expect(response.status).toBe(200)
    expect(left).toEqual([undefined])
  })
})

describe('the response', () => {
  test('R1 over HTTP: literal headers, and nothing that a cache could keep', async () => {
    const response = await postTo(handlerFor({ trustProxy: () => true }), viaHttps)
    expect(response.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store', pragma: 'no-cache' })
    expect(Number(response.headers['content-length'])).toBeGreaterThan(50)
    expect(response.headers).not.toHaveProperty('etag')
  })

  test('R2 JSON whatever Accept says', async () => {
    const response = await postTo(handlerFor({ trustProxy: () => true }), { ...viaHttps, accept: 'text/html' }, 'grant_type=x')
    expect(response).toMatchObject({
      status: 400,
      headers: { 'content-type': 'application/json' },
      json: { error: 'unsupported_grant_type' },
    })
  })

  test('R3 401 carries the challenge over HTTP', async () => {
    const wrong = basic({ ...machine, client_secret: 'wrong' })
    const response = await postTo(handlerFor({ trustProxy: () => true }), { ...viaHttps, ...wrong })
    expect(response).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Basic realm="oauth2", charset="UTF-8"' } })
  })
})

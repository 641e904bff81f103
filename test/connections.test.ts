/**
 * The handlers and the bytes of HTTP: what only a raw connection can send, and what becomes of the connection.
 */
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import connect from 'connect'
import express from 'express'
import express4 from 'express4'
import type { RequestListener } from 'node:http'
import { gzipSync } from 'node:zlib'
import {
  introspectionHandler,
  requireAccessToken,
  revocationHandler,
  tokenHandler,
  type Context,
  type Handler,
  type ServerOptions,
} from '../src/index.js'
import { basic, exchange, machine, testServer, web, type TestServer } from './support/server.js'
import { Resources, type Connection } from './support/wire.js'

const resources = new Resources()
afterEach(() => resources.close())

const { authorization } = basic(machine)
const body = 'grant_type=client_credentials&scope=read'
const contentType = 'Content-Type: application/x-www-form-urlencoded'
const post = ['POST /token HTTP/1.1', 'Host: localhost', `Authorization: ${authorization}`, contentType]
const whole = [...post, `Content-Length: ${body.length}`]

function insecureServer(options: ServerOptions = {}): TestServer {
  return testServer({ trustProxy: () => true, ...options })
}

// The proxy in front of these servers says https.
function overTls(lines: readonly string[]): string[] {
  return [...lines, 'X-Forwarded-Proto: https']
}

async function open(listener: RequestListener): Promise<Connection> {
  const { port } = await resources.listen(listener)
  return resources.connect(port)
}

/** One more request on the same connection succeeds. */
async function expectUsable(connection: Connection): Promise<void> {
  connection.send(overTls(whole), body)
  expect((await connection.response()).status).toBe(200)
}

describe('the request line', () => {
  const { options } = insecureServer()
  const handler = tokenHandler(options)
  const hosts: [name: string, listener: RequestListener][] = [
    ['Express 5', express().use('/token', handler)],
    ['Express 4', express4().use('/token', handler)],
    ['Connect', connect().use('/token', handler)],
    ['node:http', (req, res) => handler(req, res)],
  ]

  test.each(hosts)('T2 a fragment in the request target is refused: %s', async (_name, listener) => {
    const connection = await open(listener)
    const [, ...rest] = whole
    for (const target of ['/token#', '/token#access_token=x', '/token?tenant=a#b']) {
      connection.send(overTls([`POST ${target} HTTP/1.1`, ...rest]), body)
      const response = await connection.response()
      expect(response.status).toBe(400)
      expect(response.body).toBe('{"error":"invalid_request","error_description":"the request target must not have a fragment"}')
    }
    await expectUsable(connection)
  })

  test.each(hosts)('T3 the query is that of the request, wherever the handler is mounted: %s', async (_name, listener) => {
    const connection = await open(listener)
    const [, ...rest] = whole
    connection.send(overTls(['POST /token?client_secret=x HTTP/1.1', ...rest]), body)
    expect((await connection.response()).status).toBe(400)
    connection.send(overTls(['POST /token?tenant=a HTTP/1.1', ...rest]), body)
    expect((await connection.response()).status).toBe(200)
  })

  test('T3 the query that the client sent is judged, though the application rewrites url', async () => {
    const app = connect()
    app.use((req, _res, next) => {
      req.url = '/token'
      next()
    })
    const connection = await open(app.use('/token', handler))
    const [, ...rest] = whole
    connection.send(overTls(['POST /token?client_secret=x HTTP/1.1', ...rest]), body)
    expect((await connection.response()).status).toBe(400)
  })

  test('T10 an absolute request target and a Host without port', async () => {
    const connection = await open(handler)
    const [, ...rest] = whole
    connection.send(overTls(['POST http://localhost/token HTTP/1.1', ...rest]), body)
    expect((await connection.response()).status).toBe(200)
    await expectUsable(connection)
  })

  test.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])('R6 T4 %s is 405 and leaves the connection usable', async (method) => {
    for (const [, listener] of hosts) {
      const connection = await open(listener)
      for (let round = 0; round < 2; round++) {
        connection.send(overTls([`${method} /token HTTP/1.1`, 'Host: localhost']))
        const response = await connection.response({ head: method === 'HEAD' })
        expect(response).toMatchObject({ status: 405, headers: { allow: 'POST', 'cache-control': 'no-store', 'content-length': '86' } })
      }
      await expectUsable(connection)
    }
  })
})

describe('framing', () => {
  test('T10 HTTP/1.0, without Host', async () => {
    const connection = await open(tokenHandler(insecureServer().options))
    const lines = ['POST /token HTTP/1.0', `Authorization: ${authorization}`, contentType, `Content-Length: ${body.length}`]
    connection.send(overTls(lines), body)
    expect((await connection.response()).status).toBe(200)
    await connection.closed()
  })

  test('T10 chunked bodies, split anywhere', async () => {
    const connection = await open(tokenHandler(insecureServer().options))
    connection.send(overTls([...post, 'Transfer-Encoding: chunked']))
    for (const character of body) connection.write(`1\r\n${character}\r\n`)
    connection.write('0\r\n\r\n')
    expect((await connection.response()).status).toBe(200)
    await expectUsable(connection)
  })

  test('T10 Expect: 100-continue', async () => {
    const connection = await open(tokenHandler(insecureServer().options))
    connection.send(overTls([...whole, 'Expect: 100-continue']))
    expect((await connection.response()).status).toBe(100)
    connection.write(body)
    expect((await connection.response()).status).toBe(200)
    await expectUsable(connection)
  })

  test('T11 no body at all', async () => {
    const connection = await open(tokenHandler(insecureServer().options))
    for (const lines of [post, [...post, 'Content-Length: 0']]) {
      connection.send(overTls(lines))
      expect(await connection.response()).toMatchObject({ status: 400, body: expect.stringContaining('grant_type is required') as unknown })
    }
  })

  test('C4 two Authorization headers are refused, at each endpoint and at the guard', async () => {
    const { options } = insecureServer()
    const guard = requireAccessToken(options)
    const guarded: Handler = (req, res) => guard(req, res, () => res.end('passed'))
    const handlers = [tokenHandler(options), revocationHandler(options), introspectionHandler(options), guarded]
    for (const handler of handlers) {
      const connection = await open(handler)
      for (const second of [`authorization: ${authorization}`, 'AUTHORIZATION: Bearer x', 'Authorization:']) {
        connection.send(overTls([...whole, second]), body)
        const response = await connection.response()
        expect(response.status).toBe(400)
        expect(response.body).toBe('{"error":"invalid_request","error_description":"the Authorization header must not be repeated"}')
      }
    }
  })
})

describe('refused bodies', () => {
  const tooLarge = { status: 413, body: '{"error":"invalid_request","error_description":"the body is too large"}' }
  const large = `${body}&filler=${'a'.repeat(20_000)}`

  test('T7 a declared length over the limit is 413 at once, and the connection stays usable', async () => {
    const connection = await open(tokenHandler(insecureServer().options))
    connection.send(overTls([...post, `Content-Length: ${large.length}`]))
    expect(await connection.response()).toMatchObject(tooLarge)
    connection.write(large)
    await expectUsable(connection)
  })

  test('T7 a chunked body over the limit is 413 before it ends, and the connection stays usable', async () => {
    const connection = await open(tokenHandler(insecureServer().options))
    connection.send(overTls([...post, 'Transfer-Encoding: chunked']))
    connection.write(`${large.length.toString(16)}\r\n${large}\r\n`)
    expect(await connection.response()).toMatchObject(tooLarge)
    connection.write('4\r\nmore\r\n0\r\n\r\n')
    await expectUsable(connection)
  })

  test('T7 the limit is the same whichever way the length is told', async () => {
    const connection = await open(tokenHandler(insecureServer({ maxBodySize: 100 }).options))
    for (const [size, status] of [[100, 200], [101, 413]] as const) {
      const sized = `${body}&filler=`.padEnd(size, 'a')
      connection.send(overTls([...post, `Content-Length: ${size}`]), sized)
      expect((await connection.response()).status).toBe(status)
      connection.send(overTls([...post, 'Transfer-Encoding: chunked']), `${size.toString(16)}\r\n${sized}\r\n0\r\n\r\n`)
      expect((await connection.response()).status).toBe(status)
    }
  }) // prettier-ignore

  test('T7 a compressed body is 415, and the connection stays usable', async () => {
    const connection = await open(tokenHandler(insecureServer().options))
    const compressed = gzipSync(body)
    connection.send(overTls([...post, 'Content-Encoding: gzip', `Content-Length: ${compressed.length}`]))
    connection.write(compressed)
    expect((await connection.response()).status).toBe(415)
    await expectUsable(connection)
  })

  test('T5 an unwanted media type is 415 before its body is read', async () => {
    const connection = await open(tokenHandler(insecureServer().options))
    connection.send(overTls(['POST /token HTTP/1.1', 'Host: localhost', 'Content-Type: application/json', 'Content-Length: 2']))
    expect((await connection.response()).status).toBe(415)
    connection.write('{}')
    await expectUsable(connection)
  })

  test('T5 bytes that are not UTF-8 arrive as they were sent', async () => {
    const connection = await open(tokenHandler(insecureServer().options))
    connection.send(overTls([...post, `Content-Length: ${body.length + 4}`]))
    connection.write(Buffer.concat([Buffer.from(`${body}&a=`), Buffer.from([0xff])]))
    expect(await connection.response()).toMatchObject({ status: 400, body: expect.stringContaining('not valid UTF-8') as unknown })
    await expectUsable(connection)
  })
})

describe('clients that go away', () => {
  test.each([
    ['with a declared length', 'Content-Length: 500', 'grant_type='],
    ['with a chunked body', 'Transfer-Encoding: chunked', '5\r\ngrant\r\n'],
    ['before the first byte of the body', 'Content-Length: 500', ''],
  ])('R6 in the middle of a body, %s: the request is refused and nothing else happens', async (_name, length, piece) => {
    const server = insecureServer({ defaultGrantType: 'client_credentials' })
    const handler = tokenHandler(server.options)
    let arrived = 0
    const { port } = await resources.listen((req, res) => {
      arrived++
      handler(req, res)
    })
    const connection = await resources.connect(port)
    connection.send(overTls([...post, length]), piece)
    while (arrived === 0) await new Promise(setImmediate)
    connection.destroy()
    while (server.events.length === 0) await new Promise(setImmediate)
    expect(server.events).toMatchObject([
      { type: 'request.refused', error: 'invalid_request', status: 400, reason: 'the body could not be read' },
    ])
    await expectUsable(await resources.connect(port))
  })

  test('R6 half a body is never taken for a whole one: the code in it stays good', async () => {
    const server = insecureServer()
    const { port } = await resources.listen(tokenHandler(server.options))
    const form = new URLSearchParams(exchange(await server.code())).toString()
    const lines = ['POST /token HTTP/1.1', 'Host: localhost', `Authorization: ${basic(web).authorization}`, contentType]
    for (const [length, sent] of [
      [`Content-Length: ${form.length + 1}`, form],
      ['Transfer-Encoding: chunked', `${form.length.toString(16)}\r\n${form}\r\n`],
    ] as const) {
      const told = server.events.length
      const connection = await resources.connect(port)
      connection.send(overTls([...lines, length]), sent)
      await new Promise(setImmediate)
      connection.destroy()
      while (server.events.length === told) await new Promise(setImmediate)
      expect(server.events.at(-1)).toMatchObject({ type: 'request.refused' })
    }
    const connection = await resources.connect(port)
    connection.send(overTls([...lines, `Content-Length: ${form.length}`]), form)
    expect((await connection.response()).status).toBe(200)
  })

  test('R6 before the answer: it is decided all the same, and nothing fails', async () => {
    let release = (): void => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const server = insecureServer({ beforeGrant: () => gate })
    const handler = tokenHandler(server.options)
    const responses: { destroyed: boolean; headersSent: boolean }[] = []
    const { port } = await resources.listen((req, res) => {
      res.once('close', () => responses.push(res))
      handler(req, res)
    })
    const connection = await resources.connect(port)
    connection.send(overTls(whole), body)
    await new Promise(setImmediate)
    connection.destroy()
    while (responses.length === 0) await new Promise(setImmediate)
    release()
    while (server.events.length === 0) await new Promise(setImmediate)
    expect(server.events).toMatchObject([{ type: 'token.issued' }])
    expect(responses).toMatchObject([{ headersSent: false }])
    await expectUsable(await resources.connect(port))
  })

  test.each(['context', 'beforeGrant'])(
    'R6 an answer that the application has given while %s was waited for is left alone',
    async (hook) => {
      const warn = jest.spyOn(console, 'warn').mockReturnValue()
      let release = (): void => undefined
      const gate = new Promise<Context>((resolve) => {
        release = () => resolve({})
      })
      const wait = () => gate
      const server = insecureServer({ [hook]: wait })
      const handler = tokenHandler(server.options)
      const connection = await open((req, res) => {
        handler(req, res)
        if (req.headers['x-late'] !== undefined) setImmediate(() => res.writeHead(503, { 'Content-Length': 0 }).end())
      })
      connection.send(overTls([...whole, 'X-Late: 1']), body)
      expect((await connection.response()).status).toBe(503)
      release()
      while (server.events.length === 0) await new Promise(setImmediate)
      await expectUsable(connection)
      expect(warn).not.toHaveBeenCalled()
      warn.mockRestore()
    },
  )
})

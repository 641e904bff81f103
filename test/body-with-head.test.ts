/**
 * Bodies that arrive with the head of their request, and bodies that do not: the endpoint cannot be told which it was.
 */
import { afterEach, describe, expect, test } from '@jest/globals'
import express from 'express'
import { IncomingMessage, ServerResponse, type RequestListener } from 'node:http'
import { createServer, connect } from 'node:http2'
import { once } from 'node:events'
import { Socket, type AddressInfo } from 'node:net'
import { tokenHandler, type Context, type Handler, type HostRequest, type ServerOptions } from '../src/index.js'
import { basic, exchange, machine, testServer, web, type TestServer } from './support/server.js'
import { Resources, type Connection } from './support/wire.js'

const resources = new Resources()
afterEach(() => resources.close())

const body = 'grant_type=client_credentials&scope=read'
const form = 'application/x-www-form-urlencoded'
const head = [
  'POST /token HTTP/1.1',
  'Host: localhost',
  `Authorization: ${basic(machine).authorization}`,
  `Content-Type: ${form}`,
  'X-Forwarded-Proto: https',
]
const whole = [...head, `Content-Length: ${body.length}`]

function insecureServer(options: ServerOptions = {}): TestServer {
  return testServer({ trustProxy: () => true, ...options })
}

async function open(listener: RequestListener): Promise<Connection> {
  return resources.connect((await resources.listen(listener)).port)
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 5))

/** One more request on the same connection succeeds. */
async function expectUsable(connection: Connection): Promise<void> {
  connection.send(whole, body)
  expect((await connection.response()).status).toBe(200)
}

const hosts: [name: string, on: (handler: Handler) => RequestListener][] = [
  ['node:http', (handler) => (req, res) => handler(req, res)],
  ['Express 5', (handler) => express().post('/token', handler)],
]

describe.each(hosts)('on %s', (_name, on) => {
  test.each([
    ['with its head', [body]],
    ['after its head', ['', body]],
    ['half with its head', [body.slice(0, 20), body.slice(20)]],
    ['byte by byte', ['', ...Array.from(body)]],
  ])('T10 a body that comes %s', async (_when, [first = '', ...rest]) => {
    const connection = await open(on(tokenHandler(insecureServer().options)))
    connection.send(whole, first)
    for (const piece of rest) {
      await turn()
      connection.write(piece)
    }
    expect(await connection.response()).toMatchObject({ status: 200, body: expect.stringContaining('"scope":"read"') as unknown })
    await expectUsable(connection)
  })

  test('T10 two requests in one write are answered in their order', async () => {
    const connection = await open(on(tokenHandler(insecureServer().options)))
    const second = 'grant_type=unknown'
    connection.write(
      `${whole.join('\r\n')}\r\n\r\n${body}`.concat(`${[...head, `Content-Length: ${second.length}`].join('\r\n')}\r\n\r\n${second}`),
    )
    expect((await connection.response()).status).toBe(200)
    expect(await connection.response()).toMatchObject({ status: 400, body: expect.stringContaining('unsupported_grant_type') as unknown })
    await expectUsable(connection)
  })

  test.each([[false], [true]])('T7 exactly maxBodySize is accepted, one byte more is 413; split: %p', async (isSplit) => {
    const connection = await open(on(tokenHandler(insecureServer({ maxBodySize: 100 }).options)))
    for (const [size, status] of [[100, 200], [101, 413], [100, 200]] as const) {
      const sized = `${body}&filler=`.padEnd(size, 'a')
      connection.send([...head, `Content-Length: ${size}`], isSplit ? '' : sized)
      if (isSplit) await turn()
      if (isSplit) connection.write(sized)
      expect((await connection.response()).status).toBe(status)
    }
  }) // prettier-ignore

  test('R6 nothing of a body that came with its head is left on the request, nobody listens to it, and it ends', async () => {
    const requests: IncomingMessage[] = []
    const handler = tokenHandler(insecureServer().options)
    const listener = on((req, res) => {
      requests.push(req)
      handler(req, res)
    })
    const connection = await open(listener)
    await expectUsable(connection)
    await expectUsable(connection)
    const left = requests.map((req) => {
      const listeners = ['data', 'readable', 'aborted'].map((name) => req.listenerCount(name))
      return { body: (req as HostRequest).body, buffered: req.readableLength, listeners, hasEnded: req.readableEnded }
    })
    const nothing = { body: undefined, buffered: 0, listeners: [0, 0, 0], hasEnded: true }
    expect(left).toEqual([nothing, nothing])
  })
})

describe('what else may have touched the request', () => {
  test.each([
    ['looks at it', (req: IncomingMessage) => void req.on('data', () => undefined), 200],
    ['has paused it', (req: IncomingMessage) => void req.pause(), 200],
    ['wants characters of it', (req: IncomingMessage) => void req.setEncoding('hex'), 400],
  ])('T9 a body that is there when the application %s', async (_what, touch, status) => {
    const handler = tokenHandler(insecureServer().options)
    const connection = await open((req, res) => {
      // In one turn of promises, so that nothing flows in between.
      void turn().then(() => {
        touch(req)
        handler(req, res)
      })
    })
    connection.send(whole, body)
    expect((await connection.response()).status).toBe(status)
  })

  test('T10 an application that has stopped the clock for its tests is answered', async () => {
    const { setImmediate: real } = globalThis
    globalThis.setImmediate = (() => undefined) as unknown as typeof setImmediate
    try {
      await expectUsable(await open(tokenHandler(insecureServer().options)))
    } finally {
      globalThis.setImmediate = real
    }
  })

  test('T10 half of a body that is said to be complete, as adapters say it, is waited for', async () => {
    const req = new IncomingMessage(new Socket())
    Object.assign(req, { method: 'POST', url: '/token', complete: true, headers: { ...basic(machine), 'content-type': form, 'content-length': `${body.length}` } }) // prettier-ignore
    req._read = () => undefined
    req.push(body.slice(0, 10))
    const res = new ServerResponse(req)
    const ended = new Promise<number>((resolve) => {
      res.end = () => (resolve(res.statusCode), res)
    })
    tokenHandler(testServer({ allowInsecureTransport: true }).options)(req, res)
    await turn()
    req.push(body.slice(10))
    req.push(null)
    expect(await ended).toBe(200)
  })

  test('R6 a client that goes away before its body was read has its code still', async () => {
    let release = (): void => undefined
    const gate = new Promise<Context>((resolve) => {
      release = () => resolve({})
    })
    const server = insecureServer({ context: () => gate })
    const handler = tokenHandler(server.options)
    const requests: IncomingMessage[] = []
    const isSo = (what: 'complete' | 'destroyed') => requests.some((req) => req[what])
    const { port } = await resources.listen((req, res) => {
      requests.push(req)
      handler(req, res)
    })
    const text = new URLSearchParams(exchange(await server.code())).toString()
    const lines = ['POST /token HTTP/1.1', 'Host: localhost', `Authorization: ${basic(web).authorization}`, ...head.slice(3)]
    const connection = await resources.connect(port)
    connection.send([...lines, `Content-Length: ${text.length}`], text)
    while (!isSo('complete')) await turn()
    connection.destroy()
    while (!isSo('destroyed')) await turn()
    release()
    while (server.events.at(-1)?.type !== 'request.refused') await turn()
    expect(server.events.at(-1)).toMatchObject({ type: 'request.refused', reason: 'the request was aborted' })
    const again = await resources.connect(port)
    again.send([...lines, `Content-Length: ${text.length}`], text)
    expect((await again.response()).status).toBe(200)
  })

  test.each(['GET', 'HEAD'])('R6 %s with a body is 405, and the connection stays usable', async (method) => {
    const connection = await open(tokenHandler(insecureServer().options))
    connection.send([`${method} /token HTTP/1.1`, 'Host: localhost', 'X-Forwarded-Proto: https', `Content-Length: ${body.length}`], body)
    expect((await connection.response({ head: method === 'HEAD' })).status).toBe(405)
    await expectUsable(connection)
  })

  test('T10 HTTP/2 in the form of node:http: a whole body is read, half a one refused', async () => {
    const server = insecureServer()
    const handler = tokenHandler(server.options) as unknown as Parameters<typeof createServer>[1]
    const listening = createServer(handler).listen(0, '127.0.0.1')
    await once(listening, 'listening')
    const session = connect(`http://127.0.0.1:${(listening.address() as AddressInfo).port}`)
    const { authorization } = basic(machine)
    const fields = {
      ':method': 'POST',
      ':path': '/token',
      authorization,
      'content-type': form,
      'content-length': body.length,
      'x-forwarded-proto': 'https',
    }
    try {
      const request = session.request(fields).end(body)
      const [answer] = (await once(request, 'response')) as [{ ':status'?: number }]
      expect(answer[':status']).toBe(200)
      const half = session.request(fields)
      half.write(body.slice(0, 20))
      await turn()
      half.close()
      while (server.events.length === 1) await turn()
      expect(server.events.map(({ type }) => type)).toEqual(['token.issued', 'request.refused'])
    } finally {
      session.destroy()
      listening.close()
    }
  })
})

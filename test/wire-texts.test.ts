/** White space of the wire is SP and HTAB (X16); bodies of HTTP/2, and those that a parser made null (X19c, X19d); clients that are named like people (X19b). */
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import { createServer as createHttp2Server, connect as connectHttp2, type ServerHttp2Session } from 'node:http2'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  introspectionHandler,
  jwt,
  registrationHandler,
  revocationHandler,
  tokenHandler,
  type Handler,
  type HostRequest,
} from '../src/index.js'
import { trimmed } from '../src/http/message.js'
import { generateKeyPairSync } from 'node:crypto'
import { formType } from './support/requests.js'
import { basic, machine, testServer, web } from './support/server.js'
import { Resources } from './support/wire.js'

const resources = new Resources()
beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterEach(() => resources.close())
afterAll(() => {
  jest.restoreAllMocks()
})

// What String.prototype.trim takes off beside SP and HTAB, as far as a header can carry it
const odd = ['\u00a0', '\u000b', '\u000c', '\ufeff', '\u2028', '\u3000', '\u1680']

describe('white space of the wire', () => {
  test.each(odd)('X16 %j is part of the text', (character) => {
    expect(trimmed(`${character}x${character}`)).toBe(`${character}x${character}`)
    expect(trimmed(` \t${character} \t`)).toBe(character)
  })

  test('X16 SP and HTAB go, in linear time', () => {
    expect(trimmed(' \t x y\t ')).toBe('x y')
    expect(trimmed(' ')).toBe('')
    const before = performance.now()
    expect(trimmed(`x${' '.repeat(100_000)}y`)).toHaveLength(100_002)
    expect(performance.now() - before).toBeLessThan(500)
  })

  test.each(['\u00a0https', 'https\u00a0', 'https, \u00a0https'])('X16 X-Forwarded-Proto: %j is not https', async (proto) => {
    const { options } = testServer({ trustProxy: () => true })
    const { url } = await resources.listen((req, res) => tokenHandler(options)(req, res))
    const send = (forwarded: string) =>
      fetch(url, {
        method: 'POST',
        body: 'grant_type=client_credentials',
        headers: { 'content-type': formType, 'x-forwarded-proto': forwarded, ...basic(machine) },
      })
    expect((await send(proto)).status).toBe(400)
    expect((await send('https,\thttps ')).status).toBe(200)
  })

  test('X16 an address in X-Forwarded-For that only looks like a trusted one is the address of the client', async () => {
    const seen: string[] = []
    const trustProxy = (address: string) => {
      seen.push(address)
      return ['127.0.0.1', '10.0.0.1'].includes(address)
    }
    const { options } = testServer({ trustProxy, allowInsecureTransport: true })
    const { url } = await resources.listen((req, res) => tokenHandler(options)(req, res))
    await fetch(url, { method: 'POST', headers: { 'x-forwarded-for': '192.0.2.1, \u00a010.0.0.1,\t10.0.0.1 ', 'content-type': formType } })
    expect(seen.slice(-3)).toEqual(['127.0.0.1', '10.0.0.1', '\u00a010.0.0.1'])
  })
})

/** A server over HTTP/2, and requests to it. */
async function http2(handler: Handler) {
  const sessions = new Set<ServerHttp2Session>()
  const server = createHttp2Server((req, res) => handler(req as unknown as HostRequest, res as unknown as ServerResponse))
  server.on('session', (session) => sessions.add(session))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const send = (headers: Record<string, string | number>, pieces: readonly (string | Buffer)[], end = true) =>
    new Promise<{ status: number; json: Record<string, unknown> }>((resolve, reject) => {
      const stream = client.request({ ':method': 'POST', ':path': '/', 'content-type': formType, ...headers })
      const chunks: Buffer[] = []
      let status = 0
      stream.on('response', (head) => (status = Number(head[':status'])))
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => resolve({ status, json: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown> }))
      stream.on('error', reject)
      for (const piece of pieces) stream.write(piece)
      if (end) stream.end()
    })
  const close = async () => {
    client.destroy()
    for (const session of sessions) session.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return { send, close, client }
}

describe('HTTP/2', () => {
  const body = `grant_type=client_credentials&client_id=${machine.client_id}&client_secret=${machine.client_secret}`

  test('X19c a body without content-length is read, whole or in pieces, up to the limit', async () => {
    const { options } = testServer({ allowInsecureTransport: true })
    const { send, close } = await http2(tokenHandler(options))
    try {
      expect((await send({ 'content-length': body.length }, [body])).status).toBe(200)
      expect((await send({}, [body])).status).toBe(200)
      expect((await send({}, [body.slice(0, 10), body.slice(10, 50), body.slice(50)])).status).toBe(200)
      expect((await send({}, [])).status).toBe(401)
      expect((await send({}, [`${body}&x=`, 'x'.repeat(20_000)])).status).toBe(413)
      expect((await send({}, ['x'.repeat(20_000)], false)).status).toBe(413)
      expect((await send({}, [body.replace('client_id', 'client%ff_id')])).status).toBe(400)
    } finally {
      await close()
    }
  })

  test('X19c at the other endpoints too', async () => {
    const { options } = testServer({ allowInsecureTransport: true })
    for (const handler of [revocationHandler(options), introspectionHandler(options)]) {
      const { send, close } = await http2(handler)
      expect((await send(basic(machine), ['token=x'])).status).toBe(200)
      await close()
    }
    const registered = await http2(registrationHandler({ allowInsecureTransport: true }))
    const metadata = JSON.stringify({ redirect_uris: ['https://app.example/cb'] })
    expect((await registered.send({ 'content-type': 'application/json' }, [metadata])).status).toBe(201)
    await registered.close()
  })

  test('X19c a client that goes away in the middle harms nothing', async () => {
    const server = testServer({ allowInsecureTransport: true })
    const { close, client } = await http2(tokenHandler(server.options))
    const stream = client.request({ ':method': 'POST', ':path': '/', 'content-type': formType })
    stream.on('error', () => undefined)
    stream.write(body)
    await new Promise((resolve) => setTimeout(resolve, 30))
    client.destroy()
    const told = () => server.events.filter(({ type }) => type !== 'warning')
    for (let turn = 0; told().length === 0 && turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(told()).toMatchObject([{ type: 'request.refused', status: 400, reason: 'the request was aborted' }])
    await close()
  })
})

describe('a body that another parser has read', () => {
  test.each(['null', '5', 'false', '[]', '"text"', '""'])('X19d JSON %s is the fault of the client', async (text) => {
    const { options } = testServer({ allowInsecureTransport: true })
    const parser = express.json({ type: () => true, strict: false })
    for (const handler of [tokenHandler(options), revocationHandler(options), introspectionHandler(options)]) {
      const { url } = await resources.listen(express().use(parser).use(handler))
      const response = await fetch(url, { method: 'POST', body: text, headers: { 'content-type': formType, ...basic(machine) } })
      expect({ status: response.status, error: (await response.json() as { error: string }).error }).toEqual({ status: 400, error: 'invalid_request' }) // prettier-ignore
    }
  })

  test('X19d a body that was read and of which nothing is left is the fault of the deployer', async () => {
    const { options } = testServer({ allowInsecureTransport: true })
    const drain = async (req: IncomingMessage, _res: unknown, next: () => void) => {
      await new Promise((resolve) => req.resume().once('end', resolve))
      next()
    }
    const { url } = await resources.listen(express().use(drain).use(tokenHandler(options)))
    const response = await fetch(url, { method: 'POST', body: 'x=y', headers: { 'content-type': formType, ...basic(machine) } })
    expect(response.status).toBe(500)
  })
})

describe('introspection of a client that is named like a person', () => {
  const alice = { ...machine, client_id: 'alice' }
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  test.each([
    ['opaque', {}],
    ['jwt', { issuer: 'https://as.example', accessTokens: jwt({ key }) }],
  ])('X19b %s: sub_type says that it is a client, and for a person it is absent', async (_format, more) => {
    const server = testServer({ clients: [alice, web], ...more })
    const own = await server.token({ grant_type: 'client_credentials' }, basic(alice))
    const ofClient = await server.introspect({ token: own.json.access_token ?? '' }, basic(alice))
    expect(ofClient.json).toMatchObject({ active: true, client_id: 'alice', sub: 'alice', sub_type: 'client' })
    const { access_token, refresh_token } = await server.tokens({ subject: 'alice' })
    for (const token of [access_token, refresh_token]) {
      const ofPerson = await server.introspect({ token }, basic(web))
      expect(ofPerson.json).toMatchObject({ active: true, sub: 'alice' })
      expect(ofPerson.json).not.toHaveProperty('sub_type')
    }
  })
})

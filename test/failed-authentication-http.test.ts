/** The limit on failed client authentication over real HTTP (C9): whose address counts behind a proxy, and what was never finished. */
import express from 'express'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { tokenHandler, type Handler, type ServerOptions } from '../src/index.js'
import { basic, machine, testServer } from './support/server.js'
import { formType } from './support/requests.js'
import { Resources } from './support/wire.js'

const wrong = { ...machine, client_secret: 'wrong' }
type Credentials = Parameters<typeof basic>[0]

const resources = new Resources()
beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterEach(() => resources.close())
afterAll(() => {
  jest.restoreAllMocks()
})

describe('over a Unix socket', () => {
  const long = { ...machine, client_secret: 'Zx8Qm2Lr7Vt5Nc1Ks9Pw4Y' }

  async function serve(client: Credentials) {
    const path = join(await mkdtemp(join(tmpdir(), 'socket-')), 's')
    const server = testServer({ allowInsecureTransport: true, clients: [{ ...machine, ...client }] })
    const listening = createServer(tokenHandler(server.options)).listen(path)
    await once(listening, 'listening')
    const post = (credentials: Credentials) =>
      new Promise<number | undefined>((resolve, reject) => {
        const headers = { ...basic(credentials), 'content-type': formType }
        const sent = request({ socketPath: path, method: 'POST', headers, agent: false }, (res) => resolve(res.resume().statusCode))
        sent.on('error', reject).end('grant_type=client_credentials')
      })
    return { server, post, close: () => listening.close() }
  }

  test('C9 strangers do not lock out a client whose secret cannot be guessed, and are answered 429; a warning says what to set', async () => {
    const { server, post, close } = await serve(long)
    const guess = { ...long, client_secret: 'A'.repeat(22) }
    for (let i = 0; i < 20; i++) expect(await post(guess)).toBe(401)
    expect([await post(guess), await post(wrong), await post(long), await post(guess)]).toEqual([429, 429, 200, 429])
    const warned = server.events.filter(({ reason = '' }) => reason.startsWith('requests come without an address'))
    expect(warned).toHaveLength(1)
    close()
  })

  test('C9 a secret that can be guessed keeps its limit, and made-up names use up nothing', async () => {
    const { post, close } = await serve({ ...machine, client_secret: 'guessable' })
    for (let i = 0; i < 210; i++) await post({ ...wrong, client_id: `made-up-${i}` })
    expect(await post({ ...machine, client_secret: 'guessable' })).toBe(200)
    for (let i = 0; i < 20; i++) expect(await post(wrong)).toBe(401)
    expect(await post({ ...machine, client_secret: 'guessable' })).toBe(429)
    close()
  })
})

describe('behind a proxy', () => {
  const own = '127.0.0.1'

  /** Twenty failures from one forwarded address; then the status for the right secret from that, and from another. */
  async function statuses(url: string): Promise<number[]> {
    const post = async (client: Credentials, forwarded: string) => {
      const headers = { ...basic(client), 'content-type': formType, 'x-forwarded-for': forwarded }
      return (await fetch(url, { method: 'POST', headers, body: 'grant_type=client_credentials' })).status
    }
    for (let i = 0; i < 20; i++) expect(await post(wrong, '198.51.100.1')).toBe(401)
    return [await post(machine, '198.51.100.1'), await post(machine, '198.51.100.2')]
  }

  const options = (more: ServerOptions = {}) => testServer({ allowInsecureTransport: true, ...more }).options

  test('C9 on Express its trust proxy says who asks', async () => {
    const app = express().set('trust proxy', 1).post('/token', tokenHandler(options()))
    expect(await statuses(`${(await resources.listen(app)).url}/token`)).toEqual([429, 200])
  })

  test('C9 T1 on Express without it, what a client says about itself is not believed', async () => {
    const app = express().post('/token', tokenHandler(options()))
    expect(await statuses(`${(await resources.listen(app)).url}/token`)).toEqual([429, 429])
  })

  test.each([
    ['node:http', (handler: Handler) => handler],
    ['Express, which knows of no proxy', (handler: Handler) => express().post('/token', handler)],
  ])('C9 the option trustProxy says so, where it is set: on %s', async (_host, on) => {
    const handler = tokenHandler(options({ trustProxy: (address) => address === own }))
    expect(await statuses(`${(await resources.listen(on(handler))).url}/token`)).toEqual([429, 200])
  })

  test('C9 T1 on node:http without it, or for another peer, X-Forwarded-For is not believed', async () => {
    for (const trustProxy of [undefined, (address: string) => address === '10.0.0.1']) {
      const handler = tokenHandler(options(trustProxy === undefined ? {} : { trustProxy }))
      expect(await statuses((await resources.listen(handler)).url)).toEqual([429, 429])
    }
  })

  test.each([
    ['mapped, in hexadecimal', '::ffff:cb00:7101', '203.0.113.1', '::ffff:c633:6402'],
    ['translated (NAT64)', '64:ff9b::203.0.113.1', '203.0.113.1', '64:ff9b::198.51.100.2'],
    ['6to4', '2002:cb00:7101::1', '203.0.113.1', '2002:c633:6402::1'],
  ])('X18 b: an IPv4 address in an IPv6 one counts as itself: %s', async (_how, address, same, other) => {
    const handler = tokenHandler(options({ trustProxy: () => true, failedAuthenticationLimit: 3 }))
    const { url } = await resources.listen(handler)
    const post = async (client: Credentials, forwarded: string) => {
      const headers = { ...basic(client), 'content-type': formType, 'x-forwarded-for': forwarded }
      return (await fetch(url, { method: 'POST', headers, body: 'grant_type=client_credentials' })).status
    }
    for (let i = 0; i < 3; i++) expect(await post(wrong, address)).toBe(401)
    expect([await post(machine, address), await post(machine, same), await post(machine, other)]).toEqual([429, 429, 200])
  })

  test('C9 of several forwarded addresses the last one counts that is not a trusted proxy’s', async () => {
    const handler = tokenHandler(options({ trustProxy: (address) => address === own || address.startsWith('10.') }))
    const { url } = await resources.listen(handler)
    const post = async (client: Credentials, forwarded: string) => {
      const headers = { ...basic(client), 'content-type': formType, 'x-forwarded-for': forwarded }
      return (await fetch(url, { method: 'POST', headers, body: 'grant_type=client_credentials' })).status
    }
    // What stands before it is what the client made up.
    for (let i = 0; i < 20; i++) expect(await post(wrong, `203.0.113.${i}, 198.51.100.1 ,10.0.0.${i}`)).toBe(401)
    expect(await post(machine, '198.51.100.1')).toBe(429)
    expect(await post(machine, '198.51.100.1, 198.51.100.7')).toBe(200)
    // A proxy that asks itself is somebody, too; and so is the peer that forwards for nobody.
    for (let i = 0; i < 20; i++) await post(wrong, '10.0.0.8, 10.0.0.9')
    expect(await post(machine, '10.0.0.8')).toBe(429)
    expect(await post(machine, '10.0.0.9')).toBe(200)
    expect(await post(machine, '')).toBe(200)
    for (let i = 0; i < 20; i++) await post(wrong, ' , ')
    expect(await post(machine, '')).toBe(429)
  })
})

describe('requests that were not finished', () => {
  test('C9 R6 a client that goes away before its body is here does not count', async () => {
    const server = testServer({ allowInsecureTransport: true })
    const { port, url } = await resources.listen(tokenHandler(server.options))
    for (let i = 0; i < 25; i++) {
      const connection = await resources.connect(port)
      const { authorization } = basic(wrong)
      connection.send(
        ['POST / HTTP/1.1', 'Host: a', `Content-Type: ${formType}`, `Authorization: ${authorization}`, 'Content-Length: 50'],
        'grant_type=',
      )
      await new Promise((resolve) => setTimeout(resolve, 2))
      connection.destroy()
    }
    const refused = () =>
      server.events.filter(({ reason }) => reason?.startsWith('the client went') === true || reason?.startsWith('the body could') === true)
    while (refused().length < 25) await new Promise((resolve) => setTimeout(resolve, 5))
    const headers = { ...basic(machine), 'content-type': formType }
    expect((await fetch(url, { method: 'POST', headers, body: 'grant_type=client_credentials' })).status).toBe(200)
  })
})

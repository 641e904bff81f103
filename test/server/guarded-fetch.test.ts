/** The fetch that strangers may point at anything: it reaches public addresses, once, for a small JSON document. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { fetchJson, isPublicAddress, UnfetchableDocument, type FetchedDocument, type FetchSettings } from '../../src/http/guarded-fetch.js'
import { certificateAuthority, serveHttps, type HttpsServer } from './https-support.js'

let server: HttpsServer
let ca: string
let reached: string[] = []
beforeAll(async () => {
  ca = await certificateAuthority()
  server = await serveHttps((req, res) => {
    reached.push(`${req.headers.host ?? ''}${req.url ?? ''}`)
    answers[req.url ?? '']?.(req, res)
  })
})
afterAll(() => server.close())

const document = { client_id: 'x' }
const json = (res: ServerResponse, body: string | Buffer = JSON.stringify(document), headers: Record<string, string> = {}) =>
  void res.writeHead(200, { 'Content-Type': 'application/json', ...headers }).end(body)

const answers: Record<string, (req: IncomingMessage, res: ServerResponse) => void> = {
  '/client.json': (_req, res) => json(res, undefined, { 'Cache-Control': 'max-age=600' }),
  '/suffix': (_req, res) => json(res, undefined, { 'Content-Type': 'application/client+json; charset=utf-8' }),
  '/request': ({ method, headers }, res) => json(res, JSON.stringify({ method, headers })),
  '/redirect': (_req, res) => void res.writeHead(302, { Location: '/client.json' }).end(),
  '/permanent': (_req, res) => void res.writeHead(308, { Location: 'https://169.254.169.254/latest' }).end(),
  '/missing': (_req, res) => void res.writeHead(404, { 'Content-Type': 'application/json' }).end('{}'),
  '/empty': (_req, res) => void res.writeHead(204).end(),
  '/html': (_req, res) => json(res, undefined, { 'Content-Type': 'text/html' }),
  '/untyped': (_req, res) => void res.writeHead(200).end('{}'),
  '/javascript': (_req, res) => json(res, undefined, { 'Content-Type': 'application/jsonp' }),
  '/compressed': (_req, res) => json(res, gzipSync('{}'), { 'Content-Encoding': 'gzip' }),
  '/large': (_req, res) => json(res, `{"x":"${'x'.repeat(6000)}"}`),
  '/lying': (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '100' })
    res.end('{}'.padEnd(100), () => res.destroy())
  },
  '/broken': (_req, res) => json(res, '{"client_id":'),
  '/binary': (_req, res) => json(res, Buffer.from([0x22, 0xff, 0xfe, 0x22])),
  '/silent': () => undefined,
  '/cut': (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json' })
    res.write('{')
    setTimeout(() => res.destroy(), 20)
  },
  '/dripping': (req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json' })
    const drip = setInterval(() => res.write(' '), 20)
    req.socket.once('close', () => clearInterval(drip))
  },
  '/endless': (req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json' })
    const pour = setInterval(() => res.write(' '.repeat(4096)), 1)
    req.socket.once('close', () => clearInterval(pour))
  },
}

const toLoopback = { resolve: async () => ['127.0.0.1'], mayReach: (address: string) => address === '127.0.0.1' }

function get(path: string, settings: Partial<FetchSettings> = {}, host = 'client.example'): Promise<FetchedDocument> {
  reached = []
  return fetchJson(new URL(`https://${host}:${server.port}${path}`), { maxSize: 5120, timeout: 500, ca, ...toLoopback, ...settings })
}

describe('what it reads', () => {
  test('M10 a small JSON document, with its headers, from the address that was checked', async () => {
    const fetched = await get('/client.json')
    expect(fetched.document).toEqual(document)
    expect(fetched.headers['cache-control']).toBe('max-age=600')
    expect(reached).toEqual([`client.example:${server.port}/client.json`])
    expect((await get('/suffix')).document).toEqual(document)
  })

  test('M10 asks with GET, without credentials, for a plain body', async () => {
    const { method, headers } = (await get('/request')).document as { method: string; headers: Record<string, string> }
    expect(method).toBe('GET')
    expect(headers).toMatchObject({ accept: 'application/json', 'accept-encoding': 'identity' })
    expect(Object.keys(headers).sort()).toEqual(['accept', 'accept-encoding', 'connection', 'host'])
  })

  test.each([
    '/redirect', '/permanent', '/missing', '/empty', '/html', '/untyped', '/javascript', '/compressed', '/large', '/broken', '/binary', '/cut',
  ])('M10 not %s', async (path) => {
    await expect(get(path)).rejects.toThrow(UnfetchableDocument)
    expect(reached).toHaveLength(1)
  }) // prettier-ignore

  test.each(['/silent', '/dripping'])('M10 not %s for longer than the time it has', async (path) => {
    const before = performance.now()
    await expect(get(path, { timeout: 200 })).rejects.toThrow(UnfetchableDocument)
    expect(performance.now() - before).toBeLessThan(1500)
  })

  test('M10 not an endless body, of which it leaves off at the limit', async () => {
    const before = performance.now()
    await expect(get('/endless', { timeout: 10_000 })).rejects.toThrow('the answer is too large')
    expect(performance.now() - before).toBeLessThan(2000)
  })

  test('M10 not for ever from a name server', async () => {
    await expect(get('/client.json', { timeout: 100, resolve: () => new Promise(() => {}) })).rejects.toThrow('the time is over')
    expect(reached).toEqual([])
  })

  test('M10 not from a host that shows the certificate of another, or of nobody', async () => {
    await expect(get('/client.json', {}, 'other.example')).rejects.toThrow(UnfetchableDocument)
    await expect(fetchJson(new URL(`https://client.example:${server.port}/client.json`), { maxSize: 5120, timeout: 500, ...toLoopback })).rejects.toThrow(UnfetchableDocument) // prettier-ignore
    expect(reached).toEqual([])
  })
})

describe('what it reaches', () => {
  test.each([
    '127.0.0.1', '127.8.8.8', '0.0.0.0', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '100.64.0.1', '192.0.0.8', '192.0.2.1', '198.18.0.1',
    '198.51.100.1', '203.0.113.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '::', '::1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '::ffff:7f00:1', '::127.0.0.1',
    '64:ff9b::7f00:1', '64:ff9b::8.8.8.8', '64:ff9b:1::1', 'fe80::1', 'fe80::1%eth0', 'fec0::1', 'fc00::1', 'fd12:3456::1', 'ff02::1', '2002:7f00:1::', '2001::1', '2001:db8::1', '3fff::1', '100::1', '5f00::1',
    '', 'localhost', '8.8.8', '0x7f000001', '2130706433', '0177.0.0.1',
  ])('M10 not %j', (address) => expect(isPublicAddress(address)).toBe(false)) // prettier-ignore

  test.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '192.167.0.1', '2606:4700:4700::1111', '2a00:1450::1'])('M10 but %s', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })

  test.each([
    '127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '[64:ff9b::7f00:1]', '[fe80::1]', '2130706433', '0x7f000001', '0177.0.0.1', '0x7f.1', '127.1', '0', '169.254.169.254',
    '①②⑦.0.0.1', '127。0。0。1', 'localhost', 'localhost.',
  ])('M10 nothing of this machine under the host %s', async (host) => {
    const settings = { maxSize: 5120, timeout: 1000, ca }
    reached = []
    await expect(fetchJson(new URL(`https://${host}:${server.port}/client.json`), settings)).rejects.toThrow('the host has')
    expect(reached).toEqual([])
  }) // prettier-ignore

  test('M10 nothing where one of several addresses is for special purposes', async () => {
    const resolve = async () => ['8.8.8.8', '127.0.0.1']
    await expect(fetchJson(new URL('https://client.example/x'), { maxSize: 5120, timeout: 500, resolve })).rejects.toThrow(
      'the host has an address for special purposes',
    )
  })

  test('M10 a name that answers twice differently is asked once, and gets what was checked', async () => {
    const told = [['127.0.0.1'], ['127.0.0.2']]
    let asked = 0
    const resolve = async () => told[asked++] ?? []
    expect((await get('/client.json', { resolve })).document).toEqual(document)
    expect(asked).toBe(1)
  })

  test('M10 the next of the checked addresses where the first does not answer', async () => {
    const settings = { resolve: async () => ['::1', '127.0.0.1'], mayReach: () => true, timeout: 3000 }
    expect((await get('/client.json', settings)).document).toEqual(document)
  })

  test('M10 nothing where the name has no address, or the look-up fails', async () => {
    await expect(get('/client.json', { resolve: async () => [] })).rejects.toThrow('the host has no address')
    await expect(get('/client.json', { resolve: () => Promise.reject(new Error('SERVFAIL')) })).rejects.toThrow('the host has no address')
  })
})

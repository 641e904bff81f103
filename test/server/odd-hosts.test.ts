/** Waiting for hosts that strangers have named (X4): whatever such a host does or leaves undone, the time is kept, and no socket stays open. */
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { fetchJson, isPublicAddress, UnfetchableDocument } from '../../src/http/guarded-fetch.js'
import { hostCertificate } from './https-support.js'

const time = 250
const servers: Server[] = []
const open = new Set<Socket>()
afterEach(() => {
  for (const socket of open) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

let certificate: { readonly cert: string; readonly key: string }
beforeAll(async () => {
  certificate = await hostCertificate()
})

type Conduct = (socket: Socket) => void

/** A host that does this with each connection: before TLS, or after it. */
async function host(layer: 'tcp' | 'tls', conduct: Conduct): Promise<number> {
  const keep = (socket: Socket) => {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => open.delete(socket))
  }
  const server = layer === 'tcp' ? createTcpServer() : createTlsServer(certificate)
  server.on('connection', keep)
  server.on('tlsClientError', () => undefined)
  server.on(layer === 'tcp' ? 'connection' : 'secureConnection', (socket: Socket) => {
    socket.on('error', () => undefined)
    conduct(socket)
    // Sees the end of the connection.
    socket.resume()
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

function drip(socket: Socket, text: string, first = ''): void {
  socket.write(first)
  const timer = setInterval(() => socket.write(text), 10)
  socket.once('close', () => clearInterval(timer))
}

const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'

const conducts: [name: string, layer: 'tcp' | 'tls', conduct: Conduct][] = [
  ['says nothing after the connection, before TLS', 'tcp', () => undefined],
  ['answers TLS with noise', 'tcp', (socket) => drip(socket, 'x')],
  ['closes before TLS', 'tcp', (socket) => void socket.end()],
  ['says nothing after TLS', 'tls', () => undefined],
  ['closes before the head', 'tls', (socket) => void socket.end()],
  ['resets the connection', 'tcp', (socket) => void socket.resetAndDestroy()],
  ['resets the connection after TLS', 'tls', (socket) => void socket.destroy()],
  ['drips the head', 'tls', (socket) => drip(socket, 'X: y\r\n', 'HTTP/1.1 200 OK\r\n')],
  ['never ends the head', 'tls', (socket) => void socket.write(head)],
  ['drips the body', 'tls', (socket) => drip(socket, ' ', `${head}\r\n`)],
  ['never ends the body', 'tls', (socket) => void socket.write(`${head}Content-Length: 100\r\n\r\n{`)],
  ['cuts the body', 'tls', (socket) => void socket.end(`${head}Content-Length: 100\r\n\r\n{`)],
  ['sends 103 for ever', 'tls', (socket) => drip(socket, 'HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n')],
  ['sends 100 for ever', 'tls', (socket) => drip(socket, 'HTTP/1.1 100 Continue\r\n\r\n')],
  ['sends 102 and is silent', 'tls', (socket) => void socket.write('HTTP/1.1 102 Processing\r\n\r\n')],
  ['answers 101', 'tls', (socket) => void socket.once('data', () => socket.write(upgrade))],
  ['answers 101 before it is asked', 'tls', (socket) => void socket.write(upgrade)],
  ['answers 101 and goes on', 'tls', (socket) => void socket.once('data', () => drip(socket, `${upgrade}${'x'.repeat(1000)}`))],
  ['answers 101 without an upgrade', 'tls', (socket) => void socket.once('data', () => socket.write('HTTP/1.1 101 Ok\r\n\r\n'))],
  ['speaks something else than HTTP', 'tls', (socket) => void socket.write('SSH-2.0-x\r\n')],
]

/** Settled, whichever way, within `limit`; else the words say so. */
function settled(work: Promise<unknown>, limit: number): Promise<unknown> {
  const outcome = work.then(
    () => 'a document',
    (thrown: unknown) => thrown,
  )
  return Promise.race([outcome, new Promise((resolve) => setTimeout(resolve, limit, `nothing after ${limit} ms`))])
}

describe('a document host', () => {
  test.each(conducts)('X4 that %s', async (_name, layer, conduct) => {
    const port = await host(layer, conduct)
    const settings = { maxSize: 5120, timeout: time, ca: certificate.cert, resolve: async () => ['127.0.0.1'], mayReach: () => true }
    const outcome = await settled(fetchJson(new URL(`https://client.example:${port}/c`), settings), time + 500)
    expect(outcome).toBeInstanceOf(UnfetchableDocument)
    expect((outcome as Error).message).toMatch(
      /^the (?:time is over|host cannot be reached|host closed the connection without an answer|host answered with another protocol|answer could not be read|answer is not JSON|answer is not 200)$/,
    )
    for (let turn = 0; open.size > 0 && turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(open.size).toBe(0)
  })

  test('X4 whose name is looked up too late is not connected to', async () => {
    const port = await host('tls', () => undefined)
    let found: (addresses: string[]) => void = () => undefined
    const resolve = () => new Promise<string[]>((done) => (found = done))
    const settings = { maxSize: 5120, timeout: 50, ca: certificate.cert, resolve, mayReach: () => true }
    await expect(fetchJson(new URL(`https://client.example:${port}/c`), settings)).rejects.toThrow('the time is over')
    found(['127.0.0.1'])
    await new Promise((done) => setTimeout(done, 50))
    expect(open.size).toBe(0)
  })

  test('X19e that is the machine itself in a large cloud is not reached', () => {
    expect(isPublicAddress('168.63.129.16')).toBe(false)
    expect(isPublicAddress('168.63.129.17')).toBe(true)
  })
})

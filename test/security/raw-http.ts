/** HTTP as bytes: what is written is what was given, and what comes back is taken apart by hand. */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'

/** A response as it stood on the wire. */
export interface RawResponse {
  readonly status: number
  readonly head: string
  readonly body: string
}

const patience = 10_000

export interface RawServer {
  /** Writes bytes, ends its side, and returns everything that comes back. Rejects when the server keeps the connection open. */
  send(bytes: Uint8Array): Promise<string>
  close(): Promise<void>
}

/** A node:http server on a free port of the loopback interface. */
export async function rawServer(listener: RequestListener): Promise<RawServer> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { send: (bytes) => send(port, bytes), close: () => closed(server) }
}

async function closed(server: Server): Promise<void> {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
}

function send(port: number, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes))
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error('the server neither answered nor closed the connection'))
    }, patience)
    socket.on('data', (chunk) => chunks.push(chunk))
    // A connection that is reset has been closed, too.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(Buffer.concat(chunks).toString('latin1'))
    })
  })
}

/** The responses in what came back. Interim ones are left out. */
export function parseResponses(text: string): RawResponse[] {
  const responses: RawResponse[] = []
  for (let rest = text; rest !== '';) {
    const [, status = '', head = ''] = /^HTTP\/1\.[01] ([0-9]{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/.exec(rest) ?? []
    if (status === '') throw new Error(`not an HTTP response: ${JSON.stringify(rest.slice(0, 200))}`)
    rest = rest.slice(rest.indexOf('\r\n\r\n') + 4)
    // What node:http answers by itself is empty, and in chunks.
    if (/^transfer-encoding: chunked\r$/im.test(head) && rest.startsWith('0\r\n\r\n')) rest = rest.slice(5)
    const length = Number(/^content-length: ([0-9]+)\r$/im.exec(head)?.[1] ?? 0)
    if (!status.startsWith('1')) responses.push({ status: Number(status), head, body: rest.slice(0, length) })
    rest = rest.slice(length)
  }
  return responses
}

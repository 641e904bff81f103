/**
 * Servers on the loopback interface, and connections on which a test writes the bytes of HTTP itself.
 */
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, request as tlsRequest } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { generate } from 'selfsigned'

/** What is open and must be closed when the test is over: call it in `afterEach`. */
export class Resources {
  readonly #closers: (() => Promise<unknown> | undefined)[] = []

  /** Serves on a free port of 127.0.0.1, or of another loopback address. */
  async listen(listener: RequestListener, address = '127.0.0.1'): Promise<Listening> {
    const server = createServer(listener)
    const port = await this.#open(server, address)
    return { port, url: `http://127.0.0.1:${port}`, server }
  }

  /** The same over TLS, with a certificate made for this server. */
  async listenTls(listener: RequestListener): Promise<TlsListening> {
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
    const port = await this.#open(createTlsServer({ key, cert }, listener), '127.0.0.1')
    return { post: (path, headers, body) => postTls(port, cert, path, headers, body) }
  }

  /** A connection to a server of this test. */
  async connect(port: number): Promise<Connection> {
    const connection = await Connection.to(port)
    this.#closers.push(async () => connection.destroy())
    return connection
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close()
  }

  async #open(server: Server, address: string): Promise<number> {
    server.listen(0, address)
    await once(server, 'listening')
    this.#closers.push(() => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    })
    return (server.address() as AddressInfo).port
  }
}

export interface Listening {
  readonly port: number
  readonly url: string
  readonly server: Server
}

export interface TlsListening {
  post(path: string, headers: Record<string, string>, body: string): Promise<WireResponse>
}

/** A response as it came over the wire; header names in lower case. */
export interface WireResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

/** A connection on which nothing is added to what the test writes. */
export class Connection {
  readonly #socket: Socket
  #received = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
    })
  }

  static async to(port: number): Promise<Connection> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new Connection(socket)
  }

  /** Writes lines, each ended by CR LF, and then a body. */
  send(lines: readonly string[], body = ''): void {
    this.write(`${lines.join('\r\n')}\r\n\r\n${body}`)
  }

  write(text: string | Buffer): void {
    this.#socket.write(text)
  }

  /** The next response. One to HEAD has no body. */
  async response({ head = false } = {}): Promise<WireResponse> {
    for (;;) {
      const found = parseResponse(this.#received, head)
      if (found !== undefined) {
        this.#received = this.#received.subarray(found.size)
        return found.response
      }
      if (this.#socket.destroyed || this.#socket.readableEnded) throw new Error(`closed after ${JSON.stringify(this.#received.toString())}`)
      await new Promise((resolve) => {
        this.#socket.once('data', resolve)
        this.#socket.once('close', resolve)
      })
    }
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<void> {
    if (!this.#socket.destroyed) await once(this.#socket, 'close')
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

function parseResponse(bytes: Buffer, head: boolean): { response: WireResponse; size: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const pairs = lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()] as const)
  const headers = Object.fromEntries(pairs) as WireResponse['headers']
  const status = Number(statusLine.split(' ')[1])
  const length = head || status < 200 ? 0 : Number(headers['content-length'] ?? Number.NaN)
  if (Number.isNaN(length)) throw new Error(`a response without Content-Length: ${statusLine}`)
  const size = end + 4 + length
  if (bytes.length < size) return undefined
  return { response: { status, headers, body: bytes.toString('utf8', end + 4, size) }, size }
}

async function postTls(port: number, ca: string, path: string, headers: Record<string, string>, body: string): Promise<WireResponse> {
  const request = tlsRequest({ host: '127.0.0.1', port, path, method: 'POST', ca, servername: 'localhost', agent: false, headers })
  request.end(body)
  const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return {
    status: response.statusCode ?? 0,
    headers: response.headers as WireResponse['headers'],
    body: Buffer.concat(chunks).toString('utf8'),
  }
}

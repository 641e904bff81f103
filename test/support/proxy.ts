/** A TCP proxy in front of a database, that delays, cuts, and cuts exactly after something was sent and before its answer came. */
import { connect, createServer, type Socket } from 'node:net'

export interface Proxy {
  readonly port: number
  /** Milliseconds by which every answer is late. */
  delay: number
  /** Ends every connection now. */
  cut(): void
  /** Lets the connections of now hear and answer nothing any more, without closing them. New ones are well. */
  forget(): void
  /** Lets the `number`-th thing that is sent from now on reach the database, drops what is answered, and ends the connection. */
  cutAfterSending(number: number): void
  /** Whether that has happened. */
  readonly hasCut: boolean
  close(): Promise<void>
}

export async function startProxy(target: URL): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let countdown = 0
  let hasCut = false
  let delay = 0
  let generation = 0

  const server = createServer((client) => {
    const database = connect(Number(target.port), target.hostname)
    let isDoomed = false
    const born = generation
    for (const socket of [client, database]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        database.destroy()
      })
    }
    client.on('data', (sent) => {
      if (born < generation) return
      if (countdown > 0 && --countdown === 0) isDoomed = true
      database.write(sent)
    })
    database.on('data', (answered) => {
      if (born < generation) return
      if (isDoomed) {
        hasCut = true
        client.destroy()
        database.destroy()
      } else if (delay === 0) client.write(answered)
      else setTimeout(() => client.destroyed || client.write(answered), delay)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()

  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get delay() {
      return delay
    },
    set delay(milliseconds) {
      delay = milliseconds
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    forget() {
      generation++
    },
    cutAfterSending(number) {
      countdown = number
      hasCut = false
    },
    get hasCut() {
      return hasCut
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Sessions under load: each logs in, refreshes eight times, asks again where it got no answer, and says whether it was lost. */
import { setTimeout as delay } from 'node:timers/promises'
import { basic, exchange, web, type JsonResponse, type TestServer } from './server.js'

export interface SessionLoad {
  /** Answers that the clients saw, the oldest first. */
  readonly answers: readonly { readonly status: number; readonly at: number; readonly server: number }[]
  /** Refreshes that were refused to a client that had kept to the rules. */
  readonly lost: readonly string[]
  /** Codes whose answer was lost, so that the person has to log in again (SECURITY I4). */
  readonly lostExchanges: number
  readonly refreshes: number
  stop(): Promise<void>
}

/** Starts `clients` clients; each turns to the next of the servers at each request. */
export function startSessions(servers: readonly TestServer[], clients: number): SessionLoad {
  const answers: { status: number; at: number; server: number }[] = []
  const lost: string[] = []
  let [isOver, turn, lostExchanges, refreshes] = [false, 0, 0, 0]

  async function ask(work: (server: TestServer) => Promise<JsonResponse>): Promise<JsonResponse | undefined> {
    while (!isOver) {
      const index = turn++ % servers.length
      const server = servers[index]
      if (server === undefined) break
      const response = await work(server)
      answers.push({ status: response.status, at: performance.now(), server: index })
      await delay(response.status === 503 ? 100 : 5)
      if (response.status !== 503) return response
    }
    return undefined
  }

  async function code(): Promise<string | undefined> {
    while (!isOver) {
      try {
        const server = servers[turn++ % servers.length]
        return await server?.code()
      } catch {
        await delay(100)
      }
    }
    return undefined
  }

  async function client(): Promise<void> {
    while (!isOver) {
      const issued = await code()
      if (issued === undefined) return
      const first = await ask((server) => server.token(exchange(issued), basic(web)))
      let refresh_token = first?.json.refresh_token
      if (refresh_token === undefined) {
        if (first !== undefined) lostExchanges++
        continue
      }
      for (let step = 0; step < 8 && refresh_token !== undefined; step++) {
        const held: string = refresh_token
        const response = await ask((server) => server.refresh(held))
        if (response === undefined) return
        if (response.status === 200) refreshes++
        else lost.push(response.body)
        refresh_token = response.json.refresh_token
      }
    }
  }

  const done = Promise.all(Array.from({ length: clients }, client))
  return {
    answers,
    lost,
    get lostExchanges() {
      return lostExchanges
    },
    get refreshes() {
      return refreshes
    },
    async stop() {
      isOver = true
      await done
    },
  }
}

/** Milliseconds from `begun` until each of the servers has answered nothing but 200 from then on; the longest of them. */
export function healedAfter({ answers }: Pick<SessionLoad, 'answers'>, servers: number, begun: number): number {
  const times = Array.from({ length: servers }, (_, server) => {
    const own = answers.filter((answer) => answer.server === server)
    const healed = own[own.findLastIndex(({ status }) => status !== 200) + 1]
    return healed === undefined ? Infinity : healed.at - begun
  })
  return Math.max(0, ...times)
}

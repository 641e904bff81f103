/** Issues tokens through the endpoint, in a process of its own, and tells its parent how large it was after each fifth of them. */
import { memoryStore, type MemoryStore } from '../../src/index.js'
import { basic, machine, testServer, web, type TestServer } from '../support/server.js'

/** Sizes in megabytes, after a collection of garbage. */
export interface MemorySample {
  readonly records: number
  readonly heap: number
  readonly resident: number
}

export interface MemoryReport {
  readonly samples: readonly MemorySample[]
  /** Whether a refresh token from before the first token is still good. */
  readonly keptWhatIsLive: boolean
}

const perSecond = 100
const megabyte = 1024 * 1024
const [count = 0, accessTokenLifetime = 60] = process.argv.slice(2).map(Number)

const store: MemoryStore = memoryStore({ maxRecords: 20_000_000, clock: () => server.now })
const server: TestServer = testServer({ store, refreshTokenIdleLifetime: 7_776_000, onEvent: () => {} })
const { refresh_token } = await server.tokens()
const issuing = testServer({ ...server.options, accessTokenLifetime })

async function issue(number: number): Promise<void> {
  const headers = basic(machine)
  for (let i = 1; i <= number; i++) {
    const { status } = await issuing.token('grant_type=client_credentials', headers)
    if (status !== 200) throw new Error(`token ${i} was answered ${status}`)
    if (i % perSecond === 0) server.now++
  }
}

function sample(): MemorySample {
  globalThis.gc?.()
  const { heapUsed, rss } = process.memoryUsage()
  return { records: store.size, heap: heapUsed / megabyte, resident: rss / megabyte }
}

const samples: MemorySample[] = []
for (let part = 0; part < 5; part++) {
  await issue(count / 5)
  samples.push(sample())
}
const { status } = await server.token({ grant_type: 'refresh_token', refresh_token }, basic(web))
process.send?.({ samples, keptWhatIsLive: status === 200 } satisfies MemoryReport)
process.disconnect()

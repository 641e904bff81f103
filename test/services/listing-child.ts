/** Lists everything of one client, or every client, in a process of its own, and tells its parent how large the heap was meanwhile. */
import { listAuthorizations, listClients } from '../../src/index.js'
import { testServer } from '../support/server.js'
import { storeAt, type Address } from '../support/store-of.js'
import { serverOfStoredClients } from '../support/stored.js'

/** What the process is started with, as JSON in its first argument. */
export interface Listing {
  readonly address: Address
  readonly what: 'authorizations' | 'clients'
  /** How many are expected: a sample is taken after each twentieth part. */
  readonly count: number
  /** True: keeps everything that it lists, as a list in one piece does. */
  readonly keeps?: boolean
}

export interface ListingReport {
  readonly count: number
  readonly seconds: number
  /** Megabytes, after a collection of garbage. */
  readonly heap: readonly number[]
  readonly resident: number
}

const { address, what, count, keeps = false } = JSON.parse(process.argv[2] ?? '{}') as Listing
const megabyte = 1024 * 1024
const every = Math.ceil(count / 20)
const store = storeAt(address)
const listed: AsyncIterable<unknown> =
  what === 'authorizations'
    ? listAuthorizations(testServer({ store, onEvent }).options, { client_id: 'web' })
    : listClients(serverOfStoredClients({ store, onEvent }).options)

/** A record that cannot be read is passed over, and told as an event: here it is a mistake of the test. */
function onEvent({ type, reason }: { readonly type: string; readonly reason?: string }): void {
  throw new Error(`${type}: ${reason}`)
}

const heap: number[] = []
const kept: unknown[] = []
const begun = performance.now()
let seen = 0
for await (const one of listed) {
  if (keeps) kept.push(one)
  if (++seen % every !== 0) continue
  globalThis.gc?.()
  heap.push(process.memoryUsage().heapUsed / megabyte)
}
const seconds = (performance.now() - begun) / 1000
process.send?.({ count: seen, seconds, heap, resident: process.memoryUsage().rss / megabyte } satisfies ListingReport)
process.disconnect()
process.exit()

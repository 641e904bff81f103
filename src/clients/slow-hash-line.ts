/**
 * The line in which slow hashes wait for their turn: a few at a time, so that no flood of wrong secrets takes the thread pool or the memory.
 *
 * 1. There is one line for all: a secret of an unknown client is compared with a decoy, waits as any other, and is refused as any other.
 * 2. One network, and one client, have a share of the line; where the address is not known, the client stands for it. Near the end, one network may have no
 *    more than a quarter of what is free.
 * 3. Networks take turns: the first of each, then the second of each. Who floods the line waits for itself.
 */
import { TemporarilyUnavailable } from '../errors.js'
import { networkOf } from '../http/network-address.js'

/** Whose secret is to be compared. */
export interface Asker {
  readonly client_id: string
  /** The address that sent it, where it is known. */
  readonly address?: string | undefined
}

const atOnce = 2
const lineSize = 256
const networkShare = 32
const clientShare = 64
/** Of what is free, one network may have one part in so many. */
const shares = 4

interface Waiting {
  readonly asker: Asker | undefined
  readonly goOn: () => void
}

/** Who waits, by network: the network whose turn is next is first. */
const networks = new Map<string, Waiting[]>()
const clients = new Map<string, number>()
let waiting = 0
let running = 0

/**
 * Does the work in its turn. Without `asker` it is the application's own work, which is never refused.
 *
 * @throws TemporarilyUnavailable when too many are waiting: in all, from that network, or for that client.
 */
export async function inLine<T>(asker: Asker | undefined, work: () => Promise<T>): Promise<T> {
  if (running < atOnce) running++
  else await placeOf(asker)
  try {
    return await work()
  } finally {
    // Whoever finishes hands its place to the next one, so `running` does not change hands.
    if (!callNext()) running--
  }
}

function placeOf(asker: Asker | undefined): Promise<void> {
  const network = networkFor(asker)
  const queue = networks.get(network) ?? []
  if (asker !== undefined) {
    assertHasShare(queue.length, clients.get(asker.client_id) ?? 0)
    clients.set(asker.client_id, (clients.get(asker.client_id) ?? 0) + 1)
  }
  networks.set(network, queue)
  waiting++
  return new Promise((goOn) => queue.push({ asker, goOn }))
}

function networkFor(asker: Asker | undefined): string {
  if (asker === undefined) return 'the application'
  return asker.address === undefined ? `client ${asker.client_id}` : networkOf(asker.address)
}

function assertHasShare(ofNetwork: number, ofClient: number): void {
  const share = Math.min(networkShare, Math.ceil((lineSize - waiting) / shares))
  // A network that has nobody waiting always finds a place: others must not use up the share of a client for it.
  if (ofNetwork < share && (ofNetwork === 0 || ofClient < clientShare)) return
  throw new TemporarilyUnavailable(undefined, { reason: 'too many slow secret hashes are waiting' })
}

/** Lets the first of the next network go on. False when nobody waits. */
function callNext(): boolean {
  const [next] = networks
  if (next === undefined) return false
  const [network, queue] = next
  const first = queue.shift()
  // The network goes to the end, behind all others that wait.
  networks.delete(network)
  if (queue.length > 0) networks.set(network, queue)
  if (first === undefined) return callNext()
  waiting--
  leave(first.asker)
  first.goOn()
  return true
}

function leave(asker: Asker | undefined): void {
  if (asker === undefined) return
  const rest = (clients.get(asker.client_id) ?? 1) - 1
  if (rest > 0) clients.set(asker.client_id, rest)
  else clients.delete(asker.client_id)
}

/**
 * The addresses of a host that a stranger has named.
 *
 * Not by `lookup`: the system's resolver takes a thread of the process for as long as a name server is silent, and there are few. Whoever names hosts
 * whose name servers never answer would keep the application from finding its own database. So the name servers are asked by sockets, and no longer
 * than somebody waits for the answer.
 */
import { lookup, Resolver } from 'node:dns/promises'

/** How a name is looked up. */
export interface NameLookup {
  /** Ends the look-up. */
  readonly signal: AbortSignal
  /** In place of those of the machine. */
  readonly nameServers?: readonly string[] | undefined
}

/** Milliseconds for the first try, and twice that for the second. */
const patience = { timeout: 1000, tries: 2 }

/** Every address of the host, of both families; none where it has none. */
export async function addressesOfName(host: string, { signal, nameServers }: NameLookup): Promise<readonly string[]> {
  const resolver = new Resolver(patience)
  if (nameServers !== undefined) resolver.setServers(nameServers)
  signal.addEventListener('abort', () => {
    resolver.cancel()
  })
  const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
  return answers.every(isWithoutNameServer) ? addressesFromSystem(host) : answers.flatMap(addressesIn)
}

function addressesIn(answer: PromiseSettledResult<readonly string[]>): readonly string[] {
  return answer.status === 'fulfilled' ? answer.value : []
}

/** On a machine that finds names without name servers. No stranger brings this about: it is the machine's own name server that is not there. */
function isWithoutNameServer(answer: PromiseSettledResult<unknown>): boolean {
  return answer.status === 'rejected' && (answer.reason as { readonly code?: unknown }).code === 'ECONNREFUSED'
}

async function addressesFromSystem(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address)
}

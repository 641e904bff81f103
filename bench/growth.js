/** W7: what a million live tokens cost in memory, and whether issuing and checking get dearer with them. */
import { measureRound, startLoad, startServer } from './measure.js'
import { workloads } from './workloads.js'

const steps = [0, 100_000, 250_000, 500_000, 1_000_000]

export async function measureGrowth(server, settings) {
  const issuing = workloads.find(({ id }) => id === 'W1')
  const checking = workloads.find(({ id }) => id === 'W5-opaque')
  const load = startLoad()
  // It checks tokens and issues them: the requests say which.
  const running = await startServer(server, checking, settings)
  const results = []
  try {
    const round = { ...settings, count: 4000 }
    for (const workload of [issuing, checking, issuing, checking]) await measureRound(running, load, workload, round)
    const { memory: empty } = await running.ask({ type: 'fill', count: 0 })
    for (const tokens of steps) {
      const before = results.at(-1)?.tokens ?? 0
      const { memory } = await running.ask({ type: 'fill', count: tokens - before })
      const heap = memory.heapUsed - empty.heapUsed
      results.push({
        tokens,
        megabytes: memory.heapUsed / 1e6,
        bytesPerToken: tokens === 0 ? undefined : heap / tokens,
        issue: await measureRound(running, load, issuing, round),
        check: await measureRound(running, load, checking, round),
      })
    }
    return results
  } finally {
    load.end()
    running.end()
  }
}

/**
 * Rounds of the same requests against the empty store and the full one, in turn. The empty store holds the records that are asked for in this
 * round, and no other; the full one holds the same among all the rest.
 */
import { startLoad, startProcess } from '../measure.js'
import { placeOf } from './places.js'

const batch = 1000

/** What is measured. `chosen` says which records it needs, `materials` what a request presents. */
const operations = [
  { id: 'credentials', title: 'client credentials', workloadId: 'W1', materials: () => [] },
  {
    id: 'exchange',
    title: 'code exchange',
    workloadId: 'W3',
    chosen: 'subject',
    materials: async (numbers, { population, server, store }) =>
      (await server.ask({ type: 'codes', store, materials: numbers.map(population.subject) })).materials,
  },
  {
    id: 'refresh',
    title: 'refresh with rotation',
    workloadId: 'W4',
    chosen: 'session',
    materials: (numbers, { population }) => numbers.map(population.refreshToken),
  },
  {
    id: 'check',
    title: 'bearer check',
    workloadId: 'W5-opaque',
    chosen: 'any',
    materials: (numbers, { population }) => numbers.map(population.accessToken),
  },
  {
    id: 'list',
    title: 'list of a subject',
    chosen: 'subject',
    materials: (numbers, { population }) => numbers.map(population.subject),
  },
  {
    id: 'sweep',
    title: `deleteExpired of ${batch}`,
    chosen: 'expired',
    materials: (numbers) => Array.from({ length: numbers.length / batch }, () => batch),
  },
]

/** How many expired records the full store has to have for all rounds. */
export function expiredNeeded({ rounds, sweeps }) {
  return (rounds + 1) * sweeps * batch
}

/** Measures every operation that the place has, and returns for each the rounds of both stores in both modes. */
export async function measurePlace({ placeName, name, place, population }, settings) {
  const load = startLoad()
  const server = startProcess('./scale/server-process.js', [placeName, name], 0)
  let expired = population.size
  try {
    const { ports } = await server.answer()
    const context = { placeName, place, population, server, load, ports }
    const results = operations.filter(({ id }) => id !== 'sweep' || place.hasSweep).map((operation) => ({ operation, rounds: [] }))
    for (let round = 0; round <= settings.rounds; round++) {
      for (const { operation, rounds } of results) {
        const modes = modesOf(operation, settings).map((mode) => {
          const numbers = chooseNumbers(operation, mode, population, expired)
          if (operation.chosen === 'expired') expired += numbers.length
          return { ...mode, numbers }
        })
        const present = new Set(modes.flatMap(({ numbers }) => recordsOf(operation, numbers, population)))
        await place.refill([...present].map(population.row))
        const order = round % 2 === 0 ? ['empty', 'full'] : ['full', 'empty']
        const measured = { empty: {}, full: {} }
        for (const mode of modes) {
          for (const store of order) measured[store][mode.id] = await measure({ ...context, store }, operation, mode)
        }
        // The first round is there to warm everything up.
        if (round > 0) rounds.push(measured)
      }
    }
    return results
  } finally {
    load.end()
    server.end()
  }
}

function modesOf({ id }, { alone, together, connections, sweeps }) {
  if (id === 'sweep') return [{ id: 'alone', count: sweeps, connections: 1 }]
  return [
    { id: 'alone', count: alone, connections: 1 },
    { id: 'together', count: together, connections },
  ]
}

function chooseNumbers({ chosen }, { count }, population, expired) {
  if (chosen === undefined) return []
  if (chosen === 'expired') return Array.from({ length: count * batch }, (_, index) => expired + index)
  return population.choose(count, chosen !== 'any')
}

/** The records that the empty store has to have. */
function recordsOf({ id, chosen }, numbers, population) {
  if (id === 'exchange') return []
  return chosen === 'subject' ? numbers.flatMap(population.ofSubject) : numbers
}

async function measure(context, operation, { count, connections, numbers }) {
  const { placeName, place, server, load, ports, store } = context
  const materials = await operation.materials(numbers, context)
  const port = ports[store]
  if (operation.workloadId !== undefined) await load.ask({ type: 'connect', port, connections })
  const before = await usage()
  const { answered, latency } = await run()
  const after = await usage()
  if (operation.workloadId !== undefined) await load.ask({ type: 'close' })
  const database = placeOf(placeName).difference(before.database, after.database)
  const own = after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system
  const written = database.written === undefined ? {} : { written: database.written / answered }
  return { server: own / answered, database: database.cpu / answered, ...written, latency: latency.p50 * 1000, p99: latency.p99 * 1000 }

  async function usage() {
    const { cpu } = await server.ask({ type: 'usage' })
    return { cpu, database: await place.usage() }
  }

  function run() {
    const { workloadId, id } = operation
    if (workloadId === undefined) return server.ask({ type: id, store, materials, connections })
    return load.ask({ type: 'run', workloadId, port, isConstant: false, materials, count, seconds: 600 })
  }
}

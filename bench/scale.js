/**
 * npm run bench:scale -- [options]
 *
 * What a request costs with millions of live Authorizations in the store, and what it costs with none.
 *
 *   --postgres 5000000   live Authorizations in PostgreSQL (DATABASE_URL); 0 leaves it out
 *   --redis 1000000      live Authorizations in Redis (REDIS_URL), in its databases 14 and 15, which must be empty
 *   --rounds 15          and one more to warm up
 *   --alone 300          requests of a round one after the other
 *   --together 1200      requests of a round over 50 connections
 *   --sweeps 1           batches of deleteExpired in a round
 *   --save <folder>      write every round there, as JSON
 *   --limit 1.5          the exit code is 1 when a request costs more than so many times what it costs with an empty store
 */
import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { libraryOf, placeOf } from './scale/places.js'
import { createPopulation } from './scale/population.js'
import { expiredNeeded, measurePlace } from './scale/rounds.js'
import { costTable, ratios, sizeTable } from './scale/table.js'

const { values } = parseArgs({
  options: {
    postgres: { type: 'string', default: '5000000' },
    redis: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '15' },
    alone: { type: 'string', default: '300' },
    together: { type: 'string', default: '1200' },
    sweeps: { type: 'string', default: '1' },
    limit: { type: 'string', default: '1.5' },
    save: { type: 'string' },
  },
})
const { save, ...numbers } = values
const { postgres, redis, limit, ...settings } = Object.fromEntries(
  Object.entries(numbers).map(([option, value]) => [option, Number(value)]),
)

const batch = 2000
const inserters = 2
const library = await libraryOf('index')
const name = `bench_scale_${process.pid}`
const memory = `${Math.round(totalmem() / 2 ** 30)} GB`
console.log(`${availableParallelism()} cores (${cpus()[0]?.model.trim()}), ${memory}, Node ${process.version.slice(1)}, loopback`)

for (const [placeName, size] of Object.entries({ postgres, redis })) {
  if (size > 0) await measureAt(placeName, size)
}

async function measureAt(placeName, size) {
  const place = await placeOf(placeName).open(name, 'parent', libraryOf)
  try {
    await place.create()
    const population = await createPopulation(library, size, place.stores.empty, place.read)
    console.log(`\n${await place.version()}: ${population.size.toLocaleString('en')} live Authorizations`)
    await fill(place, population)
    console.log(sizeTable(await place.sizes(), population.size))

    const results = await measurePlace({ placeName, name, place, population }, { ...settings, connections: 50 })
    if (save !== undefined) writeFileSync(join(save, `scale-${placeName}.json`), JSON.stringify(results, undefined, 2))
    console.log(costTable(results))
    if (ratios(results).some((ratio) => ratio > limit)) process.exitCode = 1
  } finally {
    await place.drop()
    await place.close()
  }
}

async function fill(place, population) {
  const started = performance.now()
  const rows = population.rows(place.hasSweep ? expiredNeeded(settings) : 0)
  let filled = 0
  async function insertBatches() {
    for (;;) {
      const some = taken(rows)
      if (some.length === 0) return
      await place.insert('full', some)
      filled += some.length
      if (process.stderr.isTTY) process.stderr.write(`\r${filled.toLocaleString('en')} `)
    }
  }
  await Promise.all(Array.from({ length: inserters }, insertBatches))
  const loaded = performance.now()
  await place.settle()
  const seconds = (from, to) => Math.round((to - from) / 1000)
  console.log(`filled in ${seconds(started, loaded)} s, settled in ${seconds(loaded, performance.now())} s`)
}

function taken(rows) {
  const some = []
  while (some.length < batch) {
    const { done, value } = rows.next()
    if (done) break
    some.push(value)
  }
  return some
}

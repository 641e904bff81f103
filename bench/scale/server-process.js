/** The server: the same handlers twice in one process, over the empty store and over the full one, each on a port of its own. */
import { createServer } from 'node:http'
import { resourceAnswer, scope } from '../workloads.js'
import { issueCode } from '../our-server.js'
import { scaleOptions } from './population.js'
import { libraryOf, placeOf } from './places.js'

const [, , placeName, name] = process.argv
const resourceBody = JSON.stringify(resourceAnswer)
const servers = new Map()

try {
  const library = await libraryOf('index')
  const place = await placeOf(placeName).open(name, 'server', libraryOf)
  for (const [id, store] of Object.entries(place.stores)) servers.set(id, await startServer(library, store))
  process.on('message', (message) => void answer(message, library))
  process.on('disconnect', async () => {
    await place.close()
    process.exit()
  })
  process.send({ type: 'ready', ports: Object.fromEntries([...servers].map(([id, { port }]) => [id, port])) })
} catch (error) {
  process.send({ type: 'failed', error: String(error.stack) })
}

async function startServer(library, store) {
  const options = { ...scaleOptions, store }
  const handleToken = library.tokenHandler(options)
  const guard = library.requireAccessToken(options, { scope })
  const server = createServer((req, res) => {
    if (req.url === '/oauth2/token') return handleToken(req, res)
    return guard(req, res, () => {
      res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(resourceBody) })
      res.end(resourceBody)
    })
  })
  server.keepAliveTimeout = 60_000
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { options, store, port: server.address().port }
}

async function answer({ type, store: id, materials, connections }, library) {
  try {
    const { options, store } = servers.get(id) ?? {}
    const result = await perform()
    process.send({ type: 'done', ...result, cpu: process.cpuUsage() })

    function perform() {
      switch (type) {
        case 'codes':
          return inParallel(materials, 50, (subject) => issueCode(library, options, subject)).then((codes) => ({ materials: codes }))
        case 'list':
          return timed(materials, connections, (subject) => listed(library, options, subject))
        case 'sweep':
          return timed(materials, 1, (limit) => swept(store, limit))
        default:
          return {}
      }
    }
  } catch (error) {
    process.send({ type: 'failed', error: String(error.stack) })
  }
}

async function listed({ listAuthorizations }, options, subject) {
  let found = 0
  for await (const authorization of listAuthorizations(options, { subject })) found += authorization.subject === subject ? 1 : 0
  if (found !== 2) throw new Error(`a subject has ${found} sessions`)
}

async function swept(store, limit) {
  const deleted = await store.deleteExpired({ limit })
  if (deleted !== limit) throw new Error(`${deleted} expired records were deleted, not ${limit}`)
}

async function timed(materials, atOnce, work) {
  const latencies = await inParallel(materials, atOnce, async (material) => {
    const started = performance.now()
    await work(material)
    return performance.now() - started
  })
  const sorted = latencies.sort((a, b) => a - b)
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]
  return { answered: sorted.length, latency: { p50: at(0.5), p99: at(0.99), max: at(1) } }
}

/** Works on all of them in their order, so many at once. */
async function inParallel(materials, atOnce, work) {
  const results = []
  let next = 0
  const line = async () => {
    while (next < materials.length) {
      const position = next++
      results[position] = await work(materials[position])
    }
  }
  await Promise.all(Array.from({ length: atOnce }, line))
  return results
}

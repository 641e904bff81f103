// Before the tests: which of the databases they use can be reached. Those that cannot are named in SKIPPED_SERVICES, and their tests
// are skipped; with REQUIRE_SERVICES=1 the run fails instead.

import { connect } from 'node:net'

const services = [
  ['PostgreSQL', process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/test', 5432],
  ['Redis', process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', 6379],
]

export default async function probeServices() {
  const missing = []
  for (const [name, url, port] of services) {
    if (!(await isReachable(url, port))) missing.push(name)
  }
  if (missing.length > 0 && process.env.REQUIRE_SERVICES === '1') throw new Error(`cannot be reached: ${missing.join(', ')}`)
  process.env.SKIPPED_SERVICES = missing.join(', ')
}

function isReachable(url, defaultPort) {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || defaultPort), timeout: 2000 })
    const end = (reached) => {
      socket.destroy()
      resolve(reached)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
    socket.once('timeout', () => end(false))
  })
}

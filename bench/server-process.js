/**
 * One server in a process of its own. The parent asks for material and for the CPU time used so far.
 */
import { createServer } from 'node:http'
import { startServer } from './servers/index.js'
import { workloads } from './workloads.js'

const [, , serverId, workloadId, packageRoot] = process.argv
const workload = workloads.find(({ id }) => id === workloadId)

try {
  const { listener, prepare, fill, close } = await startServer(serverId, workload, packageRoot)
  const server = createServer(listener)
  // No connection ends in the middle of a run.
  server.keepAliveTimeout = 60_000
  process.on('message', (message) => void answer(message, prepare, fill))
  process.on('disconnect', async () => {
    await close?.()
    process.exit()
  })
  server.listen(0, '127.0.0.1', () => process.send({ type: 'ready', port: server.address().port }))
} catch (error) {
  process.send({ type: 'failed', error: String(error.stack) })
}

/** What was made beforehand is not for the requests to move. Not a whole collection: that would throw away what was compiled, too. */
function settleYoungObjects() {
  for (let times = 0; times < 2; times++) globalThis.gc({ type: 'minor' })
}

async function answer({ type, count }, prepare, fill) {
  try {
    const materials = type === 'prepare' ? await prepare(count) : undefined
    if (type === 'fill') await fill(count)
    if (type === 'fill') globalThis.gc()
    if (type === 'prepare') settleYoungObjects()
    process.send({ type: 'done', materials, cpu: process.cpuUsage(), memory: process.memoryUsage() })
  } catch (error) {
    process.send({ type: 'failed', error: String(error.stack) })
  }
}

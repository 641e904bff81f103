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

async function answer({ type, count }, prepare, fill) {
  try {
    const materials = type === 'prepare' ? await prepare(count) : undefined
    if (type === 'fill') await fill(count)
    if (type === 'fill') globalThis.gc()
    process.send({ type: 'done', materials, cpu: process.cpuUsage(), memory: process.memoryUsage() })
  } catch (error) {
    process.send({ type: 'failed', error: String(error.stack) })
  }
}

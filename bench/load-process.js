/**
 * The load: HTTP/1.1 over raw sockets with keep-alive, one request at a time on each connection. Lean, so that it keeps up with the
 * leanest server; reads status and body of every answer.
 */
import { connect } from 'node:net'
import { faultOf, requestText, workloads } from './workloads.js'

let open = []

process.on('disconnect', () => process.exit())

process.on('message', async (message) => {
  try {
    if (message.type === 'connect') open = await openConnections(message)
    const result = message.type === 'run' ? await run(message) : {}
    if (message.type === 'close') for (const socket of open.splice(0)) socket.destroy()
    process.send({ type: 'done', ...result })
  } catch (error) {
    process.send({ type: 'failed', error: String(error.stack) })
  }
})

function openConnections({ port, connections }) {
  return Promise.all(
    Array.from({ length: connections }, () => {
      return new Promise((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () => resolve(socket)).setNoDelay(true)
        socket.once('error', reject)
      })
    }),
  )
}

/** Sends up to `count` requests, for at most `seconds`. Rejects at the first wrong answer. */
function run({ workloadId, port, materials, count, seconds, isConstant }) {
  const workload = workloads.find(({ id }) => id === workloadId)
  const requests = (materials.length === 0 ? [''] : materials).map((material) => requestText(workload, port, material))
  const started = performance.now()
  const deadline = started + seconds * 1000
  const latencies = new Float64Array(count)
  let sent = 0
  let answered = 0
  return new Promise((resolve, reject) => {
    const finish = () =>
      resolve({ answered, elapsed: (performance.now() - started) / 1000, latency: summary(latencies.subarray(0, answered)) })
    let busy = open.length
    for (const socket of open) {
      let previous
      let sentAt
      const next = () => {
        if (sent >= count || performance.now() > deadline) {
          if (--busy === 0) finish()
          return
        }
        sentAt = performance.now()
        socket.write(requests[sent++ % requests.length], 'latin1')
      }
      const onAnswer = (status, body) => {
        latencies[answered++] = performance.now() - sentAt
        const fault = faultOf(workload, status, body, previous)
        if (fault !== undefined) reject(new Error(fault))
        else {
          if (!isConstant && workload.kind !== 'resource') previous = JSON.parse(body).access_token
          next()
        }
      }
      socket.removeAllListeners('data').on('data', answerReader(onAnswer, reject))
      socket.once('close', () => reject(new Error('the server closed a connection')))
      next()
    }
  })
}

function answerReader(onAnswer, onError) {
  let received = ''
  return (chunk) => {
    received += chunk.latin1Slice(0, chunk.length)
    const end = received.indexOf('\r\n\r\n')
    if (end === -1) return
    const start = end + 4
    const length = /\r\ncontent-length: *(\d+)/i.exec(received)
    if (length === null) return onError(new Error(`an answer without Content-Length: ${received.slice(0, end)}`))
    const total = start + Number(length[1])
    if (received.length < total) return
    const [head, body] = [received, received.slice(start, total)]
    received = received.slice(total)
    onAnswer(Number(head.slice(9, 12)), body)
  }
}

function summary(latencies) {
  const sorted = latencies.slice().sort()
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

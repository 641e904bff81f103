/**
 * Rounds of load against servers, interleaved (A B C A B C …), so that what else the machine does falls on all of them alike.
 * The figure is the server's CPU time per answered request.
 */
import { fork, spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { consumesMaterial } from './workloads.js'

const canPin = availableParallelism() > 1 && spawnSync('taskset', ['--version']).status === 0

/** A process of ours, pinned to one core where that can be done, that answers each message with one. */
export function startProcess(file, args, core, profileFolder) {
  const child = fork(new URL(file, import.meta.url), args, {
    env: { ...process.env, NODE_ENV: 'production' },
    execArgv: ['--expose-gc', ...(profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`])],
    serialization: 'advanced',
  })
  if (canPin) spawnSync('taskset', ['-a', '-cp', String(core), String(child.pid)])
  const answer = () =>
    new Promise((resolve, reject) => {
      const settle = (message) => {
        child.off('exit', onExit)
        if (message.type === 'failed') reject(new Error(message.error))
        else resolve(message)
      }
      const onExit = () => reject(new Error(`${file} ${args.join(' ')} ended`))
      child.once('message', settle)
      child.once('exit', onExit)
    })
  return {
    answer,
    ask: (message) => {
      const answered = answer()
      child.send(message)
      return answered
    },
    end: () => child.disconnect(),
  }
}

/** The process that makes the load. */
export function startLoad() {
  return startProcess('./load-process.js', [], 1)
}

/** A server, ready; rejects when it cannot serve the workload. */
export async function startServer({ id, isConstant = false, title, kind }, workload, { packageRoot, profile }) {
  const server = startProcess('./server-process.js', [id, workload.id, packageRoot], 0, profile)
  try {
    const { port } = await server.answer()
    return { ...server, id, title, kind, port, isConstant, shared: undefined }
  } catch (error) {
    server.end()
    throw error
  }
}

/** One round: CPU microseconds per answered request, and what else there is to know. */
export async function measureRound(server, load, workload, { connections, count, seconds }) {
  const materials = await materialsFor(server, workload, count)
  await load.ask({ type: 'connect', port: server.port, connections })
  const before = await server.ask({ type: 'usage' })
  const { port, isConstant } = server
  const round = await load.ask({ type: 'run', workloadId: workload.id, port, isConstant, materials, count, seconds })
  const after = await server.ask({ type: 'usage' })
  await load.ask({ type: 'close' })
  const cpu = after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system
  return { cpu: cpu / round.answered, perSecond: round.answered / round.elapsed, latency: round.latency, answered: round.answered }
}

async function materialsFor(server, workload, count) {
  if (workload.kind === 'credentials') return []
  if (consumesMaterial(workload)) return (await server.ask({ type: 'prepare', count })).materials
  server.shared ??= (await server.ask({ type: 'prepare', count: Math.min(count, 1000) })).materials
  return server.shared
}

/**
 * All rounds of one workload. Servers that cannot serve it are left out, and `onSkip` is told why.
 */
export async function measureWorkload(workload, candidates, settings, onSkip) {
  const load = startLoad()
  const running = []
  try {
    for (const candidate of candidates) {
      await startServer(candidate, workload, { ...settings, ...candidate }).then(
        (server) => running.push({ server: { ...server, label: candidate.label ?? candidate.title }, rounds: [] }),
        (error) => onSkip(candidate, error),
      )
    }
    for (const { server } of running) await measureRound(server, load, workload, { ...settings, count: settings.warmUp })
    for (let round = 1; round <= settings.rounds; round++) {
      for (const { server, rounds } of running) rounds.push(await measureRound(server, load, workload, settings))
    }
    return running.map(({ server, rounds }) => summarise(server, rounds))
  } finally {
    load.end()
    for (const { server } of running) server.end()
  }
}

function summarise({ id, label, kind }, rounds) {
  const cpu = spread(rounds.map((round) => round.cpu))
  return {
    id,
    label,
    kind,
    cpu,
    perSecond: spread(rounds.map(({ perSecond }) => perSecond)).median,
    p99: spread(rounds.map(({ latency }) => latency.p99)).median,
    answered: rounds.reduce((sum, { answered }) => sum + answered, 0),
  }
}

function spread(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  return { median, min: sorted[0], max: sorted.at(-1) }
}

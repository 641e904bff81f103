/**
 * npm run bench -- [options]
 *
 *   --workloads W1,W3     which, by their beginnings. Default: all but W6; W7 is the growth of the memory store
 *   --servers b1,ours     which, by the beginnings of their ids. Default: all. B1 always runs
 *   --rounds 7 --count 4000 --seconds 4 --connections 50
 *   --quick               5 rounds of 1500 requests
 *   --against <folder>    another built checkout of this package, side by side with this one
 *   --package <folder>    another built checkout instead of this one
 *   --profile <folder>    write a CPU profile of every server there (for the DevTools of a browser)
 *   --save                write results.json and chart.svg beside this file
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { drawChart } from './chart.js'
import { measureGrowth } from './growth.js'
import { measureWorkload } from './measure.js'
import { servers } from './servers/index.js'
import { growthTable, workloadTable } from './table.js'
import { workloads } from './workloads.js'

const { values: options } = parseArgs({
  options: {
    workloads: { type: 'string', default: 'W1,W2,W3,W4,W5,W7' },
    servers: { type: 'string', default: '' },
    rounds: { type: 'string' },
    count: { type: 'string' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '50' },
    quick: { type: 'boolean', default: false },
    against: { type: 'string' },
    package: { type: 'string', default: fileURLToPath(new URL('..', import.meta.url)) },
    profile: { type: 'string' },
    save: { type: 'boolean', default: false },
  },
})

const count = Number(options.count ?? (options.quick ? 1500 : 4000))
const measured = {
  rounds: Number(options.rounds ?? (options.quick ? 5 : 7)),
  count,
  warmUp: Math.max(2 * count, 3000),
  seconds: Number(options.seconds),
  connections: Number(options.connections),
}
const settings = { ...measured, packageRoot: options.package, profile: options.profile }

const beginsWithOneOf = (text, list) => list.split(',').some((beginning) => text.startsWith(beginning))
const chosen = servers.filter(({ id }) => id === 'b1' || beginsWithOneOf(id, options.servers))
const candidates = chosen.flatMap((server) =>
  server.kind !== 'ours' || options.against === undefined
    ? [server]
    : [server, { ...server, label: `${server.title} (against)`, packageRoot: options.against }],
)

const results = {
  date: new Date().toISOString().slice(0, 10),
  node: process.version,
  cpu: cpus()[0]?.model,
  settings: measured,
  workloads: [],
}

for (const workload of workloads.filter(({ id }) => beginsWithOneOf(id, options.workloads))) {
  const skipped = []
  const onSkip = ({ title }, error) => skipped.push(`${title}: ${error.message.split('\n')[0]}`)
  const compared = await measureWorkload(workload, candidates, settings, onSkip)
  results.workloads.push({ id: workload.id, title: workload.title, servers: compared })
  console.log(workloadTable(workload, compared, skipped))
}
if (beginsWithOneOf('W7', options.workloads)) {
  results.growth = await measureGrowth(
    servers.find(({ id }) => id === 'ours-node'),
    settings,
  )
  console.log(growthTable(results.growth))
}
if (options.save) {
  writeFileSync(new URL('results.json', import.meta.url), `${JSON.stringify(results, rounded, 2)}\n`)
  writeFileSync(new URL('chart.svg', import.meta.url), drawChart(results))
}

function rounded(_name, value) {
  return typeof value === 'number' ? Math.round(value * 100) / 100 : value
}

/** One chart of the results, as SVG that is readable on light and on dark ground. */
import { ratioToBase } from './table.js'

const shown = ['W1', 'W2-ES256', 'W2-RS256', 'W3', 'W4', 'W5-opaque', 'W5-ES256', 'W5-ES256-new']
const bars = ['ours-node', 'ours-express', 'node-oauth', 'oauth2orize', 'jmondi', 'oidc-provider']
const [width, left, right] = [880, 250, 60]
const [barHeight, groupGap, top] = [13, 18, 92]

const style = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 } .small { font-size: 11px; fill: #59636e } .group { font-weight: 600 }
  .ratio { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
  .axis { stroke: #59636e; stroke-dasharray: 3 3 } .ours { fill: #0969da } .ours-express { fill: #54aeff } .peer { fill: #8c959f }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .ratio { stroke: #0d1117 } .small { fill: #9198a1 } .axis { stroke: #9198a1 } .ours { fill: #4493f8 } .ours-express { fill: #1f6feb } .peer { fill: #656c76 }
  }`

/** Bars of the CPU ratio to the base: longer is cheaper. */
export function drawChart({ workloads, node, date }) {
  const groups = shown
    .map((id) => workloads.find((workload) => workload.id === id))
    .filter((workload) => workload?.servers.some(({ kind }) => kind === 'base'))
    .map(({ id, title, servers }) => ({ id, title, bars: bars.flatMap((bar) => barOf(servers, bar)) }))
  const longest = Math.max(1, ...groups.flatMap((group) => group.bars.map(({ ratio }) => ratio)))
  const scale = (width - left - right) / longest
  let y = top
  const drawn = groups.map((group) => {
    const start = y
    const rows = group.bars.map(({ label, ratio, style }, index) => {
      const at = start + 20 + index * (barHeight + 3)
      const middle = at + barHeight - 3
      return `<text class="small" x="${left - 8}" y="${middle}" text-anchor="end">${label}</text>
<rect class="${style}" x="${left}" y="${at}" width="${(ratio * scale).toFixed(1)}" height="${barHeight}" rx="2"/>
<text class="small ratio" x="${(left + ratio * scale + 6).toFixed(1)}" y="${middle}">${ratio.toFixed(2)}</text>`
    })
    y = start + 20 + group.bars.length * (barHeight + 3) + groupGap
    return [`<text class="group" x="12" y="${start + 11}">${group.title}</text>`, ...rows].join('\n')
  })
  const one = (left + scale).toFixed(1)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img">
<title>Answers for the CPU time in which Express 5 answers a constant</title>
<style>${style}
</style>
<text class="title" x="12" y="24">Answers for the CPU time in which Express 5 answers a constant</text>
<text class="small" x="12" y="44">Longer is better. One core, 50 connections, tokens in memory, median of interleaved rounds. Node ${node.slice(1)}, ${date}.</text>
<text class="small" x="${one}" y="${top - 18}" text-anchor="middle">Express 5, a constant</text>
<line class="axis" x1="${one}" y1="${top - 12}" x2="${one}" y2="${y - groupGap}"/>
${drawn.join('\n')}
</svg>
`
}

function barOf(servers, id) {
  const server = servers.find((candidate) => candidate.id === id)
  if (server === undefined) return []
  const style = server.kind === 'peer' ? 'peer' : id === 'ours-node' ? 'ours' : 'ours-express'
  return [{ label: server.label, ratio: ratioToBase(server, servers), style }]
}

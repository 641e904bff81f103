/** Results as text. */

/** CPU ratio to the base of the same run: above 1 is cheaper than Express answering a constant. */
export function ratioToBase(server, measured) {
  const base = measured.find(({ kind }) => kind === 'base')
  return base === undefined ? undefined : base.cpu.median / server.cpu.median
}

export function workloadTable({ id, title }, measured, skipped) {
  const rows = measured.map((server) => [
    server.label,
    server.cpu.median.toFixed(1),
    `${server.cpu.min.toFixed(1)} – ${server.cpu.max.toFixed(1)}`,
    ratioToBase(server, measured)?.toFixed(2) ?? '',
    Math.round(server.perSecond).toString(),
    server.p99.toFixed(1),
  ])
  const head = [`${id}: ${title}`, 'CPU µs', 'min – max', '× B1', 'answers/s', 'p99 ms']
  return [grid([head, ...rows]), ...skipped.map((line) => `  not here: ${line}`), ''].join('\n')
}

export function growthTable(steps) {
  const rows = steps.map(({ tokens, megabytes, bytesPerToken, issue, check }) => [
    tokens.toLocaleString('en'),
    megabytes.toFixed(0),
    bytesPerToken?.toFixed(0) ?? '',
    issue.cpu.toFixed(1),
    issue.latency.max.toFixed(0),
    check.cpu.toFixed(1),
  ])
  return grid([['W7: live tokens', 'heap MB', 'bytes/token', 'issue CPU µs', 'issue max ms', 'check CPU µs'], ...rows])
}

export function grid(rows) {
  const widths = rows[0].map((_cell, column) => Math.max(...rows.map((row) => row[column].length)))
  const line = (row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('   ')
  return [line(rows[0]), widths.map((width) => '─'.repeat(width)).join('───'), ...rows.slice(1).map(line)].join('\n')
}

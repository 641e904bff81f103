/** What was measured, as text: the median of the rounds for both stores, and their ratio. */
import { grid } from '../table.js'

/** Microseconds of CPU, of server and database together, and of the wall clock; bytes of the write-ahead log. */
const figures = [
  { title: 'CPU µs', mode: 'together', of: ({ server, database }) => server + database, isCost: true },
  { title: 'of it server', mode: 'together', of: ({ server }) => server },
  { title: 'of it database', mode: 'together', of: ({ database }) => database },
  { title: 'CPU µs, one by one', mode: 'alone', of: ({ server, database }) => server + database, isCost: true },
  { title: 'median µs, one by one', mode: 'alone', of: ({ latency }) => latency, isCost: true },
  { title: 'p99 µs, one by one', mode: 'alone', of: ({ p99 }) => p99 },
  { title: 'median µs, 50 at once', mode: 'together', of: ({ latency }) => latency, isCost: true },
  { title: 'p99 µs, 50 at once', mode: 'together', of: ({ p99 }) => p99 },
  { title: 'WAL bytes', mode: 'together', of: ({ written }) => written },
]

function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

function compared(rounds, { mode, of }) {
  const has = rounds.every(({ empty, full }) => empty[mode] !== undefined && Number.isFinite(of(empty[mode]) + of(full[mode])))
  if (!has) return undefined
  const valuesOf = (store) => rounds.map((round) => of(round[store][mode]))
  const full = valuesOf('full')
  const medians = { empty: median(valuesOf('empty')), full: median(full) }
  return { ...medians, ratio: medians.full / medians.empty, least: Math.min(...full), most: Math.max(...full) }
}

/** The ratios that the limit is for: what a request costs. */
export function ratios(results) {
  return results
    .filter(({ operation }) => operation.id !== 'sweep')
    .flatMap(({ rounds }) => figures.filter(({ isCost }) => isCost).map((figure) => compared(rounds, figure)?.ratio ?? 0))
}

export function costTable(results) {
  const rows = results.flatMap(({ operation, rounds }) =>
    figures.flatMap((figure) => {
      const found = compared(rounds, figure)
      if (found === undefined) return []
      const { empty, full, ratio, least, most } = found
      const range = `${least.toFixed(0)} – ${most.toFixed(0)}`
      return [[operation.title, figure.title, empty.toFixed(0), full.toFixed(0), range, Number.isFinite(ratio) ? ratio.toFixed(2) : '']]
    }),
  )
  return grid([['operation', 'figure', 'empty', 'full', 'min – max', 'ratio'], ...rows])
}

export function sizeTable(sizes, records) {
  const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0)
  const rows = [...sizes, ['total', total]].map(([name, bytes]) => [name, (bytes / 1e6).toFixed(0), (bytes / records).toFixed(0)])
  return grid([['size', 'MB', 'bytes per record'], ...rows])
}

/**
 * Whether two kinds of requests take different time: samples of both in turn, each pair in random order, compared by Welch's t.
 */
/** Beyond this a difference is not chance: about one in ten million. */
const limit = 5
const warmUp = 500

/** The time that each of two works takes, in nanoseconds, without the slowest tenth of all. */
async function sample(works: readonly [() => Promise<unknown>, () => Promise<unknown>], count: number): Promise<[number[], number[]]> {
  const [left, right]: [number[], number[]] = [[], []]
  for (let i = -warmUp; i < count; i++) {
    const isLeftFirst = Math.random() < 0.5
    const one = await timeOf(works[isLeftFirst ? 0 : 1])
    const other = await timeOf(works[isLeftFirst ? 1 : 0])
    if (i < 0) continue
    left.push(isLeftFirst ? one : other)
    right.push(isLeftFirst ? other : one)
  }
  const slowest = [...left, ...right].sort((a, b) => a - b)[Math.floor(count * 1.8)] ?? Infinity
  const cropped = (times: number[]) => times.filter((time) => time < slowest)
  return [cropped(left), cropped(right)]
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.hrtime.bigint()
  await work()
  return Number(process.hrtime.bigint() - before)
}

/** Welch's t: the difference of two means in units of its own standard error. */
function welch(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const errorOf = (values: readonly number[], center: number) =>
    values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1) / values.length
  const [left, right] = [mean(a), mean(b)]
  return (left - right) / Math.sqrt(errorOf(a, left) + errorOf(b, right))
}

/** Whether a difference shows in each of three attempts, or at least in one. Chance does not strike three times, a leak does. */
export async function showsDifference(
  works: readonly [() => Promise<unknown>, () => Promise<unknown>],
  attempts: 'always' | 'once',
  count: number,
): Promise<boolean> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const isSeen = Math.abs(welch(...(await sample(works, count)))) >= limit
    if (isSeen === (attempts === 'once')) return isSeen
  }
  return attempts === 'always'
}

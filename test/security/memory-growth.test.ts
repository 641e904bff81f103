/** The memory store under a stream of tokens that expire: what is live stays, what is over goes, and the process stays as small as it was. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, expect, jest, test } from '@jest/globals'
import type { MemoryReport } from './memory-child.js'
import { patience, sizes } from './sizes.js'

jest.setTimeout(patience)

const lifetime = 60
const livePerLifetime = lifetime * 100

const children = new Set<ChildProcess>()

afterAll(() => {
  for (const child of children) child.kill()
})

/** A process with little room, so that what is not needed is not kept for convenience either. */
async function issueInChild(count: number, accessTokenLifetime: number): Promise<MemoryReport> {
  const child = fork(new URL('memory-child.ts', import.meta.url), [String(count), String(accessTokenLifetime)], {
    execArgv: ['--import', 'tsx', '--expose-gc', '--max-semi-space-size=4', '--max-old-space-size=256'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  children.add(child)
  const report = once(child, 'message') as Promise<[MemoryReport]>
  const end = once(child, 'exit').then(() => Promise.reject(new Error('the process ended without a report')))
  const [answer] = await Promise.race([report, end])
  return answer
}

/** How much more there was at the end than after the first part, when everything had reached its size. */
function growth({ samples }: MemoryReport, of: 'heap' | 'resident'): number {
  return (samples.at(-1)?.[of] ?? Infinity) - (samples[0]?.[of] ?? 0)
}

test(`${sizes.issuedTokens} tokens with expiry: live records stay, expired ones go, resident memory is flat`, async () => {
  const report = await issueInChild(sizes.issuedTokens, lifetime)
  expect(report.keptWhatIsLive).toBe(true)
  for (const { records } of report.samples) {
    expect(records).toBeGreaterThan(livePerLifetime)
    // Buckets of the sweep are 4 s wide, and a record stays until the next one is due.
    expect(records).toBeLessThan(livePerLifetime * 1.2)
  }
  expect(growth(report, 'heap')).toBeLessThan(3)
  expect(growth(report, 'resident')).toBeLessThan(15)
})

test('the same measurement sees a store from which nothing goes', async () => {
  const report = await issueInChild(40_000, 86_400)
  expect(growth(report, 'heap')).toBeGreaterThan(15)
  expect(growth(report, 'resident')).toBeGreaterThan(15)
})

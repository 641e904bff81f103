/** Strangers make the server remember as much as they can: it stays small, they are told when to come again, and a rightful client notices nothing. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, describe, expect, jest, test } from '@jest/globals'
import { describeWith, openPostgres } from '../support/services.js'
import { isLong, patience, sizes } from './sizes.js'
import type { Attack, StrangersReport, StrangersSettings } from './strangers-child.js'

jest.setTimeout(patience)

const children = new Set<ChildProcess>()
afterAll(() => {
  for (const child of children) child.kill()
})

const mebibyte = 1024 * 1024

async function attackChild(settings: StrangersSettings): Promise<StrangersReport> {
  const child = fork(new URL('strangers-child.ts', import.meta.url), [JSON.stringify(settings)], {
    execArgv: ['--import', 'tsx', '--expose-gc', '--max-old-space-size=192'],
    stdio: ['ignore', 'ignore', process.env.DEBUG_WORKERS === undefined ? 'ignore' : 'inherit', 'ipc'],
  })
  children.add(child)
  const report = once(child, 'message') as Promise<[StrangersReport]>
  const end = once(child, 'exit').then(() => Promise.reject(new Error('the process ended without a report')))
  const [answer] = await Promise.race([report, end])
  child.kill()
  return answer
}

const attacks: readonly Attack[] = ['pushed requests', 'documents', 'registrations', 'temporary credentials']

function expectHeld(report: StrangersReport): void {
  for (const name of attacks) {
    const { statuses, withoutRetryAfter, rightfulRefused, keptBytes, heap } = report[name]
    expect([name, Object.keys(statuses).filter((status) => !['200', '201', '429', '503'].includes(status))]).toEqual([name, []])
    expect({ name, withoutRetryAfter, rightfulRefused }).toEqual({ name, withoutRetryAfter: 0, rightfulRefused: 0 })
    // One room is 8 MiB.
    expect(keptBytes).toBeLessThan(8.1 * mebibyte)
    expect(heap).toBeLessThan(120 * mebibyte)
  }
  expect(report['pushed requests'].statuses['503']).toBeGreaterThan(0)
}

const { strangers: count } = sizes

describe('X2 X3 strangers', () => {
  test(`X2 X3 ${count} pushed requests, ${count} documents, ${count / 2} registrations, ${count} temporary credentials, over a memory store`, async () => {
    expectHeld(await attackChild({ count, perSecond: 500 }))
  })

  test('X2 X3 the same measurement sees rooms that let everybody in', async () => {
    const broken = attackChild({ count, perSecond: 500, hasNoRooms: true })
    // With the long size the process dies of it.
    if (isLong) await expect(broken).rejects.toThrow('the process ended without a report')
    else expect((await broken)['pushed requests'].keptBytes).toBeGreaterThan(8.1 * mebibyte)
  })
})

describeWith('PostgreSQL')('X2 X3 strangers, with PostgreSQL', () => {
  test(`X2 X3 ${count} pushed requests, ${count} documents, ${count / 2} registrations, ${count} temporary credentials: the database grows by no more than the rooms`, async () => {
    const { address, pool, table, close } = await openPostgres()
    try {
      // In one second of the server's clock, so that nothing ends meanwhile.
      expectHeld(await attackChild({ count, perSecond: 1_000_000, address }))
      const { rows } = await pool.query(`SELECT coalesce(sum(pg_column_size(records.*)), 0)::int AS bytes FROM ${table} AS records`)
      expect(rows).toEqual([{ bytes: expect.any(Number) }])
      expect((rows as readonly { bytes: number }[])[0]?.bytes).toBeLessThan(40 * mebibyte)
    } finally {
      await close()
    }
  })
})

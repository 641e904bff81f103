/** The races of `test/security/races.ts` between processes that share a database, and over one that reads, checks, and then writes. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { raceForCode, raceForRefresh, raceForRefreshStrictly, raceForTicket, type Fleet } from '../security/races.js'
import { sizes } from '../security/sizes.js'
import { describeWith, openPostgres, openRedis, openSqlite, type Place } from '../support/services.js'
import { startWorkers, type Worker } from '../support/workers.js'

const { contestants, rounds, processes } = sizes

interface Race {
  readonly title: string
  readonly isStrict?: boolean
  readonly run: (fleet: Fleet, round: number) => Promise<string[]>
  /** What the broken store lets happen. */
  readonly symptom: RegExp
}

const races: readonly Race[] = [
  {
    title: 'I1 G3 one code, 100 redemptions: one 200, the rest invalid_grant, and nothing of it stays active',
    run: (fleet) => raceForCode(fleet, contestants),
    symptom: /successes, not 1$/,
  },
  {
    title: 'I2 G5 one refresh token, 100 uses, strict: one 200, and the family is revoked',
    isStrict: true,
    run: (fleet) => raceForRefreshStrictly(fleet, contestants),
    symptom: /successes, not 1$/,
  },
  {
    title: 'I2 G5 one refresh token, 100 uses in the retry window: one answer for all, and one head',
    run: (fleet) => raceForRefresh(fleet, contestants),
    symptom: /different successors, not 1$/,
  },
  {
    title: 'I1 G10 one value of claimOnce, 100 claims: one passes',
    run: (fleet, round) => raceForTicket(fleet, contestants, `ticket-${round}`),
    symptom: /successes, not 1$/,
  },
]

raceOver(describeWith('PostgreSQL'), 'PostgreSQL', openPostgres)
raceOver(describeWith('Redis'), 'Redis', openRedis)
raceOver(describe, 'SQLite', openSqlite)

function raceOver(declare: typeof describe | typeof describe.skip, name: string, open: () => Promise<Place>): void {
  declare(`${processes} processes over ${name}`, () => {
    let place: Place
    let workers: [Worker, ...Worker[]]

    const fleet = (name: string): Fleet => {
      const [first, ...others] = workers
      return [first.server(name), ...others.map((worker) => worker.server(name))]
    }

    beforeAll(async () => {
      place = await open()
      const strict = { refreshRetryWindow: 0, storeTimeout: 10_000 }
      const servers = {
        lenient: { options: { storeTimeout: 10_000 } },
        strict: { options: strict },
        broken: { isBroken: true, options: strict },
      }
      workers = await startWorkers(processes, { address: place.address, servers })
    }, 60_000)

    afterAll(async () => {
      await Promise.all(workers.map((worker) => worker.kill()))
      await place.close()
    })

    describe.each(races)('$title', ({ run, isStrict, symptom }) => {
      test(`${rounds} rounds`, async () => {
        const wrong: string[] = []
        for (let round = 0; round < rounds; round++) wrong.push(...(await run(fleet(isStrict === true ? 'strict' : 'lenient'), round)))
        expect(wrong).toEqual([])
      })

      test('fails over a store that reads, checks and then writes', async () => {
        const wrong: string[] = []
        for (let round = 0; round < 10 && wrong.length === 0; round++) wrong.push(...(await run(fleet('broken'), 1_000_000 + round)))
        expect(wrong).toContainEqual(expect.stringMatching(symptom))
      })
    })
  })
}

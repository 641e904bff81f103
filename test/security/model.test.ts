/** The reference model against the endpoints over every store, and over stores that break their promise: those it must find out. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import type { Store } from '../../src/index.js'
import {
  clockAhead,
  clockedMemory,
  clockedPostgres,
  clockedRedis,
  clockedSqlite,
  type ClockedPlace,
  type OpenClocked,
} from '../support/clocked-stores.js'
import { describeWith } from '../support/services.js'
import { forgetfulStore, hastyStore, laggingStore } from './doubles.js'
import { agreement } from './model-commands.js'
import { patience, sizes } from './sizes.js'

jest.setTimeout(patience)

const doubles: readonly (readonly [fault: string, disturb: (store: Store) => Store])[] = [
  ['forgets what it has replaced', forgetfulStore],
  ['answers with what has been replaced', laggingStore],
  ['drops records early', hastyStore],
]

agrees(describe, 'memory', clockedMemory, [[0], [30]])
// A database takes its time: there each sequence draws its window.
agrees(describe, 'SQLite', clockedSqlite, [[0, 30]])
agrees(describeWith('PostgreSQL'), 'PostgreSQL', clockedPostgres, [[0, 30]])
agrees(describeWith('Redis'), 'Redis', clockedRedis, [[0, 30]])

function agrees(declare: typeof describe | typeof describe.skip, name: string, open: OpenClocked, windows: number[][]): void {
  declare(`I1 I2 I3 I4 I5 G1 G3 G4 G5 G15 N2 N6 the reference model over ${name}`, () => {
    const clock = clockAhead()
    let place: ClockedPlace
    beforeAll(async () => {
      place = await open(clock)
    })
    afterAll(() => place.close())

    test.each(windows.map((drawn) => [drawn]))(
      `agrees with the endpoints in ${sizes.modelRuns} random sequences, refreshRetryWindow: %j`,
      async (drawn) => {
        await fc.assert(agreement(drawn, clock, place), { numRuns: sizes.modelRuns })
      },
    )

    test.each(doubles)('finds out a store that %s', async (_fault, disturb) => {
      const options = { numRuns: sizes.modelRuns, endOnFailure: true }
      const { failed, errorInstance } = await fc.check(agreement([0, 30], clock, place, disturb), options)
      expect(failed).toBe(true)
      // The two differ; nothing else has gone wrong.
      expect(errorInstance).toHaveProperty('matcherResult')
    })
  })
}

/** Races over the memory store, and over a store that reads, checks, and then writes: there each of them must be noticed. */
import { describe, expect, jest, test } from '@jest/globals'
import { memoryStore } from '../../src/index.js'
import { readCheckWriteStore } from '../support/broken-stores.js'
import { unhurriedStore } from './doubles.js'
import {
  fleetOver,
  freshMemoryStore,
  raceForCode,
  raceForRefresh,
  raceForRefreshStrictly,
  raceForTicket,
  raceWithStrangers,
  repeated,
  type Fleet,
} from './races.js'
import { patience, sizes } from './sizes.js'

jest.setTimeout(patience)

const { contestants, rounds, processes } = sizes
const strict = { refreshRetryWindow: 0 }

interface Race {
  readonly title: string
  readonly options?: { readonly refreshRetryWindow: number }
  readonly run: (fleet: Fleet, round: number) => Promise<string[]>
  /** What the broken store lets happen. */
  readonly symptom: RegExp
}

const races: readonly Race[] = [
  {
    title: 'I1 G3 one code, 100 redemptions: one 200, the rest invalid_grant, and nothing of it stays active',
    run: (fleet) => raceForCode(fleet, contestants),
    symptom: /^([2-9]|\d{2,}) successes, not 1$/,
  },
  {
    title: 'I2 G5 one refresh token, 100 uses, strict: one 200, and the family is revoked',
    options: strict,
    run: (fleet) => raceForRefreshStrictly(fleet, contestants),
    symptom: /^([2-9]|\d{2,}) successes, not 1$/,
  },
  {
    title: 'I2 G5 one refresh token, 100 uses in the retry window: one answer for all, and one head',
    run: (fleet) => raceForRefresh(fleet, contestants),
    symptom: /^([2-9]|\d{2,}) different successors, not 1$/,
  },
  {
    title: 'I1 G10 one value of claimOnce, 100 claims: one passes',
    run: (fleet, round) => raceForTicket(fleet, contestants, `ticket-${round}`),
    symptom: /^([2-9]|\d{2,}) successes, not 1$/,
  },
]

describe.each(races)('$title', ({ run, options, symptom }) => {
  test.each([1, processes])(`in the memory store, by %i server(s), ${rounds} rounds`, async (count) => {
    expect(await repeated(rounds, () => fleetOver(freshMemoryStore, count, options), run)).toEqual([])
  })

  test(`in a store that answers late, by ${processes} servers, ${rounds} rounds`, async () => {
    expect(await repeated(rounds, () => fleetOver(() => unhurriedStore(memoryStore()), processes, options), run)).toEqual([])
  })

  test('fails over a store that reads, checks and then writes', async () => {
    const wrong = await repeated(1, () => fleetOver(() => readCheckWriteStore(), 2, options), run)
    expect(wrong).toContainEqual(expect.stringMatching(symptom))
  })
})

test(`I1 G15 one code, its owner among 99 strangers who saw it, ${rounds} rounds: the owner wins, and keeps what it got`, async () => {
  const makeFleet = () => fleetOver(freshMemoryStore, processes)
  expect(await repeated(rounds, makeFleet, (fleet) => raceWithStrangers(fleet, contestants))).toEqual([])
})

/**
 * Schedules: two servers over one store whose every step happens when fast-check's scheduler says, and clients that redeem, replay,
 * refresh, retry, revoke and issue at the same time. Whatever the order, I1 to I4 hold.
 */
import { describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { memoryStore, type ServerEvent, type Store } from '../../src/index.js'
import { readCheckWriteStore } from '../support/broken-stores.js'
import { basic, exchange, testServer, web, type JsonResponse, type TestServer } from '../support/server.js'
import { scheduledStore } from './doubles.js'
import { patience, sizes } from './sizes.js'

jest.setTimeout(patience)

const step = fc.constantFrom('redeem', 'refresh', 'retry', 'revoke refresh token', 'revoke access token', 'issue')
type Step = Parameters<NonNullable<Parameters<typeof step.map>[0]>>[0]

/** What one client does, one step after the other; clients run side by side. */
const script = fc.record({ server: fc.constantFrom(0, 1), steps: fc.array(step, { minLength: 1, maxLength: 4 }) })
const mix = fc.record({ redeemed: fc.boolean(), strict: fc.boolean(), scripts: fc.array(script, { minLength: 2, maxLength: 4 }) })

interface Success {
  readonly step: Step
  readonly access_token: string
  readonly refresh_token: string
}

/** Everything that clients saw of one Authorization, and what was told about it. */
interface Observations {
  readonly code: string
  readonly successes: Success[]
  readonly refusals: string[]
  /** Access tokens whose revocation was begun. */
  readonly ended: Set<string>
  revocationConfirmed: boolean
  readonly otherCodes: string[]
}

type Mix = typeof mix extends fc.Arbitrary<infer T> ? T : never

async function play(scheduler: fc.Scheduler, makeStore: (scheduler: fc.Scheduler) => Store, { redeemed, strict, scripts }: Mix) {
  const store = makeStore(scheduler)
  const options = { refreshRetryWindow: strict ? 0 : 30, storeTimeout: 60_000 }
  const later = scheduledStore(store, scheduler)
  const servers = [testServer({ ...options, store: later }), testServer({ ...options, store: later })]
  // Before and after the play the same store is asked without waiting for anybody.
  const observer = testServer({ ...options, store })
  const code = await settled(scheduler, observer.code())
  const seen: Observations = { code, successes: [], refusals: [], ended: new Set(), revocationConfirmed: false, otherCodes: [] }
  if (redeemed) note(seen, 'redeem', await settled(scheduler, observer.token(exchange(code), basic(web))))
  const plays = scripts.map(async ({ server, steps }) => {
    for (const name of steps) await take(name, servers[server] ?? observer, seen)
  })
  await settled(scheduler, Promise.all(plays))
  const events = [observer, ...servers].flatMap((server) => server.events)
  return settled(scheduler, judge(observer, seen, events))
}

function settled<T>(scheduler: fc.Scheduler, work: Promise<T>): Promise<T> {
  return scheduler.waitFor(work)
}

async function take(name: Step, server: TestServer, seen: Observations): Promise<void> {
  if (name === 'redeem') {
    note(seen, name, await server.token(exchange(seen.code), basic(web)))
    return
  }
  if (name === 'issue') return void seen.otherCodes.push(await server.code())
  const newest = seen.successes.at(-1)
  if (newest === undefined) return
  switch (name) {
    case 'refresh': {
      note(seen, name, await server.refresh(newest.refresh_token))
      return
    }
    case 'retry': {
      const before = seen.successes.findLast(({ refresh_token }) => refresh_token !== newest.refresh_token) ?? newest
      note(seen, name, await server.refresh(before.refresh_token))
      return
    }
    case 'revoke refresh token': {
      const { status } = await server.revoke({ token: newest.refresh_token }, basic(web))
      if (status === 200) seen.revocationConfirmed = true
      else seen.refusals.push(`${name}: ${status}`)
      return
    }
    case 'revoke access token': {
      seen.ended.add(newest.access_token)
      const { status } = await server.revoke({ token: newest.access_token }, basic(web))
      if (status !== 200) seen.refusals.push(`${name}: ${status}`)
    }
  }
}

function note(seen: Observations, name: Step, { status, json }: JsonResponse): void {
  const { access_token = '', refresh_token = '', error } = json
  if (status === 200) seen.successes.push({ step: name, access_token, refresh_token })
  else if (error !== 'invalid_grant') seen.refusals.push(`${name}: ${status} ${String(error)}`)
}

const endings = ['code.replayed', 'refresh_token.reused', 'authorization.revoked']

/** What is wrong with what the clients were told, in words. */
async function judge(observer: TestServer, seen: Observations, events: readonly ServerEvent[]): Promise<string[]> {
  const id = seen.code.split('.')[0]
  const wasEnded = events.some(({ type, authorization_id }) => endings.includes(type) && authorization_id === id)
  const isActive = async (token: string) => (await observer.introspect({ token }, basic(web))).json.active === true
  const accessTokens = [...new Set(seen.successes.map(({ access_token }) => access_token))]
  const refreshTokens = [...new Set(seen.successes.map(({ refresh_token }) => refresh_token))]
  const active = await filterAsync(accessTokens, isActive)
  const heads = await filterAsync(refreshTokens, isActive)
  const wrong = [...seen.refusals]
  if (seen.successes.filter(({ step: name }) => name === 'redeem').length > 1) wrong.push('I1: the code was redeemed twice')
  if (heads.length > 1) wrong.push('I2: two heads')
  if ((wasEnded || seen.revocationConfirmed) && active.length + heads.length > 0) wrong.push('I3: active after the end')
  if (seen.revocationConfirmed && !wasEnded) wrong.push('I8: a revocation was confirmed and nothing ended')
  if (!wasEnded) {
    const missing = accessTokens.filter((token) => !active.includes(token) && !seen.ended.has(token))
    if (missing.length > 0) wrong.push('I4: an access token was handed out that is not stored')
    if (refreshTokens.length > 0 && heads.length === 0) wrong.push('I4: no head, although nothing ended it')
  }
  for (const code of seen.otherCodes) {
    const { status } = await observer.token(exchange(code), basic(web))
    if (status !== 200) wrong.push('I4: a code that was issued meanwhile is not good')
  }
  return wrong
}

async function filterAsync<T>(items: readonly T[], holds: (item: T) => Promise<boolean>): Promise<T[]> {
  const kept = await Promise.all(items.map(async (item) => ((await holds(item)) ? [item] : [])))
  return kept.flat()
}

const overMemory = () => memoryStore()
const overBroken = (scheduler: fc.Scheduler) => readCheckWriteStore(() => scheduler.schedule(Promise.resolve(), 'write'))

function schedules(makeStore: (scheduler: fc.Scheduler) => Store) {
  return fc.asyncProperty(fc.scheduler(), mix, async (scheduler, played) => {
    expect(await play(scheduler, makeStore, played)).toEqual([])
  })
}

describe('I1 I2 I3 I4 any order of the steps of a store', () => {
  test(`${sizes.schedules} schedules over a store that keeps its promise`, async () => {
    await fc.assert(schedules(overMemory), { numRuns: sizes.schedules })
  })

  test('a violation is found over a store that reads, checks and then writes', async () => {
    const { failed, error } = await fc
      .check(schedules(overBroken), { numRuns: sizes.schedules, endOnFailure: true })
      .then(({ failed, errorInstance }) => ({ failed, error: String(errorInstance) }))
    expect(failed).toBe(true)
    expect(error).toMatch(/I[1-4]: /)
  })
})

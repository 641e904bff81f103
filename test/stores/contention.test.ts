/** Many requests for one Authorization over every database: they cost what they have to, and none of them holds up a revocation. */
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import { tokenHandler, type ServerOptions, type Store } from '../../src/index.js'
import { unhurriedStore } from '../security/doubles.js'
import type { Contestant } from '../security/races.js'
import { patience, sizes } from '../security/sizes.js'
import { formType } from '../support/requests.js'
import { basic, testServer, web, type TestServer, type Tokens } from '../support/server.js'
import { describeWith, openPostgres, openRedis, openSqlite, type Place } from '../support/services.js'
import { readCheckWrite } from '../support/store-of.js'
import { authorizationOf, isActive } from '../support/stored.js'
import { Resources } from '../support/wire.js'
import { startWorker, type Worker } from '../support/workers.js'

jest.setTimeout(patience)

const refreshes = 100
const loops = 15
const { revocations } = sizes

const resources = new Resources()
beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterEach(() => resources.close())
afterAll(() => {
  jest.restoreAllMocks()
})

// SQLite answers at once: without a pause nothing would come between a read and a write of one process.
contendOver(describe, 'SQLite', openSqlite, unhurriedStore)
contendOver(describeWith('PostgreSQL'), 'PostgreSQL', openPostgres, asItIs)
contendOver(describeWith('Redis'), 'Redis', openRedis, asItIs)

type Declare = typeof describe | typeof describe.skip

function contendOver(declare: Declare, name: string, open: () => Promise<Place>, paced: (store: Store) => Store): void {
  declare(`contention over ${name}`, () => {
    let place: Place
    let store: Store
    let worker: Worker
    beforeAll(async () => {
      place = await open()
      store = paced(place.store)
      worker = await startWorker({ address: place.address, servers: { lenient: { options: { rotateRefreshTokens: false } } } })
    })
    afterAll(async () => {
      await worker.kill()
      await place.close()
    })

    test('I4 100 refreshes at once through one token endpoint all succeed, with 100 tries in all', async () => {
      expect(await refreshAtOnce(store, 1)).toEqual({ refused: [], different: refreshes, tries: refreshes })
    })

    test('I4 where they take no turns they all succeed, with more tries', async () => {
      const { tries, ...outcome } = await refreshAtOnce(store, 10)
      expect(outcome).toEqual({ refused: [], different: refreshes })
      expect(tries).toBeGreaterThan(refreshes)
    })

    const rivals: [where: string, serverOfLoop: (own: TestServer) => Pick<Contestant, 'token'>][] = [
      ['of its own server', (own) => own],
      ['with a server each', () => lenient(store)],
      ['of another process', () => worker.server('lenient')],
    ]

    test.each(rivals)(`I3 N2 a revocation gets through ${loops} busy loops %s, ${revocations} times of ${revocations}`, async (_where, serverOfLoop) => {
      let successesMeanwhile = 0
      for (let round = 0; round < revocations; round++) {
        const { outcome, before, during, refresh_token } = await revokeAmidst(store, serverOfLoop)
        expect(outcome).toEqual({ status: 200, ends: ['invalid_grant'], active: false })
        expect(await authorizationOf(store, refresh_token)).toMatchObject({ accessTokens: [], revokedAt: expect.any(Number) })
        expect(before).toBeGreaterThanOrEqual(loops)
        successesMeanwhile += during
      }
      // They did not stand still for it.
      expect(successesMeanwhile).toBeGreaterThan(0)
    }) // prettier-ignore

    test('I3 over a store that reads, checks and then writes, a loop undoes it', async () => {
      const broken = readCheckWrite(store)
      const outcomes: unknown[] = []
      for (let round = 0; round < 20 && outcomes.length === 0; round++) {
        const { outcome } = await revokeAmidst(broken, () => lenient(broken))
        if (outcome.active || outcome.ends.includes('issued after the revocation')) outcomes.push(outcome)
      }
      expect(outcomes).toHaveLength(1)
    })
  })
}

function asItIs(store: Store): Store {
  return store
}

function lenient(store: Store, options: ServerOptions = {}): TestServer {
  return testServer({ store, rotateRefreshTokens: false, ...options })
}

/** 100 refreshes of one Authorization at once over HTTP, dealt to so many token endpoints, and how often those tried to write. */
async function refreshAtOnce(store: Store, endpoints: number) {
  let tries = 0
  const counted: Store = {
    get: (id) => store.get(id),
    create: (record) => store.create(record),
    replace: (record, version) => (tries++, store.replace(record, version)),
    list: (filter) => store.list(filter),
  }
  // Nobody's patience ends here: whoever goes ahead without a turn may need more tries.
  const options = { storeTimeout: 60_000, allowInsecureTransport: true }
  const urls: string[] = []
  for (let endpoint = 0; endpoint < endpoints; endpoint++) {
    const app = express().post('/token', tokenHandler(lenient(counted, options).options))
    urls.push(`${(await resources.listen(app)).url}/token`)
  }
  const { refresh_token } = await lenient(store).tokens()
  const request = {
    method: 'POST',
    headers: { ...basic(web), 'content-type': formType },
    body: new URLSearchParams(refreshForm(refresh_token)).toString(),
  }
  const answers = await Promise.all(
    Array.from({ length: refreshes }, async (_, position) => {
      const response = await fetch(urls[position % endpoints] ?? '', request)
      return { status: response.status, ...((await response.json()) as Partial<Tokens>) }
    }),
  )
  const accessTokens = new Set(answers.map(({ access_token }) => access_token))
  return { refused: answers.filter(({ status }) => status !== 200), different: accessTokens.size, tries }
}

/** Loops that refresh one Authorization without pause, and a revocation when they have succeeded as often as there are loops, and a little later. */
async function revokeAmidst(store: Store, serverOfLoop: (own: TestServer) => Pick<Contestant, 'token'>) {
  // Servers that take no turns win by chance: on a machine with other work that may take longer than two seconds.
  const own = lenient(store, { storeTimeout: 10_000 })
  const { refresh_token } = await own.tokens()
  const busy = { successes: 0, isRevoked: false, newest: [] as string[] }
  let areBusy: () => void = () => {}
  const warm = new Promise<void>((resolve) => (areBusy = resolve))

  async function loop(): Promise<string | undefined> {
    const server = serverOfLoop(own)
    for (;;) {
      // A request comes over a network: whatever the store does, others are heard between two of them.
      await nextTurn()
      const { isRevoked } = busy
      const { status, json } = await server.token(refreshForm(refresh_token), basic(web))
      // One that lost every race until the deadline may come again.
      if (status === 503) continue
      if (status !== 200) return json.error
      if (++busy.successes === loops) areBusy()
      busy.newest = [...busy.newest, json.access_token ?? ''].slice(-loops)
      if (isRevoked) return 'issued after the revocation'
    }
  }

  const running = Array.from({ length: loops }, loop)
  await warm
  await wait(Math.random() * 5)
  const before = busy.successes
  const { status } = await own.revoke({ token: refresh_token }, basic(web))
  const during = busy.successes - before
  busy.isRevoked = true
  const ends = await Promise.all(running)
  const active = await Promise.all([refresh_token, ...busy.newest].map((token) => isActive(own, token)))
  return { outcome: { status, ends: [...new Set(ends)], active: active.includes(true) }, before, during, refresh_token }
}

function refreshForm(refresh_token: string): Record<string, string> {
  return { grant_type: 'refresh_token', refresh_token }
}

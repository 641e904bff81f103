/** Workers that are killed and databases that crash, under load: no code works twice, no session is lost, nothing half is stored. */
import { describe, expect, jest, test } from '@jest/globals'
import { setTimeout as delay } from 'node:timers/promises'
import type { Store } from 'oauth2-token-handler'
import { fromRecord } from '../../src/authorization/record.js'
import { patience, sizes } from '../security/sizes.js'
import { basic, exchange, testServer, web, type Form } from '../support/server.js'
import { postgresBinaries, redisBinary, startOwnPostgres, startOwnRedis, type OwnServer } from '../support/own-servers.js'
import { describeWith, openPostgres, openRedis, openSqlite, type Place } from '../support/services.js'
import { startWorker, type RemoteServer, type Worker } from '../support/workers.js'
import type { ServerSettings } from '../support/worker.js'

jest.setTimeout(patience)

const { kills, crashes } = sizes
const sessionsAtOnce = 8

/** What a client knows of its session. */
interface Session {
  readonly code: string
  refresh_token: string
  access_token: string
}

interface Load {
  readonly sessions: Session[]
  /** Codes whose exchange was answered by nobody. */
  readonly unknown: string[]
  /** Answers that are neither a success nor a 503. */
  readonly wrong: string[]
  refreshes: number
  stop(): Promise<void>
}

/** Clients that begin sessions and refresh them, whatever happens to the server. */
function startLoad(current: () => Pick<RemoteServer, 'token' | 'code'>): Load {
  let isOver = false
  const load: Load = {
    sessions: [],
    unknown: [],
    wrong: [],
    refreshes: 0,
    async stop() {
      isOver = true
      await Promise.all(clients)
    },
  }
  async function ask(form: Form) {
    try {
      const answer = await current().token(form, basic(web))
      if (answer.status === 200) return answer.json
      if (answer.status !== 503) load.wrong.push(`${answer.status} ${String(answer.json.error)}`)
    } catch {
      // Nobody is there to answer.
    }
    await delay(20)
    return undefined
  }
  async function client(): Promise<void> {
    while (!isOver) {
      const code = await current().code().catch(() => delay(20)) // prettier-ignore
      if (code === undefined) continue
      const first = await ask(exchange(code))
      if (first === undefined) {
        load.unknown.push(code)
        continue
      }
      const session = { code, refresh_token: first.refresh_token ?? '', access_token: first.access_token ?? '' }
      load.sessions.push(session)
      for (let turn = 0; turn < 20; turn++) {
        const next = await ask({ grant_type: 'refresh_token', refresh_token: session.refresh_token })
        if (next === undefined) continue
        load.refreshes++
        session.refresh_token = next.refresh_token ?? ''
        session.access_token = next.access_token ?? ''
      }
    }
  }
  const clients = Array.from({ length: sessionsAtOnce }, client)
  return load
}

/** Everything that was wrong after the load, by asking a fresh server and by reading the records. */
async function faultsAfter(load: Load, store: Store): Promise<string[]> {
  const server = testServer({ store })
  const wrong = [...load.wrong]
  for await (const record of store.list({ client_id: 'web' })) {
    const { code, refreshToken, accessTokens, revokedAt } = fromRecord(record)
    const hasTokens = refreshToken !== undefined && accessTokens.length > 0
    if (code?.status === 'used' && revokedAt === undefined && !hasTokens) wrong.push('a used code without tokens')
    if (code?.status === 'issued' && hasTokens) wrong.push('tokens beside a code that still works')
  }
  await inLanes(load.sessions, async ({ code, refresh_token, access_token }) => {
    if ((await server.introspect({ token: access_token }, basic(web))).json.active !== true) wrong.push('an access token was lost')
    const { status, json } = await server.refresh(refresh_token)
    if (status !== 200) wrong.push(`a session was lost: ${String(json.error)}`)
    if ((await server.token(exchange(code), basic(web))).json.error !== 'invalid_grant') wrong.push('a code worked twice')
    if ((await server.introspect({ token: json.access_token ?? '' }, basic(web))).json.active !== false)
      wrong.push('a replay ended nothing')
  })
  await inLanes(load.unknown, async (code) => {
    const statuses = [(await server.token(exchange(code), basic(web))).status, (await server.token(exchange(code), basic(web))).status]
    if (statuses[1] !== 400) wrong.push(`a code of unknown fate worked ${statuses.join(' and ')}`)
  })
  return wrong
}

/** Works on every item, on several at a time. */
async function inLanes<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  async function lane(): Promise<void> {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: sessionsAtOnce }, lane))
}

killOver(describeWith('PostgreSQL'), 'PostgreSQL', openPostgres)
killOver(describeWith('Redis'), 'Redis', openRedis)
killOver(describe, 'SQLite', openSqlite)

function killOver(declare: typeof describe | typeof describe.skip, name: string, open: () => Promise<Place>): void {
  declare(`I1 I4 a worker over ${name}`, () => {
    test(`is killed ${kills} times under load`, async () => {
      const { sessions, refreshes, wrong } = await killed(open, kills)
      expect(sessions).toBeGreaterThan(kills)
      expect(refreshes).toBeGreaterThan(kills)
      expect(wrong).toEqual([])
    })

    test('is killed, and what a store did not write before it answered is missed', async () => {
      const { wrong } = await killed(open, 3, { writesBehind: true })
      expect(wrong).toContainEqual(expect.stringMatching(/was lost|worked twice/))
    })
  })
}

/** Kills workers under load, each while the next is ready, and looks at what they have left behind. */
async function killed(open: () => Promise<Place>, count: number, settings: ServerSettings = {}) {
  const place = await open()
  const start = () => startWorker({ address: place.address, servers: { only: { options: { storeTimeout: 5000 }, ...settings } } })
  let worker: Worker = await start()
  const load = startLoad(() => worker.server('only'))
  try {
    for (let kill = 0; kill < count; kill++) {
      const next = await start()
      await delay(Math.random() * 200)
      await worker.kill()
      worker = next
    }
    await delay(200)
    await load.stop()
    return { sessions: load.sessions.length, refreshes: load.refreshes, wrong: await faultsAfter(load, place.store) }
  } finally {
    await load.stop()
    await worker.kill()
    await place.close()
  }
}

const isRequired = process.env.REQUIRE_SERVICES === '1'

crashOf(postgresBinaries() !== undefined || isRequired, 'PostgreSQL', startOwnPostgres, (url) => openPostgres({}, url), [
  '-c', 'synchronous_commit=off', '-c', 'wal_writer_delay=10s',
]) // prettier-ignore
crashOf(redisBinary() !== undefined || isRequired, 'Redis with appendfsync always', startOwnRedis, (url) => openRedis({}, url), [
  '--appendonly', 'no',
]) // prettier-ignore

/** `hasty` are settings with which the database answers what it has not kept. */
function crashOf(
  isThere: boolean,
  name: string,
  startServer: (...settings: string[]) => Promise<OwnServer>,
  open: (url: string) => Promise<Place>,
  hasty: readonly string[],
): void {
  ;(isThere ? describe : describe.skip)(`I4 R4 ${name}`, () => {
    test(`crashes ${crashes} times under load: only 503s meanwhile, no session lost after`, async () => {
      const { refreshesAfter, wrong } = await crashed(() => startServer(), open, crashes)
      expect(refreshesAfter).toBeGreaterThan(0)
      expect(wrong).toEqual([])
    })

    test('crashes, and what it did not keep before it answered is missed', async () => {
      const { wrong } = await crashed(() => startServer(...hasty), open, 1)
      expect(wrong).toContainEqual(expect.stringMatching(/was lost|invalid_grant/))
    })
  })
}

/** Crashes a database under load, and looks at what it has lost. */
async function crashed(startServer: () => Promise<OwnServer>, open: (url: string) => Promise<Place>, count: number) {
  const own = await startServer()
  try {
    const place = await opened(() => open(own.url))
    const server = testServer({ store: place.store, storeTimeout: 1000 })
    const load = startLoad(() => server)
    try {
      for (let crash = 0; crash < count; crash++) {
        await delay(500)
        await own.crash()
        await delay(300)
        await own.restart()
        await untilServed(place.store)
      }
      const before = load.refreshes
      await delay(500)
      await load.stop()
      return { refreshesAfter: load.refreshes - before, wrong: await faultsAfter(load, place.store) }
    } finally {
      await load.stop()
      await place.close()
    }
  } finally {
    await own.remove()
  }
}

/** A server that has just been started may not take connections yet. */
async function opened(open: () => Promise<Place>): Promise<Place> {
  for (let tries = 0; ; tries++) {
    try {
      return await open()
    } catch (error) {
      if (tries === 50) throw error
      await delay(100)
    }
  }
}

async function untilServed(store: Store): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const isServed = await Promise.race([Promise.resolve(store.get('x')).then(() => true, () => false), delay(500, false)]) // prettier-ignore
    if (isServed) return
    await delay(100)
  }
  throw new Error('the database did not come back')
}

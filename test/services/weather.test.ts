/**
 * Bad weather between the server and its database: connections that are lost without a word, a database that is stopped for a while or takes no writes, and
 * one that is slow under more clients than it can serve.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'pg'
import type { Store } from 'oauth2-token-handler'
import { postgresStore } from 'oauth2-token-handler/stores/postgres'
import { redisStore } from 'oauth2-token-handler/stores/redis'
import { isLong, patience } from '../security/sizes.js'
import { postgresBinaries, startOwnPostgres, type OwnServer } from '../support/own-servers.js'
import { startProxy, type Proxy } from '../support/proxy.js'
import { basic, machine, testServer, type TestServer } from '../support/server.js'
import { databaseUrl, describeWith, openPostgres, openRedis, redisUrl } from '../support/services.js'

jest.setTimeout(patience)

const form = { grant_type: 'client_credentials' }

/** Clients that ask all the time, a little later after a refusal. */
function startLoad(server: TestServer, clients: number) {
  const answers: { readonly status: number; readonly at: number }[] = []
  let isOver = false
  async function client(): Promise<void> {
    while (!isOver) {
      const { status } = await server.token(form, basic(machine))
      answers.push({ status, at: performance.now() })
      await delay(status === 200 ? 5 : 100)
    }
  }
  const done = Promise.all(Array.from({ length: clients }, client))
  return {
    answers,
    async stop() {
      isOver = true
      await done
    },
  }
}

/** How many of the last answers were good, each client's own. */
const lastStatuses = (answers: readonly { readonly status: number }[], count: number) => answers.slice(-count).map(({ status }) => status)

/** Milliseconds from `begun` to the first success after which nothing but successes came. */
function healedAfter(answers: readonly { readonly status: number; readonly at: number }[], begun: number): number {
  const lastBad = answers.findLastIndex(({ status }) => status !== 200)
  const healed = answers[lastBad + 1]
  return healed === undefined ? Infinity : healed.at - begun
}

async function healsFrom(server: TestServer, proxy: Proxy, milliseconds: number): Promise<void> {
  const load = startLoad(server, 24)
  await delay(500)
  expect(lastStatuses(load.answers, 10)).toEqual(Array<number>(10).fill(200))
  const begun = performance.now()
  proxy.forget()
  await delay(milliseconds + 2000)
  await load.stop()
  expect(new Set(load.answers.map(({ status }) => status))).toEqual(new Set([200, 503]))
  expect(healedAfter(load.answers, begun)).toBeLessThan(milliseconds)
}

describeWith('PostgreSQL')('connections to PostgreSQL that get no answer any more, while new ones do', () => {
  let place: Awaited<ReturnType<typeof openPostgres>>
  let proxy: Proxy
  beforeAll(async () => {
    place = await openPostgres()
    proxy = await startProxy(new URL(databaseUrl))
  })
  afterAll(async () => {
    await proxy.close()
    await place.close()
  })

  function through(options: object) {
    const target = new URL(databaseUrl)
    target.port = String(proxy.port)
    const pool = new Pool({ connectionString: target.href, max: 10, connectionTimeoutMillis: 2000, ...options })
    pool.on('error', () => {})
    return pool
  }

  test.each([
    ['queryTimeout 2500', { queryTimeout: 2500 }, 5000],
    ['the default queryTimeout', {}, 8000],
  ])('OP1 with %s: good again soon, and good for all', async (_name, options, milliseconds) => {
    const pool = through({})
    try {
      const store = postgresStore(pool, { table: place.table, ...options })
      await healsFrom(testServer({ store }), proxy, milliseconds)
      expect(pool.waitingCount).toBe(0)
    } finally {
      await pool.end()
    }
  })

  test('OP1 without a limit it stays bad, so the tests above can fail', async () => {
    const pool = through({})
    const store = postgresStore({ query: (text, values) => pool.query(text, values) }, { table: place.table })
    const load = startLoad(testServer({ store }), 24)
    await delay(500)
    proxy.forget()
    await delay(6000)
    await load.stop()
    expect(lastStatuses(load.answers, 10)).toEqual(Array<number>(10).fill(503))
    proxy.cut()
    await pool.end()
  })
})

describeWith('Redis')('connections to Redis that get no answer any more, while new ones do', () => {
  test('OP1 ioredis with socketTimeout: good again soon', async () => {
    const place = await openRedis()
    const proxy = await startProxy(new URL(redisUrl))
    const client = new Redis({ port: proxy.port, socketTimeout: 2500 })
    client.on('error', () => {})
    try {
      const store = redisStore({ sendCommand: ([command, ...args]) => client.call(command, ...args), prefix: place.prefix })
      await healsFrom(testServer({ store }), proxy, 5000)
    } finally {
      client.disconnect()
      await proxy.close()
      await place.close()
    }
  })
})

const declare = postgresBinaries() === undefined ? describe.skip : describe

declare('a PostgreSQL of its own', () => {
  let own: OwnServer
  let pool: Pool
  let store: ReturnType<typeof postgresStore>
  beforeAll(async () => {
    own = await startOwnPostgres()
    pool = new Pool({ connectionString: own.url, max: 10, connectionTimeoutMillis: 2000 })
    pool.on('error', () => {})
    store = postgresStore(pool)
    for (let tries = 0; tries < 50; tries++) {
      try {
        await store.createTables()
        break
      } catch {
        await delay(100)
      }
    }
  })
  afterAll(async () => {
    await pool.end()
    await own.remove()
  })

  test('OP1 OP5 stopped for three seconds: 503 and a check that fails, then good again without a restart', async () => {
    const load = startLoad(testServer({ store }), 8)
    await delay(300)
    await own.crash()
    await delay(1000)
    await expect(store.check()).rejects.toThrow()
    await delay(2000)
    await own.restart()
    const begun = performance.now()
    await delay(6000)
    await load.stop()
    expect(new Set(load.answers.map(({ status }) => status))).toEqual(new Set([200, 503]))
    expect(healedAfter(load.answers, begun)).toBeLessThan(5000)
    await store.check()
  })

  test('OP22 OP5 read-only for a second: nobody sees it, and a check says so', async () => {
    const setReadOnly = (value: string) => pool.query(`ALTER SYSTEM SET default_transaction_read_only = ${value}`).then(() => pool.query('SELECT pg_reload_conf()')) // prettier-ignore
    const load = startLoad(testServer({ store }), 8)
    await delay(300)
    await setReadOnly('on')
    await delay(400)
    await expect(store.check()).rejects.toThrow('takes no writes')
    await delay(300)
    const admin = new Pool({ connectionString: own.url, options: '-c default_transaction_read_only=off', max: 1 })
    await admin.query('ALTER SYSTEM RESET default_transaction_read_only')
    await admin.query('SELECT pg_reload_conf()')
    await admin.end()
    await delay(1500)
    await load.stop()
    expect(new Set(load.answers.map(({ status }) => status))).toEqual(new Set([200]))
    await store.check()
  })
})

describeWith('PostgreSQL')('a slow PostgreSQL under more clients than it can serve', () => {
  test('OP4 with thirteen times the clients at least half of the goodput, and next to nothing written for nobody', async () => {
    const place = await openPostgres()
    const proxy = await startProxy(new URL(databaseUrl))
    const target = new URL(databaseUrl)
    target.port = String(proxy.port)
    const pool = new Pool({ connectionString: target.href, max: 10, connectionTimeoutMillis: 2000 })
    pool.on('error', () => {})
    const store: Store = postgresStore(pool, { table: place.table })
    const server = testServer({ store })
    const seconds = isLong ? 20 : 5
    async function goodput(clients: number): Promise<number> {
      const load = startLoad(server, clients)
      await delay(seconds * 1000)
      const good = load.answers.filter(({ status }) => status === 200).length
      await load.stop()
      return good
    }
    try {
      await server.token(form, basic(machine))
      proxy.delay = 200
      const few = await goodput(30)
      const { rows: before } = await place.pool.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${place.table}`)
      const many = await goodput(400)
      const { rows: after } = await place.pool.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${place.table}`)
      expect(many).toBeGreaterThan(few / 2)
      expect((after[0]?.count ?? 0) - (before[0]?.count ?? 0)).toBeLessThan(many * 1.5 + 30)
    } finally {
      proxy.delay = 0
      await pool.end()
      await proxy.close()
      await place.close()
    }
  })
})

const declareLong = isLong ? describeWith('PostgreSQL') : describe.skip

declareLong('three sweepers of one backlog', () => {
  test('OP7 they cost refreshes a fifth at the most', async () => {
    const place = await openPostgres({ sweepInterval: 6000 })
    const ended = Math.floor(Date.now() / 1000) - 900_000
    await place.pool.query(
      `INSERT INTO ${place.table} SELECT 'id' || n, 'v', 'guard', NULL, NULL, ${ended} + n, '{"format":1,"data":{}}' FROM generate_series(1, 500000) AS n`,
    )
    const server = testServer({ store: place.store })
    const count = async () => (await place.pool.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${place.table} WHERE kind = 'guard'`)).rows[0]?.count ?? 0 // prettier-ignore
    async function refreshes(): Promise<number> {
      const end = performance.now() + 4000
      let done = 0
      async function session(): Promise<void> {
        for (let { refresh_token } = await server.tokens(); performance.now() < end; done++) {
          refresh_token = (await server.refresh(refresh_token)).json.refresh_token ?? ''
        }
      }
      await Promise.all(Array.from({ length: 8 }, session))
      return done
    }
    let [without, during] = [0, 0]
    try {
      await refreshes()
      for (let round = 0; round < 3; round++) {
        without += await refreshes()
        const sweepers = [1, 2, 3].map(() => postgresStore(place.pool, { table: place.table, sweepInterval: 1 }))
        await delay(1100)
        const before = await count()
        during += await refreshes()
        expect(await count()).toBeLessThan(before)
        for (const sweeper of sweepers) sweeper.close()
        await delay(500)
      }
      expect(during / without).toBeGreaterThan(0.8)
    } finally {
      await place.close()
    }
  })
})

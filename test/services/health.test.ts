/** The health of a process over PostgreSQL, as a load balancer asks for it: over HTTP, while its database has trouble. */
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'pg'
import { healthHandler } from 'oauth2-token-handler'
import { postgresStore, type PostgresStore, type PostgresStoreOptions } from 'oauth2-token-handler/stores/postgres'
import { listen } from '../support/listen.js'
import { postgresBinaries, startOwnPostgres, type OwnServer } from '../support/own-servers.js'
import { testServer } from '../support/server.js'

jest.setTimeout(60_000)

const declare = postgresBinaries() === undefined ? describe.skip : describe

declare('OP5 healthHandler over HTTP and a PostgreSQL of its own', () => {
  let own: OwnServer
  let pool: Pool
  const closing: (() => Promise<unknown> | undefined)[] = []

  function storeOver(target: Pool, options: PostgresStoreOptions = {}): PostgresStore {
    return postgresStore(target, { onEvent: () => {}, ...options })
  }

  beforeAll(async () => {
    own = await startOwnPostgres()
    pool = new Pool({ connectionString: own.url, max: 3, connectionTimeoutMillis: 2000 })
    pool.on('error', () => {})
    await eventually(async () => storeOver(pool).createTables())
  })
  afterAll(async () => {
    for (const close of closing) await close()
    await pool.end()
    await own.remove()
  })
  // The store is asked once a second at the most.
  beforeEach(() => delay(1100))

  /** The route of a server over a store: what it answers, and the reasons that it told. */
  async function route(store: PostgresStore) {
    const server = testServer({ store })
    const { url, close } = await listen(healthHandler(server.options))
    closing.push(close)
    async function ask() {
      const response = await fetch(`${url}/health`)
      return { status: response.status, body: await response.text(), cache: response.headers.get('cache-control') ?? '' }
    }
    return { ask, events: server.events }
  }

  const ok = { status: 200, body: '{"status":"ok"}', cache: 'no-store' }
  const unavailable = { status: 503, body: '{"status":"unavailable"}', cache: 'no-store' }

  /** Milliseconds until the answer is the one that is waited for. */
  async function until(ask: () => Promise<typeof ok>, expected: typeof ok): Promise<number> {
    const begun = performance.now()
    for (;;) {
      const answer = await ask()
      if (answer.status === expected.status) {
        expect(answer).toEqual(expected)
        return performance.now() - begun
      }
      if (performance.now() - begun > 20_000) throw new Error(`the answer is still ${answer.status}`)
      await delay(20)
    }
  }

  test('OP5 stopped: 503 with the next question of the store, a second later at the most; back: 200 without a restart of the process', async () => {
    const { ask, events } = await route(storeOver(pool))
    expect(await ask()).toEqual(ok)
    await own.crash()
    const toBad = await until(ask, unavailable)
    expect(events).toMatchObject([{ type: 'request.failed', endpoint: 'health', status: 503, reason: 'the store failed' }])
    await own.restart()
    const toGood = await until(ask, ok)
    // A second, and what a busy machine adds.
    expect(toBad).toBeLessThan(2000)
    expect(toGood).toBeLessThan(5000)
  })

  test('OP5 a clock 40 s off: 503, and 200 for a process beside it', async () => {
    const behind = await route(storeOver(pool, { clock: () => Math.floor(Date.now() / 1000) - 40 }))
    const right = await route(storeOver(pool))
    expect([await behind.ask(), await right.ask()]).toEqual([unavailable, ok])
    expect(behind.events).toMatchObject([{ type: 'request.failed', endpoint: 'health', reason: 'the store failed' }])
  })

  test('OP5 read-only: 503, and 200 once writes are taken again', async () => {
    const { ask } = await route(storeOver(pool))
    expect(await ask()).toEqual(ok)
    await alter('SET default_transaction_read_only = on')
    await until(ask, unavailable)
    await alter('RESET default_transaction_read_only')
    await until(ask, ok)
  })

  async function alter(setting: string): Promise<void> {
    const admin = new Pool({ connectionString: own.url, options: '-c default_transaction_read_only=off', max: 1 })
    await admin.query(`ALTER SYSTEM ${setting}`)
    await admin.query('SELECT pg_reload_conf()')
    await admin.end()
  }
})

/** A server that has just begun to listen refuses for a moment. */
async function eventually(work: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await work()
      return
    } catch (error) {
      if (tries === 50) throw error
      await delay(100)
    }
  }
}

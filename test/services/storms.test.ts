/**
 * Storms: a database that is gone for 20 seconds, takes no writes, fails over, is out of reach, or has another time than one of the servers. No session is
 * lost, `check()` tells, and nobody restarts anything. Minutes, so only with LONG=1.
 */
import { describe, expect, jest, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'pg'
import { postgresStore } from 'oauth2-token-handler/stores/postgres'
import { redisStore } from 'oauth2-token-handler/stores/redis'
import { isLong, patience } from '../security/sizes.js'
import { freePort, postgresBinaries, redisBinary, startOwnPostgres, startOwnRedis } from '../support/own-servers.js'
import { testServer } from '../support/server.js'
import { healedAfter, startSessions, type SessionLoad } from '../support/sessions.js'
import { describeWith, openPostgres } from '../support/services.js'
import type { LossReport } from './packet-loss-child.js'

jest.setTimeout(patience)

/** What a storm may not do to anybody. */
function expectNothingLost(load: SessionLoad): void {
  expect(load.lost).toEqual([])
  expect(load.refreshes).toBeGreaterThan(100)
}

const poolOptions = { max: 10, connectionTimeoutMillis: 500, keepAlive: true }

const declarePostgres = isLong && postgresBinaries() !== undefined ? describe : describe.skip

declarePostgres('three servers over a PostgreSQL of its own', () => {
  async function withServers(work: (place: Awaited<ReturnType<typeof open>>) => Promise<void>): Promise<void> {
    const place = await open()
    try {
      await work(place)
    } finally {
      for (const pool of place.pools) await pool.end()
      await place.own.remove()
    }
  }

  async function open() {
    const own = await startOwnPostgres()
    const pools = Array.from({ length: 3 }, () => {
      const pool = new Pool({ connectionString: own.url, ...poolOptions })
      pool.on('error', () => {})
      return pool
    })
    const stores = pools.map((pool) => postgresStore(pool))
    for (let tries = 0; ; tries++) {
      try {
        await stores[0]?.createTables()
        break
      } catch (cause) {
        if (tries === 50) throw cause
        await delay(100)
      }
    }
    return { own, pools, stores, servers: stores.map((store) => testServer({ store })) }
  }

  test('OP1 OP5 stopped for 20 seconds: no session is lost, every server answers within five seconds of its return, and each check tells', async () => {
    await withServers(async ({ own, stores, servers }) => {
      const load = startSessions(servers, 8)
      await delay(3000)
      await own.crash()
      await delay(10_000)
      for (const store of stores) await expect(store.check()).rejects.toThrow()
      await delay(10_000)
      await own.restart()
      const begun = performance.now()
      await delay(12_000)
      await load.stop()
      expect(load.answers.some(({ status }) => status === 503)).toBe(true)
      expect(healedAfter(load, servers.length, begun)).toBeLessThan(5000)
      expectNothingLost(load)
      for (const store of stores) await store.check()
    })
  })

  test('OP22 OP5 read-only for six seconds: no session is lost, each check tells', async () => {
    await withServers(async ({ own, stores, servers }) => {
      const admin = new Pool({ connectionString: own.url, options: '-c default_transaction_read_only=off', max: 1 })
      try {
        const load = startSessions(servers, 8)
        await delay(2000)
        await admin.query('ALTER SYSTEM SET default_transaction_read_only = on')
        await admin.query('SELECT pg_reload_conf()')
        await delay(3000)
        for (const store of stores) await expect(store.check()).rejects.toThrow('takes no writes')
        await delay(3000)
        await admin.query('ALTER SYSTEM RESET default_transaction_read_only')
        await admin.query('SELECT pg_reload_conf()')
        const begun = performance.now()
        await delay(8000)
        await load.stop()
        expect(load.answers.some(({ status }) => status === 503)).toBe(true)
        expect(healedAfter(load, servers.length, begun)).toBeLessThan(5000)
        expectNothingLost(load)
        for (const store of stores) await store.check()
      } finally {
        await admin.end()
      }
    })
  })
})

const declareLong = isLong ? describeWith('PostgreSQL') : describe.skip

declareLong('three servers, one of them with a clock that is 40 seconds ahead', () => {
  test('OP5 that one answers 503 and its check tells; the others do not notice, and no session is lost', async () => {
    const place = await openPostgres()
    const ahead = () => Math.floor(Date.now() / 1000) + 40
    const now = () => Math.floor(Date.now() / 1000)
    const wrong = postgresStore(place.pool, { table: place.table, clock: ahead })
    const stores = [postgresStore(place.pool, { table: place.table }), postgresStore(place.pool, { table: place.table }), wrong]
    const servers = stores.map((store) => testServer({ store, clock: store === wrong ? ahead : now }))
    try {
      await expect(wrong.check()).rejects.toThrow('40 seconds apart')
      const load = startSessions(servers, 8)
      await delay(6000)
      await load.stop()
      const statuses = (server: number) => new Set(load.answers.filter((answer) => answer.server === server).map(({ status }) => status))
      expect([statuses(0), statuses(1), statuses(2)]).toEqual([new Set([200]), new Set([200]), new Set([503])])
      expectNothingLost(load)
      for (const store of stores.slice(0, 2)) await store.check()
    } finally {
      await place.close()
    }
  })
})

const declareRedis = isLong && redisBinary() !== undefined ? describe : describe.skip

declareRedis('Redis with two replicas and a Sentinel', () => {
  test('OP5 the master is killed: the Sentinel puts a replica in its place, no session is lost, and no server is restarted', async () => {
    const master = await startOwnRedis('--repl-diskless-sync-delay', '0')
    const replicas = await Promise.all(
      [1, 2].map(() => startOwnRedis('--repl-diskless-sync-delay', '0', '--replicaof', '127.0.0.1', String(master.port))),
    )
    const sentinelPort = await freePort()
    const file = join(master.folder, 'sentinel.conf')
    const lines = [
      `port ${sentinelPort}`,
      'bind 127.0.0.1',
      `dir ${master.folder}`,
      `sentinel monitor tokens 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds tokens 1000',
      'sentinel failover-timeout tokens 5000',
    ]
    writeFileSync(file, lines.join('\n'))
    const sentinel = spawn(redisBinary() ?? '', [file, '--sentinel'], { stdio: 'ignore' })
    const address = { sentinels: [{ host: '127.0.0.1', port: sentinelPort }], name: 'tokens', sentinelRetryStrategy: () => 100 }
    const clients = Array.from({ length: 4 }, () => {
      const client = new Redis(address)
      client.on('error', () => {})
      return client
    })
    try {
      await delay(3000)
      const stores = clients.slice(0, 2).map((client, index) => {
        const writer = clients[index + 2] ?? client
        return redisStore({
          sendCommand: ([command, ...args]) => client.call(command, ...args),
          // Every replica that may be promoted has to have a write: Sentinel may promote one that lacks what the other acknowledged.
          acknowledgedBy: { replicas: 2, sendCommand: ([command, ...args]) => writer.call(command, ...args) },
        })
      })
      for (const store of stores) await store.check()
      const servers = stores.map((store) => testServer({ store }))
      const load = startSessions(servers, 8)
      await delay(3000)
      await master.crash()
      await delay(8000)
      // As a supervisor does; the Sentinel makes it a replica.
      await master.restart()
      await delay(20_000)
      const begun = performance.now()
      await delay(3000)
      await load.stop()
      expect(load.answers.some(({ status }) => status === 503)).toBe(true)
      expect(load.answers.filter(({ at, status }) => at > begun && status !== 200)).toEqual([])
      expectNothingLost(load)
      for (const store of stores) await store.check()
    } finally {
      for (const client of clients) client.disconnect()
      sentinel.kill('SIGKILL')
      for (const server of [...replicas, master]) await server.remove()
    }
  })
})

const isRoot = process.getuid?.() === 0
const hasNamespaces = isRoot && existsSync('/usr/bin/unshare') && existsSync('/usr/bin/nsenter') && existsSync('/usr/sbin/ip')
const declareLoss = isLong && hasNamespaces && postgresBinaries() !== undefined ? describe : describe.skip

declareLoss('three servers in a network of their own', () => {
  test('OP1 every packet to the database is lost for 30 seconds: every server answers 200 within five seconds of the end, no session is lost', async () => {
    const child: ChildProcess = fork(new URL('packet-loss-child.ts', import.meta.url), [], {
      execPath: '/usr/bin/unshare',
      execArgv: ['--net', process.execPath, '--import', 'tsx'],
      stdio: ['ignore', 'ignore', process.env.DEBUG_WORKERS === undefined ? 'ignore' : 'inherit', 'ipc'],
    })
    const end = once(child, 'exit').then(() => Promise.reject(new Error('the process ended without a report')))
    const [report] = (await Promise.race([once(child, 'message'), end])) as [LossReport]
    child.kill()
    expect(report).toMatchObject({ lost: [], checkFailed: true, checkIsWell: true })
    expect(report.refused).toBeGreaterThan(0)
    expect(report.healedAfter).toBeLessThan(5000)
  })
})

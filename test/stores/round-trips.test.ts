/** What a request costs: the round trips to the database, counted around the driver. */
import { describe, expect, test } from '@jest/globals'
import type { Store } from 'oauth2-token-handler'
import { postgresStore } from 'oauth2-token-handler/stores/postgres'
import { redisStore } from 'oauth2-token-handler/stores/redis'
import { sqliteStore } from 'oauth2-token-handler/stores/sqlite'
import { basic, exchange, machine, testServer, web } from '../support/server.js'
import { describeWith, openPostgres, openRedis, openSqlite } from '../support/services.js'

interface Counter {
  /** Questions that waited for an answer; several that were under way at once count as one. */
  roundTrips: number
  /** What was asked, by the first word of each. */
  commands: string[]
}

interface Counted {
  readonly store: Store
  readonly counter: Counter
  close(): Promise<void>
}

/** Counts `work`; what is sent while another is under way shares its round trip. */
function counting(counter: Counter) {
  let underWay = 0
  return async function count<T>(command: string, work: () => T | Promise<T>): Promise<T> {
    if (underWay++ === 0) counter.roundTrips++
    counter.commands.push(command)
    try {
      return await work()
    } finally {
      underWay--
    }
  }
}

async function countedPostgres(): Promise<Counted> {
  const { pool, table, close } = await openPostgres()
  const counter: Counter = { roundTrips: 0, commands: [] }
  const count = counting(counter)
  const query = (text: string, values: unknown[]) => {
    // The comparison of the clocks, once a minute, is beside the requests.
    if (text.includes('clock_timestamp')) return pool.query(text, values)
    return count(text.split(' ')[0] ?? '', () => pool.query(text, values))
  }
  return { store: postgresStore({ query }, { table }), counter, close }
}

async function countedRedis(): Promise<Counted> {
  const { sendCommand, prefix, close } = await openRedis()
  const counter: Counter = { roundTrips: 0, commands: [] }
  const count = counting(counter)
  const store = redisStore({ prefix, sendCommand: (args, key) => count(args[0], () => sendCommand(args, key)) })
  await store.check()
  return { store, counter, close }
}

async function countedSqlite(): Promise<Counted> {
  const { database, close } = await openSqlite()
  const counter: Counter = { roundTrips: 0, commands: [] }
  function note(sql: string): void {
    if (sql.startsWith('PRAGMA')) return
    counter.roundTrips++
    counter.commands.push(sql.split(' ')[0] ?? '')
  }
  const store = sqliteStore({
    prepare(sql) {
      const statement = database.prepare(sql)
      return {
        run(...values) {
          note(sql)
          return statement.run(...values)
        },
        get(...values) {
          note(sql)
          return statement.get(...values)
        },
      }
    },
  })
  return { store, counter, close }
}

const databases = [
  ['PostgreSQL', describeWith('PostgreSQL'), countedPostgres, ['SELECT'], ['INSERT'], ['SELECT', 'UPDATE']],
  ['Redis', describeWith('Redis'), countedRedis, ['GET'], ['SET', 'EVALSHA'], ['GET', 'EVALSHA', 'EVALSHA', 'EVALSHA']],
  ['SQLite', describe, countedSqlite, ['SELECT'], ['INSERT'], ['SELECT', 'UPDATE']],
] as const

for (const [name, declare, open, reading, creating, changing] of databases) {
  declare(`I4 round trips to ${name}`, () => {
    test('code exchange 2, refresh 2, client credentials 1, a check of a token 1', async () => {
      const { store, counter, close } = await open()
      try {
        const server = testServer({ store })
        const cost = async <T>(work: () => Promise<T>): Promise<[result: T, cost: Counter]> => {
          Object.assign(counter, { roundTrips: 0, commands: [] })
          return [await work(), { ...counter }]
        }
        // Scripts are loaded and statements prepared at their first use.
        await server.tokens()

        const code = await server.code()
        const [exchanged, exchangeCost] = await cost(() => server.token(exchange(code), basic(web)))
        expect([exchanged.status, exchangeCost]).toEqual([200, { roundTrips: 2, commands: [...changing] }])

        const [refreshed, refreshCost] = await cost(() => server.refresh(exchanged.json.refresh_token ?? ''))
        expect([refreshed.status, refreshCost]).toEqual([200, { roundTrips: 2, commands: [...changing] }])

        const [granted, grantCost] = await cost(() => server.token({ grant_type: 'client_credentials' }, basic(machine)))
        expect([granted.status, grantCost]).toEqual([200, { roundTrips: 1, commands: [...creating] }])

        const [checked, checkCost] = await cost(() => server.introspect({ token: refreshed.json.access_token ?? '' }, basic(web)))
        expect([checked.json.active, checkCost]).toEqual([true, { roundTrips: 1, commands: [...reading] }])
      } finally {
        await close()
      }
    })
  })
}

/** What a request costs: the round trips to the database, counted around the driver. */
import { describe, expect, test } from '@jest/globals'
import { saveClient, type Store } from 'oauth2-token-handler'
import { postgresStore } from 'oauth2-token-handler/stores/postgres'
import { redisStore } from 'oauth2-token-handler/stores/redis'
import { sqliteStore } from 'oauth2-token-handler/stores/sqlite'
import { basic, exchange, machine, testServer, web } from '../support/server.js'
import { describeWith, openPostgres, openRedis, openSqlite } from '../support/services.js'
import { serverOfStoredClients } from '../support/stored.js'
import { jwtServer, machineToken, statusOf } from '../support/tokens.js'

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

/** Works over a new place; `cost` says what one piece of the work costs. */
async function measured(open: () => Promise<Counted>, work: (store: Store, cost: Cost) => Promise<void>): Promise<void> {
  const { store, counter, close } = await open()
  try {
    await work(store, async (piece) => {
      Object.assign(counter, { roundTrips: 0, commands: [] })
      return [await piece(), { ...counter }]
    })
  } finally {
    await close()
  }
}

type Cost = <T>(piece: () => Promise<T>) => Promise<[result: T, cost: Counter]>

const nothing: Counter = { roundTrips: 0, commands: [] }

for (const [name, declare, open, reading, creating, changing] of databases) {
  declare(`I4 round trips to ${name}`, () => {
    const once: Counter = { roundTrips: 1, commands: [...reading] }
    const readAndChanged: Counter = { roundTrips: 2, commands: [...changing] }
    const created: Counter = { roundTrips: 1, commands: [...creating] }
    /** The same after the client was looked up. */
    const afterLookUp = ({ roundTrips, commands }: Counter): Counter => ({
      roundTrips: roundTrips + 1,
      commands: [...reading, ...commands],
    })

    test('code exchange 2, refresh 2, client credentials 1, a check of a token 1', () =>
      measured(open, async (store, cost) => {
        const server = testServer({ store })
        // Scripts are loaded and statements prepared at their first use.
        await server.tokens()

        const code = await server.code()
        const [exchanged, exchangeCost] = await cost(() => server.token(exchange(code), basic(web)))
        expect([exchanged.status, exchangeCost]).toEqual([200, readAndChanged])

        const [refreshed, refreshCost] = await cost(() => server.refresh(exchanged.json.refresh_token ?? ''))
        expect([refreshed.status, refreshCost]).toEqual([200, readAndChanged])

        const [granted, grantCost] = await cost(() => server.token({ grant_type: 'client_credentials' }, basic(machine)))
        expect([granted.status, grantCost]).toEqual([200, created])

        const access_token = refreshed.json.access_token ?? ''
        const [checked, checkCost] = await cost(() => server.introspect({ token: access_token }, basic(web)))
        expect([checked.json.active, checkCost]).toEqual([true, once])
        expect(await cost(() => statusOf(server.options, access_token))).toEqual([200, once])
      }))

    test('F7 self-contained tokens: client credentials 0, a check of a token 0, or 1 where it asks for revocation', () =>
      measured(open, async (store, cost) => {
        const server = jwtServer({ store })
        const { refresh_token } = await server.tokens()

        expect(await cost(() => machineToken(server))).toEqual([expect.stringMatching(/^eyJ/), nothing])

        const [refreshed, refreshCost] = await cost(() => server.refresh(refresh_token))
        expect([refreshed.status, refreshCost]).toEqual([200, readAndChanged])

        const access_token = refreshed.json.access_token ?? ''
        expect(await cost(() => statusOf(server.options, access_token))).toEqual([200, nothing])
        expect(await cost(() => statusOf(server.options, access_token, { checkRevocation: true }))).toEqual([200, once])
      }))

    test.each([
      ['C10 clients in the store: 1 more for each request', 0, afterLookUp],
      ['C10 clients in the store, within clientCacheLifetime: no more', 300, (cost: Counter) => cost],
    ])('%s', (_title, clientCacheLifetime, withLookUp) =>
      measured(open, async (store, cost) => {
        const server = serverOfStoredClients({ store, clientCacheLifetime })
        for (const client of [web, machine]) await saveClient(server.options, client)
        // Whoever comes first is looked up in any case.
        await server.tokens()
        await machineToken(server)

        const code = await server.code()
        const [exchanged, exchangeCost] = await cost(() => server.token(exchange(code), basic(web)))
        expect([exchanged.status, exchangeCost]).toEqual([200, withLookUp(readAndChanged)])

        const [refreshed, refreshCost] = await cost(() => server.refresh(exchanged.json.refresh_token ?? ''))
        expect([refreshed.status, refreshCost]).toEqual([200, withLookUp(readAndChanged)])

        expect(await cost(() => machineToken(server))).toEqual([expect.any(String), withLookUp(created)])
      }),
    ) // prettier-ignore
  })
}

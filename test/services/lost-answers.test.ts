/**
 * A proxy between the server and its database, that delays, cuts, and cuts exactly after something was sent and before its answer came.
 * A lost answer never revokes anything, and never reads as a replay.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { createClient } from 'redis'
import type { Store } from 'oauth2-token-handler'
import { postgresStore } from 'oauth2-token-handler/stores/postgres'
import { redisStore } from 'oauth2-token-handler/stores/redis'
import { basic, exchange, testServer, web, type TestServer } from '../support/server.js'
import { databaseUrl, describeWith, openPostgres, openRedis, redisUrl, type Place } from '../support/services.js'
import { startProxy, type Proxy } from '../support/proxy.js'

interface Connected {
  readonly store: Store
  close(): Promise<unknown>
}

type Connect = (port: number, place: Place) => Promise<Connected>

const through = (url: string, port: number) => {
  const target = new URL(url)
  target.hostname = '127.0.0.1'
  target.port = String(port)
  return target.href
}

const withPg: Connect = async (port, place) => {
  const pool = new Pool({ connectionString: through(databaseUrl, port) })
  pool.on('error', () => {})
  const table = place.address.kind === 'postgres' ? place.address.table : ''
  return { store: postgresStore(pool, { table }), close: () => pool.end() }
}

const prefixOf = (place: Place) => (place.address.kind === 'redis' ? place.address.prefix : '')

const withIoredis: Connect = async (port, place) => {
  const client = new Redis(through(redisUrl, port))
  client.on('error', () => {})
  const store = redisStore({ sendCommand: ([command, ...args]) => client.call(command, ...args), prefix: prefixOf(place) })
  return { store, close: async () => client.disconnect() }
}

const withNodeRedis: Connect = async (port, place) => {
  const client = createClient({ url: through(redisUrl, port) })
  client.on('error', () => {})
  await client.connect()
  const store = redisStore({ sendCommand: (args) => client.sendCommand(args), prefix: prefixOf(place) })
  return { store, close: async () => client.destroy() }
}

/** How many times something is sent for a request: a read, then a write. A driver may split what it sends, so one more is tried. */
const sendings = [1, 2, 3]

behind(describeWith('PostgreSQL'), 'PostgreSQL with pg', databaseUrl, openPostgres, withPg)
behind(describeWith('Redis'), 'Redis with ioredis', redisUrl, openRedis, withIoredis)
behind(describeWith('Redis'), 'Redis with node-redis', redisUrl, openRedis, withNodeRedis)

function behind(
  declare: typeof describe | typeof describe.skip,
  name: string,
  url: string,
  open: () => Promise<Place>,
  connect: Connect,
): void {
  declare(name, () => {
    let place: Place
    let proxy: Proxy
    let connected: Connected
    let server: TestServer

    beforeAll(async () => {
      place = await open()
      proxy = await startProxy(new URL(url))
      connected = await connect(proxy.port, place)
      server = testServer({ store: connected.store, storeTimeout: 1000 })
      await server.tokens()
    })
    afterAll(async () => {
      await connected.close()
      await proxy.close()
      await place.close()
    })

    /** What is asked for again after a 503, until it is something else. */
    async function insist(request: () => ReturnType<TestServer['refresh']>) {
      for (let tries = 0; tries < 50; tries++) {
        const answer = await request()
        if (answer.status !== 503) return answer
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      throw new Error('503 for five seconds')
    }

    test.each(sendings)('I4 a refresh whose answer is lost after sending %i: 503 or 200, then the same successor, and it is good', async (number) => {
      const { refresh_token } = await insist(async () => server.token(exchange(await server.code()), basic(web))).then(({ json }) => json)
      proxy.cutAfterSending(number)
      const answer = await server.refresh(refresh_token ?? '')
      proxy.cutAfterSending(0)
      expect([200, 503]).toContain(answer.status)
      const again = await insist(() => server.refresh(refresh_token ?? ''))
      expect(again.status).toBe(200)
      if (answer.status === 200) expect(again.json.refresh_token).toBe(answer.json.refresh_token)
      const next = await insist(() => server.refresh(again.json.refresh_token ?? ''))
      expect(next.status).toBe(200)
      expect((await insist(() => server.introspect({ token: next.json.access_token ?? '' }, basic(web)))).json).toMatchObject({ active: true })
    }) // prettier-ignore

    test.each(sendings)('I1 I4 a code exchange whose answer is lost after sending %i: one success at the most, and what is handed out is good', async (number) => {
      const code = await server.code()
      proxy.cutAfterSending(number)
      const answer = await server.token(exchange(code), basic(web))
      proxy.cutAfterSending(0)
      expect([200, 503]).toContain(answer.status)
      const first = answer.status === 200 ? answer : await insist(() => server.token(exchange(code), basic(web)))
      // Written although nobody heard: spent, and what nobody received has ended.
      if (first.status !== 200) expect(first.json).toMatchObject({ error: 'invalid_grant' })
      else expect((await insist(() => server.refresh(first.json.refresh_token ?? ''))).status).toBe(200)
      expect((await insist(() => server.token(exchange(code), basic(web)))).json).toMatchObject({ error: 'invalid_grant' })
    }) // prettier-ignore

    test('I8 a revocation whose answer is lost is not confirmed, and holds when it is', async () => {
      const { refresh_token = '' } = (await insist(async () => server.token(exchange(await server.code()), basic(web)))).json
      proxy.cutAfterSending(2)
      const answer = await server.revoke({ token: refresh_token }, basic(web))
      proxy.cutAfterSending(0)
      expect([200, 503]).toContain(answer.status)
      expect((await insist(() => server.revoke({ token: refresh_token }, basic(web)))).status).toBe(200)
      expect((await insist(() => server.refresh(refresh_token))).json).toMatchObject({ error: 'invalid_grant' })
    })

    test('I4 the cut came where it was meant to come', async () => {
      proxy.cutAfterSending(1)
      await server.introspect({ token: `${'x'.repeat(22)}.${'x'.repeat(43)}` }, basic(web))
      expect(proxy.hasCut).toBe(true)
      proxy.cutAfterSending(0)
      await insist(() => server.introspect({ token: `${'x'.repeat(22)}.${'x'.repeat(43)}` }, basic(web)))
    })

    test('R4 connections that are cut under load: 503 or 200, and every session goes on', async () => {
      const tokens = await Promise.all(Array.from({ length: 10 }, () => server.tokens()))
      let isOver = false
      const cutting = (async () => {
        for (let cuts = 0; cuts < 5; cuts++) {
          await new Promise((resolve) => setTimeout(resolve, 150))
          proxy.cut()
        }
        isOver = true
      })()
      const last = await Promise.all(
        tokens.map(async ({ refresh_token }) => {
          let current = refresh_token
          while (!isOver) {
            const { status, json } = await server.refresh(current)
            expect([200, 503]).toContain(status)
            if (status === 200) current = json.refresh_token ?? ''
            else await new Promise((resolve) => setTimeout(resolve, 20))
          }
          return current
        }),
      )
      await cutting
      for (const refresh_token of last) expect((await insist(() => server.refresh(refresh_token))).status).toBe(200)
    })

    test('R4 an answer that is late is a 503 after storeTimeout, with Retry-After, and the next one is in time', async () => {
      const { access_token } = await insist(async () => server.token(exchange(await server.code()), basic(web))).then(({ json }) => json)
      const check = () => server.introspect({ token: access_token ?? '' }, basic(web))
      proxy.delay = 1600
      const before = performance.now()
      const late = await check()
      proxy.delay = 0
      expect([late.status, late.headers['Retry-After']]).toEqual([503, expect.stringMatching(/^[1-3]$/)])
      expect(performance.now() - before).toBeLessThan(1500)
      expect((await insist(check)).json).toMatchObject({ active: true })
    })
  })
}

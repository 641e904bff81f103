/** `acknowledgedBy` with a real replica: what it has is answered, and where it is away nothing is given out. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import type { Store } from 'oauth2-token-handler'
import { redisStore, type SendCommand } from 'oauth2-token-handler/stores/redis'
import { redisBinary, startOwnRedis, type OwnServer } from '../support/own-servers.js'
import { basic, exchange, machine, testServer, web, type JsonResponse } from '../support/server.js'
import { recordOf } from '../support/stored.js'

const declare = redisBinary() === undefined && process.env.REQUIRE_SERVICES !== '1' ? describe.skip : describe

interface Connected {
  readonly store: Store
  close(): void
}

/** The store uses one connection for reads, and another one for what replicas have to acknowledge. */
function demanding(reads: SendCommand, writes: SendCommand): Store {
  return redisStore({ sendCommand: reads, acknowledgedBy: { replicas: 1, timeout: 500, sendCommand: writes } })
}

async function withIoredis(url: string): Promise<Connected> {
  const [reads, writes] = [new Redis(url), new Redis(url)]
  const through =
    (client: Redis): SendCommand =>
    ([command, ...args]) =>
      client.call(command, ...args)
  const close = () => [reads, writes].forEach((client) => client.disconnect())
  return { store: demanding(through(reads), through(writes)), close }
}

async function withNodeRedis(url: string): Promise<Connected> {
  const [reads, writes] = await Promise.all([createClient({ url }).connect(), createClient({ url }).connect()])
  const store = demanding(
    (args) => reads.sendCommand(args),
    (args) => writes.sendCommand(args),
  )
  return { store, close: () => [reads, writes].forEach((client) => client.destroy()) }
}

declare('Redis with a replica', () => {
  let primary: OwnServer
  let replica: OwnServer
  let ofReplica: Redis

  beforeAll(async () => {
    primary = await startOwnRedis()
    replica = await startOwnRedis('--replicaof', `127.0.0.1 ${primary.port}`)
    ofReplica = new Redis(replica.url)
    ofReplica.on('error', () => {})
    await untilLinked(ofReplica, primary)
  })

  afterAll(async () => {
    replica.resume()
    ofReplica.disconnect()
    await replica.remove()
    await primary.remove()
  })

  describe.each([
    ['ioredis', withIoredis],
    ['node-redis', withNodeRedis],
  ])('through %s', (_name, connect) => {
    let connected: Connected
    beforeAll(async () => {
      connected = await connect(primary.url)
    })
    afterAll(() => connected.close())

    test('I4 what is answered is on the replica', async () => {
      const server = testServer({ store: connected.store })
      const { access_token, refresh_token } = await server.tokens()
      expect((await server.refresh(refresh_token)).status).toBe(200)
      const { version } = await recordOf(connected.store, access_token)
      expect(await ofReplica.get(`oauth2:record:${access_token.slice(0, 22)}`)).toContain(`["${version}",`)
    })

    test('I4 I8 while the replica is paused nothing is issued and no revocation confirmed: 503', async () => {
      const server = testServer({ store: connected.store })
      const code = await server.code()
      const { access_token, refresh_token } = await server.tokens()
      replica.pause()
      try {
        expectUnavailable(await server.token(exchange(code), basic(web)))
        expectUnavailable(await server.refresh(refresh_token))
        expectUnavailable(await server.token({ grant_type: 'client_credentials' }, basic(machine)))
        expectUnavailable(await server.revoke({ token: refresh_token }, basic(web)))
        // What is read needs no replica.
        expect((await server.introspect({ token: access_token }, basic(web))).status).toBe(200)
      } finally {
        replica.resume()
      }
      await untilLinked(ofReplica, primary)
      expect((await server.tokens()).access_token).toEqual(expect.any(String))
      // The revocation was written, and says so when it is asked for again.
      expect((await server.revoke({ token: refresh_token }, basic(web))).status).toBe(200)
      expect((await server.introspect({ token: access_token }, basic(web))).json).toEqual({ active: false })
    })

    test('I4 the same while the replica is gone, and until it is back', async () => {
      const server = testServer({ store: connected.store })
      const code = await server.code()
      await replica.crash()
      expectUnavailable(await server.token(exchange(code), basic(web)))
      expectUnavailable(await server.token({ grant_type: 'client_credentials' }, basic(machine)))
      await replica.restart()
      await untilLinked(ofReplica, primary)
      expect((await server.token({ grant_type: 'client_credentials' }, basic(machine))).status).toBe(200)
      // Whether that write took effect was unknown: the code is spent, and what nobody received has ended.
      expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
    })
  })
})

function expectUnavailable({ status, headers, json }: JsonResponse): void {
  expect({ status, headers, json }).toEqual({
    status: 503,
    headers: expect.objectContaining({ 'Retry-After': expect.stringMatching(/^[1-3]$/) }),
    json: { error: 'temporarily_unavailable', error_description: expect.any(String) },
  })
}

/** Waits for the replica to follow its primary, and to say so: on a busy machine the first acknowledgement takes its time. */
async function untilLinked(replica: Redis, primary: OwnServer): Promise<void> {
  const ofPrimary = new Redis(primary.url)
  try {
    for (let tries = 0; tries < 200; tries++) {
      const info = await replica.info('replication').catch(() => '')
      await ofPrimary.set('probe', tries)
      if (info.includes('master_link_status:up') && (await ofPrimary.wait(1, 100)) === 1) return
      await delay(50)
    }
    throw new Error('the replica does not follow its primary')
  } finally {
    ofPrimary.disconnect()
  }
}

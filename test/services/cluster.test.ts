/** The contract over a Redis cluster of one node, which answers CROSSSLOT to whatever touches two keys. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Cluster, Redis } from 'ioredis'
import { createCluster } from 'redis'
import { redisStore, type SendCommand } from 'oauth2-token-handler/stores/redis'
import { testStore } from 'oauth2-token-handler/testing'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort, redisBinary, startOwnRedis, type OwnServer } from '../support/own-servers.js'

const declare = redisBinary() === undefined && process.env.REQUIRE_SERVICES !== '1' ? describe.skip : describe

declare('I1 I3 I4 redisStore over a cluster', () => {
  let server: OwnServer
  let ioredis: Cluster
  let nodeRedis: ReturnType<typeof createCluster>

  beforeAll(async () => {
    server = await startOwnRedis(
      '--cluster-enabled',
      'yes',
      '--cluster-announce-ip',
      '127.0.0.1',
      '--cluster-port',
      String(await freePort()),
    )
    const node = new Redis(server.url)
    await node.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    while (!String(await node.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await delay(50)
    await node.quit()
    ioredis = new Cluster([{ host: '127.0.0.1', port: server.port }])
    ioredis.on('error', () => {})
    nodeRedis = createCluster({ rootNodes: [{ url: server.url }] })
    nodeRedis.on('error', () => {})
    await nodeRedis.connect()
  })

  afterAll(async () => {
    ioredis.disconnect()
    nodeRedis.destroy()
    await server.remove()
  })

  const overIoredis: SendCommand = ([command, ...args]) => ioredis.call(command, ...args)
  const overNodeRedis: SendCommand = (args, key) => nodeRedis.sendCommand(key, false, args)

  testStore('with ioredis', () => redisStore({ sendCommand: overIoredis, prefix: 'a:' }), { describe, test })
  testStore('with node-redis', () => redisStore({ sendCommand: overNodeRedis, prefix: 'b:' }), { describe, test })
})

declare('a cluster of two nodes of which one evicts', () => {
  const nodes: OwnServer[] = []
  const clients: Redis[] = []

  beforeAll(async () => {
    for (const slots of [['0', '8191'], ['8192', '16383']]) {
      const busPort = String(await freePort())
      const node = await startOwnRedis('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', '--cluster-port', busPort)
      const client = new Redis(node.url)
      await client.call('CLUSTER', 'ADDSLOTSRANGE', ...slots)
      const [first] = nodes
      if (first !== undefined) await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', String(node.port), busPort)
      nodes.push(node)
      clients.push(client)
    }
    for (const client of clients) {
      while (!String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await delay(50)
    }
  }) // prettier-ignore

  afterAll(async () => {
    for (const client of clients) client.disconnect()
    for (const node of nodes) await node.remove()
  })

  test('OP15 check() rejects it each time with ioredis and with node-redis, and passes once no node evicts', async () => {
    const ioredis = new Cluster([{ host: '127.0.0.1', port: nodes[0]?.port ?? 0 }])
    ioredis.on('error', () => {})
    const nodeRedis = createCluster({ rootNodes: [{ url: nodes[0]?.url ?? '' }] })
    nodeRedis.on('error', () => {})
    await nodeRedis.connect()
    const stores = [
      redisStore({ sendCommand: ([command, ...args]) => ioredis.call(command, ...args) }),
      redisStore({ sendCommand: (args, key) => nodeRedis.sendCommand(key, false, args) }),
    ]
    try {
      await clients[1]?.config('SET', 'maxmemory-policy', 'allkeys-lru')
      for (const store of stores) {
        for (let tries = 0; tries < 4; tries++) await expect(store.check()).rejects.toThrow('set maxmemory-policy noeviction')
      }
      await clients[1]?.config('SET', 'maxmemory-policy', 'noeviction')
      for (const store of stores) await store.check()
    } finally {
      ioredis.disconnect()
      nodeRedis.destroy()
    }
  })
})

/** The contract over a Redis cluster of one node, which answers CROSSSLOT to whatever touches two keys. */
import { afterAll, beforeAll, describe, test } from '@jest/globals'
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

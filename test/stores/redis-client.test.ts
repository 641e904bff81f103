/** The client of a driver in the place of the options. */
import { expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { redisStore } from '../../src/stores/redis.js'

test('V8 a client of node-redis or ioredis in the place of the options stops the start, with the line to write', async () => {
  const ioredis = new Redis({ lazyConnect: true })
  expect(() => redisStore(createClient() as never)).toThrow(
    'redisStore takes { sendCommand: (args) => client.sendCommand([...args]) }, not the client itself',
  )
  expect(() => redisStore(ioredis as never)).toThrow(
    'redisStore takes { sendCommand: ([command, ...args]) => client.call(command, ...args) }, not the client itself',
  )
  ioredis.disconnect()
  await expect(Promise.resolve(redisStore({ sendCommand: () => Promise.resolve(null) }))).resolves.toHaveProperty('check')
})

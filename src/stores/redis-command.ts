/** What the Redis store uses of a client: one function that sends a command. Scripts are sent by their digest. */
import { createHash } from 'node:crypto'

/**
 * Sends one command and resolves to its reply. `key` is the one that it concerns: a cluster client needs it to find the node.
 *
 *     (args) => client.sendCommand(args)                            node-redis
 *     (args, key) => cluster.sendCommand(key, false, args)          node-redis, cluster
 *     ([command, ...args]) => redis.call(command, ...args)          ioredis, and its cluster
 */
export type SendCommand = (args: [command: string, ...args: string[]], key: string) => Promise<unknown>

/** A script, and the digest by which EVALSHA names it. */
export interface RedisScript {
  readonly text: string
  readonly digest: string
}

export function redisScript(text: string): RedisScript {
  return { text, digest: createHash('sha1').update(text).digest('hex') }
}

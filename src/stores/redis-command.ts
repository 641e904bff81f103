/** What the Redis store uses of a client: one function that sends a command. */

/**
 * Sends one command and resolves to its reply. `key` is the one that it concerns: a cluster client needs it to find the node.
 *
 *     (args) => client.sendCommand(args)                            node-redis
 *     (args, key) => cluster.sendCommand(key, false, args)          node-redis, cluster
 *     ([command, ...args]) => redis.call(command, ...args)          ioredis, and its cluster
 */
export type SendCommand = (args: [command: string, ...args: string[]], key: string) => Promise<unknown>

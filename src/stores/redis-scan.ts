/**
 * The clients in Redis, in order of their ids: two sorted sets with the same members, in one slot of a cluster.
 *
 *   ids    all scores are 0, so that a page is read by ZRANGEBYLEX
 *   ends   the score is the end of the record, so that members whose record has gone are found
 *
 * Releases before this one wrote no such sets. The first scan of a store that they have used looks at every key once (SCAN, on each primary), adds the
 * clients that it finds and that the sets lack, and notes in a third key that this has been done. Where it is stopped, the next one goes over what is there
 * already fast, so that it comes to an end after some attempts.
 */
import { keysOfPrimaries } from './redis-cluster.js'
import { redisScript, type RedisScript, type SendCommand } from './redis-command.js'
import type { Row } from './document.js'
import { graceSeconds } from './upkeep.js'

/** What the scan uses of the store. */
export interface RedisScanSettings {
  readonly prefix: string
  readonly send: SendCommand
  readonly run: (script: RedisScript, keys: readonly [string, ...string[]], ...args: string[]) => Promise<unknown>
  /** The instant before which the end of a record means that it has gone. */
  readonly goneBefore: () => string
  readonly read: (id: string) => Promise<Row | undefined>
}

/** The list of clients. */
export interface RedisScan {
  /** Adds a client whose record goes at `end`. */
  readonly add: (id: string, end: string) => Promise<unknown>
  /** At most `limit` clients after that id; none where there are no more. */
  readonly page: (after: string | undefined, limit: number) => Promise<readonly Row[]>
}

// As the script for lists: never lowers a score, drops a few whose time has come, and lets the sets end with their last member.
const addScript = redisScript(`local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not score or tonumber(score) < tonumber(ARGV[2]) then redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1]) end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[3], 'LIMIT', 0, 10)
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) redis.call('ZREM', KEYS[2], unpack(gone)) end
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if last[2] then redis.call('EXPIREAT', KEYS[1], last[2]) redis.call('EXPIREAT', KEYS[2], last[2]) end
return 1`)

// Inside a script that names a key of the node: a command without a key goes to any node.
const keysScript = redisScript("return redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 5000)")

// Those that are not in the set. Most of a large store are, so that looking at its keys takes less than the time limit of a call.
const absentScript = redisScript(`local absent = {}
for _, id in ipairs(ARGV) do if not redis.call('ZSCORE', KEYS[1], id) then absent[#absent + 1] = id end end
return absent`)

/** For a record that cannot be read: it stays in the list, so that somebody is told. */
const never = 253_402_214_400

export function redisScan({ prefix, send, run, goneBefore, read }: RedisScanSettings): RedisScan {
  const ids = `${prefix}{clients}:ids`
  const ends = `${prefix}{clients}:ends`
  const done = `${prefix}{clients}:complete`
  const records = `${prefix}record:`
  let completion: Promise<void> | undefined

  const add = (id: string, end: string) => run(addScript, [ids, ends], id, end, goneBefore())

  /** Once for all who wait. It goes on where one of them gives up. */
  function complete(): Promise<void> {
    completion ??= addEarlierClients().catch((error: unknown) => {
      completion = undefined
      throw error
    })
    return completion
  }

  async function addEarlierClients(): Promise<void> {
    if ((await send(['GET', done], done)) !== null) return
    for (const node of await nodes()) {
      for (let cursor = '0'; ;) {
        const [next, keys] = (await run(keysScript, [node], cursor, `${escaped(records)}client:*`)) as [unknown, unknown[]]
        const found = keys.map((key) => String(key).slice(records.length))
        const absent = found.length === 0 ? [] : ((await run(absentScript, [ids], ...found)) as unknown[])
        await Promise.all(absent.map((id) => addEarlier(String(id))))
        cursor = String(next)
        if (cursor === '0') break
      }
    }
    await send(['SET', done, '1'], done)
  }

  async function addEarlier(id: string): Promise<void> {
    const row = await read(id)
    // One without a document cannot be read, and may be a client.
    if (row === undefined || (row.kind !== 'client' && row.document !== undefined)) return
    await add(id, String(typeof row.expires_at === 'number' ? row.expires_at + graceSeconds : never))
  }

  /** A key of each primary. A server that is no cluster has one node. */
  async function nodes(): Promise<readonly string[]> {
    try {
      return keysOfPrimaries(await send(['CLUSTER', 'SLOTS'], prefix), prefix)
    } catch (error) {
      if (error instanceof Error && error.message.includes('cluster support disabled')) return [ids]
      throw error
    }
  }

  return {
    add,
    async page(after, limit) {
      await complete()
      for (let last = after; ;) {
        const start = last === undefined ? '-' : `(${last}`
        const reply = (await send(['ZRANGEBYLEX', ids, start, '+', 'LIMIT', '0', String(limit)], ids)) as unknown[]
        const found = await Promise.all(reply.map((id) => read(String(id))))
        const rows = found.filter((row): row is Row => row !== undefined)
        if (rows.length > 0 || reply.length === 0) return rows
        last = String(reply.at(-1))
      }
    },
  }
}

/** A text as a pattern of SCAN that means itself. */
function escaped(text: string): string {
  return text.replaceAll(/[*?[\]\\^]/g, '\\$&')
}

/**
 * Whether a Redis server may be trusted with records: what its `INFO` says, looked at before the first use and every minute after.
 *
 *   maxmemory-policy   anything but noeviction drops live records: a used code would be forgotten            refused
 *   role               a replica does not take writes, and answers what is out of date                        refused
 *   appendonly         without it a crash takes back all writes since the last snapshot                       a warning
 *   used_memory        above 80 % of maxmemory writes will soon be refused                                    store.filling
 *   time               compared with the clock of this process                                      server-time.ts
 *
 * Of a cluster every primary is looked at: see redis-cluster.ts.
 */
import { infoOfPrimaries } from './redis-cluster.js'
import type { SendCommand } from './redis-command.js'
import { serverTime } from './server-time.js'
import type { Upkeep } from './upkeep.js'

/** The state of the server, as last seen. */
export interface RedisHealth {
  /** Resolves when the server has passed; inspects it first, where that has not happened. */
  readonly passed: () => Promise<void>
  /** Inspects it now. */
  readonly inspect: () => Promise<void>
}

const interval = 60_000

type Info = ReadonlyMap<string, string>

/** `sendCommand` sends a command to the server that is to be inspected. */
export function healthOf(upkeep: Upkeep, sendCommand: SendCommand, prefix: string, allowUnchecked: boolean): RedisHealth {
  const time = serverTime(upkeep, readTime)
  let state: 'unknown' | 'passed' | 'refused' = 'unknown'
  let isFilling = false
  let due = 0
  let running: Promise<void> | undefined

  function inspect(): Promise<void> {
    running ??= look().finally(() => (running = undefined))
    return running
  }

  async function look(): Promise<void> {
    due = performance.now() + interval
    const [nodes] = await Promise.all([readNodes(), time.compare()])
    const fault = nodes.map((info) => faultOf(info, allowUnchecked)).find((found) => found !== undefined)
    state = fault === undefined ? 'passed' : 'refused'
    if (fault !== undefined) throw new Error(`redisStore: ${fault}`)
    if (nodes.some((info) => info.get('aof_enabled') === '0')) {
      upkeep.warn(
        'Redis keeps no append-only file (appendonly no): a crash takes back what it answered since the last snapshot, so a used code works again',
      )
    }
    tellMemory(nodes.some(isNearlyFull))
  }

  /** Told once until there is room again. */
  function tellMemory(isFull: boolean): void {
    if (isFull && !isFilling) upkeep.emit({ type: 'store.filling', reason: 'Redis uses more than 80 % of its maxmemory; full, it refuses writes' })
    isFilling = isFull
  } // prettier-ignore

  /** The INFO of the server, or of each primary of a cluster. */
  async function readNodes(): Promise<readonly Info[]> {
    const info = await readInfo()
    if (info.get('cluster_enabled') !== '1') return [info]
    try {
      return (await infoOfPrimaries(sendCommand, prefix)).map(parseInfo)
    } catch {
      upkeep.warn(
        'of this Redis Cluster only one node could be inspected: set maxmemory-policy noeviction and appendonly yes on every node',
      )
      return [info]
    }
  }

  async function readInfo(): Promise<Info> {
    try {
      return parseInfo(String(await sendCommand(['INFO'], prefix)))
    } catch (error) {
      if (!allowUnchecked) throw error
      return new Map()
    }
  }

  async function readTime(): Promise<number> {
    try {
      const reply = await sendCommand(['TIME'], prefix)
      return Array.isArray(reply) ? Number(reply[0]) + Number(reply[1]) / 1e6 : NaN
    } catch (error) {
      if (!allowUnchecked) throw error
      upkeep.warn('Redis does not answer TIME: its clock is not compared with the one of this process')
      return NaN
    }
  }

  return {
    inspect,
    async passed() {
      if (state !== 'passed') return inspect()
      time.check()
      // A server that was seen to be right is looked at again beside the requests, not before them.
      if (performance.now() >= due) inspect().catch(() => undefined)
    },
  }
}

function parseInfo(info: string): Info {
  const lines = info.split(/\r?\n/).map((line) => line.split(':', 2))
  return new Map(lines.map(([name = '', value = '']) => [name, value]))
}

function faultOf(info: Info, allowUnchecked: boolean): string | undefined {
  const policy = info.get('maxmemory_policy')
  if (info.get('role') === 'slave') return 'the server is a replica; connect to the primary'
  if (policy === undefined) return allowUnchecked ? undefined : 'INFO does not say maxmemory_policy; see the option allowUncheckedServer'
  if (policy === 'noeviction') return undefined
  return 'the server drops live keys when its memory is full; set maxmemory-policy noeviction'
}

function isNearlyFull(info: Info): boolean {
  const [used, most] = [Number(info.get('used_memory')), Number(info.get('maxmemory'))]
  return most > 0 && used > most * 0.8
}

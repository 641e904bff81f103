/**
 * Whether a Redis server may be trusted with records: what its `INFO` says, looked at before the first use and every minute after.
 *
 *   maxmemory-policy   anything but noeviction drops live records: a used code would be forgotten            refused
 *   role               a replica does not take writes, and answers what is out of date                        refused
 *   appendonly         without it a crash takes back all writes since the last snapshot                       a warning
 *   time               compared with the clock of this process                                      server-time.ts
 */
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

/** `send` sends a command to the server that is to be inspected. */
export function healthOf(upkeep: Upkeep, send: (args: [string, ...string[]]) => Promise<unknown>, allowUnchecked: boolean): RedisHealth {
  const time = serverTime(upkeep, async () => {
    const reply = await send(['TIME'])
    return Array.isArray(reply) ? Number(reply[0]) + Number(reply[1]) / 1e6 : NaN
  })
  const warned = new Set<string>()
  let state: 'unknown' | 'passed' | 'refused' = 'unknown'
  let due = 0
  let running: Promise<void> | undefined

  function inspect(): Promise<void> {
    running ??= look().finally(() => (running = undefined))
    return running
  }

  async function look(): Promise<void> {
    due = performance.now() + interval
    const [info] = await Promise.all([readInfo(), time.compare()])
    const fault = faultOf(info, allowUnchecked)
    state = fault === undefined ? 'passed' : 'refused'
    if (fault !== undefined) throw new Error(`redisStore: ${fault}`)
    if (info.get('aof_enabled') === '0') {
      warn(
        'Redis keeps no append-only file (appendonly no): a crash takes back what it answered since the last snapshot, so a used code works again',
      )
    }
  }

  async function readInfo(): Promise<ReadonlyMap<string, string>> {
    try {
      return parseInfo(String(await send(['INFO'])))
    } catch (error) {
      if (!allowUnchecked) throw error
      return new Map()
    }
  }

  function warn(reason: string): void {
    if (warned.has(reason)) return
    warned.add(reason)
    console.warn(`oauth2-token-handler: ${reason}`)
    upkeep.emit({ type: 'warning', reason })
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

function parseInfo(info: string): ReadonlyMap<string, string> {
  const lines = info.split(/\r?\n/).map((line) => line.split(':', 2))
  return new Map(lines.map(([name = '', value = '']) => [name, value]))
}

function faultOf(info: ReadonlyMap<string, string>, allowUnchecked: boolean): string | undefined {
  const policy = info.get('maxmemory_policy')
  if (info.get('role') === 'slave') return 'the server is a replica; connect to the primary'
  if (policy === undefined) return allowUnchecked ? undefined : 'INFO does not say maxmemory_policy; see the option allowUncheckedServer'
  if (policy === 'noeviction') return undefined
  return 'the server drops live keys when its memory is full; set maxmemory-policy noeviction'
}

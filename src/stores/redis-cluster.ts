/**
 * The nodes of a Redis Cluster, each asked for its INFO.
 *
 * A command without a key goes to whatever node a client picks, so INFO is asked from inside a script that names a key of the node:
 *
 * 1. `CLUSTER SLOTS` says which primary has which slots.
 * 2. For each primary a key is searched that falls into its slots (CRC16, XMODEM, modulo 16384, of the text in braces).
 * 3. The script goes where that key is.
 */
import type { SendCommand } from './redis-command.js'

const infoScript = "return redis.call('INFO')"

/** What INFO says at each primary. Rejects where a node, or the list of nodes, cannot be asked. */
export async function infoOfPrimaries(sendCommand: SendCommand, prefix: string): Promise<string[]> {
  const keys = keysOfPrimaries(await sendCommand(['CLUSTER', 'SLOTS'], prefix), prefix)
  return Promise.all(keys.map(async (key) => String(await sendCommand(['EVAL', infoScript, '1', key], key))))
}

/**
 * One key for each primary in a reply to CLUSTER SLOTS.
 *
 * @throws Error when it is no such reply, or names no primary.
 */
export function keysOfPrimaries(reply: unknown, prefix: string): string[] {
  const widest = new Map<string, readonly [start: number, end: number]>()
  for (const range of listOf(reply)) {
    const [first, last, primary] = listOf(range)
    const [, , id] = listOf(primary)
    const [start, end, name] = [Number(first), Number(last), String(id)]
    const known = widest.get(name)
    if (known === undefined || end - start > known[1] - known[0]) widest.set(name, [start, end])
  }
  if (widest.size === 0) throw new Error('unexpected reply to CLUSTER SLOTS')
  return [...widest.values()].map(([start, end]) => keyWithin(start, end, prefix))
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new Error('unexpected reply to CLUSTER SLOTS')
}

const slots = 16_384

/** A single slot is met once in 16,384 tries on average; a million tries miss one in 10^26 times. */
function keyWithin(start: number, end: number, prefix: string): string {
  for (let number = 0; number < 1_000_000; number++) {
    const slot = crc16(String(number)) % slots
    if (slot >= start && slot <= end) return `${prefix}probe:{${number}}`
  }
  throw new Error('no key was found for a range of slots')
}

function crc16(text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? (crc << 1) & 0xffff : ((crc << 1) ^ 0x1021) & 0xffff
  }
  return crc
}

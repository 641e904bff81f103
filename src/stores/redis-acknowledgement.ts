/**
 * Writes that replicas have before they are answered: `WAIT`, on a connection of its own, bounded, and closed on failure.
 *
 * WAIT speaks of the writes of its own connection, so they go there too; and it holds up what comes after it, so nothing else
 * does. Each write travels as five commands:
 *
 *   CLIENT ID, the write, a write that is never refused, WAIT, CLIENT ID
 *
 * The third makes WAIT wait even where the second changed nothing. Two different ids mean that the client has reconnected between,
 * and asked the wrong connection. What was not acknowledged is an error: it may have been written, and is answered 503.
 *
 * This narrows what a failover can lose; it does not make Redis a consensus system.
 */
import { assertKnownKeys, assertObject } from '../option-checks/reader.js'
import type { SendCommand } from './redis-command.js'
import { assertWhole } from './upkeep.js'

/** How many replicas must have a write. */
export interface Acknowledgement {
  readonly replicas: number
  /** Milliseconds to wait for them. Default 500. */
  readonly timeout?: number
  /** Sends on a connection that nothing else uses, to the same server. */
  readonly sendCommand: SendCommand
}

/** Sends writes that resolve once the replicas have them. */
export function acknowledgedWrites(acknowledgement: Acknowledgement, prefix: string): SendCommand {
  const where = 'redisStore: acknowledgedBy'
  assertKnownKeys(assertObject(acknowledgement, where), ['replicas', 'timeout', 'sendCommand'], where)
  const { replicas, timeout = 500, sendCommand } = acknowledgement
  assertWhole(replicas, 'acknowledgedBy.replicas')
  assertWhole(timeout, 'acknowledgedBy.timeout')
  if (typeof sendCommand !== 'function') throw new TypeError('acknowledgedBy.sendCommand must be a function (args, key) => reply')
  return async function writeAcknowledged(args, key) {
    // The braces keep the probe on the node of the key.
    const probe = `${prefix}probe:{${key}}`
    const commands: [string, ...string[]][] = [
      ['CLIENT', 'ID'],
      args,
      ['SET', probe, '1', 'EX', '10'],
      ['WAIT', String(replicas), String(timeout)],
      ['CLIENT', 'ID'],
    ]
    const sent = commands.map((command) => sendCommand(command, key))
    await Promise.allSettled(sent)
    const [before, reply, , acknowledged, after] = await Promise.all(sent)
    if (String(before) !== String(after)) throw new Error('redisStore: the connection changed before replicas acknowledged a write')
    if (Number(acknowledged) < replicas) throw new Error('redisStore: too few replicas acknowledged a write in time')
    return reply
  }
}

/** The look-up of a client by the option `clients` or the store, in both houses: bounded in time, with one answer for whatever it throws. */
import { OAuthError, ServerError, TemporarilyUnavailable } from '../errors.js'
import type { EventFields } from '../events/events.js'
import { noteLastRemedy } from '../known-causes.js'
import { withinTime } from '../time-limit.js'

/**
 * What `find` answers within that many milliseconds.
 *
 * @throws TemporarilyUnavailable when it takes longer; ServerError with what it throws as the cause, unless that is an OAuthError.
 */
export async function lookUpInTime<T>(find: (client_id: string) => T | Promise<T>, client_id: string, timeout: number): Promise<T> {
  const late = () => new TemporarilyUnavailable(undefined, { reason: 'the clients function did not answer in time' })
  try {
    return await withinTime(timeout, async () => find(client_id), late)
  } catch (cause) {
    if (cause instanceof OAuthError) throw cause
    noteLastRemedy(cause, 'for a client that is unknown, return undefined')
    throw new ServerError(undefined, { reason: 'the clients function failed', cause })
  }
}

/** The warning about a client that was found under another id than its own. */
export function foundAnother(client_id: string): EventFields {
  const reason = 'the clients function returned a client with another client_id; look it up by the client_id that it is given'
  return { type: 'warning', client_id, reason }
}

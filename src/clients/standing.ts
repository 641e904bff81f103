/** What the operator has said of a client since something was made for it: that the client is disabled, or that all that is older has ended. */
import type { Client } from './client.js'
import { madeBeforeNotBefore } from '../events/events.js'

/** Whether what was made for the client at that instant has ended by its `notBefore`: up to and in that second. */
export function hasEndedFor({ notBefore }: Client, madeAt: number): boolean {
  return notBefore !== undefined && madeAt <= notBefore
}

/** Why nothing that was made for the client at that instant may be used; undefined where it may. */
export function clientFault(client: Client, madeAt: number): string | undefined {
  if (client.disabled) return 'the client is disabled'
  return hasEndedFor(client, madeAt) ? `${madeBeforeNotBefore} of the client` : undefined
}

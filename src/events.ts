/**
 * What the server tells the application: one callback, typed, with an allow-list of fields and never a credential.
 *
 * The same events go to the `node:diagnostics_channel` named `oauth2-token-handler` and, with
 * `NODE_DEBUG=oauth2-token-handler`, as one line each to stderr.
 */
import { channel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'

/** What happened. */
export type EventType =
  | 'token.issued'
  | 'token.repeated'
  | 'token.revoked'
  | 'code.issued'
  | 'code.burnt'
  | 'code.replayed'
  | 'refresh_token.reused'
  | 'access_token.dropped'
  | 'authorization.revoked'
  | 'request.refused'
  | 'request.failed'
  | 'record.unreadable'
  | 'store.filling'
  | 'store.swept'
  | 'warning'

/** One event. Every field but `type` and `at` is present only where it is known. */
export interface ServerEvent {
  readonly type: EventType
  /** When, in whole seconds since the epoch, by the server's clock. */
  readonly at: number
  readonly endpoint?: string
  readonly client_id?: string
  readonly subject?: string
  readonly grant_type?: string
  readonly scope?: string
  /** The id of the Authorization concerned: not a secret, and not enough to use anything. */
  readonly authorization_id?: string
  /** The error code that was answered. */
  readonly error?: string
  /** How many expired records a sweep deleted. */
  readonly count?: number
  /** HTTP status that was answered. */
  readonly status?: number
  /** The precise reason, in fixed words. */
  readonly reason?: string
  /** Name and code of what was thrown below, such as `Error` and `ECONNREFUSED`. */
  readonly cause_name?: string
  readonly cause_code?: string
  /**
   * What was thrown below, whole. Not enumerable, so that no logger prints it by accident: its message may hold
   * a query or a password.
   */
  readonly cause?: unknown
}

/** The fields of an event, before `at` is added. */
export type EventFields = Omit<ServerEvent, 'at' | 'cause_name' | 'cause_code'>

/** Publishes an event. Never throws. */
export type Emit = (event: EventFields) => void

/** The application's listener. What it throws or rejects is swallowed. */
export type EventListener = (event: ServerEvent) => unknown

const events = channel('oauth2-token-handler')
const debug = debuglog('oauth2-token-handler')

/** Makes the function through which everything in one server reports. */
export function createEmit(onEvent: EventListener | undefined, clock: () => number): Emit {
  return function emit(fields) {
    if (onEvent === undefined && !events.hasSubscribers && !debug.enabled) return
    try {
      const event = completeEvent(fields, clock())
      if (debug.enabled) debug('%s', JSON.stringify(event))
      // What a subscriber of the channel throws is not seen here: node reports it as an uncaught exception.
      if (events.hasSubscribers) events.publish(event)
      const answer: unknown = onEvent?.(event)
      // A promise of whatever kind, from whatever library.
      if (typeof answer === 'object' && answer !== null) Promise.resolve(answer).catch(() => undefined)
    } catch {
      // A listener's failure is not the client's, and must not undo what was written.
    }
  }
}

function completeEvent(fields: EventFields, at: number): ServerEvent {
  const { cause, ...visible } = fields
  if (cause === undefined) return { ...visible, at }
  const event = { ...visible, at, ...describeCause(cause) }
  Object.defineProperty(event, 'cause', { value: cause, enumerable: false })
  return event
}

function describeCause(cause: unknown): { cause_name?: string; cause_code?: string } {
  if (!(cause instanceof Error)) return { cause_name: typeof cause }
  const code: unknown = 'code' in cause ? cause.code : undefined
  const name = identifier(cause.name) ?? 'Error'
  const shortCode = typeof code === 'string' ? identifier(code) : undefined
  return shortCode === undefined ? { cause_name: name } : { cause_name: name, cause_code: shortCode }
}

/** Only what looks like an identifier may pass: an error's name or code is not a place for a message. */
function identifier(text: string): string | undefined {
  return /^[A-Za-z0-9_.:-]{1,64}$/.test(text) ? text : undefined
}

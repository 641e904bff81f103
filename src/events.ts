/**
 * What the server tells the application: one callback, typed, with an allow-list of fields and never a credential.
 *
 * The same events go to the `node:diagnostics_channel` named `oauth2-token-handler` and, with
 * `NODE_DEBUG=oauth2-token-handler`, as one line each to stderr, with message and stack of what was thrown below.
 * Where nobody listens, failures go to the console: see console-lines.ts.
 */
import { channel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'
import { printFailure } from './console-lines.js'
import { describeCause, remedyFor } from './known-causes.js'

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
  /** What helps against the cause, in fixed words, where this package knows. */
  readonly remedy?: string
  /**
   * What was thrown below, whole. Not enumerable, so that no logger prints it by accident: its message may hold
   * a query or a password.
   */
  readonly cause?: unknown
}

/** The fields of an event, before `at` is added. */
export type EventFields = Omit<ServerEvent, 'at' | 'cause_name' | 'cause_code' | 'remedy'>

/**
 * Publishes an event. Never throws. `isFailure` says that the application, the store or the deployer has to mend something, so that the console tells it
 * where nobody listens. Default: by the event.
 */
export type Emit = (event: EventFields, isFailure?: boolean) => void

/** The application's listener. What it throws or rejects is swallowed. */
export type EventListener = (event: ServerEvent) => unknown

const events = channel('oauth2-token-handler')
const debug = debuglog('oauth2-token-handler')

/** Makes the function through which everything in one server reports. */
export function createEmit(onEvent: EventListener | undefined, clock: () => number): Emit {
  return function emit(fields, isFailure = tellsFailure(fields)) {
    const isHeard = onEvent !== undefined || events.hasSubscribers || debug.enabled
    if (!isHeard && !isFailure) return
    try {
      const event = completeEvent(fields, clock())
      if (!isHeard) {
        printFailure(event)
        return
      }
      if (debug.enabled) debug('%s', debugText(event))
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

/** A warning with a cause is of something that was thrown; the others are printed where they arise, or are a client's doing. */
function tellsFailure({ type, cause }: EventFields): boolean {
  return failures.has(type) || (type === 'warning' && cause !== undefined)
}

const failures: ReadonlySet<EventType> = new Set(['request.failed', 'record.unreadable', 'store.filling'])

function completeEvent(fields: EventFields, at: number): ServerEvent {
  const { cause, ...visible } = fields
  if (cause === undefined) return { ...visible, at }
  const remedy = remedyFor(cause)
  const event = { ...visible, at, ...describeCause(cause), ...(remedy === undefined ? {} : { remedy }) }
  Object.defineProperty(event, 'cause', { value: cause, enumerable: false })
  return event
}

/** The event as one line of JSON, and below it what was thrown, with its stack. */
function debugText(event: ServerEvent): string {
  const texts = [JSON.stringify(event)]
  for (let cause = event.cause, depth = 0; cause instanceof Error && depth < 4; cause = cause.cause, depth++) {
    texts.push(cause.stack?.includes(cause.message) === true ? cause.stack : `${cause.name}: ${cause.message}`)
  }
  // Terminals obey control characters.
  return texts.join('\n').replace(/[^\P{C}\n]/gu, '?')
}

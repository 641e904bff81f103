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
import { describeCause, remedyFor } from '../known-causes.js'

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
  /** The grant. Of a request that was refused: one that the server has, or whose name is registered. */
  readonly grant_type?: string
  readonly scope?: string
  /** The id of the Authorization concerned: not a secret, and not enough to use anything. */
  readonly authorization_id?: string
  /** The error code that was answered. */
  readonly error?: string
  /** How many expired records a sweep deleted. */
  readonly count?: number
  /** Milliseconds from the request's arrival, of `token.issued`, `token.repeated`, `request.refused` and `request.failed`. */
  readonly duration?: number
  /** The address that the request came from. */
  readonly address?: string
  /** Of a code that was replayed: seconds since its first use. */
  readonly age?: number
  /** Beside a scope that was refused, in `scope`: what this client may ask for. */
  readonly allowed?: string
  /** A redirection URI that was refused, as it was sent: at most 500 visible ASCII characters. */
  readonly redirect_uri?: string
  /** What is registered, or was sent before, in its place. */
  readonly registered?: string
  /** The URL of a metadata document that cannot be had. */
  readonly document?: string
  /** Whose the token is that another client asked about. */
  readonly token_client_id?: string
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
export interface EventFields extends Omit<ServerEvent, 'at' | 'cause_name' | 'cause_code' | 'remedy' | 'duration'> {
  /** When the request arrived, as `performance.now()` says; becomes `duration`. */
  readonly startedAt?: number | undefined
}

/**
 * Publishes an event. Never throws. `isFailure` says that the application, the store or the deployer has to mend something, so that the console tells it
 * where nobody listens. Default: by the event.
 */
export interface Emit {
  (event: EventFields, isFailure?: boolean): void
  /** Whether anybody listens. */
  readonly isHeard?: () => boolean
}

/** When a request has arrived, for `duration`; undefined where nobody listens. */
export function startTime({ isHeard }: Emit): number | undefined {
  return isHeard?.() === true ? performance.now() : undefined
}

/** The application's listener. What it throws or rejects is swallowed. */
export type EventListener = (event: ServerEvent) => unknown

/** The reason of a refusal of what is older than the option `notBefore`, in both houses. */
export const madeBeforeNotBefore = 'made before notBefore'

const events = channel('oauth2-token-handler')
const debug = debuglog('oauth2-token-handler')

/** Makes the function through which everything in one server reports. */
export function createEmit(onEvent: EventListener | undefined, clock: () => number): Emit {
  const isHeard = () => onEvent !== undefined || events.hasSubscribers || debug.enabled
  function emit(fields: EventFields, isFailure = tellsFailure(fields)): void {
    if (!isHeard() && !isFailure) return
    try {
      const event = completeEvent(fields, clock())
      if (!isHeard()) {
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
  return Object.assign(emit, { isHeard })
}

/** A warning with a cause is of something that was thrown; the others are printed where they arise, or are a client's doing. */
function tellsFailure({ type, cause }: EventFields): boolean {
  return failures.has(type) || (type === 'warning' && cause !== undefined)
}

const failures: ReadonlySet<EventType> = new Set(['request.failed', 'record.unreadable', 'store.filling'])

/** Member by member: a rest of members takes longer than all else that is done for an event. */
function completeEvent(fields: EventFields, at: number): ServerEvent {
  const { cause, startedAt } = fields
  const event: Record<string, unknown> = {}
  for (const name in fields) if (name !== 'cause' && name !== 'startedAt') event[name] = fields[name as keyof EventFields]
  event.at = at
  if (startedAt !== undefined) event.duration = sinceStart(startedAt)
  if (cause !== undefined) {
    Object.assign(event, describeCause(cause))
    const remedy = remedyFor(cause)
    if (remedy !== undefined) event.remedy = remedy
    Object.defineProperty(event, 'cause', { value: cause, enumerable: false })
  }
  return event as unknown as ServerEvent
}

/** Milliseconds, to a tenth. */
function sinceStart(startedAt: number): number {
  return Math.round((performance.now() - startedAt) * 10) / 10
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

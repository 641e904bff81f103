/**
 * Whether this process can answer now, for load balancers: 200 or 503, and no reason to strangers, which is for an event and the console.
 *
 * 1. The option `available` is asked each time: false (or a throw) is 503 at once, as after SIGTERM.
 * 2. The store is asked by `check()`, or a `get` where it has none: once a second at most, however often somebody asks, and once at a time. Everybody who
 *    asks meanwhile gets that answer, so that a flood of questions costs nothing.
 * 3. The check takes no place in the line of the store's calls and waits for none: traffic, which fills that line, must not take a process that works out
 *    of service. It is one call, bounded by `storeTimeout`; one that hangs keeps the next from being sent for ten times as long.
 */
import { assertAvailable } from '../http/availability.js'
import { configure, type Configuration } from '../configuration/configure.js'
import { toOAuthError } from '../errors.js'
import type { ServerOptions } from '../configuration/options.js'
import { jsonResponse, renderError, type ProtocolRequest, type ProtocolResponse } from '../http/message.js'
import { measured, StoreTimeout } from '../events/store-calls.js'
import { withinTime } from '../time-limit.js'
import { isRead, notRead } from './jwks.js'

const second = 1000

/** A hanging check keeps others back for this many time-outs. */
const patience = 10

/** What was found out, and when. */
interface Health {
  isWell: Promise<boolean>
  begunAt: number
  /** Whether the store has not answered yet. */
  isUnderWay: boolean
  /** Whether it was told that the option `available` says no. */
  isTold: boolean
}

const healthOf = new WeakMap<Configuration, Health>()

/**
 * The health of the server in this process: 200 `{"status":"ok"}` or 503 `{"status":"unavailable"}`. Answers GET and HEAD, over plain http too, because it
 * says nothing else. Does not reject.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export async function createHealthResponse(options: ServerOptions, request: Pick<ProtocolRequest, 'method'>): Promise<ProtocolResponse> {
  const configuration = configure(options)
  if (!isRead(request)) return renderError(notRead('health'))
  const isWell = (await isAvailable(configuration)) && (await checked(configuration))
  return isWell ? jsonResponse(200, { status: 'ok' }) : jsonResponse(503, { status: 'unavailable' })
}

function stateOf(configuration: Configuration): Health {
  const known = healthOf.get(configuration)
  if (known !== undefined) return known
  const fresh = { isWell: Promise.resolve(false), begunAt: -Infinity, isUnderWay: false, isTold: false }
  healthOf.set(configuration, fresh)
  return fresh
}

/** A refusal is told once, until it is over. */
async function isAvailable(configuration: Configuration): Promise<boolean> {
  const state = stateOf(configuration)
  try {
    await assertAvailable(configuration)
    state.isTold = false
    return true
  } catch (thrown) {
    if (!state.isTold) reportUnavailable(configuration, thrown)
    state.isTold = true
    return false
  }
}

function checked(configuration: Configuration): Promise<boolean> {
  const state = stateOf(configuration)
  const now = performance.now()
  const wait = state.isUnderWay ? patience * configuration.storeTimeout : second
  if (now - state.begunAt < wait) return state.isWell
  state.begunAt = now
  state.isUnderWay = true
  state.isWell = check(configuration, state, now)
  return state.isWell
}

async function check(configuration: Configuration, state: Health, begunAt: number): Promise<boolean> {
  const { store, storeTimeout } = configuration
  async function ask(): Promise<void> {
    try {
      await (store.check === undefined ? store.get('health') : store.check())
    } finally {
      if (state.begunAt === begunAt) state.isUnderWay = false
    }
  }
  try {
    const verb = store.check === undefined ? 'get' : 'check'
    const inTime = () => withinTime(storeTimeout, ask, () => new StoreTimeout(storeTimeout))
    await measured(verb, inTime, (thrown) => (thrown instanceof StoreTimeout ? 'timeout' : 'failed'))
    return true
  } catch (cause) {
    report(configuration, 'the store failed', cause, begunAt)
    return false
  }
}

function report({ emit }: Configuration, reason: string, cause: unknown, startedAt: number): void {
  emit({ type: 'request.failed', endpoint: 'health', status: 503, reason, startedAt, cause })
}

/** What the application threw says which function threw it. */
function reportUnavailable({ emit }: Configuration, thrown: unknown): void {
  const { reason = 'the option available answered false; let it return true where the server should answer', cause } = toOAuthError(thrown)
  emit({ type: 'request.failed', endpoint: 'health', status: 503, reason, ...(cause === undefined ? {} : { cause }) })
}

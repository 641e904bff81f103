/**
 * What a server has around it, for the configuration of OAuth 2 and the one of OAuth 1: its clock, its warnings, its store, and whether plain http is allowed.
 */
import { ConfigurationError } from './errors.js'
import type { Emit } from './events/events.js'
import { assertObject, type OptionReader, type Unchecked } from './option-checks/reader.js'
import { memoryStore } from './stores/memory.js'
import type { Store } from './stores/store.js'
import { valueAdvice } from './option-checks/value-advice.js'

/** Prints one line for the deployer, and tells it as an event. Each text once. */
export type Warn = (message: string) => void

/** Makes the function through which one server warns its deployer. `speaker` stands before each line. */
export function createWarn(speaker: string, emit: Emit): Warn {
  const said = new Set<string>()
  return (message) => {
    if (said.has(message)) return
    said.add(message)
    console.warn(`${speaker}: ${message}`)
    emit({ type: 'warning', reason: message })
  }
}

/** Now, in whole seconds since the epoch. */
export function systemClock(): number {
  return Math.floor(Date.now() / 1000)
}

/**
 * The option `store`, or a memory store.
 *
 * @throws ConfigurationError when the option is no store.
 */
export function readStore(members: Unchecked, { clock, emit, warn }: { clock: () => number; emit: Emit; warn: Warn }): Store {
  const { store } = members
  if (store === undefined) return defaultStore(clock, emit, warn)
  const verbs = assertObject(store, 'store')
  for (const verb of ['get', 'create', 'replace', 'list']) {
    if (typeof verbs[verb] !== 'function')
      throw new ConfigurationError(`store must have the verb ${verb}()${valueAdvice(store) || '; memoryStore() is one that has all'}`)
  }
  return store as Store
}

function defaultStore(clock: () => number, emit: Emit, warn: Warn): Store {
  if (process.env.NODE_ENV === 'production') {
    warn('no store is configured: tokens are kept in memory, end with this process, and are unknown to any other; set the option store')
  }
  return memoryStore({ clock, onEvent: emit })
}

/** The option `allowInsecureTransport`. `danger` says what plain http exposes. */
export function readInsecureTransport(reader: OptionReader, warn: Warn, danger: string): boolean {
  const allowed = reader.boolean('allowInsecureTransport', false)
  if (!allowed) return false
  if (process.env.NODE_ENV === 'production') {
    throw new ConfigurationError(
      "allowInsecureTransport is for development; with NODE_ENV=production remove it and serve https, or, behind a proxy that ends TLS, remove it and set app.set('trust proxy', 1)",
    )
  }
  warn(`allowInsecureTransport is on: ${danger}; use it on your own machine only`)
  return true
}

/**
 * Scope values, as an ordered list of distinct tokens (RFC 6749 §3.3): read, written, and held within limits.
 * Which limits apply is the caller's to say; nothing here knows a client or a server.
 */
import { InvalidScope } from '../errors.js'

/** An ordered list of distinct scope tokens; empty means no scope. */
export type Scope = readonly string[]

// RFC 6749 §3.3: scope = scope-token *( SP scope-token ); scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** The scope that asks for a refresh token (OpenID Connect Core §11). */
export const offlineAccess = 'offline_access'

const noScope: Scope = Object.freeze([])

/** True when `text` is one scope token. */
export function isScopeToken(text: string): boolean {
  return scopeToken.test(text)
}

/**
 * A scope as applications write it: a text separated by spaces, or a list. Undefined when it is neither.
 */
export function readScopeList(value: unknown): Scope | undefined {
  const tokens: unknown = typeof value === 'string' ? value.split(' ').filter((token) => token !== '') : value
  return Array.isArray(tokens) && tokens.every((token) => typeof token === 'string' && isScopeToken(token))
    ? [...new Set(tokens as string[])]
    : undefined
}

/**
 * Reads a `scope` parameter. Leading, trailing and double spaces are folded, order is kept, duplicates are folded.
 *
 * @throws InvalidScope when a token is outside the grammar.
 */
export function parseScope(text: string): Scope {
  const tokens = text.split(' ').filter((token) => token !== '')
  if (!tokens.every(isScopeToken)) throw new InvalidScope(undefined, { reason: 'scope outside the grammar of RFC 6749 §3.3' })
  return tokens.length === 0 ? noScope : [...new Set(tokens)]
}

/** Writes a scope as the parameter and response member that carry it. */
export function formatScope(scope: Scope): string {
  return scope.length === 1 ? (scope[0] ?? '') : scope.join(' ')
}

/** The tokens of `scope` that `limit` holds too, in the order of `scope`. Without a limit, all of them. */
export function intersectScope(scope: Scope, limit: Scope | undefined): Scope {
  if (limit === undefined) return scope
  return scope.every((token) => limit.includes(token)) ? scope : scope.filter((token) => limit.includes(token))
}

/** True when every token of `scope` is in `limit`. */
export function isWithinScope(scope: Scope, limit: Scope): boolean {
  return scope.every((token) => limit.includes(token))
}

/** The same tokens in the texts of `limit`: those of a request may be parts of its body, which would be kept with them. */
export function textsWithin(scope: Scope, limit: Scope): Scope {
  return scope.map((token) => limit[limit.indexOf(token)] ?? token)
}

/** The tokens of `scope` and all that they imply, directly and indirectly. */
export function impliedScope(scope: Scope, implies: ReadonlyMap<string, Scope>): Scope {
  if (implies.size === 0) return scope
  const all = new Set(scope)
  for (const token of all) for (const implied of implies.get(token) ?? []) all.add(implied)
  return [...all]
}

const mostShown = 200

/** For an event: the tokens of a request that `allowed` does not hold, and what it holds; both are cut where they are long. */
export function refusedScope(requested: Scope, allowed: Scope): { readonly scope: string; readonly allowed: string } {
  const refused = requested.filter((token) => !allowed.includes(token))
  return { scope: formatScope(refused).slice(0, mostShown), allowed: formatScope(allowed).slice(0, 5 * mostShown) }
}

/** What a decision about scope starts from. */
export interface ScopeLimits {
  /** What the request asked for; undefined when it had no `scope` parameter. */
  readonly requested: Scope | undefined
  /** What server and client allow now. */
  readonly allowed: Scope
  /** What the resource owner granted, where an Authorization exists. */
  readonly granted?: Scope
  /** What to grant when nothing was asked for. */
  readonly fallback?: Scope | undefined
}

const exceeding =
  'the requested scope exceeds what may be granted; add the rest to the option scopes and to the scope of the client, or ask for less'

/**
 * The scope to grant: what was asked for, or else the fallback, or else everything that is left within all limits.
 *
 * @throws InvalidScope when what was asked for exceeds a limit, or when nothing is left of what was granted once.
 * @see RFC 6749 §3.3, §6
 */
export function grantableScope({ requested, allowed, granted, fallback }: ScopeLimits): Scope {
  const limit = granted === undefined ? allowed : intersectScope(granted, allowed)
  if (granted !== undefined && granted.length > 0 && limit.length === 0) {
    throw new InvalidScope(undefined, { reason: 'nothing is left of the granted scope that server and client still allow' })
  }
  if (requested === undefined) return fallback === undefined ? limit : intersectScope(fallback, limit)
  if (!isWithinScope(requested, limit)) {
    throw new InvalidScope(undefined, { reason: exceeding, facts: refusedScope(requested, limit) })
  }
  return textsWithin(requested, limit)
}

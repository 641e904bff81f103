/**
 * The scope that a client asks for, and the scope that it may have: decided here for every endpoint.
 *
 * 1. A scope that the option `ignoredScopes` names is dropped from a request, as if it had not been sent.
 * 2. `offline_access` asks for a refresh token (OpenID Connect Core §11). It is allowed wherever the client may refresh, and otherwise dropped. It decides
 *    nothing else: refresh tokens go by `grant_types`.
 * 3. Everything else is within the option `scopes` and the client's `scope`.
 */
import type { Client } from '../../clients/client.js'
import type { Configuration } from '../../configuration/configure.js'
import { intersectScope, offlineAccess, parseScope, type Scope } from '../../authorization/scope.js'

type ScopeRules = Pick<Configuration, 'scopes' | 'ignoredScopes' | 'grants' | 'emit'>

/**
 * What is asked for in a `scope` parameter; undefined where there is none, and where nothing is left of it.
 *
 * @throws InvalidScope when a token is outside the grammar.
 */
export function readAskedScope(rules: ScopeRules, client: Client, text: string | undefined): Scope | undefined {
  if (text === undefined) return undefined
  const scope = withoutIgnored(rules, client, parseScope(text))
  return scope.length === 0 ? undefined : scope
}

/** The same tokens without those that are dropped. */
export function withoutIgnored(rules: ScopeRules, client: Client, scope: Scope): Scope {
  const { ignoredScopes } = rules
  const isKept = (token: string) => !ignoredScopes.has(token) && (token !== offlineAccess || mayRefresh(rules, client))
  if (scope.every(isKept)) return scope
  if (scope.some((token) => ignoredScopes.has(token))) tellOnce(rules)
  return scope.filter(isKept)
}

/** What server and client allow now, for a decision about `wanted`. */
export function allowedScopeOf(rules: ScopeRules, client: Client, wanted: Scope | undefined): Scope {
  const allowed = intersectScope(rules.scopes, client.scope)
  if (wanted?.includes(offlineAccess) !== true || allowed.includes(offlineAccess)) return allowed
  return mayRefresh(rules, client) ? [...allowed, offlineAccess] : allowed
}

function mayRefresh({ grants }: ScopeRules, { grant_types }: Client): boolean {
  return grants.has('refresh_token') && grant_types.includes('refresh_token')
}

const told = new WeakSet<ReadonlySet<string>>()

function tellOnce({ ignoredScopes, emit }: ScopeRules): void {
  if (told.has(ignoredScopes)) return
  told.add(ignoredScopes)
  emit({ type: 'warning', reason: 'a client asks for a scope that the option ignoredScopes names; it is ignored' })
}

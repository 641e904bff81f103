/**
 * What the application's `decide` returns: who is logged in, and to how much of the scope they may agree. Checked here, because a wrong one must give no code.
 */
import type { JsonObject } from '../authorization.js'
import { ServerError } from '../errors.js'
import { isWithinScope, readScopeList, type Scope } from '../scope.js'
import { isSubject } from '../subject.js'

/** Who agreed, and to what. */
export interface AuthorizationDecision {
  readonly subject: string
  /** Default: all that was asked for. */
  readonly scope?: string | Scope
  /** Found again in hooks and in `req.auth.extra`; plain JSON. `auth_time`, `acr` and `amr` become claims of signed tokens. */
  readonly extra?: JsonObject | undefined
}

/** @throws ServerError when the application returned something that is no decision. */
export function decisionOf(decided: unknown): AuthorizationDecision | undefined {
  if (decided === undefined) return undefined
  if (typeof decided === 'object' && decided !== null && 'subject' in decided) {
    const { subject } = decided
    if (isSubject(subject)) return decided as AuthorizationDecision
  }
  throw new ServerError(undefined, { reason: 'decide returned neither undefined nor a subject' })
}

/** The person may agree to less than was asked for, never to more. */
export function agreedScope({ scope }: AuthorizationDecision, shown: { readonly scope: Scope }): Scope {
  if (scope === undefined) return shown.scope
  const agreed = readScopeList(scope)
  if (agreed !== undefined && isWithinScope(agreed, shown.scope)) return agreed
  throw new ServerError(undefined, { reason: 'decide returned something else than a part of the scope that was asked for' })
}

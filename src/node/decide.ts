/**
 * `authorize`, the application's part of the authorization endpoint: what it is given, and how it is asked.
 */
import type { ServerResponse } from 'node:http'
import type { Configuration } from '../configuration/configure.js'
import type { AuthorizationRequest } from '../endpoints/authorization/request.js'
import { readDecision, type AuthorizationDecision, type CheckedDecision } from '../endpoints/authorization/decision.js'
import type { HostRequest } from './host.js'
import { watchForAnswer } from './unanswered.js'

/**
 * The application's part. Answers by itself (redirects to a login, shows a page) and returns undefined; or returns who is logged in; or throws `AccessDenied`.
 * Asked on GET, before the consent page, and again on POST, when the person has agreed. Request and response are what the framework has.
 *
 * With `prompt=none` nothing may be shown: what is written to `res` reaches nobody, and the client is told `consent_required` where a subject is returned, else
 * `login_required`.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- their types are the application's to name
export type Decide<Req = any, Res = any> = (
  request: AuthorizationRequest,
  req: Req,
  res: Res,
) => AuthorizationDecision | undefined | Promise<AuthorizationDecision | undefined>

/**
 * Asks the application who is logged in. Where it neither says so nor answers by itself, its developer is told.
 *
 * @throws ServerError when it returns something else than a decision; and what it throws.
 */
export async function decisionOn(
  { configuration, decide }: { readonly configuration: Configuration; readonly decide: Decide },
  shown: AuthorizationRequest,
  req: HostRequest,
  res: ServerResponse,
  named: () => void,
): Promise<CheckedDecision | undefined> {
  const { callbackTimeout, emit, warn } = configuration
  const reason = 'authorize has neither answered nor returned { subject }, within callbackTimeout; redirect to your login, or return one'
  const stop = watchForAnswer(res, callbackTimeout, () => {
    emit({ type: 'request.failed', endpoint: 'authorization', client_id: shown.client_id, reason })
  })
  let isLeftToIt = false
  try {
    const decision = readDecision(await decide(shown, req, res), shown, { warn, named })
    isLeftToIt = decision === undefined
    return decision
  } finally {
    if (!isLeftToIt) stop()
  }
}

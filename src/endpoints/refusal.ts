/** What every endpoint does with what was thrown: the precise reason goes to the event, the dull error to the wire. */
import type { Configuration } from '../configuration.js'
import { toOAuthError, type OAuthError } from '../errors.js'

/** Reports a refusal or a failure, and says what to answer. */
export function reportRefusal({ emit }: Pick<Configuration, 'emit'>, endpoint: string, thrown: unknown): OAuthError {
  const error = toOAuthError(thrown)
  emit({
    type: error.status >= 500 ? 'request.failed' : 'request.refused',
    endpoint,
    error: error.error,
    status: error.status,
    reason: error.reason ?? error.description,
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  })
  return error
}

/** Refusals and failures of requests, as events of both houses: the precise reason is for the event, the dull error for the wire. */
import { toOAuthError, type OAuthError } from '../errors.js'
import type { Emit } from './events.js'

/** What is known of a request that was refused. */
export interface RefusedRequest {
  readonly client_id?: string | undefined
  readonly address?: string | undefined
  /** As in {@link EventFields}. */
  readonly startedAt?: number | undefined
}

/** Reports what was thrown as an event, and says what to answer. */
export function reportRefusal(
  { emit }: { readonly emit: Emit },
  endpoint: string,
  thrown: unknown,
  { client_id, address, startedAt }: RefusedRequest = {},
): OAuthError {
  const error = toOAuthError(thrown)
  emit({
    type: error.status >= 500 ? 'request.failed' : 'request.refused',
    endpoint,
    error: error.error,
    status: error.status,
    reason: error.reason ?? error.description,
    ...error.facts,
    ...(client_id === undefined ? {} : { client_id }),
    ...(address === undefined || address === '' ? {} : { address }),
    startedAt,
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  })
  return error
}

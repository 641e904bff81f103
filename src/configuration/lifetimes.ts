/** The options about how long things live, in whole seconds. */
import type { OptionReader, Unchecked } from '../option-checks/reader.js'
import type { ServerOptions } from './options.js'

const day = 86_400
const year = 365 * day

/** How long codes, access tokens and Authorizations live, and how many access tokens one Authorization may have. */
export interface Lifetimes {
  readonly accessTokenLifetime: NonNullable<ServerOptions['accessTokenLifetime']>
  readonly codeLifetime: number
  readonly refreshTokenLifetime: number
  readonly refreshTokenIdleLifetime: number
  readonly refreshRetryWindow: number
  readonly rotateRefreshTokens: boolean
  readonly maxAccessTokens: number
}

export function readLifetimes(reader: OptionReader, members: Unchecked): Lifetimes {
  const lifetime = members.accessTokenLifetime
  return {
    accessTokenLifetime:
      typeof lifetime === 'function'
        ? (lifetime as Exclude<Lifetimes['accessTokenLifetime'], number>)
        : reader.whole('accessTokenLifetime', 3600, 1, year),
    // RFC 6749 §4.1.2: a maximum authorization code lifetime of 10 minutes is recommended
    codeLifetime: reader.whole('codeLifetime', 60, 1, 600),
    refreshTokenLifetime: reader.whole('refreshTokenLifetime', 90 * day, 1, 100 * year),
    refreshTokenIdleLifetime: reader.whole('refreshTokenIdleLifetime', 14 * day, 1, 100 * year),
    refreshRetryWindow: reader.whole('refreshRetryWindow', 30, 0, 600),
    rotateRefreshTokens: reader.boolean('rotateRefreshTokens', true),
    maxAccessTokens: reader.whole('maxAccessTokens', 100, 1, 10_000),
  }
}

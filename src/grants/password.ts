/**
 * The resource owner password credentials grant, for applications that cannot do without it yet.
 *
 * RFC 9700 §2.4: this grant must not be used. It shows the password to the client, knows no second factor, and teaches people to type it anywhere.
 *
 * @see RFC 6749 §4.3
 */
import { ConfigurationError, InvalidGrant, InvalidRequest } from '../errors.js'
import { assertKnownKeys, assertObject, type Unchecked } from '../option-checks/reader.js'
import type { Context } from '../http/message.js'
import type { Grant } from './grant.js'

/** Options of {@link password}. */
export interface PasswordOptions {
  /**
   * The subject with that name and password, or undefined: unknown, wrong, and inactive are all the same. Takes equally long for all of them, if it
   * is written well. What it throws is answered 500.
   */
  readonly authenticate: (username: string, password: string, context: Context) => string | undefined | Promise<string | undefined>
  /** Lifetime of its access tokens in seconds. Default: the server's. */
  readonly accessTokenLifetime?: number
}

/**
 * `grant_type=password`. Warns once when the server starts.
 *
 * @throws ConfigurationError without `authenticate`.
 */
export function password(options: PasswordOptions): Grant {
  assertKnownKeys(readArgument(options), ['authenticate', 'accessTokenLifetime'], 'password')
  const { authenticate, ...rest } = options
  if (typeof authenticate !== 'function')
    throw new ConfigurationError('password: authenticate must be a function (username, password, context) => subject')
  return {
    ...rest,
    type: 'password',
    warning: 'the password grant is served; RFC 9700 §2.4 says that it must not be used: move its clients to authorizationCode()',
    limitedBy: 'username',
    async authorize({ parameters, context, grantableScope }) {
      // RFC 6749 §4.3.2: username and password are required
      const { username, password: secret } = parameters
      if (username === undefined || secret === undefined) throw new InvalidRequest('username and password are required')
      const scope = grantableScope()
      const subject = await authenticate(username, secret, context)
      if (subject === undefined)
        throw new InvalidGrant('the username or password is wrong', { reason: 'the authenticate function refused' })
      return { subject, scope }
    },
  }
}

function readArgument(options: unknown): Unchecked {
  if (options === undefined)
    throw new ConfigurationError('password needs its function: password({ authenticate: (username, password) => subject })')
  if (typeof options === 'function')
    throw new ConfigurationError(
      'password: the argument must be an object: password({ authenticate }), where authenticate is that function',
    )
  return assertObject(options, 'password: the argument')
}

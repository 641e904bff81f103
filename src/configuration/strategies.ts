/**
 * The options that name strategies: which grants, which client authentication, which format and type of tokens. Read and checked one by one.
 */
import { clientSecretBasic, clientSecretPost } from '../client-authentication/client-secret.js'
import type { ClientAuthenticationMethod } from '../client-authentication/method.js'
import { none } from '../client-authentication/none.js'
import { ConfigurationError } from '../errors.js'
import { authorizationCode } from '../grants/authorization-code.js'
import { clientCredentials } from '../grants/client-credentials.js'
import type { Grant } from '../grants/grant.js'
import { refreshToken } from '../grants/refresh-token.js'
import { didYouMean } from '../option-checks/did-you-mean.js'
import { assertObject, OptionReader, type Unchecked } from '../option-checks/reader.js'
import type { ServerOptions } from './options.js'
import type { AccessTokenFormat, TokenType } from '../tokens/access-token.js'
import { custom } from '../tokens/custom.js'
import { encrypted } from '../tokens/encrypted.js'
import { jwt } from '../tokens/jwt.js'
import { opaque } from '../tokens/opaque.js'
import { functionAdvice, valueAdvice } from '../option-checks/value-advice.js'

const year = 31_536_000

/** The factories of formats. */
const formats: readonly ((options: never) => unknown)[] = [opaque, jwt, encrypted]

/** @throws ConfigurationError */
export function readRefreshable(members: Unchecked): NonNullable<ServerOptions['refreshable']> {
  const { refreshable = true } = members
  if (typeof refreshable === 'boolean') return refreshable
  if (typeof refreshable === 'function') return refreshable as Exclude<NonNullable<ServerOptions['refreshable']>, boolean>
  throw new ConfigurationError('refreshable must be true, false or a function')
}

/** @throws ConfigurationError */
export function readGrants(members: Unchecked, refreshable: NonNullable<ServerOptions['refreshable']>): ReadonlyMap<string, Grant> {
  const { grants = [authorizationCode(), refreshToken(), clientCredentials()] } = members
  if (!Array.isArray(grants) || grants.length === 0)
    throw new ConfigurationError(`grants must be an array of at least one grant, as in [clientCredentials()]${valueAdvice(grants)}`)
  const byType = new Map<string, Grant>()
  for (const grant of grants as unknown[]) {
    if (Array.isArray(grant))
      throw new ConfigurationError('grants: each must be an object, not an array; write grants: webApplication(), or [...webApplication()]')
    const { type, authorize } = assertObject(grant, 'grants: each')
    if (typeof type !== 'string' || typeof authorize !== 'function') {
      throw new ConfigurationError(
        'grants: each must be an object with type and authorize(); take one from a factory, as in clientCredentials()',
      )
    }
    // RFC 6749 §4.5: an extension grant is named by an absolute URI; registered names have no colon
    if (type === '' || (type.includes(':') && !URL.canParse(type)))
      throw new ConfigurationError('grants: type must be a name or an absolute URI')
    if (byType.has(type)) throw new ConfigurationError(`grants has "${type}" twice; remove one`)
    new OptionReader(grant as Unchecked, `grants: "${type}" `).whole('accessTokenLifetime', undefined, 1, year)
    byType.set(type, grant as Grant)
  }
  if (refreshable === false) byType.delete('refresh_token')
  if (byType.size === 0)
    throw new ConfigurationError('grants has refreshToken() only, and refreshable: false takes it away; remove one of the two')
  return byType
}

/** @throws ConfigurationError */
export function readDefaultGrantType(reader: OptionReader, grants: ReadonlyMap<string, Grant>): string | undefined {
  const type = reader.text('defaultGrantType')
  if (type === undefined || grants.has(type)) return type
  throw new ConfigurationError(`defaultGrantType "${type}" is not the type of one of the grants${didYouMean(type, [...grants.keys()])}`)
}

/** @throws ConfigurationError */
export function readMethods(members: Unchecked): readonly ClientAuthenticationMethod[] {
  const { clientAuthenticationMethods: methods = [clientSecretBasic(), clientSecretPost(), none()] } = members
  if (!Array.isArray(methods) || methods.length === 0) {
    throw new ConfigurationError(
      `clientAuthenticationMethods must be an array of at least one method, as in [clientSecretBasic()]${valueAdvice(methods)}`,
    )
  }
  const names = new Set<string>()
  for (const method of methods as unknown[]) {
    const { name, presented, verify } = assertObject(method, 'clientAuthenticationMethods: each')
    if (typeof name === 'string' && typeof presented === 'function' && typeof verify === 'function') {
      if (names.has(name)) throw new ConfigurationError(`clientAuthenticationMethods has "${name}" twice; remove one`)
      names.add(name)
      continue
    }
    throw new ConfigurationError(
      'clientAuthenticationMethods: each must have name, presented and verify; call the factory, as in clientSecretBasic()',
    )
  }
  return methods as ClientAuthenticationMethod[]
}

/** @throws ConfigurationError */
export function readFormat(accessTokens: ServerOptions['accessTokens']): AccessTokenFormat {
  if (accessTokens === undefined) return opaque()
  // Each would be taken for a function that writes tokens.
  if (formats.includes(accessTokens as (options: never) => unknown))
    throw new ConfigurationError(`accessTokens: ${functionAdvice((accessTokens as { name: string }).name)}`)
  if (typeof accessTokens === 'function') return custom(accessTokens)
  const { name, kind, issue, read } = assertObject(accessTokens, 'accessTokens')
  const isFormat = typeof name === 'string' && typeof issue === 'function' && (typeof read === 'function' || kind === 'reference')
  if (isFormat && (kind === 'reference' || kind === 'self-contained')) return accessTokens
  throw new ConfigurationError(
    "accessTokens must be a function, or a format with name, kind ('reference' or 'self-contained'), issue and read",
  )
}

/** @throws ConfigurationError */
export function readTokenType(members: Unchecked, types: readonly TokenType[]): TokenType {
  const { authenticationMethod = 'bearer' } = members
  const type = types.find((candidate) => candidate.authenticationMethod === authenticationMethod)
  if (type !== undefined) return type
  const names = types.map((candidate) => candidate.authenticationMethod)
  const given = typeof authenticationMethod === 'string' ? didYouMean(authenticationMethod, names) : ''
  throw new ConfigurationError(`authenticationMethod must be 'bearer' or 'mac'${given}`)
}

/** @throws ConfigurationError */
export function assertFormatFits(format: AccessTokenFormat, type: TokenType, issuer: string | undefined): void {
  format.assertFits?.({ issuer })
  if (type.bind === undefined || format.kind === 'reference') return
  throw new ConfigurationError(
    `authenticationMethod '${type.authenticationMethod}' needs tokens that are remembered, and ${format.name} tokens are not; use accessTokens: opaque()`,
  )
}

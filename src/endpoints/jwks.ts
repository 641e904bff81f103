/**
 * The public keys of the server (RFC 7517 §5), for resource servers that verify access tokens themselves.
 *
 * The answer may be cached for `maxAge` seconds: as long as that, a key has to be published before it signs, and a key that was removed
 * may still be accepted elsewhere.
 */
import { configure } from '../configuration/configure.js'
import { ConfigurationError, InvalidRequest } from '../errors.js'
import { assertKnownKeys, OptionReader, type Unchecked } from '../option-checks/reader.js'
import type { ServerOptions } from '../configuration/options.js'
import { cacheableResponse, renderError, type ProtocolRequest, type ProtocolResponse } from '../http/message.js'
import { receivedRequest } from '../http/received-request.js'

/** Options of a document that may be cached. */
export interface CacheOptions {
  /** Seconds for which the document may be cached. Default 300. */
  readonly maxAge?: number
}

/** @throws ConfigurationError when `maxAge` is not a number of seconds up to a day. */
export function readMaxAge(cache: CacheOptions, where: string): number {
  assertKnownKeys(cache, ['maxAge'], where)
  return new OptionReader(cache as Unchecked, `${where}: `).whole('maxAge', 300, 0, 86_400)
}

/**
 * The key set of the server.
 *
 * @throws ConfigurationError when its access tokens have no public keys.
 */
export function createJwksResponse(options: ServerOptions, request: ProtocolRequest, cache: CacheOptions = {}): ProtocolResponse {
  const { jwks } = configure(options, 'createJwksResponse').accessTokenFormat
  if (jwks === undefined) throw new ConfigurationError('there are no public keys to publish; set accessTokens: jwt({ key })')
  const maxAge = readMaxAge(cache, 'jwks')
  if (!isRead(receivedRequest(request))) return renderError(notRead('jwks'))
  return cacheableResponse(jwks(), maxAge, 'application/jwk-set+json')
}

/** True for the methods that a document answers. */
export function isRead({ method }: Pick<ProtocolRequest, 'method'>): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** The refusal of any other method. */
export function notRead(endpoint: string): InvalidRequest {
  return new InvalidRequest(`the ${endpoint} endpoint answers GET only`, { status: 405, allow: 'GET, HEAD' })
}

/**
 * Options that stand for themselves: each is read here by its name, its shape, and the message that says what is allowed.
 *
 * What needs several options at once, or makes something of them, is in `configure.ts` and `strategies.ts`.
 */
import { ConfigurationError } from '../errors.js'
import { didYouMean } from '../option-checks/did-you-mean.js'
import { assertKnownKeys, assertObject, type OptionReader, type Unchecked } from '../option-checks/reader.js'
import type { EndpointPlaces, ServerOptions } from './options.js'
import { isPrivateUseScheme, usualPrivateUseSchemes } from '../clients/redirect-uri.js'
import { isScopeToken, readScopeList, type Scope } from '../authorization/scope.js'

export function readIssuer(reader: OptionReader): string | undefined {
  const issuer = reader.text('issuer')
  if (issuer === undefined) return undefined
  // RFC 8414 §2: the issuer is a URL without query or fragment
  if (!URL.canParse(issuer) || /[?#]/.test(issuer))
    throw new ConfigurationError(
      `issuer must be an absolute URL without query or fragment, as in 'https://auth.example.com'${quoted(issuer)}`,
    )
  const { protocol, hostname } = new URL(issuer)
  const isLoopback = hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]'
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback)) return issuer
  throw new ConfigurationError(
    `issuer must be an https URL, as in 'https://auth.example.com'${quoted(issuer)}; http is for localhost alone`,
  )
}

/** The value, where it is harmless: a URL may hold a password. */
function quoted(url: string): string {
  return url.includes('@') || url.length > 200 ? '' : `, not "${url}"`
}

export function readScopes(reader: OptionReader): Scope {
  const scopes = reader.texts('scopes') ?? []
  for (const token of scopes) {
    if (isScopeToken(token)) continue
    throw new ConfigurationError('scopes must hold one scope token each (RFC 6749 §3.3): no spaces, quotes or backslashes inside')
  }
  return [...new Set(scopes)]
}

/** What strangers may have at the most: all, where the option is left out. */
export function readStrangerScopes(reader: OptionReader, scopes: Scope): Scope {
  const most = reader.texts('strangerScopes')
  const unknown = most?.find((token) => !scopes.includes(token))
  if (unknown === undefined) return most ?? scopes
  throw new ConfigurationError(
    `strangerScopes: "${unknown}" is not among the server's scopes${didYouMean(unknown, scopes)}; add it to the option scopes`,
  )
}

/** Scopes that are dropped from requests. */
export function readIgnoredScopes(reader: OptionReader, scopes: Scope): ReadonlySet<string> {
  const ignored = reader.texts('ignoredScopes') ?? []
  for (const token of ignored) {
    if (!isScopeToken(token)) throw new ConfigurationError('ignoredScopes must hold one scope token each (RFC 6749 §3.3)')
    if (scopes.includes(token)) throw new ConfigurationError(`ignoredScopes: "${token}" is among scopes too; remove it from one of the two`)
  }
  return new Set(ignored)
}

export function readImplies(members: Unchecked, scopes: Scope): ReadonlyMap<string, Scope> {
  const implied = Object.entries(assertObject(members.implies === undefined ? {} : members.implies, 'implies')).map(
    ([token, value]) => [token, readScopeList(value)] as const,
  )
  for (const [token, list] of implied) {
    const unknown = [token, ...(list ?? [''])].find((name) => !scopes.includes(name))
    if (unknown !== undefined)
      throw new ConfigurationError(
        `implies: "${unknown}" is not among the server's scopes${didYouMean(unknown, scopes)}; add it to the option scopes`,
      )
  }
  return new Map(implied.map(([token, list]) => [token, list ?? []]))
}

export function readPrivateUseSchemes(reader: OptionReader): ReadonlySet<string> {
  const schemes = reader.texts('privateUseSchemes') ?? usualPrivateUseSchemes
  for (const scheme of schemes) {
    if (isPrivateUseScheme(scheme)) continue
    throw new ConfigurationError(
      `privateUseSchemes: "${scheme}" must be the scheme of a program, in lower case and without the colon, as in 'cursor'`,
    )
  }
  return new Set(schemes)
}

export function readRealm(reader: OptionReader): string {
  const realm = reader.text('realm') ?? 'oauth2'
  if (!/^[\x20-\x7e]*$/.test(realm)) throw new ConfigurationError('realm must be visible ASCII characters or spaces')
  return realm
}

export function readErrorUri(reader: OptionReader): string | undefined {
  const uri = reader.text('errorUri')
  // RFC 6749 §5.2: error_uri = URI-reference, of %x21 / %x23-5B / %x5D-7E
  if (uri === undefined || /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(uri)) return uri
  throw new ConfigurationError('errorUri must be a URI: ASCII without spaces, quotes and backslashes')
}

export function readEndpoints(members: Unchecked): EndpointPlaces {
  if (members.endpoints === undefined) return {}
  const places = assertObject(members.endpoints, 'endpoints')
  const names = ['authorization', 'token', 'revocation', 'introspection', 'jwks', 'pushedAuthorization', 'registration']
  assertKnownKeys(places, names, 'endpoints')
  for (const [name, place] of Object.entries(places)) {
    const isPlace = typeof place === 'string' && (place.startsWith('/') || URL.canParse(place)) && !place.includes('#')
    // RFC 6749 §3.1, §3.2: an endpoint URI has no fragment
    if (!isPlace) throw new ConfigurationError(`endpoints.${name} must be a path that begins with "/", or a URL, without fragment`)
  }
  return places
}

export function readTrustProxy({ trustProxy }: ServerOptions): ServerOptions['trustProxy'] {
  if (trustProxy === undefined || typeof trustProxy === 'function') return trustProxy
  throw new ConfigurationError("trustProxy must be a function (address) => boolean, as in (address) => address === '10.0.0.1'")
}

/** Milliseconds, and fractions of seconds, would make everything live a thousand times too short, or be refused by every store. */
export function assertClock(clock: () => number): void {
  const now = clock()
  if (Number.isSafeInteger(now) && now >= 0 && now < 100_000_000_000) return
  throw new ConfigurationError('clock must answer whole seconds since the epoch, as in () => Math.floor(Date.now() / 1000)')
}

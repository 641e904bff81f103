/**
 * Resources (RFC 8707): the URIs of protected resources that tokens may be meant for.
 *
 * Two spellings are the same resource when they agree after lowercasing scheme and host and reading an empty path as `/`, and in nothing
 * else. What is printed is always the text of the configuration.
 */
import { ConfigurationError, OAuthError } from '../errors.js'

const noResources: readonly string[] = Object.freeze([])

/** The resources that a server knows: the configured text by the form in which it is compared. */
export type KnownResources = ReadonlyMap<string, string>

// RFC 3986 §3: scheme ":" "//" authority path [ "?" query ]
const absoluteUri = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]+)([^?#]*)(\?[^#]*)?$/i

/** The form in which a resource is compared, or undefined when the text is not an absolute URI without fragment. */
export function comparableResource(text: string): string | undefined {
  const match = absoluteUri.exec(text)
  if (match === null || !URL.canParse(text)) return undefined
  const [, scheme = '', authority = '', path = '', query = ''] = match
  return `${scheme.toLowerCase()}://${authority.toLowerCase()}${path === '' ? '/' : path}${query}`
}

/** @throws ConfigurationError when one is not an absolute URI without fragment (RFC 8707 §2), or stands twice. */
export function readResources(texts: readonly string[]): KnownResources {
  const known = new Map<string, string>()
  for (const text of texts) {
    const form = comparableResource(text)
    if (form === undefined)
      throw new ConfigurationError(`resources: "${text}" must be an absolute URI without fragment, as in https://api.example.com/mcp`)
    if (known.has(form)) throw new ConfigurationError(`resources has "${text}" twice; remove one`)
    known.set(form, text)
  }
  return known
}

/**
 * The resources to grant: what was asked for, or else what was granted before, or else the only one there is. Without configured resources nobody is
 * asked, and nothing is bound.
 *
 * @throws OAuthError `invalid_target` when something else is asked for than is known, or was granted.
 * @see RFC 8707 §2.1, §2.2
 */
export function grantableResources(requested: readonly string[], known: KnownResources, granted?: readonly string[]): readonly string[] {
  if (known.size === 0) return granted ?? noResources
  const limit = granted === undefined || granted.length === 0 ? undefined : knownAmong(granted, known)
  // What was granted may not be there any more, or be spelt anew in the configuration.
  if (limit?.length === 0) throw invalidTarget()
  if (requested.length === 0) return limit ?? granted ?? (known.size === 1 ? [...known.values()] : [])
  const named = requested.map((text) => known.get(comparableResource(text) ?? ''))
  if (named.some((text) => text === undefined || limit?.includes(text) === false)) throw invalidTarget()
  return knownAmong(requested, known)
}

function knownAmong(texts: readonly string[], known: KnownResources): readonly string[] {
  return [...new Set(texts.flatMap((text) => known.get(comparableResource(text) ?? '') ?? []))]
}

function invalidTarget(): OAuthError {
  return new OAuthError('invalid_target', 'the requested resource is unknown, malformed, or was not granted')
}

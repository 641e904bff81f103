/**
 * Redirection URIs: which may be registered, by the application and by strangers, and when a presented one is a registered one.
 *
 * Browsers repair the URLs that they get, and a repaired URL may lead elsewhere than its text says. So the text is compared with what a URL parser makes of it.
 *
 * @see RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1, RFC 3986 §4.3
 */

// Some programs and some parts of a browser open these by themselves; no client of OAuth answers there.
const neverRedirectedTo = new Set([
  'javascript:', 'data:', 'vbscript:', 'file:', 'blob:', 'about:', 'ftp:', 'ws:', 'wss:', 'mailto:', 'filesystem:', 'view-source:',
]) // prettier-ignore
/** The schemes among them that version 0.1.0 knew. */
const neverRegistered = new Set(['javascript:', 'data:', 'vbscript:', 'file:', 'blob:', 'about:'])
const loopbackHosts = new Set(['127.0.0.1', '[::1]', 'localhost'])

/** Schemes of programs that strangers may register although they have no dot, unless the option `privateUseSchemes` says others. */
export const usualPrivateUseSchemes: readonly string[] = ['cursor', 'vscode', 'vscode-insiders', 'windsurf', 'jetbrains']

/**
 * Why a URI may not be registered; undefined when it may. For a stranger's, the words hold nothing of the URI.
 *
 * @param strangersSchemes For clients that the application has not registered itself: the private-use schemes without a dot that they may have.
 */
export function redirectUriFault(uri: string, strangersSchemes?: ReadonlySet<string>): string | undefined {
  const fault = storedRedirectUriFault(uri)
  if (fault !== undefined) return fault
  const { protocol } = new URL(uri)
  if (neverRedirectedTo.has(protocol)) return `must not use the scheme ${protocol}`
  if (strangersSchemes !== undefined && !isOpenToStrangers(protocol, strangersSchemes)) {
    return 'must be https, http on the loopback, or have a scheme with a dot, or one of the option privateUseSchemes'
  }
  // RFC 3986 §4.3: absolute-URI = scheme ":" hier-part [ "?" query ]; RFC 9110 §4.2.2: https-URI = "https" "://" authority path-abempty [ "?" query ]
  if (readsAsWritten(uri)) return undefined
  return `must be written as a URL parser reads it${strangersSchemes === undefined ? `: "${new URL(uri).href}"` : ''}`
}

/** The same for a client that is registered already: the rules of version 0.1.0. The others are applied to each URI where it is used. */
export function storedRedirectUriFault(uri: string): string | undefined {
  if (!/^[\x21-\x7e]+$/.test(uri)) return 'must be ASCII without spaces'
  const url = URL.canParse(uri) ? new URL(uri) : undefined
  if (url === undefined) return 'must be an absolute URI'
  // RFC 6749 §3.1.2: the endpoint URI must not include a fragment
  if (uri.includes('#')) return 'must not have a fragment'
  if (neverRegistered.has(url.protocol)) return `must not use the scheme ${url.protocol}`
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password'
  if (url.protocol === 'http:' && !loopbackHosts.has(url.hostname)) return 'must be https, unless its host is the loopback'
  return undefined
}

/**
 * Why nobody may be sent to a URI that a request names and no one has registered, in words without the URI; undefined when a browser may be. Whether http
 * and which private-use schemes are allowed is the caller's to say.
 */
export function presentedUriFault(uri: string): string | undefined {
  const { protocol, username, password } = new URL(uri)
  if (neverRedirectedTo.has(protocol)) return 'must not use that scheme'
  if (username !== '' || password !== '') return 'must not hold a user name or password'
  return readsAsWritten(uri) ? undefined : 'must be written as a URL parser reads it'
}

/** RFC 8252 §7.1: a private-use scheme is a domain name in reverse order, so that it has a dot. Others belong to programs that are known by name. */
function isOpenToStrangers(protocol: string, schemes: ReadonlySet<string>): boolean {
  if (protocol === 'https:' || protocol === 'http:') return true
  return protocol.includes('.') || schemes.has(protocol.slice(0, -1))
}

/** Whether the option `privateUseSchemes` may name that scheme. */
export function isPrivateUseScheme(scheme: string): boolean {
  // RFC 3986 §3.1: scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
  return /^[a-z][a-z0-9+.-]*$/.test(scheme) && scheme !== 'https' && scheme !== 'http' && !neverRedirectedTo.has(`${scheme}:`)
}

const parts = /^([a-z][a-z0-9+.-]*:)(\/\/[^/?]*)?([^?]*)(\?.*)?$/i
// Characters of printable ASCII that no path of RFC 3986 has
const noPath = /["<>\\^`{|}]/

/** Whether a URL parser changes no more of the URI than the case of scheme and host, the default port, an empty path, and quotes in a query. */
function readsAsWritten(uri: string): boolean {
  const [, scheme = '', authority, path = '', query = ''] = parts.exec(uri) ?? []
  const protocol = scheme.toLowerCase()
  if (scheme === '' || noPath.test(path)) return false
  const { href } = new URL(uri)
  if (protocol !== 'https:' && protocol !== 'http:') return protocol + uri.slice(scheme.length) === href
  if (authority === undefined || authority === '//') return false
  const host = authority.toLowerCase().replace(protocol === 'https:' ? /:443$/ : /:80$/, '')
  // The apostrophe is a character of RFC 3986 §3.4, and a URL parser escapes it.
  return `${protocol}${host}${path === '' ? '/' : path}${query.replaceAll("'", '%27')}` === href
}

/** What was sent, for an event, where it is visible ASCII: cut where it is long. */
export function sentUri(uri: string): { readonly redirect_uri?: string } {
  return /^[\x21-\x7e]+$/.test(uri) ? { redirect_uri: uri.slice(0, 500) } : {}
}

/** Whether a redirection URI leads to the person's own machine, as URL parsers read it. */
export function isOnLoopback(uri: string): boolean {
  const { protocol, hostname } = new URL(uri)
  return (protocol === 'http:' || protocol === 'https:') && loopbackHosts.has(hostname)
}

/** Whether it is the address of a page that a consent page may link to: never `javascript:`, `data:` and the like. */
export function isWebPage(value: unknown): value is string {
  return typeof value === 'string' && /^https?:\/\/[^/?#\\]/i.test(value) && URL.canParse(value)
}

/** Whether `presented` is the registered URI: byte for byte, but for the port of an http loopback URI (RFC 8252 §7.3). */
export function isRegisteredRedirectUri(presented: string, registered: string): boolean {
  if (presented === registered) return true
  const portless = withoutLoopbackPort(registered)
  return portless !== undefined && portless === withoutLoopbackPort(presented) && URL.canParse(presented)
}

// http://127.0.0.1:49152/callback, http://[::1]/callback, http://localhost:3000/
const loopbackUri = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost))(?::[0-9]{1,5})?((?:\/[^#\\]*)?)$/

function withoutLoopbackPort(uri: string): string | undefined {
  const match = loopbackUri.exec(uri)
  return match === null ? undefined : `${match[1] ?? ''}${match[2] ?? ''}`
}

/**
 * Redirection URIs: what may be registered (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1) and when one that is presented is a registered one.
 */

const neverRedirectedTo = new Set(['javascript:', 'data:', 'vbscript:', 'file:', 'blob:', 'about:'])
const loopbackHosts = new Set(['127.0.0.1', '[::1]', 'localhost'])

/** Why a URI may not be registered, or undefined when it may. */
export function redirectUriFault(uri: string): string | undefined {
  if (!/^[\x21-\x7e]+$/.test(uri)) return 'must be ASCII without spaces'
  const url = URL.canParse(uri) ? new URL(uri) : undefined
  if (url === undefined) return 'must be an absolute URI'
  // RFC 6749 §3.1.2: the endpoint URI must not include a fragment
  if (uri.includes('#')) return 'must not have a fragment'
  if (neverRedirectedTo.has(url.protocol)) return `must not use the scheme ${url.protocol}`
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password'
  if (url.protocol === 'http:' && !loopbackHosts.has(url.hostname)) return 'must be https, unless its host is the loopback'
  return undefined
}

/** Whether it is the address of a page that a consent page may link to: never `javascript:`, `data:` and the like. */
export function isWebPage(value: unknown): boolean {
  return typeof value === 'string' && URL.canParse(value) && ['https:', 'http:'].includes(new URL(value).protocol)
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

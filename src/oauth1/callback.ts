/** Callback URIs (RFC 5849 §2.1, §2.2): what may be one, and how the answer is added to it. */

import { presentedUriFault } from '../clients/redirect-uri.js'

/** The callback of a client that cannot be called back: the user carries the verifier. */
export const outOfBand = 'oob'

const maxCallbackSize = 2000

// RFC 3986 §3.1: scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ); only characters that a URI may have
const absoluteUri = /^([a-z][a-z0-9+.-]*):[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+$/i
const dangerousSchemes = new Set(['javascript', 'data', 'vbscript', 'file', 'blob', 'about', 'view-source'])

/** What is wrong with a callback, in words without the callback; undefined when nothing is. */
export function callbackFault(callback: string): string | undefined {
  if (callback === outOfBand) return undefined
  const scheme = absoluteUri.exec(callback)?.[1]?.toLowerCase()
  if (scheme === undefined || callback.length > maxCallbackSize || !URL.canParse(callback))
    return 'a callback must be an absolute URI or oob'
  if (dangerousSchemes.has(scheme)) return 'a callback must not be a script or a file'
  if (callback.includes('#')) return 'a callback must not have a fragment'
  return undefined
}

// An operating system gives these to programs of its own or of Office, with whatever the URI says: no client is called back there.
const systemSchemes = new Set(['search', 'search-ms', 'shell', 'tel', 'sms', 'telnet', 'ssh', 'ldap', 'ldaps', 'smb', 'jar'])
// The callbacks of Windows Store apps
const schemesOfApps = new Set(['ms-app', 'ms-appx', 'ms-appx-web'])

/**
 * The same for a callback that a request names and the client has not registered (RFC 5849 §4.7): it leads where its text says, and to no program of the
 * operating system. A registered one is the application's to choose.
 */
export function unregisteredCallbackFault(callback: string): string | undefined {
  const fault = callbackFault(callback)
  if (fault !== undefined || callback === outOfBand) return fault
  const scheme = callback.slice(0, callback.indexOf(':')).toLowerCase()
  if (systemSchemes.has(scheme) || (scheme.startsWith('ms-') && !schemesOfApps.has(scheme))) return 'a callback must not use that scheme'
  const uriFault = presentedUriFault(callback)
  return uriFault === undefined ? undefined : `a callback ${uriFault}`
}

/** The callback with parameters added to its query, which is otherwise left as it is. */
export function withQuery(callback: string, parameters: Readonly<Record<string, string>>): string {
  const added = new URLSearchParams(parameters).toString()
  const separator = !callback.includes('?') ? '?' : /[?&]$/.test(callback) ? '' : '&'
  return callback + separator + added
}

/** Callback URIs (RFC 5849 §2.1, §2.2): what may be one, and how the answer is added to it. */

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

/** The callback with parameters added to its query, which is otherwise left as it is. */
export function withQuery(callback: string, parameters: Readonly<Record<string, string>>): string {
  const added = new URLSearchParams(parameters).toString()
  const separator = !callback.includes('?') ? '?' : /[?&]$/.test(callback) ? '' : '&'
  return callback + separator + added
}

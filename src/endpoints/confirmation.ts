/**
 * The proof that a decision was taken on the page that showed the request, in the browser that saw it.
 *
 * 1. The page sets a cookie with a random text that other sites can neither read nor, by its name, set.
 * 2. The page holds `confirmation`: an HMAC of the request under that text. Somebody else's page cannot make it for this browser, and a request
 *    that was changed in between does not fit it.
 * 3. A decision is a same-origin POST that brings both.
 * 4. `agreement` beside it ties the package's own page to the person who was logged in, and to the scope that the page named.
 *
 * No server key and no record are needed, so it works on any number of machines.
 */
import { headerValue, headerValues, isSecure, type Form, type ProtocolRequest } from '../protocol.js'
import type { Scope } from '../scope.js'
import { equalInConstantTime, hmacSha256, randomText, secretSize } from '../secrets.js'

/** The browser's text, and the header that sets it where it had none. */
export interface BrowserSecret {
  readonly secret: string
  readonly setCookie: string | undefined
}

// A `__Host-` cookie is set over https by this host alone. Over plain http, in development, there is none.
function cookieName(request: ProtocolRequest): string {
  return isSecure(request) ? '__Host-oauth2-confirmation' : 'oauth2-confirmation'
}

/** The browser's text from its cookie, or a new one. */
export function browserSecret(request: ProtocolRequest): BrowserSecret {
  const known = knownSecret(request)
  if (known !== undefined) return { secret: known, setCookie: undefined }
  const secret = randomText(secretSize)
  const name = cookieName(request)
  return { secret, setCookie: `${name}=${secret}; Path=/; HttpOnly; SameSite=Lax${isSecure(request) ? '; Secure' : ''}` }
}

function knownSecret(request: ProtocolRequest): string | undefined {
  const name = cookieName(request)
  const cookies = headerValues(request.headers, 'cookie').flatMap((header) => header.split(';'))
  const values = cookies.map((pair) => pair.trim()).filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1)) // prettier-ignore
  return values.find((value) => /^[A-Za-z0-9_-]{43}$/.test(value))
}

/** What the page has to send back. */
export function confirmationOf(form: Form, secret: string): string {
  const pairs = Object.entries(form.parameters).sort(([a], [b]) => (a < b ? -1 : 1))
  return hmacSha256(secret, JSON.stringify([pairs, form.resource]))
}

/** Whether a POST was sent by the page that showed this request, to this browser. */
export function isConfirmed(request: ProtocolRequest, form: Form, confirmation: string | undefined): boolean {
  const secret = knownSecret(request)
  if (secret === undefined || confirmation === undefined || !isSameOrigin(request)) return false
  return equalInConstantTime(confirmationOf(form, secret), confirmation)
}

/** What the package's own page says, and to whom it was shown. A page of the application's own, which knows both, leaves it out. */
export function agreementOf(confirmation: string, { subject, scope }: { subject: string; scope: Scope }, secret: string): string {
  return hmacSha256(secret, JSON.stringify([confirmation, subject, scope]))
}

/** Whether a decision still is the one that the page was shown for. */
export function isSameAgreement(expected: string, answered: string | undefined): boolean {
  return answered === undefined || equalInConstantTime(expected, answered)
}

/** Browsers say where a POST comes from; what says nothing still has to bring the confirmation. */
function isSameOrigin({ headers }: ProtocolRequest): boolean {
  const site = headerValue(headers, 'sec-fetch-site')
  if (site !== undefined) return site === 'same-origin'
  const origin = headerValue(headers, 'origin')
  // Where no-referrer is the policy, as on our pages, browsers send the origin `null`: it says nothing.
  if (origin === undefined || origin === 'null') return true
  return URL.canParse(origin) && new URL(origin).host === headerValue(headers, 'host')
}

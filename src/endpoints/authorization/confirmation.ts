/**
 * The proof that a decision was taken on a page that showed the request, in the browser that saw it.
 *
 * 1. The page sets a cookie with a random text that other sites can neither read nor, by its name, set.
 * 2. The page holds `confirmation`: an HMAC of the request and its redirection URI under that text. Another site cannot make it for this browser, and a request
 *    that was changed in between does not fit it. A page of the application gets another confirmation than the package's own page prints.
 * 3. A decision is a same-origin POST that brings both.
 * 4. `agreement` beside it ties the package's own page to the person who was logged in, and to the scope that the page named. That page cannot do without:
 *    its confirmation does not count alone. A page of the application knows both and needs none.
 *
 * No server key and no record are needed, so it works on any number of machines.
 */
import { headerValue, headerValues, isSecure, type Form, type Parameters, type ProtocolRequest } from '../../http/message.js'
import type { Scope } from '../../authorization/scope.js'
import { equalInConstantTime, hmacSha256, randomText, secretSize } from '../../secrets.js'

/** The browser's text, and the header that sets it where it had none. */
export interface BrowserSecret {
  readonly secret: string
  readonly setCookie: string | undefined
}

/** The browser's text from its cookie, or a new one. A cookie that is there is kept: other pages of this browser were made with it. */
export function browserSecret(request: ProtocolRequest): BrowserSecret {
  const known = knownSecret(request)
  if (known !== undefined) return { secret: known, setCookie: undefined }
  const secret = randomText(secretSize)
  return { secret, setCookie: cookie(request, 'oauth2-confirmation', secret) }
}

function knownSecret(request: ProtocolRequest): string | undefined {
  const value = cookieValue(request, 'oauth2-confirmation')
  return value !== undefined && /^[A-Za-z0-9_-]{43}$/.test(value) ? value : undefined
}

/** The cookie that lets the next page say that an answer was not confirmed. Anybody may set it: it changes nothing else. */
export function markAskedAgain(request: ProtocolRequest): string {
  return `${cookie(request, 'oauth2-asked-again', '1')}; Max-Age=60`
}

/** Whether that cookie is there, and the header that takes it away. */
export function askedAgain(request: ProtocolRequest): string | undefined {
  return cookieValue(request, 'oauth2-asked-again') === '1' ? `${cookie(request, 'oauth2-asked-again', '')}; Max-Age=0` : undefined
}

// A `__Host-` cookie is set over https by this host alone. Over plain http, in development, there is none.
function cookieName(request: ProtocolRequest, name: string): string {
  return isSecure(request) ? `__Host-${name}` : name
}

function cookie(request: ProtocolRequest, name: string, value: string): string {
  return `${cookieName(request, name)}=${value}; Path=/; HttpOnly; SameSite=Lax${isSecure(request) ? '; Secure' : ''}`
}

/** The value of a cookie; undefined when there is none of that name, or more than one: then nobody can say which is ours. */
function cookieValue(request: ProtocolRequest, name: string): string | undefined {
  const start = `${cookieName(request, name)}=`
  // RFC 6265 §4.2.1: cookie-string = cookie-pair *( ";" SP cookie-pair ). Only SP and HTAB are space: header bytes are read as Latin-1, so that the byte A0
  // before a name is U+00A0, and the name is another one, which any host of the domain may set.
  const pairs = headerValues(request.headers, 'cookie').flatMap((header) => header.split(';'))
  const values = pairs.map((pair) => pair.replace(/^[ \t]+|[ \t]+$/g, '')).filter((pair) => pair.startsWith(start))
  return values.length === 1 ? values[0]?.slice(start.length) : undefined
}

/** What a decision is about: a request, and where its answer goes. */
export interface ShownRequest {
  readonly form: Form
  /** The one that counts: a request may leave it out, and the client may register another one meanwhile. */
  readonly redirect_uri: string
}

/** What a page of the application has to send back. */
export function confirmationOf({ form, redirect_uri }: ShownRequest, secret: string): string {
  const pairs = Object.entries(form.parameters).sort(([a], [b]) => (a < b ? -1 : 1))
  return hmacSha256(secret, JSON.stringify([pairs, form.resource, redirect_uri]))
}

/** What the package's own page has to send back, beside its agreement. */
export function ownConfirmationOf(confirmation: string, secret: string): string {
  return hmacSha256(secret, JSON.stringify(['page of the package', confirmation]))
}

/** What the package's own page says, and to whom it was shown. */
export function agreementOf(confirmation: string, { subject, scope }: { subject: string; scope: Scope }, secret: string): string {
  return hmacSha256(secret, JSON.stringify([confirmation, subject, scope]))
}

/** Which page a decision comes from. */
export type DecidingPage = 'of the package' | 'of the application'

/** The page that showed this request to this browser and sent the POST; undefined where none did. */
export function decidingPage(
  request: ProtocolRequest,
  shown: ShownRequest,
  { confirmation }: Parameters,
  issuer: string | undefined,
): DecidingPage | undefined {
  const secret = knownSecret(request)
  if (secret === undefined || confirmation === undefined || !isSameOrigin(request, issuer)) return undefined
  const expected = confirmationOf(shown, secret)
  if (equalInConstantTime(expected, confirmation)) return 'of the application'
  return equalInConstantTime(ownConfirmationOf(expected, secret), confirmation) ? 'of the package' : undefined
}

/** Whether a decision on the package's own page still is the one that the page was shown for. */
export function isSameAgreement(expected: string, answered: string | undefined): boolean {
  return answered !== undefined && equalInConstantTime(expected, answered)
}

/** Browsers say where a POST comes from. */
function isSameOrigin(request: ProtocolRequest, issuer: string | undefined): boolean {
  const { headers } = request
  const site = headerValue(headers, 'sec-fetch-site')
  if (site !== undefined) return site === 'same-origin'
  const origin = headerValue(headers, 'origin')
  // Where no-referrer is the policy, as on our pages, browsers send the origin `null`, for our form as for that of another site, and old ones send none. Then
  // the confirmation alone decides, and it suffices: it is made under the text of a cookie that no other host can read, set (`__Host-`) or make a browser
  // repeat under its name, and another site cannot read our page or frame it.
  if (origin === undefined || origin === 'null') return true
  if (!URL.canParse(origin)) return false
  const { protocol, host, origin: serialized } = new URL(origin)
  // The public address is ours as well, where a proxy rewrites Host.
  if (issuer !== undefined && serialized === new URL(issuer).origin) return true
  if (isSecure(request) && protocol !== 'https:') return false
  // RFC 9110 §7.2: Host = uri-host [ ":" port ]; the port may be the default one
  const arrived = `${protocol}//${headerValue(headers, 'host') ?? ''}`
  return /^https?:\/\/[^/?#@\\]+$/.test(arrived) && URL.canParse(arrived) && new URL(arrived).host === host
}

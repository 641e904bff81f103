/**
 * Requests that a browser sends for a page of another site. A form, and a `fetch` without CORS, needs no permission, so any page could send them from the
 * address of whoever visits it.
 *
 * Such a page is no client, unless the option `cors` names its origin. Its request is refused before anything is read, looked up or counted.
 *
 * At the authorization endpoint a page of another site may send its visitor, and nobody else is a visitor: not an image or a `fetch` of that page, and not a page
 * that the browser loads ahead. A frame of that page may be silent authentication (`prompt=none`), which needs nothing that is not known already.
 *
 * @see W3C Fetch Metadata Request Headers §2.1 to §2.3, WHATWG Fetch `Sec-Purpose`
 */
import type { CorsPolicy } from './cors.js'
import { InvalidRequest } from '../errors.js'
import { headerValue, type HeaderFields } from './message.js'

/**
 * @throws InvalidRequest for a request of a page that may not call. RFC 6749 §5.2 has one status for whatever is wrong with a request that is not about the
 *   client's credentials: 400.
 */
export function assertNoForeignPage(headers: HeaderFields, cors: CorsPolicy | undefined): void {
  const site = headerValue(headers, 'sec-fetch-site')
  // `same-origin` is a page of ours, `none` the person, and without the header it is no browser that says so.
  if (site === undefined || site === 'same-origin' || site === 'none') return
  const origins = cors?.origins
  if (origins === '*' || origins?.has(headerValue(headers, 'origin') ?? '') === true) return
  throw new InvalidRequest('a page of another site may not call this endpoint', {
    reason: 'a browser sent it for a page that the option cors does not name',
  })
}

function isForeign(headers: HeaderFields): boolean {
  const site = headerValue(headers, 'sec-fetch-site')
  return site === 'cross-site' || site === 'same-site'
}

/** @throws InvalidRequest for a request to the authorization endpoint that nobody made who visits it: it must cause no fetch, and use up nothing. */
export function assertVisit(headers: HeaderFields): void {
  if (isForeign(headers) && (headerValue(headers, 'sec-fetch-mode') ?? 'navigate') !== 'navigate') {
    throw noVisit('a page of another site asked without opening it')
  }
  // A browser that is refused here asks again when the person goes there.
  if (/\bprefetch\b/i.test(headerValue(headers, 'sec-purpose') ?? '')) throw noVisit('a browser loaded the page ahead')
}

function noVisit(reason: string): InvalidRequest {
  return new InvalidRequest('the authorization endpoint must be opened as a page', { reason })
}

/** Whether a page of another site asks in a frame, of which it may have any number. No page of ours is shown there. */
export function isForeignFrame(headers: HeaderFields): boolean {
  return isForeign(headers) && (headerValue(headers, 'sec-fetch-dest') ?? 'document') !== 'document'
}

/** Whether the browser says that it asks for a frame: the address that it shows to the person stays, wherever the answer leads. */
export function isFrame(headers: HeaderFields): boolean {
  return headerValue(headers, 'sec-fetch-dest') === 'iframe'
}

/**
 * Requests that a browser sends for a page of another site. A form, and a `fetch` without CORS, needs no permission, so any page could send them from the
 * address of whoever visits it.
 *
 * Such a page is no client, unless the option `cors` names its origin. Its request is refused before anything is read, looked up or counted.
 *
 * @see W3C Fetch Metadata Request Headers §2.3
 */
import type { CorsPolicy } from './cors.js'
import { InvalidRequest } from './errors.js'
import { headerValue, type HeaderFields } from './protocol.js'

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

/**
 * A plain request as an application hands it over, made into the form in which the core reads it. Its types may be unchecked, as in JavaScript.
 *
 * The functions without a framework begin with it. The handlers make their requests themselves.
 */
import { ConfigurationError } from '../errors.js'
import { kindOf } from '../option-checks/reader.js'
import type { HeaderFields, ProtocolRequest } from './message.js'

/**
 * The request with its method in upper case, as `fetch` sends it, and with its header fields as a plain object.
 *
 * @throws ConfigurationError for a body that is still to be read, and for headers in a form that is not known.
 */
export function receivedRequest(request: ProtocolRequest): ProtocolRequest {
  if (typeof request !== 'object' || (request as unknown) === null)
    throw new ConfigurationError(`the request must be an object { url, method, headers, body }, not ${kindOf(request)}`)
  const { url, method, headers, body } = request as Readonly<Partial<Record<keyof ProtocolRequest, unknown>>>
  assertReadableBody(body)
  const text = url instanceof URL ? url.href : url
  const upper = typeof method === 'string' ? method.toUpperCase() : ''
  const fields = headerFields(headers)
  if (text === url && upper === method && fields === headers && typeof text === 'string') return request
  const { address, context, rawBody, secure, startedAt } = request
  const known = { ...(address === undefined ? {} : { address }), context, rawBody, secure, startedAt }
  return { ...known, url: typeof text === 'string' ? text : '', method: upper, headers: fields, body }
}

function headerFields(headers: unknown): HeaderFields {
  if (headers === undefined || headers === null) return {}
  if (headers instanceof Headers || headers instanceof Map) return Object.fromEntries(headers as Iterable<[string, string]>)
  if (Array.isArray(headers) || typeof headers !== 'object' || typeof (headers as { entries?: unknown }).entries === 'function') {
    throw new ConfigurationError(
      `the request's headers must be a plain object, as in { 'content-type': … }, or a Headers object, not ${kindOf(headers)} of another kind`,
    )
  }
  return headers as HeaderFields
}

function assertReadableBody(body: unknown): void {
  if (typeof body !== 'object' || body === null) return
  const { getReader, arrayBuffer, pipe } = body as { getReader?: unknown; arrayBuffer?: unknown; pipe?: unknown }
  if ([getReader, arrayBuffer, pipe].some((member) => typeof member === 'function'))
    throw new ConfigurationError(
      "the request's body must be text, bytes or the parameters of a form, not a stream: pass await request.text()",
    )
}

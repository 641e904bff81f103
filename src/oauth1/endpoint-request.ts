/** What both credential endpoints accept before they look at credentials: POST and GET, and a form body within the limit. */
import { InvalidRequest } from '../errors.js'
import type { ProtocolRequest, ReceivedRequest } from '../protocol.js'
import type { OAuth1Configuration } from './options.js'
import { readFormBody } from './parameters.js'

/**
 * The request with its form body read.
 *
 * @throws InvalidRequest with status 400, 405, 413 or 415.
 */
export async function acceptEndpointRequest(
  request: ProtocolRequest,
  endpoint: string,
  { maxBodySize }: OAuth1Configuration,
): Promise<ReceivedRequest> {
  // In any case, as fetch takes it; from JavaScript it may be missing.
  const { method: given } = request as { readonly method?: unknown }
  const method = typeof given === 'string' ? given.toUpperCase() : undefined
  // RFC 5849 §2.1, §2.3 name POST; several clients use GET
  if (method !== 'POST' && method !== 'GET') {
    throw new InvalidRequest(`the ${endpoint} endpoint answers GET and POST only`, { status: 405, allow: 'GET, POST' })
  }
  const { body: _body, context: _context, ...rest } = request
  return { ...rest, method, form: await readFormBody(request, maxBodySize) }
}

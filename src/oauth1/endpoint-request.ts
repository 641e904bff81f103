/** What both credential endpoints accept before they look at credentials: POST and GET, and a form body within the limit. */
import { InvalidRequest } from '../errors.js'
import type { ProtocolRequest, ReceivedRequest } from '../http/message.js'
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
  const method = readMethod(request)
  // RFC 5849 §2.1, §2.3 name POST; several clients use GET
  if (method === undefined) {
    throw new InvalidRequest(`the ${endpoint} endpoint answers GET and POST only`, { status: 405, allow: 'GET, POST' })
  }
  const { body: _body, context: _context, ...rest } = request
  return { ...rest, method, form: await readFormBody(request, maxBodySize) }
}

/** In any case, as fetch takes it. From JavaScript it may be missing. */
function readMethod({ method }: { readonly method?: unknown }): 'GET' | 'POST' | undefined {
  // Without the flag u, so that no letter outside ASCII is taken for one inside.
  if (typeof method !== 'string') return undefined
  return /^post$/i.test(method) ? 'POST' : /^get$/i.test(method) ? 'GET' : undefined
}

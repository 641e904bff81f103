/**
 * Responses in the form of OAuth 1: `application/x-www-form-urlencoded`, and an empty 401 with a challenge (RFC 5849 §3.2).
 */
import { OAuthError, type OAuthErrorDetails } from '../errors.js'
import { reportRefusal, type RefusedRequest } from '../events/refusals.js'
import type { ProtocolResponse } from '../http/message.js'
import type { OAuth1Configuration } from './options.js'

const noStore = Object.freeze({ 'Cache-Control': 'no-store', Pragma: 'no-cache' })
const formHeaders = Object.freeze({ 'Content-Type': 'application/x-www-form-urlencoded', ...noStore })

/** A 200 with members in the order given. */
export function formResponse(members: Readonly<Record<string, string>>): ProtocolResponse {
  return { status: 200, headers: formHeaders, body: new URLSearchParams(members).toString() }
}

/** The refusal that says nothing: which of client, token, signature, nonce or verifier was wrong is for the event. */
export function unauthorized(
  { realm }: Pick<OAuth1Configuration, 'realm'>,
  reason: string,
  client?: { readonly client_id: string },
): OAuthError {
  // RFC 9110 §5.6.4: quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
  const challenge = `OAuth realm="${realm.replaceAll(/["\\]/g, '\\$&')}"`
  return new OAuthError('invalid_token', 'the request is not authorized', { status: 401, challenge, reason, ...factsOf(client) })
}

/** The client is named in the event as soon as it is known to exist; never before, where it may be any text. */
export function factsOf(client: { readonly client_id: string } | undefined): Pick<OAuthErrorDetails, 'facts'> {
  return { facts: client === undefined ? {} : { client_id: client.client_id } }
}

/** Reports a refusal or a failure, and renders it. */
export function refuse(
  configuration: Pick<OAuth1Configuration, 'emit'>,
  endpoint: string,
  thrown: unknown,
  about?: RefusedRequest,
): ProtocolResponse {
  return renderRefusal(reportRefusal(configuration, endpoint, thrown, about))
}

function renderRefusal(error: OAuthError): ProtocolResponse {
  const { status, challenge, allow, retryAfter } = error
  const extra = {
    ...(challenge === undefined ? {} : { 'WWW-Authenticate': challenge }),
    ...(allow === undefined ? {} : { Allow: allow }),
    ...(retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) }),
  }
  if (status === 401) return { status, headers: { ...noStore, ...extra }, body: '' }
  const body = new URLSearchParams({ error: error.error, error_description: error.description }).toString()
  return { status, body, headers: { ...formHeaders, ...extra } }
}

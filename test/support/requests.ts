/**
 * A request to the token endpoint that succeeds, differences from it, and the refusals that tests expect.
 */
import { createTokenResponse, type ProtocolRequest, type ProtocolResponse, type ServerOptions } from '../../src/index.js'
import { basic, machine, parsed, testServer, type JsonResponse } from './server.js'

export const formType = 'application/x-www-form-urlencoded'

/** The headers of every JSON response (RFC 6749 §5.1). */
export const noStore = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache' } as const

/** `machine` asks for client credentials with the scope `read`, but for the differences. */
export function tokenRequest(differences: Partial<ProtocolRequest> = {}): ProtocolRequest {
  return {
    url: 'https://server.example/oauth2/token',
    method: 'POST',
    headers: { authorization: basic(machine).authorization, 'content-type': formType },
    body: 'grant_type=client_credentials&scope=read',
    ...differences,
  }
}

/** What a fresh test server answers to {@link tokenRequest}. */
export async function respond(differences: Partial<ProtocolRequest> = {}, options: ServerOptions = {}): Promise<JsonResponse> {
  return parsed(await createTokenResponse(testServer(options).options, tokenRequest(differences)))
}

/** The same for another body. */
export function respondTo(body: unknown, options?: ServerOptions): Promise<JsonResponse> {
  return respond({ body }, options)
}

/** An error response, whole. */
export function refusal(error: string, error_description: string, status = 400): ProtocolResponse {
  return { status, headers: noStore, body: JSON.stringify({ error, error_description }) }
}

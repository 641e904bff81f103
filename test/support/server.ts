/**
 * A server for tests: its options, a clock that the test sets, the events it told, and requests to it without HTTP.
 */
import { createHash } from 'node:crypto'
import {
  createIntrospectionResponse,
  createRevocationResponse,
  createTokenResponse,
  issueAuthorizationCode,
  type AuthorizationCodeRequest,
  type ClientMetadata,
  type ProtocolRequest,
  type ProtocolResponse,
  type ServerEvent,
  type ServerOptions,
} from '../../src/index.js'

export const redirect_uri = 'https://client.example/callback'

/** A confidential client for codes and refresh tokens, a machine, and a public client. */
export const web = {
  client_id: 'web',
  client_secret: 'web-secret-0123456789abcdef',
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: [redirect_uri],
} as const satisfies ClientMetadata

export const machine = {
  client_id: 'machine',
  client_secret: 'machine-secret-0123456789abcdef',
  grant_types: ['client_credentials'],
} as const satisfies ClientMetadata

export const native = {
  client_id: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: [redirect_uri],
} as const satisfies ClientMetadata

/** A verifier of RFC 7636 Appendix B and its challenge. */
export const code_verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
export const code_challenge = createHash('sha256').update(code_verifier).digest('base64url')

/** The instant at which the clock of a test server starts. */
export const start = 4_000_000_000

export interface TestServer {
  readonly options: ServerOptions
  readonly events: ServerEvent[]
  /** Seconds since the epoch; set it to travel. */
  now: number
  /** A POST of a form to the token endpoint over https. */
  token(form: Form, headers?: Record<string, string>): Promise<JsonResponse>
  revoke(form: Form, headers?: Record<string, string>): Promise<JsonResponse>
  introspect(form: Form, headers?: Record<string, string>): Promise<JsonResponse>
  /** A code for `web`, with PKCE, for the subject `alice`. */
  code(request?: Partial<AuthorizationCodeRequest>): Promise<string>
  /** Exchanges a new code of `web` (or of the client given) and returns the members of the response. */
  tokens(request?: Partial<AuthorizationCodeRequest>): Promise<Tokens>
  refresh(refresh_token: string, extra?: Record<string, string>): Promise<JsonResponse>
}

export type Form = Readonly<Record<string, string>> | string

export interface JsonResponse extends ProtocolResponse {
  /** The body, parsed; undefined when it is empty. */
  readonly json: Record<string, unknown> & Partial<Tokens> & { error?: string; error_description?: string }
}

export interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly token_type: string
  readonly expires_in: number
  readonly scope: string
}

/** A server with {@link web}, {@link machine} and {@link native}, the scopes `read`, `write` and `admin`, and a clock at {@link start}. */
export function testServer(options: ServerOptions = {}): TestServer {
  const events: ServerEvent[] = []
  const server: TestServer = {
    options: {
      clients: [web, machine, native],
      scopes: ['read', 'write', 'admin'],
      clock: () => server.now,
      onEvent: (event) => events.push(event),
      ...options,
    },
    events,
    now: start,
    token: async (form, headers) => parsed(await createTokenResponse(server.options, formRequest(form, headers))),
    revoke: async (form, headers) => parsed(await createRevocationResponse(server.options, formRequest(form, headers))),
    introspect: async (form, headers) => parsed(await createIntrospectionResponse(server.options, formRequest(form, headers))),
    code: (request = {}) =>
      issueAuthorizationCode(server.options, {
        client_id: 'web',
        redirect_uri,
        subject: 'alice',
        code_challenge,
        code_challenge_method: 'S256',
        ...request,
      }),
    async tokens(request = {}) {
      const code = await server.code(request)
      const response = await server.token({ ...exchange(code), ...clientForm(request.client_id) }, clientHeaders(request.client_id))
      if (response.status !== 200) throw new Error(`the code exchange failed: ${response.body}`)
      return response.json as unknown as Tokens
    },
    refresh: (refresh_token, extra = {}) => server.token({ grant_type: 'refresh_token', refresh_token, ...extra }, basic(web)),
  }
  return server
}

/** The form that redeems a code of {@link TestServer.code}. */
export function exchange(code: string): Record<string, string> {
  return { grant_type: 'authorization_code', code, redirect_uri, code_verifier }
}

/** A Basic header for a client, form-encoded as RFC 6749 §2.3.1 wants it. */
export function basic({ client_id, client_secret }: { client_id: string; client_secret: string }): { authorization: string } {
  const encoded = [client_id, client_secret].map((text) => encodeURIComponent(text).replaceAll('%20', '+'))
  return { authorization: `Basic ${Buffer.from(encoded.join(':')).toString('base64')}` }
}

/** A POST of a form over https, for `create…Response`. */
export function formRequest(form: Form, headers: Record<string, string> = {}): ProtocolRequest {
  return {
    url: 'https://server.example/oauth2/token',
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
  }
}

/** A response with its JSON body parsed. */
export function parsed(response: ProtocolResponse): JsonResponse {
  const json = (response.body === '' ? {} : JSON.parse(response.body)) as JsonResponse['json']
  return { ...response, json }
}

function clientForm(client_id: string | undefined): Record<string, string> {
  return client_id === 'native' ? { client_id } : {}
}

function clientHeaders(client_id = 'web'): Record<string, string> {
  return client_id === 'native' ? {} : basic({ client_id, client_secret: `${client_id}-secret-0123456789abcdef` })
}

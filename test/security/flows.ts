/**
 * Every flow that asks a store for something: what it needs beforehand, the request, the calls it makes, and what a client that did
 * not get the answer finds when it tries again.
 */
import { createServer } from 'node:http'
import supertest from 'supertest'
import {
  authorizationCode,
  clientCredentials,
  OAuthError,
  refreshToken,
  requireAccessToken,
  type ClientMetadata,
  type ServerOptions,
} from '../../src/index.js'
import { basic, exchange, machine, native, web, type JsonResponse, type TestServer } from '../support/server.js'
import { ticketGrant } from './races.js'

/** A client that may ask about every access token, and one that presents tickets. */
export const auditor = { client_id: 'auditor', client_secret: 'auditor-secret-0123456789abcdef', introspect: true, grant_types: [] }
const box = { client_id: 'box', client_secret: 'box-secret-0123456789abcdef', grant_types: [ticketGrant.type] }

/** The clients of every flow. */
export const clients: readonly ClientMetadata[] = [web, machine, native, auditor]

export type Outcome = 'success' | 'temporarily_unavailable' | 'invalid_grant' | (string & {})

export interface FlowAnswer {
  readonly outcome: Outcome
  /** Everything that was answered, as text. */
  readonly text: string
  readonly retryAfter?: string | undefined
  readonly access_token?: string | undefined
  readonly refresh_token?: string | undefined
}

export interface Flow {
  readonly title: string
  readonly options?: ServerOptions
  /** Whether its client is the public one. */
  readonly isPublic?: boolean
  /** What must exist before: returns the credential that the request presents. */
  readonly prepare: (server: TestServer) => Promise<string>
  readonly request: (server: TestServer, credential: string) => Promise<FlowAnswer>
  /** The calls of the store that the request makes when nothing goes wrong. */
  readonly calls: readonly string[]
  /** The answer when nothing goes wrong. Default: success. */
  readonly answer?: Outcome
  /** The answer to the same request after one whose outcome was lost in `call`, by whether that call took effect. */
  readonly retry: (tookEffect: boolean, call: number) => Outcome
  /** Whether everything of the Authorization is at its end after the retry. */
  readonly ends?: (tookEffect: boolean) => boolean
}

function answered({ status, body, headers, json }: JsonResponse): FlowAnswer {
  const { access_token, refresh_token, error } = json
  const text = JSON.stringify([status, headers, body])
  const outcome = status === 200 ? (json.active === false ? 'inactive' : 'success') : (error ?? `status ${status}`)
  return { outcome, text, retryAfter: headers['Retry-After'], access_token, refresh_token }
}

async function issueCode(server: TestServer): Promise<FlowAnswer> {
  try {
    await server.code()
    return { outcome: 'success', text: '' }
  } catch (thrown) {
    if (!(thrown instanceof OAuthError)) throw thrown
    return { outcome: thrown.error, text: thrown.description, retryAfter: String(thrown.retryAfter) }
  }
}

async function passGuard(server: TestServer, token: string): Promise<FlowAnswer> {
  const guard = requireAccessToken(server.options)
  const app = createServer((req, res) => guard(req, res, () => res.end('{}')))
  const { status, text, headers, body } = await supertest(app).get('/').set('Authorization', `Bearer ${token}`)
  return { outcome: status === 200 ? 'success' : body.error, text, retryAfter: headers['retry-after'] }
}

const redeem = async (server: TestServer, code: string) => answered(await server.token(exchange(code), basic(web)))
const refresh = async (server: TestServer, text: string) => answered(await server.refresh(text))
const revoke = async (server: TestServer, token: string) => answered(await server.revoke({ token }, basic(web)))
const introspect = async (server: TestServer, token: string) => answered(await server.introspect({ token }, basic(web)))
const ended = (tookEffect: boolean): Outcome => (tookEffect ? 'invalid_grant' : 'success')
const success = (): Outcome => 'success'

const firstRefreshToken = async (server: TestServer) => (await server.tokens()).refresh_token
const firstAccessToken = async (server: TestServer) => (await server.tokens()).access_token

const wrongVerifier = { code_verifier: 'x'.repeat(43) }
const readThenWrite = ['get', 'replace']

export const flows: readonly Flow[] = [
  { title: 'the issue of a code', prepare: async () => '', request: issueCode, calls: ['create'], retry: success },
  {
    title: 'a code exchange',
    prepare: (server) => server.code(),
    request: redeem,
    calls: readThenWrite,
    // The tokens of a lost answer were received by nobody, and the retry ends them.
    retry: ended,
    ends: (tookEffect) => tookEffect,
  },
  {
    title: 'a code exchange with a wrong verifier',
    prepare: (server) => server.code(),
    request: async (server, code) => answered(await server.token({ ...exchange(code), ...wrongVerifier }, basic(web))),
    calls: readThenWrite,
    answer: 'invalid_grant',
    retry: () => 'invalid_grant',
  },
  {
    title: 'a replay of a code',
    prepare: async (server) => {
      const code = await server.code()
      await server.token(exchange(code), basic(web))
      return code
    },
    request: redeem,
    calls: readThenWrite,
    answer: 'invalid_grant',
    retry: () => 'invalid_grant',
    ends: () => true,
  },
  { title: 'a refresh with rotation', prepare: firstRefreshToken, request: refresh, calls: readThenWrite, retry: success },
  {
    title: 'a refresh with rotation by a public client',
    isPublic: true,
    prepare: async (server) => (await server.tokens({ client_id: 'native' })).refresh_token,
    request: async (server, refresh_token) =>
      answered(await server.token({ grant_type: 'refresh_token', refresh_token, client_id: native.client_id })),
    calls: readThenWrite,
    retry: success,
  },
  {
    title: 'a refresh without rotation',
    options: { rotateRefreshTokens: false },
    prepare: firstRefreshToken,
    request: refresh,
    calls: readThenWrite,
    retry: success,
  },
  {
    title: 'a refresh in strict mode',
    options: { refreshRetryWindow: 0 },
    prepare: firstRefreshToken,
    request: refresh,
    calls: readThenWrite,
    retry: ended,
    ends: (tookEffect) => tookEffect,
  },
  {
    title: 'a retried refresh',
    prepare: async (server) => {
      const { refresh_token } = await server.tokens()
      await server.refresh(refresh_token)
      return refresh_token
    },
    request: refresh,
    calls: ['get'],
    retry: success,
  },
  {
    title: 'a retried refresh for less scope',
    prepare: async (server) => {
      const { refresh_token } = await server.tokens()
      await server.refresh(refresh_token)
      return refresh_token
    },
    request: async (server, text) => answered(await server.refresh(text, { scope: 'read' })),
    calls: readThenWrite,
    retry: success,
  },
  {
    title: 'client credentials',
    prepare: async () => '',
    request: async (server) => answered(await server.token({ grant_type: 'client_credentials' }, basic(machine))),
    calls: ['create'],
    retry: success,
  },
  {
    title: 'the revocation of a refresh token',
    prepare: firstRefreshToken,
    request: revoke,
    calls: readThenWrite,
    retry: success,
    ends: () => true,
  },
  { title: 'the revocation of an access token', prepare: firstAccessToken, request: revoke, calls: readThenWrite, retry: success },
  { title: 'the introspection of an access token', prepare: firstAccessToken, request: introspect, calls: ['get'], retry: success },
  { title: 'the introspection of a refresh token', prepare: firstRefreshToken, request: introspect, calls: ['get'], retry: success },
  { title: 'the guard of a resource', prepare: firstAccessToken, request: passGuard, calls: ['get'], retry: success },
  {
    title: 'a custom grant with claimOnce',
    options: { clients: [...clients, box], grants: [authorizationCode(), refreshToken(), clientCredentials(), ticketGrant] },
    prepare: async () => 'ticket-1',
    request: async (server, ticket) => answered(await server.token({ grant_type: ticketGrant.type, ticket }, basic(box))),
    calls: ['get', 'create', 'create'],
    // The ticket is a proof that was shown: it is spent as soon as it was claimed, whatever becomes of the tokens.
    retry: (tookEffect, call) => ended(tookEffect || call === 3),
  },
]

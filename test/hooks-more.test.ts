/** The application's rules at refresh (G13, G14), and grants of its own that refuse (G10), where hooks.test.ts does not go. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  createTokenResponse,
  InvalidClient,
  InvalidGrant,
  InvalidRequest,
  InvalidScope,
  OAuthError,
  refreshToken,
  UnauthorizedClient,
  UnsupportedGrantType,
  type DecidedRequest,
  type Grant,
  type Scope,
} from '../src/index.js'
import { basic, formRequest, machine, testServer, web } from './support/server.js'
import { invalidScope, isActive, recordOf, storedServer } from './support/stored.js'

beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterAll(() => {
  jest.restoreAllMocks()
})

describe('rules at refresh', () => {
  test.each(['checkScope', 'authorize'] as const)(
    'G13 %s narrows at refresh alone, by grant_type, and the next refresh is judged anew',
    async (rule) => {
      const asked: DecidedRequest[] = []
      let left: Scope | undefined = ['read']
      const server = testServer({
        [rule]: (request: DecidedRequest) => {
          asked.push(request)
          return request.grant_type === 'refresh_token' ? left : undefined
        },
      })
      const first = await server.tokens({ scope: 'read write' })
      expect(first.scope).toBe('read write')
      const { json } = await server.refresh(first.refresh_token)
      expect(json.scope).toBe('read')
      expect(await server.introspect({ token: json.access_token ?? '' }, basic(web))).toMatchObject({ json: { scope: 'read' } })
      // RFC 6749 §6: the refresh token keeps its full scope.
      expect(await server.introspect({ token: json.refresh_token ?? '' }, basic(web))).toMatchObject({ json: { scope: 'read write' } })
      left = undefined
      expect((await server.refresh(json.refresh_token ?? '')).json.scope).toBe('read write')
      expect(asked.map(({ grant_type, scope }) => [grant_type, scope])).toEqual([
        ['authorization_code', ['read', 'write']],
        ['refresh_token', ['read', 'write']],
        ['refresh_token', ['read', 'write']],
      ])
    },
  )

  test('G13 both narrow, one after the other, within what the request asks for', async () => {
    const seen: Scope[] = []
    const server = testServer({
      checkScope: ({ scope }) => scope.filter((token) => token !== 'admin'),
      authorize: ({ scope }) => {
        seen.push(scope)
        return scope.filter((token) => token !== 'write')
      },
    })
    const { refresh_token } = await server.tokens({ scope: 'read write admin' })
    expect((await server.refresh(refresh_token, { scope: 'write read' })).json.scope).toBe('read')
    expect(seen).toEqual([['read', 'write'], ['write', 'read']]) // prettier-ignore
  })

  test.each(['checkScope', 'authorize'] as const)('G13 G14 %s leaves nothing at refresh: invalid_scope, nothing consumed', async (rule) => {
    let left: Scope = ['read']
    const { server, store } = storedServer({ [rule]: () => left })
    const { refresh_token } = await server.tokens({ scope: 'read' })
    const { version } = await recordOf(store, refresh_token)
    left = []
    expect(await server.refresh(refresh_token)).toMatchObject(invalidScope)
    expect((await recordOf(store, refresh_token)).version).toBe(version)
    left = ['read']
    expect(await server.refresh(refresh_token)).toMatchObject({ status: 200 })
  })

  test.each(['checkScope', 'authorize'] as const)(
    'G13 %s cannot widen at refresh beyond what was granted: 500, nothing consumed',
    async (rule) => {
      let widens = false
      const { server, store } = storedServer({ [rule]: () => (widens ? ['read', 'write'] : undefined) })
      const { refresh_token } = await server.tokens({ scope: 'read' })
      const { version } = await recordOf(store, refresh_token)
      widens = true
      expect(await server.refresh(refresh_token)).toMatchObject({ status: 500, json: { error: 'server_error' } })
      expect((await recordOf(store, refresh_token)).version).toBe(version)
    },
  )

  test('G13 beforeGrant refuses a refresh before the token is looked at: a used one is not noticed', async () => {
    let refuses = false
    const server = testServer({
      refreshRetryWindow: 0,
      beforeGrant: ({ grant_type }) => {
        if (refuses && grant_type === 'refresh_token') throw new UnauthorizedClient('not now')
      },
    })
    const { refresh_token } = await server.tokens()
    const { json } = await server.refresh(refresh_token)
    refuses = true
    expect(await server.refresh(refresh_token)).toMatchObject({
      status: 400,
      json: { error: 'unauthorized_client', error_description: 'not now' },
    })
    refuses = false
    expect(await isActive(server, json.access_token ?? '')).toBe(true)
    expect(await server.refresh(json.refresh_token ?? '')).toMatchObject({ status: 200 })
  })

  test('G13 a rule sees the context of each refresh, not that of the first request', async () => {
    const seen: unknown[] = []
    const server = testServer({ authorize: ({ context }) => { seen.push(context); return undefined } }) // prettier-ignore
    const { refresh_token } = await server.tokens()
    const form = formRequest({ grant_type: 'refresh_token', refresh_token }, basic(web))
    for (const visit of [1, 2]) await createTokenResponse(server.options, { ...form, context: { visit } })
    expect(seen).toEqual([{}, { visit: 1 }, { visit: 2 }])
  })
})

describe('a grant of the application’s own', () => {
  const grantOf = (thrown: unknown): Grant => ({ type: 'urn:example:grant', authorize: () => { throw thrown } }) // prettier-ignore
  const client = { ...machine, grant_types: ['urn:example:grant', 'refresh_token'] }
  const form = { grant_type: 'urn:example:grant' }

  test.each([
    [new InvalidGrant(), 400, 'invalid_grant'],
    [new InvalidRequest('ticket is required'), 400, 'invalid_request'],
    [new InvalidScope(), 400, 'invalid_scope'],
    [new InvalidClient(), 401, 'invalid_client'],
    [new UnauthorizedClient(), 400, 'unauthorized_client'],
    [new UnsupportedGrantType(), 400, 'unsupported_grant_type'],
    [new OAuthError('access_denied', 'no'), 403, 'access_denied'],
    [new OAuthError('invalid_target', 'no'), 400, 'invalid_target'],
    [new OAuthError('temporarily_unavailable', 'later', { retryAfter: 7 }), 503, 'temporarily_unavailable'],
  ])('G10 refuses with %s', async (thrown, status, error) => {
    const server = testServer({ clients: [client], grants: [grantOf(thrown)] })
    const answer = await server.token(form, basic(machine))
    expect([answer.status, answer.json.error, answer.json.error_description]).toEqual([status, error, thrown.description])
    expect(answer.headers['Retry-After']).toBe(status === 503 ? '7' : undefined)
    expect(answer.headers['WWW-Authenticate']).toBe(status === 401 ? 'Basic realm="oauth2", charset="UTF-8"' : undefined)
  })

  test('G10 G13 what it authorised is narrowed by the rules, and refreshed', async () => {
    const grant: Grant = { type: 'urn:example:grant', authorize: () => ({ subject: 'bob', scope: ['read', 'write'], extra: { room: 7 } }) }
    const server = testServer({
      clients: [client],
      grants: [grant, refreshToken()],
      authorize: ({ subject, scope }) => scope.filter((token) => token !== 'write' || subject !== 'bob'),
    })
    const { json } = await server.token(form, basic(machine))
    expect(json).toMatchObject({ scope: 'read', refresh_token: expect.any(String) })
    const refreshed = await server.token({ grant_type: 'refresh_token', refresh_token: json.refresh_token ?? '' }, basic(machine))
    expect(refreshed).toMatchObject({ status: 200, json: { scope: 'read' } })
  })
})

/** Grants of the application's own (G10): the seam, what it may give, and one-time values. */
import { describe, expect, test } from '@jest/globals'
import {
  clientCredentials,
  grantResponse,
  InvalidClient,
  InvalidGrant,
  InvalidRequest,
  InvalidScope,
  memoryStore,
  OAuthError,
  refreshToken,
  UnauthorizedClient,
  validateTokenRequest,
  type Grant,
  type GrantDecision,
  type NewAuthorization,
  type ServerOptions,
  type Store,
} from '../../src/index.js'
import { basic, formRequest, native, start, testServer, web } from '../support/server.js'
import { authorizationOf, invalidGrant, invalidScope, isActive, storedServer } from '../support/stored.js'

const type = 'urn:example:ticket'
const holder = { ...web, grant_types: [type, 'refresh_token'] }
const form = { grant_type: type, ticket: 'T-1' }
const serverError = { status: 500, body: '{"error":"server_error","error_description":"the server met an unexpected condition"}' }

/** Options with one grant that decides as told. */
function deciding(authorize: Grant['authorize'], more: Partial<Grant> = {}): ServerOptions {
  return { clients: [holder], grants: [{ ...more, type, authorize }, refreshToken()] }
}

/** Accepts each ticket once. */
const once = deciding(async ({ parameters, claimOnce, now }) => {
  if (!(await claimOnce('ticket', parameters.ticket ?? '', now + 60))) throw new InvalidGrant()
  return { subject: 'alice' }
})

describe('the seam', () => {
  test('G10 an object with type and authorize is a grant', async () => {
    const { server, store } = storedServer(
      deciding(({ parameters }) => ({ subject: `owner of ${parameters.ticket ?? ''}`, scope: 'read', extra: { seat: 7 } })),
    )
    const response = await server.token('grant_type=urn%3Aexample%3Aticket&ticket=T-1', basic(holder))
    expect(response).toMatchObject({
      status: 200,
      json: { access_token: expect.any(String), token_type: 'Bearer', expires_in: 3600, refresh_token: expect.any(String), scope: 'read' },
    })
    expect(await authorizationOf(store, response.json.access_token ?? '')).toMatchObject({
      subject: 'owner of T-1',
      client_id: 'web',
      grant_type: type,
      scope: ['read'],
      extra: { seat: 7 },
    })
    expect(await server.refresh(response.json.refresh_token ?? '')).toMatchObject({ status: 200, json: { scope: 'read' } })
  })

  test('G10 it gets the request, the client, the context and the time', async () => {
    const seen: unknown[] = []
    const server = testServer(
      deciding(({ client, parameters, context, now, authorization }) => {
        seen.push({ client: client.client_id, parameters: { ...parameters }, context, now, authorization })
        return { subject: 'alice' }
      }),
    )
    await server.token(form, basic(holder))
    expect(seen).toEqual([{ client: 'web', parameters: form, context: {}, now: start, authorization: undefined }])
  })

  test('G10 its decision may be empty: the client acts for itself, with the scope it asked for', async () => {
    const server = testServer(deciding(() => ({})))
    expect(await server.token({ ...form, scope: 'write' }, basic(holder))).toMatchObject({ status: 200, json: { scope: 'write' } })
    expect(await server.token(form, basic(holder))).toMatchObject({ status: 200, json: { scope: 'read write admin' } })
    expect(await server.token({ ...form, scope: 'unknown' }, basic(holder))).toMatchObject(invalidScope)
  })

  test('G10 refreshable: false gets no refresh token', async () => {
    const server = testServer(deciding(() => ({ subject: 'alice', refreshable: false })))
    expect((await server.token(form, basic(holder))).json).not.toHaveProperty('refresh_token')
  })

  test('G10 public clients may use it only where it says so', async () => {
    const clients = [{ ...native, grant_types: [type] }]
    const closed = testServer({ ...deciding(() => ({ subject: 'alice' })), clients })
    expect(await closed.token({ ...form, client_id: 'native' })).toMatchObject({ status: 400, json: { error: 'unauthorized_client' } })
    const open = testServer({ ...deciding(() => ({ subject: 'alice' }), { publicClients: true }), clients })
    expect(await open.token({ ...form, client_id: 'native' })).toMatchObject({ status: 200 })
  })

  test('G10 with presents it gets the Authorization that the credential names, and may go on with it', async () => {
    const server = testServer(
      deciding(
        ({ authorization }) => {
          if (authorization === undefined) return { subject: 'alice', scope: 'read write' }
          return { kind: 'continue', authorization, scope: ['read'], refreshToken: { step: 'begin' } }
        },
        { presents: 'ticket' },
      ),
    )
    const first = await server.token(form, basic(holder))
    const second = await server.token({ ...form, ticket: first.json.access_token ?? '' }, basic(holder))
    expect(second).toMatchObject({ status: 200, json: { scope: 'read' } })
    expect(second.json.access_token?.slice(0, 22)).toBe(first.json.access_token?.slice(0, 22))
    expect(await isActive(server, first.json.access_token ?? '')).toBe(true)
  })

  test.each(['urn:example:ticket', 'https://example.com/grants/ticket', 'ticket'])('G10 the type %s', async (name) => {
    const server = testServer({
      clients: [{ ...web, grant_types: [name] }],
      grants: [{ type: name, authorize: () => ({ subject: 'alice' }) }],
    })
    expect(await server.token({ grant_type: name }, basic(web))).toMatchObject({ status: 200 })
  })

  test.each<[string, unknown[]]>([
    ['grants: type must be a name or an absolute URI', [{ type: 'not a:uri', authorize: () => ({}) }]],
    ['grants: type must be a name or an absolute URI', [{ type: '', authorize: () => ({}) }]],
    ['grants has "x" twice', [{ type: 'x', authorize: () => ({}) }, { type: 'x', authorize: () => ({}) }]], // prettier-ignore
    ['grants: each must be an object with type and authorize(); take one from a factory, as in clientCredentials()', [{ type: 'x' }]],
    ['grants: each must be an object', [clientCredentials]],
  ])('G10 %s', async (message, grants) => {
    await expect(testServer({ clients: [], grants: grants as Grant[] }).token(form)).rejects.toThrow(message)
  })
})

describe('what it may say', () => {
  test.each([
    new InvalidRequest('ticket is required'),
    new InvalidClient(),
    new InvalidGrant('the ticket is not known'),
    new UnauthorizedClient(),
    new InvalidScope(),
    new OAuthError('access_denied', 'the owner said no'),
  ])('G10 it refuses with $error', async (error) => {
    const { server, store } = storedServer(
      deciding(() => {
        throw error
      }),
    )
    const { status, json } = await server.token(form, basic(holder))
    expect({ status, json }).toEqual({ status: error.status, json: { error: error.error, error_description: error.description } })
    expect(store.size).toBe(0)
  })

  const nonsense: [string, () => unknown][] = [
    ['throws something else', () => { throw new Error('password: hunter2') }], // prettier-ignore
    ['rejects', () => Promise.reject(new Error('password: hunter2'))],
    ['decides nothing', () => undefined],
    ['names a subject that is not a text', () => ({ subject: 7 })],
    ['names an empty subject', () => ({ subject: '' })],
    ['gives a scope that is not a text', () => ({ scope: 7 })],
  ]
  test.each(nonsense)('G10 where it %s the answer is a server error', async (_what, authorize) => {
    const { server, store } = storedServer(deciding(authorize as () => GrantDecision))
    expect(await server.token(form, basic(holder))).toMatchObject(serverError)
    expect(store.size).toBe(0)
  })

  test.each<[NewAuthorization, string | undefined]>([
    [{ scope: 'read unknown' }, undefined],
    [{ scope: ['admin'] }, 'read write'],
    [{ scope: ['read', 'admin'] }, 'read'],
    [{ scope: 'read "' }, undefined],
  ])('G10 the scope of %j is more than server and client allow', async (decision, scope) => {
    const { server, store } = storedServer({
      ...deciding(() => decision),
      clients: [{ ...holder, ...(scope === undefined ? {} : { scope }) }],
    })
    expect(await server.token(form, basic(holder))).toMatchObject(invalidScope)
    expect(store.size).toBe(0)
  })
})

describe('one-time values', () => {
  test('G10 claimOnce lets a value pass once, of 50 at the same time', async () => {
    const server = testServer(once)
    const responses = await Promise.all(Array.from({ length: 50 }, () => server.token(form, basic(holder))))
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(responses.filter(({ body }) => body === invalidGrant.body)).toHaveLength(49)
    expect(await server.token({ ...form, ticket: 'T-2' }, basic(holder))).toMatchObject({ status: 200 })
  })

  test('G10 claimOnce holds across servers with one store and one issuer', async () => {
    const store = memoryStore({ clock: () => start })
    const [first, second, tenant] = [{}, {}, { issuer: 'https://tenant.example' }].map((more) => testServer({ ...once, ...more, store }))
    expect(await first?.token(form, basic(holder))).toMatchObject({ status: 200 })
    expect(await second?.token(form, basic(holder))).toMatchObject(invalidGrant)
    expect(await tenant?.token(form, basic(holder))).toMatchObject({ status: 200 })
  })

  test('G10 claimOnce keeps namespaces apart', async () => {
    const answers: boolean[] = []
    const server = testServer(
      deciding(async ({ claimOnce, now }) => {
        for (const [namespace, value] of [['a', 'b","c'], ['a","b', 'c'], ['a', 'bc'], ['ab', 'c']] as const) answers.push(await claimOnce(namespace, value, now)) // prettier-ignore
        return {}
      }),
    )
    await server.token(form, basic(holder))
    expect(answers).toEqual([true, true, true, true])
  })

  test('G10 claimOnce answers the request that won true again', async () => {
    const answers: boolean[] = []
    const server = testServer(
      deciding(async ({ claimOnce, now }) => {
        for (let time = 0; time < 3; time++) answers.push(await claimOnce('ticket', 'T-1', now + 60))
        return {}
      }),
    )
    await server.token(form, basic(holder))
    await server.token(form, basic(holder))
    expect(answers).toEqual([true, true, true, false, false, false])
  })

  test('G10 the guard lives as long as was asked, and the tolerance of clocks longer', async () => {
    const { server, store } = storedServer({ ...once, clockTolerance: 5 })
    await server.token(form, basic(holder))
    server.now += 65
    expect(await server.token(form, basic(holder))).toMatchObject(invalidGrant)
    server.now += 10
    // A store may show what has expired until it sweeps (DESIGN §4); this one sweeps when it writes.
    expect(await server.token({ ...form, ticket: 'T-2' }, basic(holder))).toMatchObject({ status: 200 })
    expect(await server.token(form, basic(holder))).toMatchObject({ status: 200 })
    expect(store.size).toBeGreaterThan(0)
  })

  test('G10 claimOnce in two phases: the first claims nothing, of the second exactly one wins', async () => {
    const { server, store } = storedServer(once)
    const validate = () => validateTokenRequest(server.options, formRequest(form, basic(holder)))
    const [first, second] = [await validate(), await validate()]
    expect(store.size).toBe(0)
    expect(await grantResponse(first)).toMatchObject({ status: 200 })
    expect(await grantResponse(second)).toMatchObject(invalidGrant)
    await expect(validate()).rejects.toMatchObject({ error: 'invalid_grant' })
    expect(await server.token(form, basic(holder))).toMatchObject(invalidGrant)
  })

  test.each<[string, Partial<ServerOptions>, Record<string, string>]>([
    ['authorize', { authorize: () => { throw new InvalidGrant() } }, {}],
    ['a rule that leaves no scope', { checkScope: () => [] }, {}],
    ['the limits of the scope', {}, { scope: 'unknown' }],
  ])('G10 G15 a request that %s refuses burns no ticket', async (_rule, options, extra) => {
    const { server, store } = storedServer({ ...once, ...options })
    expect((await server.token({ ...form, ...extra }, basic(holder))).status).toBe(400)
    expect(store.size).toBe(0)
    expect(await testServer({ ...once, store }).token(form, basic(holder))).toMatchObject({ status: 200 })
  }) // prettier-ignore

  test('G10 a store whose get hides an expired guard that its create still sees: refused, and not asked for ever', async () => {
    let calls = 0
    const memory = memoryStore({ clock: () => start })
    const create: Store['create'] = async (record) => (record.kind === 'guard' ? (calls++, false) : memory.create(record))
    const server = testServer({ ...once, store: { ...memory, create } })
    expect(await server.token(form, basic(holder))).toMatchObject(invalidGrant)
    expect(calls).toBe(1)
  })

  test('G10 a store that answers null for what is not there', async () => {
    const memory = memoryStore({ clock: () => start })
    const get = (async (id: string) => (await memory.get(id)) ?? null) as unknown as Store['get']
    const server = testServer({ ...once, store: { ...memory, get } })
    expect(await server.token(form, basic(holder))).toMatchObject({ status: 200 })
    expect(await server.token(form, basic(holder))).toMatchObject(invalidGrant)
  })
})

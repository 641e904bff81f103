/**
 * The responses of the token endpoint, without HTTP: success, refusals, failures, and what never goes on the wire.
 */
import { describe, expect, jest, test } from '@jest/globals'
import { inspect } from 'node:util'
import {
  createTokenResponse,
  memoryStore,
  opaque,
  type TokenClaims,
  type Context,
  type DecidedRequest,
  type Grant,
  type ServerOptions,
  type Store,
} from '../src/index.js'
import { formType, noStore, refusal, respond, respondTo, tokenRequest } from './support/requests.js'
import { basic, exchange, formRequest, machine, parsed, testServer, web } from './support/server.js'

const basicChallenge = 'Basic realm="oauth2", charset="UTF-8"'

describe('context', () => {
  test('T13 context reaches every hook, format and grant, and never the wire', async () => {
    const seen: Record<string, Context> = {}
    const note = (name: string) => (request: { context: Context }) => void (seen[name] = request.context)
    const ticket: Grant = {
      type: 'urn:example:ticket',
      authorize: (request) => {
        note('grant')(request)
        return { subject: 'alice' }
      },
    }
    const format = opaque()
    const options: ServerOptions = {
      clients: [{ ...machine, grant_types: [ticket.type, 'refresh_token'] }],
      grants: [ticket, ...refreshing()],
      beforeGrant: note('beforeGrant'),
      authorize: (request) => {
        note('authorize')(request)
        return undefined
      },
      checkScope: (request) => {
        note('checkScope')(request)
        return request.scope
      },
      refreshable: (request) => {
        note('refreshable')(request)
        return true
      },
      accessTokenLifetime: (request: DecidedRequest) => {
        note('accessTokenLifetime')(request)
        return 60
      },
      accessTokens: {
        ...format,
        issue: (token: TokenClaims) => {
          note('accessTokens')(token)
          return format.issue(token)
        },
      },
    }
    const context = Object.freeze({ address: 'canary-192.0.2.7' })
    const response = await respond({ body: 'grant_type=urn:example:ticket&context=forged&address=forged', context }, options)
    expect(response.status).toBe(200)
    const hooks = ['grant', 'beforeGrant', 'authorize', 'checkScope', 'refreshable', 'accessTokenLifetime', 'accessTokens']
    expect(Object.keys(seen).sort()).toEqual(hooks.sort())
    for (const name of hooks) expect(seen[name]).toBe(context)
    expect(JSON.stringify(response)).not.toMatch(/canary|forged/)
  })

  test('T13 nothing a client sends lands in context', async () => {
    const seen: Context[] = []
    const beforeGrant: ServerOptions['beforeGrant'] = ({ context }) => void seen.push(context)
    await respondTo('grant_type=client_credentials&context=forged&context.admin=1&address=forged', { beforeGrant })
    await respondTo({ grant_type: 'client_credentials', context: 'forged' }, { beforeGrant })
    expect(seen).toEqual([{}, {}])
  })

  test('T13 the context of a refused request stays off the wire, too', async () => {
    const context = { password: 'canary-hunter2' }
    const authorize = () => {
      throw new Error(JSON.stringify(context))
    }
    expect(JSON.stringify(await respond({ context }, { authorize }))).not.toContain('canary')
    expect(JSON.stringify(await respond({ context, body: 'grant_type=nonsense' }))).not.toContain('canary')
  })
})

/** The default refresh token grant, taken from where a test can put it beside others. */
function refreshing(): Grant[] {
  return [{ type: 'refresh_token', presents: 'refresh_token', authorize: () => ({ subject: 'alice' }) }]
}

describe('success', () => {
  test('R1 client credentials: literal response', async () => {
    const response = await createTokenResponse(testServer().options, tokenRequest())
    expect(response).toEqual({
      status: 200,
      headers: noStore,
      body: expect.stringMatching(
        /^\{"access_token":"[\w-]+\.[\w-]{43}","token_type":"Bearer","expires_in":3600,"scope":"read"\}$/,
      ) as unknown,
    })
  })

  test('R1 with a refresh token where one was issued', async () => {
    const server = testServer()
    const response = await server.token(exchange(await server.code({ scope: 'write read' })), basic(web))
    expect(response).toMatchObject({ status: 200, headers: noStore })
    expect(Object.keys(response.json)).toEqual(['access_token', 'token_type', 'expires_in', 'refresh_token', 'scope'])
    expect(response.json).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: 'write read' })
    expect(response.json.refresh_token).toMatch(/^[\w.-]{60,}$/)
  })

  test('R1 scope is left out where it is empty', async () => {
    const response = await respondTo('grant_type=client_credentials', { scopes: [] })
    expect(response.status).toBe(200)
    expect(Object.keys(response.json)).toEqual(['access_token', 'token_type', 'expires_in'])
  })

  test('R1 every access token is another one', async () => {
    const server = testServer()
    const answers = await Promise.all(Array.from({ length: 20 }, () => server.token({ grant_type: 'client_credentials' }, basic(machine))))
    expect(new Set(answers.map(({ json }) => json.access_token)).size).toBe(20)
  })
})

describe('refusals', () => {
  const refused: [name: string, error: string, status: number, request: Parameters<typeof respond>[0]][] = [
    ['no grant type', 'invalid_request', 400, { body: '' }],
    ['http', 'invalid_request', 400, { url: 'http://server.example/' }],
    ['GET', 'invalid_request', 405, { method: 'GET' }],
    ['a body that is too large', 'invalid_request', 413, { body: 'a'.repeat(20_000) }],
    ['JSON', 'invalid_request', 415, { headers: { 'content-type': 'application/json' }, body: '{}' }],
    ['no credentials', 'invalid_client', 401, { headers: { 'content-type': formType } }],
    ['a wrong secret', 'invalid_client', 401, { headers: { ...basic({ ...machine, client_secret: 'x' }), 'content-type': formType } }],
    ['an unknown code', 'invalid_grant', 400, codeRequest()],
    ['a foreign grant', 'unauthorized_client', 400, { body: 'grant_type=refresh_token&refresh_token=x' }],
    ['an unknown grant', 'unsupported_grant_type', 400, { body: 'grant_type=x' }],
    ['an unknown scope', 'invalid_scope', 400, { body: 'grant_type=client_credentials&scope=everything' }],
  ]

  function codeRequest() {
    const { headers, body } = formRequest(exchange('unknown'), basic(web))
    return { headers, body }
  }

  test.each(refused)('R2 R3 %s: %s, status %d', async (_name, error, status, request) => {
    const response = await respond(request)
    expect(response).toMatchObject({ status, headers: noStore, json: { error } })
    expect(Object.keys(response.json)).toEqual(['error', 'error_description'])
    // RFC 6749 §5.2: error_description = *( %x20-21 / %x23-5B / %x5D-7E )
    expect(response.json.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  })

  test.each(refused)(
    'R2 %s: with error_uri where one is configured, JSON whatever Accept says',
    async (_name, error, status, request = {}) => {
      const headers = { ...(request.headers ?? tokenRequest().headers), accept: 'text/html' }
      const response = await respond({ ...request, headers }, { errorUri: 'https://server.example/errors' })
      expect(response).toMatchObject({ status, headers: noStore, json: { error, error_uri: 'https://server.example/errors' } })
    },
  )

  test('R2 a success has no error_uri', async () => {
    expect((await respond({}, { errorUri: 'https://server.example/errors' })).json).not.toHaveProperty('error_uri')
  })

  test('R2 a description never echoes what was sent', async () => {
    const canary = 'canary"<script>ü'
    const value = encodeURIComponent(canary)
    const names = ['grant_type', 'scope', 'code', 'redirect_uri', 'code_verifier', 'client_id', 'client_secret', 'refresh_token', canary]
    for (const name of names) {
      for (const grant_type of ['client_credentials', 'authorization_code', 'refresh_token']) {
        const pairs = new Map([['grant_type', grant_type], [name, canary]]) // prettier-ignore
        const response = await respond({ body: new URLSearchParams([...pairs]).toString() })
        expect(response.body + inspect(response.headers)).not.toMatch(/canary|<script/)
      }
    }
    const strange = { url: `https://server.example/?scope=${value}`, headers: { 'content-type': canary }, method: canary }
    for (const [name, difference] of Object.entries(strange)) {
      expect((await respond({ [name]: difference })).body).not.toMatch(/canary|<script/)
    }
  })

  test.each([
    ['no credentials', {}, 'grant_type=client_credentials'],
    ['an unknown scheme', { authorization: 'Bearer x' }, 'grant_type=client_credentials'],
    ['malformed Basic', { authorization: 'Basic !' }, 'grant_type=client_credentials'],
    ['Basic', basic({ ...machine, client_secret: 'wrong' }), 'grant_type=client_credentials'],
    ['the body', {}, 'grant_type=client_credentials&client_id=machine&client_secret=wrong'],
    ['none', {}, 'grant_type=authorization_code&client_id=unknown'],
  ])('R3 invalid_client is always 401 with the Basic challenge: %s', async (_name, authorization, body) => {
    const response = await respond({ headers: { ...authorization, 'content-type': formType }, body })
    expect(response).toEqual({
      status: 401,
      headers: { ...noStore, 'WWW-Authenticate': basicChallenge },
      body: '{"error":"invalid_client","error_description":"client authentication failed"}',
      json: { error: 'invalid_client', error_description: 'client authentication failed' },
    })
  })

  test('R3 the challenge names the scheme of the method that was used', async () => {
    const ticket = {
      name: 'ticket',
      challenge: 'Ticket realm="x"',
      presented: ({ parameters }: { parameters: Record<string, string | undefined> }) =>
        parameters.ticket === undefined ? undefined : { client_id: 'machine' },
      verify: () => false,
    }
    const clients = () => ({ ...machine, token_endpoint_auth_method: 'ticket' })
    const request = { headers: { 'content-type': formType }, body: 'grant_type=client_credentials&ticket=x' }
    const response = await respond(request, { clients, clientAuthenticationMethods: [ticket] })
    expect(response).toMatchObject({ status: 401, headers: { 'WWW-Authenticate': 'Ticket realm="x"' } })
  })

  test('R3 no other refusal carries a challenge, and only 405 an Allow', async () => {
    for (const [, error, status, request] of refused) {
      const { headers } = await respond(request)
      expect('WWW-Authenticate' in headers).toBe(error === 'invalid_client')
      expect('Allow' in headers).toBe(status === 405)
    }
  })
})

describe('failures', () => {
  const secret = 'postgres://app:hunter2@db/oauth at /srv/app/store.js:42 in SELECT * FROM tokens'
  const fail = (): never => {
    throw Object.assign(new Error(secret), { stack: `Error: ${secret}`, detail: secret })
  }
  const unavailable = {
    ...refusal('temporarily_unavailable', 'the server is temporarily unable to answer', 503),
    headers: { ...noStore, 'Retry-After': expect.stringMatching(/^[1-3]$/) },
  }
  const failed = refusal('server_error', 'the server met an unexpected condition', 500)

  function failing(verb: keyof Store, error: () => never = fail): Store {
    return { ...memoryVerbs(), [verb]: async () => error() }
  }

  function memoryVerbs(): Store {
    const store = memoryStore()
    return {
      get: (id) => store.get(id),
      create: (record) => store.create(record),
      replace: (record, version) => store.replace(record, version),
      list: (filter) => store.list(filter),
    }
  }

  test('R4 a store that fails is 503 with Retry-After', async () => {
    expect(await respond({}, { store: failing('create') })).toMatchObject(unavailable)
    for (const verb of ['get', 'replace'] as const) {
      const server = testServer({ store: failing(verb) })
      expect(await server.token(exchange(await server.code()), basic(web))).toMatchObject(unavailable)
    }
  })

  test('R4 a store that never answers is 503 after storeTimeout', async () => {
    const store = { ...memoryVerbs(), create: () => new Promise<never>(() => {}) }
    expect(await respond({}, { store, storeTimeout: 20 })).toMatchObject(unavailable)
    const clients = () => new Promise<never>(() => {})
    expect(await respond({}, { clients, storeTimeout: 20 })).toMatchObject(unavailable)
  })

  test('R4 nothing is consumed where the write failed: the same request succeeds later', async () => {
    const inner = memoryVerbs()
    let broken = false
    const store: Store = { ...inner, replace: async (record, version) => (broken ? fail() : inner.replace(record, version)) }
    const server = testServer({ store })
    const body = exchange(await server.code())
    broken = true
    expect(await server.token(body, basic(web))).toMatchObject(unavailable)
    broken = false
    const { json } = await server.token(body, basic(web))
    broken = true
    expect(await server.refresh(json.refresh_token ?? '')).toMatchObject(unavailable)
    broken = false
    expect((await server.refresh(json.refresh_token ?? '')).status).toBe(200)
  })

  const callbacks: [name: string, options: ServerOptions][] = [
    ['clients', { clients: fail }],
    ['beforeGrant', { beforeGrant: fail }],
    ['checkScope', { checkScope: fail }],
    ['authorize', { authorize: fail }],
    ['accessTokenLifetime', { accessTokenLifetime: fail }],
    ['accessTokens', { accessTokens: { ...opaque(), issue: fail } }],
    ['a method', { clientAuthenticationMethods: [{ name: 'client_secret_basic', presented: fail, verify: fail }], clients: [machine] }],
    ['a grant', { grants: [{ type: 'client_credentials', authorize: fail }], clients: [machine] }],
  ]

  test.each(callbacks)('R4 R5 a callback that throws is 500 without detail: %s', async (_name, options) => {
    const spies = (['log', 'info', 'warn', 'error', 'debug'] as const).map((name) => jest.spyOn(console, name).mockReturnValue())
    const server = testServer(options)
    expect(parsed(await createTokenResponse(server.options, tokenRequest()))).toMatchObject(failed)
    expect(server.events.map(({ type }) => type)).toEqual(['request.failed'])
    expect(JSON.stringify(server.events)).not.toMatch(/hunter2|srv|SELECT/)
    for (const spy of spies) expect(JSON.stringify(spy.mock.calls)).not.toMatch(/hunter2|srv|SELECT/)
    for (const spy of spies) spy.mockRestore()
  })

  test.each([
    ['accessTokenLifetime', { accessTokenLifetime: () => -1 }],
    ['accessTokenLifetime', { accessTokenLifetime: () => Number.NaN }],
    ['checkScope', { checkScope: () => ['admin', 'root'] }],
    ['authorize', { authorize: () => 'read' as unknown as string[] }],
  ])('R4 a callback that answers nonsense is 500: %s', async (_name, options: ServerOptions) => {
    expect(await respond({}, options)).toMatchObject(failed)
  })

  test('R4 a failing callback consumes nothing', async () => {
    let broken = true
    const server = testServer({ authorize: () => (broken ? fail() : undefined) })
    const body = exchange(await server.code())
    expect((await server.token(body, basic(web))).status).toBe(500)
    broken = false
    expect((await server.token(body, basic(web))).status).toBe(200)
  })

  test('R5 the cause of a failure reaches the listener, but no printed form of the event', async () => {
    const server = testServer({ store: failing('create') })
    const response = await createTokenResponse(server.options, tokenRequest())
    expect(inspect(response) + inspect(server.events) + JSON.stringify(server.events)).not.toMatch(/hunter2|srv|SELECT/)
    const [event] = server.events
    expect(event).toMatchObject({ type: 'request.failed', endpoint: 'token', error: 'temporarily_unavailable', status: 503 })
    expect(event?.cause).toBeInstanceOf(Error)
    expect(event?.cause).toMatchObject({ message: secret })
  })

  test('R5 no secret of a request is in an event', async () => {
    const server = testServer()
    const tokens = await server.tokens()
    await server.refresh(tokens.refresh_token)
    await server.token({ grant_type: 'client_credentials' }, basic({ ...machine, client_secret: 'canary-secret' }))
    await server.token({ ...exchange('canary-code'), client_id: 'native', state: 'canary-state' })
    await server.token({ grant_type: 'canary-grant', scope: 'canary-scope' }, basic(machine))
    const told = inspect(server.events, { depth: 9, showHidden: true })
    expect(server.events.length).toBeGreaterThanOrEqual(5)
    for (const text of ['canary', web.client_secret, tokens.access_token, tokens.refresh_token]) expect(told).not.toContain(text)
  })
})

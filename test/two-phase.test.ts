/** The programming interfaces of the reference documents: rows A1 to A4. */
import { describe, expect, it } from '@jest/globals'
import {
  createTokenResponse,
  errorResponse,
  grantResponse,
  InvalidClient,
  InvalidGrant,
  InvalidRequest,
  InvalidScope,
  OAuthError,
  UnauthorizedClient,
  UnsupportedGrantType,
  UnvalidatedRequest,
  validateTokenRequest,
  type Grant,
  type ServerOptions,
  type ValidatedTokenRequest,
} from '../src/index.js'
import { basic, exchange, formRequest, machine, parsed, redirect_uri, start, testServer, web, type Form } from './support/server.js'

const form = { grant_type: 'client_credentials', scope: 'read' }
const noStore = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache' }

function validate(options: ServerOptions, body: Form = form, client: { client_id: string; client_secret: string } = machine) {
  return validateTokenRequest(options, formRequest(body, basic(client)))
}

async function refusalOf(work: Promise<unknown>): Promise<OAuthError> {
  const thrown: unknown = await work.then(() => undefined, (reason: unknown) => reason) // prettier-ignore
  if (thrown instanceof OAuthError) return thrown
  throw new Error('no OAuthError was thrown')
}

describe('the options of the reference documents', () => {
  it('A1 defaultGrantType, authenticationMethod and grants say what is served', async () => {
    const ticket: Grant = { type: 'urn:example:ticket', authorize: () => ({ subject: 'bob' }) }
    const clients = [{ ...machine, grant_types: ['urn:example:ticket'] }]
    const server = testServer({ clients, grants: [ticket], defaultGrantType: 'urn:example:ticket', authenticationMethod: 'bearer' })
    const response = await server.token('', basic(machine))
    expect(response.json).toMatchObject({ token_type: 'Bearer' })
    expect(response.status).toBe(200)
    expect((await server.token(form, basic(machine))).json.error).toBe('unsupported_grant_type')
  })

  it('A1 without defaultGrantType the parameter is required', async () => {
    const response = await testServer().token('', basic(machine))
    expect(response.body).toBe('{"error":"invalid_request","error_description":"grant_type is required"}')
  })
})

describe('createTokenResponse', () => {
  it('A2 url, method, body and headers in; headers, body and status out', async () => {
    const response = await createTokenResponse(testServer().options, {
      url: 'https://server.example/token',
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', Authorization: basic(machine).authorization },
      body: 'grant_type=client_credentials&scope=read',
    })
    expect(Object.keys(response).sort()).toEqual(['body', 'headers', 'status'])
    expect(response.headers).toEqual(noStore)
    expect(JSON.parse(response.body)).toEqual({
      access_token: expect.stringMatching(/^[\w-]{22}\.[\w-]{43}$/),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'read',
    })
    expect(response.status).toBe(200)
  })

  it('A2 the context reaches the hooks, and nothing a client sends gets into it', async () => {
    const seen: unknown[] = []
    const { options } = testServer({ authorize: ({ context }) => void seen.push(context) })
    const request = formRequest({ ...form, context: 'x', address: '10.0.0.1' }, basic(machine))
    await createTokenResponse(options, { ...request, context: { address: '192.0.2.1' } })
    expect(seen).toEqual([{ address: '192.0.2.1' }])
  })

  it.each<[string, Partial<Parameters<typeof createTokenResponse>[1]>, number]>([
    ['no body', { body: undefined }, 400],
    ['a body that is a number', { body: 7 }, 400],
    ['a body of lists', { body: { grant_type: ['a'] } }, 400],
    ['no method', { method: '' }, 405],
    ['an empty url', { url: '' }, 400],
    ['a url that is none', { url: 'https://[' }, 400],
    ['no headers', { headers: {} }, 415],
    ['no credentials', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 401],
  ])('A2 it never throws for a mistake of the client: %s', async (_case, change, status) => {
    const response = await createTokenResponse(testServer().options, { ...formRequest('', basic(machine)), ...change })
    expect(response.status).toBe(status)
    expect(parsed(response).json.error).toBe(status === 401 ? 'invalid_client' : 'invalid_request')
  })
})

describe('two phases', () => {
  it('A3 a validated request becomes the same response that one phase gives', async () => {
    const { options, events } = testServer()
    const validated = await validate(options)
    expect(validated).toMatchObject({ client_id: 'machine', grant_type: 'client_credentials' })
    expect(events).toEqual([])
    const response = parsed(await grantResponse(validated))
    expect(response.headers).toEqual(noStore)
    expect(response.json).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: 'read' })
    expect(response.status).toBe(200)
    expect(events).toMatchObject([{ type: 'token.issued', client_id: 'machine' }])
  })

  it('A3 nothing is consumed by validation alone', async () => {
    const server = testServer()
    const code = await server.code()
    await validate(server.options, exchange(code), web)
    const second = await validate(server.options, exchange(code), web)
    const { json, status } = parsed(await grantResponse(second))
    expect(status).toBe(200)
    const { refresh_token = '' } = json
    await validate(server.options, { grant_type: 'refresh_token', refresh_token }, web)
    expect((await server.refresh(refresh_token)).status).toBe(200)
  })

  it('A3 what was redeemed between the phases is refused by the second, and nothing is issued twice', async () => {
    const server = testServer()
    const code = await server.code()
    const validated = await validate(server.options, exchange(code), web)
    expect((await server.token(exchange(code), basic(web))).status).toBe(200)
    const response = parsed(await grantResponse(validated))
    expect(response.json.error).toBe('invalid_grant')
    expect(response.status).toBe(400)
  })

  it('A3 a wrong verifier burns the code in the first phase', async () => {
    const server = testServer()
    const code = await server.code()
    const wrong = { ...exchange(code), code_verifier: 'x'.repeat(43) }
    expect(await refusalOf(validate(server.options, wrong, web))).toBeInstanceOf(InvalidGrant)
    expect((await server.token(exchange(code), basic(web))).json.error).toBe('invalid_grant')
    expect(server.events[1]).toMatchObject({ type: 'code.burnt' })
  })

  it('A3 the same one twice throws UnvalidatedRequest, even while the first is on its way', async () => {
    const validated = await validate(testServer().options)
    const first = grantResponse(validated)
    await expect(grantResponse(validated)).rejects.toThrow(UnvalidatedRequest)
    expect((await first).status).toBe(200)
    await expect(grantResponse(validated)).rejects.toThrow('grantResponse takes what validateTokenRequest returned, once')
  })

  it('A3 one that was refused by the second phase cannot be tried again', async () => {
    const server = testServer()
    const code = await server.code()
    const validated = await validate(server.options, exchange(code), web)
    server.now = start + 60
    expect((await grantResponse(validated)).status).toBe(400)
    server.now = start
    await expect(grantResponse(validated)).rejects.toThrow(UnvalidatedRequest)
  })

  it('A3 anything else throws UnvalidatedRequest, a copy of a validated request included', async () => {
    const validated = await validate(testServer().options)
    const copies = [Object.assign({}, validated), structuredClone(validated), Object.create(validated)]
    for (const other of [undefined, null, 'text', 7, {}, [], new Error('no'), ...copies]) {
      await expect(grantResponse(other as ValidatedTokenRequest)).rejects.toThrow(UnvalidatedRequest)
    }
    expect((await grantResponse(validated)).status).toBe(200)
  })

  it('A3 errorResponse is the response that one phase would have given, error_uri included', async () => {
    const { options } = testServer({ errorUri: 'https://server.example/errors' })
    const request = formRequest(form, basic({ ...machine, client_secret: 'wrong' }))
    const error = await refusalOf(validateTokenRequest(options, request))
    const response = errorResponse(error)
    expect(response).toEqual(await createTokenResponse(options, request))
    expect(parsed(response).json).toEqual({
      error: 'invalid_client',
      error_description: 'client authentication failed',
      error_uri: 'https://server.example/errors',
    })
    expect(response.headers).toEqual({ ...noStore, 'WWW-Authenticate': 'Basic realm="oauth2", charset="UTF-8"' })
  })

  it.each([new Error('password=hunter2'), 'password=hunter2', undefined, new UnvalidatedRequest()])(
    'A3 errorResponse of anything but an OAuthError is a server_error without detail (%#)',
    (thrown) => {
      const { status, body } = errorResponse(thrown)
      expect(body).toBe('{"error":"server_error","error_description":"the server met an unexpected condition"}')
      expect(status).toBe(500)
    },
  )

  it('A3 scopes, authenticationMethod and refreshable are options of the server', async () => {
    const server = testServer({ scopes: ['only'], authenticationMethod: 'bearer', refreshable: false })
    const tokens = await server.tokens()
    expect(tokens).toMatchObject({ scope: 'only', token_type: 'Bearer' })
    expect(tokens).not.toHaveProperty('refresh_token')
  })
})

describe('error classes', () => {
  it.each([
    [InvalidRequest, 'InvalidRequest', 'invalid_request', 400, 'the request is malformed'],
    [InvalidClient, 'InvalidClient', 'invalid_client', 401, 'client authentication failed'],
    [InvalidGrant, 'InvalidGrant', 'invalid_grant', 400, 'the grant is invalid, expired, revoked, or was issued to another client'],
    [UnauthorizedClient, 'UnauthorizedClient', 'unauthorized_client', 400, 'the client is not authorized to use this grant type'],
    [UnsupportedGrantType, 'UnsupportedGrantType', 'unsupported_grant_type', 400, 'the grant type is not supported'],
    [InvalidScope, 'InvalidScope', 'invalid_scope', 400, 'the requested scope is invalid, unknown, malformed, or exceeds what may be granted'], // prettier-ignore
  ])('A4 %p has a name, .error, .status and .description', (Class, name, error, status, description) => {
    const thrown = new Class()
    expect(thrown).toBeInstanceOf(OAuthError)
    expect(thrown).toBeInstanceOf(Error)
    expect(thrown).toMatchObject({ name, error, status, description, message: description })
    expect(new Class('another text').description).toBe('another text')
  })

  it('A4 a description keeps to the characters of RFC 6749 §5.2', () => {
    expect(new InvalidRequest('a "b" \\ c\n\u00e9').description).toBe('a ?b? ? c??')
  })

  it('A4 UnvalidatedRequest is no OAuthError: it is a mistake of the application', () => {
    expect(new UnvalidatedRequest()).not.toBeInstanceOf(OAuthError)
    expect(new UnvalidatedRequest().name).toBe('UnvalidatedRequest')
  })

  const cases: [string, Form, { client_id: string; client_secret: string }, abstract new () => OAuthError][] = [
    ['a missing grant_type', {}, machine, InvalidRequest],
    ['a wrong secret', form, { ...machine, client_secret: 'wrong' }, InvalidClient],
    ['an unknown code', { grant_type: 'authorization_code', code: 'x', redirect_uri }, web, InvalidGrant],
    ['a grant of others', form, web, UnauthorizedClient],
    ['an unknown grant', { grant_type: 'x' }, machine, UnsupportedGrantType],
    ['an unknown scope', { ...form, scope: 'x' }, machine, InvalidScope],
  ]
  it.each(cases)('A4 validateTokenRequest throws the class for %s', async (_case, body, client, Class) => {
    expect(await refusalOf(validate(testServer().options, body, client))).toBeInstanceOf(Class)
  })
})

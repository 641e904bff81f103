/** Tokens from the application's own code (SM4), and what a validated request says (SM3). */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  AccessDenied,
  clientCredentials,
  InvalidRequest,
  InvalidScope,
  issueTokens,
  jwt,
  listAuthorizations,
  revokeAuthorizations,
  UnauthorizedClient,
  validateTokenRequest,
  type DecidedRequest,
  type ServerOptions,
  type TokensRequest,
} from '../src/index.js'
import { basic, exchange, formRequest, machine, native, start, testServer, web } from './support/server.js'
import { decoded, issuer, p256, statusOf } from './support/tokens.js'

const wanted = { client_id: 'web', subject: 'alice', scope: 'read' } as const

async function listed(options: ServerOptions) {
  const all = []
  for await (const authorization of listAuthorizations(options, { subject: 'alice' })) all.push(authorization)
  return all
}

beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterAll(() => {
  jest.restoreAllMocks()
})

describe('SM4 issueTokens', () => {
  test('SM4 a personal access token: exactly these members, accepted, listed and ended', async () => {
    const server = testServer()
    const tokens = await issueTokens(server.options, { ...wanted, lifetime: 86_400, extra: { name: 'laptop' } })
    expect(tokens).toEqual({
      access_token: expect.stringMatching(/^[\w-]{22}\.[\w-]{43}$/),
      token_type: 'Bearer',
      expires_in: 86_400,
      scope: 'read',
    })
    expect(await statusOf(server.options, tokens.access_token, { scope: 'read' })).toBe(200)
    expect(await statusOf(server.options, tokens.access_token, { scope: 'write' })).toBe(403)
    const [authorization, ...others] = await listed(server.options)
    expect([authorization, others]).toMatchObject([
      {
        client_id: 'web',
        subject: 'alice',
        grant_type: 'application',
        scope: ['read'],
        extra: { name: 'laptop' },
        expiresAt: start + 86_400,
      },
      [],
    ])
    expect(server.events.filter(({ type }) => type === 'token.issued')).toEqual([
      {
        type: 'token.issued',
        duration: expect.any(Number),
        at: start,
        client_id: 'web',
        subject: 'alice',
        grant_type: 'application',
        authorization_id: authorization?.id,
        scope: 'read',
      },
    ])
    expect(await revokeAuthorizations(server.options, { subject: 'alice', id: authorization?.id ?? '' })).toBe(1)
    expect(await statusOf(server.options, tokens.access_token)).toBe(401)
  })

  test('SM4 it ends when its lifetime is over', async () => {
    const server = testServer()
    const { access_token } = await issueTokens(server.options, { ...wanted, lifetime: 10 })
    server.now += 9
    expect(await statusOf(server.options, access_token)).toBe(200)
    server.now += 1
    expect(await statusOf(server.options, access_token)).toBe(401)
  })

  test('SM4 with a refresh token, that works as any other', async () => {
    const server = testServer()
    const { refresh_token = '', expires_in } = await issueTokens(server.options, { ...wanted, refreshable: true })
    expect(expires_in).toBe(3600)
    const refreshed = await server.refresh(refresh_token)
    expect(refreshed).toMatchObject({ status: 200, json: { scope: 'read' } })
    await revokeAuthorizations(server.options, { subject: 'alice' })
    expect((await server.refresh(String(refreshed.json.refresh_token))).json.error).toBe('invalid_grant')
  })

  test('SM4 signed tokens, for a person and for the client itself', async () => {
    const server = testServer({ issuer, accessTokens: jwt({ key: p256.privateKey }) })
    const person = await issueTokens(server.options, { ...wanted, lifetime: 60 })
    expect(decoded(person.access_token).claims).toMatchObject({
      iss: issuer,
      sub: 'alice',
      client_id: 'web',
      scope: 'read',
      exp: start + 60,
    })
    expect(await listed(server.options)).toHaveLength(1)
    await server.revoke({ token: person.access_token }, basic(web))
    expect(await statusOf(server.options, person.access_token, { checkRevocation: true })).toBe(401)
    const own = await issueTokens(server.options, { client_id: 'machine', subject: null })
    expect(decoded(own.access_token).claims).toMatchObject({ sub: 'machine', sub_type: 'client', scope: 'read write admin' })
  })

  test('SM4 MAC tokens come with their key', async () => {
    const { options } = testServer({ authenticationMethod: 'mac' })
    const tokens = await issueTokens(options, wanted)
    expect(tokens).toMatchObject({ token_type: 'mac', mac_key: expect.any(String), mac_algorithm: expect.any(String) })
  })

  test('SM4 the hooks are asked as at the token endpoint, with the grant type application and the context', async () => {
    const asked: DecidedRequest[] = []
    const options: ServerOptions = {
      ...testServer().options,
      checkScope: (request) => void asked.push(request),
      authorize: (request) => (asked.push(request), ['read']),
      refreshable: (request) => (asked.push(request), true),
      accessTokenLifetime: (request) => (asked.push(request), 77),
      responseParameters: ({ context, grant_type }) => ({ tenant: String(context.tenant), grant_type }),
    }
    const context = { tenant: 'acme' }
    const tokens = await issueTokens(options, { client_id: 'web', subject: 'alice', scope: ['read', 'write'], refreshable: true, context })
    expect(tokens).toMatchObject({
      expires_in: 77,
      scope: 'read',
      tenant: 'acme',
      grant_type: 'application',
      refresh_token: expect.any(String),
    })
    expect(asked).toHaveLength(4)
    for (const request of asked) expect(request).toMatchObject({ grant_type: 'application', subject: 'alice', context, parameters: {} })
    expect((await issueTokens(options, { ...wanted, lifetime: 5 })).expires_in).toBe(5)
  })

  const refusals: [string, Partial<TokensRequest>, ServerOptions, abstract new (...rest: never[]) => Error, string][] = [
    ['a client that does not exist', { client_id: 'nobody' }, {}, InvalidRequest, 'unknown client'],
    ['a client_id that cannot be one', { client_id: '\u0000' }, {}, InvalidRequest, 'unknown client'],
    ['a disabled client', {}, { clients: [{ ...web, disabled: true }] }, InvalidRequest, 'unknown client'],
    ['an unknown scope', { scope: 'nonsense' }, {}, InvalidScope, ''],
    ['more than the client may have', { scope: 'write' }, { clients: [{ ...web, scope: 'read' }] }, InvalidScope, ''],
    ['a blank scope', { scope: '  ' }, {}, InvalidScope, ''],
    ['refresh without the grant of the client', { client_id: 'machine', refreshable: true }, {}, UnauthorizedClient, ''],
    ['refresh without the grant of the server', { refreshable: true }, { refreshable: false }, UnauthorizedClient, ''],
    ['refresh that the option refuses', { refreshable: true }, { refreshable: () => false }, UnauthorizedClient, ''],
    ['a rule of the application', {}, { authorize: () => { throw new AccessDenied() } }, AccessDenied, ''],
    ['a resource that the server has not', { resource: 'https://other.example' }, { resources: ['https://api.example'] }, Error, 'the requested resource is unknown, malformed, or was not granted'],
  ] // prettier-ignore
  test.each(refusals)('SM4 refused, and nothing is issued: %s', async (_what, changes, options, kind, message) => {
    const server = testServer(options)
    const refusal = issueTokens(server.options, { ...wanted, ...changes })
    await expect(refusal).rejects.toBeInstanceOf(kind)
    await expect(refusal).rejects.toThrow(message)
    expect(server.events.filter(({ type }) => type === 'token.issued')).toEqual([])
    expect(await listed(server.options)).toEqual([])
  })

  const mistakes: [unknown, string][] = [
    [undefined, 'issueTokens: say for whom, as in { client_id, subject }'],
    [{ subject: 'alice' }, 'issueTokens: client_id must be a text that is not empty'],
    [{ client_id: 'web' }, 'issueTokens: subject must be'],
    [{ client_id: 'web', subject: undefined }, 'issueTokens: subject must be'],
    [{ ...wanted, subject: '' }, 'issueTokens: subject must be'],
    [{ ...wanted, subject: 7 }, 'issueTokens: subject must be'],
    [{ ...wanted, liftime: 5 }, 'issueTokens: there is no member "liftime"; did you mean "lifetime"?'],
    [{ ...wanted, lifetime: 0 }, 'issueTokens: lifetime must be whole seconds from 1 to 31536000'],
    [{ ...wanted, lifetime: 31_536_001 }, 'issueTokens: lifetime must be'],
    [{ ...wanted, lifetime: 1.5 }, 'issueTokens: lifetime must be'],
    [{ ...wanted, scope: { read: true } }, 'issueTokens: scope must be a text or a list of texts'],
    [{ ...wanted, resource: [7] }, 'issueTokens: resource must be a text or a list of texts'],
    [{ ...wanted, refreshable: 'yes' }, 'issueTokens: refreshable must be true or false'],
    [{ ...wanted, context: null }, 'issueTokens: context must be an object'],
    [{ ...wanted, extra: 'x' }, 'issueTokens: extra must be an object of plain JSON'],
  ]
  test.each(mistakes)('SM4 a mistake of the application is a TypeError, before anything is looked up: %j', async (request, message) => {
    let looked = 0
    const clients = () => (looked++, web)
    const refusal = issueTokens(testServer({ clients }).options, request as TokensRequest)
    await expect(refusal).rejects.toThrow(TypeError)
    await expect(refusal).rejects.toThrow(message)
    expect(looked).toBe(0)
  })

  test('SM4 a store that fails gives out nothing', async () => {
    const store = {
      get: () => undefined,
      create: () => Promise.reject(new Error()),
      replace: () => Promise.reject(new Error()),
      list: async function* () {},
    }
    const { options } = testServer({ store: store as unknown as NonNullable<ServerOptions['store']> })
    await expect(issueTokens(options, wanted)).rejects.toMatchObject({ error: 'temporarily_unavailable', status: 503 })
  })

  test('SM4 nobody can present the grant type application', async () => {
    const server = testServer({ clients: [{ ...machine, grant_types: ['client_credentials', 'application'].slice(0, 1) }] })
    expect((await server.token({ grant_type: 'application' }, basic(machine))).json.error).toBe('unsupported_grant_type')
  })
})

describe('SM3 a validated request', () => {
  test('SM3 says whom and what the tokens will be for, and holds no credential', async () => {
    const server = testServer({ resources: ['https://api.example/'], authorize: ({ scope }) => scope.filter((token) => token !== 'admin') })
    const code = await server.code({ client_id: 'native', scope: 'read admin' })
    const context = { tenant: 'acme' }
    const request = { ...formRequest({ ...exchange(code), client_id: 'native' }), context }
    const validated = await validateTokenRequest(server.options, request)
    expect(Object.fromEntries(Object.entries(validated))).toEqual({
      client_id: native.client_id,
      grant_type: 'authorization_code',
      subject: 'alice',
      scope: ['read'],
      resource: ['https://api.example/'],
      context,
    })
    expect(JSON.stringify(validated)).not.toContain(code.slice(23))
    expect(() => Object.assign(validated, { subject: 'mallory' })).toThrow(TypeError)
    expect(() => (validated.scope as string[]).push('write')).toThrow(TypeError)
  })

  test('SM3 the client itself has no subject, and a repeated refresh says the same', async () => {
    const server = testServer()
    const own = await validateTokenRequest(server.options, formRequest({ grant_type: 'client_credentials', scope: 'read' }, basic(machine)))
    expect([own.subject, own.scope, own.resource, own.context]).toEqual([undefined, ['read'], [], {}])
    const { refresh_token } = await server.tokens({ scope: 'read write' })
    await server.refresh(refresh_token, { scope: 'read' })
    const form = { grant_type: 'refresh_token', refresh_token, scope: 'read' }
    const again = await validateTokenRequest(server.options, formRequest(form, basic(web)))
    expect([again.subject, again.scope]).toEqual(['alice', ['read']])
  })
})

test('SM4 works without any grant for the outside', async () => {
  const { options } = testServer({ grants: [clientCredentials()] })
  expect(await issueTokens(options, wanted)).toMatchObject({ token_type: 'Bearer', scope: 'read' })
})

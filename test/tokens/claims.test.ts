/** Claims of the application's own: static and dynamic, in every grant, beside the protected ones. */
import { describe, expect, jest, test } from '@jest/globals'
import {
  authorizationCode,
  clientCredentials,
  ConfigurationError,
  createTokenResponse,
  encrypted,
  jwt,
  memoryStore,
  password,
  refreshToken,
  type ClaimsOptions,
  type Grant,
  type JsonObject,
  type TokenClaims,
} from '../../src/index.js'
import { basic, exchange, formRequest, machine, parsed, start, testServer, web } from '../support/server.js'
import { reasons, recordOf, storedServer } from '../support/stored.js'
import { claimsForFormat, decoded, issuer, jwtServer, machineToken, p256, pem, present, rsa, statusOf } from '../support/tokens.js'

const key = p256.privateKey
const protectedNames = ['iss', 'exp', 'nbf', 'sub', 'client_id', 'iat', 'jti', 'scope', 'sub_type']

/** The claims that a machine's token has with these options. */
async function machineClaims(options: ClaimsOptions): Promise<Record<string, unknown>> {
  return decoded(await machineToken(jwtServer({ accessTokens: jwt({ key, ...options }) }))).claims
}

describe('the example of the reference document', () => {
  test('A6 an RSA key as PEM, an issuer, and aud by a function: aud, iss, scope and exp come out', async () => {
    const accessTokens = jwt({ key: pem(rsa.privateKey), issuer: 'foobar', claims: ({ client }) => ({ aud: client.client_id }) })
    const server = testServer({ accessTokens, scopes: ['profile', 'calendar'], accessTokenLifetime: 120 })
    const { json } = await server.token({ grant_type: 'client_credentials', scope: 'profile calendar' }, basic(machine))
    expect(json).toMatchObject({ expires_in: 120, token_type: 'Bearer' })
    const { header, claims } = decoded(json.access_token ?? '')
    expect(header.alg).toBe('RS256')
    expect(claims).toMatchObject({ aud: 'machine', iss: 'foobar', scope: 'profile calendar', exp: start + 120 })
    expect(await statusOf(server.options, json.access_token ?? '')).toBe(401)
    expect(await statusOf(server.options, json.access_token ?? '', { audience: 'machine' })).toBe(200)
  })

  test('F2 scope is what was granted, not what was asked for or registered', async () => {
    const server = jwtServer({ authorize: ({ scope }) => scope.filter((token) => token !== 'write') })
    const { access_token, refresh_token } = await server.tokens({ scope: 'read write admin' })
    expect(decoded(access_token).claims.scope).toBe('read admin')
    const { json } = await server.refresh(refresh_token, { scope: 'read' })
    expect(decoded(json.access_token ?? '').claims.scope).toBe('read')
  })
})

describe('dynamic claims', () => {
  const ticket: Grant = { type: 'urn:example:ticket', authorize: () => ({ subject: 'carol' }) }
  const holder = { ...web, grant_types: ['authorization_code', 'refresh_token', 'client_credentials', 'password', 'urn:example:ticket'] }
  const seen: TokenClaims[] = []
  const claims = async (token: TokenClaims): Promise<JsonObject> => {
    seen.push(token)
    return { tenant: String(token.context.tenant), by: token.grant_type, aud: `https://${token.client.client_id}.example` }
  }
  jest.spyOn(console, 'warn').mockImplementation(() => {})
  const grants = [authorizationCode(), refreshToken(), clientCredentials(), password({ authenticate: (name) => name }), ticket]
  const server = jwtServer({ clients: [holder], grants, accessTokens: jwt({ key, claims }) })
  const ask = async (form: Record<string, string>) =>
    parsed(await createTokenResponse(server.options, { ...formRequest(form, basic(web)), context: { tenant: 'blue' } }))

  test.each<[string, () => Promise<Record<string, string>>, string | undefined]>([
    ['authorization_code', async () => exchange(await server.code()), 'alice'],
    ['refresh_token', async () => ({ grant_type: 'refresh_token', refresh_token: (await server.tokens()).refresh_token }), 'alice'],
    ['client_credentials', async () => ({ grant_type: 'client_credentials' }), undefined],
    ['password', async () => ({ grant_type: 'password', username: 'bob', password: 'x' }), 'bob'],
    ['urn:example:ticket', async () => ({ grant_type: 'urn:example:ticket' }), 'carol'],
  ])('F2 %s: the function is told client, subject, scope, lifetime and context', async (grant_type, form, subject) => {
    const request = await form()
    seen.length = 0
    const { status, json } = await ask({ ...request, scope: 'read' })
    expect(status).toBe(200)
    const { claims: written } = decoded(json.access_token ?? '')
    expect(written).toMatchObject({ tenant: 'blue', by: grant_type, aud: 'https://web.example', iss: issuer, sub: subject ?? 'web' })
    expect(seen).toHaveLength(1)
    expect(seen[0]).toMatchObject({
      kind: 'access_token',
      subject,
      grant_type,
      issuedAt: start,
      expiresAt: start + 3600,
      context: { tenant: 'blue' },
    })
    expect(seen[0]?.client.client_id).toBe('web')
    expect(seen[0]?.scope).toEqual(['read'])
  })

  test.each(protectedNames)('F2 a function that sets %s: 500, nothing issued, and the code is good afterwards', async (name) => {
    let claim: JsonObject = { [name]: 'mallory' }
    const { server: careless, store } = storedServer({ issuer, accessTokens: jwt({ key, claims: () => claim }) })
    const code = await careless.code()
    const before = await recordOf(store, code)
    const refused = await careless.token(exchange(code), basic(web))
    expect([refused.status, refused.json]).toEqual([500, { error: 'server_error', error_description: expect.any(String) }])
    expect(reasons(careless)).toEqual([`the claims function may not set ${name}`])
    expect(await recordOf(store, code)).toEqual(before)
    expect(store.size).toBe(1)
    claim = {}
    expect(await careless.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
  })

  test('F2 the same at refresh: the refresh token is good afterwards', async () => {
    let claim: JsonObject = {}
    const careless = jwtServer({ accessTokens: jwt({ key, claims: () => claim }) })
    const { refresh_token } = await careless.tokens()
    claim = { sub: 'mallory' }
    expect(await careless.refresh(refresh_token)).toMatchObject({ status: 500 })
    claim = {}
    const { json } = await careless.refresh(refresh_token)
    expect(decoded(json.access_token ?? '').claims.sub).toBe('alice')
  })

  const notAnObject = 'the claims function must return an object of plain JSON'
  const circular: Record<string, unknown> = {}
  circular.self = circular
  class Sneaky {
    readonly tenant = 'blue'
    toJSON() {
      return { sub: 'mallory' }
    }
  }
  test.each<[string, unknown, string]>([
    ['nothing', undefined, notAnObject],
    ['null', null, notAnObject],
    ['a text', 'sub', notAnObject],
    ['an array', [['sub', 'mallory']], notAnObject],
    ['a circle', circular, notAnObject],
    ['a number too large for JSON', { n: 1n }, notAnObject],
    ['an object that turns into a text', { toJSON: () => 'sub' }, notAnObject],
    ['an object that turns into another', new Sneaky(), 'the claims function may not set sub'],
    ['a member that turns it all into another', { tenant: 'blue', toJSON: () => ({ iss: 'x' }) }, 'the claims function may not set iss'],
    ['a protected name that says nothing', { sub: undefined }, 'the claims function may not set sub'],
    ['a protected name that is inherited', Object.create({ scope: 'admin' }), 'the claims function may not set scope'],
  ])('F2 a function that answers %s: 500', async (_name, answer, reason) => {
    const server = jwtServer({ accessTokens: jwt({ key, claims: () => answer as JsonObject }) })
    const { status, json } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
    expect([status, json.error, reasons(server)]).toEqual([500, 'server_error', [reason]])
  })

  test('R4 a function that throws or rejects: 500, and its words stay here', async () => {
    const claims = async () => Promise.reject(new Error('canary'))
    const { status, body } = await jwtServer({ accessTokens: jwt({ key, claims }) }).token(
      { grant_type: 'client_credentials' },
      basic(machine),
    )
    expect(status).toBe(500)
    expect(body).not.toContain('canary')
  })

  test('F2 a name that JavaScript knows is a claim like any other', async () => {
    const own = JSON.parse('{"__proto__":{"sub":"mallory"},"constructor":"x"}') as JsonObject
    const claims = await machineClaims({ claims: () => own })
    expect(claims.sub).toBe('machine')
    expect(Object.keys(claims)).toEqual(expect.arrayContaining(['__proto__', 'constructor']))
  })
})

describe('static claims', () => {
  test('F2 are in every token, as they were when the format was made', async () => {
    const claims = { tenant: 'blue', roles: ['a'] }
    const accessTokens = jwt({ key, claims })
    claims.roles.push('b')
    claims.tenant = 'red'
    const written = decoded(await machineToken(jwtServer({ accessTokens }))).claims
    expect(written).toMatchObject({ tenant: 'blue', roles: ['a'], iss: issuer, sub: 'machine' })
  })

  test.each(protectedNames)('F2 may not hold %s: stops the start', (name) => {
    const remedies = new Map([['iss', '; it is the option issuer'], ['exp', '; it follows from the option accessTokenLifetime']]) // prettier-ignore
    const message = `claims must not hold "${name}", which the server sets itself${remedies.get(name) ?? ''}`
    expect(() => jwt({ key, claims: { [name]: 'x' } })).toThrow(new ConfigurationError(`jwt: ${message}`))
    expect(() => encrypted({ key: new Uint8Array(32), claims: { [name]: 'x' } })).toThrow(new ConfigurationError(`encrypted: ${message}`))
  })

  test.each<[string, unknown, string]>([
    ['aud', { aud: 'x' }, 'jwt: claims must not hold "aud"; it is the option audience'],
    ['a text', 'x', 'jwt: claims must be an object of plain JSON, or a function of the token'],
    ['an array', [], 'jwt: claims must be an object of plain JSON, or a function of the token'],
    ['null', null, 'jwt: claims must be an object of plain JSON, or a function of the token'],
    ['what JSON cannot hold', { n: 1n }, 'jwt: claims must be an object of plain JSON, or a function of the token'],
  ])('F2 %s as claims stops the start', (_name, claims, message) => {
    expect(() => jwt({ key, claims: claims as JsonObject })).toThrow(new ConfigurationError(message))
  })
})

describe('whom a token is meant for', () => {
  test('F2 the issuer, unless the option audience names another, or a function does', async () => {
    expect((await machineClaims({})).aud).toBe(issuer)
    expect((await machineClaims({ issuer: 'foobar' })).aud).toBe('foobar')
    expect((await machineClaims({ audience: 'https://api.example' })).aud).toBe('https://api.example')
    const claims = () => ({ aud: ['https://a.example', 'https://b.example'] })
    expect((await machineClaims({ audience: 'https://api.example', claims })).aud).toEqual(['https://a.example', 'https://b.example'])
  })

  test('F2 a function that says nothing of aud for some leaves it as it is', async () => {
    expect((await machineClaims({ claims: () => ({ aud: undefined }) as unknown as JsonObject })).aud).toBe(issuer)
  })

  test.each([[''], [7], [null], [[]], [['']], [['https://a.example', 7]], [{}], [true]])('F2 aud %p is none: 500', async (aud) => {
    const server = jwtServer({ accessTokens: jwt({ key, claims: () => ({ aud }) }) })
    expect(await server.token({ grant_type: 'client_credentials' }, basic(machine))).toMatchObject({ status: 500 })
    expect(reasons(server)).toEqual(['the claims function must answer aud as a string or an array of strings (RFC 7519 §4.1.3)'])
  })

  test('M1 the resource that was asked for goes before everything else', async () => {
    const format = jwt({ key, audience: 'https://api.example', claims: () => ({ aud: 'https://own.example' }) })
    const one = await format.issue(await claimsForFormat({ resource: ['https://mcp.example'] }))
    const two = await format.issue(await claimsForFormat({ resource: ['https://mcp.example', 'https://b.example'] }))
    expect(decoded(one).claims.aud).toBe('https://mcp.example')
    expect(decoded(two).claims.aud).toEqual(['https://mcp.example', 'https://b.example'])
  })

  test.each<[string, ClaimsOptions, string]>([
    ['the issuer of the server', {}, issuer],
    ['the issuer of the format', { issuer: 'foobar' }, 'foobar'],
    ['the audience of the format', { issuer: 'foobar', audience: 'https://api.example' }, 'https://api.example'],
  ])('F2 the guard expects %s, unless it is told another', async (_name, options, audience) => {
    for (const accessTokens of [jwt({ key, ...options }), encrypted({ key: new Uint8Array(32).fill(1), ...options })]) {
      const server = jwtServer({ accessTokens })
      const token = await machineToken(server)
      expect(await present(server.options, token)).toMatchObject({ auth: { extra: { aud: audience } } })
      expect(await statusOf(server.options, token, { audience })).toBe(200)
      expect(await statusOf(server.options, token, { audience: 'https://other.example' })).toBe(401)
    }
  })

  test('N3 introspection names the issuer that the token names, and for a token that names none the server', async () => {
    const named = jwtServer({ accessTokens: jwt({ key, issuer: 'foobar' }) })
    expect((await named.introspect({ token: await machineToken(named) }, basic(machine))).json).toMatchObject({
      active: true,
      iss: 'foobar',
    })
    const format = jwt({ key })
    const silent = jwtServer({
      accessTokens: { ...format, read: async (...of) => Object.assign((await format.read?.(...of)) ?? {}, { claims: {} }) as never },
    })
    expect((await silent.introspect({ token: await machineToken(silent) }, basic(machine))).json).toMatchObject({
      active: true,
      iss: issuer,
    })
    const noting: Grant = { type: 'urn:example:noting', authorize: () => ({ subject: 'alice', extra: { iss: 'mallory' } }) }
    const holder = { ...machine, grant_types: [noting.type] }
    const opaque = testServer({ issuer, clients: [holder], grants: [noting] })
    const { json } = await opaque.token({ grant_type: noting.type }, basic(holder))
    const answer = await opaque.introspect({ token: json.access_token ?? '' }, basic(holder))
    expect(answer.json).toMatchObject({ active: true, iss: issuer })
  })

  test('N3 introspection tells every audience', async () => {
    const aud = ['https://a.example', 'https://b.example']
    const several = jwtServer({ accessTokens: jwt({ key, claims: () => ({ aud }) }) })
    expect((await several.introspect({ token: await machineToken(several) }, basic(machine))).json.aud).toEqual(aud)
  })

  test('F2 two servers that share a key: the token of one is worth nothing at the other', async () => {
    const accessTokens = jwt({ key })
    const one = jwtServer({ accessTokens, store: memoryStore() })
    const other = jwtServer({ accessTokens, issuer: 'https://other.example' })
    const token = await machineToken(one)
    expect(await statusOf(one.options, token)).toBe(200)
    expect(await statusOf(other.options, token, { audience: issuer })).toBe(401)
  })
})

/** The introspection endpoint: row N3. */
import { describe, expect, it } from '@jest/globals'
import { createIntrospectionResponse, type AccessTokenFormat, type ClientMetadata } from '../src/index.js'
import { basic, formRequest, machine, native, parsed, start, testServer, web } from './support/server.js'

const inactive = {
  status: 200,
  headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache' },
  body: '{"active":false}',
  json: { active: false },
}
const api: ClientMetadata & { client_secret: string } = { client_id: 'https://api.example', client_secret: 'api-secret', grant_types: [] }
const auditor = { ...api, client_id: 'auditor', introspect: true }

describe('an active token', () => {
  it('N3 an access token says who, for whom, what for and until when', async () => {
    const server = testServer()
    const { access_token } = await server.tokens({ scope: 'read write' })
    server.now = start + 10
    const { status, json } = await server.introspect(`token=${access_token}`, basic(web))
    expect(json).toEqual({
      active: true,
      client_id: 'web',
      sub: 'alice',
      scope: 'read write',
      iat: start,
      exp: start + 3600,
      token_type: 'Bearer',
    })
    expect(status).toBe(200)
  })

  it('N3 a token of client_credentials has the client as its sub, and an empty scope is still there', async () => {
    const server = testServer({ scopes: [] })
    const { json } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
    const answer = await server.introspect({ token: json.access_token ?? '' }, basic(machine))
    expect(answer.json).toEqual({
      active: true,
      client_id: 'machine',
      sub: 'machine',
      sub_type: 'client',
      scope: '',
      iat: start,
      exp: start + 3600,
      token_type: 'Bearer',
    })
  })

  it('N3 the issuer is told where the server has one', async () => {
    const server = testServer({ issuer: 'https://server.example' })
    const { access_token } = await server.tokens()
    expect((await server.introspect({ token: access_token }, basic(web))).json).toMatchObject({ iss: 'https://server.example' })
  })

  it('N3 a refresh token is told from an access token', async () => {
    const server = testServer()
    const { refresh_token } = await server.tokens({ scope: 'read' })
    const { json } = await server.introspect({ token: refresh_token, token_type_hint: 'access_token' }, basic(web))
    expect(json).toEqual({
      active: true,
      client_id: 'web',
      sub: 'alice',
      scope: 'read',
      iat: start,
      exp: start + 1_209_600,
      token_type: 'refresh_token',
    })
  })
})

describe('an inactive token', () => {
  it('N3 expired: nothing but active: false', async () => {
    const server = testServer()
    const { access_token, refresh_token } = await server.tokens()
    server.now = start + 3599
    expect((await server.introspect({ token: access_token }, basic(web))).json.active).toBe(true)
    server.now = start + 3600
    expect(await server.introspect({ token: access_token }, basic(web))).toEqual(inactive)
    server.now = start + 1_209_599
    expect((await server.introspect({ token: refresh_token }, basic(web))).json.active).toBe(true)
    server.now = start + 1_209_600
    expect(await server.introspect({ token: refresh_token }, basic(web))).toEqual(inactive)
  })

  it('N3 a refresh token that lay too long is inactive, although an access token of its Authorization lives', async () => {
    const server = testServer({ refreshTokenIdleLifetime: 60 })
    const { access_token, refresh_token } = await server.tokens()
    server.now = start + 60
    expect(await server.introspect({ token: refresh_token }, basic(web))).toEqual(inactive)
    expect((await server.introspect({ token: access_token }, basic(web))).json.active).toBe(true)
  })

  it('N3 revoked, rotated, altered, unknown: nothing but active: false', async () => {
    const server = testServer()
    const { access_token, refresh_token } = await server.tokens()
    const code = await server.code()
    const id = access_token.slice(0, 22)
    const invented = `${id}.0.${'a'.repeat(43)}.${'b'.repeat(43)}`
    for (const token of ['x', code, id, `${access_token}A`, invented, `${'z'.repeat(22)}.${'a'.repeat(43)}`, 'a'.repeat(10_000)]) {
      expect(await server.introspect({ token }, basic(web))).toEqual(inactive)
    }
    const { json } = await server.refresh(refresh_token)
    expect(await server.introspect({ token: refresh_token }, basic(web))).toEqual(inactive)
    await server.revoke({ token: json.refresh_token ?? '' }, basic(web))
    for (const token of [access_token, json.access_token, json.refresh_token]) {
      expect(await server.introspect({ token: token ?? '' }, basic(web))).toEqual(inactive)
    }
  })
})

describe('who may ask', () => {
  it('N3 another client is told nothing', async () => {
    const server = testServer()
    const { access_token, refresh_token } = await server.tokens()
    expect(await server.introspect({ token: access_token }, basic(machine))).toEqual(inactive)
    expect(await server.introspect({ token: refresh_token }, basic(machine))).toEqual(inactive)
  })

  it('N3 a client with introspect: true is told about every access token', async () => {
    const server = testServer({ clients: [web, machine, auditor] })
    const { access_token } = await server.tokens()
    expect((await server.introspect({ token: access_token }, basic(auditor))).json).toMatchObject({ active: true, client_id: 'web' })
  })

  it('N3 a refresh token is shown to its own client only, so that nobody takes it for an access token', async () => {
    const server = testServer({ clients: [web, auditor] })
    const { refresh_token } = await server.tokens()
    expect(await server.introspect({ token: refresh_token }, basic(auditor))).toEqual(inactive)
  })

  it('N3 a client that the token names as its audience is told, another one is not', async () => {
    const token = {
      client_id: 'web',
      subject: 'alice',
      scope: ['read'],
      audience: ['https://api.example'],
      issuedAt: start,
      jti: 'j-1',
      claims: {},
    }
    const accessTokens: AccessTokenFormat = {
      name: 'fixed',
      kind: 'self-contained',
      issue: () => 'fixed',
      read: (text) =>
        text === 'fixed' ? { ...token, kind: 'self-contained', expiresAt: start + 60, authorization_id: undefined } : undefined,
    }
    const server = testServer({ clients: [web, machine, api], accessTokens })
    expect((await server.introspect({ token: 'fixed' }, basic(api))).json).toEqual({
      active: true,
      client_id: 'web',
      sub: 'alice',
      scope: 'read',
      iat: start,
      exp: start + 60,
      token_type: 'Bearer',
      aud: 'https://api.example',
    })
    expect(await server.introspect({ token: 'fixed' }, basic(machine))).toEqual(inactive)
    server.now = start + 60
    expect(await server.introspect({ token: 'fixed' }, basic(api))).toEqual(inactive)
  })

  it('N3 without authentication, with a wrong secret, and for a public client: 401', async () => {
    const server = testServer()
    const { access_token } = await server.tokens({ client_id: 'native' })
    const answers = [
      await server.introspect({ token: access_token }),
      await server.introspect({ token: access_token }, basic({ ...web, client_secret: 'wrong' })),
      await server.introspect({ token: access_token, client_id: native.client_id }),
      await server.introspect({ token: access_token }, { authorization: `Bearer ${access_token}` }),
    ]
    for (const { status, body, headers } of answers) {
      expect(body).toBe('{"error":"invalid_client","error_description":"client authentication failed"}')
      expect(status).toBe(401)
      expect(headers['WWW-Authenticate']).toBe('Basic realm="oauth2", charset="UTF-8"')
    }
  })

  it('N3 a public client is refused although it is registered with introspect: true', async () => {
    const server = testServer({ clients: [web, { ...native, introspect: true }] })
    const { access_token } = await server.tokens()
    expect((await server.introspect({ token: access_token, client_id: 'native' })).status).toBe(401)
  })
})

describe('the request', () => {
  it.each(['', 'token=', 'token_type_hint=access_token'])('N3 without a token (%j): 400', async (form) => {
    const response = await testServer().introspect(form, basic(web))
    expect(response.body).toBe('{"error":"invalid_request","error_description":"token is required"}')
    expect(response.status).toBe(400)
  })

  it.each([
    [{ method: 'GET' }, 405, 'the introspection endpoint answers POST only'],
    [{ url: 'http://server.example/introspect' }, 400, 'the introspection endpoint requires https'],
    [{ headers: { 'content-type': 'application/json' } }, 415, 'the body must be application/x-www-form-urlencoded in UTF-8'],
    [{ body: 'token=a&token=b' }, 400, 'token is included more than once'],
  ])('N3 the rules of the transport hold: %j is %i', async (change, status, error_description) => {
    const request = { ...formRequest({ token: 'a' }, basic(web)), ...change }
    const response = parsed(await createIntrospectionResponse(testServer().options, request))
    expect(response.json).toEqual({ error: 'invalid_request', error_description })
    expect(response.status).toBe(status)
  })

  it('N3 a store that fails is 503, not active: false', async () => {
    const fail = () => Promise.reject(new Error('connection refused'))
    const server = testServer({ store: { get: fail, create: fail, replace: fail, list: async function* () {} } })
    const { status, json } = await server.introspect({ token: `${'a'.repeat(22)}.${'b'.repeat(43)}` }, basic(web))
    expect(json.error).toBe('temporarily_unavailable')
    expect(status).toBe(503)
  })
})

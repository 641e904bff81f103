/** The guard of a protected resource over HTTP, on bare node:http: rows N1 and Y1. */
import { afterAll, afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import express from 'express'
import {
  bearerHeader,
  requireAccessToken,
  type AccessTokenFormat,
  type AccessTokenRequirement,
  type HostRequest,
  type ServerOptions,
  type Store,
} from '../src/index.js'
import { basic, machine, start, testServer, web } from './support/server.js'

const servers: Server[] = []
beforeEach(() => {
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
})
afterEach(() => {
  jest.restoreAllMocks()
})
afterAll(() => Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve)))))

/** Serves `req.auth` behind a guard, and says what was answered. */
async function guarded(options: ServerOptions, requirement?: AccessTokenRequirement) {
  const guard = requireAccessToken(options, requirement)
  const server = createServer((req: HostRequest, res) => guard(req, res, () => res.end(JSON.stringify({ passed: true, auth: req.auth }))))
  return serve(server)
}

async function serve(server: Server) {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const get = async (headers: Record<string, string> = {}, path = '/', init: RequestInit = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers, ...init })
    const body = await response.text()
    return { status: response.status, challenge: response.headers.get('www-authenticate'), body, headers: response.headers }
  }
  return { get, port }
}

const bare = 'Bearer realm="oauth2"'
const invalidToken = `${bare}, error="invalid_token", error_description="the access token is invalid, expired, or was revoked"`
const tooMany = `${bare}, error="invalid_request", error_description="the access token must be sent in one place only"`

describe('a member that is there but undefined', () => {
  const options = { resources: ['https://api.example.com'], issuer: 'https://as.example' }
  const warnings = () => jest.mocked(console.warn).mock.calls.map(([line]) => String(line)).filter((line) => line.includes('undefined')) // prettier-ignore

  it.each(['scope', 'resource', 'audience', 'checkRevocation'])('N1 a guard whose %s is undefined warns once, at start', (name) => {
    const server = testServer(options)
    for (let i = 0; i < 2; i++) requireAccessToken(server.options, { [name]: undefined })
    expect(warnings()).toEqual([
      expect.stringMatching(`requireAccessToken: ${name} is there but undefined, .* demands nothing; .*or leave ${name} out where `),
    ])
  })

  it('N1 one that is left out, or cannot weaken the guard, does not', () => {
    const server = testServer(options)
    requireAccessToken(server.options)
    requireAccessToken(server.options, { scope: 'read', optional: undefined, allowBodyToken: undefined, origin: undefined } as object)
    expect(warnings()).toEqual([])
  })
})

describe('an active token', () => {
  it('Y1 a token is issued as Bearer and is used as Bearer, in any case', async () => {
    const server = testServer({ authenticationMethod: 'bearer' })
    const { access_token, token_type } = await server.tokens()
    expect(token_type).toBe('Bearer')
    expect(bearerHeader(access_token)).toEqual({ Authorization: `Bearer ${access_token}` })
    const { get } = await guarded(server.options)
    for (const scheme of ['Bearer', 'bearer', 'BEARER'])
      expect((await get({ authorization: `${scheme} ${access_token}` })).status).toBe(200)
  })

  it('Y1 a token under another scheme is no token', async () => {
    const server = testServer()
    const { access_token } = await server.tokens()
    const { get } = await guarded(server.options)
    for (const scheme of ['DPoP', 'Basic', 'Token', 'Bearerx']) {
      expect(await get({ authorization: `${scheme} ${access_token}` })).toMatchObject({ status: 401, challenge: bare, body: '{}' })
    }
  })

  it('Y1 N1 a bearer token under the MAC scheme is 401 invalid_token', async () => {
    const server = testServer()
    const { access_token } = await server.tokens()
    const { get } = await guarded(server.options)
    for (const credentials of [access_token, `id="${access_token}", nonce="1:a", mac="AAAA"`])
      expect(await get({ authorization: `MAC ${credentials}` })).toMatchObject({ status: 401, challenge: invalidToken })
  })

  it('N1 req.auth tells token, client, scopes, expiry, subject and what the application bound to it', async () => {
    const server = testServer()
    const { access_token } = await server.tokens({ scope: 'read write', extra: { tenant: 7 } })
    const { get } = await guarded(server.options)
    const { status, body } = await get(bearerHeader(access_token))
    expect(JSON.parse(body)).toEqual({
      passed: true,
      auth: {
        token: access_token,
        clientId: 'web',
        scopes: ['read', 'write'],
        expiresAt: start + 3600,
        extra: { tenant: 7 },
        subject: 'alice',
        issuedAt: start,
      },
    })
    expect(status).toBe(200)
  })

  it('N1 a token of client_credentials has no subject', async () => {
    const server = testServer()
    const { json } = await server.token({ grant_type: 'client_credentials', scope: 'read' }, basic(machine))
    const { get } = await guarded(server.options)
    const { auth } = JSON.parse((await get(bearerHeader(json.access_token ?? ''))).body) as { auth: object }
    expect(auth).toMatchObject({ clientId: 'machine', scopes: ['read'] })
    expect(auth).not.toHaveProperty('subject')
  })

  it('N1 it works as middleware of Express, in front of a route only', async () => {
    const server = testServer()
    const { access_token } = await server.tokens()
    const app = express()
    app.get('/open', (_req, res) => void res.send('open'))
    app.use('/api', requireAccessToken(server.options, { scope: 'read' }))
    app.get('/api/me', (req, res) => void res.json((req as HostRequest).auth))
    const { get } = await serve(createServer(app))
    expect(await get({}, '/open')).toMatchObject({ status: 200, body: 'open' })
    expect(await get({}, '/api/me')).toMatchObject({ status: 401, challenge: `${bare}, scope="read"` })
    expect(JSON.parse((await get(bearerHeader(access_token), '/api/me')).body)).toMatchObject({ clientId: 'web', subject: 'alice' })
  })
})

describe('no token, a bad token', () => {
  it('N1 no credentials: 401, a bare challenge, nothing cached', async () => {
    const { get } = await guarded(testServer().options)
    const { status, challenge, body, headers } = await get()
    expect({ status, challenge, body }).toEqual({ status: 401, challenge: bare, body: '{}' })
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('content-type')).toBe('application/json')
  })

  const bad = ['Bearer', 'Bearer ', 'Bearer abc', 'Bearer a b', 'Bearer "abc"', 'Bearer caf\u00e9', `Bearer ${'a'.repeat(12_000)}`]
  it.each(bad)('N1 %.30j is 401 invalid_token', async (authorization) => {
    const { get } = await guarded(testServer().options)
    const { status, challenge, body } = await get({ authorization })
    expect(challenge).toBe(invalidToken)
    expect(status).toBe(401)
    expect(JSON.parse(body)).toEqual({
      error: 'invalid_token',
      error_description: 'the access token is invalid, expired, or was revoked',
    })
  })

  it('N1 a malformed header is 401 even where the format would take any text for a token', async () => {
    const token = {
      client_id: 'web',
      subject: undefined,
      scope: [],
      audience: [],
      issuedAt: 0,
      expiresAt: start + 60,
      jti: 'j-1',
      claims: {},
    }
    const accessTokens: AccessTokenFormat = {
      name: 'trusting',
      kind: 'self-contained',
      issue: () => 'any',
      read: () => ({ ...token, kind: 'self-contained', authorization_id: undefined }),
    }
    const { get } = await guarded(testServer({ accessTokens }).options)
    expect((await get(bearerHeader('any'))).status).toBe(200)
    expect(await get({ authorization: 'Bearer a b' })).toMatchObject({ status: 401, challenge: invalidToken })
  })

  it('N1 expired, revoked, altered, and other credentials of the same Authorization: the same 401', async () => {
    const server = testServer()
    const { get } = await guarded(server.options)
    const { access_token, refresh_token } = await server.tokens()
    const code = await server.code()
    const altered = access_token.slice(0, -1) + (access_token.endsWith('A') ? 'B' : 'A')
    for (const token of [altered, access_token.slice(0, -1), `${access_token}A`, refresh_token, code, access_token.slice(0, 22)]) {
      expect(await get(bearerHeader(token))).toMatchObject({ status: 401, challenge: invalidToken })
    }
    server.now = start + 3599
    expect((await get(bearerHeader(access_token))).status).toBe(200)
    server.now = start + 3600
    expect(await get(bearerHeader(access_token))).toMatchObject({ status: 401, challenge: invalidToken })
    const fresh = await server.tokens()
    expect((await server.revoke({ token: fresh.access_token }, basic(web))).status).toBe(200)
    expect(await get(bearerHeader(fresh.access_token))).toMatchObject({ status: 401, challenge: invalidToken })
  })

  it('N1 a token of another server is unknown', async () => {
    const { access_token } = await testServer().tokens()
    const { get } = await guarded(testServer().options)
    expect(await get(bearerHeader(access_token))).toMatchObject({ status: 401, challenge: invalidToken })
  })

  it('N1 two Authorization headers: 400', async () => {
    const server = testServer()
    const { access_token } = await server.tokens()
    const { port } = await guarded(server.options)
    const header = `Authorization: Bearer ${access_token}`
    const socket = connect(port, '127.0.0.1')
    socket.end(['GET / HTTP/1.1', 'Host: localhost', header, header, 'Connection: close', '', ''].join('\r\n'))
    const answer = await text(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('error="invalid_request", error_description="the Authorization header must not be repeated"')
  })

  it('N1 a store that fails: 503 without a challenge, and the next handler is not called', async () => {
    const fail = () => Promise.reject(new Error('connection refused'))
    const store: Store = { get: fail, create: fail, replace: fail, list: async function* () {} }
    const server = testServer({ store })
    const { get } = await guarded(server.options)
    const token = `${'a'.repeat(22)}.${'b'.repeat(43)}`
    const { status, challenge, body, headers } = await get(bearerHeader(token))
    expect({ status, challenge }).toEqual({ status: 503, challenge: null })
    expect(headers.get('retry-after')).toMatch(/^[1-3]$/)
    expect(JSON.parse(body)).toMatchObject({ error: 'temporarily_unavailable' })
  })
})

describe('scope', () => {
  it('N1 a missing scope: 403 insufficient_scope with all that is needed', async () => {
    const server = testServer()
    const { access_token } = await server.tokens({ scope: 'read' })
    const { get } = await guarded(server.options, { scope: 'read write' })
    const { status, challenge, body } = await get(bearerHeader(access_token))
    expect(challenge).toBe(
      `${bare}, error="insufficient_scope", error_description="the access token lacks a scope that is needed", scope="read write"`,
    )
    expect(status).toBe(403)
    expect(JSON.parse(body)).toMatchObject({ error: 'insufficient_scope' })
  })

  it.each([['read'], [['read']], [['read', 'write']], ['write  read'], [[]], ['']])('N1 scope %j is within "read write"', async (scope) => {
    const server = testServer()
    const { access_token } = await server.tokens({ scope: 'read write' })
    const { get } = await guarded(server.options, { scope })
    expect((await get(bearerHeader(access_token))).status).toBe(200)
  })

  it('N1 a scope is a whole word', async () => {
    const server = testServer({ scopes: ['read', 'read:all'] })
    const { access_token } = await server.tokens({ scope: 'read:all' })
    const { get } = await guarded(server.options, { scope: 'read' })
    expect((await get(bearerHeader(access_token))).status).toBe(403)
  })

  it('N1 the realm and the escapes in it', async () => {
    const { get } = await guarded(testServer({ realm: 'the "API" \\ v2' }).options)
    expect((await get()).challenge).toBe('Bearer realm="the \\"API\\" \\\\ v2"')
  })

  it.each<[unknown, string]>([
    [{ scopes: 'read' }, 'requireAccessToken has no member "scopes"; did you mean "scope"?'],
    [{ scope: 'reed' }, 'requireAccessToken: scope "reed" is not among the server\'s scopes, so no token can have it; add it to the option scopes'], // prettier-ignore
    [{ optional: 'yes' }, 'requireAccessToken: optional must be true or false, not a string'],
    [{ allowBodyToken: 1 }, 'requireAccessToken: allowBodyToken must be true or false, not a number'],
    [{ scope: 7 }, 'requireAccessToken: scope must be scope tokens, as an array or separated by spaces'],
    [{ scope: [7] }, 'requireAccessToken: scope must be scope tokens, as an array or separated by spaces'],
    ['read', "requireAccessToken: the second argument must be an object, as in { scope: 'read' }, not a string"],
  ])('N1 requireAccessToken(options, %j) stops the start', (requirement, message) => {
    expect(() => requireAccessToken(testServer().options, requirement as AccessTokenRequirement)).toThrow(message)
  })
})

describe('optional', () => {
  it('N1 a request without a token passes, without req.auth', async () => {
    const server = testServer()
    const { get } = await guarded(server.options, { optional: true })
    expect(await get()).toMatchObject({ status: 200, body: '{"passed":true}' })
    const { access_token } = await server.tokens()
    expect(JSON.parse((await get(bearerHeader(access_token))).body)).toMatchObject({ auth: { subject: 'alice' } })
  })

  it.each(['Bearer', 'Bearer abc', 'Bearer a b', 'bearer =x'])('N1 %j is refused all the same', async (authorization) => {
    const { get } = await guarded(testServer().options, { optional: true })
    expect(await get({ authorization })).toMatchObject({ status: 401, challenge: invalidToken })
  })
})

describe('other places', () => {
  const form = (access_token: string) => ({
    method: 'POST',
    body: new URLSearchParams({ access_token }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })

  /** An Express application that parses forms in front of the guard. */
  async function withParser(options: ServerOptions, requirement?: AccessTokenRequirement) {
    const app = express()
    app.use(express.urlencoded({ extended: false }))
    app.use(requireAccessToken(options, requirement))
    app.use((req, res) => void res.json((req as HostRequest).auth))
    const { get } = await serve(createServer(app))
    return (init: RequestInit & { headers?: Record<string, string> }, path = '/') => get(init.headers, path, init)
  }

  it('N1 a token in the body counts only where allowBodyToken says so', async () => {
    const server = testServer()
    const { access_token } = await server.tokens()
    expect(await (await withParser(server.options))(form(access_token))).toMatchObject({ status: 401, challenge: bare })
    const allowed = await withParser(server.options, { allowBodyToken: true })
    expect((await allowed(form(access_token))).status).toBe(200)
    expect(await allowed(form('wrong'))).toMatchObject({ status: 401, challenge: invalidToken })
  })

  it.each([true, false])('N1 a token in header and body is 400 (allowBodyToken: %j)', async (allowBodyToken) => {
    const server = testServer()
    const { access_token } = await server.tokens()
    const request = form(access_token)
    const send = await withParser(server.options, { allowBodyToken })
    const answer = await send({ ...request, headers: { ...request.headers, ...bearerHeader(access_token) } })
    expect(answer).toMatchObject({ status: 400, challenge: tooMany })
  })

  it('N1 a token in the query never counts, and beside another one is 400', async () => {
    const server = testServer()
    const { access_token } = await server.tokens()
    const { get } = await guarded(server.options, { allowBodyToken: true })
    expect(await get({}, `/?access_token=${access_token}`)).toMatchObject({ status: 401, challenge: bare })
    expect(await get(bearerHeader(access_token), `/?a=b&access_token=${access_token}`)).toMatchObject({ status: 400, challenge: tooMany })
    expect(await get(bearerHeader(access_token), '/?x_access_token=1')).toMatchObject({ status: 200 })
  })

  it('N1 plain http is not the business of the guard', async () => {
    const server = testServer({ allowInsecureTransport: false })
    const { access_token } = await server.tokens()
    const { get } = await guarded(server.options)
    expect((await get(bearerHeader(access_token))).status).toBe(200)
  })
})

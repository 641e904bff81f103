/** Authorization server metadata: what is advertised is called here, and what is served is advertised. */
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'
import {
  authorizationCode,
  clientCredentials,
  clientSecretBasic,
  clientSecretPost,
  ConfigurationError,
  createMetadataResponse,
  introspectionHandler,
  issueAuthorizationCode,
  jwksHandler,
  jwt,
  metadataHandler,
  password,
  refreshToken,
  revocationHandler,
  tokenHandler,
  type Grant,
  type Handler,
  type ServerOptions,
} from '../src/index.js'
import { basic, code_challenge, exchange, native, redirect_uri, web, type Tokens } from './support/server.js'
import { p256 } from './support/tokens.js'
import { Resources } from './support/wire.js'

jest.spyOn(console, 'warn').mockImplementation(() => {})
const resources = new Resources()
afterEach(() => resources.close())

const get = { method: 'GET', url: '/.well-known/oauth-authorization-server', headers: {} }
const issuer = 'https://server.example'
type Metadata = Readonly<Record<string, unknown>> & {
  readonly token_endpoint: string
  readonly grant_types_supported: readonly string[]
  readonly scopes_supported: readonly string[]
}

function metadata(options: ServerOptions): Metadata {
  return JSON.parse(createMetadataResponse(options, get).body) as Metadata
}

const ticket: Grant = { type: 'urn:example:ticket', authorize: () => ({ subject: 'carol' }) }
const everything = { ...web, grant_types: ['authorization_code', 'refresh_token', 'client_credentials', 'password', 'urn:example:ticket'] }
const posting = { ...everything, client_id: 'posting', token_endpoint_auth_method: 'client_secret_post' } as const
const allGrants = [authorizationCode(), refreshToken(), clientCredentials(), password({ authenticate: (name) => name }), ticket]

/** A server over HTTP that has all there is, at places of its own. */
async function wholeServer(extra: ServerOptions = {}) {
  const app = express()
  const { url } = await resources.listen(app)
  const oauth: ServerOptions = {
    issuer: `${url}/tenant`,
    clients: [everything, posting, native],
    scopes: ['read', 'write'],
    grants: allGrants,
    accessTokens: jwt({ key: p256.privateKey }),
    allowInsecureTransport: true,
    endpoints: { revocation: '/end', jwks: `${url}/keys.json`, authorization: '/consent' },
    ...extra,
  }
  // The documents come first: what is made after them is advertised all the same.
  app.get('/.well-known/oauth-authorization-server/tenant', metadataHandler(oauth))
  app.use('/tenant/oauth2/token', tokenHandler(oauth))
  app.use('/tenant/end', revocationHandler(oauth))
  app.use('/tenant/oauth2/introspect', introspectionHandler(oauth))
  app.use('/keys.json', jwksHandler(oauth))
  app.get('/tenant/consent', (_req, res) => void res.send('consent'))
  const answer = await fetch(`${url}/.well-known/oauth-authorization-server/tenant`)
  const document = (await answer.json()) as Metadata
  const post = async (name: string, form: Record<string, string>, headers: Record<string, string> = {}) => {
    const response = await fetch(String(document[name]), { method: 'POST', body: new URLSearchParams(form), headers })
    return { status: response.status, json: (await response.json()) as Record<string, unknown> & Partial<Tokens> }
  }
  const code = (client_id = 'web') =>
    issueAuthorizationCode(oauth, { client_id, redirect_uri, subject: 'alice', code_challenge, code_challenge_method: 'S256' })
  return { url, oauth, answer, document, post, code }
}

describe('the document', () => {
  test('N4 everything that a server may say, exactly', async () => {
    const { url, document, answer } = await wholeServer()
    const methods = ['client_secret_basic', 'client_secret_post', 'none']
    expect(document).toEqual({
      authorization_response_iss_parameter_supported: true,
      issuer: `${url}/tenant`,
      authorization_endpoint: `${url}/tenant/consent`,
      token_endpoint: `${url}/tenant/oauth2/token`,
      token_endpoint_auth_methods_supported: methods,
      revocation_endpoint: `${url}/tenant/end`,
      revocation_endpoint_auth_methods_supported: methods,
      introspection_endpoint: `${url}/tenant/oauth2/introspect`,
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      jwks_uri: `${url}/keys.json`,
      scopes_supported: ['read', 'write', 'offline_access'],
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: allGrants.map(({ type }) => type),
      code_challenge_methods_supported: ['S256'],
    })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json'])
    expect(answer.headers.get('cache-control')).toBe('public, max-age=300')
  })

  test('N4 a server of one grant says no more than that, and no member is null', () => {
    const options = { issuer, clients: [web], grants: [clientCredentials()], clientAuthenticationMethods: [clientSecretPost()] }
    expect(metadata(options)).toEqual({
      issuer,
      token_endpoint: `${issuer}/oauth2/token`,
      token_endpoint_auth_methods_supported: ['client_secret_post'],
      response_types_supported: [],
      grant_types_supported: ['client_credentials'],
    })
  })

  test.each<[string, (options: ServerOptions) => Handler, string[]]>([
    ['revocationHandler', revocationHandler, ['revocation_endpoint', 'revocation_endpoint_auth_methods_supported']],
    ['introspectionHandler', introspectionHandler, ['introspection_endpoint', 'introspection_endpoint_auth_methods_supported']],
    ['jwksHandler', jwksHandler, ['jwks_uri']],
  ])('N4 %s is advertised once it is made, and not before', (_name, make, members) => {
    const options = { issuer, clients: [web], accessTokens: jwt({ key: p256.privateKey }) }
    const before = Object.keys(metadata(options))
    make(options)
    expect(
      Object.keys(metadata(options))
        .filter((name) => !before.includes(name))
        .sort(),
    ).toEqual(members)
  })

  test('N4 refreshable: false is neither served nor advertised', () => {
    expect(metadata({ issuer, clients: [web], refreshable: false }).grant_types_supported).not.toContain('refresh_token')
  })

  test.each([
    ['https://server.example', 'https://server.example/oauth2/token'],
    ['https://server.example/', 'https://server.example/oauth2/token'],
    ['https://server.example/tenant', 'https://server.example/tenant/oauth2/token'],
    ['https://server.example/tenant/', 'https://server.example/tenant/oauth2/token'],
  ])('N4 the issuer %s stays as it is, and endpoints continue it', (said, token_endpoint) => {
    expect(metadata({ issuer: said, clients: [web] })).toMatchObject({ issuer: said, token_endpoint })
  })

  test('N4 an endpoint may be at another host', () => {
    const endpoints = { token: 'https://token.example/t?tenant=a', authorization: 'https://login.example/' }
    expect(metadata({ issuer, clients: [web], endpoints })).toMatchObject({
      token_endpoint: 'https://token.example/t?tenant=a',
      authorization_endpoint: 'https://login.example/',
    })
  })
})

describe('what is advertised is what is served', () => {
  test('N4 every endpoint answers where it is said to be', async () => {
    const { document } = await wholeServer()
    const places = Object.entries(document).filter(([name]) => /_endpoint$|_uri$/.test(name))
    expect(places.map(([name]) => name)).toEqual(['authorization_endpoint', 'token_endpoint', 'revocation_endpoint', 'introspection_endpoint', 'jwks_uri'])
    for (const [name, place] of places) {
      const { status } = await fetch(String(place))
      expect([name, status]).toEqual([name, /authorization|jwks/.test(name) ? 200 : 405])
    }
  }) // prettier-ignore

  test('N4 every grant gives a token, and one that is not listed is unsupported', async () => {
    const { document, post, code } = await wholeServer()
    const { json } = await post('token_endpoint', exchange(await code()), basic(web))
    const forms: Record<string, Record<string, string>> = {
      authorization_code: exchange(await code()),
      refresh_token: { refresh_token: json.refresh_token ?? '' },
      password: { username: 'bob', password: 'x' },
    }
    for (const grant_type of document.grant_types_supported) {
      const answer = await post('token_endpoint', { grant_type, ...forms[grant_type] }, basic(web))
      expect([grant_type, answer.status, typeof answer.json.access_token]).toEqual([grant_type, 200, 'string'])
    }
    for (const grant_type of ['implicit', 'urn:ietf:params:oauth:grant-type:device_code', 'urn:example:other']) {
      expect(await post('token_endpoint', { grant_type }, basic(web))).toMatchObject({
        status: 400,
        json: { error: 'unsupported_grant_type' },
      })
    }
  })

  /** How each method shows who the client is, and a client that uses it. */
  const shown: Record<string, { client_id: string; headers: Record<string, string>; form: Record<string, string> }> = {
    client_secret_basic: { client_id: 'web', headers: basic(web), form: {} },
    client_secret_post: { client_id: 'posting', headers: {}, form: { client_id: 'posting', client_secret: posting.client_secret } },
    none: { client_id: 'native', headers: {}, form: { client_id: 'native' } },
  }

  test.each(['token', 'revocation', 'introspection'])('N4 at the %s endpoint: every method, and no other', async (name) => {
    const { document, post, code } = await wholeServer()
    const advertised = document[`${name}_endpoint_auth_methods_supported`]
    for (const [method, { client_id, headers, form }] of Object.entries(shown)) {
      const request = name === 'token' ? exchange(await code(client_id)) : { token: 'unknown' }
      const { status } = await post(`${name}_endpoint`, { ...request, ...form }, headers)
      expect([method, status]).toEqual([method, Array.isArray(advertised) && advertised.includes(method) ? 200 : 401])
    }
  })

  test.each(['client_secret_basic', 'client_secret_post'])('N4 a server with %s alone serves that alone', async (method) => {
    const one = method === 'client_secret_basic' ? [clientSecretBasic()] : [clientSecretPost()]
    const client = { ...everything, token_endpoint_auth_method: method }
    const { document, post } = await wholeServer({ clients: [client], clientAuthenticationMethods: one })
    expect(document.token_endpoint_auth_methods_supported).toEqual([method])
    const statuses = ['client_secret_basic', 'client_secret_post'].map(async (other) => {
      const form = other === 'client_secret_post' ? { client_id: 'web', client_secret: web.client_secret } : {}
      const { status } = await post(
        'token_endpoint',
        { grant_type: 'client_credentials', ...form },
        other === 'client_secret_basic' ? basic(web) : {},
      )
      return [other, status === 200]
    })
    for (const [other, works] of await Promise.all(statuses)) expect([other, works]).toEqual([other, other === method])
  })

  test('N4 the challenge method that is listed is needed and understood, and plain is not', async () => {
    const { document, post, code, oauth } = await wholeServer()
    expect(document.code_challenge_methods_supported).toEqual(['S256'])
    const wrong = { ...exchange(await code()), code_verifier: 'x'.repeat(43) }
    expect(await post('token_endpoint', wrong, basic(web))).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
    const plain = { client_id: 'web', redirect_uri, subject: 'alice', code_challenge, code_challenge_method: 'plain' }
    await expect(issueAuthorizationCode(oauth, plain)).rejects.toMatchObject({ error: 'invalid_request' })
  })

  test('N4 every scope is granted, and another is not', async () => {
    const { document, post } = await wholeServer()
    const scope = document.scopes_supported.join(' ')
    // U6: it is allowed, and dropped where no refresh token comes with it.
    const granted = scope.replace(' offline_access', '')
    expect(await post('token_endpoint', { grant_type: 'client_credentials', scope }, basic(web))).toMatchObject({
      status: 200,
      json: { scope: granted },
    })
    expect(await post('token_endpoint', { grant_type: 'client_credentials', scope: 'admin' }, basic(web))).toMatchObject({ status: 400 })
  })

  test('N4 the keys verify a token of the token endpoint, and its issuer is the one that is named', async () => {
    const { document, post } = await wholeServer()
    const { json } = await post('token_endpoint', { grant_type: 'client_credentials' }, basic(web))
    const keys = createLocalJWKSet((await (await fetch(String(document.jwks_uri))).json()) as JSONWebKeySet)
    const { payload } = await jwtVerify(json.access_token ?? '', keys, { typ: 'at+jwt' })
    expect(payload.iss).toBe(document.issuer)
  })
})

describe('what stops the start', () => {
  test('N4 metadata without issuer', () => {
    const message = 'metadata needs the option issuer, the https URL of this server (RFC 8414 §2)'
    expect(() => metadataHandler({ clients: [web] })).toThrow(new ConfigurationError(message))
  })

  test.each([
    [
      'https://server.example?tenant=a',
      'issuer must be an absolute URL without query or fragment, as in \'https://auth.example.com\', not "https://server.example?tenant=a"',
    ],
    [
      'https://server.example#a',
      'issuer must be an absolute URL without query or fragment, as in \'https://auth.example.com\', not "https://server.example#a"',
    ],
    [
      'server.example',
      'issuer must be an absolute URL without query or fragment, as in \'https://auth.example.com\', not "server.example"',
    ],
    [
      'http://server.example',
      'issuer must be an https URL, as in \'https://auth.example.com\', not "http://server.example"; http is for localhost alone',
    ],
  ])('N4 the issuer %s', (said, message) => {
    expect(() => metadataHandler({ issuer: said })).toThrow(new ConfigurationError(message))
  })

  test.each([
    [{ token: 'oauth2/token' }, 'endpoints.token must be a path that begins with "/", or a URL, without fragment'],
    [{ jwks: 'https://server.example/#keys' }, 'endpoints.jwks must be a path that begins with "/", or a URL, without fragment'],
    [{ revoke: '/end' }, 'endpoints has no member "revoke"'],
  ])('N4 %p', (endpoints, message) => {
    expect(() => metadataHandler({ issuer, endpoints: endpoints as object })).toThrow(message)
  })

  test('N4 a cache lifetime that is none, and other methods than GET', () => {
    expect(() => metadataHandler({ issuer, clients: [web] }, { maxAge: 1e9 })).toThrow(ConfigurationError)
    const { status, headers } = createMetadataResponse({ issuer, clients: [web] }, { ...get, method: 'POST' })
    expect([status, headers.Allow]).toEqual([405, 'GET, HEAD'])
  })
})

/** Issuing authorization codes for an application with a consent page of its own (N5). */
import { describe, expect, test } from '@jest/globals'
import { issueAuthorizationCode, type AuthorizationCodeRequest } from '../src/index.js'
import { basic, code_challenge, exchange, native, redirect_uri, start, testServer, web } from './support/server.js'
import { authorizationOf, storedServer } from './support/stored.js'

const loopback = { ...native, client_id: 'loopback', redirect_uris: ['http://127.0.0.1/callback', 'com.example.app:/callback'] }

describe('a code', () => {
  test('N5 is stored by its hash, with all that its redemption must prove', async () => {
    const { server, store } = storedServer()
    const code = await issueAuthorizationCode(server.options, {
      client_id: 'web',
      redirect_uri: 'https://client.example/callback',
      subject: 'alice',
      scope: 'write read',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
      extra: { session: 's1' },
    })
    expect(code).toMatch(/^[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}$/)
    expect(await authorizationOf(store, code)).toEqual({
      id: code.slice(0, 22),
      version: expect.any(String),
      client_id: 'web',
      subject: 'alice',
      grant_type: 'authorization_code',
      scope: ['write', 'read'],
      resource: [],
      createdAt: start,
      expiresAt: start + 60,
      code: {
        hash: expect.any(String),
        expiresAt: start + 60,
        redirect_uri: 'https://client.example/callback',
        redirect_uri_named: true,
        pkce: { method: 'S256', code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM' },
        status: 'issued',
      },
      accessTokens: [],
      extra: { session: 's1' },
    })
    expect(JSON.stringify(await store.get(code.slice(0, 22)))).not.toContain(code.slice(23))
  })

  test('N5 is told as an event, without the code', async () => {
    const server = testServer()
    const code = await server.code()
    expect(server.events).toEqual([
      { type: 'code.issued', client_id: 'web', subject: 'alice', authorization_id: code.slice(0, 22), at: start },
    ])
  })

  test('N5 may leave redirect_uri out where exactly one is registered', async () => {
    const { server, store } = storedServer()
    const code = await server.code({ redirect_uri: undefined })
    expect(await authorizationOf(store, code)).toMatchObject({ code: { redirect_uri, redirect_uri_named: false } })
  })

  test('N5 without PKCE says so', async () => {
    const { server, store } = storedServer({ clients: [{ ...web, require_pkce: false }] })
    const code = await server.code({ code_challenge: undefined, code_challenge_method: undefined })
    expect(await authorizationOf(store, code)).toMatchObject({ code: { pkce: { method: 'none' } } })
  })

  test.each(['http://127.0.0.1/callback', 'http://127.0.0.1:49152/callback', 'http://127.0.0.1:1/callback', 'com.example.app:/callback'])(
    'N5 goes to %s, and is redeemed with that very text',
    async (presented) => {
      const server = testServer({ clients: [loopback] })
      const code = await server.code({ client_id: 'loopback', redirect_uri: presented })
      const form = { ...exchange(code), client_id: 'loopback' }
      expect(await server.token({ ...form, redirect_uri: 'http://127.0.0.1:2/callback' })).toMatchObject({
        json: { error: 'invalid_grant' },
      })
      expect(await server.token({ ...form, redirect_uri: presented })).toMatchObject({ status: 200 })
    },
  )

  test.each<[AuthorizationCodeRequest['scope'], string | undefined, string]>([
    [undefined, undefined, 'read write admin'],
    ['', undefined, ''],
    ['write', undefined, 'write'],
    [['write', 'read'], undefined, 'write read'],
    [undefined, 'write', 'write'],
    ['read', 'write', 'read'],
  ])('N5 scope %j of a client with the default %j is %j', async (scope, defaultScope, granted) => {
    const server = testServer({ clients: [{ ...web, ...(defaultScope === undefined ? {} : { defaultScope }) }] })
    const code = await server.code({ scope })
    const { status, json } = await server.token(exchange(code), basic(web))
    expect({ status, scope: json.scope ?? '' }).toEqual({ status: 200, scope: granted })
  })
})

describe('a request that does not fit', () => {
  const refused: [string, Partial<AuthorizationCodeRequest>, object][] = [
    ['an unknown client', { client_id: 'nobody' }, { error: 'invalid_request', description: 'unknown client' }],
    ['a client_id that is not one', { client_id: 'é' }, { error: 'invalid_request', description: 'unknown client' }],
    [
      'a client_id that is no text',
      { client_id: undefined as unknown as string },
      { error: 'invalid_request', description: 'unknown client' },
    ],
    ['a disabled client', { client_id: 'disabled' }, { error: 'invalid_request', description: 'unknown client' }],
    ['a client without this grant', { client_id: 'refresher' }, { error: 'unauthorized_client' }],
    ['a redirect_uri that is not registered', { redirect_uri: `${redirect_uri}/` }, { description: 'redirect_uri is not registered' }],
    ['a redirect_uri with another query', { redirect_uri: `${redirect_uri}?x` }, { description: 'redirect_uri is not registered' }],
    [
      'a port where the URI is no loopback',
      { redirect_uri: 'https://client.example:8443/callback' },
      { description: 'redirect_uri is not registered' },
    ],
    [
      'no redirect_uri where two are registered',
      { client_id: 'two', redirect_uri: undefined },
      { description: 'redirect_uri is required' },
    ],
    ['no challenge', { code_challenge: undefined, code_challenge_method: undefined }, { description: 'code_challenge is required' }],
    ['a method without a challenge', { client_id: 'relaxed', code_challenge: undefined }, { description: 'code_challenge is required' }],
    ['the method plain', { code_challenge_method: 'plain' }, { description: 'code_challenge_method must be S256' }],
    ['a challenge without a method', { code_challenge_method: undefined }, { description: 'code_challenge_method must be S256' }],
    [
      'a challenge without a method, of a client that may go without',
      { client_id: 'relaxed', code_challenge_method: undefined },
      { description: 'code_challenge_method must be S256' },
    ],
    [
      'a challenge that is too short',
      { code_challenge: code_challenge.slice(1) },
      { description: 'code_challenge must be 43 characters of base64url' },
    ],
    [
      'a challenge with padding',
      { code_challenge: `${code_challenge}=` },
      { description: 'code_challenge must be 43 characters of base64url' },
    ],
    ['an empty challenge', { code_challenge: '' }, { description: 'code_challenge must be 43 characters of base64url' }],
    ['unknown scope', { scope: 'read unknown' }, { error: 'invalid_scope' }],
    ['malformed scope', { scope: ['read', 'wri"te'] }, { error: 'invalid_scope' }],
    ['scope beyond the client’s', { client_id: 'reader', scope: 'write' }, { error: 'invalid_scope' }],
  ]
  test.each(refused)('N5 %s is refused, and nothing is stored', async (_what, request, expected) => {
    const { server, store } = storedServer({
      clients: [
        web,
        { ...web, client_id: 'disabled', disabled: true },
        { ...web, client_id: 'refresher', grant_types: ['refresh_token'] },
        { ...web, client_id: 'two', redirect_uris: [redirect_uri, 'https://client.example/other'] },
        { ...web, client_id: 'relaxed', require_pkce: false },
        { ...web, client_id: 'reader', scope: 'read' },
      ],
    })
    await expect(server.code(request)).rejects.toMatchObject({ error: 'invalid_request', ...expected })
    expect(store.size).toBe(0)
  })

  test.each(['', undefined, 7, null])('N5 the subject %p is a mistake of the application', async (subject) => {
    const issued = testServer().code({ subject: subject as string })
    await expect(issued).rejects.toThrow(
      /^issueAuthorizationCode: subject must be a text, not (?:an empty string|undefined|null|a number); /,
    )
  })

  test('N5 a code that was not stored is not given out', async () => {
    const server = testServer({
      store: {
        get: () => Promise.resolve(undefined),
        create: () => Promise.reject(new Error('disk full')),
        replace: () => Promise.resolve(false),
        async *list() {},
      },
    })
    await expect(server.code()).rejects.toMatchObject({ error: 'temporarily_unavailable', status: 503 })
    expect(server.events).toEqual([])
  })
})

/** Signed access tokens: what is in them, who can verify them, and which of their claims are needed. */
import { describe, expect, test } from '@jest/globals'
import type { KeyObject } from 'node:crypto'
import { importJWK, jwtVerify, type JWK } from 'jose'
import { ConfigurationError, createJwksResponse, encrypted, jwt, type Grant, type JwtOptions } from '../../src/index.js'
import { basic, machine, start, testServer, web } from '../support/server.js'
import { reasons } from '../support/stored.js'
import {
  decoded,
  ed25519,
  goodClaims,
  issuer,
  jwk,
  jwtServer,
  machineToken,
  p256,
  pem,
  present,
  rsa,
  signed,
  statusOf,
} from '../support/tokens.js'

/** The published key of a server, as another party would load it. */
async function publishedKey(server: ReturnType<typeof jwtServer>) {
  const { body } = createJwksResponse(server.options, { method: 'GET', url: '/', headers: {} })
  const [key] = (JSON.parse(body) as { keys: JWK[] }).keys
  if (key === undefined) throw new Error('no key is published')
  return { key: await importJWK(key), kid: key.kid }
}

describe('what is in the token', () => {
  test('F2 of a user: type, algorithm and kid in the header, the claims of RFC 9068 §2.2', async () => {
    const server = jwtServer()
    const { access_token, refresh_token } = await server.tokens({ scope: 'read write' })
    const { kid } = await publishedKey(server)
    const { header, claims } = decoded(access_token)
    expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid })
    expect(claims).toEqual({
      iss: issuer,
      exp: start + 3600,
      aud: issuer,
      sub: 'alice',
      client_id: 'web',
      iat: start,
      jti: expect.stringMatching(new RegExp(`^${refresh_token.slice(0, 22)}\\.[A-Za-z0-9_-]{22}$`)),
      scope: 'read write',
    })
  })

  test('F2 of a client alone: the client is the subject, and the token says that this is no person', async () => {
    const { claims } = decoded(await machineToken(jwtServer()))
    expect(claims).toMatchObject({
      sub: 'machine',
      client_id: 'machine',
      sub_type: 'client',
      jti: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
    })
  })

  test('F2 without scope there is no claim scope, and every token has a jti of its own', async () => {
    const server = jwtServer({ scopes: [] })
    const tokens = await Promise.all([1, 2].map(() => server.token({ grant_type: 'client_credentials' }, basic(machine))))
    const [one, two] = tokens.map(({ json }) => decoded(json.access_token ?? '').claims)
    expect(one).not.toHaveProperty('scope')
    expect(one?.jti).not.toBe(two?.jti)
  })

  test('F2 what a grant knows about the authentication is told, and nothing else of what it keeps', async () => {
    const known: Grant = {
      type: 'urn:example:known',
      authorize: () => ({ subject: 'alice', extra: { auth_time: start - 5, acr: 'silver', amr: ['pwd', 'otp'], iss: 'x', secret: 'y' } }),
    }
    const holder = { ...machine, grant_types: ['urn:example:known'] }
    const server = jwtServer({ clients: [holder], grants: [known] })
    const { json } = await server.token({ grant_type: 'urn:example:known' }, basic(holder))
    const { claims } = decoded(json.access_token ?? '')
    expect(claims).toMatchObject({ auth_time: start - 5, acr: 'silver', amr: ['pwd', 'otp'], iss: issuer })
    expect(claims).not.toHaveProperty('secret')
  })

  test('F2 the guard lets it pass until it expires, and no longer', async () => {
    const server = jwtServer({ accessTokenLifetime: 60 })
    const { access_token } = await server.tokens({ scope: 'read' })
    expect(await present(server.options, access_token, { scope: 'read' })).toMatchObject({
      outcome: 'accepted',
      auth: { clientId: 'web', subject: 'alice', scopes: ['read'], expiresAt: start + 60, issuedAt: start, extra: { client_id: 'web' } },
    })
    expect(await statusOf(server.options, access_token, { scope: 'write' })).toBe(403)
    server.now += 59
    expect(await statusOf(server.options, access_token)).toBe(200)
    server.now += 1
    expect(await statusOf(server.options, access_token)).toBe(401)
  })

  test('N1 a client that is named like a user is not taken for that user', async () => {
    const alice = { ...machine, client_id: 'alice' }
    const server = jwtServer({ clients: [web, alice] })
    const { json } = await server.token({ grant_type: 'client_credentials' }, basic(alice))
    const byClient = await present(server.options, json.access_token ?? '')
    const byUser = await present(server.options, (await server.tokens()).access_token)
    expect(byClient).toMatchObject({ outcome: 'accepted', auth: { clientId: 'alice' } })
    expect(byClient).not.toHaveProperty('auth.subject')
    expect(byUser).toMatchObject({ auth: { clientId: 'web', subject: 'alice' } })
  })
})

describe('keys and algorithms', () => {
  const cases: [alg: string, key: KeyObject, options: Partial<JwtOptions>][] = [
    ['ES256', p256.privateKey, {}],
    ['EdDSA', ed25519.privateKey, {}],
    ['RS256', rsa.privateKey, {}],
    ['PS256', rsa.privateKey, { algorithm: 'PS256' }],
  ]
  const forms: [form: string, read: (key: KeyObject) => NonNullable<JwtOptions['key']>][] = [
    ['KeyObject', (key) => key],
    ['PEM', pem],
    ['JWK', jwk],
  ]
  const all = cases.flatMap(([alg, key, options]) => forms.map(([form, read]) => [alg, form, read(key), options] as const))

  test.each(all)('F2 %s from a %s: jose verifies it with the published key, and so does the guard', async (alg, _form, key, options) => {
    const server = jwtServer({ accessTokens: jwt({ key, ...options }) })
    const token = await machineToken(server)
    const published = await publishedKey(server)
    const currentDate = new Date(start * 1000)
    const expected = { issuer, audience: issuer, typ: 'at+jwt', algorithms: [alg], currentDate }
    expect((await jwtVerify(token, published.key, expected)).protectedHeader).toEqual({ alg, typ: 'at+jwt', kid: published.kid })
    expect(await statusOf(server.options, token)).toBe(200)
  })

  test('F2 a signature of ES256 is r and s, 32 bytes each, not DER', async () => {
    const signatures = await Promise.all(Array.from({ length: 20 }, () => machineToken(jwtServer())))
    for (const token of signatures) expect(Buffer.from(token.split('.')[2] ?? '', 'base64url')).toHaveLength(64)
  })
})

describe('what stops the start', () => {
  test.each([
    ['no key', {}, 'jwt needs one of key and keys; is an environment variable not set?'],
    [
      'two ways to say it',
      { key: p256.privateKey, keys: [{ key: p256.privateKey }] },
      'jwt needs one of key and keys; is an environment variable not set?',
    ],
    [
      'an algorithm beside a set',
      { keys: [{ key: p256.privateKey }], algorithm: 'ES256' },
      'jwt: algorithm goes with key; in keys each key has its own',
    ],
    ['an unknown member', { key: p256.privateKey, claim: {} }, 'jwt has no member "claim"; did you mean "claims"?'],
    [
      'an empty audience',
      { key: p256.privateKey, audience: '' },
      'jwt: audience must be a string that is not empty, or an array of them; leave it out for the resource that was asked for, else the issuer',
    ],
    ['an issuer that is no text', { key: p256.privateKey, issuer: 7 }, 'jwt: issuer must be a string that is not empty'],
  ])('F2 %s', (_name, options, message) => {
    expect(() => jwt(options as JwtOptions)).toThrow(new ConfigurationError(message))
  })

  test('F2 a server without issuer', async () => {
    const message = 'jwt needs the option issuer, the https URL of this server, for the claim iss (RFC 9068 §2.2)'
    const { options } = testServer({ accessTokens: jwt({ key: p256.privateKey }) })
    await expect(present(options, 'x')).rejects.toThrow(new ConfigurationError(message))
    const named = testServer({ accessTokens: jwt({ key: p256.privateKey, issuer: 'foobar' }) })
    expect(await statusOf(named.options, await machineToken(named))).toBe(200)
  })
})

describe('which claims are needed', () => {
  const { kid } = JSON.parse(createJwksResponse(jwtServer().options, { method: 'GET', url: '/', headers: {} }).body).keys[0] as {
    kid: string
  }
  const header = { alg: 'ES256', typ: 'at+jwt', kid }
  const written = (changes: Readonly<Record<string, unknown>>, type: unknown = 'at+jwt') =>
    signed({ ...header, typ: type }, { ...goodClaims, ...changes }, p256.privateKey)

  test('F2 the token that is changed below is good', async () => {
    expect(await statusOf(jwtServer().options, written({}))).toBe(200)
    expect(await statusOf(jwtServer().options, written({}, 'application/AT+jwt'))).toBe(200)
    expect(await present(jwtServer().options, written({ scope: undefined, aud: ['a', issuer] }))).toMatchObject({ auth: { scopes: [] } })
  })

  test.each([
    ['iss of another', { iss: 'https://other.example' }],
    ['iss that is almost right', { iss: `${issuer}/` }],
    ['no iss', { iss: undefined }],
    ['aud of another', { aud: 'https://api.example' }],
    ['aud of several others', { aud: ['https://api.example', 'https://b.example'] }],
    ['no aud', { aud: undefined }],
    ['aud with something else than texts', { aud: [issuer, 7] }],
    ['aud that is empty', { aud: [] }],
    ['no exp', { exp: undefined }],
    ['exp as text', { exp: String(start + 60) }],
    ['exp in milliseconds', { exp: (start + 60) * 1000 }],
    ['exp in parts of a second', { exp: start + 60.5 }],
    ['exp that is no number', { exp: null }],
    ['exp beyond all numbers', { exp: 1e300 }],
    ['exp before the epoch', { exp: -1 }],
    ['exp in the past', { exp: start }],
    ['no iat', { iat: undefined }],
    ['nbf, which this server never writes', { nbf: start - 60 }],
    ['no sub', { sub: undefined }],
    ['sub that is no text', { sub: 7 }],
    ['no client_id', { client_id: undefined }],
    ['no jti', { jti: undefined }],
    ['scope as an array', { scope: ['read'] }],
  ])('F2 refused: %s', async (_name, changes) => {
    expect(await statusOf(jwtServer().options, written(changes))).toBe(401)
  })

  test.each([['JWT'], ['at+jwt2'], ['dpop+jwt'], ['logout+jwt'], [null], [7], [['at+jwt']], ['AT+JWT ']])(
    'F2 refused: typ %p',
    async (type) => {
      expect(await statusOf(jwtServer().options, written({}, type))).toBe(401)
    },
  )

  const reading = async (changes: Readonly<Record<string, unknown>>) => jwt({ key: p256.privateKey }).read?.(written(changes), { issuer })

  test.each([[undefined], [[]], [''], [[issuer, '']], [7]])('F2 aud %p is none, whoever asks', async (aud) => {
    expect(await reading({ aud })).toBeUndefined()
  })

  test('F2 instants are whole seconds, from the epoch to where milliseconds begin', async () => {
    expect(await reading({ iat: 0, exp: 99_999_999_999 })).toMatchObject({ issuedAt: 0, expiresAt: 99_999_999_999 })
    for (const changes of [{ iat: -1 }, { iat: 0.5 }, { exp: 100_000_000_000 }]) expect(await reading(changes)).toBeUndefined()
  })

  test.each([
    [`${'b'.repeat(22)}.${'a'.repeat(22)}`, 'b'.repeat(22)],
    ['a'.repeat(22), undefined],
    [`short.${'a'.repeat(22)}`, undefined],
    [`.${'a'.repeat(22)}`, undefined],
    ['guard:x.y', undefined],
  ])('F7 the jti %s names the Authorization %s', async (jti, authorization_id) => {
    expect(await reading({ jti })).toMatchObject({ jti, authorization_id })
  })

  test.each([['[]'], ['"text"'], ['null'], ['7'], ['{'], ['']])('F2 refused: %p in place of claims', async (payload) => {
    expect(await statusOf(jwtServer().options, signed(header, payload, p256.privateKey))).toBe(401)
  })

  test('F2 claims that are not UTF-8 are refused', async () => {
    const text = JSON.stringify({ ...goodClaims, sub: 'alice\u0000' }).replace('\\u0000', '\u00ff')
    expect(await statusOf(jwtServer().options, signed(header, Buffer.from(text, 'latin1'), p256.privateKey))).toBe(401)
    expect(await statusOf(jwtServer().options, signed(header, Buffer.from(text, 'utf8'), p256.privateKey))).toBe(200)
  })

  test('I7 a token that is longer than anybody reads is not looked at, and one that is too long is not issued', async () => {
    const long = written({ padding: 'x'.repeat(20_000) })
    expect(await statusOf(jwtServer().options, long)).toBe(401)
    const server = jwtServer({ accessTokens: jwt({ key: p256.privateKey, claims: () => ({ padding: 'x'.repeat(20_000) }) }) })
    const { status, json } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
    expect([status, json.error]).toEqual([500, 'server_error'])
    expect(reasons(server)).toEqual(['the option accessTokens made a token of more than 16384 characters, which nobody would read'])
  })

  test('F2 tokens of other formats are not access tokens here', async () => {
    const jwe = testServer({ issuer, accessTokens: encrypted({ key: new Uint8Array(32).fill(1) }) })
    const opaque = testServer({ issuer })
    for (const other of [jwe, opaque]) expect(await statusOf(jwtServer().options, await machineToken(other))).toBe(401)
    expect(await statusOf(opaque.options, await machineToken(jwtServer()))).toBe(401)
  })
})

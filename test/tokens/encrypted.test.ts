/** Encrypted access tokens: what is in them, who can read them, and what is refused. */
import { describe, expect, test } from '@jest/globals'
import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { compactDecrypt, CompactEncrypt, createLocalJWKSet, decodeProtectedHeader, jwtDecrypt, jwtVerify, type JSONWebKeySet } from 'jose'
import { ConfigurationError, createJwksResponse, encrypted, jwt, opaque, type EncryptedOptions } from '../../src/index.js'
import { basic, machine, start, testServer, web } from '../support/server.js'
import { storedServer } from '../support/stored.js'
import { claimsForFormat, goodClaims, issuer, machineToken, p256, pem, present, statusOf } from '../support/tokens.js'

const key = randomBytes(32)
const currentDate = new Date(start * 1000)
const recipient = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const x25519 = generateKeyPairSync('x25519')
const signWith = jwt({ key: p256.privateKey })

function serverWith(options: EncryptedOptions) {
  return testServer({ issuer, accessTokens: encrypted(options) })
}

describe('what is in the token', () => {
  test.each(['A256KW', 'dir'] as const)('F4 %s: the claims of RFC 9068, for who has the key, and jose is one', async (algorithm) => {
    const { access_token, refresh_token } = await serverWith({ key, algorithm, claims: { tenant: 'blue' } }).tokens({ scope: 'read' })
    expect(access_token.split('.')).toHaveLength(5)
    expect(access_token.split('.')[1] === '').toBe(algorithm === 'dir')
    const expected = {
      issuer,
      audience: issuer,
      typ: 'at+jwt',
      currentDate,
      keyManagementAlgorithms: [algorithm],
      contentEncryptionAlgorithms: ['A256GCM'],
    }
    const { payload, protectedHeader } = await jwtDecrypt(access_token, key, expected)
    expect(protectedHeader).toEqual({ alg: algorithm, enc: 'A256GCM', typ: 'at+jwt', kid: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/) })
    expect(payload).toEqual({
      iss: issuer,
      exp: start + 3600,
      aud: issuer,
      sub: 'alice',
      client_id: 'web',
      iat: start,
      jti: expect.stringContaining(`${refresh_token.slice(0, 22)}.`),
      scope: 'read',
      tenant: 'blue',
    })
  })

  test.each([['P-256', recipient], ['X25519', x25519]] as const)(
    'F4 ECDH-ES for %s: a JWT inside, which jose decrypts with the private key and verifies with the published one',
    async (_name, pair) => {
      const server = serverWith({ key: pair.privateKey, signWith })
      const token = await machineToken(server)
      const { plaintext, protectedHeader } = await compactDecrypt(token, pair.privateKey)
      expect(protectedHeader).toMatchObject({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM', cty: 'JWT', epk: { kty: expect.any(String) } })
      const { body } = createJwksResponse(server.options, { method: 'GET', url: '/', headers: {} })
      const keys = createLocalJWKSet(JSON.parse(body) as JSONWebKeySet)
      const { payload } = await jwtVerify(plaintext, keys, { issuer, audience: issuer, typ: 'at+jwt', currentDate })
      expect(payload).toMatchObject({ sub: 'machine', scope: 'read' })
      expect(await statusOf(server.options, token)).toBe(200)
    },
  ) // prettier-ignore

  test('F4 nothing of it can be read without the key, and no two are alike', async () => {
    const server = serverWith({ key })
    const tokens = [await machineToken(server), await machineToken(server)]
    for (const token of tokens) {
      const shown = token.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1')).join(' ') // prettier-ignore
      expect(shown).not.toMatch(/machine|read|server\.example/)
      await expect(jwtDecrypt(token, randomBytes(32))).rejects.toThrow('decryption')
    }
    for (const part of [1, 2, 3, 4]) expect(tokens[0]?.split('.')[part]).not.toBe(tokens[1]?.split('.')[part])
  })

  test('F4 the guard reads it without any store, until it expires', async () => {
    const { server, store } = storedServer({ issuer, accessTokens: encrypted({ key }), accessTokenLifetime: 60 })
    const { access_token } = await server.tokens({ scope: 'read' })
    store.get = async () => Promise.reject(new Error('the store is away'))
    expect(await present(server.options, access_token, { scope: 'read' })).toMatchObject({
      outcome: 'accepted',
      auth: { clientId: 'web', subject: 'alice', scopes: ['read'], expiresAt: start + 60 },
    })
    server.now += 60
    expect(await statusOf(server.options, access_token)).toBe(401)
  })

  test('F4 a token of client credentials is no person', async () => {
    const server = serverWith({ key })
    const checked = await present(server.options, await machineToken(server))
    expect(checked).toMatchObject({ auth: { clientId: 'machine' } })
    expect(checked).not.toHaveProperty('auth.subject')
  })
})

describe('rotation', () => {
  test('F4 each token is read with the key that its kid names, while that key stays', async () => {
    const accessTokens = encrypted({ keys: [{ key }, { key: randomBytes(32), state: 'next' }] })
    const server = testServer({ issuer, accessTokens })
    const old = await machineToken(server)
    const newer = randomBytes(32)
    accessTokens.replaceKeys([
      { key, state: 'retired' },
      { key: newer, algorithm: 'dir' },
    ])
    const next = await machineToken(server)
    expect(decodeProtectedHeader(next)).toMatchObject({ alg: 'dir' })
    expect(await Promise.all([old, next].map((token) => statusOf(server.options, token)))).toEqual([200, 200])
    accessTokens.replaceKeys([{ key: newer, algorithm: 'dir' }])
    expect(await Promise.all([old, next].map((token) => statusOf(server.options, token)))).toEqual([401, 200])
    expect(() => accessTokens.replaceKeys([{ key: 'short' }])).toThrow(ConfigurationError)
    expect(await statusOf(server.options, next)).toBe(200)
  })
})

describe('a key of which only the public half is here', () => {
  const accessTokens = encrypted({ key: recipient.publicKey, signWith })
  const server = testServer({ issuer, accessTokens })

  test('F4 others read its tokens, this server does not', async () => {
    const token = await machineToken(server)
    expect((await compactDecrypt(token, recipient.privateKey)).protectedHeader.cty).toBe('JWT')
    expect(await statusOf(server.options, token)).toBe(401)
    expect((await server.introspect({ token }, basic(machine))).json).toEqual({ active: false })
  })

  test('F7 to revoke one is unsupported_token_type, never a confirmation of nothing', async () => {
    const token = await machineToken(server)
    const { status, json } = await server.revoke({ token }, basic(machine))
    expect([status, json.error]).toEqual([400, 'unsupported_token_type'])
    expect(await server.revoke({ token: 'unknown' }, basic(machine))).toMatchObject({ status: 200 })
    const { refresh_token } = await server.tokens()
    expect(await server.revoke({ token: refresh_token }, basic(web))).toMatchObject({ status: 200 })
    expect(await server.refresh(refresh_token)).toMatchObject({ status: 400 })
  })
})

describe('what stops the start', () => {
  const makeable = 'with an asymmetric key anybody could make tokens; add signWith: jwt({ key }), or use 32 random bytes'
  test.each<[string, object, string]>([
    ['no key', {}, 'encrypted needs one of key and keys; is an environment variable not set?'],
    ['two ways to say it', { key, keys: [{ key }] }, 'encrypted needs one of key and keys; is an environment variable not set?'],
    ['an algorithm beside a set', { keys: [{ key }], algorithm: 'dir' }, 'encrypted: algorithm goes with key; in keys each key has its own'],
    ['an unknown member', { key, alg: 'dir' }, 'encrypted has no member "alg"; did you mean "algorithm"?'],
    ['an asymmetric key that nobody signs for', { key: recipient.privateKey }, `encrypted: ${makeable}`],
    ['the same among others', { keys: [{ key }, { key: pem(recipient.publicKey), state: 'retired' }] }, `encrypted: ${makeable}`],
    ['a signer that signs nothing', { key, signWith: opaque() }, 'encrypted: signWith must be a format that can be verified, such as jwt({ key })'],
    ['a signer that nobody could verify', { key, signWith: { ...signWith, read: undefined } }, 'encrypted: signWith must be a format that can be verified, such as jwt({ key })'],
    ['claims that the signer would not write', { key, signWith, claims: {} }, 'encrypted: with signWith, claims, audience and issuer are options of the format that signs; move them there, as in signWith: jwt({ key, claims })'],
    ['an audience that the signer would not write', { key, signWith, audience: 'a' }, 'encrypted: with signWith, claims, audience and issuer are options of the format that signs; move them there, as in signWith: jwt({ key, claims })'],
  ])('F4 %s', (_name, options, message) => {
    expect(() => encrypted(options as EncryptedOptions)).toThrow(new ConfigurationError(message))
  }) // prettier-ignore

  test('F4 a replacement by an asymmetric key without signer', () => {
    expect(() => encrypted({ key }).replaceKeys([{ key: recipient.privateKey }])).toThrow(
      new ConfigurationError(`replaceKeys: ${makeable}`),
    )
  })

  test('F4 a server without issuer, for the claims or for the signer', async () => {
    for (const [accessTokens, name] of [[encrypted({ key }), 'encrypted'], [encrypted({ key, signWith }), 'jwt']] as const) {
      const { options } = testServer({ accessTokens })
      await expect(present(options, 'x')).rejects.toThrow(`${name} needs the option issuer`)
    } // prettier-ignore
  })

  test('F4 the audience of the signer is the one that the guard expects', async () => {
    const accessTokens = encrypted({ key, signWith: jwt({ key: p256.privateKey, audience: 'https://api.example' }) })
    const server = testServer({ issuer, accessTokens })
    expect(await statusOf(server.options, await machineToken(server))).toBe(200)
  })
})

describe('what is not one of its tokens', () => {
  const server = serverWith({ key })
  const nested = testServer({ issuer, accessTokens: encrypted({ key, signWith }) })
  const kidOf = async () => String(decodeProtectedHeader(await machineToken(server)).kid)
  const written = async (header: object, text = JSON.stringify(goodClaims), withKey: Parameters<CompactEncrypt['encrypt']>[0] = key) =>
    new CompactEncrypt(Buffer.from(text))
      .setProtectedHeader({ alg: 'A256KW', enc: 'A256GCM', typ: 'at+jwt', kid: await kidOf(), ...header })
      .encrypt(withKey)

  test('F4 the token that is changed below is good', async () => {
    expect(await statusOf(server.options, await written({}))).toBe(200)
    const inner = await signWith.issue(await claimsForFormat())
    expect(await statusOf(nested.options, await written({ cty: 'JWT' }, inner))).toBe(200)
  })

  test.each<[string, object]>([
    ['another type', { typ: 'JWT' }],
    ['no kid', { kid: undefined }],
    ['the kid of nobody', { kid: 'other' }],
    ['another content encryption', { enc: 'A128GCM' }],
    ['CBC', { enc: 'A256CBC-HS512' }],
    ['compression', { zip: 'DEF' }],
  ])('F4 refused: %s', async (_name, header) => {
    expect(await statusOf(server.options, await written(header))).toBe(401)
  })

  test.each([['[]'], ['null'], ['text'], ['']])('F4 refused: %p in place of claims', async (text) => {
    expect(await statusOf(server.options, await written({}, text))).toBe(401)
  })

  test('F4 refused: another algorithm for the same bytes', async () => {
    expect(await statusOf(server.options, await written({ alg: 'dir' }))).toBe(401)
    expect(await statusOf(server.options, await written({ alg: 'A256GCMKW' }))).toBe(401)
    expect(await statusOf(server.options, await written({}, undefined, createSecretKey(randomBytes(32))))).toBe(401)
  })

  test('F4 refused: claims without signature where they are signed, and a signature without its declaration', async () => {
    const inner = await signWith.issue(await claimsForFormat())
    expect(await statusOf(nested.options, await written({}))).toBe(401)
    expect(await statusOf(nested.options, await written({ cty: 'JWT' }))).toBe(401)
    expect(await statusOf(nested.options, await written({}, inner))).toBe(401)
    expect(await statusOf(server.options, await written({ cty: 'JWT' }, inner))).toBe(401)
    expect(await statusOf(nested.options, inner)).toBe(401)
  })

  test('F4 refused: a part that is longer, shorter, gone, or another one', async () => {
    const parts = (await machineToken(server)).split('.')
    const others = (await machineToken(server)).split('.')
    const changed = parts.flatMap((part, index) => {
      const bytes = Buffer.from(part, 'base64url')
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(flipped.readUInt8(0) ^ 1, 0)
      const variants = [
        bytes.subarray(1),
        bytes.subarray(0, -1),
        Buffer.concat([bytes, Buffer.alloc(1)]),
        flipped,
        Buffer.alloc(bytes.length),
        Buffer.alloc(0),
      ]
      const texts = [
        ...variants.map((variant) => variant.toString('base64url')),
        `${part}=`,
        ` ${part}`,
        ...(index === 0 ? [] : [others[index] ?? '']),
      ]
      return texts.map((text) => parts.with(index, text).join('.'))
    })
    const moved = [...parts.slice(0, 3), `${parts[3] ?? ''}${(parts[4] ?? '').slice(0, 4)}`, (parts[4] ?? '').slice(4)].join('.')
    expect(changed).toHaveLength(44)
    const format = encrypted({ key })
    expect(await format.read?.(parts.join('.'), { issuer })).toMatchObject({ client_id: 'machine' })
    for (const text of [...changed, moved, parts.slice(0, 4).join('.'), `${parts.join('.')}.`]) {
      expect([text, await format.read?.(text, { issuer })]).toEqual([text, undefined])
    }
  })

  test('I7 refused: an ephemeral key that is none, off its curve, or of another', async () => {
    const forOthers = testServer({ issuer, accessTokens: encrypted({ key: recipient.privateKey, signWith }) })
    const [head = '', ...rest] = (await machineToken(forOthers)).split('.')
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as { epk: Record<string, string> }
    const zero = Buffer.alloc(32).toString('base64url')
    const epks = [undefined, null, 7, 'x', [], {}, { kty: 'oct', k: zero }, { kty: 'EC' }, { ...header.epk, x: zero }, { ...header.epk, x: 7 }, { ...header.epk, crv: 'P-384' }, { ...header.epk, crv: 'P-257' }, { kty: 'OKP', crv: 'X25519', x: zero }, { kty: 'RSA', n: zero, e: 'AQAB' }]
    for (const epk of epks) {
      const text = [Buffer.from(JSON.stringify({ ...header, epk })).toString('base64url'), ...rest].join('.')
      expect([epk, await statusOf(forOthers.options, text)]).toEqual([epk, 401])
    }
  }) // prettier-ignore
})

/** Tokens that try to choose their own key or algorithm, or to be something else: none of them is believed anywhere. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createSecretKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'
import { CompactEncrypt, type CompactJWEHeaderParameters } from 'jose'
import { deflateRawSync } from 'node:zlib'
import { encrypted, jwt, type AccessTokenFormat } from '../../src/index.js'
import { basic, machine, web } from '../support/server.js'
import { storedServer } from '../support/stored.js'
import {
  base64url,
  decoded,
  ed25519,
  goodClaims,
  issuer,
  jwk,
  machineToken,
  otherP256,
  p256,
  pem,
  rsa,
  signatureOf,
  signed,
  statusOf,
} from '../support/tokens.js'

/** A set with a key of each kind, the way a server has them that changes its algorithm. */
const keys = jwt({
  keys: [
    { key: p256.privateKey, kid: 'ec' },
    { key: rsa.privateKey, kid: 'rsa', state: 'next' },
    { key: ed25519.publicKey, kid: 'ed', state: 'retired' },
  ],
})
const secret = randomBytes(32)

function serverWith(accessTokens: AccessTokenFormat) {
  const { server, store } = storedServer({ issuer, accessTokens })
  /** What guard, introspection and revocation make of a token. */
  const reception = async (token: string) => {
    const { status, json } = await server.introspect({ token }, basic(machine))
    const revoked = await server.revoke({ token }, basic(machine))
    return { guard: await statusOf(server.options, token), introspection: [status, json], revocation: revoked.status, stored: store.size }
  }
  return { server, reception }
}

const refused = { guard: 401, introspection: [200, { active: false }], revocation: 200, stored: 0 }
const { server, reception } = serverWith(keys)
const attacker = otherP256.privateKey
const machineClaims = { ...goodClaims, client_id: 'machine', sub: 'machine' }
const jws = (header: Record<string, unknown>, key: KeyObject | string | Buffer = attacker, alg?: string) =>
  signed({ typ: 'at+jwt', kid: 'ec', ...header }, machineClaims, key, alg)

test('F2 a token of each key, written by hand, is accepted: what follows is refused for its one difference', async () => {
  const tokens = [
    jws({ alg: 'ES256' }, p256.privateKey),
    jws({ alg: 'RS256', kid: 'rsa' }, rsa.privateKey),
    jws({ alg: 'EdDSA', kid: 'ed' }, ed25519.privateKey),
    // RFC 7515 §4: what is not understood and not critical is ignored.
    jws({ alg: 'ES256', x: 1, zip: 'DEF', jku: 'https://attacker.example/jwks', jwk: jwk(otherP256.publicKey) }, p256.privateKey),
  ]
  for (const token of tokens) expect(await statusOf(server.options, token)).toBe(200)
})

const publicJwk = jwk(otherP256.publicKey)
const cases: [string, () => string][] = [
  ...['none', 'None', 'NONE', 'nOnE', 'none ', '', ' '].map((alg): [string, () => string] => [`alg ${JSON.stringify(alg)}`, () => jws({ alg }, attacker, 'none')]),
  ['alg none with a signature that is right for ES256', () => jws({ alg: 'none' }, p256.privateKey, 'ES256')],
  ['alg none without its last dot', () => jws({ alg: 'none' }, attacker, 'none').slice(0, -1)],
  ['alg none and no kid', () => jws({ alg: 'none', kid: undefined }, attacker, 'none')],
  ['no alg', () => jws({}, p256.privateKey, 'ES256')],
  ['alg null', () => jws({ alg: null }, p256.privateKey, 'ES256')],
  ['alg as an array', () => jws({ alg: ['ES256'] }, p256.privateKey, 'ES256')],
  ['alg in lower case', () => jws({ alg: 'es256' }, p256.privateKey, 'ES256')],
  ...(['HS256', 'HS384', 'HS512'] as const).flatMap((alg): [string, () => string][] => [
    [`${alg} with the public key as PEM for a secret`, () => jws({ alg, kid: 'rsa' }, pem(rsa.publicKey))],
    [`${alg} with the same without its last line break`, () => jws({ alg, kid: 'rsa' }, pem(rsa.publicKey).trim())],
    [`${alg} with the public key as DER for a secret`, () => jws({ alg, kid: 'rsa' }, rsa.publicKey.export({ format: 'der', type: 'spki' }))],
    [`${alg} with the published JWK for a secret`, () => jws({ alg, kid: 'ec' }, JSON.stringify(keys.jwks?.().keys[0]))],
    [`${alg} with the modulus for a secret`, () => jws({ alg, kid: 'rsa' }, Buffer.from(jwk(rsa.publicKey).n ?? '', 'base64url'))],
    [`${alg} with an empty secret`, () => jws({ alg }, '')],
    [`${alg} with the kid for a secret`, () => jws({ alg }, 'ec')],
  ]),
  ['a key in the header', () => jws({ alg: 'ES256', jwk: publicJwk })],
  ['a key in the header, and no kid', () => jws({ alg: 'ES256', jwk: publicJwk, kid: undefined })],
  ['a key in the header with the kid of ours', () => jws({ alg: 'ES256', jwk: { ...publicJwk, kid: 'ec' } })],
  ['the address of a key set', () => jws({ alg: 'ES256', jku: 'https://attacker.example/jwks' })],
  ['the address of a certificate', () => jws({ alg: 'ES256', x5u: 'https://attacker.example/cert' })],
  ['a certificate', () => jws({ alg: 'ES256', x5c: [base64url(otherP256.publicKey.export({ format: 'der', type: 'spki' }))] })],
  ['a kid that is a path', () => jws({ alg: 'HS256', kid: '/dev/null' }, '')],
  ['a kid that is a query', () => jws({ alg: 'ES256', kid: "x' UNION SELECT 'key" })],
  ...['__proto__', 'constructor', 'toString', 'size', 'get', 'EC', 'ec ', 'ec\u0000'].map((kid): [string, () => string] => [`kid ${JSON.stringify(kid)}`, () => jws({ alg: 'ES256', kid }, p256.privateKey)]),
  ['no kid', () => jws({ alg: 'ES256', kid: undefined }, p256.privateKey)],
  ['a kid that is an array', () => jws({ alg: 'ES256', kid: ['ec'] }, p256.privateKey)],
  ['a kid that is an object', () => jws({ alg: 'ES256', kid: { toString: 'ec' } }, p256.privateKey)],
  ['the kid of another key of the set', () => jws({ alg: 'ES256', kid: 'rsa' }, p256.privateKey)],
  ['the alg of another key of the set', () => jws({ alg: 'RS256', kid: 'ec' }, rsa.privateKey)],
  ['another alg of the same key: PS256', () => jws({ alg: 'PS256', kid: 'rsa' }, rsa.privateKey)],
  ['another alg of the same key: RS512', () => jws({ alg: 'RS512', kid: 'rsa' }, rsa.privateKey)],
  ['another name of the same alg: Ed25519', () => jws({ alg: 'Ed25519', kid: 'ed' }, ed25519.privateKey)],
  ['an algorithm for encryption', () => jws({ alg: 'ECDH-ES' }, p256.privateKey, 'ES256')],
  ['a critical parameter that nobody knows', () => jws({ alg: 'ES256', crit: ['x'], x: 1 }, p256.privateKey)],
  ['a critical parameter that is absent', () => jws({ alg: 'ES256', crit: ['exp'] }, p256.privateKey)],
  ['a critical list that is empty', () => jws({ alg: 'ES256', crit: [] }, p256.privateKey)],
  ['a critical list that is none', () => jws({ alg: 'ES256', crit: 'b64', b64: true }, p256.privateKey)],
  ['b64 true, and critical', () => jws({ alg: 'ES256', crit: ['b64'], b64: true }, p256.privateKey)],
  ['b64 false over claims in base64url', () => jws({ alg: 'ES256', crit: ['b64'], b64: false }, p256.privateKey)],
  ['the type of an ID token', () => jws({ alg: 'ES256', typ: 'JWT' }, p256.privateKey)],
  ['the type of a logout token', () => jws({ alg: 'ES256', typ: 'logout+jwt' }, p256.privateKey)],
  ['no type', () => jws({ alg: 'ES256', typ: undefined }, p256.privateKey)],
  ['a header that is an array', () => `${base64url([])}.${base64url(machineClaims)}.AAAA`],
  ['a header that is no JSON', () => `${base64url('{"alg":"ES256"')}.${base64url(machineClaims)}.AAAA`],
  ['claims that are compressed', () => signed({ alg: 'ES256', typ: 'at+jwt', kid: 'ec', zip: 'DEF' }, deflateRawSync(JSON.stringify(machineClaims)), p256.privateKey)],
  ['a token within a token', () => signed({ alg: 'ES256', typ: 'at+jwt', cty: 'JWT', kid: 'ec' }, jws({ alg: 'ES256' }, p256.privateKey), p256.privateKey)],
  ['the JSON form of a JWS', () => {
    const [head, payload, signature] = jws({ alg: 'ES256' }, p256.privateKey).split('.')
    return JSON.stringify({ protected: head, payload, signature })
  }],
  ['four parts', () => `${jws({ alg: 'ES256' }, p256.privateKey)}.AAAA`],
  ['two parts', () => jws({ alg: 'ES256' }, p256.privateKey).split('.').slice(0, 2).join('.')],
  ['dots only', () => '....'],
  ['ten thousand dots', () => '.'.repeat(10_000)],
] // prettier-ignore

describe('a JWS that is not ours', () => {
  test.each(cases)('F2 refused everywhere: %s', async (_name, make) => {
    expect(await reception(make())).toEqual(refused)
  })

  test('F2 refused: claims that are not in base64url, under b64 false and a signature that is right for it', async () => {
    const format = jwt({ keys: [{ key: p256.privateKey, kid: 'ec' }], issuer: 'foobar' })
    const claims = { ...machineClaims, iss: 'foobar', aud: 'foobar' }
    const header = { alg: 'ES256', typ: 'at+jwt', kid: 'ec' }
    expect(await format.read?.(signed(header, claims, p256.privateKey), { issuer: undefined })).toMatchObject({ client_id: 'machine' })
    const text = `${base64url({ ...header, crit: ['b64'], b64: false })}.${JSON.stringify(claims)}`
    expect(await format.read?.(`${text}.${base64url(signatureOf(text, 'ES256', p256.privateKey))}`, { issuer: undefined })).toBeUndefined()
  })

  test.each([
    ['a NUL behind', (text: string) => `${text}\u0000`],
    ['a NUL within', (text: string) => `${text.slice(0, 40)}\u0000${text.slice(40)}`],
    ['a line break behind', (text: string) => `${text}\n`],
    ['a line break within', (text: string) => `${text.slice(0, 40)}\n${text.slice(40)}`],
    ['a blank before', (text: string) => ` ${text}`],
    ['padding', (text: string) => `${text}==`],
    ['base64 in place of base64url', (text: string) => text.replaceAll('-', '+').replaceAll('_', '/').replace('.', '+.')],
    ['a letter that only looks right', (text: string) => `\u0435${text.slice(1)}`],
  ])('I7 a good token with %s is not a token', async (_name, spoil) => {
    const token = spoil(jws({ alg: 'ES256' }, p256.privateKey))
    expect(await keys.read?.(token, { issuer })).toBeUndefined()
    expect((await server.introspect({ token }, basic(machine))).json).toEqual({ active: false })
  })
})

describe('two keys of one kind, each bound to its own algorithm', () => {
  test('F2 a signature that the key of the kid could make with the algorithm of the other is refused', async () => {
    const rsaToo = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const both = jwt({
      keys: [
        { key: rsa.privateKey, kid: 'rs' },
        { key: rsaToo.privateKey, kid: 'ps', algorithm: 'PS256', state: 'next' },
      ],
    })
    const { server: bound } = serverWith(both)
    const status = (alg: string, kid: string, key: KeyObject) => statusOf(bound.options, jws({ alg, kid }, key))
    expect([await status('RS256', 'rs', rsa.privateKey), await status('PS256', 'ps', rsaToo.privateKey)]).toEqual([200, 200])
    expect([await status('PS256', 'rs', rsa.privateKey), await status('RS256', 'ps', rsaToo.privateKey)]).toEqual([401, 401])
  })

  test('F4 the same of a JWE: dir under the kid of a key for A256KW, and the reverse', async () => {
    const other = randomBytes(32)
    const both = encrypted({
      keys: [
        { key: secret, kid: 'kw' },
        { key: other, kid: 'dir', algorithm: 'dir', state: 'retired' },
      ],
    })
    const { server: bound } = serverWith(both)
    const status = async (alg: string, kid: string, key: Uint8Array) => {
      const header = { alg, kid, enc: 'A256GCM', typ: 'at+jwt' }
      const text = Buffer.from(JSON.stringify(machineClaims))
      return statusOf(bound.options, await new CompactEncrypt(text).setProtectedHeader(header).encrypt(key))
    }
    expect([await status('A256KW', 'kw', secret), await status('dir', 'dir', other)]).toEqual([200, 200])
    expect([await status('dir', 'kw', secret), await status('A256KW', 'dir', other)]).toEqual([401, 401])
  })
})

describe('a JWE that is not ours', () => {
  const format = encrypted({ key: secret, audience: issuer })
  const jweServer = serverWith(format)
  const nested = serverWith(encrypted({ key: secret, signWith: keys }))
  let kid = ''
  beforeAll(async () => {
    kid = String(decoded(`${(await machineToken(jweServer.server)).split('.')[0] ?? ''}.e30`).header.kid)
  })
  const jwe = async (
    header: Partial<CompactJWEHeaderParameters>,
    key: Parameters<CompactEncrypt['encrypt']>[0] = secret,
    text = JSON.stringify(machineClaims),
  ) =>
    new CompactEncrypt(Buffer.from(text)).setProtectedHeader({ alg: 'A256KW', enc: 'A256GCM', typ: 'at+jwt', kid, ...header }).encrypt(key)

  test('F4 one that is written by hand with the key is accepted', async () => {
    expect(await statusOf(jweServer.server.options, await jwe({}))).toBe(200)
  })

  test.each<[string, () => Promise<string>]>([
    ['PBES2 with the key for a password', () => jwe({ alg: 'PBES2-HS256+A128KW', p2c: 1000 }, secret)],
    ['dir with the key for key wrapping', () => jwe({ alg: 'dir' })],
    ['A128KW', () => jwe({ alg: 'A128KW' }, randomBytes(16))],
    ['RSA-OAEP for a key of the signer', () => jwe({ alg: 'RSA-OAEP-256', kid: 'rsa' }, rsa.publicKey)],
    ['ECDH-ES for a key of the signer', () => jwe({ alg: 'ECDH-ES', kid: 'ec' }, p256.publicKey)],
    ['another secret', () => jwe({}, createSecretKey(randomBytes(32)))],
    ['a critical parameter', async () => replaceHeader(await jwe({}), { crit: ['x'], x: 1 })],
    ['a key in the header', async () => replaceHeader(await jwe({}, randomBytes(32)), { jwk: { kty: 'oct', k: base64url(secret) } })],
    ['compression', () => jwe({ zip: 'DEF' })],
    ['a bomb', () => jwe({ zip: 'DEF' }, secret, JSON.stringify({ ...machineClaims, bomb: 'x'.repeat(1_000_000) }))],
    ['a token within, where none is', async () => jwe({ cty: 'JWT' }, secret, await jwe({}))],
    ['a signed token within, where none is', async () => jwe({ cty: 'JWT' }, secret, jws({ alg: 'ES256' }, p256.privateKey))],
    ['a signed token in its place', async () => jws({ alg: 'ES256' }, p256.privateKey)],
    ['HS256 with the key', async () => signed({ alg: 'HS256', typ: 'at+jwt', kid }, machineClaims, secret)],
    ['alg none', async () => signed({ alg: 'none', typ: 'at+jwt', kid }, machineClaims, '', 'none')],
  ])('F4 refused everywhere: %s', async (_name, make) => {
    expect(await jweServer.reception(await make())).toEqual(refused)
  })

  test('I7 PBES2 that asks for four thousand million rounds is refused before it begins', async () => {
    const began = performance.now()
    const [, ...rest] = (await jwe({})).split('.')
    for (const p2c of [4_000_000_000, 2 ** 31, -1, '9'.repeat(300)]) {
      const header = base64url({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', typ: 'at+jwt', kid, p2s: base64url(randomBytes(16)), p2c })
      expect(await jweServer.reception([header, ...rest].join('.'))).toEqual(refused)
    }
    expect(performance.now() - began).toBeLessThan(1000)
  })

  test('F4 where the claims are signed, a JWE without signature, or with another one inside, is refused', async () => {
    const good = jws({ alg: 'ES256' }, p256.privateKey)
    expect(await statusOf(nested.server.options, await jwe({ cty: 'JWT' }, secret, good))).toBe(200)
    const others = [await jwe({}), await jwe({ cty: 'JWT' }), await jwe({ cty: 'JWT' }, secret, jws({ alg: 'ES256' })), await jwe({ cty: 'JWT' }, secret, jws({ alg: 'none' }, '', 'none')), await jwe({ cty: 'JWT' }, secret, await jwe({ cty: 'JWT' }, secret, good)), await jwe({}, secret, good), good]
    for (const token of others) expect(await nested.reception(token)).toEqual(refused)
  }) // prettier-ignore

  test('F2 a JWE is no JWS: where tokens are signed, an encrypted one is refused', async () => {
    for (const token of [await jwe({}), await jwe({ cty: 'JWT' }, secret, jws({ alg: 'ES256' }, p256.privateKey))]) {
      expect(await reception(token)).toEqual(refused)
    }
  })
})

test('I7 what is longer than 16,384 characters is not looked at', async () => {
  const looked: number[] = []
  const read = (text: string) => void looked.push(text.length)
  const { server: counting } = serverWith({ ...keys, read })
  for (const length of [16_385, 1_000_000, 16_384]) expect(await statusOf(counting.options, 'x'.repeat(length))).toBe(401)
  expect(looked).toEqual([16_384])
  expect(await server.introspect({ token: 'x'.repeat(16_385) }, basic(web))).toMatchObject({ status: 413 })
})

/** The same JWE under a header that was not encrypted with it. */
function replaceHeader(token: string, members: object): string {
  const [head = '', ...rest] = token.split('.')
  const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as object
  return [base64url({ ...header, ...members }), ...rest].join('.')
}

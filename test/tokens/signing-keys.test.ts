/** Keys that sign: what is read, what is refused, how they are named, and how they are replaced. */
import { describe, expect, test } from '@jest/globals'
import { createSecretKey, generateKeyPairSync, randomBytes, type JsonWebKey } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'
import { ConfigurationError, jwt, type SigningKeyOptions } from '../../src/index.js'
import { readSigningKeys } from '../../src/jose/signing-keys.js'
import {
  claimsForFormat,
  decoded,
  ed25519,
  issuer,
  jwk,
  jwtServer,
  machineToken,
  otherP256,
  p256,
  pem,
  rsa,
  statusOf,
} from '../support/tokens.js'

const active: SigningKeyOptions = { key: p256.privateKey }
const kidOf = (key: SigningKeyOptions['key']) =>
  [...readSigningKeys([{ key: otherP256.privateKey }, { key, state: 'retired' }], 'x').byKid.keys()][1]
const server = { issuer }

/** The message with which a set of keys is refused. */
function refusal(keys: readonly unknown[]): string {
  try {
    readSigningKeys(keys as SigningKeyOptions[], 'jwt')
  } catch (thrown) {
    if (thrown instanceof ConfigurationError) return thrown.message
    throw thrown
  }
  return 'accepted'
}

describe('vectors', () => {
  test('F3 RFC 7638 §3.1: the thumbprint of an RSA key', () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
    expect(kidOf({ kty: 'RSA', n, e: 'AQAB', alg: 'RS256' })).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  })

  const okp = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }

  test('F3 RFC 8037 A.3: the thumbprint of an Ed25519 key', () => {
    expect(kidOf(okp)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
  })

  test.each([['ES256', p256.publicKey], ['EdDSA', ed25519.publicKey], ['RS256', rsa.publicKey]])(
    'F3 the kid of an %s key is the thumbprint that jose computes',
    async (_alg, key) => expect(kidOf(key)).toBe(await calculateJwkThumbprint(jwk(key))),
  ) // prettier-ignore
})

describe('keys that are too weak, or of the wrong kind', () => {
  const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey
  const wrongKind =
    "jwt: keys[0]: the key must be EC on P-256, Ed25519, or RSA; make one with generateKeyPairSync('ec', { namedCurve: 'P-256' })"
  const weak = 'jwt: keys[0]: an RSA key must have at least 2048 bits, and a public exponent of at least 65537'
  const notAKey = 'jwt: keys[0]: key must be a private key as PEM text, JWK or KeyObject, and'

  test.each([
    ['RSA of 1024 bits', generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey, weak],
    ['RSA of 2048 bits with exponent 3', { kty: 'RSA', n: jwk(rsa.publicKey).n, e: 'Aw' }, weak, 'retired'],
    ['RSA-PSS alone', generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey, wrongKind],
    ['P-384', ec('P-384'), wrongKind],
    ['P-521', ec('P-521'), wrongKind],
    ['secp256k1', ec('secp256k1'), wrongKind],
    ['Ed448', generateKeyPairSync('ed448').privateKey, wrongKind],
    ['X25519', generateKeyPairSync('x25519').privateKey, wrongKind],
    ['a secret KeyObject', createSecretKey(randomBytes(32)), `${notAKey} an object was not one`],
    ['a secret as JWK', { kty: 'oct', k: randomBytes(32).toString('base64url') }, `${notAKey} an object was not one`],
    ['a pass phrase', 'correct horse battery staple', `${notAKey} a string was not one`],
    ['an unset environment variable', undefined, `${notAKey} undefined was not one`],
    ['an empty one', '', `${notAKey} an empty string was not one; it is empty: is the environment variable set?`],
    ['bytes', randomBytes(32), `${notAKey} an object was not one; it is bytes: use readFileSync(path, 'utf8'), or the text of the buffer`],
    ['a pair in place of a key', p256, `${notAKey} an object was not one`],
    [
      'a PEM that was cut',
      pem(p256.privateKey).slice(0, 100),
      `${notAKey} a string was not one; its end is missing: the line with -----END`,
    ],
    ['a public key', p256.publicKey, 'jwt: keys[0]: a key that is not retired must be a private key'],
    ['a public key as PEM', pem(p256.publicKey), 'jwt: keys[0]: a key that is not retired must be a private key'],
    ['a public key as JWK', jwk(p256.publicKey), 'jwt: keys[0]: a key that is not retired must be a private key'],
    ['a JWK for encryption', { ...jwk(p256.privateKey), use: 'enc' }, "jwt: keys[0]: the use of this JWK must be 'sig'"],
  ])('F3 refused: %s', (_name, key, message, state = 'active') => {
    expect(refusal([{ key, state }])).toBe(message)
  })

  test.each([
    ['a retired weak one', [active, { key: ec('P-384'), state: 'retired' }], wrongKind.replace('[0]', '[1]')],
    ['a next one that is public', [active, { key: otherP256.publicKey, state: 'next' }], 'jwt: keys[1]: a key that is not retired must be a private key'],
    ['an algorithm that the key cannot do', [{ key: p256.privateKey, algorithm: 'RS256' }], 'jwt: keys[0]: algorithm RS256 does not fit; this key can do ES256'],
    ['an algorithm of the JWK that the key cannot do', [{ key: { ...jwk(ed25519.privateKey), alg: 'ES256' } }], 'jwt: keys[0]: algorithm ES256 does not fit; this key can do EdDSA'],
    ['an algorithm that does not exist here', [{ key: rsa.privateKey, algorithm: 'RS512' }], 'jwt: keys[0]: algorithm RS512 does not fit; it can be ES256, EdDSA, RS256, PS256'],
    ['none', [{ key: rsa.privateKey, algorithm: 'none' }], 'jwt: keys[0]: algorithm none does not fit; it can be ES256, EdDSA, RS256, PS256'],
    ['HS256', [{ key: rsa.privateKey, algorithm: 'HS256' }], 'jwt: keys[0]: algorithm HS256 does not fit; it can be ES256, EdDSA, RS256, PS256'],
    ['no keys', [], 'jwt: keys must be an array of at least one { key }'],
    ['a key without its object', [p256.privateKey], 'jwt: keys[0]: key must be a private key'],
    ['an unknown member', [{ key: p256.privateKey, alg: 'ES256' }], 'jwt: keys[0] has no member "alg"'],
    ['an unknown state', [{ key: p256.privateKey, state: 'old' }], "jwt: keys[0]: state must be 'next', 'active' or 'retired'"],
    ['none active', [{ ...active, state: 'next' }], "jwt: exactly one key must have state 'active', and it must be a private key"],
    ['two active', [active, { key: rsa.privateKey }], "jwt: exactly one key must have state 'active', and it must be a private key"],
    ['the same key twice', [active, { ...active, state: 'next' }], 'jwt: two keys have the same kid; leave kid out to have it computed'],
    ['two kids that are the same', [{ ...active, kid: 'a' }, { key: rsa.privateKey, kid: 'a', state: 'next' }], 'jwt: two keys have the same kid; leave kid out to have it computed'],
    ['a kid that is no text', [{ ...active, kid: 7 }], 'jwt: keys[0]: kid must be visible ASCII'],
    ['a kid with a line break', [{ ...active, kid: 'a\n' }], 'jwt: keys[0]: kid must be visible ASCII'],
    ['an empty kid', [{ ...active, kid: '' }], 'jwt: keys[0]: kid must be visible ASCII'],
  ])('F3 refused: %s', (_name, keys, message) => {
    expect(refusal(keys).slice(0, message.length)).toBe(message)
  }) // prettier-ignore

  test('I6 no message holds what was given', () => {
    const inputs = ['canary-pass-phrase', pem(p256.privateKey).replace('MIG', 'XXX'), { ...jwk(p256.privateKey), crv: 'canary' }]
    for (const key of inputs) expect(refusal([{ key }])).not.toMatch(/canary|XXX|PRIVATE/)
  })

  test.each([['x'], [{}], [{ key: p256.privateKey }], [null]])('F3 refused: %p in place of an array', (keys) => {
    expect(refusal(keys as never)).toBe('jwt: keys must be an array of at least one { key }')
  })

  test('F3 what is not weak is accepted', () => {
    expect(refusal([active, { key: rsa.publicKey, state: 'retired' }, { key: pem(ed25519.publicKey), state: 'retired' }])).toBe('accepted')
    expect(refusal([{ key: { ...jwk(rsa.privateKey), alg: 'PS256', use: 'sig', key_ops: ['sign'] } as JsonWebKey }])).toBe('accepted')
  })
})

describe('a set of keys', () => {
  const format = () => jwt({ keys: [active, { key: rsa.privateKey, state: 'next' }, { key: ed25519.publicKey, state: 'retired' }] })

  test('F3 the active key signs, all verify', async () => {
    const claims = await claimsForFormat()
    expect(decoded(await format().issue(claims)).header).toMatchObject({ alg: 'ES256', kid: kidOf(p256.publicKey) })
    for (const { privateKey } of [p256, rsa, ed25519])
      expect(await format().read?.(await jwt({ key: privateKey }).issue(claims), server)).toBeDefined()
    expect(await format().read?.(await jwt({ key: otherP256.privateKey }).issue(claims), server)).toBeUndefined()
  })

  test('F3 the kid of an option, of a JWK, and the thumbprint, in this order', () => {
    const named = { ...jwk(p256.privateKey), kid: 'mine' } as JsonWebKey
    expect([...readSigningKeys([{ key: named }], 'x').byKid.keys()]).toEqual(['mine'])
    expect([...readSigningKeys([{ key: named, kid: 'other' }], 'x').byKid.keys()]).toEqual(['other'])
    expect(readSigningKeys([{ key: { ...jwk(rsa.privateKey), alg: 'PS256' } }], 'x').active.alg).toBe('PS256')
    expect(readSigningKeys([{ key: { ...jwk(rsa.privateKey), alg: 'PS256' }, algorithm: 'RS256' }], 'x').active.alg).toBe('RS256')
  })

  test('F3 replaceKeys: the next token has the new key, the old one is good while its key stays, and not a moment longer', async () => {
    const accessTokens = jwt({ key: p256.privateKey })
    const { options, token } = jwtServer({ accessTokens })
    const old = await machineToken({ options, token } as ReturnType<typeof jwtServer>)
    accessTokens.replaceKeys([{ key: rsa.privateKey }, { key: p256.publicKey, state: 'retired' }])
    const next = await machineToken({ options, token } as ReturnType<typeof jwtServer>)
    expect(decoded(next).header).toMatchObject({ alg: 'RS256', kid: kidOf(rsa.publicKey) })
    expect(await Promise.all([statusOf(options, old), statusOf(options, next)])).toEqual([200, 200])
    accessTokens.replaceKeys([{ key: rsa.privateKey }])
    expect(await Promise.all([statusOf(options, old), statusOf(options, next)])).toEqual([401, 200])
  })

  test('F3 a replacement that is wrong changes nothing', async () => {
    const accessTokens = jwt({ key: p256.privateKey })
    const published = accessTokens.jwks?.()
    expect(() => accessTokens.replaceKeys([{ key: rsa.privateKey, state: 'retired' }])).toThrow(ConfigurationError)
    expect(() => accessTokens.replaceKeys([])).toThrow(new ConfigurationError('replaceKeys: keys must be an array of at least one { key }'))
    expect(accessTokens.jwks?.()).toEqual(published)
    expect(await accessTokens.read?.(await accessTokens.issue(await claimsForFormat()), server)).toBeDefined()
  })

  test('F3 a replacement while claims are being written: header and signature are of one key', async () => {
    const claims = async () => {
      accessTokens.replaceKeys([{ key: rsa.privateKey }, { key: p256.privateKey, state: 'retired' }])
      return {}
    }
    const accessTokens = jwt({ key: p256.privateKey, claims })
    const token = await accessTokens.issue(await claimsForFormat())
    expect(decoded(token).header.alg).toBe('ES256')
    expect(await accessTokens.read?.(token, server)).toBeDefined()
  })
})

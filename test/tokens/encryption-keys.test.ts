/** Keys that encrypt: what is read, what is refused, and how they are named. */
import { describe, expect, test } from '@jest/globals'
import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { ConfigurationError, type EncryptionKeyOptions } from '../../src/index.js'
import { readEncryptionKeys } from '../../src/jose/encryption-keys.js'
import { ed25519, jwk, p256, pem, rsa } from '../support/tokens.js'

const bytes = randomBytes(32)
const text = bytes.toString('base64url')
const x25519 = generateKeyPairSync('x25519')

function refusal(keys: readonly unknown[]): string {
  try {
    readEncryptionKeys(keys as EncryptionKeyOptions[], 'encrypted')
  } catch (thrown) {
    if (thrown instanceof ConfigurationError) return thrown.message
    throw thrown
  }
  return 'accepted'
}

const only = (key: EncryptionKeyOptions['key'], rest: Partial<EncryptionKeyOptions> = {}) =>
  readEncryptionKeys([{ key, ...rest }], 'x').active

describe('keys that are read', () => {
  test('F4 32 bytes, in each form, are one key with one name; A256KW unless dir is said', () => {
    const forms = [bytes, new Uint8Array(bytes), text, createSecretKey(bytes), { kty: 'oct', k: text }].map((key) => only(key))
    for (const { kid, alg, encryptWith, decryptWith } of forms) {
      expect([kid, alg]).toEqual([forms[0]?.kid, 'A256KW'])
      expect(encryptWith.export()).toEqual(bytes)
      expect(decryptWith?.export()).toEqual(bytes)
    }
    expect(only(bytes, { algorithm: 'dir' }).alg).toBe('dir')
  })

  test('F4 EC on P-256 and X25519, in each form, are for ECDH-ES+A256KW', () => {
    for (const { privateKey, publicKey } of [p256, x25519]) {
      const forms = [privateKey, pem(privateKey), jwk(privateKey)].map((key) => only(key))
      const [{ kid } = { kid: '' }] = forms
      for (const key of forms)
        expect(key).toMatchObject({ kid, alg: 'ECDH-ES+A256KW', decryptWith: { type: 'private' }, encryptWith: { type: 'public' } })
      for (const key of [publicKey, pem(publicKey), jwk(publicKey)]) expect(only(key)).toMatchObject({ kid, decryptWith: undefined })
    }
  })

  test('F4 the kid says nothing of the key, and is another for another key', () => {
    expect(only(bytes).kid).toMatch(/^[A-Za-z0-9_-]{22}$/)
    expect(only(randomBytes(32)).kid).not.toBe(only(bytes).kid)
    expect(text).not.toContain(only(bytes).kid.slice(0, 8))
  })

  test('F4 kid and algorithm of an option go before those of a JWK, and those before the usual', () => {
    const key = { kty: 'oct', k: text, kid: 'mine', alg: 'dir', use: 'enc' }
    expect(only(key)).toMatchObject({ kid: 'mine', alg: 'dir' })
    expect(only(key, { kid: 'other', algorithm: 'A256KW' })).toMatchObject({ kid: 'other', alg: 'A256KW' })
  })
})

describe('keys that are refused', () => {
  const size = "encrypted: keys[0]: the key must have 32 bytes, as from randomBytes(32).toString('base64url')"
  const kind = 'encrypted: keys[0]: the key must be 32 bytes, EC on P-256, or X25519'
  const notAKey = 'encrypted: keys[0]: key must be 32 bytes, their base64url, a PEM text, a JWK or a KeyObject, and'

  test.each([
    ['16 bytes', randomBytes(16), size],
    ['33 bytes', randomBytes(33), size],
    ['no bytes', new Uint8Array(), size],
    ['32 bytes in hex', bytes.toString('hex'), size],
    [
      'a pass phrase that would decode to 32 bytes',
      'correct horse battery staple, correct horse battery',
      `${notAKey} a string was not one`,
    ],
    ['base64 with padding', `${'A'.repeat(43)}=`, `${notAKey} a string was not one`],
    ['a text with a bit too many', `${'A'.repeat(42)}B`, `${notAKey} a string was not one`],
    ['an empty text', '', size],
    ['an oct JWK without k', { kty: 'oct' }, size],
    ['an unset environment variable', undefined, `${notAKey} undefined was not one`],
    ['a number', 7, `${notAKey} a number was not one`],
    ['Ed25519, which signs', ed25519.privateKey, kind],
    ['RSA', rsa.privateKey, kind],
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey, kind],
    ['secp256k1', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey, kind],
    ['X448', generateKeyPairSync('x448').privateKey, kind],
    ['a JWK for signatures', { ...jwk(p256.privateKey), use: 'sig' }, "encrypted: keys[0]: the use of this JWK must be 'enc'"],
    [
      'a JWK for HS256',
      { kty: 'oct', k: text, alg: 'HS256' },
      'encrypted: keys[0]: algorithm HS256 does not fit; this key can do A256KW or dir',
    ],
  ])('F4 %s', (_name, key, message) => {
    expect(refusal([{ key }])).toBe(message)
  })

  test.each([
    ['dir with an EC key', [{ key: p256.privateKey, algorithm: 'dir' }], 'encrypted: keys[0]: algorithm dir does not fit; this key can do ECDH-ES+A256KW'],
    ['PBES2', [{ key: bytes, algorithm: 'PBES2-HS256+A128KW' }], 'encrypted: keys[0]: algorithm PBES2-HS256+A128KW does not fit; this key can do A256KW or dir'],
    ['an unknown state', [{ key: bytes, state: 'old' }], "encrypted: keys[0]: state must be 'next', 'active' or 'retired'"],
    ['an unknown member', [{ key: bytes, use: 'enc' }], 'encrypted: keys[0] has no member "use". There is key, algorithm, kid, state.'],
    ['no keys', [], 'encrypted: keys must be an array of at least one { key }'],
    ['none active', [{ key: bytes, state: 'next' }], "encrypted: exactly one key must have state 'active'"],
    ['two active', [{ key: bytes }, { key: randomBytes(32) }], "encrypted: exactly one key must have state 'active'"],
    ['the same key twice', [{ key: bytes }, { key: text, state: 'retired' }], 'encrypted: two keys have the same kid; leave kid out to have it computed'],
    ['a kid that is no text', [{ key: bytes, kid: 7 }], 'encrypted: keys[0]: kid must be visible ASCII'],
    ['a kid of spaces', [{ key: bytes, kid: ' ' }], 'encrypted: keys[0]: kid must be visible ASCII'],
  ])('F4 %s', (_name, keys, message) => {
    expect(refusal(keys)).toBe(message)
  }) // prettier-ignore

  test.each([['x'], [{}], [null]])('F4 %p in place of an array', (keys) => {
    expect(refusal(keys as never)).toBe('encrypted: keys must be an array of at least one { key }')
  })

  test('I6 no message holds what was given', () => {
    const inputs = [`canary ${text}`, { kty: 'oct', k: 'canary!' }, pem(p256.privateKey).replace('MIG', 'XXX')]
    for (const key of inputs) expect(refusal([{ key }])).not.toMatch(/canary|XXX|PRIVATE/)
  })
})

/** Reading a token with a key: what the key is asked for, and what is not a token whatever the key. */
import { describe, expect, test } from '@jest/globals'
import { randomBytes, createSecretKey } from 'node:crypto'
import { decryptJwe, encryptJwe, verifyJws } from '../src/jose.js'
import { base64url, ed25519, p256, rsa, signed } from './support/tokens.js'

const es256 = () => ({ key: p256.publicKey, alg: 'ES256' })
const jws = (header: object, payload: unknown = { a: 1 }) => signed({ alg: 'ES256', ...header }, payload, p256.privateKey, 'ES256')

describe('verifyJws', () => {
  test('F2 header and claims of a token whose signature is right', async () => {
    expect(await verifyJws(jws({ kid: 'k' }), es256, ['ES256'])).toEqual({ header: { alg: 'ES256', kid: 'k' }, claims: { a: 1 } })
  })

  test.each([['k', 'k'], [undefined, undefined], [['k'], undefined], [{ k: 1 }, undefined], [7, undefined], [null, undefined]])(
    'F2 for kid %p the key is asked for by %p',
    async (kid, expected) => {
      const asked: unknown[] = []
      const keyFor = (name: string | undefined) => void asked.push(name)
      expect(await verifyJws(jws({ kid }), keyFor, ['ES256'])).toBeUndefined()
      expect(asked).toEqual([expected])
    },
  ) // prettier-ignore

  test.each([['null'], ['7'], ['"text"'], ['true'], ['{'], ['']])('F2 %p is no claims', async (payload) => {
    expect(await verifyJws(jws({}, payload), es256, ['ES256'])).toBeUndefined()
  })

  test('F2 a key that cannot do its algorithm verifies nothing, and nothing is thrown', async () => {
    for (const { publicKey } of [rsa, ed25519]) {
      expect(await verifyJws(jws({}), () => ({ key: publicKey, alg: 'ES256' }), ['ES256'])).toBeUndefined()
    }
  })

  test('F2 an algorithm that is not listed is not tried, and the key is not asked for', async () => {
    const keyFor = () => {
      throw new Error('asked')
    }
    expect(await verifyJws(jws({}), keyFor, ['EdDSA'])).toBeUndefined()
  })

  test('R4 what a look-up of the key throws is not hidden', async () => {
    const failure = new Error('the key is away')
    const keyFor = () => {
      throw failure
    }
    await expect(verifyJws(jws({}), keyFor, ['ES256'])).rejects.toBe(failure)
  })
})

describe('decryptJwe', () => {
  const key = createSecretKey(randomBytes(32))
  const keyFor = () => ({ key, alg: 'A256KW' })

  test('F4 the text and the header of a token that was encrypted with the key', async () => {
    const header = { alg: 'A256KW', kid: 'k', typ: 'at+jwt', cty: 'JWT' }
    const token = await encryptJwe('ü', key, header)
    expect(await decryptJwe(token, keyFor, ['A256KW'])).toEqual({ header: { ...header, enc: 'A256GCM' }, text: 'ü' })
    expect(await decryptJwe(token, keyFor, ['dir'])).toBeUndefined()
    expect(await decryptJwe(token, () => ({ key, alg: 'dir' }), ['A256KW', 'dir'])).toBeUndefined()
    expect(await decryptJwe(token, () => undefined, ['A256KW'])).toBeUndefined()
  })

  test('F4 a key that cannot do its algorithm decrypts nothing, and nothing is thrown', async () => {
    const token = await encryptJwe('text', key, { alg: 'A256KW', kid: 'k', typ: 'at+jwt' })
    expect(await decryptJwe(token, () => ({ key: rsa.privateKey, alg: 'A256KW' }), ['A256KW'])).toBeUndefined()
  })

  test.each([[''], ['.'], ['....'], ['a.b.c.d'], ['a.b.c.d.e'], [`${base64url({ alg: 'dir', enc: 'A256GCM' })}..a.b.c`], ['a.b.c.d.e.f']])(
    'F4 %p is no token',
    async (text) => expect(await decryptJwe(text, keyFor, ['A256KW', 'dir'])).toBeUndefined(),
  ) // prettier-ignore
})

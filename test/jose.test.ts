/** Reading a token with a key: what the key is asked for, and what is not a token whatever the key. */
import { describe, expect, test } from '@jest/globals'
import { randomBytes, createSecretKey } from 'node:crypto'
import { decryptJwe, encryptJwe } from '../src/jose.js'
import { base64url, rsa } from './support/tokens.js'

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

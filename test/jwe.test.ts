/** JWE in compact form with keys that both sides hold: the vectors of the RFCs, and what is not a token whatever the key. */
import { describe, expect, test } from '@jest/globals'
import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto'
import { compactDecrypt, CompactEncrypt } from 'jose'
import { readEncryptionKeys, type EncryptionAlgorithm } from '../src/jose/encryption-keys.js'
import { decryptJwe, jweEncrypter, openContent, unwrapKey, wrapKey } from '../src/jose/jwe.js'
import { base64url } from './support/tokens.js'

const bytes = randomBytes(32)
const keyOf = (algorithm: EncryptionAlgorithm) => readEncryptionKeys([{ key: bytes, algorithm, kid: 'k' }], 'x').active
const keys = { A256KW: keyOf('A256KW'), dir: keyOf('dir') }
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('vectors', () => {
  test('F4 RFC 3394 §4.6: 256 bits of key wrapped with 256 bits of key', () => {
    const key = createSecretKey(hex('000102030405060708090A0B0C0D0E0F 101112131415161718191A1B1C1D1E1F'))
    const content = hex('00112233445566778899AABBCCDDEEFF 000102030405060708090A0B0C0D0E0F')
    const wrapped = hex('28C9F404C4B810F4 CBCCB35CFB87F826 3F5786E2D80ED326 CBC7F0E71A99F43B FB988B9B7A02DD21')
    expect(wrapKey(content, key)).toEqual(wrapped)
    expect(unwrapKey(wrapped, key)).toEqual(content)
  })

  // RFC 7516 A.1 wraps the content key with RSA; from there on it is A256GCM.
  const contentKey = Buffer.from([
    177, 161, 244, 128, 84, 143, 225, 115, 63, 180, 3, 255, 107, 154, 212, 246, 138, 7, 110, 91, 112, 46, 34, 105, 47, 130, 203, 46, 122,
    234, 64, 252,
  ])
  const header = 'eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ'
  const content = {
    iv: Buffer.from('48V1_ALb6US04U3b', 'base64url'),
    ciphertext: Buffer.from('5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A', 'base64url'),
    tag: Buffer.from('XFBoMYUZodetZdvTiFvSkQ', 'base64url'),
  }

  test('F4 RFC 7516 A.1: A256GCM with the encoded header as additional data', () => {
    const text = 'The true sign of intelligence is not knowledge but imagination.'
    expect(openContent(content, contentKey, header)?.toString()).toBe(text)
    expect(openContent(content, contentKey, header.replace(/.$/, 'R'))).toBeUndefined()
    for (const part of ['iv', 'ciphertext', 'tag'] as const) {
      for (let bit = 0; bit < content[part].length * 8; bit++) {
        expect(openContent({ ...content, [part]: flipped(content[part], bit) }, contentKey, header)).toBeUndefined()
      }
    }
  })
})

describe('unwrapKey', () => {
  const key = keys.A256KW.encryptWith

  test('F4 RFC 7516 §11.5: what was not wrapped with the key is another key each time, and nothing is thrown', () => {
    const wrapped = wrapKey(randomBytes(32), key)
    const others = [flipped(wrapped, 0), flipped(wrapped, 319), Buffer.alloc(40), Buffer.alloc(40, 0xa6), wrapKey(bytes, createSecretKey(randomBytes(32)))]
    const found = [...others, ...others].map((other) => unwrapKey(other, key))
    for (const one of found) expect(one).toHaveLength(32)
    expect(new Set(found.map((one) => one.toString('hex'))).size).toBe(found.length)
  }) // prettier-ignore

  test('F4 RFC 3394 §2.2.3: a key that was wrapped under another initial value is not taken', () => {
    const secret = randomBytes(32)
    for (const initial of [Buffer.alloc(8), Buffer.alloc(8, 0xa5), hex('A65959A600000020'), hex('A6A6A6A6A6A6A6A7')]) {
      const cipher = createCipheriv('id-aes256-wrap', key, initial)
      expect(unwrapKey(Buffer.concat([cipher.update(secret), cipher.final()]), key)).not.toEqual(secret)
    }
  })
})

describe.each(['A256KW', 'dir'] as const)('%s', (alg) => {
  const key = keys[alg]
  const encrypt = jweEncrypter(key, { typ: 'at+jwt', cty: 'JWT' })
  const header = { alg, kid: 'k', typ: 'at+jwt', cty: 'JWT', enc: 'A256GCM' }
  const read = async (token: string) => decryptJwe(token, () => key)

  /** A token with any header, by jose or, where that refuses, by hand. */
  const written = (members: object, text: string | Buffer = 'text', encrypted?: Buffer) => {
    const contentKey = alg === 'dir' ? bytes : randomBytes(32)
    const encodedHeader = base64url({ ...header, ...members })
    const cipher = createCipheriv('aes-256-gcm', contentKey, Buffer.alloc(12, 7)).setAAD(Buffer.from(encodedHeader))
    const ciphertext = Buffer.concat([cipher.update(text), cipher.final()])
    const encryptedKey = encrypted ?? (alg === 'dir' ? Buffer.alloc(0) : wrapKey(contentKey, key.encryptWith))
    return [encodedHeader, ...[encryptedKey, Buffer.alloc(12, 7), ciphertext, cipher.getAuthTag()].map(base64url)].join('.')
  }

  test('F4 the text and the header of a token that was encrypted with the key; jose reads the same', async () => {
    const token = await encrypt('ü')
    expect(await read(token)).toEqual({ header, text: 'ü' })
    const { plaintext, protectedHeader } = await compactDecrypt(token, bytes)
    expect([Buffer.from(plaintext).toString(), protectedHeader]).toEqual(['ü', header])
    expect(token.split('.').map((part) => Buffer.from(part, 'base64url').length).slice(1)).toEqual([alg === 'dir' ? 0 : 40, 12, 2, 16]) // prettier-ignore
  })

  test('F4 a token that jose made, and one made by hand', async () => {
    const byJose = await new CompactEncrypt(Buffer.from('text')).setProtectedHeader(header).encrypt(bytes)
    expect(await read(byJose)).toEqual({ header, text: 'text' })
    expect(await read(written({}))).toEqual({ header, text: 'text' })
    expect(await read(written({}, ''))).toEqual({ header, text: '' })
  })

  test('F4 every token has an IV and a content key of its own', async () => {
    const tokens = await Promise.all(Array.from({ length: 50 }, async () => encrypt('text')))
    for (const part of alg === 'dir' ? [2, 3, 4] : [1, 2, 3, 4]) {
      expect(new Set(tokens.map((token) => token.split('.')[part])).size).toBe(50)
    }
  })

  test.each([['k', 'k'], [undefined, undefined], [['k'], undefined], [{ k: 1 }, undefined], [7, undefined], [null, undefined]])(
    'F4 for kid %p the key is asked for by %p',
    async (kid, expected) => {
      const asked: unknown[] = []
      expect(await decryptJwe(written({ kid }), (name) => void asked.push(name))).toBeUndefined()
      expect(asked).toEqual([expected])
    },
  ) // prettier-ignore

  test('F4 another key, and the same bytes bound to another algorithm, read nothing', async () => {
    const other = readEncryptionKeys([{ key: randomBytes(32), algorithm: alg }], 'x').active
    expect(await decryptJwe(written({}), () => other)).toBeUndefined()
    expect(await decryptJwe(written({}), () => keys[alg === 'dir' ? 'A256KW' : 'dir'])).toBeUndefined()
  })

  test('R4 what a look-up of the key throws is not hidden', async () => {
    const failure = new Error('the key is away')
    const keyFor = () => {
      throw failure
    }
    await expect(decryptJwe(written({}), keyFor)).rejects.toBe(failure)
  })

  test.each<[string, object]>([
    ['RFC 7516 §4.1.13: what is critical', { crit: ['x'], x: 1 }],
    ['RFC 7516 §4.1.13: a critical list that is empty', { crit: [] }],
    ['RFC 7516 §4.1.13: a critical list that is none', { crit: null }],
    ['RFC 8725 §3.6: compression', { zip: 'DEF' }],
    ['RFC 8725 §3.6: compression of another name', { zip: 'GZ' }],
    ['RFC 8725 §3.6: compression that is null', { zip: null }],
    ['RFC 7518 §5.1: A128GCM', { enc: 'A128GCM' }],
    ['RFC 7518 §5.1: A256CBC-HS512', { enc: 'A256CBC-HS512' }],
    ['RFC 7518 §5.1: enc in lower case', { enc: 'a256gcm' }],
    ['RFC 7518 §5.1: enc that is an array', { enc: ['A256GCM'] }],
    ['RFC 7518 §5.1: no enc', { enc: undefined }],
    ['RFC 8725 §3.1: another alg', { alg: alg === 'dir' ? 'A256KW' : 'dir' }],
    ['RFC 8725 §3.1: alg that nobody binds', { alg: 'A256GCMKW' }],
    ['RFC 8725 §3.1: alg none', { alg: 'none' }],
    ['RFC 8725 §3.1: no alg', { alg: undefined }],
    ['RFC 8725 §3.1: alg that is an array', { alg: [alg] }],
  ])('F4 %s is refused, although all else is right', async (_name, members) => {
    expect(await read(written(members))).toBeUndefined()
  })

  test('F4 RFC 7518 §4.4, §4.5: the encrypted key has its one size', async () => {
    for (const size of [0, 1, 8, 16, 24, 32, 39, 40, 41, 48, 64]) {
      if (size !== (alg === 'dir' ? 0 : 40)) expect(await read(written({}, 'text', randomBytes(size)))).toBeUndefined()
    }
    // RFC 3394 §2.2.1: a key of another length can be wrapped too.
    for (const size of [16, 24, 40]) {
      expect(await read(written({}, 'text', wrapKey(randomBytes(size), key.encryptWith)))).toBeUndefined()
    }
  })

  test('F4 RFC 7518 §5.3: the tag has 16 bytes, also where its beginning is right', async () => {
    const parts = written({}).split('.')
    const tag = Buffer.from(parts[4] ?? '', 'base64url')
    for (const size of [0, 1, 4, 8, 12, 13, 14, 15])
      expect(await read(parts.with(4, base64url(tag.subarray(0, size))).join('.'))).toBeUndefined()
    expect(await read(parts.with(4, base64url(Buffer.concat([tag, Buffer.alloc(1)]))).join('.'))).toBeUndefined()
  })

  test('F4 RFC 7518 §5.3: the IV has 12 bytes, also where the content was encrypted under another', async () => {
    for (const size of [1, 8, 11, 13, 16]) {
      const contentKey = alg === 'dir' ? bytes : randomBytes(32)
      const encryptedKey = alg === 'dir' ? Buffer.alloc(0) : wrapKey(contentKey, key.encryptWith)
      const iv = randomBytes(size)
      const cipher = createCipheriv('aes-256-gcm', contentKey, iv).setAAD(Buffer.from(base64url(header)))
      const ciphertext = Buffer.concat([cipher.update('text'), cipher.final()])
      const token = [base64url(header), ...[encryptedKey, iv, ciphertext, cipher.getAuthTag()].map(base64url)].join('.')
      expect(await read(token)).toBeUndefined()
    }
  })

  test('F4 RFC 7516 §5.2: no bit of any part can be changed', async () => {
    const parts = written({}).split('.')
    for (const [index, part] of parts.entries()) {
      const bits = Buffer.from(part, 'base64url')
      for (let bit = 0; bit < bits.length * 8; bit += 3) {
        expect(await read(parts.with(index, base64url(flipped(bits, bit))).join('.'))).toBeUndefined()
      }
    }
  })

  test('F4 the same members in another order, or with white space, are another header', async () => {
    const [, ...rest] = written({}).split('.')
    for (const text of [JSON.stringify(header, undefined, 1), JSON.stringify(Object.fromEntries(Object.entries(header).reverse()))]) {
      expect(await read([base64url(text), ...rest].join('.'))).toBeUndefined()
    }
  })

  test('F4 RFC 4648 §3.5: no part can be written in another way', async () => {
    const parts = written({}).split('.')
    const spare = (text: string) => text.slice(0, -1) + String.fromCharCode(text.charCodeAt(text.length - 1) + 1)
    for (const [index, part] of parts.entries()) {
      const forms = [`${part}=`, `${part}\n`, ` ${part}`, ...(Buffer.from(part, 'base64url').length % 3 === 0 ? [] : [spare(part)])]
      for (const form of forms) expect(await read(parts.with(index, form).join('.'))).toBeUndefined()
    }
  })

  test('F4 what is inside is UTF-8', async () => {
    expect(await read(written({}, Buffer.from([0xff])))).toBeUndefined()
  })
})

test.each([[''], ['.'], ['....'], ['a.b.c.d'], ['a.b.c.d.e'], [`${base64url({ alg: 'dir', enc: 'A256GCM' })}..a.b.c`], ['a.b.c.d.e.f'], ['.'.repeat(16_000)]])(
  'F4 %p is no token',
  async (text) => expect(await decryptJwe(text, () => keys.A256KW)).toBeUndefined(),
) // prettier-ignore

test('F4 a sixth part is not overlooked', async () => {
  const token = await jweEncrypter(keys.A256KW, { typ: 'at+jwt' })('text')
  expect(await decryptJwe(token, () => keys.A256KW)).toMatchObject({ text: 'text' })
  for (const text of [`${token}.`, `.${token}`, `${token}.AAAA`]) expect(await decryptJwe(text, () => keys.A256KW)).toBeUndefined()
})

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (0x80 >> (bit & 7)), bit >> 3)
  return copy
}

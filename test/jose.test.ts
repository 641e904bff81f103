/** What is left to jose: JWEs for a key pair, whose key is agreed upon. */
import { describe, expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { compactDecrypt, CompactEncrypt } from 'jose'
import { readEncryptionKeys, type EncryptionKey } from '../src/jose/encryption-keys.js'
import { decryptByAgreement, encryptByAgreement } from '../src/jose/key-agreement.js'
import { decryptJwe, jweEncrypter } from '../src/jose/jwe.js'
import { base64url } from './support/tokens.js'

const pairs = { 'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }), X25519: generateKeyPairSync('x25519') } as const
const members = { kid: 'k', typ: 'at+jwt', cty: 'JWT' }

describe.each(['P-256', 'X25519'] as const)('ECDH-ES+A256KW on %s', (curve) => {
  const { privateKey, publicKey } = pairs[curve]
  const key = readEncryptionKeys([{ key: privateKey, kid: 'k' }], 'x').active

  test('F4 the text of a token that was encrypted with the public half', async () => {
    const token = await encryptByAgreement('ü', publicKey, members)
    expect((await decryptByAgreement(token, privateKey))?.toString()).toBe('ü')
    expect(await decryptJwe(token, () => key)).toEqual({
      text: 'ü',
      header: { ...members, alg: 'ECDH-ES+A256KW', enc: 'A256GCM', epk: expect.objectContaining({ crv: curve }) },
    })
    expect((await compactDecrypt(token, privateKey)).protectedHeader).toMatchObject(members)
  })

  test('F4 every token has an ephemeral key of its own', async () => {
    const encrypt = jweEncrypter(key, { typ: 'at+jwt' })
    const headers = await Promise.all(Array.from({ length: 10 }, async () => (await encrypt('text')).split('.')[0]))
    expect(new Set(headers).size).toBe(10)
  })

  test('F4 one that names a key whose private half is elsewhere is sealed, if it could be for that key at all', async () => {
    const sealed: EncryptionKey = { ...key, decryptWith: undefined }
    const parts = (await encryptByAgreement('text', publicKey, members)).split('.')
    expect(await decryptJwe(parts.join('.'), () => sealed)).toBe('sealed')
    const header = JSON.parse(Buffer.from(parts[0] ?? '', 'base64url').toString()) as object
    const others = [{ alg: 'dir' }, { alg: 'ECDH-ES' }, { enc: 'A128GCM' }, { crit: ['x'] }, { zip: 'DEF' }].map((change) =>
      parts.with(0, base64url({ ...header, ...change })),
    )
    const shorter = [1, 2, 4].map((index) => parts.with(index, (parts[index] ?? '').slice(0, -4)))
    for (const text of [...others, ...shorter]) expect(await decryptJwe(text.join('.'), () => sealed)).toBeUndefined()
  })

  test('F4 RFC 8725 §3.6: what is compressed is not read', async () => {
    const header = { ...members, alg: 'ECDH-ES+A256KW', enc: 'A256GCM', zip: 'DEF' }
    const token = await new CompactEncrypt(Buffer.from('text')).setProtectedHeader(header).encrypt(publicKey)
    expect(Buffer.from((await compactDecrypt(token, privateKey)).plaintext).toString()).toBe('text')
    expect([await decryptByAgreement(token, privateKey), await decryptJwe(token, () => key)]).toEqual([undefined, undefined])
  })

  test('F4 another key, and another algorithm for this one, read nothing, and nothing is thrown', async () => {
    const token = await encryptByAgreement('text', publicKey, members)
    for (const pair of [generateKeyPairSync('ec', { namedCurve: 'P-256' }), generateKeyPairSync('x25519')]) {
      expect(await decryptByAgreement(token, pair.privateKey)).toBeUndefined()
    }
    for (const header of [{ alg: 'ECDH-ES', enc: 'A256GCM' }, { alg: 'ECDH-ES+A256KW', enc: 'A128GCM' }, { alg: 'ECDH-ES+A128KW', enc: 'A256GCM' }]) {
      const other = await new CompactEncrypt(Buffer.from('text')).setProtectedHeader({ ...members, ...header }).encrypt(publicKey)
      expect([await decryptByAgreement(other, privateKey), await decryptJwe(other, () => key)]).toEqual([undefined, undefined])
    }
  }) // prettier-ignore

  test('I7 whatever stands for the ephemeral key is refused, and nothing is thrown', async () => {
    const [head = '', ...rest] = (await encryptByAgreement('text', publicKey, members)).split('.')
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as { epk: Record<string, string> }
    const zero = Buffer.alloc(32).toString('base64url')
    const epks = [undefined, null, 7, 'x', [], {}, { kty: 'oct', k: zero }, { kty: 'EC' }, { ...header.epk, x: zero }, { ...header.epk, x: 7 }, { ...header.epk, x: 'AA' }, { ...header.epk, crv: 'P-384' }, { ...header.epk, crv: 'P-257' }, { kty: 'OKP', crv: 'X25519', x: zero }, { kty: 'EC', crv: 'P-256', x: zero, y: zero }, { kty: 'RSA', n: zero, e: 'AQAB' }, { ...header.epk, d: zero }]
    for (const epk of epks) {
      const text = [base64url({ ...header, epk }), ...rest].join('.')
      expect([epk, await decryptJwe(text, () => key)]).toEqual([epk, undefined])
      expect([epk, await decryptByAgreement(text, privateKey)]).toEqual([epk, undefined])
    }
  }) // prettier-ignore
})

test('I7 members of the ephemeral key that WebCrypto does not take are refused as well, and nothing is thrown', () => {
  // In a process of its own: Jest has a TypeError of its own, which those of WebCrypto are not.
  const script = `
    import { decryptByAgreement, encryptByAgreement } from ${JSON.stringify(new URL('../dist/jose/key-agreement.js', import.meta.url))}
    import { generateKeyPairSync } from 'node:crypto'
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const [head, ...rest] = (await encryptByAgreement('text', publicKey, { kid: 'k', typ: 'at+jwt' })).split('.')
    const header = JSON.parse(Buffer.from(head, 'base64url'))
    const odd = [{ key_ops: 7 }, { key_ops: [7] }, { key_ops: null }, { key_ops: ['sign'] }, { ext: 7 }, { use: 'sig' }, { x: {} }, { y: null }, { x: undefined }]
    for (const change of odd) {
      const text = Buffer.from(JSON.stringify({ ...header, epk: { ...header.epk, ...change } })).toString('base64url')
      console.log(await decryptByAgreement([text, ...rest].join('.'), privateKey))
    }`
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
  expect([stderr, stdout, status]).toEqual(['', 'undefined\n'.repeat(9), 0])
})

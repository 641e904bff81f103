/** JWS in compact form: the vectors of the RFCs, what the key is asked for, and what is not a token whatever the key. */
import { describe, expect, test } from '@jest/globals'
import { createPublicKey, generateKeyPairSync, sign, type JsonWebKey, type KeyObject } from 'node:crypto'
import { isSignatureOf, jwsSigner, signatureOf, verifyJws as verifyKnowing, type VerificationKey } from '../src/jose/jws.js'
import { KnownSignatures } from '../src/jose/verified-tokens.js'
import { readSigningKeys, type SigningKeyOptions } from '../src/jose/signing-keys.js'
import { base64url, decoded, ed25519, jwk, p256, rsa, signed, signatureOf as foreignSignature } from './support/tokens.js'

const keyOf = (options: SigningKeyOptions) => readSigningKeys([options], 'x').active
const es256 = keyOf({ key: p256.privateKey })
const jws = (header: object, payload: unknown = { a: 1 }) => signed({ alg: 'ES256', ...header }, payload, p256.privateKey, 'ES256')
/** As for the first token that was ever seen. */
const verifyJws = (text: string, keyFor: Parameters<typeof verifyKnowing>[1]) => verifyKnowing(text, keyFor, new KnownSignatures())
const publicKey = (key: JsonWebKey) => createPublicKey({ key, format: 'jwk' })

describe('vectors', () => {
  const payload = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
  const claims = { iss: 'joe', exp: 1300819380, 'http://example.com/is_root': true }
  const n =
    'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ'
  const x = 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU'
  const y = 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'

  test.each<[name: string, header: string, signature: string, key: VerificationKey]>([
    [
      'A.2: RS256',
      'eyJhbGciOiJSUzI1NiJ9',
      'cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw',
      { alg: 'RS256', publicKey: publicKey({ kty: 'RSA', n, e: 'AQAB' }), signatureSize: 256 },
    ],
    [
      'A.3: ES256',
      'eyJhbGciOiJFUzI1NiJ9',
      'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q',
      { alg: 'ES256', publicKey: publicKey({ kty: 'EC', crv: 'P-256', x, y }), signatureSize: 64 },
    ],
  ])('F2 RFC 7515 %s: the token is verified, and not when one character of it differs', (_name, header, signature, key) => {
    expect(verifyJws(`${header}.${payload}.${signature}`, () => key)).toEqual({ header: { alg: key.alg }, claims })
    const others = [signature.replace(/^./, 'a'), signature.replace(/.$/, 'A'), signature.replace(/.$/, ''), `${signature}A`]
    for (const other of others) expect(verifyJws(`${header}.${payload}.${other}`, () => key)).toBeUndefined()
    expect(verifyJws(`${header}.${payload.replace('c3', 'c2')}.${signature}`, () => key)).toBeUndefined()
    expect(verifyJws(`${header.replace('eyJ', 'eyA')}.${payload}.${signature}`, () => key)).toBeUndefined()
  })

  test('F2 RFC 8037 A.4, A.5: the signature of an Ed25519 key, made and verified', () => {
    const okp = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A' }
    const signature = 'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
    const text = 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc'
    const key = keyOf({ key: okp })
    expect(signatureOf(text, key).toString('base64url')).toBe(signature)
    expect(isSignatureOf(text, Buffer.from(signature, 'base64url'), key)).toBe(true)
    expect(isSignatureOf(`${text}.`, Buffer.from(signature, 'base64url'), key)).toBe(false)
    // The payload is no JSON object, so a token of it is none, however right the signature.
    expect(verifyJws(`${text}.${signature}`, () => key)).toBeUndefined()
  }) // prettier-ignore

  test('F2 RFC 7515 A.5 and E: what has no signature, and what is critical and not known, is refused', () => {
    expect(verifyJws(`eyJhbGciOiJub25lIn0.${payload}.`, () => es256)).toBeUndefined()
    const header = 'eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0' // prettier-ignore
    expect(verifyJws(`${header}.RkFJTA.`, () => es256)).toBeUndefined()
  })
})

describe('jwsSigner', () => {
  test.each<[SigningKeyOptions]>([
    [{ key: p256.privateKey }],
    [{ key: ed25519.privateKey }],
    [{ key: rsa.privateKey }],
    [{ key: rsa.privateKey, algorithm: 'PS256' }],
  ])('F2 what it signs is verified with the key of its kid, in UTF-8 (%#)', (options) => {
    const key = keyOf(options)
    const token = jwsSigner(key, 'at+jwt')({ sub: 'blau-ü' })
    expect(decoded(token)).toEqual({ header: { alg: key.alg, typ: 'at+jwt', kid: key.kid }, claims: { sub: 'blau-ü' } })
    expect(verifyJws(token, (kid) => (kid === key.kid ? key : undefined))).toEqual(decoded(token))
    const [, , signature = ''] = token.split('.')
    expect(Buffer.from(signature, 'base64url')).toHaveLength(key.signatureSize)
    // The size is judged here, and not left to OpenSSL.
    for (const size of [key.signatureSize - 1, key.signatureSize + 1]) {
      expect(verifyJws(token, () => ({ ...key, signatureSize: size }))).toBeUndefined()
    }
  })
})

test('F2 a modulus that does not end with a byte is signed with and verified as well', () => {
  const key = keyOf({ key: generateKeyPairSync('rsa', { modulusLength: 2050 }).privateKey })
  const token = jwsSigner(key, 'at+jwt')({ sub: 'alice' })
  expect(key.signatureSize).toBe(257)
  expect(verifyJws(token, () => key)).toMatchObject({ claims: { sub: 'alice' } })
})

describe('verifyJws', () => {
  test('F2 header and claims of a token whose signature is right', () => {
    expect(verifyJws(jws({ kid: 'k' }), () => es256)).toEqual({ header: { alg: 'ES256', kid: 'k' }, claims: { a: 1 } })
  })

  test.each([['k', 'k'], ['', ''], [undefined, undefined], [['k'], undefined], [{ k: 1 }, undefined], [7, undefined], [null, undefined]])(
    'F2 for kid %p the key is asked for by %p',
    (kid, expected) => {
      const asked: unknown[] = []
      expect(verifyJws(jws({ kid }), (name) => void asked.push(name))).toBeUndefined()
      expect(asked).toEqual([expected])
    },
  ) // prettier-ignore

  test('R4 what a look-up of the key throws is not hidden', () => {
    const failure = new Error('the key is away')
    const keyFor = () => {
      throw failure
    }
    expect(() => verifyJws(jws({}), keyFor)).toThrow(failure)
  })

  test.each([['null'], ['7'], ['"text"'], ['true'], ['[]'], ['{'], [''], ['\ufeff{}'], ['{}{}']])(
    'F2 RFC 7519 §7.2: %p is no claims',
    (payload) => expect(verifyJws(jws({}, payload), () => es256)).toBeUndefined(),
  ) // prettier-ignore

  test('F2 RFC 7519 §7.2: claims are UTF-8', () => {
    expect(verifyJws(jws({}, Buffer.from('{"a":"\u00ff"}', 'latin1')), () => es256)).toBeUndefined()
    expect(verifyJws(jws({}, Buffer.from('{"a":"\u00ff"}')), () => es256)).toMatchObject({ claims: { a: '\u00ff' } })
  })

  test.each([[['x']], [['b64']], [['exp']], [[]], [['']], [[7]], [['x', 'x']], ['x'], [null], [false], [0], [{}]])(
    'F2 RFC 7515 §4.1.11: crit %j is refused under a right signature',
    (crit) => expect(verifyJws(jws({ crit, x: 1, exp: 1 }), () => es256)).toBeUndefined(),
  )

  test.each([[true], [false], [null], ['true']])('F2 RFC 7797 §6: b64 %j is refused under a right signature', (b64) => {
    expect(verifyJws(jws({ b64 }), () => es256)).toBeUndefined()
    expect(verifyJws(jws({ b64, crit: ['b64'] }), () => es256)).toBeUndefined()
  })

  test.each([['ES256 '], ['es256'], ['none'], ['EdDSA'], ['HS256'], [''], [null], [['ES256']], [undefined]])(
    'F2 RFC 8725 §3.1: alg %j is not that of the key',
    (alg) => {
      expect(verifyJws(jws({ alg }), () => es256)).toBeUndefined()
    },
  )

  test('F2 the signature of RS256 and of PS256 are told apart, as is the salt of PS256', () => {
    const text = `${base64url({ alg: 'RS256' })}.${base64url({})}`
    const [rs256, ps256] = [keyOf({ key: rsa.privateKey }), keyOf({ key: rsa.privateKey, algorithm: 'PS256' })]
    const [rs, ps] = [foreignSignature(text, 'RS256', rsa.privateKey), foreignSignature(text, 'PS256', rsa.privateKey)]
    expect([isSignatureOf(text, rs, rs256), isSignatureOf(text, ps, ps256)]).toEqual([true, true])
    expect([isSignatureOf(text, ps, rs256), isSignatureOf(text, rs, ps256)]).toEqual([false, false])
    for (const saltLength of [0, 20, 31, 33, 222]) {
      expect(isSignatureOf(text, sign('sha256', Buffer.from(text), { key: rsa.privateKey, padding: 6, saltLength }), ps256)).toBe(false)
    }
  })

  test('F2 keys inside the token are not looked at', () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const header = {
      alg: 'ES256',
      kid: 'k',
      jwk: jwk(other.publicKey),
      jku: 'https://a.example/',
      x5u: 'https://a.example/',
      x5c: ['AAAA'],
    }
    expect(verifyJws(signed(header, {}, other.privateKey), () => es256)).toBeUndefined()
    expect(verifyJws(signed(header, {}, p256.privateKey), () => es256)).toMatchObject({ claims: {} })
  })

  const [header = '', payload = '', signature = ''] = jws({ kid: 'k' }).split('.')
  test.each([
    ['two parts', `${header}.${payload}`],
    ['no signature', `${header}.${payload}.`],
    ['four parts', `${header}.${payload}.${signature}.`],
    ['five parts', `${header}.${payload}.${signature}.${payload}.${signature}`],
    ['no header', `.${payload}.${signature}`],
    ['no payload', `${header}..${signature}`],
    ['nothing', ''],
    ['dots', '..'],
    ['padding of the signature', `${header}.${payload}.${signature}==`],
    ['white space before', ` ${header}.${payload}.${signature}`],
    ['a line break behind', `${header}.${payload}.${signature}\n`],
    ['white space within', `${header}.${payload}.${signature.slice(0, 40)} ${signature.slice(40)}`],
    ['a letter with the same low byte', `${header}.${payload.replace('e', '\u0165')}.${signature}`],
  ])('F2 RFC 7515 §7.1: refused: %s', (_name, text) => {
    expect(verifyJws(`${header}.${payload}.${signature}`, () => es256)).toBeDefined()
    expect(verifyJws(text, () => es256)).toBeUndefined()
  })

  test('F2 RFC 4648 §3.5: a signature is written in one way only', () => {
    const alphabet = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
    const same = alphabet.map((last) => signature.slice(0, -1) + last).filter((text) => Buffer.from(text, 'base64url').equals(Buffer.from(signature, 'base64url'))) // prettier-ignore
    expect(same).toHaveLength(16)
    expect(same.filter((text) => verifyJws(`${header}.${payload}.${text}`, () => es256) !== undefined)).toEqual([signature])
  })

  test('F2 RFC 4648 §3.5: neither are header and payload, whose spare bits are under the signature too', () => {
    const spare = (text: string) => `${text.slice(0, -1)}${String.fromCharCode(text.charCodeAt(text.length - 1) + 1)}`
    const forms = [`${spare(base64url('{"alg":"ES256"} '))}.${base64url({})}`, `${base64url({ alg: 'ES256' })}.${spare(base64url('{} '.padEnd(4)))}`] // prettier-ignore
    for (const text of forms) {
      const token = `${text}.${base64url(foreignSignature(text, 'ES256', p256.privateKey))}`
      expect(verifyJws(token, () => es256)).toBeUndefined()
      // The same bytes, written as they should be:
      const right = text.split('.').map((part) => base64url(Buffer.from(part, 'base64url'))).join('.') // prettier-ignore
      expect(right).not.toBe(text)
      expect(verifyJws(`${right}.${base64url(foreignSignature(right, 'ES256', p256.privateKey))}`, () => es256)).toBeDefined()
    }
  })

  test('F2 RFC 8017 §8.2.2: a signature of RS256 is below the modulus, and written in its length', () => {
    const key = keyOf({ key: rsa.privateKey })
    const modulus = numberOf(Buffer.from(jwk(rsa.publicKey).n ?? '', 'base64url'))
    const { text, signature } = firstSignature('RS256', rsa.privateKey, (bytes) => bytes[0] === 0)
    expect(isSignatureOf(text, signature, key)).toBe(true)
    expect(isSignatureOf(text, signature.subarray(1), key)).toBe(false)
    expect(isSignatureOf(text, Buffer.concat([Buffer.alloc(1), signature]), key)).toBe(false)
    for (const value of [numberOf(signature) + modulus, modulus, modulus - 1n, modulus + 1n, 0n, 1n]) {
      expect(isSignatureOf(text, bytesOf(value, 256), key)).toBe(false)
    }
  })

  test('F2 RFC 7518 §3.4: r and s of ES256 keep their zeros, and are from 1 to n - 1', () => {
    const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
    for (const start of [0, 32]) {
      const { text, signature } = firstSignature('ES256', p256.privateKey, (bytes) => bytes[start] === 0)
      const halves = [signature.subarray(0, 32), signature.subarray(32)].map(numberOf)
      const changed = (value: bigint) => Buffer.concat(halves.map((half, index) => bytesOf(index * 32 === start ? value : half, 32)))
      expect(isSignatureOf(text, signature, es256)).toBe(true)
      expect(isSignatureOf(text, Buffer.concat([signature.subarray(0, start), signature.subarray(start + 1)]), es256)).toBe(false)
      for (const value of [0n, n, n - 1n, n + 1n, 2n ** 256n - 1n]) expect(isSignatureOf(text, changed(value), es256)).toBe(false)
    }
  })
})

function firstSignature(alg: string, key: KeyObject, fits: (signature: Buffer) => boolean): { text: string; signature: Buffer } {
  for (let index = 0; ; index++) {
    const text = `a.${index}`
    const signature = foreignSignature(text, alg, key)
    if (fits(signature)) return { text, signature }
  }
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`)
}

function bytesOf(value: bigint, size: number): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * size, '0'), 'hex')
}

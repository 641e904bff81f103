/** base64url and JSON, read strictly: one text for some bytes, and nothing else. */
import { describe, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { decodeBase64url, decodeObject, decodeUtf8, encodeJson, parseObject } from '../src/jose/compact-serialization.js'

describe('decodeBase64url', () => {
  test('F2 RFC 7515 C: the example with both characters that base64 has not', () => {
    expect(decodeBase64url('A-z_4ME')).toEqual(Buffer.from([3, 236, 255, 224, 193]))
  })

  test('F2 RFC 4648 §10: the vectors, without padding', () => {
    const vectors = ['', 'Zg', 'Zm8', 'Zm9v', 'Zm9vYg', 'Zm9vYmE', 'Zm9vYmFy']
    expect(vectors.map((text) => decodeBase64url(text)?.toString())).toEqual(['', 'f', 'fo', 'foo', 'foob', 'fooba', 'foobar'])
  })

  test('F2 what was written is read, whatever the length', () => {
    for (let size = 0; size < 70; size++) {
      const bytes = randomBytes(size)
      expect(decodeBase64url(bytes.toString('base64url'))).toEqual(bytes)
    }
  })

  test.each([
    ['padding', 'Zg=='],
    ['half of the padding', 'Zg='],
    ['padding where none belongs', 'Zm9v='],
    ['a character of base64', 'A+z_4ME'],
    ['the other one', 'A-z/4ME'],
    ['white space', 'Zm 9v'],
    ['white space before', ' Zm9v'],
    ['a line break behind', 'Zm9v\n'],
    ['a NUL', 'Zm9v\u0000'],
    ['a character alone', 'Z'],
    ['a character too many', 'Zm9vY'],
    ['letters that look the same', 'Zm9\u0475'],
    ['letters with the same low byte', 'Zm9\u0176'],
    ['half of a surrogate pair', 'Zm9\ud800'],
    ['a dot', 'Zm9v.'],
  ])('F2 refused: %s', (_name, text) => {
    expect(decodeBase64url(text)).toBeUndefined()
  })

  test('F2 RFC 4648 §3.5: bits behind the last byte are zero, so that no two texts are the same bytes', () => {
    const alphabet = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
    const accepted = (start: string) => alphabet.filter((last) => decodeBase64url(start + last) !== undefined).join('')
    expect([accepted('Z'), accepted('Zm'), accepted('Zm9')]).toEqual(['AQgw', 'AEIMQUYcgkosw048', alphabet.join('')])
  })
})

describe('decodeObject', () => {
  const inBase64url = (text: string | Buffer) => Buffer.from(text as string).toString('base64url')

  test('F2 what encodeJson wrote, and any other JSON object', () => {
    expect(decodeObject(encodeJson({ a: 'ü', b: [1] }))).toEqual({ a: 'ü', b: [1] })
    expect(decodeObject(inBase64url(' {"a":\t1}\r\n'))).toEqual({ a: 1 })
  })

  test.each([
    ['nothing', ''],
    ['an array', '[]'],
    ['null', 'null'],
    ['a number', '7'],
    ['a text', '"a"'],
    ['half an object', '{"a":1'],
    ['an object and more', '{}{}'],
    ['a byte order mark', '\ufeff{}'],
    ['no JSON', "{'a':1}"],
    ['a NUL behind', '{}\u0000'],
  ])('F2 refused: %s', (_name, text) => {
    expect(decodeObject(inBase64url(text))).toBeUndefined()
  })

  test.each([
    ['a byte that no text has', [0xff]],
    ['a character in more bytes than it needs', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a character that is cut off', [0xc3]],
  ])('F2 RFC 3629: refused: %s', (_name, bytes) => {
    const text = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')])
    expect(decodeUtf8(text)).toBeUndefined()
    expect(decodeObject(inBase64url(text))).toBeUndefined()
  })

  test('F2 RFC 7515 §4: of two members with one name the last one counts', () => {
    expect(decodeObject(inBase64url('{"alg":"none","alg":"ES256"}'))).toEqual({ alg: 'ES256' })
  })

  test('F2 __proto__ is a name like others', () => {
    const read = parseObject('{"__proto__":{"crit":["x"]}}')
    expect([Object.keys(read ?? {}), read?.crit]).toEqual([['__proto__'], undefined])
    expect(({} as { crit?: unknown }).crit).toBeUndefined()
  })
})

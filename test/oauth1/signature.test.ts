import { expect, test } from '@jest/globals'
import { generateKeyPairSync } from 'node:crypto'
import { parseForm, readParameters } from '../../src/oauth1/parameters.js'
import {
  baseStringUri,
  isRightSignature,
  normalizeParameters,
  percentEncode,
  signatureBaseString,
  type SignatureMethod,
  type VerificationKeys,
} from '../../src/oauth1/signature.js'

const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const keys = (clientSecret: string, tokenSecret: string): VerificationKeys => ({ clientSecret, tokenSecret, publicKey })
const over = (url: string, host?: string, secure = true) => baseStringUri({ url, host, secure, origin: undefined })

// RFC 5849 §3.4.1.1
const example = {
  url: '/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b',
  headers: {
    host: 'example.com',
    'content-type': 'application/x-www-form-urlencoded',
    authorization: `OAuth realm="Example",
                          oauth_consumer_key="9djdj82h48djs9d2",
                          oauth_token="kkk9d7dh3k39sjv7",
                          oauth_signature_method="HMAC-SHA1",
                          oauth_timestamp="137131201",
                          oauth_nonce="7d8f3e4a",
                          oauth_signature="bYT5CMsGcbgUdFHObYMEfcx6bsw%3D"`.replaceAll(/\n\s*/g, ' '),
  },
  form: parseForm('c2&a3=2+q'),
}

const exampleBaseString =
  'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q' +
  '%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_' +
  'key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_m' +
  'ethod%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk' +
  '9d7dh3k39sjv7'

test('O11 the base string of RFC 5849 §3.4.1.1', () => {
  const { protocol, signed } = readParameters(example)
  const text = signatureBaseString('post', over(example.url, 'example.com', false), signed)
  expect(text).toBe(exampleBaseString)
  expect(protocol.oauth_signature).toBe('bYT5CMsGcbgUdFHObYMEfcx6bsw=')
  // The RFC prints no secrets beside it; with these, oauthlib makes the same signature.
  expect(isRightSignature('HMAC-SHA1', 'r6/TJjbCOr97/+UU0NsvSne7s5g=', text, keys('j49sk3j29djd', 'dh893hdasih9'))).toBe(true)
})

test('O11 the decoded parameters of RFC 5849 §3.4.1.3.1', () => {
  const { signed, realm } = readParameters(example)
  expect(realm).toBe('Example')
  expect([...signed].sort()).toEqual(
    [
      ['b5', '=%3D'],
      ['a3', 'a'],
      ['c@', ''],
      ['a2', 'r b'],
      ['oauth_consumer_key', '9djdj82h48djs9d2'],
      ['oauth_token', 'kkk9d7dh3k39sjv7'],
      ['oauth_signature_method', 'HMAC-SHA1'],
      ['oauth_timestamp', '137131201'],
      ['oauth_nonce', '7d8f3e4a'],
      ['c2', ''],
      ['a3', '2 q'],
    ].sort(),
  )
})

test('O11 the encoded, sorted and joined parameters of RFC 5849 §3.4.1.3.2', () => {
  expect(normalizeParameters(readParameters(example).signed)).toBe(
    'a2=r%20b&a3=2%20q&a3=a&b5=%3D%253D&c%40=&c2=&oauth_consumer_key=9djdj82h48djs9d2&oauth_nonce=7d8f3e4a' +
      '&oauth_signature_method=HMAC-SHA1&oauth_timestamp=137131201&oauth_token=kkk9d7dh3k39sjv7',
  )
})

test('O11 the token request and the resource request of RFC 5849 §1.2', () => {
  const common = [
    ['oauth_consumer_key', 'dpf43f3p2l4k3l03'],
    ['oauth_signature_method', 'HMAC-SHA1'],
  ] as const
  const tokenRequest = signatureBaseString('POST', 'https://photos.example.net/token', [
    ...common,
    ['oauth_token', 'hh5s93j4hdidpola'],
    ['oauth_timestamp', '137131201'],
    ['oauth_nonce', 'walatlh'],
    ['oauth_verifier', 'hfdp7dh39dks9884'],
  ])
  expect(isRightSignature('HMAC-SHA1', 'gKgrFCywp7rO0OXSjdot/IHF7IU=', tokenRequest, keys('kd94hf93k423kf44', 'hdhd0244k9j7ao03'))).toBe(
    true,
  )
  const resourceRequest = signatureBaseString('GET', 'http://photos.example.net/photos', [
    ['file', 'vacation.jpg'],
    ['size', 'original'],
    ...common,
    ['oauth_token', 'nnch734d00sl2jdk'],
    ['oauth_timestamp', '137131202'],
    ['oauth_nonce', 'chapoH'],
  ])
  expect(isRightSignature('HMAC-SHA1', 'MdpQcU8iPSUjWoN/UDMsK2sui9I=', resourceRequest, keys('kd94hf93k423kf44', 'pfkkdhi9sl3r4s00'))).toBe(
    true,
  )
})

test('O11 the base string URIs of RFC 5849 §3.4.1.2', () => {
  expect(over('/r%20v/X?id=123', 'EXAMPLE.COM:80', false)).toBe('http://example.com/r%20v/X')
  expect(over('/?q=1', 'www.example.net:8080', true)).toBe('https://www.example.net:8080/')
})

test.each([
  ['https://[2001:DB8::1]/a', 'https://[2001:db8::1]/a'],
  ['https://[::1]:8443/a', 'https://[::1]:8443/a'],
  ['https://[::1]:443', 'https://[::1]/'],
  ['HTTPS://Example.COM:443/A/%7eb/../c', 'https://example.com/A/%7eb/../c'],
  ['https://example.com:80/', 'https://example.com:80/'],
  ['https://example.com:/a', 'https://example.com/a'],
  ['https://user:secret@example.com/a?b#c', 'https://example.com/a'],
  ['https://example.com?x=1', 'https://example.com/'],
  ['https://example.com/a//b/', 'https://example.com/a//b/'],
])('O11 base string URI of %s', (url, expected) => {
  expect(over(url)).toBe(expected)
})

test.each([
  ['/a?b', '[2001:DB8::1]:8443', 'https://[2001:db8::1]:8443/a'],
  ['/a', '[2001:db8::1]:443', 'https://[2001:db8::1]/a'],
  ['/a', 'Example.com:443', 'https://example.com/a'],
  ['/a', 'example.com:80', 'https://example.com:80/a'],
])('O11 base string URI of %s at host %s', (url, host, expected) => {
  expect(over(url, host)).toBe(expected)
})

test.each([
  'server.example/a',
  'server.example?',
  'a@server.example',
  'server.example#',
  'server.example\\a',
  'server.example /a',
  'a, b',
  '/',
])('O11 a host with a part of the path, or other delimiters, is refused: the signature of /a/b is not good for /b (%j)', (host) => {
  expect(() => over('/b', host)).toThrow('the host of the request is malformed')
  expect(over('/a/b', 'server.example')).toBe('https://server.example/a/b')
})

test('O11 a configured origin goes before the Host and before the scheme', () => {
  const origin = 'https://API.example.com:443'
  expect(baseStringUri({ url: '/a?b', host: 'internal:8080', secure: false, origin })).toBe('https://api.example.com/a')
  expect(baseStringUri({ url: 'http://evil.example/a', host: 'evil.example', secure: false, origin })).toBe('https://api.example.com/a')
})

test.each([
  ['ABCXYZabcxyz0189-._~', 'ABCXYZabcxyz0189-._~'],
  ["!*'()", '%21%2A%27%28%29'],
  [' +%&=', '%20%2B%25%26%3D'],
  ['/?#[]@:$,;', '%2F%3F%23%5B%5D%40%3A%24%2C%3B'],
  ['\n\x7f', '%0A%7F'],
  ['\u0080', '%C2%80'],
  ['\u3001', '%E3%80%81'],
  ['☃ 𝒳', '%E2%98%83%20%F0%9D%92%B3'],
  ['', ''],
  ['\ud800', '%EF%BF%BD'],
])('O11 percent-encoding of %j as RFC 5849 §3.6 says', (text, expected) => {
  expect(percentEncode(text)).toBe(expected)
})

test('O11 parameters are sorted by their encoded bytes, then by value', () => {
  const pairs = [['z', 't'], ['a', '1'], ['f', '50'], ['c', 'hi there'], ['f', 'a'], ['z', 'p'], ['f', '25'], ['a-', '0'], ['a', 'ä'], ['Z', '']] as const // prettier-ignore
  expect(normalizeParameters(pairs)).toBe('Z=&a=%C3%A4&a=1&a-=0&c=hi%20there&f=25&f=50&f=a&z=p&z=t')
})

const methods: readonly [SignatureMethod, string][] = [
  ['HMAC-SHA1', 'wrong'],
  ['HMAC-SHA256', ''],
  ['HMAC-SHA512', '=== not base64 ==='],
  ['RSA-SHA1', 'd3Jvbmc='],
  ['RSA-SHA256', ''],
  ['RSA-SHA512', '\u2603'],
  ['PLAINTEXT', 'a&'],
]
test.each(methods)('O4 %s: a signature of nonsense is wrong, not a failure', (method, signature) => {
  expect(isRightSignature(method, signature, 'GET&a&b', keys('a', 'b'))).toBe(false)
})

test('O4 PLAINTEXT is both secrets encoded, with the ampersand even where one is empty (RFC 5849 §3.4.4)', () => {
  expect(isRightSignature('PLAINTEXT', 'djr9rjt0jd78jf88&jjd999tj88uiths3', '', keys('djr9rjt0jd78jf88', 'jjd999tj88uiths3'))).toBe(true)
  expect(isRightSignature('PLAINTEXT', 'djr9rjt0jd78jf88&jjd99%2524tj88uiths3', '', keys('djr9rjt0jd78jf88', 'jjd99%24tj88uiths3'))).toBe(
    true,
  )
  expect(isRightSignature('PLAINTEXT', 'djr9rjt0jd78jf88&', '', keys('djr9rjt0jd78jf88', ''))).toBe(true)
  expect(isRightSignature('PLAINTEXT', 'djr9rjt0jd78jf88', '', keys('djr9rjt0jd78jf88', ''))).toBe(false)
})

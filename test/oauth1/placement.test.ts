import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { createAccessTokenResponse, createTemporaryCredentialsResponse } from '../../src/oauth1/index.js'
import { readParameters } from '../../src/oauth1/parameters.js'
import {
  authorized,
  baseString,
  callback,
  client,
  encode,
  exchangeRequest,
  header,
  initiate,
  initiateUrl,
  joined,
  oauth1Server,
  resource,
  resourceUrl,
  signatureOf,
  signed,
  start,
  tokenFor,
  type Pairs,
} from './support.js'

beforeEach(() => {
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
})

afterEach(() => {
  jest.restoreAllMocks()
})

const form = { 'content-type': 'application/x-www-form-urlencoded' }

test.each(['header', 'query', 'body'] as const)('O3 all three legs with the parameters in the %s', async (place) => {
  const server = oauth1Server()
  const pending = await authorized(server, client, { place })
  expect((await createAccessTokenResponse(server.options, exchangeRequest(server, pending, client, { place }))).status).toBe(200)
  const token = await tokenFor(server, client, { place })
  expect((await resource(server, signed(resourceUrl, { ...client, token }, { place }))).status).toBe(200)
})

const proof: Pairs = [
  ['oauth_consumer_key', client.client_id],
  ['oauth_signature_method', 'HMAC-SHA256'],
  ['oauth_timestamp', String(start)],
  ['oauth_nonce', 'n'],
  ['oauth_callback', callback],
]

function signedProof(pairs: Pairs = proof, url = initiateUrl, method = 'POST'): Pairs {
  return [...pairs, ['oauth_signature', signatureOf('HMAC-SHA256', baseString(method, url, pairs), client)]]
}

const send = (request: Partial<Parameters<typeof createTemporaryCredentialsResponse>[1]>) =>
  createTemporaryCredentialsResponse(oauth1Server().options, { url: initiateUrl, method: 'POST', headers: {}, ...request })

test('O3 the same pairs in one place pass (the control of the refusals below)', async () => {
  expect((await send({ headers: { authorization: header(signedProof()) } })).status).toBe(200)
  expect((await send({ headers: form, body: joined(signedProof()) })).status).toBe(200)
  expect((await send({ url: `${initiateUrl}?${joined(signedProof())}` })).status).toBe(200)
})

const last = signedProof().slice(5)
const mixtures: readonly [string, Parameters<typeof send>[0]][] = [
  ['header and body', { headers: { authorization: header(signedProof().slice(0, 5)), ...form }, body: joined(last) }],
  ['header and query', { headers: { authorization: header(signedProof().slice(0, 5)) }, url: `${initiateUrl}?${joined(last)}` }],
  ['query and body', { headers: form, url: `${initiateUrl}?${joined(signedProof().slice(0, 5))}`, body: joined(last) }],
  ['the same in header and body', { headers: { authorization: header(signedProof()), ...form }, body: joined(signedProof()) }],
  ['the verifier apart', { headers: { authorization: header(signedProof()), ...form }, body: 'oauth_verifier=x' }],
  ['an encoded name in the query', { headers: { authorization: header(signedProof()) }, url: `${initiateUrl}?%6fauth_verifier=x` }],
]
test.each(mixtures)('O3 a mixture is refused: %s', async (_title, request) => {
  expect(await send(request)).toMatchObject({
    status: 400,
    body: 'error=invalid_request&error_description=oauth+parameters+must+be+sent+in+one+place+only',
  })
})

const repeated = [...signedProof(), ['oauth_nonce', 'n']] as const
const duplicates: readonly [string, Parameters<typeof send>[0]][] = [
  ['inside the header', { headers: { authorization: header(repeated) } }],
  ['inside the body', { headers: form, body: joined(repeated) }],
  ['inside the query', { url: `${initiateUrl}?${joined(repeated)}` }],
  ['a name of the application inside the header', { headers: { authorization: `${header(signedProof())}, a="1", a="2"` } }],
  ['the realm', { headers: { authorization: `${header(signedProof())}, realm="x"` } }],
  ['an encoded name', { headers: form, body: `${joined(signedProof())}&%6Fauth_nonce=n` }],
  ['an encoded name inside the header', { headers: { authorization: `${header(signedProof())}, %6Fauth_nonce="n"` } }],
]
test.each(duplicates)('O3 twice is refused, even the same value: %s', async (_title, request) => {
  expect(await send(request)).toMatchObject({ status: 400, body: /included\+more\+than\+once$/ })
})

test('O3 two Authorization headers are refused', async () => {
  const authorization = [header(signedProof()), 'Basic eDp5']
  expect(await send({ headers: { authorization } })).toMatchObject({ status: 400 })
})

test.each([
  ['no comma', 'OAuth oauth_a="1" oauth_b="2"'],
  ['no value', 'OAuth oauth_a'],
  ['an open quote', 'OAuth oauth_a="1'],
  ['bad escape', 'OAuth oauth_a="%zz"'],
  ['not UTF-8', 'OAuth oauth_a="%ff"'],
  ['cut escape', 'OAuth oauth_a="%4"'],
  ['a bare scheme', 'OAuth'],
])('O7 a malformed header is a 400: %s', async (_title, authorization) => {
  expect(await send({ headers: { authorization } })).toMatchObject({ status: 400, body: /^error=invalid_request&/ })
})

test.each(['a=%zz', 'a=%', '%ff=1', 'a=%c3%28'])('O7 a body or query like %s is a 400', async (text) => {
  const headers = { authorization: header(signedProof()) }
  expect(await send({ headers: { ...headers, ...form }, body: text })).toMatchObject({ status: 400 })
  expect(await send({ headers: { ...headers, ...form }, body: Buffer.from(text) })).toMatchObject({ status: 400 })
  expect(await send({ headers, url: `${initiateUrl}?${text}` })).toMatchObject({ status: 400 })
})

test('O3 header grammar: scheme in any case, spaces, tabs, empty elements, unquoted values, an escaped realm with commas', () => {
  const read = (authorization: string) => readParameters({ url: '/', headers: { authorization }, form: [] })
  expect(read('oAuTh \t realm="a, \\"b\\" = c", ,oauth_a = "x%20y" ,\toauth_b="1+1",oauth_c=tok%2Fen,')).toEqual({
    realm: 'a, "b" = c',
    protocol: { oauth_a: 'x y', oauth_b: '1+1', oauth_c: 'tok/en' },
    signed: [
      ['oauth_a', 'x y'],
      ['oauth_b', '1+1'],
      ['oauth_c', 'tok/en'],
    ],
  })
  expect(read('OAuthX oauth_a="1"').signed).toEqual([])
  expect(read('OAuth oauth_a=""').protocol).toEqual({ oauth_a: '' })
})

test('O3 + is a space in query and body and a plus in the header; empty names, values and pieces are read as they stand', () => {
  const read = readParameters({ url: '/?a=1+2&b=%2B&&c&=d&e==', headers: { authorization: 'OAuth oauth_nonce="1+2"' }, form: [] })
  expect(read.signed).toEqual([
    ['oauth_nonce', '1+2'],
    ['a', '1 2'],
    ['b', '+'],
    ['c', ''],
    ['', 'd'],
    ['e', '='],
  ])
})

test('O3 names like __proto__ are just names', async () => {
  const url = `${initiateUrl}?__proto__=1&constructor=2&toString`
  const request = signed(url, client, { protocol: { oauth_callback: callback } })
  expect((await createTemporaryCredentialsResponse(oauth1Server().options, request)).status).toBe(200)
})

const values = ['', ' ', '+', '%', '%25', '=&', 'ä', '☃', '𝒳', "!*'()", '~-._', 'a b+c%20d', '\u0000', '\r\n', 'e\u0301']
test.each(values)('O3 a request with the application’s own value %j in query and body is signed over it', async (value) => {
  const server = oauth1Server()
  const url = `${initiateUrl}?own=${encode(value)}&own=second&${encode(value)}=name`
  const pairs: Pairs = [['own', value], ['', value], ['z', '']] // prettier-ignore
  const request = signed(url, client, { protocol: { oauth_callback: callback }, form: pairs })
  expect((await createTemporaryCredentialsResponse(server.options, request)).status).toBe(200)
  const other = { ...request, url: `${request.url}x` }
  expect((await createTemporaryCredentialsResponse(server.options, other)).status).toBe(401)
  const third = { ...signed(url, client, { protocol: { oauth_callback: callback }, form: pairs }), body: `${joined(pairs)}&more` }
  expect((await createTemporaryCredentialsResponse(server.options, third)).status).toBe(401)
})

test('O3 method, host, port, path and scheme are signed; the case of the host and a default port are not', async () => {
  const server = oauth1Server({ allowInsecureTransport: true })
  const status = async (change: object) =>
    (
      await createTemporaryCredentialsResponse(server.options, {
        ...signed(initiateUrl, client, { protocol: { oauth_callback: callback } }),
        ...change,
      })
    ).status
  expect(await status({ url: 'HTTPS://SERVER.example:443/oauth/initiate' })).toBe(200)
  expect(await status({ url: '/oauth/initiate', secure: true })).toBe(400)
  expect(await status({ method: 'GET' })).toBe(401)
  expect(await status({ url: 'https://server.example/oauth/Initiate' })).toBe(401)
  expect(await status({ url: 'https://server.example/oauth/initiate/' })).toBe(401)
  expect(await status({ url: 'https://server.example:8443/oauth/initiate' })).toBe(401)
  expect(await status({ url: 'https://other.example/oauth/initiate' })).toBe(401)
  expect(await status({ url: 'http://server.example/oauth/initiate' })).toBe(401)
})

test('O3 an IPv6 host with a port of its own completes the first leg', async () => {
  const url = 'https://[2001:db8::1]:8443/oauth/initiate'
  const request = signed(url, client, { protocol: { oauth_callback: callback } })
  const relative = { ...request, url: '/oauth/initiate', secure: true, headers: { ...request.headers, Host: '[2001:DB8::1]:8443' } }
  expect((await createTemporaryCredentialsResponse(oauth1Server().options, relative)).status).toBe(200)
})

test('O3 with the option origin a request signed for another server is no use here', async () => {
  const server = oauth1Server({ origin: 'https://server.example' })
  const elsewhere = signed('https://evil.example/oauth/initiate', client, { protocol: { oauth_callback: callback } })
  expect((await createTemporaryCredentialsResponse(server.options, elsewhere)).status).toBe(401)
  const relayed = signed(initiateUrl, client, { protocol: { oauth_callback: callback } })
  const behindProxy = { ...relayed, url: '/oauth/initiate', secure: true, headers: { ...relayed.headers, host: 'internal:8080' } }
  expect((await createTemporaryCredentialsResponse(server.options, behindProxy)).status).toBe(200)
})

test('O3 a body that is not a form is not signed; a form that is too large, compressed or not flat is refused', async () => {
  const server = oauth1Server({ maxBodySize: 64 })
  const request = () => signed(initiateUrl, client, { protocol: { oauth_callback: callback } })
  const answer = (headers: object, body: unknown) => {
    const plain = request()
    return createTemporaryCredentialsResponse(server.options, { ...plain, headers: { ...plain.headers, ...headers }, body })
  }
  expect((await answer({ 'content-type': 'application/json' }, '{"oauth_nonce":1}')).status).toBe(200)
  expect((await answer({ 'content-type': 'application/json' }, () => Promise.reject(new Error('read')))).status).toBe(200)
  expect((await answer(form, 'x'.repeat(65))).status).toBe(413)
  expect((await answer(form, Buffer.alloc(65, 'x'))).status).toBe(413)
  expect((await answer({ ...form, 'content-encoding': 'gzip' }, 'a=1')).status).toBe(415)
  expect((await answer(form, { a: { b: '1' } })).status).toBe(400)
  expect((await answer(form, ['a'])).status).toBe(400)
  expect((await answer(form, `a=1${'&a'.repeat(30)}`)).status).toBe(401)
  expect(
    (await createTemporaryCredentialsResponse(oauth1Server().options, { ...request(), url: `${initiateUrl}?${'a&'.repeat(501)}` })).status,
  ).toBe(400)
  expect((await createTemporaryCredentialsResponse(oauth1Server().options, { ...request(), url: `${initiateUrl}#f` })).status).toBe(400)
})

test('O3 a parsed body with repeated names is signed as its text was', async () => {
  const pairs: Pairs = [['a', '2'], ['b', ''], ['a', '1']] // prettier-ignore
  const request = signed(initiateUrl, client, { protocol: { oauth_callback: callback }, form: pairs })
  const options = oauth1Server().options
  expect((await createTemporaryCredentialsResponse(options, { ...request, body: { a: ['2', '1'], b: '' } })).status).toBe(200)
  const again = await initiate(oauth1Server(), client, { form: pairs })
  expect(again.status).toBe(200)
})

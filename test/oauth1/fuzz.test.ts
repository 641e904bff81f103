import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { ProtocolRequest, ProtocolResponse } from '../../src/index.js'
import { createAccessTokenResponse, createTemporaryCredentialsResponse } from '../../src/oauth1/index.js'
import { sizes } from '../security/sizes.js'
import {
  authorized,
  baseString,
  callback,
  client,
  encode,
  exchangeRequest,
  formOf,
  header,
  initiateUrl,
  joined,
  oauth1Server,
  resource,
  signatureOf,
  signed,
  start,
  type Pairs,
} from './support.js'

const numRuns = sizes.fuzzCases
// More temporary credentials than one network may hold, and nobody agrees to them.
const server = oauth1Server({ onEvent: () => undefined, temporaryCredentialsShare: 1_073_741_824 })
const { options } = server

/** SECURITY I7: a registered answer, nothing echoed, nothing granted. */
function assertRefusal(response: ProtocolResponse, canary: string): void {
  expect([400, 401, 405, 413, 415]).toContain(response.status)
  if (response.status === 401) expect(response.body).toBe('')
  else {
    const { error, error_description = '', ...rest } = formOf(response)
    expect([error, rest]).toEqual(['invalid_request', {}])
    expect(error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  }
  expect(JSON.stringify(response)).not.toContain(canary)
}

const canary = 'cAnArY'
const pieces = [
  'OAuth ', 'oauth', 'Basic ', 'realm=', 'oauth_token=', 'oauth_consumer_key="dpf43f3p2l4k3l03"', 'oauth_signature_method="HMAC-SHA1"',
  'oauth_signature_method="PLAINTEXT"', 'oauth_signature="x"', 'oauth_timestamp="4000000000"', 'oauth_nonce="n"', 'oauth_version="1.0"',
  'oauth_callback="oob"', 'oauth_verifier="v"', '"', '=', ',', ' ', '\t', '\\', '%', '%zz', '%00', '%ff', '&', '+', '?', '#', '\u0000',
  '\ud800', 'ä', '__proto__', 'constructor', '[]', canary,
] // prettier-ignore
const text = fc.oneof(
  fc
    .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 20 })
    .map((parts) => parts.join('')),
  fc.subarray([...pieces], { minLength: 1 }).map((parts) => `OAuth ${parts.join(', ')}`),
)
const contentType = fc.constantFrom(
  undefined,
  'application/x-www-form-urlencoded',
  'application/x-www-form-urlencoded; charset=x',
  'text/plain',
)

const anyRequest: fc.Arbitrary<ProtocolRequest> = fc
  .record({
    authorization: fc.option(fc.oneof(text, fc.array(text, { maxLength: 3 })), { nil: undefined }),
    query: text,
    type: contentType,
    body: fc.oneof(
      text,
      fc.uint8Array({ maxLength: 40 }),
      fc.dictionary(text, fc.oneof(text, fc.array(text), fc.anything()), { maxKeys: 4 }),
    ),
    method: fc.constantFrom('GET', 'POST', 'PUT', 'post', ''),
    host: fc.constantFrom(undefined, 'server.example', '[::1]:1', '', '[', ':'),
  })
  .map(({ authorization, query, type, body, method, host }) => ({
    url: `/oauth?${query}`,
    method,
    headers: { authorization, 'content-type': type, host },
    body,
    secure: true,
  }))

test('O7 whatever bytes are sent, the endpoints and the resource answer a plain refusal', async () => {
  const prototype = JSON.stringify(Object.getOwnPropertyNames(Object.prototype))
  await fc.assert(
    fc.asyncProperty(anyRequest, async (request) => {
      assertRefusal(await createAccessTokenResponse(options, request), canary)
      assertRefusal(await createTemporaryCredentialsResponse(options, request), canary)
      const { body, ...rest } = request
      assertRefusal(await resource(server, typeof body === 'function' ? rest : request), canary)
    }),
    { numRuns },
  )
  expect(JSON.stringify(Object.getOwnPropertyNames(Object.prototype))).toBe(prototype)
}, 600_000)

test('O3 whatever the application’s own parameters are, a right signature over them passes, and one changed bit does not', async () => {
  const word = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((value) => !/\p{Surrogate}/u.test(value) && !value.startsWith('oauth_'))
  const pairs = fc.array(fc.tuple(word, word), { maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(pairs, pairs, fc.constantFrom('header', 'query', 'body'), fc.nat(), async (own, form, place, at) => {
      const url = own.length === 0 ? initiateUrl : `${initiateUrl}?${joined(own)}`
      const request = signed(url, client, { form, place: place as 'header', protocol: { oauth_callback: callback } })
      const signature = /oauth_signature(?:="|=)([^"&]*)/.exec(JSON.stringify(request).replaceAll('\\"', '"'))?.[1] ?? ''
      const letter = at % 40
      const changed = signature.slice(0, letter) + (signature[letter] === 'A' ? 'B' : 'A') + signature.slice(letter + 1)
      const spoilt = JSON.parse(JSON.stringify(request).replace(signature, changed)) as ProtocolRequest
      expect([400, 401]).toContain((await createTemporaryCredentialsResponse(options, spoilt)).status)
      expect((await createTemporaryCredentialsResponse(options, request)).status).toBe(200)
    }),
    { numRuns: numRuns / 4 },
  )
}, 600_000)

test('O9 no change of one character in a right exchange is accepted', async () => {
  const fresh = oauth1Server({ onEvent: () => undefined })
  const pending = await authorized(fresh)
  const { authorization } = exchangeRequest(fresh, pending).headers
  const right = String(authorization)
  const url = 'https://server.example/oauth/token'
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(
      fc.nat(right.length - 1),
      fc.constantFrom('a', 'Z', '0', '-', '%', '=', '"', ' ', ',', '\\'),
      async (at, character) => {
        // The realm is not signed, and whitespace between parameters means nothing.
        const changed = right.slice(0, at) + character + right.slice(at + 1)
        if (right[at] === character || at < right.indexOf('oauth_') || /[ ,]/.test(right[at] ?? '')) return
        const { status } = await createAccessTokenResponse(fresh.options, { url, method: 'POST', headers: { authorization: changed } })
        if (status === 200) accepted++
      },
    ),
    { numRuns },
  )
  expect(accepted).toBe(0)
  expect((await createAccessTokenResponse(fresh.options, { url, method: 'POST', headers: { authorization: right } })).status).toBe(200)
}, 600_000)

test('O7 the fuzzer’s own pairs make a request that passes (the control)', async () => {
  const pairs: Pairs = [
    ['oauth_consumer_key', client.client_id],
    ['oauth_signature_method', 'HMAC-SHA1'],
    ['oauth_timestamp', String(start)],
    ['oauth_nonce', encode(canary)],
    ['oauth_callback', 'oob'],
  ]
  const signature = signatureOf('HMAC-SHA1', baseString('POST', initiateUrl, pairs), client)
  const authorization = header([...pairs, ['oauth_signature', signature]])
  expect((await createTemporaryCredentialsResponse(options, { url: initiateUrl, method: 'POST', headers: { authorization } })).status).toBe(
    200,
  )
})

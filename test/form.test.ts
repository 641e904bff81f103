/**
 * The form body at the token endpoint: its limits, its names and values, and the grant it asks for.
 */
import { describe, expect, test } from '@jest/globals'
import { clientCredentials, ConfigurationError, createTokenResponse, tokenHandler, type Grant } from '../src/index.js'
import { formType, refusal, respond, respondTo, tokenRequest } from './support/requests.js'
import { basic, code_verifier, formRequest, machine, native, parsed, redirect_uri, testServer, web } from './support/server.js'

const repeated = refusal('invalid_request', 'a parameter is included more than once')
const unsupported = 'the grant type is not supported; there are authorization_code, refresh_token, client_credentials'

describe('limits', () => {
  const tooLarge = refusal('invalid_request', 'the body is too large', 413)

  /** A good body of so many bytes. */
  function bodyOf(size: number, filler = 'a'): string {
    const start = 'grant_type=client_credentials&filler='
    return start + filler.repeat((size - start.length) / Buffer.byteLength(filler))
  }

  test.each([bodyOf(16_384), bodyOf(16_383, 'ä'), Buffer.from(bodyOf(16_384))])('T7 a body of 16 KiB is accepted', async (body) => {
    expect((await respondTo(body)).status).toBe(200)
  })

  test.each([bodyOf(16_385), bodyOf(16_385, 'ä'), Buffer.from(bodyOf(16_385))])('T7 a byte more is 413', async (body) => {
    expect(await respondTo(body)).toMatchObject(tooLarge)
  })

  test('T7 maxBodySize sets another limit', async () => {
    expect((await respondTo(bodyOf(100), { maxBodySize: 100 })).status).toBe(200)
    expect(await respondTo(bodyOf(101), { maxBodySize: 100 })).toMatchObject(tooLarge)
  })

  test('T7 100 parameters are accepted, one more is refused, parsed or not', async () => {
    const extra = (count: number) => Array.from({ length: count - 1 }, (_, index) => [`p${index}`, '1'] as const)
    const pairs = (count: number) => [['grant_type', 'client_credentials'] as const, ...extra(count)]
    const text = (count: number) => pairs(count).map((pair) => pair.join('='))
    const expected = refusal('invalid_request', 'the body has too many parameters')
    expect((await respondTo(text(100).join('&'))).status).toBe(200)
    expect((await respondTo(Object.fromEntries(pairs(100)))).status).toBe(200)
    expect(await respondTo(text(101).join('&'))).toMatchObject(expected)
    expect(await respondTo(Object.fromEntries(pairs(101)))).toMatchObject(expected)
    expect(await respondTo(`grant_type=client_credentials${'&resource=a'.repeat(100)}`)).toMatchObject(expected)
  })

  test.each(['gzip', 'deflate', 'br', 'GZIP', 'identity, gzip', 'unknown'])('T7 a compressed body is 415: %s', async (encoding) => {
    expect(await respond({ headers: { ...tokenRequest().headers, 'content-encoding': encoding } })).toMatchObject(
      refusal('invalid_request', 'the body must not be compressed', 415),
    )
  })

  test('T7 the identity encoding is none', async () => {
    expect((await respond({ headers: { ...tokenRequest().headers, 'content-encoding': 'Identity' } })).status).toBe(200)
  })
})

describe('names and values', () => {
  const strange = ['grant_type[]', 'scope[a]', 'scope.a', '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']

  test.each(strange)('T8 %s is just an unknown name', async (name) => {
    const before = Object.getOwnPropertyNames(Object.prototype)
    const response = await respondTo(`grant_type=client_credentials&scope=read&${encodeURIComponent(name)}=admin`)
    expect(response).toMatchObject({ status: 200, json: { scope: 'read' } })
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before)
    expect(await respondTo(`${name}=client_credentials`)).toMatchObject(refusal('invalid_request', 'grant_type is required'))
    expect(await respondTo(`grant_type=client_credentials&${name}=1&${name}=2`)).toMatchObject(repeated)
  })

  test('T8 a grant sees such a name like any other, and nothing that was not sent', async () => {
    const seen: unknown[] = []
    const ticket: Grant = {
      type: 'urn:example:ticket',
      authorize: ({ parameters }) => {
        seen.push(parameters.__proto__, parameters.constructor, parameters.toString)
        return {}
      },
    }
    const options = { grants: [ticket], clients: [{ ...machine, grant_types: [ticket.type] }] }
    expect((await respondTo(`grant_type=${ticket.type}&__proto__=a&toString=b`, options)).status).toBe(200)
    expect((await respondTo(JSON.parse(`{"grant_type":"${ticket.type}","__proto__":"a","toString":"b"}`), options)).status).toBe(200)
    expect(seen).toEqual(['a', undefined, 'b', 'a', undefined, 'b'])
  })

  test.each(strange)('T8 %s is no value either', async (name) => {
    expect((await respondTo(`grant_type=${name}`)).json.error).toBe('unsupported_grant_type')
    const anonymous = { headers: { 'content-type': formType }, body: `grant_type=client_credentials&client_id=${name}&client_secret=x` }
    expect((await respond(anonymous)).json.error).toBe('invalid_client')
  })

  test.each([
    ['a plain object', { grant_type: 'client_credentials', scope: 'read' }],
    ['one without prototype', Object.assign(Object.create(null), { grant_type: 'client_credentials', scope: 'read' })],
    ['with a repeated resource', { grant_type: 'client_credentials', scope: 'read', resource: ['a', 'b'], audience: 'c' }],
    ['URLSearchParams', new URLSearchParams('grant_type=client_credentials&scope=read')],
    ['a function', () => Promise.resolve({ grant_type: 'client_credentials', scope: 'read' })],
  ])('T9 a parsed body is accepted: %s', async (_name, body: unknown) => {
    expect(await respondTo(body)).toMatchObject({ status: 200, json: { scope: 'read' } })
  })

  test.each([[['a', 'b']], [['a']], [[]], [{ a: 'b' }], [{}], [null], [1], [true]])(
    'T9 a parsed value that is not a string is refused: %j',
    async (value) => {
      const expected = refusal('invalid_request', 'a parameter must be one text')
      expect(await respondTo({ grant_type: 'client_credentials', scope: value })).toMatchObject(expected)
      expect(await respondTo({ grant_type: 'client_credentials', unknown: value })).toMatchObject(expected)
    },
  )

  test.each([[[1]], [[['a']]], [{ a: 'b' }]])('T9 a parsed resource is a text or a list of texts: %j', async (resource) => {
    expect((await respondTo({ grant_type: 'client_credentials', resource })).status).toBe(400)
  })

  test.each([[['grant_type=client_credentials']], [1], [true], [Symbol('body')]])('T9 a body of no known kind is refused', async (body) => {
    expect(await respondTo(body)).toMatchObject(refusal('invalid_request', 'the request is malformed'))
  })

  test.each([undefined, null, '', '&', new Uint8Array()])('T11 a missing grant_type is refused: body %p', async (body) => {
    expect(await respondTo(body)).toMatchObject(refusal('invalid_request', 'grant_type is required'))
  })

  test.each(['password', 'Client_Credentials', 'client_credentials ', 'urn:example:unknown'])(
    'T11 an unknown grant_type is unsupported: %s',
    async (grant_type) => {
      expect(await respondTo({ grant_type })).toMatchObject(refusal('unsupported_grant_type', unsupported))
    },
  )

  test('T11 a grant the client may not use is unauthorized_client, and a served one wins over defaultGrantType', async () => {
    const expected = refusal('unauthorized_client', 'the client is not authorized to use this grant type')
    const body = 'grant_type=authorization_code&code=x'
    expect(await respondTo(body)).toMatchObject(expected)
    expect(await respondTo(body, { defaultGrantType: 'client_credentials' })).toMatchObject(expected)
    const anonymous = { headers: { 'content-type': formType }, body: 'grant_type=client_credentials&client_id=native' }
    expect(await respond(anonymous)).toMatchObject(expected)
  })

  test('T11 a public client may not use client_credentials, though it is registered for it', async () => {
    const options = { clients: () => ({ ...native, grant_types: ['client_credentials'] }) }
    const anonymous = { headers: { 'content-type': formType }, body: 'grant_type=client_credentials&client_id=native' }
    expect((await respond(anonymous, options)).json.error).toBe('unauthorized_client')
  })

  test('T11 a grant that is not served is unsupported, whatever the client is registered for', async () => {
    const { options } = testServer({ clients: () => web, grants: [clientCredentials()] })
    const request = formRequest({ grant_type: 'authorization_code', code: 'x', redirect_uri, code_verifier }, basic(web))
    expect(parsed(await createTokenResponse(options, request)).json.error).toBe('unsupported_grant_type')
  })

  test('T11 defaultGrantType names the grant of a request without one', async () => {
    const options = { defaultGrantType: 'client_credentials' }
    expect(await respondTo('scope=read', options)).toMatchObject({ status: 200, json: { scope: 'read' } })
    expect((await respondTo('grant_type=&scope=read', options)).status).toBe(200)
    expect((await respondTo('grant_type=password', options)).json.error).toBe('unsupported_grant_type')
  })

  test('T11 defaultGrantType must be one of the grants', () => {
    expect(() => tokenHandler(testServer({ defaultGrantType: 'client_credential' }).options)).toThrow(ConfigurationError)
    expect(() => tokenHandler(testServer({ defaultGrantType: 'client_credential' }).options)).toThrow(/did you mean "client_credentials"/)
  })
})

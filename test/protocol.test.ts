/**
 * The request at the token endpoint, without HTTP: a literal request in, a literal response out.
 */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { ConfigurationError, createTokenResponse, tokenHandler, type ServerOptions } from '../src/index.js'
import { formType, noStore, refusal, respond, respondTo, tokenRequest } from './support/requests.js'
import { basic, code_verifier, exchange, formRequest, machine, parsed, testServer, web } from './support/server.js'

const repeated = refusal('invalid_request', 'a parameter is included more than once')
const badForm = refusal('invalid_request', 'the body is not valid application/x-www-form-urlencoded')

describe('transport', () => {
  let warn: jest.SpiedFunction<typeof console.warn>
  beforeEach(() => {
    warn = jest.spyOn(console, 'warn').mockReturnValue()
  })
  afterEach(() => warn.mockRestore())

  test('T1 plain http is refused', async () => {
    expect(await respond({ url: 'http://server.example/oauth2/token' })).toMatchObject(
      refusal('invalid_request', 'the token endpoint requires https'),
    )
  })

  test.each([
    ['HTTPS://server.example/token', undefined, 200],
    ['/oauth2/token', undefined, 400],
    ['httpsx://server.example/token', undefined, 400],
    ['http://server.example/?https://x', undefined, 400],
    ['http://server.example/token', true, 200],
    ['https://server.example/token', false, 400],
  ])('T1 the scheme of the url decides unless the receiver knows better: %s, secure %s', async (url, secure, status) => {
    expect((await respond({ url, ...(secure === undefined ? {} : { secure }) })).status).toBe(status)
  })

  test('T1 a forwarded scheme in the headers counts for nothing', async () => {
    const headers = { ...tokenRequest().headers, 'x-forwarded-proto': 'https', forwarded: 'proto=https' }
    expect((await respond({ url: 'http://server.example/oauth2/token', headers })).status).toBe(400)
  })

  test('T1 allowInsecureTransport accepts plain http and warns once', async () => {
    const { options } = testServer({ allowInsecureTransport: true })
    tokenHandler(options)
    tokenHandler(options)
    for (const url of ['http://localhost/token', '/token']) {
      expect((await createTokenResponse(options, tokenRequest({ url }))).status).toBe(200)
    }
    expect(warn.mock.calls).toEqual([[expect.stringContaining('allowInsecureTransport is on')]])
  })

  test('T1 allowInsecureTransport is refused in production', () => {
    const before = process.env.NODE_ENV
    process.env.NODE_ENV = 'production'
    try {
      const handler = () => tokenHandler(testServer({ allowInsecureTransport: true }).options)
      expect(handler).toThrow(ConfigurationError)
      expect(handler).toThrow(/allowInsecureTransport .*NODE_ENV=production/)
    } finally {
      process.env.NODE_ENV = before
    }
  })
})

describe('target and method', () => {
  test.each(['#', '#access_token=x', '?tenant=a#top'])('T2 a target with a fragment is refused: %s', async (suffix) => {
    const url = `https://server.example/oauth2/token${suffix}`
    expect(await respond({ url })).toMatchObject(refusal('invalid_request', 'the request target must not have a fragment'))
  })

  test.each(['https://server.example/#', 'https://server.example/#a'])('T2 an issuer with a fragment stops the start: %s', (issuer) => {
    expect(() => tokenHandler(testServer({ issuer }).options)).toThrow(ConfigurationError)
    expect(() => tokenHandler(testServer({ issuer }).options)).toThrow(/issuer .*fragment/)
  })

  test.each(['?', '?tenant=a', '?tenant=a&grant=b&Code=c&xcode=d&scopes=e&=code', '?%zz=%', '?a=b?code=c'])(
    'T3 a query of the endpoint itself is left alone: %s',
    async (query) => {
      expect((await respond({ url: `https://server.example/token${query}` })).status).toBe(200)
    },
  )

  test.each([
    ...['grant_type', 'client_id', 'client_secret', 'code', 'refresh_token', 'username', 'password', 'scope', 'client_assertion'],
    'client%5Fsecret',
    '%63ode',
  ])('T3 a query with %s is refused', async (name) => {
    const expected = refusal('invalid_request', 'parameters belong in the body, not in the query')
    for (const query of [`?${name}=x`, `?${name}`, `?tenant=a&${name}=`]) {
      expect(await respond({ url: `https://server.example/token${query}` })).toMatchObject(expected)
    }
  })

  test('T3 a parameter in the query is never read', async () => {
    const server = testServer()
    const body = exchange(await server.code())
    const { code_verifier: _omitted, ...without } = body
    const request = formRequest(without, basic(web))
    const url = `${request.url}?code_verifier=${code_verifier}`
    expect(parsed(await createTokenResponse(server.options, { ...request, url })).json.error).toBe('invalid_request')
    expect((await server.token(body, basic(web))).status).toBe(200)
  })

  test.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'posts', ''])(
    'T4 405 with Allow for every method but POST: %s',
    async (method) => {
      expect(await respond({ method })).toMatchObject({
        status: 405,
        headers: { ...noStore, Allow: 'POST' },
        body: '{"error":"invalid_request","error_description":"the token endpoint answers POST only"}',
      })
    },
  )
})

describe('content', () => {
  test.each([
    formType,
    'Application/X-WWW-Form-UrlEncoded',
    `${formType};charset=UTF-8`,
    `${formType} ; charset="utf-8"`,
    `${formType}; Charset=utf8; boundary=x`,
    `${formType};`,
  ])('T5 the form media type is accepted with any parameters: %s', async (contentType) => {
    expect((await respond({ headers: { ...basic(machine), 'Content-Type': contentType } })).status).toBe(200)
  })

  test.each([
    undefined,
    '',
    'application/json',
    'text/plain',
    'multipart/form-data; boundary=x',
    `${formType}x`,
    `x${formType}`,
    `${formType}, text/plain`,
    `text/plain; a=${formType}`,
    `${formType}; charset=iso-8859-1`,
    `${formType}; a=b; charset=utf-16`,
  ])('T5 any other media type or charset is 415: %s', async (contentType) => {
    expect(await respond({ headers: { ...basic(machine), 'content-type': contentType } })).toMatchObject(
      refusal(
        'invalid_request',
        contentType === undefined
          ? 'the request has no Content-Type; it must be application/x-www-form-urlencoded'
          : 'the body must be application/x-www-form-urlencoded in UTF-8',
        415,
      ),
    )
  })

  test.each(['%', 'a=%', 'a=%z', 'a=%zz', '%zz=a', 'a=%ff', 'a=%c3%28', 'a=%ed%a0%80', 'a=%c0%80'])(
    'T5 a bad percent-escape is refused, even in an unknown parameter: %s',
    async (piece) => {
      expect(await respondTo(`grant_type=client_credentials&${piece}`)).toMatchObject(badForm)
    },
  )

  test.each([
    ['ff', [0xff]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['half a character', [0xe2, 0x82]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
  ])('T5 bytes that are not UTF-8 are refused: %s', async (_name, bytes) => {
    const body = Buffer.concat([Buffer.from('grant_type=client_credentials&state='), Buffer.from(bytes)])
    expect(await respondTo(body)).toMatchObject(refusal('invalid_request', 'the body is not valid UTF-8'))
  })

  test('T5 escaped and plain UTF-8, and + for a space, are read', async () => {
    const seen: unknown[] = []
    const beforeGrant: ServerOptions['beforeGrant'] = ({ parameters }) => void seen.push(parameters.a, parameters['ü b'])
    const body = 'grant_type=client_credentials&a=%E2%82%AC+1%2B%26%3D=&%c3%bc+b=ü'
    expect((await respondTo(body, { beforeGrant })).status).toBe(200)
    expect((await respondTo(new Uint8Array(Buffer.from(body)), { beforeGrant })).status).toBe(200)
    expect(seen).toEqual(['€ 1+&==', 'ü', '€ 1+&==', 'ü'])
  })

  test('T6 an empty value counts as omitted', async () => {
    expect((await respondTo('grant_type=client_credentials&scope=')).json.scope).toBe('read write admin')
    expect((await respondTo('grant_type=client_credentials&scope')).json.scope).toBe('read write admin')
    expect(await respondTo('grant_type=')).toMatchObject(refusal('invalid_request', 'grant_type is required'))
    expect((await respondTo('grant_type=client_credentials&client_id=&client_secret=')).status).toBe(200)
  })

  test('T6 unknown parameters and empty pieces are ignored', async () => {
    expect((await respondTo('&&grant_type=client_credentials&audit=1&&x&scope=read&')).json.scope).toBe('read')
  })

  test.each(['scope=read&scope=read', 'unknown=1&unknown=2', 'unknown=&unknown=', 'scope=&scope=read', 'scope&%73cope', 'a+b=1&a%20b=2'])(
    'T6 a parameter sent twice is refused, twice being judged before empty: %s',
    async (pieces) => {
      expect(await respondTo(`grant_type=client_credentials&${pieces}`)).toMatchObject({
        ...repeated,
        body: expect.stringMatching(/"(?:scope|a parameter) is included more than once"/),
      })
    },
  )

  test('T6 resource and audience may repeat', async () => {
    expect((await respondTo('grant_type=client_credentials&resource=a&resource=b&audience=c&audience=c&resource=')).status).toBe(200)
    expect(await respondTo('grant_type=client_credentials&Resource=a&Resource=b')).toMatchObject(repeated)
  })
})

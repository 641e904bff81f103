/** Plain requests from JavaScript (SO4, SO5), plain http (SO7), a `context` that does not answer (X4), claims that the server sets itself (SO8). */
import { afterAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { generateKeyPairSync } from 'node:crypto'
import {
  ConfigurationError,
  createIntrospectionResponse,
  createJwksResponse,
  createMetadataResponse,
  createRevocationResponse,
  createTokenResponse,
  encrypted,
  jwt,
  OAuthError,
  tokenHandler,
  validateTokenRequest,
  type ProtocolRequest,
  type ServerOptions,
} from '../src/index.js'
import { formType, tokenRequest } from './support/requests.js'
import { basic, machine, testServer } from './support/server.js'
import { Resources } from './support/wire.js'

const said = jest.spyOn(console, 'warn')
beforeEach(() => {
  said.mockReset()
})
const resources = new Resources()
afterAll(async () => {
  await resources.close()
  said.mockRestore()
})

const untyped = (members: object) => members as unknown as ProtocolRequest
const body = 'grant_type=client_credentials&token=x'
/** The refusal, with its status; whatever else was thrown goes on. */
function refused(thrown: unknown): { status: number } {
  if (thrown instanceof OAuthError) return thrown
  throw thrown
}

const forms: [name: string, ask: (options: ServerOptions, request: ProtocolRequest) => Promise<{ status: number }>][] = [
  ['createTokenResponse', createTokenResponse],
  ['createRevocationResponse', createRevocationResponse],
  ['createIntrospectionResponse', createIntrospectionResponse],
  ['validateTokenRequest', (options, request) => validateTokenRequest(options, request).then(() => ({ status: 200 }), refused)],
]

describe.each(forms)('%s', (_name, ask) => {
  const { options } = testServer()

  test.each(['POST', 'post', 'Post', 'pOsT'])('SO4 the method %s is POST', async (method) => {
    expect((await ask(options, tokenRequest({ method, body }))).status).toBe(200)
  })

  test.each(['GET', 'get', '', 'po st', undefined, null, 7])('SO4 the method %j is 405', async (method) => {
    const { status, ...answer } = await ask(options, untyped({ ...tokenRequest({ body }), method }))
    expect(status).toBe(405)
    expect(JSON.stringify(answer)).toContain('POST')
  })

  test('SO5 header fields may be a Headers object, a Map, or absent', async () => {
    const { headers } = tokenRequest()
    for (const fields of [new Headers(headers as Record<string, string>), new Map(Object.entries(headers))]) {
      expect((await ask(options, untyped({ ...tokenRequest({ body }), headers: fields }))).status).toBe(200)
    }
    for (const fields of [undefined, null, {}])
      expect((await ask(options, untyped({ ...tokenRequest(), headers: fields }))).status).toBe(415)
  })

  test('SO5 a URL object is a URL, and none at all is not https', async () => {
    expect((await ask(options, untyped({ ...tokenRequest({ body }), url: new URL('https://server.example/token') }))).status).toBe(200)
    for (const url of [undefined, 7]) expect((await ask(options, untyped({ ...tokenRequest({ body }), url }))).status).toBe(400)
  })

  test.each<[string, object, RegExp]>([
    ['headers as pairs', { headers: [['content-type', formType]] }, /headers must be a plain object.*Headers object/],
    ['headers as a text', { headers: 'content-type: x' }, /headers must be/],
    ['headers that iterate', { headers: new URLSearchParams() }, /headers must be/],
    ['a body that is a stream', { body: new Blob(['x']).stream() }, /await request\.text\(\)/],
    ['a body that is a blob', { body: new Blob(['x']) }, /await request\.text\(\)/],
  ])('SO5 %s: a ConfigurationError says what is needed', async (_what, differences, message) => {
    const asked = ask(options, untyped({ ...tokenRequest({ body }), ...differences }))
    await expect(asked).rejects.toThrow(ConfigurationError)
    await expect(asked).rejects.toThrow(message)
  })
})

describe('messages', () => {
  test('SO5 without Content-Type the message says that there is none', async () => {
    const { headers } = tokenRequest()
    const response = await createTokenResponse(testServer().options, tokenRequest({ headers: { authorization: headers.authorization } }))
    expect({ status: response.status, ...JSON.parse(response.body) }).toEqual({
      status: 415,
      error: 'invalid_request',
      error_description: 'the request has no Content-Type; it must be application/x-www-form-urlencoded',
    })
  })

  test('SO4 documents are read by get too', () => {
    const options = { issuer: 'https://as.example', accessTokens: jwt({ key: generateKeyPairSync('ed25519').privateKey }) }
    for (const ask of [createMetadataResponse, createJwksResponse]) {
      expect(ask(options, untyped({ url: '/', method: 'get' })).status).toBe(200)
      expect(ask(options, untyped({})).status).toBe(405)
    }
  })

  test('SO7 plain http is refused, and the console says once what to do', async () => {
    const { options } = testServer()
    const { url } = await resources.listen((req, res) => tokenHandler(options)(req, res))
    for (let count = 0; count < 2; count++) {
      const response = await fetch(url, { method: 'POST', body: 'grant_type=client_credentials', headers: { 'content-type': formType, ...basic(machine) } }) // prettier-ignore
      expect({ status: response.status, body: await response.json() }).toEqual({
        status: 400,
        body: { error: 'invalid_request', error_description: 'the token endpoint requires https' },
      }) // prettier-ignore
    }
    expect(said.mock.calls.flat()).toEqual([expect.stringMatching(/allowInsecureTransport: true.*"trust proxy".*trustProxy/)])
  })
})

describe('the option context', () => {
  test('X4 that never answers, or too late, is 503 within callbackTimeout', async () => {
    for (const context of [() => new Promise<never>(() => undefined), () => ({ then: () => undefined }) as unknown as Promise<object>]) {
      const server = testServer({ context: context as ServerOptions['context'], callbackTimeout: 50, allowInsecureTransport: true } as ServerOptions) // prettier-ignore
      const { url } = await resources.listen((req, res) => tokenHandler(server.options)(req, res))
      const before = performance.now()
      const response = await fetch(url, { method: 'POST', body: 'grant_type=client_credentials', headers: { 'content-type': formType, ...basic(machine) } }) // prettier-ignore
      expect(response.status).toBe(503)
      expect(performance.now() - before).toBeLessThan(1000)
      expect(server.events.at(-1)).toMatchObject({ reason: 'a grant, hook or generator of the application did not answer in time' })
    }
  })
})

describe('claims that the server sets itself', () => {
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  test.each([
    ['iss', 'it is the option issuer'],
    ['exp', 'it follows from the option accessTokenLifetime'],
    ['aud', 'it is the option audience'],
    ['sub', 'which the server sets itself'],
  ])('SO8 %s stops the start, and the message names the option that is meant', (claim, remedy) => {
    const claims = { [claim]: 'x' }
    expect(() => jwt({ key, claims })).toThrow(remedy)
    expect(() => encrypted({ key: 'A'.repeat(43), claims })).toThrow(remedy)
  })
})

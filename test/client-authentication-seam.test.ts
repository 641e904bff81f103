/** What a method of client authentication is given (SM2), and identification with an empty secret (U2). */
import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import {
  clientSecretBasic,
  clientSecretPost,
  ConfigurationError,
  createRevocationResponse,
  createTokenResponse,
  findClient,
  memoryStore,
  none,
  saveClient,
  type Client,
  type ClientAuthenticationMethod,
  type ClientAuthenticationServer,
  type ClientMetadata,
} from '../src/index.js'
import { basic, exchange, formRequest, machine, native, parsed, start, testServer, web } from './support/server.js'

const form = { grant_type: 'client_credentials' }
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const publicJwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one' }

/** A method that proves by the certificate which the application found, and notes what it was given. */
function certificateMethod() {
  const seen: { server: ClientAuthenticationServer; client: Client; context: unknown }[] = []
  const method: ClientAuthenticationMethod = {
    name: 'test_certificate',
    presented: ({ parameters: { client_id }, context }) =>
      client_id === undefined ? undefined : { client_id, proof: context.certificate },
    async verify({ proof }, client, server) {
      seen.push({ server, client, context: server.context })
      const [key] = await server.keysOf(client)
      return key?.kid === proof && (await server.claimOnce('test', String(server.context.nonce), server.now + 60))
    },
  }
  return { seen, method }
}

describe('SM2 what a method is given', () => {
  const certified: ClientMetadata = {
    client_id: 'certified',
    token_endpoint_auth_method: 'test_certificate',
    grant_types: ['client_credentials'],
    jwks: { keys: [publicJwk] },
  }
  const request = (client_id: string, context?: Record<string, unknown>) => ({
    ...formRequest({ ...form, client_id }),
    ...(context === undefined ? {} : { context }),
  })

  test('SM2 presented gets the context, and verify now, issuer, context, claimOnce and keysOf', async () => {
    const { seen, method } = certificateMethod()
    const { options } = testServer({ issuer: 'https://server.example', clients: [certified], clientAuthenticationMethods: [method] })
    const context = { certificate: 'one', nonce: 'n1' }
    expect((await createTokenResponse(options, request('certified', context))).status).toBe(200)
    expect(seen[0]?.server).toMatchObject({ now: start, issuer: 'https://server.example', context })
    expect(await seen[0]?.server.keysOf(seen[0].client)).toEqual([publicJwk])
    // The nonce was used; with another one it works again, and another certificate proves nothing.
    expect((await createTokenResponse(options, request('certified', context))).status).toBe(401)
    expect((await createTokenResponse(options, request('certified', { ...context, nonce: 'n2' }))).status).toBe(200)
    expect((await createTokenResponse(options, request('certified', { certificate: 'two', nonce: 'n3' }))).status).toBe(401)
  })

  test('SM2 of many requests with one value exactly one passes, and servers on one store agree', async () => {
    const store = memoryStore({ clock: () => start })
    const servers = [1, 2].map(() => testServer({ clients: [certified], store, clientAuthenticationMethods: [certificateMethod().method] }))
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        createTokenResponse(servers[i % 2]?.options ?? {}, request('certified', { certificate: 'one', nonce: 'n' })),
      ),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  test('SM2 an unknown client has no keys, and a request without context has an empty one', async () => {
    const { seen, method } = certificateMethod()
    const { options } = testServer({ clients: [certified], clientAuthenticationMethods: [method] })
    expect((await createTokenResponse(options, request('nobody'))).status).toBe(401)
    expect([seen[0]?.context, await seen[0]?.server.keysOf(seen[0].client)]).toEqual([{}, []])
  })

  test('SM2 C28 what has no secret is no guess, and does not count', async () => {
    const { options } = testServer({ clients: [certified], clientAuthenticationMethods: [certificateMethod().method] })
    const ask = (context: Record<string, unknown>) =>
      createTokenResponse(options, { ...request('certified', context), address: '192.0.2.1' })
    for (let i = 0; i < 25; i++) expect((await ask({ certificate: 'x', nonce: `${i}` })).status).toBe(401)
    expect((await ask({ certificate: 'one', nonce: 'n' })).status).toBe(200)
  })

  test('SM2 a method written for 0.1, which does not look at the time, goes on', async () => {
    const { verify, ...rest } = clientSecretBasic()
    const wrapped = { ...rest, verify: (...all: Parameters<typeof verify>) => verify(...all) }
    const server = testServer({ clients: [machine], clientAuthenticationMethods: [wrapped] })
    expect((await server.token(form, basic(machine))).status).toBe(200)
    expect((await server.token(form, basic({ ...machine, client_secret: 'x' }))).status).toBe(401)
  })

  const asymmetric = { keys: [publicJwk] }
  const keySets: [string, unknown, string][] = [
    [
      'a private key',
      { keys: [privateKey.export({ format: 'jwk' })] },
      'jwks.keys[0] must be a public key: it holds d; register the public half only',
    ],
    ['a private key behind a public one', { keys: [publicJwk, privateKey.export({ format: 'jwk' })] }, 'jwks.keys[1] must be a public key'],
    ['a symmetric key', { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] }, 'jwks.keys[0] must be a public key: it holds k'],
    ['a symmetric key without its key', { keys: [{ kty: 'oct' }] }, 'jwks.keys[0] must be a public key: it holds a symmetric key'],
    ['half a key', { keys: [{ kty: 'EC', crv: 'P-256' }] }, 'jwks.keys[0] is no public key that can be read'],
    ['a key alone', publicJwk, 'jwks must be a JWK Set, as in { keys: [publicKey] }'],
    ['a list', [publicJwk], 'jwks must be an object, not an array'],
    ['a text', JSON.stringify(asymmetric), 'jwks must be an object, not a string'],
  ]
  test.each(keySets)('SM2 as jwks of a client, %s stops the start', async (_what, jwks, message) => {
    const refusal = testServer({ clients: [{ ...machine, jwks } as ClientMetadata] }).token({})
    await expect(refusal).rejects.toBeInstanceOf(ConfigurationError)
    await expect(refusal).rejects.toThrow(message)
    await expect(refusal).rejects.not.toThrow('c2VjcmV0')
  })

  test('SM2 U22 a client that is kept in the store has its keys and lifetimes back', async () => {
    const { options } = testServer({ clients: undefined as never, store: memoryStore() })
    const { client_secret: _secret, ...plain } = web
    await saveClient(options, {
      ...plain,
      token_endpoint_auth_method: 'none',
      jwks: asymmetric,
      refreshTokenLifetime: 5,
      refreshTokenIdleLifetime: 4,
    })
    expect(await findClient(options, 'web')).toMatchObject({ jwks: asymmetric, refreshTokenLifetime: 5, refreshTokenIdleLifetime: 4 })
  })
})

describe('U2 an empty secret may be left out', () => {
  const rawBasic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })

  test.each([
    ['in a Basic header', {}, rawBasic('native:')],
    ['in a Basic header, with the client_id in the body', { client_id: 'native' }, rawBasic('native:')],
    ['in the body', { client_id: 'native', client_secret: '' }, {}],
    ['in both', { client_id: 'native', client_secret: '' }, rawBasic('native:')],
    ['beside an empty assertion', { client_id: 'native', client_assertion: '' }, {}],
    ['nowhere', { client_id: 'native' }, {}],
  ])('U2 C3 a public client with an empty secret %s is identified', async (_where, body, headers) => {
    const server = testServer()
    const code = await server.code({ client_id: 'native' })
    expect((await server.token({ ...exchange(code), ...body }, headers)).status).toBe(200)
    const revocation = formRequest({ token: 'x', ...body }, headers)
    expect((await createRevocationResponse(server.options, revocation)).status).toBe(200)
  })

  const refused: [string, number, Record<string, string>, Record<string, string>][] = [
    ['C5 a confidential client with an empty Basic secret', 401, form, rawBasic('machine:')],
    ['C5 a confidential client with an empty secret in the body', 401, { ...form, client_id: 'machine', client_secret: '' }, {}],
    ['C6 an unknown client with an empty secret', 401, form, rawBasic('nobody:')],
    ['C6 no id and no secret', 401, form, rawBasic(':')],
    ['C5 a public client with a secret', 401, form, rawBasic('native:x')],
    [
      'C4 an empty Basic secret beside a right one in the body',
      400,
      { ...form, client_id: 'machine', client_secret: machine.client_secret },
      rawBasic('machine:'),
    ],
    ['C4 an empty Basic secret for another client than the body names', 400, { ...form, client_id: 'machine' }, rawBasic('native:')],
    [
      'C4 an empty Basic secret beside the secret of another client',
      400,
      { ...form, client_id: 'machine', client_secret: machine.client_secret },
      rawBasic('native:'),
    ],
    ['C3 another scheme', 401, { ...form, client_id: 'native' }, { authorization: 'Bearer native:' }],
  ]
  test.each(refused)('U2 %s is %i', async (_what, status, body, headers) => {
    for (const clientAuthenticationMethods of [undefined, [none(), clientSecretPost(), clientSecretBasic()]]) {
      const server = testServer(clientAuthenticationMethods === undefined ? {} : { clientAuthenticationMethods })
      const answer = await server.token(body, headers)
      expect([answer.status, answer.json.access_token]).toEqual([status, undefined])
    }
  })

  test('U2 a server without public clients accepts no empty secret', async () => {
    const { options } = testServer({ clients: [machine], clientAuthenticationMethods: [clientSecretBasic(), clientSecretPost()] })
    expect(parsed(await createTokenResponse(options, formRequest(form, rawBasic('machine:'))))).toMatchObject({
      status: 401,
      headers: { 'WWW-Authenticate': 'Basic realm="oauth2", charset="UTF-8"' },
    })
    expect(native.client_id).toBe('native')
  })
})

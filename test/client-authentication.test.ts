/** Client authentication at the token endpoint: rows C1 to C6, with a literal request and a literal response each. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { clientSecretBasic, tokenHandler, type ClientMetadata, type ServerOptions } from '../src/index.js'
import { basic, code_challenge, exchange, machine, native, testServer, web, type JsonResponse } from './support/server.js'

const grant_type = 'client_credentials'
const challenge = 'Basic realm="oauth2", charset="UTF-8"'
const refused = '{"error":"invalid_client","error_description":"client authentication failed"}'
const twoMethods = '{"error":"invalid_request","error_description":"only one client authentication method may be used"}'
const disagrees = '{"error":"invalid_request","error_description":"client_id disagrees with the client credentials"}'
const oneHeader = '{"error":"invalid_request","error_description":"the Authorization header must not be repeated"}'

function rawBasic(userPass: string, scheme = 'Basic'): { authorization: string } {
  return { authorization: `${scheme} ${Buffer.from(userPass).toString('base64')}` }
}

function withClient(client: Partial<ClientMetadata>) {
  return testServer({ clients: [{ client_id: 'machine', grant_types: ['client_credentials'], ...client }, web, native] })
}

beforeEach(() => {
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
})
afterEach(() => {
  jest.restoreAllMocks()
})

function expectRefusal(response: JsonResponse): void {
  expect(response.body).toBe(refused)
  expect(response.status).toBe(401)
  expect(response.headers['WWW-Authenticate']).toBe(challenge)
  expect(response.headers['Cache-Control']).toBe('no-store')
}

describe('client_secret_basic', () => {
  it('C1 a literal Basic header authenticates', async () => {
    const authorization = 'Basic bWFjaGluZTptYWNoaW5lLXNlY3JldC0wMTIzNDU2Nzg5YWJjZGVm'
    const response = await testServer().token('grant_type=client_credentials', { authorization })
    expect(response.json).toMatchObject({ token_type: 'Bearer', expires_in: 3600 })
    expect(response.status).toBe(200)
  })

  it.each(['Basic', 'basic', 'BASIC', 'bAsIc'])('C1 the scheme may be written %s', async (scheme) => {
    const response = await testServer().token({ grant_type }, rawBasic(`machine:${machine.client_secret}`, scheme))
    expect(response.status).toBe(200)
  })

  const ids = ['a-b', 'a_b', 'a:b', 'a+b', 'a%b', 'a b', 'a%2Bb', ' -_:+%~', 'https://client.example/?x=1&y=%20']
  it.each(ids)('C1 the form-encoded client_id %j authenticates', async (client_id) => {
    const client = { client_id, client_secret: machine.client_secret }
    expect((await withClient(client).token({ grant_type }, basic(client))).status).toBe(200)
  })

  const secrets = [
    'a-b',
    'a_b',
    'a:b:c',
    ':',
    'a+b',
    'a%b',
    '%zz',
    'a b',
    'a%2Bb',
    'pässwörd',
    '秘密',
    '🔑🔑',
    'a"b\\c',
    'a&b=c',
    ' \u00a0',
  ]
  it.each(secrets)('C1 the form-encoded secret %j authenticates', async (client_secret) => {
    const client = { client_id: 'machine', client_secret }
    expect((await withClient(client).token({ grant_type }, basic(client))).status).toBe(200)
  })

  it.each(secrets)('C1 the raw secret %j authenticates', async (client_secret) => {
    const response = await withClient({ client_secret }).token({ grant_type }, rawBasic(`machine:${client_secret}`))
    expect(response.status).toBe(200)
  })

  it('C1 the id is decoded, so that a raw plus sign in it is a space', async () => {
    const server = withClient({ client_id: 'a b', client_secret: 'secret' })
    expect((await server.token({ grant_type }, rawBasic('a+b:secret'))).status).toBe(200)
    expectRefusal(await withClient({ client_id: 'a+b', client_secret: 'secret' }).token({ grant_type }, rawBasic('a+b:secret')))
  })

  it('C1 a part of the secret, or the secret and something after it, is refused', async () => {
    const server = withClient({ client_secret: 'one:two' })
    for (const sent of ['one', 'one:', 'one:two:', 'two', ''])
      expectRefusal(await server.token({ grant_type }, rawBasic(`machine:${sent}`)))
  })

  const malformed = ['Basic', 'Basic ', 'Basic !!!!', 'Basic bWFjaGluZQ==', 'Basic bWFjaGluZTp4 bWFjaGluZTp4', 'Basic ====']
  it.each(malformed)('C1 the malformed header %j is refused with the Basic challenge', async (authorization) => {
    expectRefusal(await testServer().token({ grant_type }, { authorization }))
  })
})

describe('client_secret_post', () => {
  it('C2 id and secret in the body authenticate', async () => {
    const response = await testServer().token(
      'grant_type=client_credentials&client_id=machine&client_secret=machine-secret-0123456789abcdef',
    )
    expect(response.status).toBe(200)
  })

  it('C2 the body has one reading: a secret that is still encoded after decoding is wrong', async () => {
    const server = withClient({ client_secret: 'a+b' })
    expect((await server.token({ grant_type, client_id: 'machine', client_secret: 'a+b' })).status).toBe(200)
    expectRefusal(await server.token({ grant_type, client_id: 'machine', client_secret: 'a%2Bb' }))
    expectRefusal(await server.token(`grant_type=${grant_type}&client_id=machine&client_secret=a+b`))
  })

  it('C2 a secret without client_id, with another client_id, or in the query does not authenticate', async () => {
    const { client_secret } = machine
    expectRefusal(await testServer().token({ grant_type, client_secret }))
    expectRefusal(await testServer().token({ grant_type, client_secret, client_id: 'web' }))
    const { origin, close } = await listen({ clients: [machine], allowInsecureTransport: true })
    const body = new URLSearchParams({ grant_type })
    const answer = await fetch(`${origin}/?client_id=machine&client_secret=${client_secret}`, { method: 'POST', body })
    await close()
    expect(await answer.json()).toEqual({ error: 'invalid_request', error_description: 'parameters belong in the body, not in the query' })
    expect(answer.status).toBe(400)
  })
})

describe('none', () => {
  const form = { client_id: 'native', ...exchange('') }

  it('C3 a public client redeems a code with its client_id in the body, and refreshes', async () => {
    const server = testServer()
    const code = await server.code({ client_id: 'native' })
    const response = await server.token({ ...form, code })
    expect(response.status).toBe(200)
    const { refresh_token = '' } = response.json
    expect((await server.token({ grant_type: 'refresh_token', refresh_token, client_id: 'native' })).status).toBe(200)
  })

  it('C3 a public client that is registered for client_credentials may not use it', async () => {
    const registered = { ...native, grant_types: ['authorization_code', 'client_credentials'] }
    const server = testServer({ clients: () => registered })
    const response = await server.token({ grant_type, client_id: 'native' })
    expect(response.json.error).toBe('unauthorized_client')
    expect(response.status).toBe(400)
  })

  it('C3 a client that tries Basic with an empty secret first loses nothing', async () => {
    const server = testServer()
    const code = await server.code({ client_id: 'native' })
    const [withoutBody, withBody] = [await server.code({ client_id: 'native' }), await server.code({ client_id: 'native' })]
    expect((await server.token({ ...exchange(withoutBody) }, rawBasic('native:'))).status).toBe(200)
    expect((await server.token({ ...form, code: withBody }, rawBasic('native:'))).status).toBe(200)
    expect((await server.token({ ...form, code })).status).toBe(200)
  })

  it('C3 a client_assertion that this server cannot check is not passed over', async () => {
    const server = testServer()
    const code = await server.code({ client_id: 'native' })
    expectRefusal(await server.token({ ...form, code, client_assertion: 'a.b.c' }))
    expect((await server.token({ ...form, code })).status).toBe(200)
  })

  it('C3 a confidential client is not let in by its client_id alone', async () => {
    const server = testServer()
    const code = await server.code()
    expectRefusal(await server.token({ ...exchange(code), client_id: 'web' }))
    expect((await server.token(exchange(code), basic(web))).status).toBe(200)
  })
})

describe('one method', () => {
  const other = { client_id: 'other', client_secret: 'other-secret', grant_types: ['client_credentials'] }
  const server = testServer({ clients: [machine, other, web] })
  const { client_id, client_secret } = machine

  it.each([
    ['both right', { client_id, client_secret }],
    ['a wrong secret in the body', { client_id, client_secret: 'wrong' }],
    ['a secret without client_id in the body', { client_secret }],
    ['another client in the body', { client_id: 'other', client_secret: 'other-secret' }],
  ])('C4 two methods in one request are refused: %s', async (_case, form) => {
    const response = await server.token({ grant_type, ...form }, basic(machine))
    expect(response.body).toBe(twoMethods)
    expect(response.status).toBe(400)
  })

  it('C4 two methods are refused when only the body is right', async () => {
    const response = await server.token({ grant_type, client_id, client_secret }, rawBasic('machine:wrong'))
    expect(response.body).toBe(twoMethods)
  })

  it.each(['other', 'unknown', 'machine '])('C4 Basic for machine beside client_id=%s is refused', async (disagreeing) => {
    const response = await server.token({ grant_type, client_id: disagreeing }, basic(machine))
    expect(response.body).toBe(disagrees)
    expect(response.status).toBe(400)
  })

  it('C4 the same client_id beside Basic, and an empty client_secret, are fine', async () => {
    expect((await server.token({ grant_type, client_id }, basic(machine))).status).toBe(200)
    expect((await server.token({ grant_type, client_id, client_secret: '' }, basic(machine))).status).toBe(200)
  })

  it('C4 two Authorization headers are refused, even equal ones', async () => {
    const { authorization } = basic(machine)
    const request = { authorization: [authorization, authorization] } as unknown as Record<string, string>
    const response = await server.token({ grant_type }, request)
    expect(response.body).toBe(oneHeader)
    expect(response.status).toBe(400)
  })

  it('C4 two Authorization headers on the wire are refused, although node:http shows the first only', async () => {
    const { port, close } = await listen({ clients: [machine], allowInsecureTransport: true })
    const { authorization } = basic(machine)
    const lines = [
      'POST / HTTP/1.1',
      'Host: localhost',
      `Authorization: ${authorization}`,
      `authorization: ${authorization}`,
      'Connection: close',
    ]
    const head = [...lines, 'Content-Type: application/x-www-form-urlencoded', 'Content-Length: 29', '', 'grant_type=client_credentials']
    const socket = connect(port, '127.0.0.1')
    socket.end(head.join('\r\n'))
    const answer = await text(socket)
    await close()
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain(oneHeader)
  })

  it('C4 no method at all is refused with the Basic challenge', async () => {
    expectRefusal(await server.token({ grant_type }))
    expectRefusal(await server.token({ grant_type }, { authorization: 'Bearer abc' }))
    expectRefusal(await server.token({ grant_type, client_assertion: 'abc', client_id }))
  })
})

describe('the registered method', () => {
  const { client_id, client_secret } = machine
  const inBody = { grant_type, client_id, client_secret }

  it('C5 a client without a registered method may send its secret either way', async () => {
    expect((await testServer().token(inBody)).status).toBe(200)
    expect((await testServer().token({ grant_type }, basic(machine))).status).toBe(200)
  })

  it('C5 client_secret_basic excludes the body', async () => {
    const server = withClient({ client_secret, token_endpoint_auth_method: 'client_secret_basic' })
    expect((await server.token({ grant_type }, basic(machine))).status).toBe(200)
    expectRefusal(await server.token(inBody))
  })

  it('C5 client_secret_post excludes the header', async () => {
    const server = withClient({ client_secret, token_endpoint_auth_method: 'client_secret_post' })
    expect((await server.token(inBody)).status).toBe(200)
    expectRefusal(await server.token({ grant_type }, basic(machine)))
  })

  it('C5 a public client that sends a secret is refused', async () => {
    const server = testServer()
    const code = await server.code({ client_id: 'native' })
    expectRefusal(await server.token({ ...exchange(code), client_id: 'native', client_secret: 'anything' }))
    expectRefusal(await server.token(exchange(code), rawBasic('native:anything')))
  })

  it('C5 a code_verifier never replaces authentication', async () => {
    const server = testServer()
    const code = await server.code({ code_challenge, code_challenge_method: 'S256' })
    expectRefusal(await server.token(exchange(code)))
    expectRefusal(await server.token({ ...exchange(code), client_id: 'web' }))
    expectRefusal(await server.token(exchange(code), rawBasic('web:')))
  })

  it('C5 a method that the server does not serve is not looked at', async () => {
    const onlyBasic = testServer({ clients: [machine], clientAuthenticationMethods: [clientSecretBasic()] })
    expect((await onlyBasic.token({ grant_type }, basic(machine))).status).toBe(200)
    expectRefusal(await onlyBasic.token(inBody))
  })
})

async function listen(options: ServerOptions) {
  const http = createServer(tokenHandler({ onEvent: () => undefined, ...options }))
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  const close = () => new Promise((resolve) => http.close(resolve))
  return { port, origin: `http://127.0.0.1:${port}`, close }
}

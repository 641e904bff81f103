/** The examples of the reference documents about OAuth 2, each the same scenario in TypeScript. Those of OAuth 1 are tested with OAuth 1. */
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto'
import {
  createTokenResponse,
  errorResponse,
  grantResponse,
  jwt,
  tokenHandler,
  UnvalidatedRequest,
  validateTokenRequest,
  webApplication,
  type ServerOptions,
} from '../src/index.js'
import { formType, noStore } from './support/requests.js'
import { basic, exchange, formRequest, machine, testServer, web } from './support/server.js'
import { Resources } from './support/wire.js'

const resources = new Resources()
beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterEach(() => resources.close())
afterAll(() => {
  jest.restoreAllMocks()
})

const claimsOf = (token = '') => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

describe('create_token_response', () => {
  test('SM8 a code becomes tokens, with headers, body and status; extra credentials reach the hooks and not the response', async () => {
    const seen: unknown[] = []
    const authorize: ServerOptions['authorize'] = ({ context }) => void seen.push(context)
    const server = testServer({ grants: webApplication(), authorize: authorize })
    const code = await server.code({ scope: 'read write' })
    const request = { ...formRequest(exchange(code), basic(web)), context: { client_ip: '1.2.3.4' } }
    const { status, headers, body } = await createTokenResponse(server.options, request)
    expect({ status, headers }).toEqual({ status: 200, headers: noStore })
    const members = JSON.parse(body) as Record<string, unknown>
    expect(members).toEqual({
      access_token: expect.any(String),
      refresh_token: expect.any(String),
      expires_in: 3600,
      scope: 'read write',
      token_type: 'Bearer',
    })
    expect(seen).toContainEqual({ client_ip: '1.2.3.4' })
    expect(body).not.toContain('1.2.3.4')
  })

  test('SM8 a grant type that is misspelt is unsupported_grant_type, with error_description', async () => {
    const { options } = testServer()
    const response = await createTokenResponse(options, formRequest({ grant_type: 'athorizatoin_coed' }, basic(web)))
    expect({ ...response, body: JSON.parse(response.body) as unknown }).toEqual({
      status: 400,
      headers: noStore,
      body: { error: 'unsupported_grant_type', error_description: expect.any(String) },
    })
    expect(response.body).not.toContain('athorizatoin')
  })

  test('SM8 an invalid code is 400, a client that is not authenticated 401', async () => {
    const server = testServer()
    expect(await server.token(exchange('somerandomstring'), basic(web))).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
    const wrong = basic({ ...web, client_secret: 'ksjdhf923sf' })
    expect(await server.token(exchange('somerandomstring'), wrong)).toMatchObject({ status: 401, json: { error: 'invalid_client' } })
  })
})

describe('the endpoint', () => {
  test.each([
    ['https://server.example/path?query=component', 200],
    ['https://server.example/path?query=component#fragment', 400],
    ['http://server.example/path', 400],
  ])('SM8 at %s is answered %i', async (url, status) => {
    const { options } = testServer()
    const request = { ...formRequest({ grant_type: 'client_credentials' }, basic(machine)), url }
    expect((await createTokenResponse(options, request)).status).toBe(status)
  })

  test('SM8 takes POST only, and a parameter without a value for an omitted one', async () => {
    const { options } = testServer()
    const request = formRequest({ grant_type: 'client_credentials', scope: '', unknown: 'x' }, basic(machine))
    expect((await createTokenResponse(options, request)).status).toBe(200)
    expect((await createTokenResponse(options, { ...request, method: 'GET' })).status).toBe(405)
  })
})

describe('the handler and its parameters', () => {
  async function post(options: ServerOptions, path: string): Promise<Record<string, unknown>> {
    const { url } = await resources.listen(express().use('/oauth2/token', tokenHandler(options)))
    const headers = { ...basic(machine), 'content-type': formType }
    const response = await fetch(url + path, { method: 'POST', headers, body: 'grant_type=client_credentials' })
    expect(response.status).toBe(200)
    return (await response.json()) as Record<string, unknown>
  }

  test.each(['/oauth2/token', '/oauth2/token/'])('SM8 the handler is connected to %s', async (path) => {
    expect(await post(testServer({ allowInsecureTransport: true }).options, path)).toMatchObject({ token_type: 'Bearer' })
  })

  test('SM8 authentication_method=MAC, refreshable=False', async () => {
    const { options } = testServer({ allowInsecureTransport: true, authenticationMethod: 'mac', refreshable: false })
    const members = await post(options, '/oauth2/token')
    expect(members).toMatchObject({ token_type: 'mac', mac_key: expect.any(String) })
    expect(members).not.toHaveProperty('refresh_token')
  })

  test('SM8 validate, then grant_response; else error_response', async () => {
    const { options } = testServer()
    const validated = await validateTokenRequest(options, formRequest({ grant_type: 'client_credentials' }, basic(machine)))
    expect((await grantResponse(validated)).status).toBe(200)
    await expect(grantResponse(validated)).rejects.toThrow(UnvalidatedRequest)
    const refused = await validateTokenRequest(options, formRequest({ grant_type: 'x' }, basic(machine))).catch(errorResponse)
    expect(refused).toMatchObject({ status: 400, headers: noStore })
  })
})

describe('token generators', () => {
  test('SM8 a JWT signed with an RSA key, issuer, and an aud for each client', async () => {
    const claims = ({ client }: { client: { client_id: string } }) => ({ aud: client.client_id })
    const server = testServer({ accessTokens: jwt({ key: pem, issuer: 'foobar', claims }) })
    const { json } = await server.token({ grant_type: 'client_credentials', scope: 'read write' }, basic(machine))
    expect(json).toMatchObject({ token_type: 'Bearer', expires_in: 3600 })
    expect(claimsOf(json.access_token)).toMatchObject({ aud: 'machine', iss: 'foobar', scope: 'read write', exp: server.now + 3600 })
  })

  test('SM8 a text of your own: HS256 with a reference', async () => {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
    const accessTokens: NonNullable<ServerOptions['accessTokens']> = ({ client, expiresAt }) => {
      const signed = `${encode({ typ: 'JWT', alg: 'HS256' })}.${encode({ ref: randomUUID(), aud: client.client_id, iss: 'me', exp: expiresAt })}`
      return `${signed}.${createHmac('sha256', 'secret').update(signed).digest('base64url')}`
    }
    const server = testServer({ accessTokens })
    const { json } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
    expect(claimsOf(json.access_token)).toMatchObject({ ref: expect.any(String), aud: 'machine', iss: 'me', exp: server.now + 3600 })
    expect((await server.introspect({ token: json.access_token ?? '' }, basic(machine))).json).toMatchObject({ active: true })
  })
})

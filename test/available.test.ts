/** `available` (A9): maintenance, said by the application. */
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals'
import {
  ConfigurationError,
  createIntrospectionResponse,
  createRevocationResponse,
  createTokenResponse,
  requireAccessToken,
  tokenHandler,
  validateTokenRequest,
} from '../src/index.js'
import { basic, exchange, formRequest, machine, testServer, web } from './support/server.js'
import { storedServer } from './support/stored.js'
import { Resources } from './support/wire.js'

const form = { grant_type: 'client_credentials', token: 'x' }
const resources = new Resources()

beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterEach(() => resources.close())
afterAll(() => {
  jest.restoreAllMocks()
})

test('A9 false: 503 temporarily_unavailable with Retry-After at every endpoint for clients, and an event', async () => {
  const { options, events } = testServer({ available: () => false })
  const unavailable = {
    status: 503,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache', 'Retry-After': '1' },
    body: '{"error":"temporarily_unavailable","error_description":"the server is temporarily unable to answer"}',
  }
  for (const [create, endpoint] of [
    [createTokenResponse, 'token'],
    [createRevocationResponse, 'revocation'],
    [createIntrospectionResponse, 'introspection'],
  ] as const) {
    expect(await create(options, formRequest(form, basic(machine)))).toEqual(unavailable)
    expect(events.at(-1)).toMatchObject({
      type: 'request.failed',
      endpoint,
      status: 503,
      reason: 'the option available answered false; let it return true where the server should answer',
    })
  }
  await expect(validateTokenRequest(options, formRequest(form, basic(machine)))).rejects.toMatchObject({ error: 'temporarily_unavailable' })
})

test('A9 it is asked at each request, before anything is read, and nothing is consumed', async () => {
  let isAvailable = true
  let looked = 0
  const { server } = storedServer({ available: () => isAvailable, clients: (id) => (looked++, id === 'web' ? web : undefined) })
  const code = await server.code()
  isAvailable = false
  const before = looked
  expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 503 })
  expect(await server.token('grant_type=a&grant_type=b')).toMatchObject({ status: 503 })
  expect(looked).toBe(before)
  isAvailable = true
  expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
})

test('A9 C9 while it is false no failure is counted', async () => {
  let isAvailable = false
  const { options } = testServer({ available: () => isAvailable })
  const ask = async (client_secret: string) => {
    const request = { ...formRequest(form, basic({ ...machine, client_secret })), address: '192.0.2.1' }
    return (await createTokenResponse(options, request)).status
  }
  for (let i = 0; i < 30; i++) expect(await ask('wrong')).toBe(503)
  isAvailable = true
  expect(await ask(machine.client_secret)).toBe(200)
})

test('A9 the tokens that are out go on: the guard is not asked', async () => {
  let isAvailable = true
  const server = testServer({ available: () => isAvailable })
  const { json } = await server.token(form, basic(machine))
  isAvailable = false
  const guard = requireAccessToken(server.options)
  const { url } = await resources.listen((req, res) => guard(req, res, () => res.end('passed')))
  const response = await fetch(url, { headers: { authorization: `Bearer ${json.access_token ?? ''}` } })
  expect([response.status, await response.text()]).toEqual([200, 'passed'])
})

test('A9 what it throws is 500 without detail', async () => {
  const server = testServer({ available: () => { throw new Error('consul://hunter2') } }) // prettier-ignore
  expect(await server.token(form, basic(machine))).toMatchObject({ status: 500, json: { error: 'server_error' } })
  expect(JSON.stringify(server.events)).not.toContain('hunter2')
})

test('A9 it may have to ask somebody: a promise of false is false, one of true is true', async () => {
  let isAvailable = false
  const server = testServer({ available: () => Promise.resolve(isAvailable) })
  expect(await server.token(form, basic(machine))).toMatchObject({ status: 503, json: { error: 'temporarily_unavailable' } })
  expect(server.events.at(-1)).toMatchObject({
    status: 503,
    reason: 'the option available answered false; let it return true where the server should answer',
  })
  isAvailable = true
  expect(await server.token(form, basic(machine))).toMatchObject({ status: 200 })
})

test('A9 R4 one that rejects is 500, one that never answers 503; neither ends the process', async () => {
  const rejecting = testServer({ available: () => Promise.reject(new Error('consul://hunter2')) })
  expect(await rejecting.token(form, basic(machine))).toMatchObject({ status: 500, json: { error: 'server_error' } })
  expect(JSON.stringify(rejecting.events)).not.toContain('hunter2')
  const hanging = testServer({ available: () => new Promise(() => {}), callbackTimeout: 20 })
  expect(await hanging.token(form, basic(machine))).toMatchObject({ status: 503 })
})

test('A9 anything but a function stops the start', () => {
  const make = () => tokenHandler({ clients: [machine], available: true as unknown as () => boolean })
  expect(make).toThrow(new ConfigurationError('available must be a function, not a boolean'))
})

/** The lists of grants that stand for the preconfigured servers of the reference documents (G11). */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { backendApplication, createTokenResponse, legacyApplication, webApplication, type Grant, type ServerOptions } from '../src/index.js'
import { basic, exchange, formRequest, machine, parsed, testServer, web } from './support/server.js'

beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterAll(() => {
  jest.restoreAllMocks()
})

const user = { ...web, grant_types: ['authorization_code', 'refresh_token', 'client_credentials', 'password'] }

/** What each grant type is answered by a server with those grants. */
async function servedBy(grants: Grant[]): Promise<Record<string, unknown>> {
  const { options } = testServer({ clients: [user, machine], grants })
  const served: Record<string, unknown> = {}
  for (const grant_type of user.grant_types) {
    const response = parsed(await createTokenResponse(options, formRequest({ grant_type }, basic(web))))
    served[grant_type] = response.json.error !== 'unsupported_grant_type'
  }
  return served
}

const authenticate = (username: string) => (username === 'alice' ? 'alice' : undefined)

test.each([
  ['webApplication', webApplication(), ['authorization_code', 'refresh_token']],
  ['legacyApplication', legacyApplication({ authenticate }), ['password', 'refresh_token']],
  ['backendApplication', backendApplication(), ['client_credentials']],
] as const)('G11 %s is the list of its grants, and serves no other', async (_name, grants, types) => {
  expect(grants.map(({ type }) => type)).toEqual(types)
  expect(await servedBy([...grants])).toEqual(
    Object.fromEntries(user.grant_types.map((type) => [type, (types as readonly string[]).includes(type)])),
  )
})

test('G11 webApplication: code, then refresh', async () => {
  const server = testServer({ grants: webApplication() })
  const { refresh_token } = await server.tokens()
  expect(await server.refresh(refresh_token)).toMatchObject({ status: 200 })
})

test('G11 legacyApplication: password, then refresh', async () => {
  const server = testServer({ clients: [user], grants: legacyApplication({ authenticate }) })
  const { json } = await server.token({ grant_type: 'password', username: 'alice', password: 'x' }, basic(web))
  expect(await server.refresh(json.refresh_token ?? '')).toMatchObject({ status: 200 })
  expect(await server.token({ grant_type: 'password', username: 'bob', password: 'x' }, basic(web))).toMatchObject({
    json: { error: 'invalid_grant' },
  })
})

test('G11 backendApplication: client credentials, and no refresh token even for a client that may have one', async () => {
  const { json, status } = await testServer({ clients: [user], grants: backendApplication() }).token(
    { grant_type: 'client_credentials' },
    basic(web),
  )
  expect(status).toBe(200)
  expect(json).not.toHaveProperty('refresh_token')
})

test('G11 each call makes a list of its own, and lists may be joined', async () => {
  expect(webApplication()).not.toBe(webApplication())
  const grants: ServerOptions['grants'] = [...webApplication(), ...backendApplication()]
  const server = testServer({ grants })
  expect(await server.token({ grant_type: 'client_credentials' }, basic(machine))).toMatchObject({ status: 200 })
  expect(await server.token(exchange(await server.code()), basic(web))).toMatchObject({ status: 200 })
})

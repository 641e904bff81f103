/** Registration by strangers: what an answer promises is kept, what says nothing is absent, and nobody takes the room of others. */
import { describe, expect, test } from '@jest/globals'
import { configure } from '../../src/configuration/configure.js'
import { createRegistrationResponse, readRegistrationRules, type RegistrationOptions } from '../../src/endpoints/registration.js'
import { memoryStore, registrationHandler, type ServerOptions } from '../../src/index.js'
import { basic, exchange, parsed, redirect_uri, start, testServer, type JsonResponse, type TestServer } from '../support/server.js'

const redirect_uris = [redirect_uri]

interface Registrar {
  readonly server: TestServer
  register(document: object, address?: string): Promise<JsonResponse>
}

function registrar(registration: RegistrationOptions = {}, options: ServerOptions = {}): Registrar {
  const server = testServer(options)
  registrationHandler(server.options)
  const rules = readRegistrationRules(configure(server.options), registration)
  return {
    server,
    async register(document, address = '198.51.100.1') {
      const headers = { 'content-type': 'application/json' }
      const request = { method: 'POST', url: 'https://server.example/oauth2/register', headers, body: JSON.stringify(document), address }
      return parsed(await createRegistrationResponse(server.options, request, rules))
    },
  }
}

describe('U9 an answer promises no more than is kept', () => {
  test.each([60, 259_200, 1_000_000])('U9 the secret expires after %d seconds, and works until then', async (unusedClientLifetime) => {
    const { server, register } = registrar({ unusedClientLifetime })
    const { json } = await register({ redirect_uris })
    expect(json.client_secret_expires_at).toBe(start + unusedClientLifetime)
    const error = async () => (await server.token({ grant_type: 'refresh_token', refresh_token: 'x' }, basic(json as never))).json.error
    server.now = start + unusedClientLifetime - 1
    expect(await error()).not.toBe('invalid_client')
    server.now += 1
    expect(await error()).toBe('invalid_client')
  })

  test('U9 by default a client outlives a weekend, and one that was authorised goes on', async () => {
    const { server, register } = registrar()
    const { json } = await register({ redirect_uris })
    server.now += 2.5 * 86_400
    const code = await server.code({ client_id: String(json.client_id) })
    expect((await server.token(exchange(code), basic(json as never))).status).toBe(200)
    server.now += 30 * 86_400
    await expect(server.code({ client_id: String(json.client_id) })).resolves.toEqual(expect.any(String))
  })

  test('U9 a public client is promised nothing', async () => {
    const { json } = await registrar().register({ redirect_uris, token_endpoint_auth_method: 'none' })
    expect(Object.keys(json)).not.toContain('client_secret_expires_at')
  })
})

describe('U8 what says nothing is absent', () => {
  const members = ['token_endpoint_auth_method', 'token_endpoint_auth_methods_supported', 'grant_types', 'response_types', 'scope', 'client_name', 'client_uri', 'logo_uri', 'policy_uri', 'tos_uri', 'contacts', 'software_id', 'software_version'] // prettier-ignore

  test.each(members)('U8 %s: null, and an empty text', async (member) => {
    const { register } = registrar()
    const { json: without } = await register({ redirect_uris })
    for (const value of [null, '']) {
      const { status, json } = await register({ redirect_uris, [member]: value })
      expect([status, Object.keys(json).sort()]).toEqual([201, Object.keys(without).sort()])
      expect(json.scope).toBe('read write admin')
    }
  })

  test.each([{ client_name: 'x'.repeat(201) }, { contacts: Array(11).fill('a') }, { contacts: ['x'.repeat(201)] }, { software_id: 'x'.repeat(201) }, { logo_uri: `https://x.example/${'x'.repeat(2000)}` }, { scope: 'x'.repeat(2001) }, { token_endpoint_auth_methods_supported: Array(21).fill('none') }])(
    'U8 what is too much is refused: %#',
    async (more) => expect((await registrar().register({ redirect_uris, ...more })).json.error).toBe('invalid_client_metadata'),
  ) // prettier-ignore

  test('V6 names lose what cannot be seen', async () => {
    const { json } = await registrar().register({ redirect_uris, client_name: 'Google\u202egnp.evil', software_id: '\u200b', contacts: ['a\u0000b', '\u2066'] })
    expect([json.client_name, json.software_id, json.contacts]).toEqual(['Googlegnp.evil', undefined, ['ab']])
  }) // prettier-ignore
})

describe('U1 a choice of ways to authenticate', () => {
  test.each<[object, string]>([
    [{ token_endpoint_auth_methods_supported: ['private_key_jwt', 'none'] }, 'none'],
    [{ token_endpoint_auth_methods_supported: ['none', 'client_secret_post'] }, 'none'],
    [{ token_endpoint_auth_methods_supported: ['none', 'client_secret_basic'] }, 'client_secret_basic'],
    [{ token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_methods_supported: ['private_key_jwt', 'none'] }, 'none'],
    [{ token_endpoint_auth_method: 'none', token_endpoint_auth_methods_supported: ['client_secret_basic', 'none'] }, 'none'],
  ])('U1 C22 of %j one is chosen and printed, and no list', async (more, method) => {
    const { status, json } = await registrar().register({ redirect_uris, ...more })
    expect([status, json.token_endpoint_auth_method]).toEqual([201, method])
    expect(json).not.toHaveProperty('token_endpoint_auth_methods_supported')
    expect('client_secret' in json).toBe(method !== 'none')
  })

  test.each([
    { token_endpoint_auth_method: 'none', token_endpoint_auth_methods_supported: ['client_secret_basic'] },
    { token_endpoint_auth_methods_supported: ['private_key_jwt'] },
    { token_endpoint_auth_methods_supported: [] },
    { token_endpoint_auth_methods_supported: 'none' },
    { token_endpoint_auth_method: 'private_key_jwt' },
  ])('U1 C22 %j is refused', async (more) => {
    const { server, register } = registrar()
    expect((await register({ redirect_uris, ...more })).json.error).toBe('invalid_client_metadata')
    expect(server.events).toMatchObject([{ reason: expect.stringMatching(/^token_endpoint_auth_method/) }])
  })
})

describe('X3 room for those that nobody has authorised', () => {
  test('X3 who fills the room of an address is told when to come again, and others go on', async () => {
    const { server, register } = registrar({ perMinute: 100_000 }, { store: memoryStore() })
    const large = { redirect_uris: Array.from({ length: 8 }, (_, n) => `https://client.example/${n}${'x'.repeat(1900)}`) }
    const statuses: number[] = []
    let last: JsonResponse | undefined
    while (statuses.at(-1) !== 503 && statuses.length < 200) statuses.push((last = await register(large)).status)
    expect([last?.status, Number(last?.headers['Retry-After']) > 0]).toEqual([503, true])
    expect(statuses.length).toBeGreaterThan(20)
    expect((await register(large, '198.51.100.2')).status).toBe(201)
    server.now += 259_200 + 10
    expect((await register(large)).status).toBe(201)
  })
})

describe('X4 X17 rules of the application', () => {
  test('X4 accept is waited for so long and no longer', async () => {
    const { register } = registrar({ accept: () => new Promise<never>(() => undefined) }, { callbackTimeout: 20 })
    expect((await register({ redirect_uris })).status).toBe(503)
  })

  test.each<[unknown, number]>([[true, 201], [undefined, 201], [false, 400], ['no', 400], [0, 400], [null, 400], [1, 400]])(
    'X17 accept that answers %j: %d',
    async (answer, status) => expect((await registrar({ accept: () => answer as boolean }).register({ redirect_uris })).status).toBe(status),
  ) // prettier-ignore

  test('X17 strangerScopes bind who registers, also one that registered when they were more', async () => {
    const store = memoryStore()
    const [before, now] = [registrar({}, { store }), registrar({}, { store, strangerScopes: ['read'] })]
    const { json: old } = await before.register({ redirect_uris })
    const { json } = await now.register({ redirect_uris, scope: 'read admin' })
    expect(json.scope).toBe('read')
    for (const client_id of [String(old.client_id), String(json.client_id)])
      await expect(now.server.code({ client_id, scope: 'admin' })).rejects.toMatchObject({ error: 'invalid_scope' })
  })

  test('X17 registrationScopes are read on, bind documents too, and are told of once', async () => {
    const client_id = 'https://client.example/c'
    const fetch = () => Promise.resolve({ document: { client_id, redirect_uris }, headers: {} })
    const { server } = registrar({ registrationScopes: ['read'] }, { clientIdMetadataDocuments: { fetch } })
    await expect(server.code({ client_id, scope: 'admin' })).rejects.toMatchObject({ error: 'invalid_scope' })
    expect(server.events.filter(({ type }) => type === 'warning')).toMatchObject([{ reason: expect.stringContaining('strangerScopes') }])
  })
})

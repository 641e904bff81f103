/** Dynamic client registration (RFC 7591), request by request. */
import { describe, expect, test } from '@jest/globals'
import { readRegistrationRules, createRegistrationResponse, type RegistrationOptions } from '../../src/endpoints/registration.js'
import { configure } from '../../src/configuration/configure.js'
import {
  clientSecretBasic,
  findClient,
  InvalidRequest,
  memoryStore,
  registrationHandler,
  type ProtocolRequest,
  type ServerOptions,
} from '../../src/index.js'
import { basic, code_challenge, exchange, parsed, start, testServer, type JsonResponse, type TestServer } from '../support/server.js'

const redirect_uris = ['https://client.example/callback']

interface Registrar {
  readonly server: TestServer
  register(document: unknown, changes?: Partial<ProtocolRequest>): Promise<JsonResponse>
}

function registrar(registration: RegistrationOptions = {}, options: ServerOptions = {}): Registrar {
  const server = testServer(options)
  registrationHandler(server.options)
  const rules = readRegistrationRules(configure(server.options), registration)
  return {
    server,
    async register(document, changes = {}) {
      const request: ProtocolRequest = {
        method: 'POST',
        url: 'https://server.example/oauth2/register',
        headers: { 'content-type': 'application/json' },
        secure: true,
        body: typeof document === 'string' ? document : JSON.stringify(document),
        address: '198.51.100.1',
        ...changes,
      }
      return parsed(await createRegistrationResponse(server.options, request, rules))
    },
  }
}

async function refusal(document: unknown, registration?: RegistrationOptions): Promise<unknown[]> {
  const { status, json } = await registrar(registration).register(document)
  return [status, json.error]
}

describe('what is registered', () => {
  test('M9 a document with redirect_uris alone gets a Basic client, told whole, once, and not to be cached', async () => {
    const { server, register } = registrar()
    const { status, headers, json } = await register({ redirect_uris })
    expect([status, headers['Cache-Control'], headers['Content-Type']]).toEqual([201, 'no-store', 'application/json'])
    expect(json).toEqual({
      client_id: expect.stringMatching(/^[\w-]{22}$/),
      client_secret: expect.stringMatching(/^[\w-]{43}$/),
      client_secret_expires_at: start + 259_200,
      client_id_issued_at: start,
      redirect_uris,
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      scope: 'read write admin',
    })
    const stored = await findClient(server.options, String(json.client_id))
    expect(stored?.secrets).toHaveLength(1)
    expect(JSON.stringify(stored)).not.toContain(json.client_secret)
  })

  test('M9 echoes what it knows and drops what it does not', async () => {
    const known = {
      redirect_uris: ['http://127.0.0.1/callback', 'com.example.app:/callback'],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      client_name: 'Notes <b>',
      client_uri: 'https://client.example/',
      logo_uri: 'https://client.example/logo.png',
      policy_uri: 'https://client.example/policy',
      tos_uri: 'https://client.example/terms',
      contacts: ['help@client.example'],
      software_id: 'notes',
      software_version: '1',
    }
    const dangerous = {
      client_id: 'web', client_secret: 'chosen', introspect: true, require_pkce: false, disabled: false, rotateRefreshTokens: false, accessTokenLifetime: 9_999_999,
      secrets: [{ hash: 'x' }], extra: { role: 'admin' }, defaultScope: 'admin', unknown: 1, client_id_issued_at: 1, constructor: 1, toString: 1,
    } // prettier-ignore
    const { server, register } = registrar()
    const { status, json } = await register(`{"__proto__":{"introspect":true},${JSON.stringify({ ...dangerous, ...known }).slice(1)}`)
    expect(status).toBe(201)
    expect(json).toEqual({
      ...known,
      client_id: expect.stringMatching(/^[\w-]{22}$/),
      client_id_issued_at: start,
      scope: 'read write admin',
    })
    const stored = await findClient(server.options, String(json.client_id))
    expect(Object.keys(stored ?? {}).sort()).toEqual([...Object.keys(known), 'client_id', 'defaultScope', 'scope', 'secrets'].sort())
  })

  test('M9 the default of the server goes where the client says nothing', async () => {
    const { json } = await registrar({ defaultAuthMethod: 'none' }).register({ redirect_uris })
    expect(json.token_endpoint_auth_method).toBe('none')
    expect(json).not.toHaveProperty('client_secret')
    const post = await registrar({ defaultAuthMethod: 'none' }).register({
      redirect_uris,
      token_endpoint_auth_method: 'client_secret_post',
    })
    expect(post.json).toHaveProperty('client_secret')
  })

  test('M9 null says nothing; grants of machines and of other servers are not given', async () => {
    const grant_types = ['client_credentials', 'password', 'refresh_token', 'authorization_code', 'urn:example:other']
    const { json } = await registrar().register({ redirect_uris, grant_types, client_name: null, logo_uri: null })
    expect(json.grant_types).toEqual(['authorization_code', 'refresh_token'])
    expect(json).not.toHaveProperty('client_name')
  })

  test('M9 scope stays within registrationScopes; what was asked for is the default, and more may be asked for later', async () => {
    const { server, register } = registrar({ registrationScopes: ['read', 'write'] })
    const { json } = await register({ redirect_uris, scope: 'read admin openid' })
    expect(json.scope).toBe('read write')
    expect(await findClient(server.options, String(json.client_id))).toMatchObject({ scope: ['read', 'write'], defaultScope: ['read'] })
    const code = (scope?: string) =>
      server.code({ client_id: String(json.client_id), redirect_uri: redirect_uris[0] ?? '', code_challenge, ...(scope === undefined ? {} : { scope }) }) // prettier-ignore
    const redeemed = await server.token(exchange(await code()), basic(json as never))
    expect([redeemed.status, redeemed.json.scope]).toEqual([200, 'read'])
    await expect(code('admin')).rejects.toThrow()
    await expect(code('write')).resolves.toEqual(expect.any(String))
  })
})

describe('what is refused', () => {
  test.each([
    'javascript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', 'blob:https://client.example/x', 'about:blank', 'JavaScript:alert(1)',
    'http://client.example/', 'http://127.0.0.1.example/', 'http://localhost.example/', 'http://10.0.0.1/', 'https://client.example/#fragment', 'https://client.example/#',
    'https://user@client.example/', 'https://user:password@client.example/', '/callback', 'client.example', '', ' https://client.example/', 'https://client.example/ ', 'https://clïent.example/',
    'https://client.example/\n', 'http://localhost@client.example/', 7, null,
  ])('M9 the redirect_uri %j', async (uri) => {
    expect(await refusal({ redirect_uris: [...redirect_uris, uri] })).toEqual([400, 'invalid_redirect_uri'])
  }) // prettier-ignore

  test.each([undefined, null, [], {}, 'https://client.example/', Array(21).fill(redirect_uris[0])])('M9 redirect_uris %#', async (uris) =>
    expect(await refusal({ redirect_uris: uris })).toEqual([400, 'invalid_redirect_uri']),
  )

  test.each(['policy_uri', 'logo_uri', 'client_uri', 'tos_uri'])('M9 %s with a script, a file, or something else than an address', async (member) => {
    for (const uri of ['javascript:alert(1)', ' javascript:alert(1)', 'java\tscript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///x', '/policy', 7, {}])
      expect([uri, ...(await refusal({ redirect_uris, [member]: uri }))]).toEqual([uri, 400, 'invalid_client_metadata'])
  }) // prettier-ignore

  test.each([
    { token_endpoint_auth_method: 'private_key_jwt' },
    { token_endpoint_auth_method: 'tls_client_auth' },
    { token_endpoint_auth_method: 7 },
    { grant_types: ['client_credentials'] },
    { grant_types: 'authorization_code' },
    { grant_types: [] },
    { client_name: 7 },
    { client_name: 'x'.repeat(201) },
    { contacts: 'help@client.example' },
    { scope: 'a "quoted" scope' },
    { scope: ['read'] },
    { software_id: {} },
  ])('M9 %j', async (members) => {
    expect(await refusal({ redirect_uris, ...members })).toEqual([400, 'invalid_client_metadata'])
  })

  test('M9 a method that this server does not serve', async () => {
    const { register } = registrar({}, { clients: [], clientAuthenticationMethods: [clientSecretBasic()] })
    const { status, json } = await register({ redirect_uris, token_endpoint_auth_method: 'none' })
    expect([status, json.error]).toEqual([400, 'invalid_client_metadata'])
  })

  test.each(['', '{', '[]', '7', 'null', '"text"', '{"redirect_uris":', 'redirect_uris=x', '\u0000'])('M9 the body %j', async (body) => {
    expect(await refusal(body)).toEqual([400, 'invalid_client_metadata'])
  })

  test('M9 anything but a small, plain JSON POST over https', async () => {
    const { register } = registrar()
    const status = async (changes: Partial<ProtocolRequest>, document: unknown = { redirect_uris }) =>
      (await register(document, changes)).status
    expect(await status({ method: 'GET' })).toBe(405)
    expect(await status({ headers: { 'content-type': 'application/x-www-form-urlencoded' } })).toBe(415)
    expect(await status({ headers: {} })).toBe(415)
    expect(await status({ headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } })).toBe(415)
    expect(await status({ url: '/oauth2/register', secure: false })).toBe(400)
    expect(await status({}, { redirect_uris, unknown: 'x'.repeat(16_384) })).toBe(413)
    expect(
      await status({ headers: { 'content-type': 'application/json; charset=utf-8' } }, { redirect_uris, unknown: 'x'.repeat(16_000) }),
    ).toBe(201)
  })
})

describe('who may register', () => {
  test('M9 with an initialAccessToken, who has it', async () => {
    const { register } = registrar({ initialAccessToken: 'invitation' })
    const as = async (authorization?: string) =>
      register({ redirect_uris }, { headers: { 'content-type': 'application/json', authorization } })
    for (const header of [undefined, 'Bearer wrong', 'Basic invitation', 'Bearer', 'Bearer invitation x']) {
      const { status, headers, json } = await as(header)
      expect([header, status, json.error, headers['WWW-Authenticate']]).toEqual([
        header,
        401,
        'invalid_token',
        'Bearer realm="registration"',
      ])
    }
    expect((await as('Bearer invitation')).status).toBe(201)
  })

  test('M9 whom accept wants: it sees the metadata and the context, and no secret', async () => {
    const seen: unknown[] = []
    const accept: RegistrationOptions['accept'] = (metadata, context) => {
      seen.push(metadata, context)
      if (metadata.client_name === 'rude') throw new InvalidRequest('not you')
      return metadata.client_name !== 'unwanted'
    }
    const { register } = registrar({ accept })
    const context = { ip: 'x' }
    expect((await register({ redirect_uris, client_name: 'wanted', client_secret: 'x' }, { context })).status).toBe(201)
    expect(seen).toEqual([expect.objectContaining({ client_name: 'wanted' }), context])
    expect(seen[0]).not.toHaveProperty('client_secret')
    expect((await register({ redirect_uris, client_name: 'unwanted' })).json.error).toBe('invalid_client_metadata')
    expect((await register({ redirect_uris, client_name: 'rude' })).json.error).toBe('invalid_request')
  })

  test('M9 an accept that fails registers nobody, and tells nothing', async () => {
    const { register } = registrar({ accept: () => Promise.reject(new Error('password of the database')) })
    const { status, body } = await register({ redirect_uris })
    expect(status).toBe(500)
    expect(body).not.toContain('password')
  })

  test('M9 so many a minute from one address, and a flood stops nothing else', async () => {
    const { server, register } = registrar({ perMinute: 3 })
    const from = async (address: string) => (await register({ redirect_uris }, { address })).status
    const flood = await Promise.all(Array.from({ length: 200 }, () => from('2001:db8:1:2::1')))
    expect(flood.filter((status) => status === 201)).toHaveLength(3)
    expect(flood.filter((status) => status === 429)).toHaveLength(197)
    expect(await from('2001:db8:1:2:ffff::9')).toBe(429)
    const refused = await register({ redirect_uris }, { address: '2001:db8:1:2::1' })
    expect(Number(refused.headers['Retry-After'])).toBeGreaterThan(0)
    expect(await from('198.51.100.2')).toBe(201)
    const machine = { client_id: 'machine', client_secret: 'machine-secret-0123456789abcdef' }
    expect((await server.token({ grant_type: 'client_credentials' }, basic(machine))).status).toBe(200)
    server.now += 61
    expect(await from('2001:db8:1:2::1')).toBe(201)
  })

  test('M9 U9 a client that nobody uses is forgotten after three days; one that somebody has authorised stays as long as what it got', async () => {
    const { server, register } = registrar({}, { store: memoryStore() })
    const [unused, used] = [
      await register({ redirect_uris }),
      await register({ redirect_uris, grant_types: ['authorization_code', 'refresh_token'] }),
    ]
    const idOf = ({ json }: JsonResponse) => String(json.client_id)
    const tokens = await server.token(exchange(await server.code({ client_id: idOf(used) })), basic(used.json as never))
    server.now += 259_200
    expect(await findClient(server.options, idOf(unused))).toBeUndefined()
    expect((await server.token({ grant_type: 'refresh_token', refresh_token: 'x' }, basic(unused.json as never))).json.error).toBe(
      'invalid_client',
    )
    server.now += 8 * 86_400
    const refreshed = await server.token(
      { grant_type: 'refresh_token', refresh_token: tokens.json.refresh_token ?? '' },
      basic(used.json as never),
    )
    expect(refreshed.status).toBe(200)
  })

  test('M9 wrong options stop the start', () => {
    for (const options of [{ registrationScopes: ['unknown'] }, { defaultAuthMethod: 'private_key_jwt' }, { perMinute: 0 }, { initialAccessToken: '' }, { acept: () => true }])
      expect(() => registrationHandler(testServer().options, options as RegistrationOptions)).toThrow(/registration/)
  }) // prettier-ignore
})

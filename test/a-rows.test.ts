/** The programming interfaces of the reference documents (A1, A5, A7), where no other test shows them. */
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  backendApplication,
  bearerHeader,
  createTokenResponse,
  macHeader,
  memoryStore,
  requireAccessToken,
  type HostRequest,
  type ServerOptions,
} from '../src/index.js'
import { basic, formRequest, machine, start, testServer, web } from './support/server.js'
import { Resources } from './support/wire.js'

const resources = new Resources()
beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterEach(() => resources.close())
afterAll(() => {
  jest.restoreAllMocks()
})

test('A1 default_grant_type, default_token_type and grant_types: the three options together', async () => {
  const { options } = testServer({ defaultGrantType: 'client_credentials', authenticationMethod: 'mac', grants: backendApplication() })
  const { status, body } = await createTokenResponse(options, formRequest('', basic(machine)))
  expect([status, JSON.parse(body)]).toEqual([200, expect.objectContaining({ token_type: 'mac', mac_key: expect.any(String) })])
  const other = await createTokenResponse(options, formRequest({ grant_type: 'authorization_code' }, basic(web)))
  expect(JSON.parse(other.body).error).toBe('unsupported_grant_type')
})

describe('A5 a token generator, a refresh token generator and expires_in', () => {
  test('A5 accessTokens, refreshTokens and accessTokenLifetime, as a function of the request', async () => {
    let count = 0
    const server = testServer({
      accessTokens: ({ client, subject = 'nobody', expiresAt }) => `${client.client_id}.${subject}.${expiresAt - start}.${count++}`,
      refreshTokens: ({ client }) => `refresh.${client.client_id}.${count++}`,
      accessTokenLifetime: ({ client, grant_type }) => (client.client_id === 'web' ? (grant_type === 'refresh_token' ? 120 : 60) : 30),
    })
    const tokens = await server.tokens()
    expect(tokens).toMatchObject({ access_token: 'web.alice.60.0', refresh_token: 'refresh.web.1', expires_in: 60 })
    const { json: refreshed } = await server.refresh(tokens.refresh_token)
    expect(refreshed).toMatchObject({ access_token: 'web.alice.120.2', refresh_token: 'refresh.web.3', expires_in: 120 })
    const { json } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
    expect(json).toMatchObject({ access_token: 'machine.nobody.30.4', expires_in: 30 })
    server.now = start + 60
    for (const [token, active] of [[tokens.access_token, false], [refreshed.access_token ?? '', true]] as const)
      expect((await server.introspect({ token }, basic(web))).json.active).toBe(active)
  }) // prettier-ignore

  test('A5 A7 several token types side by side: the scheme of the header decides', async () => {
    const store = memoryStore({ clock: () => start })
    const issue = async (authenticationMethod: 'bearer' | 'mac') =>
      (await testServer({ store, authenticationMethod }).token({ grant_type: 'client_credentials' }, basic(machine))).json
    const bearerToken = (await issue('bearer')).access_token ?? ''
    const macToken = await issue('mac')
    const { options } = testServer({ store })
    const { url } = await resources.listen((req, res) =>
      guard(req, res, () => res.end((req as HostRequest & { auth: { token: string } }).auth.token)),
    )
    const guard = requireAccessToken(options, { origin: url })
    const send = async (headers: Record<string, string>) => {
      const response = await fetch(`${url}/api?a=1`, { headers })
      return [response.status, await response.text()]
    }
    const signing = { method: 'GET', url: `${url}/api?a=1`, ts: start }
    const id = macToken.access_token ?? ''
    expect(await send(bearerHeader(bearerToken))).toEqual([200, bearerToken])
    expect(await send({ ...macHeader({ ...signing, id, key: String(macToken.mac_key) }) })).toEqual([200, id])
    expect((await send(bearerHeader(id)))[0]).toBe(401)
    expect((await send({ ...macHeader({ ...signing, id: bearerToken, key: 'k' }) }))[0]).toBe(401)
    expect((await send({ authorization: `DPoP ${bearerToken}` }))[0]).toBe(401)
  })
})

test('A7 bearerHeader is the header of RFC 6750 §2.1, and what the guard reads', async () => {
  expect(bearerHeader('mF_9.B5f-4.1JqM')).toEqual({ Authorization: 'Bearer mF_9.B5f-4.1JqM' })
  const options: ServerOptions = testServer().options
  const { body } = await createTokenResponse(options, formRequest({ grant_type: 'client_credentials' }, basic(machine)))
  const guard = requireAccessToken(options)
  const { url } = await resources.listen((req, res) => guard(req, res, () => res.end('passed')))
  const response = await fetch(url, { headers: bearerHeader(JSON.parse(body).access_token) })
  expect([response.status, await response.text()]).toEqual([200, 'passed'])
})

/** What clients ask for beyond what they may have: rows U6, U11 and SO1; and lifetimes of refresh tokens, U18 and U22. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  ConfigurationError,
  createMetadataResponse,
  issueAuthorizationCode,
  jwt,
  refreshToken,
  clientCredentials,
  type ClientMetadata,
  type ServerOptions,
} from '../src/index.js'
import { configure } from '../src/configuration/configure.js'
import { createPushedAuthorizationResponse } from '../src/endpoints/authorization/pushed.js'
import { readAuthorizationRequest } from '../src/endpoints/authorization/request.js'
import { readQuery } from '../src/http/message.js'
import { basic, code_challenge, exchange, formRequest, machine, redirect_uri, testServer, web, type TestServer } from './support/server.js'
import { issuer, p256 } from './support/tokens.js'

const both = { ...web, grant_types: [...web.grant_types, 'client_credentials'] } as const satisfies ClientMetadata
const codesOnly = {
  ...web,
  client_id: 'codes',
  client_secret: 'codes-secret-0123456789abcdef',
  grant_types: ['authorization_code'],
} as const satisfies ClientMetadata

/** The scope at the authorization endpoint, or the error there. */
async function authorized(options: ServerOptions, scope: string, client_id = 'web'): Promise<readonly string[]> {
  const configuration = configure(options)
  const client = await configuration.findClient(client_id)
  if (client === undefined) throw new Error('no client')
  const query = new URLSearchParams({
    client_id,
    response_type: 'code',
    redirect_uri,
    scope,
    code_challenge,
    code_challenge_method: 'S256',
  })
  return readAuthorizationRequest(configuration, client, readQuery(`/?${query.toString()}`)).scope
}

async function pushed(options: ServerOptions, scope: string): Promise<number> {
  const form = { response_type: 'code', redirect_uri, scope, code_challenge, code_challenge_method: 'S256' }
  return (await createPushedAuthorizationResponse(options, formRequest(form, basic(web)))).status
}

/** The scope of the first access token, and of the one after a refresh with that scope. */
async function flow(server: TestServer, scope: string, again = scope) {
  const { scope: first, refresh_token } = await server.tokens({ scope })
  const refreshed = await server.refresh(refresh_token, { scope: again })
  return [first, refreshed.json.scope ?? refreshed.json.error]
}

beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterAll(() => {
  jest.restoreAllMocks()
})

describe('U6 offline_access', () => {
  test('U6 ID16 a client that may refresh is granted it, at every endpoint, and it is echoed', async () => {
    const server = testServer({ clients: [both] })
    expect(await authorized(server.options, 'read offline_access')).toEqual(['read', 'offline_access'])
    expect(await pushed(server.options, 'read offline_access')).toBe(201)
    expect(await flow(server, 'read offline_access')).toEqual(['read offline_access', 'read offline_access'])
    expect(await flow(server, 'read offline_access', 'read')).toEqual(['read offline_access', 'read'])
    const limited = testServer({ clients: [{ ...both, scope: 'read' }] })
    expect(await flow(limited, 'read offline_access')).toEqual(['read offline_access', 'read offline_access'])
  })

  test('U6 it decides nothing: a refresh token comes without it, and it is granted to nobody who did not ask', async () => {
    const server = testServer()
    const tokens = await server.tokens()
    expect([tokens.scope, typeof tokens.refresh_token]).toEqual(['read write admin', 'string'])
    // Asked for at the refresh alone, it is dropped: it was not granted.
    expect((await server.refresh(tokens.refresh_token, { scope: 'read offline_access' })).json.scope).toBe('read')
  })

  test('U6 where no refresh token comes, it is dropped, and never refused', async () => {
    const server = testServer({ clients: [both, codesOnly, machine] })
    expect(await authorized(server.options, 'read offline_access', 'codes')).toEqual(['read'])
    const code = await server.code({ client_id: 'codes', scope: 'read offline_access' })
    expect((await server.token(exchange(code), basic(codesOnly))).json.scope).toBe('read')
    const form = { grant_type: 'client_credentials', scope: 'read offline_access' }
    for (const client of [machine, both])
      expect(await server.token(form, basic(client))).toMatchObject({ status: 200, json: { scope: 'read' } })
    // Alone, it is as if nothing had been asked for.
    expect((await server.token({ ...form, scope: 'offline_access' }, basic(machine))).json.scope).toBe('read write admin')
    for (const options of [{ refreshable: false }, { grants: [clientCredentials()] }]) {
      expect((await testServer({ ...options, clients: [both] }).token(form, basic(both))).json.scope).toBe('read')
    }
    const chosen = testServer({ refreshable: () => false })
    expect((await chosen.tokens({ scope: 'read offline_access' })).scope).toBe('read')
  })

  test('U6 a client may be registered for it, and any other unknown scope is refused as before', async () => {
    const server = testServer({ clients: [{ ...web, scope: 'read offline_access', defaultScope: 'read' }] })
    expect(await flow(server, 'read offline_access')).toEqual(['read offline_access', 'read offline_access'])
    expect(() => configure({ refreshable: false, scopes: ['read'], clients: [{ ...machine, scope: 'read offline_access' }] })).toThrow(
      ConfigurationError,
    )
    await expect(authorized(server.options, 'read online_access')).rejects.toMatchObject({ error: 'invalid_scope' })
    await expect(authorized(server.options, 'read openid')).rejects.toMatchObject({ error: 'invalid_scope' })
  })

  test('U6 the metadata list it where refresh tokens are served', () => {
    const supported = (options: ServerOptions) =>
      (
        JSON.parse(createMetadataResponse({ issuer, ...options }, { url: '/', method: 'GET', headers: {} }).body) as {
          scopes_supported?: string[]
        }
      ).scopes_supported
    expect(supported({ scopes: ['read'] })).toEqual(['read', 'offline_access'])
    expect(supported({ scopes: ['offline_access', 'read'] })).toEqual(['offline_access', 'read'])
    expect(supported({})).toEqual(['offline_access'])
    expect(supported({ scopes: ['read'], refreshable: false })).toEqual(['read'])
    expect(supported({ grants: [clientCredentials()] })).toBeUndefined()
  })

  test('U6 a signed token carries it', async () => {
    const server = testServer({ issuer, accessTokens: jwt({ key: p256.privateKey }) })
    expect(await flow(server, 'read offline_access')).toEqual(['read offline_access', 'read offline_access'])
  })
})

describe('U6 ignoredScopes', () => {
  const ignoredScopes = ['openid', 'profile']

  test('U6 they are dropped at every endpoint as if they had not been sent, with one event', async () => {
    const server = testServer({ ignoredScopes, clients: [both] })
    expect(await authorized(server.options, 'openid read profile')).toEqual(['read'])
    expect(await pushed(server.options, 'openid read')).toBe(201)
    expect(await flow(server, 'openid read', 'read profile')).toEqual(['read', 'read'])
    const form = { grant_type: 'client_credentials', scope: 'openid write' }
    expect((await server.token(form, basic(both))).json.scope).toBe('write')
    expect((await server.token({ ...form, scope: 'openid' }, basic(both))).json.scope).toBe('read write admin')
    expect(await authorized(server.options, 'openid')).toEqual(['read', 'write', 'admin'])
    const warnings = server.events.filter(({ type }) => type === 'warning')
    expect(warnings).toMatchObject([{ reason: 'a client asks for a scope that the option ignoredScopes names; it is ignored' }])
    await expect(authorized(server.options, 'openid email')).rejects.toMatchObject({ error: 'invalid_scope' })
  })

  test('U6 what a person agreed to does not become more: nothing is left, and nothing is granted', async () => {
    const server = testServer({ ignoredScopes })
    const code = await issueAuthorizationCode(server.options, {
      client_id: 'web',
      subject: 'alice',
      scope: 'openid',
      code_challenge,
      code_challenge_method: 'S256',
    })
    const { status, json } = await server.token({ ...exchange(code) }, basic(web))
    expect([status, json.scope]).toEqual([200, undefined])
  })

  test('U6 a client may be registered with them, and gets nothing of them', async () => {
    const server = testServer({ ignoredScopes, clients: [{ ...web, scope: 'openid read' }] })
    expect((await server.tokens()).scope).toBe('read')
  })

  test('U6 a scope that is both served and ignored stops the start', () => {
    expect(() => configure({ scopes: ['read'], ignoredScopes: ['read'] })).toThrow(
      'ignoredScopes: "read" is among scopes too; remove it from one of the two',
    )
  })
})

describe('U11 lists that are empty after trimming', () => {
  test.each(['  ', '\t', ' \t '])('U11 scope %j is omitted, at every endpoint', async (scope) => {
    const server = testServer()
    const everything = ['read', 'write', 'admin']
    expect((await server.token({ grant_type: 'client_credentials', scope }, basic(machine))).json.scope).toBe(everything.join(' '))
    expect(await authorized(server.options, scope)).toEqual(everything)
    expect(await pushed(server.options, scope)).toBe(201)
    const { refresh_token } = await server.tokens({ scope: 'read' })
    expect((await server.refresh(refresh_token, { scope })).json.scope).toBe('read')
    await expect(server.code({ scope })).rejects.toMatchObject({ error: 'invalid_scope' })
  })

  test('U11 so is every other parameter that is a list, and no other one', () => {
    const names = ['scope', 'prompt', 'ui_locales', 'claims_locales', 'acr_values', 'resource', 'audience', 'state', 'password']
    const { parameters, resource, audience } = readQuery(`/?${names.map((name) => `${name}=+%09`).join('&')}`)
    expect([{ ...parameters }, resource, audience]).toEqual([{ state: ' \t', password: ' \t' }, [], []])
  })
})

describe('SO1 scope in a code exchange', () => {
  test.each([
    ['narrows where it lies within the grant', 'read', 'read', 0],
    ['is the grant itself', 'write read', 'write read', 0],
    ['is ignored where it is more', 'read admin', 'read write', 1],
    ['is ignored where it is unknown', 'openid offline_access', 'read write', 1],
    ['is ignored where it is malformed', 'read "', 'read write', 1],
  ])('SO1 %s', async (_what, scope, granted, warnings) => {
    const server = testServer()
    const code = await server.code({ scope: 'read write' })
    const answer = await server.token({ ...exchange(code), scope }, basic(web))
    expect(answer).toMatchObject({ status: 200, json: { scope: granted } })
    const told = server.events.filter(({ type }) => type === 'warning')
    expect(told).toHaveLength(warnings)
    for (const event of told)
      expect(event).toMatchObject({ client_id: 'web', grant_type: 'authorization_code', reason: expect.stringContaining('it is ignored') })
    // The next refresh may still have all that was granted.
    expect((await server.refresh(String(answer.json.refresh_token))).json.scope).toBe('read write')
  })

  test('SO1 no other grant ignores it', async () => {
    const server = testServer()
    const { refresh_token } = await server.tokens({ scope: 'read' })
    expect((await server.refresh(refresh_token, { scope: 'admin' })).json.error).toBe('invalid_scope')
    expect((await server.token({ grant_type: 'client_credentials', scope: 'x' }, basic(machine))).json.error).toBe('invalid_scope')
  })
})

describe('refresh tokens in time', () => {
  test('U18 refreshRetryWindow and clockTolerance add up: with the defaults 35 seconds', async () => {
    for (const [options, seconds] of [[{}, 35], [{ refreshRetryWindow: 10, clockTolerance: 0 }, 10]] as const) {
      const server = testServer(options)
      const { refresh_token } = await server.tokens()
      const first = (await server.refresh(refresh_token)).json
      server.now += seconds - 1
      expect((await server.refresh(refresh_token)).json.refresh_token).toBe(first.refresh_token)
      server.now += 1
      expect((await server.refresh(refresh_token)).json.error).toBe('invalid_grant')
    }
  }) // prettier-ignore

  test.each([
    ['longer', { refreshTokenLifetime: 4000, refreshTokenIdleLifetime: 4000 }, 3999],
    ['shorter', { refreshTokenIdleLifetime: 10 }, 9],
    ['shorter in all', { refreshTokenLifetime: 20 }, 19],
  ])('U22 those of one client live %s', async (_how, lifetimes, last) => {
    const clients = [
      { ...web, ...lifetimes },
      { ...both, client_id: 'other' },
    ]
    const server = testServer({
      clients,
      refreshTokenLifetime: 1000,
      refreshTokenIdleLifetime: 1000,
      accessTokenLifetime: 1,
      grants: undefined as never,
    })
    const [lives, ends] = [await server.tokens(), await server.tokens()]
    server.now += last
    expect((await server.refresh(lives.refresh_token)).status).toBe(200)
    server.now += 1
    expect((await server.refresh(ends.refresh_token)).json.error).toBe('invalid_grant')
  })

  test('U22 the other clients keep those of the server', async () => {
    const server = testServer({
      clients: [{ ...web, client_id: 'short', refreshTokenIdleLifetime: 1 }, web],
      refreshTokenIdleLifetime: 1000,
    })
    const { refresh_token } = await server.tokens()
    server.now += 999
    expect((await server.refresh(refresh_token)).status).toBe(200)
  })

  test.each([['refreshTokenLifetime', 0], ['refreshTokenLifetime', '5'], ['refreshTokenIdleLifetime', 1.5], ['refreshTokenIdleLifetime', -1]])(
    'U22 %s %j of a client stops the start', (name, value) => {
      expect(() => configure({ clients: [{ ...web, [name]: value }] })).toThrow(`client "web": ${name} must be a whole number from 1 to`)
    },
  ) // prettier-ignore

  test('U22 the grant for refresh tokens is needed as before', () => {
    expect(refreshToken().type).toBe('refresh_token')
  })
})

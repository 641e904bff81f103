/** openid-client 6, unmodified, over https. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import * as client from 'openid-client'
import { awkward, secretFor } from './cases.js'
import { follow, startProvider, type Provider } from './provider.js'

const redirect_uri = 'https://client.example/callback'
const clients = [
  { client_id: 'web', client_secret: 'web-secret', grant_types: ['authorization_code', 'refresh_token'], redirect_uris: [redirect_uri] },
  {
    client_id: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [redirect_uri],
  },
  ...awkward.map((client_id) => ({ client_id, client_secret: secretFor(client_id), grant_types: ['client_credentials'] })),
]

let provider: Provider
beforeAll(async () => {
  provider = await startProvider(clients)
})
afterAll(() => provider.close())

function configuration(client_id: string, authentication: client.ClientAuth): client.Configuration {
  const config = new client.Configuration(provider.metadata, client_id, undefined, authentication)
  config[client.customFetch] = provider.fetch
  return config
}

describe('openid-client', () => {
  test.each([
    ['web', 'client_secret_post', client.ClientSecretPost('web-secret')],
    ['web', 'client_secret_basic', client.ClientSecretBasic('web-secret')],
    ['native', 'none', client.None()],
  ])('G1 G4 %s by %s: code with PKCE, refresh, use, revoke', async (client_id, _method, authentication) => {
    const config = configuration(client_id, authentication)
    const pkceCodeVerifier = client.randomPKCECodeVerifier()
    const expectedState = client.randomState()
    const code_challenge = await client.calculatePKCECodeChallenge(pkceCodeVerifier)
    const request = { redirect_uri, scope: 'read', state: expectedState, code_challenge, code_challenge_method: 'S256' }
    const callback = await follow(provider, client.buildAuthorizationUrl(config, request))

    const tokens = await client.authorizationCodeGrant(config, callback, { pkceCodeVerifier, expectedState })
    expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: 3600, scope: 'read' })

    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '')
    expect(refreshed.refresh_token).not.toBe(tokens.refresh_token)
    const response = await client.fetchProtectedResource(config, refreshed.access_token, new URL(provider.resource), 'GET')
    expect(await response.json()).toEqual({ client: client_id, subject: 'alice', scopes: ['read'] })

    await client.tokenRevocation(config, refreshed.refresh_token ?? '')
    const ended = client.fetchProtectedResource(config, refreshed.access_token, new URL(provider.resource), 'GET')
    await expect(ended).rejects.toMatchObject({ code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE', status: 401 })
    await expect(client.refreshTokenGrant(config, refreshed.refresh_token ?? '')).rejects.toMatchObject({ error: 'invalid_grant' })
  })

  test.each(awkward)('C1 Basic with the id and the secret "%s"', async (client_id) => {
    const config = configuration(client_id, client.ClientSecretBasic(secretFor(client_id)))
    const { access_token } = await client.clientCredentialsGrant(config, { scope: 'read' })
    const response = await client.fetchProtectedResource(config, access_token, new URL(provider.resource), 'GET')
    expect(await response.json()).toEqual({ client: client_id, subject: null, scopes: ['read'] })
    const claims = await client.tokenIntrospection(config, access_token)
    expect(claims).toMatchObject({ active: true, client_id, sub: client_id, scope: 'read', token_type: 'Bearer' })
  })

  test('C6 a wrong secret is reported with the code of RFC 6749', async () => {
    const config = configuration('web', client.ClientSecretBasic('another-secret'))
    await expect(client.clientCredentialsGrant(config)).rejects.toMatchObject({ status: 401, cause: [{ scheme: 'basic' }] })
  })
})

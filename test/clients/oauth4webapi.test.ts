/** oauth4webapi 3, unmodified, over https. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import * as oauth from 'oauth4webapi'
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

function options() {
  return { [oauth.customFetch]: provider.fetch }
}

function use(access_token: string): Promise<Response> {
  return oauth.protectedResourceRequest(access_token, 'GET', new URL(provider.resource), undefined, undefined, options())
}

describe('oauth4webapi', () => {
  test.each([
    ['web', 'client_secret_basic', oauth.ClientSecretBasic('web-secret')],
    ['web', 'client_secret_post', oauth.ClientSecretPost('web-secret')],
    ['native', 'none', oauth.None()],
  ])('G1 G4 %s by %s: code with PKCE, refresh, use, revoke', async (client_id, _method, authentication) => {
    const client: oauth.Client = { client_id }
    const code_verifier = oauth.generateRandomCodeVerifier()
    const state = oauth.generateRandomState()
    const url = new URL(provider.metadata.authorization_endpoint)
    const code_challenge = await oauth.calculatePKCECodeChallenge(code_verifier)
    const request = { response_type: 'code', client_id, redirect_uri, scope: 'read', state, code_challenge, code_challenge_method: 'S256' }
    url.search = new URLSearchParams(request).toString()
    const parameters = oauth.validateAuthResponse(provider.metadata, client, await follow(provider, url), state)

    const exchange = await oauth.authorizationCodeGrantRequest(
      provider.metadata,
      client,
      authentication,
      parameters,
      redirect_uri,
      code_verifier,
      options(),
    )
    const tokens = await oauth.processAuthorizationCodeResponse(provider.metadata, client, exchange)
    expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: 3600, scope: 'read' })

    const refresh_token = tokens.refresh_token ?? ''
    const refresh = await oauth.refreshTokenGrantRequest(provider.metadata, client, authentication, refresh_token, options())
    const refreshed = await oauth.processRefreshTokenResponse(provider.metadata, client, refresh)
    const response = await use(refreshed.access_token)
    expect(await response.json()).toEqual({ client: client_id, subject: 'alice', scopes: ['read'] })

    const revocation = await oauth.revocationRequest(provider.metadata, client, authentication, refreshed.refresh_token ?? '', options())
    await oauth.processRevocationResponse(revocation)
    await expect(use(refreshed.access_token)).rejects.toMatchObject({ code: oauth.WWW_AUTHENTICATE_CHALLENGE, status: 401 })
  })

  test.each(awkward)('C1 Basic with the id and the secret "%s"', async (client_id) => {
    const client: oauth.Client = { client_id }
    const authentication = oauth.ClientSecretBasic(secretFor(client_id))
    const answer = await oauth.clientCredentialsGrantRequest(provider.metadata, client, authentication, { scope: 'read' }, options())
    const { access_token } = await oauth.processClientCredentialsResponse(provider.metadata, client, answer)
    const response = await use(access_token)
    expect(await response.json()).toEqual({ client: client_id, subject: null, scopes: ['read'] })
    const introspection = await oauth.introspectionRequest(provider.metadata, client, authentication, access_token, options())
    const claims = await oauth.processIntrospectionResponse(provider.metadata, client, introspection)
    expect(claims).toMatchObject({ active: true, client_id, sub: client_id, scope: 'read', token_type: 'Bearer' })
  })

  test('R2 a refusal is read with its code and description', async () => {
    const client: oauth.Client = { client_id: 'web' }
    const authentication = oauth.ClientSecretPost('web-secret')
    const answer = await oauth.refreshTokenGrantRequest(provider.metadata, client, authentication, 'unknown', options())
    await expect(oauth.processRefreshTokenResponse(provider.metadata, client, answer)).rejects.toMatchObject({
      code: oauth.RESPONSE_BODY_ERROR,
      error: 'invalid_grant',
      status: 400,
    })
  })
})

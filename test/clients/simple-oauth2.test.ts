/** simple-oauth2 5, unmodified, over https. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createHash, randomBytes } from 'node:crypto'
import { AuthorizationCode, ClientCredentials } from 'simple-oauth2'
import { follow, startProvider, type Provider } from './provider.js'

const redirect_uri = 'https://client.example/callback'
const machine = { client_id: 'machine-1+_:%', client_secret: 'a secret-_:+%', grant_types: ['client_credentials'] }
const web = {
  client_id: 'web',
  client_secret: 'web-secret',
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: [redirect_uri],
}

let provider: Provider
beforeAll(async () => {
  provider = await startProvider([web, machine])
})
afterAll(() => provider.close())

function settings({ client_id, client_secret }: { client_id: string; client_secret: string }, authorizationMethod: 'header' | 'body') {
  return {
    client: { id: client_id, secret: client_secret },
    auth: { tokenHost: provider.issuer, tokenPath: '/oauth2/token', revokePath: '/oauth2/revoke' },
    options: { authorizationMethod },
    http: { agent: provider.agent },
  } as const
}

async function use(access_token: unknown): Promise<unknown> {
  const response = await provider.fetch(provider.resource, { headers: { authorization: `Bearer ${String(access_token)}` } })
  return response.status === 200 ? response.json() : response.status
}

describe.each(['header', 'body'] as const)('simple-oauth2, credentials in the %s', (method) => {
  test('G7 client credentials, with characters that must be encoded', async () => {
    const { token } = await new ClientCredentials(settings(machine, method)).getToken({ scope: 'read' })
    expect(token).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: 'read' })
    expect(await use(token.access_token)).toEqual({ client: machine.client_id, subject: null, scopes: ['read'] })
  })

  test('G1 G4 code with PKCE, refresh, use, revoke', async () => {
    const { auth, ...rest } = settings(web, method)
    const client = new AuthorizationCode({ ...rest, auth: { ...auth, authorizePath: '/authorize' } })
    const code_verifier = randomBytes(32).toString('base64url')
    const code_challenge = createHash('sha256').update(code_verifier).digest('base64url')
    const request = { redirect_uri, scope: 'read', state: 'af0ifjsldkj', code_challenge, code_challenge_method: 'S256' }
    const callback = await follow(provider, client.authorizeURL(request))
    expect(callback.searchParams.get('state')).toBe('af0ifjsldkj')

    const exchange = { code: callback.searchParams.get('code') ?? '', redirect_uri, code_verifier }
    const token = await client.getToken(exchange)
    const refreshed = await token.refresh()
    expect(refreshed.token.refresh_token).not.toBe(token.token.refresh_token)
    expect(await use(refreshed.token.access_token)).toEqual({ client: 'web', subject: 'alice', scopes: ['read'] })

    await refreshed.revokeAll()
    expect(await use(refreshed.token.access_token)).toBe(401)
  })
})

import { expect, test } from '@jest/globals'
import { createTokenResponse, type ClientMetadata, type ProtocolRequest, type ServerOptions } from '../../src/index.js'
import { oauth1TokenGrant, revokeTokenCredentials, type OAuth1TokenGrantOptions } from '../../src/oauth1/index.js'
import { basic, parsed } from '../support/server.js'
import { client, oauth1Server, signed, start, tokenFor, type OAuth1Server, type Pairs, type SignOptions, type Token } from './support.js'

const grant_type = 'urn:x-oauth2-token-handler:oauth1-token'
const url = 'https://server.example/oauth2/token'
const web: ClientMetadata & { client_secret: string } = {
  client_id: client.client_id,
  client_secret: 'oauth2-secret-0123456789',
  grant_types: [grant_type],
}

function oauth2(server: OAuth1Server, grantOptions: OAuth1TokenGrantOptions = {}, options: ServerOptions = {}): ServerOptions {
  return {
    clients: [web],
    scopes: ['read', 'write'],
    clock: () => server.now,
    grants: [oauth1TokenGrant(server.options, grantOptions)],
    ...options,
  }
}

/** The token request: signed by OAuth 1 in the header, authenticated by client_secret_post. */
function request(
  token: Token,
  form: Pairs = [],
  more: SignOptions = {},
  signer = client as { client_id: string; client_secret: string },
): ProtocolRequest {
  const all: Pairs = [['grant_type', grant_type], ['client_id', web.client_id], ['client_secret', web.client_secret], ['empty', ''], ...form] // prettier-ignore
  return signed(url, { ...signer, token }, { form: all, ...more })
}

test('O1 oauth1TokenGrant: an OAuth 1 token is exchanged for an OAuth 2 token of the same subject', async () => {
  const server = oauth1Server()
  const subjects: unknown[] = []
  const options = oauth2(server, {}, { authorize: ({ subject }) => void subjects.push(subject) })
  const token = await tokenFor(server)
  const { status, json } = parsed(await createTokenResponse(options, request(token, [['scope', 'read']])))
  expect([status, json]).toEqual([200, expect.objectContaining({ token_type: 'Bearer', scope: 'read', expires_in: 3600 })])
  expect(subjects).toEqual(['alice'])
  // It may ask again: the OAuth 1 token is not used up.
  expect((await createTokenResponse(options, request(token))).status).toBe(200)
})

test('O1 oauth1TokenGrant: with Basic the proof stands in the body, and a public client needs no more than the proof', async () => {
  const server = oauth1Server()
  const token = await tokenFor(server)
  const inBody = signed(url, { ...client, token }, { form: [['grant_type', grant_type]], place: 'body' })
  expect((await createTokenResponse(oauth2(server), { ...inBody, headers: { ...inBody.headers, ...basic(web) } })).status).toBe(200)

  const native = { client_id: web.client_id, token_endpoint_auth_method: 'none', grant_types: [grant_type] }
  const bare = signed(url, { ...client, token }, { form: [['grant_type', grant_type], ['client_id', native.client_id]], place: 'body' }) // prettier-ignore
  expect((await createTokenResponse(oauth2(server, {}, { clients: [native] }), bare)).status).toBe(200)
})

test('O1 oauth1TokenGrant: a proof works once, and only for the request that it was made over', async () => {
  const server = oauth1Server()
  const options = oauth2(server)
  const token = await tokenFor(server)
  const once = request(token, [['scope', 'read']])
  expect((await createTokenResponse(options, once)).status).toBe(200)
  const errorOf = async (sent: ProtocolRequest) => parsed(await createTokenResponse(options, sent)).json.error
  expect(await errorOf(once)).toBe('invalid_grant')
  const fresh = () => request(token, [['scope', 'read']])
  expect(await errorOf({ ...fresh(), url: `${url}?tenant=a` })).toBe('invalid_grant')
  expect(await errorOf({ ...fresh(), body: String(fresh().body).replace('read', 'write') })).toBe('invalid_grant')
  expect(await errorOf({ ...fresh(), body: String(fresh().body).replace('&empty=', '') })).toBe('invalid_grant')
  // SO3: whoever signed rightly is told of a stale timestamp
  expect(await errorOf(request(token, [], { timestamp: start - 601 }))).toBe('invalid_request')
  expect(await errorOf(request({ ...token, oauth_token_secret: 'wrong' }))).toBe('invalid_grant')
  expect(await errorOf(request({ ...token, oauth_token: 'unknown' }))).toBe('invalid_grant')
  expect(await errorOf(request(token, [], { protocol: { oauth_nonce: undefined } }))).toBe('invalid_request')
  const { authorization: _proof, ...headers } = fresh().headers
  expect(await errorOf({ ...fresh(), headers })).toBe('invalid_request')
  expect(await revokeTokenCredentials(server.options, token.oauth_token)).toBe(true)
  expect(await errorOf(fresh())).toBe('invalid_grant')
})

test('O1 oauth1TokenGrant: a token of another OAuth 1 client is refused, unless the option says that both are one', async () => {
  const other = { client_id: 'other', client_secret: 'other-secret' }
  const server = oauth1Server({ clients: [client, other] })
  const token = await tokenFor(server, other)
  const sent = () => request(token, [], {}, other)
  expect(parsed(await createTokenResponse(oauth2(server), sent())).json.error).toBe('invalid_grant')
  const isSameClient = (oauth1_client_id: string, client_id: string) => oauth1_client_id === 'other' && client_id === web.client_id
  expect((await createTokenResponse(oauth2(server, { isSameClient }), sent())).status).toBe(200)
})

test('O1 oauth1TokenGrant: realms limit the scope', async () => {
  const server = oauth1Server({ realms: ['read'] })
  const token = await tokenFor(server)
  const scopeOf = async (options: ServerOptions, form: Pairs = []) => {
    const { json } = parsed(await createTokenResponse(options, request(token, form)))
    return json.scope ?? json.error
  }
  expect(await scopeOf(oauth2(server))).toBe('read')
  expect(await scopeOf(oauth2(server), [['scope', 'write']])).toBe('invalid_scope')
  expect(await scopeOf(oauth2(server, { scope: (realms) => [...realms, 'write'] }), [['scope', 'write']])).toBe('write')
})

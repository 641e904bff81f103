import { expect, test } from '@jest/globals'
import {
  authorizeTemporaryCredentials,
  createAccessTokenResponse,
  createTemporaryCredentialsResponse,
  findTemporaryCredentials,
  revokeTokenCredentials,
} from '../../src/oauth1/index.js'
import {
  authorized,
  callback,
  client,
  exchangeRequest,
  formOf,
  initiate,
  initiateUrl,
  oauth1Server,
  resource,
  resourceUrl,
  signed,
  start,
  tokenFor,
  tokenUrl,
} from './support.js'

const other = { client_id: 'other', client_secret: 'other-secret' } as const

test('O1 the three-legged flow: temporary credentials, consent, token credentials, resource', async () => {
  const server = oauth1Server()
  const response = await initiate(server)
  expect(response.status).toBe(200)
  const { oauth_token = '', oauth_token_secret = '', ...rest } = formOf(response)
  expect(rest).toEqual({ oauth_callback_confirmed: 'true' })

  expect(await findTemporaryCredentials(server.options, oauth_token)).toEqual({ client_id: client.client_id, callback, realms: [] })
  const { oauth_verifier, redirect } = await authorizeTemporaryCredentials(server.options, { oauth_token, subject: 'alice' })
  expect(redirect).toBe(`${callback}&oauth_token=${oauth_token}&oauth_verifier=${oauth_verifier}`)

  const exchanged = await createAccessTokenResponse(
    server.options,
    exchangeRequest(server, { token: { oauth_token, oauth_token_secret }, oauth_verifier }),
  )
  expect(exchanged.status).toBe(200)
  const token = formOf(exchanged) as { oauth_token: string; oauth_token_secret: string }
  expect(Object.keys(token)).toEqual(['oauth_token', 'oauth_token_secret'])
  expect(token.oauth_token).not.toBe(oauth_token)
  expect(token.oauth_token_secret).not.toBe(oauth_token_secret)

  const { status, auth } = await resource(server, signed(resourceUrl, { ...client, token }, { method: 'GET' }))
  expect(status).toBe(200)
  expect(auth).toEqual({
    clientId: client.client_id,
    subject: 'alice',
    token: token.oauth_token,
    expiresAt: start + 31_536_000,
    realms: [],
  })
})

test('O1 two-legged requests pass only where they are allowed, and have no subject', async () => {
  const server = oauth1Server()
  expect(await resource(server, signed(resourceUrl, client), { twoLegged: true })).toMatchObject({
    status: 200,
    auth: { clientId: client.client_id, realms: [] },
  })
  const empty = await resource(server, signed(resourceUrl, client, { protocol: { oauth_token: '' } }), { twoLegged: true })
  expect(empty.auth).toEqual({ clientId: client.client_id, realms: [] })
  const refused = await resource(server, signed(resourceUrl, client))
  expect(refused).toMatchObject({ status: 400, body: 'error=invalid_request&error_description=oauth_token+is+required' })
})

test('O1 a consent that comes too late, twice, or for an unknown token is refused', async () => {
  const server = oauth1Server()
  const { oauth_token = '' } = formOf(await initiate(server))
  const consent = { oauth_token, subject: 'alice' }
  const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => authorizeTemporaryCredentials(server.options, consent)))
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect(await findTemporaryCredentials(server.options, oauth_token)).toBeUndefined()

  const late = formOf(await initiate(server)).oauth_token ?? ''
  server.now += 600
  expect(await findTemporaryCredentials(server.options, late)).toBeUndefined()
  await expect(authorizeTemporaryCredentials(server.options, { oauth_token: late, subject: 'alice' })).rejects.toThrow('expired')
  await expect(authorizeTemporaryCredentials(server.options, { oauth_token: 'nonsense', subject: 'alice' })).rejects.toThrow('unknown')
  await expect(authorizeTemporaryCredentials(server.options, { oauth_token: late, subject: '' })).rejects.toThrow(TypeError)
})

test('O1 the id of a record, which a database shows, does not stand for the token', async () => {
  const server = oauth1Server()
  const { oauth_token = '' } = formOf(await initiate(server))
  const guessed = `${oauth_token.slice(0, 23)}${'x'.repeat(22)}`
  expect(await findTemporaryCredentials(server.options, guessed)).toBeUndefined()
  expect(await revokeTokenCredentials(server.options, guessed)).toBe(false)
  expect(await findTemporaryCredentials(server.options, oauth_token)).toBeDefined()
})

test('O1 oob has no redirect, and a callback is checked against what the client registered', async () => {
  const server = oauth1Server({ clients: [{ ...client, callbacks: ['oob', callback] }] })
  const { oauth_token = '' } = formOf(await initiate(server, client, { protocol: { oauth_callback: 'oob' } }))
  const { redirect, oauth_verifier } = await authorizeTemporaryCredentials(server.options, { oauth_token, subject: 'alice' })
  expect(redirect).toBeUndefined()
  expect(oauth_verifier).toMatch(/^[A-Za-z0-9_-]{22}$/)
  expect(await initiate(server, client, { protocol: { oauth_callback: callback } })).toMatchObject({ status: 200 })
  const refused = await initiate(server, client, { protocol: { oauth_callback: 'https://evil.example/' } })
  expect(refused).toMatchObject({
    status: 400,
    body: 'error=invalid_request&error_description=the+callback+is+not+registered+for+this+client',
  })
})

test.each([
  'javascript:alert(1)',
  'data:text/html,x',
  '/relative',
  'https://a b/',
  'https://a.example/#f',
  `https://a.example/${'x'.repeat(2000)}`,
])('O1 a callback like %s is refused', async (oauth_callback) => {
  expect(await initiate(oauth1Server(), client, { protocol: { oauth_callback } })).toMatchObject({ status: 400 })
})

test.each([
  'https://good@evil.example/',
  'https://good:pw@evil.example/',
  'https://@evil.example/',
  'https:evil.example/x',
  'https:/evil.example/x',
  'https:///evil.example/x',
  'https://evil.example/a/../b',
  'https://3232235777/x',
  'myapp://good@evil/',
  'mailto:x@evil.example',
  'ftp://evil.example/',
  'filesystem:https://evil.example/x',
  'ms-msdt:/id',
  'MS-Word:ofe|u|https://evil.example/x.docx'.replaceAll('|', '%7C'),
  'search-ms:query=x',
  'tel:+1900',
])('O1 a callback that nobody has registered is not %s: it leads where its text says', async (oauth_callback) => {
  const refused = await initiate(oauth1Server(), client, { protocol: { oauth_callback } })
  expect(refused).toMatchObject({ status: 400 })
  expect(refused.body).not.toContain('evil')
  const registered = oauth1Server({ clients: [{ ...client, callbacks: [oauth_callback] }] })
  expect(await initiate(registered, client, { protocol: { oauth_callback } })).toMatchObject({ status: 200 })
})

test.each([
  'http://printer.example/ready',
  'HTTPS://Printer.example:443?job=1',
  "https://printer.example/ready?name='x'",
  'x-oauthflow-printer://callback',
  'com.example.app:/callback',
  'ms-app://s-1-15-2-1/',
  'http://127.0.0.1:49152/cb',
])('O1 a callback that nobody has registered may be %s, and gets the verifier', async (oauth_callback) => {
  const server = oauth1Server()
  const { oauth_token = '' } = formOf(await initiate(server, client, { protocol: { oauth_callback } }))
  const { redirect } = await authorizeTemporaryCredentials(server.options, { oauth_token, subject: 'alice' })
  expect(redirect?.startsWith(oauth_callback)).toBe(true)
})

test('O1 a token that was taken back is unknown from then on, also one that is being exchanged', async () => {
  const server = oauth1Server()
  const token = await tokenFor(server)
  const ask = () => resource(server, signed(resourceUrl, { ...client, token }))
  expect((await ask()).status).toBe(200)
  expect(await revokeTokenCredentials(server.options, token.oauth_token)).toBe(true)
  expect((await ask()).status).toBe(401)
  expect(await revokeTokenCredentials(server.options, token.oauth_token)).toBe(false)

  const pending = await authorized(server)
  expect(await revokeTokenCredentials(server.options, pending.token.oauth_token)).toBe(true)
  expect((await createAccessTokenResponse(server.options, exchangeRequest(server, pending))).status).toBe(401)
})

test('O1 a token ends after tokenLifetime', async () => {
  const server = oauth1Server({ tokenLifetime: 60 })
  const token = await tokenFor(server)
  server.now += 59
  expect((await resource(server, signed(resourceUrl, { ...client, token }, { timestamp: server.now }))).status).toBe(200)
  server.now += 1
  expect((await resource(server, signed(resourceUrl, { ...client, token }, { timestamp: server.now }))).status).toBe(401)
})

test('O1 realms: asked for in the header, narrowed by the user, demanded by the resource', async () => {
  const server = oauth1Server({ clients: [{ ...client, realms: ['movies', 'pics'] }], realms: ['movies', 'pics', 'mail'] })
  const { oauth_token = '', oauth_token_secret = '' } = formOf(await initiate(server))
  // realm="Photos" of the header is not a realm that the server knows
  expect((await findTemporaryCredentials(server.options, oauth_token))?.realms).toEqual(['movies', 'pics'])
  const consent = { oauth_token, subject: 'alice' }
  await expect(authorizeTemporaryCredentials(server.options, { ...consent, realms: ['mail'] })).rejects.toThrow(TypeError)
  const { oauth_verifier } = await authorizeTemporaryCredentials(server.options, { ...consent, realms: ['pics'] })
  const pending = { token: { oauth_token, oauth_token_secret }, oauth_verifier }
  const response = await createAccessTokenResponse(server.options, exchangeRequest(server, pending))
  expect(formOf(response).oauth_authorized_realms).toBe('pics')

  const token = formOf(response) as { oauth_token: string; oauth_token_secret: string }
  const request = () => signed(resourceUrl, { ...client, token })
  expect((await resource(server, request(), { realms: ['pics'] })).status).toBe(200)
  expect(await resource(server, request(), { realms: ['pics', 'movies'] })).toMatchObject({ status: 403, body: /^error=access_denied&/ })
})

test('O1 the realms named in the header are the ones that are asked for', async () => {
  const server = oauth1Server({ realms: ['Photos', 'Mail'] })
  const { oauth_token = '' } = formOf(await initiate(server))
  expect((await findTemporaryCredentials(server.options, oauth_token))?.realms).toEqual(['Photos'])
})

test('O2 A8 createAccessTokenResponse in the form of the reference document, with extra credentials', async () => {
  const server = oauth1Server({
    realms: ['movies', 'pics'],
    responseParameters: ({ context }) => ({ my_specific: String(context.my_specific) }),
  })
  const request = exchangeRequest(server, await authorized(server), client, { method: 'GET' })
  const { status, headers, body } = await createAccessTokenResponse(server.options, { ...request, context: { my_specific: 'argument' } })
  expect(status).toBe(200)
  expect(headers).toEqual({ 'Content-Type': 'application/x-www-form-urlencoded', 'Cache-Control': 'no-store', Pragma: 'no-cache' })
  expect(body).toMatch(/^oauth_token=[\w.-]{45}&oauth_token_secret=[\w-]{43}&oauth_authorized_realms=movies\+pics&my_specific=argument$/)
})

test('O2 A8 the reference document’s refusals: 400 for a missing token, 401 with an empty body for a wrong one', async () => {
  const { options } = oauth1Server()
  const missing = await createAccessTokenResponse(options, signed(tokenUrl, client, { protocol: { oauth_verifier: 'v' } }))
  expect(missing).toMatchObject({ status: 400, body: 'error=invalid_request&error_description=oauth_token+is+required' })
  const token = { oauth_token: '234lsdkf', oauth_token_secret: 'x' }
  const wrong = await createAccessTokenResponse(options, signed(tokenUrl, { ...client, token }, { protocol: { oauth_verifier: 'v' } }))
  expect(wrong).toMatchObject({ status: 401, body: '' })
})

test.each([
  ['replaces a protocol member', { oauth_token: 'x' }],
  ['is not flat', { a: { b: 1 } }],
  ['is no object', 'text'],
])('O8 responseParameters whose answer %s: 500, and the credentials can still be exchanged', async (_title, answer) => {
  let wrong = true
  const server = oauth1Server({ responseParameters: () => (wrong ? answer : { user_id: 7 }) as Record<string, string> })
  const pending = await authorized(server)
  expect(await createAccessTokenResponse(server.options, exchangeRequest(server, pending))).toMatchObject({
    status: 500,
    body: /^error=server_error&/,
  })
  wrong = false
  const response = await createAccessTokenResponse(server.options, exchangeRequest(server, pending))
  expect(formOf(response)).toMatchObject({ user_id: '7' })
})

test('O9 the verifier is required, has to be right, and works once', async () => {
  const server = oauth1Server()
  const pending = await authorized(server)
  const exchange = (oauth_verifier: string | undefined) =>
    createAccessTokenResponse(server.options, exchangeRequest(server, pending, client, { protocol: { oauth_verifier } }))
  expect(await exchange(undefined)).toMatchObject({
    status: 400,
    body: 'error=invalid_request&error_description=oauth_verifier+is+required',
  })
  expect(await exchange('')).toMatchObject({ status: 400 })
  expect(await exchange(`${pending.oauth_verifier}x`)).toMatchObject({ status: 401, body: '' })
  expect(await exchange(pending.oauth_verifier)).toMatchObject({ status: 200 })
  expect(await exchange(pending.oauth_verifier)).toMatchObject({ status: 401, body: '' })
})

test('O9 temporary credentials are good for nothing before consent, after their time, for another client, or at a resource', async () => {
  const server = oauth1Server({ clients: [client, other] })
  const { oauth_token = '', oauth_token_secret = '' } = formOf(await initiate(server))
  const unasked = { token: { oauth_token, oauth_token_secret }, oauth_verifier: 'guess' }
  expect((await createAccessTokenResponse(server.options, exchangeRequest(server, unasked))).status).toBe(401)

  const pending = await authorized(server)
  expect((await createAccessTokenResponse(server.options, exchangeRequest(server, pending, other))).status).toBe(401)
  expect((await resource(server, signed(resourceUrl, { ...client, token: pending.token }))).status).toBe(401)
  server.now += 600
  expect((await createAccessTokenResponse(server.options, exchangeRequest(server, pending))).status).toBe(401)
  server.now -= 1
  expect((await createAccessTokenResponse(server.options, exchangeRequest(server, pending))).status).toBe(200)
})

test('O9 a token is good for the client that it was issued to alone, and at no endpoint', async () => {
  const server = oauth1Server({ clients: [client, other] })
  const token = await tokenFor(server)
  expect((await resource(server, signed(resourceUrl, { ...other, token }))).status).toBe(401)
  const again = { token, oauth_verifier: 'any' }
  expect((await createAccessTokenResponse(server.options, exchangeRequest(server, again))).status).toBe(401)
  expect((await resource(server, signed(resourceUrl, { ...client, token }))).status).toBe(200)
})

test('O3 GET works at both endpoints, other methods do not', async () => {
  const server = oauth1Server()
  const pending = await authorized(server, client, { method: 'GET' })
  const response = await createAccessTokenResponse(server.options, exchangeRequest(server, pending, client, { method: 'GET' }))
  expect(response.status).toBe(200)
  for (const method of ['PUT', 'DELETE', 'HEAD', 'OPTIONS']) {
    const refused = await createTemporaryCredentialsResponse(server.options, signed(initiateUrl, client, { method }))
    expect(refused).toMatchObject({ status: 405, headers: { Allow: 'GET, POST' } })
  }
})

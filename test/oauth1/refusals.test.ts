import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { createAccessTokenResponse, createTemporaryCredentialsResponse } from '../../src/oauth1/index.js'
import {
  authorized,
  callback,
  client,
  exchangeRequest,
  formOf,
  header,
  initiate,
  initiateUrl,
  oauth1Server,
  resource,
  resourceUrl,
  signed,
  start,
  tokenFor,
  type Signer,
  type SignOptions,
} from './support.js'

beforeEach(() => {
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
})

afterEach(() => {
  jest.restoreAllMocks()
})

const unauthorized = {
  status: 401,
  headers: { 'Cache-Control': 'no-store', Pragma: 'no-cache', 'WWW-Authenticate': 'OAuth realm="oauth1"' },
  body: '',
}

/** SO3: told to whoever signed rightly. */
const stale = {
  status: 400,
  headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Cache-Control': 'no-store', Pragma: 'no-cache' },
  body: 'error=invalid_request&error_description=oauth_timestamp+is+too+far+from+the+time+of+this+server',
}

test('O5 plain http is refused before anything else, and accepted where the options say so', async () => {
  const strict = oauth1Server()
  const url = 'http://server.example/oauth/initiate'
  const request = (signatureMethod = 'HMAC-SHA256') => signed(url, client, { signatureMethod, protocol: { oauth_callback: callback } })
  expect(await createTemporaryCredentialsResponse(strict.options, request())).toMatchObject({
    status: 400,
    body: 'error=invalid_request&error_description=the+temporary+credentials+endpoint+requires+https',
  })
  const secure = { ...request(), secure: false, url: initiateUrl }
  expect(await createTemporaryCredentialsResponse(strict.options, secure)).toMatchObject({ status: 400 })
  expect(await resource(strict, signed('http://server.example/', client), { twoLegged: true })).toMatchObject({ status: 400 })

  const lax = oauth1Server({ allowInsecureTransport: true, signatureMethods: ['HMAC-SHA256', 'PLAINTEXT'] })
  expect(await createTemporaryCredentialsResponse(lax.options, request())).toMatchObject({ status: 200 })
  // O4 PLAINTEXT stays refused without TLS
  expect(await createTemporaryCredentialsResponse(lax.options, request('PLAINTEXT'))).toMatchObject({
    status: 400,
    body: 'error=invalid_request&error_description=PLAINTEXT+requires+https',
  })
})

test.each([
  [-600, 200],
  [600, 200],
  [-601, 400],
  [601, 400],
])('O5 a timestamp that is %i s off: %i', async (offset, status) => {
  const server = oauth1Server()
  expect((await initiate(server, client, { timestamp: start + offset })).status).toBe(status)
})

test('O5 timestampWindow is an option', async () => {
  const server = oauth1Server({ timestampWindow: 30 })
  expect((await initiate(server, client, { timestamp: start + 30 })).status).toBe(200)
  expect(await initiate(server, client, { timestamp: start + 31 })).toEqual(stale)
})

test('O5 a nonce works once per client, token and timestamp, as long as its timestamp is accepted', async () => {
  const other = { client_id: 'other', client_secret: 'other-secret' }
  const server = oauth1Server({ clients: [client, other] })
  const oauth_nonce = 'the-nonce'
  const ask = (more: SignOptions, signer = client as typeof other) =>
    initiate(server, signer, { ...more, protocol: { oauth_nonce, ...more.protocol } })
  expect((await ask({})).status).toBe(200)
  expect(await ask({})).toEqual(unauthorized)
  expect((await ask({ timestamp: start + 1 })).status).toBe(200)
  expect((await ask({}, other)).status).toBe(200)
  const token = await tokenFor(server)
  const withToken = () => resource(server, signed(resourceUrl, { ...client, token }, { protocol: { oauth_nonce } }))
  expect((await withToken()).status).toBe(200)
  expect(await withToken()).toEqual(unauthorized)

  // The last second in which the timestamp is accepted, on a machine whose clock is at the edge of the tolerance
  server.now = start + 600
  for (let i = 0; i < 50; i++) await initiate(server)
  expect(await ask({ timestamp: start })).toEqual(unauthorized)
  expect(server.events.at(-1)).toMatchObject({ reason: 'used nonce' })
  server.now = start + 601
  expect(await ask({ timestamp: start })).toEqual(stale)
  expect(server.events.at(-1)).toMatchObject({ reason: 'stale timestamp: is a clock wrong?' })
})

test('O5 a nonce is recorded only after the signature is right', async () => {
  const server = oauth1Server()
  const before = (server.store as unknown as { size: number }).size
  const oauth_nonce = 'spoilt?'
  for (const signer of [
    { ...client, client_secret: 'wrong' },
    { client_id: 'unknown', client_secret: 'x' },
  ]) {
    expect(await initiate(server, signer, { protocol: { oauth_nonce } })).toEqual(unauthorized)
  }
  expect(await initiate(server, client, { timestamp: start - 700, protocol: { oauth_nonce } })).toEqual(stale)
  expect((server.store as unknown as { size: number }).size).toBe(before)
  expect((await initiate(server, client, { protocol: { oauth_nonce } })).status).toBe(200)
})

test('O5 with PLAINTEXT timestamp and nonce may be missing, and are checked when they are there', async () => {
  const server = oauth1Server({ signatureMethods: ['PLAINTEXT'] })
  const none = { oauth_timestamp: undefined, oauth_nonce: undefined }
  const plain = (more: SignOptions = {}) => initiate(server, client, { signatureMethod: 'PLAINTEXT', ...more })
  expect((await plain({ protocol: none })).status).toBe(200)
  expect((await plain({ protocol: none })).status).toBe(200)
  expect((await plain({ protocol: { oauth_nonce: 'n' } })).status).toBe(200)
  expect(await plain({ protocol: { oauth_nonce: 'n' } })).toEqual(unauthorized)
  expect(await plain({ timestamp: start - 601 })).toEqual(stale)
})

test('O6 whatever is wrong, the answer has the same bytes, and the event says what it was', async () => {
  const disabled = { client_id: 'disabled', client_secret: 'disabled-secret', disabled: true }
  const server = oauth1Server({ clients: [client, disabled], realm: 'a "quoted" \\ realm' })
  const challenge = 'OAuth realm="a \\"quoted\\" \\\\ realm"'
  const token = await tokenFor(server)
  const unknown = { oauth_token: `${'x'.repeat(22)}.${'y'.repeat(22)}`, oauth_token_secret: 's' }
  const cases = [
    [{ client_id: 'nobody', client_secret: 'x', token }, 'unknown client'],
    [{ client_id: 'n\u00f6body', client_secret: 'x', token }, 'unknown client'],
    [{ client_id: 'x'.repeat(300), client_secret: 'x', token }, 'unknown client'],
    [{ ...disabled, token }, 'the client is disabled'],
    [{ ...client, token: unknown }, 'unknown token'],
    [{ ...client, token: { ...unknown, oauth_token: 'odd' } }, 'unknown token'],
    [{ ...client, token: { ...token, oauth_token: `${token.oauth_token.slice(0, -1)}!` } }, 'unknown token'],
    [{ ...client, token: { ...token, oauth_token_secret: 'wrong' } }, 'wrong signature'],
    [{ ...client, client_secret: 'wrong', token }, 'wrong signature'],
  ] as const
  for (const [signer, reason] of cases) {
    const response = await resource(server, signed(resourceUrl, signer))
    expect(response).toEqual({ status: 401, headers: { ...unauthorized.headers, 'WWW-Authenticate': challenge }, body: '' })
    expect(server.events.at(-1)).toMatchObject({ type: 'request.refused', status: 401, reason })
  }
  expect((await resource(server, signed(resourceUrl, { ...client, token }))).status).toBe(200)
})

test('O6 an unknown client and an unknown token cost the same look-ups as known ones', async () => {
  const calls: string[] = []
  const inner = oauth1Server()
  const token = await tokenFor(inner)
  const { store } = inner
  const server = oauth1Server({
    store: {
      ...store,
      get: (id) => {
        calls.push('get')
        return store.get(id)
      },
    },
  })
  const odd = { oauth_token: 'odd', oauth_token_secret: 'x' }
  for (const signer of [
    { ...client, client_secret: 'wrong', token },
    { client_id: 'nobody', client_secret: 'x', token },
    { ...client, token: odd },
    { client_id: 'nobody', client_secret: 'x', token: odd },
  ]) {
    calls.length = 0
    expect((await resource(server, signed(resourceUrl, signer))).status).toBe(401)
    expect(calls).toEqual(['get'])
  }
})

test('O6 a request without credentials gets the challenge, not a 400', async () => {
  const server = oauth1Server()
  expect(await resource(server, { url: resourceUrl, method: 'GET', headers: {} })).toEqual(unauthorized)
  expect(await resource(server, { url: resourceUrl, method: 'GET', headers: { authorization: 'Bearer x' } })).toEqual(unauthorized)
})

test.each([
  ['oauth_consumer_key', undefined, 'oauth_consumer_key is required'],
  ['oauth_consumer_key', '', 'oauth_consumer_key is required'],
  ['oauth_signature_method', undefined, 'oauth_signature_method is required'],
  ['oauth_signature_method', 'HMAC-MD5', 'the signature method is not supported'],
  ['oauth_signature_method', 'hmac-sha256', 'the signature method is not supported'],
  ['oauth_timestamp', undefined, 'oauth_timestamp is required'],
  ['oauth_timestamp', '0', 'oauth_timestamp must be a positive whole number of seconds'],
  ['oauth_timestamp', '-1', 'oauth_timestamp must be a positive whole number of seconds'],
  ['oauth_timestamp', '1e9', 'oauth_timestamp must be a positive whole number of seconds'],
  ['oauth_timestamp', '9'.repeat(30), 'oauth_timestamp must be a positive whole number of seconds'],
  ['oauth_nonce', undefined, 'oauth_nonce is required'],
  ['oauth_nonce', 'n'.repeat(501), 'oauth_nonce is too long'],
  ['oauth_version', '2.0', 'oauth_version must be 1.0'],
  ['oauth_version', '', 'oauth_version must be 1.0'],
  ['oauth_callback', undefined, 'oauth_callback is required'],
])('O7 %s %j is malformed: %s', async (name, value, description) => {
  const { headers, ...rest } = await initiate(oauth1Server(), client, { protocol: { [name]: value }, signature: 'any' })
  const body = new URLSearchParams({ error: 'invalid_request', error_description: description }).toString()
  expect(rest).toEqual({ status: 400, body })
  expect(headers).toEqual({ 'Content-Type': 'application/x-www-form-urlencoded', 'Cache-Control': 'no-store', Pragma: 'no-cache' })
})

test('O7 a request without a signature is malformed', async () => {
  const authorization = header([['oauth_consumer_key', 'x']])
  const response = await createTemporaryCredentialsResponse(oauth1Server().options, {
    url: initiateUrl,
    method: 'POST',
    headers: { authorization },
  })
  expect(formOf(response).error_description).toBe('oauth_signature_method is required')
})

test('O3 oauth_version may be 1.0', async () => {
  expect((await initiate(oauth1Server(), client, { protocol: { oauth_version: '1.0' } })).status).toBe(200)
})

test('O7 a store that fails is 503 with Retry-After, never a refusal of the client', async () => {
  const server = oauth1Server()
  const { token } = await authorized(server)
  const fails = () => Promise.reject(new Error('ECONNREFUSED database password'))
  const failing = oauth1Server({ store: { ...server.store, get: fails, create: fails, replace: fails } })
  for (const response of [await initiate(failing), await resource(failing, signed(resourceUrl, { ...client, token }))]) {
    expect(response).toMatchObject({ status: 503, headers: { 'Retry-After': '1' } })
    expect(formOf(response)).toEqual({
      error: 'temporarily_unavailable',
      error_description: 'the server is temporarily unable to answer',
    })
  }
})

test('OP11 a refusal names the client as soon as it is known to exist, and never before; an answer never', async () => {
  const server = oauth1Server({ callbackTimeout: 1000 })
  const wrong = { ...client, client_secret: 'wrong' }
  const last = () => server.events.at(-1)?.client_id
  const ask = async (signer: Signer, more?: SignOptions) => {
    const answer = await initiate(server, signer, more)
    expect(JSON.stringify(answer)).not.toContain(client.client_id)
    return [answer.status, last()]
  }
  const { client_id } = client
  expect(await ask({ client_id: 'nobody', client_secret: 'x' })).toEqual([401, undefined])
  expect(await ask(wrong)).toEqual([401, client_id])
  expect(await ask(client, { timestamp: start - 700 })).toEqual([400, client_id])
  expect(await ask(client, { protocol: { oauth_callback: 'nowhere' } })).toEqual([400, client_id])
  const oauth_nonce = 'again'
  await initiate(server, client, { protocol: { oauth_nonce } })
  expect(await ask(client, { protocol: { oauth_nonce } })).toEqual([401, client_id])
  const agreed = await authorized(server)
  const misread = exchangeRequest(server, { ...agreed, oauth_verifier: 'wrong' })
  expect((await createAccessTokenResponse(server.options, misread)).status).toBe(401)
  expect(last()).toBe(client_id)
  const token = await tokenFor(server)
  expect((await resource(server, signed(resourceUrl, { ...client, token }), { realms: ['photos'] })).status).toBe(403)
  expect(last()).toBe(client_id)
})

test('OP11 one refused for too many failures is named where it was found before', async () => {
  const server = oauth1Server()
  const from = async (client_id: string) => {
    const request = signed(initiateUrl, { client_id, client_secret: 'wrong' }, { timestamp: start, protocol: { oauth_callback: callback } })
    return (await createTemporaryCredentialsResponse(server.options, { ...request, address: '192.0.2.7' })).status
  }
  for (const client_id of [client.client_id, 'nobody']) for (let count = 0; count < 21; count++) await from(client_id)
  expect(server.events.filter(({ status }) => status === 429).map(({ client_id, address }) => [client_id, address])).toEqual([
    [client.client_id, '192.0.2.7'],
    [undefined, '192.0.2.7'],
  ])
})

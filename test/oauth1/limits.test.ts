/** What strangers can make an OAuth 1 server do, and how often: guess secrets (X18), guess verifiers (SM1), leave temporary credentials (X2). */
import { expect, jest, test } from '@jest/globals'
import { memoryStore, type FailureCounter, type ProtocolRequest } from '../../src/index.js'
import {
  authorizeTemporaryCredentials,
  createAccessTokenResponse,
  createTemporaryCredentialsResponse,
  temporaryCredentialsHandler,
} from '../../src/oauth1/index.js'
import { checkOAuth1 } from '../../src/oauth1/protected-resource.js'
import { configureOAuth1 } from '../../src/oauth1/options.js'
import { sizes } from '../security/sizes.js'
import { Resources } from '../support/wire.js'
import {
  authorized,
  callback,
  client,
  exchangeRequest,
  formOf,
  initiate,
  initiateUrl,
  oauth1Server,
  recording,
  resource,
  resourceUrl,
  signed,
  start,
  tokenFor,
  type OAuth1Server,
  type Signer,
  type SignOptions,
} from './support.js'
import { fillWithTemporaryCredentials } from './strangers.js'

const address = '203.0.113.9'
const wrong = { ...client, client_secret: 'wrong' }

function ask(server: OAuth1Server, signer: Signer = client, from = address, more: SignOptions = {}) {
  const request = signed(initiateUrl, signer, { timestamp: server.now, ...more, protocol: { oauth_callback: callback, ...more.protocol } })
  return createTemporaryCredentialsResponse(server.options, { ...request, address: from })
}

async function statuses(count: number, request: () => Promise<{ readonly status: number }>): Promise<Record<number, number>> {
  const seen: Record<number, number> = {}
  for (let i = 0; i < count; i++) {
    const { status } = await request()
    seen[status] = (seen[status] ?? 0) + 1
  }
  return seen
}

const tooMany = {
  status: 429,
  headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Cache-Control': 'no-store', Pragma: 'no-cache', 'Retry-After': '60' },
  body: 'error=temporarily_unavailable&error_description=too+many+failed+attempts',
}

test.each([
  ['that cannot be guessed passes', 'Zx8Qm2Lr7Vt5Nc1Ks9Pw4Y', 200],
  ['that can be guessed keeps its limit', 'guessable', 429],
])('X18 C9 without an address, after wrong signatures of strangers, a secret %s', async (_what, client_secret, status) => {
  const known = { client_id: 'c', client_secret }
  for (const from of ['', 'unix:', 'unknown']) {
    const server = oauth1Server({ clients: [known] })
    expect(await statuses(25, () => ask(server, { ...known, client_secret: 'wrong' }, from))).toEqual({ 401: 20, 429: 5 })
    expect((await ask(server, known, from)).status).toBe(status)
    expect((await ask(server, { ...known, client_secret: 'wrong' }, from)).status).toBe(429)
  }
})

test('X18 d: 500 PLAINTEXT guesses at a chosen secret: 20 are told, then 429, for the right one too', async () => {
  const server = oauth1Server({ clients: [{ client_id: 'c', client_secret: 'password1' }], signatureMethods: ['PLAINTEXT'] })
  const guess = (secret: string) =>
    createTemporaryCredentialsResponse(server.options, {
      url: 'https://as/',
      method: 'POST',
      address,
      headers: {
        host: 'as',
        authorization: `OAuth oauth_consumer_key="c",oauth_signature_method="PLAINTEXT",oauth_signature="${secret}%26",oauth_callback="oob"`,
      },
    })
  expect(await statuses(500, () => guess('guess'))).toEqual({ 401: 20, 429: 480 })
  expect(await guess('password1')).toEqual(tooMany)
  server.now = start + 60
  expect((await guess('password1')).status).toBe(200)
})

test('X18 d: an unknown client is counted as a wrong signature is, and answered by the same bytes', async () => {
  const server = oauth1Server()
  const unknown = { client_id: 'x'.repeat(client.client_id.length), client_secret: 'wrong' }
  for (let i = 0; i < 22; i++) expect(await ask(server, unknown)).toEqual(await ask(server, wrong))
  expect(await ask(server, unknown)).toEqual(tooMany)
  // So are they with a token that is known, with one that is not, and where the client has no key for the method.
  const other = { client_id: 'other', client_secret: 'other-secret' }
  const more = oauth1Server({ clients: [client, other], signatureMethods: ['HMAC-SHA256', 'RSA-SHA256'], store: memoryStore() })
  const token = await tokenFor(more)
  const guard = (signer: Signer, signature = 'guess') =>
    resource(more, { ...signed(resourceUrl, { ...signer, token }, { signature }), address })
  for (let i = 0; i < 22; i++) expect(await guard(unknown)).toEqual(await guard(other))
  expect(await guard(other)).toEqual(tooMany)
})

test('X18 d: another address goes on, another client goes on, and addresses of one /64 are one', async () => {
  const other = { client_id: 'other', client_secret: 'other-secret' }
  const server = oauth1Server({ clients: [client, other] })
  await statuses(20, () => ask(server, wrong))
  expect((await ask(server)).status).toBe(429)
  expect((await ask(server, client, '203.0.113.10')).status).toBe(200)
  expect((await ask(server, other)).status).toBe(200)
  await statuses(20, () => ask(server, wrong, '2001:db8:1:2::1'))
  expect((await ask(server, client, '2001:db8:1:2:ffff::9')).status).toBe(429)
  expect((await ask(server, client, '2001:db8:1:3::1')).status).toBe(200)
})

test('X18 d: what proves no guess does not count: an unknown token, a stale timestamp, a used nonce, a wrong verifier, a malformed request', async () => {
  const server = oauth1Server()
  const token = await tokenFor(server)
  const pending = await authorized(server)
  const revoked = { oauth_token: `${token.oauth_token.slice(0, 23)}${'x'.repeat(22)}`, oauth_token_secret: 'x' }
  const at = (request: ProtocolRequest) => ({ ...request, address })
  const guard = (signer: Signer, more: SignOptions = {}) => resource(server, at(signed(resourceUrl, signer, more)))
  const protocol = { oauth_nonce: 'same' }
  await guard({ ...client, token }, { protocol })
  for (let i = 0; i < 25; i++) {
    expect((await guard({ ...client, token: revoked })).status).toBe(401)
    expect((await guard({ client_id: 'unknown', client_secret: 'x', token: revoked })).status).toBe(401)
    expect((await guard({ ...client, token }, { timestamp: start - 601 })).status).toBe(400)
    expect((await guard({ ...client, token }, { protocol })).status).toBe(401)
    expect((await guard({ ...client, token }, { protocol: { oauth_version: '2.0' } })).status).toBe(400)
    if (i < 9) {
      const exchange = exchangeRequest(server, { ...pending, oauth_verifier: 'wrong' })
      expect((await createAccessTokenResponse(server.options, at(exchange))).status).toBe(401)
    }
  }
  expect((await guard({ ...client, token })).status).toBe(200)
})

test('X18 d: the guard and the token endpoint count too, all of them together', async () => {
  const server = oauth1Server()
  const token = await tokenFor(server)
  const pending = await authorized(server)
  await statuses(7, () => ask(server, wrong))
  await statuses(7, async () => resource(server, { ...signed(resourceUrl, { ...wrong, token }), address }))
  await statuses(6, () => createAccessTokenResponse(server.options, { ...exchangeRequest(server, pending, wrong), address }))
  expect(await resource(server, { ...signed(resourceUrl, { ...client, token }), address })).toEqual(tooMany)
  expect(await createAccessTokenResponse(server.options, { ...exchangeRequest(server, pending), address })).toEqual(tooMany)
  // Two-legged requests are the plainest way to try a secret.
  const configuration = configureOAuth1(server.options)
  const twoLegged = { ...signed(resourceUrl, client), address }
  await expect(checkOAuth1(configuration, twoLegged, { realms: [], twoLegged: true })).rejects.toMatchObject({ status: 429 })
})

test('X18 d: of many guesses at the same time no more are told than of as many in a row', async () => {
  const server = oauth1Server()
  const answers = await Promise.all(Array.from({ length: 60 }, () => ask(server, wrong)))
  expect(answers.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(20)
})

test('X18 d: failedAuthenticationLimit is an option: a number, a counter, or false', async () => {
  expect(
    await statuses(
      5,
      (
        (server) => () =>
          ask(server, wrong)
      )(oauth1Server({ failedAuthenticationLimit: 3 })),
    ),
  ).toEqual({ 401: 3, 429: 2 })
  expect(
    await statuses(
      50,
      (
        (server) => () =>
          ask(server, wrong)
      )(oauth1Server({ failedAuthenticationLimit: false })),
    ),
  ).toEqual({ 401: 50 })
  const keys: string[] = []
  const counter: FailureCounter = { retryAfter: () => Promise.resolve(keys.length < 2 ? 0 : 17), failed: (key) => void keys.push(key) }
  const server = oauth1Server({ failedAuthenticationLimit: counter })
  expect(await statuses(2, () => ask(server, wrong))).toEqual({ 401: 2 })
  expect(await ask(server)).toMatchObject({ status: 429, headers: { 'Retry-After': '17' } })
  expect(keys.join()).not.toContain(client.client_id)
  for (const failedAuthenticationLimit of [0, 1.5, -1, '20', true, null, {}, { retryAfter: () => 0 }]) {
    const options = { ...server.options, failedAuthenticationLimit: failedAuthenticationLimit as false }
    expect(() => configureOAuth1(options)).toThrow(/^failedAuthenticationLimit must be /)
  }
})

test('X18 d: without an address there is no limit: a name alone is never locked', async () => {
  const server = oauth1Server()
  expect(await statuses(30, () => initiate(server, wrong))).toEqual({ 401: 30 })
})

test('X18 d: over HTTP the address is that of the peer, or the one that a trusted proxy names', async () => {
  const warned = jest.spyOn(console, 'warn').mockImplementation(() => undefined)
  const resources = new Resources()
  const options = oauth1Server({ allowInsecureTransport: true, failedAuthenticationLimit: 2 }).options
  const trusting = { ...options, trustProxy: (from: string) => from === '127.0.0.1' }
  try {
    for (const [used, expected] of [
      [options, [401, 401, 429, 429]],
      [trusting, [401, 401, 429, 200]],
    ] as const) {
      const { url } = await resources.listen(temporaryCredentialsHandler(used))
      const send = async (signer: Signer, from: string) => {
        const { headers } = signed(`${url}/`, signer, { protocol: { oauth_callback: callback } })
        const forwarded = { ...(headers as Record<string, string>), 'x-forwarded-for': `198.51.100.1, ${from}\t` }
        return (await fetch(url, { method: 'POST', headers: forwarded })).status
      }
      const answers = [
        await send(wrong, address),
        await send(wrong, address),
        await send(client, address),
        await send(client, '203.0.113.10'),
      ]
      expect(answers).toEqual(expected)
    }
  } finally {
    await resources.close()
    warned.mockRestore()
  }
})

/** Exchanges with that verifier. */
function verify(server: OAuth1Server, pending: Awaited<ReturnType<typeof authorized>>, oauth_verifier = pending.oauth_verifier) {
  return createAccessTokenResponse(server.options, exchangeRequest(server, { ...pending, oauth_verifier }))
}

test('SM1 oob: oobVerifierDigits makes a verifier that a person can type; other callbacks keep the long one', async () => {
  const server = oauth1Server({ oobVerifierDigits: 6 })
  const oob = () => authorized(server, client, { protocol: { oauth_callback: 'oob' } })
  const pending = await oob()
  expect(pending.oauth_verifier).toMatch(/^[0-9]{6}$/)
  expect((await authorized(server)).oauth_verifier).toMatch(/^[\w-]{22}$/)
  expect((await verify(server, pending)).status).toBe(200)
  expect((await verify(server, pending)).status).toBe(401)
  const verifiers = await Promise.all(Array.from({ length: 40 }, oob))
  expect(new Set(verifiers.map(({ oauth_verifier }) => oauth_verifier)).size).toBeGreaterThan(35)
  const longest = await authorized(oauth1Server({ oobVerifierDigits: 22 }), client, { protocol: { oauth_callback: 'oob' } })
  expect(longest.oauth_verifier).toMatch(/^[0-9]{22}$/)
  for (const oobVerifierDigits of [5, 23, 6.5, '6'])
    expect(() => configureOAuth1({ ...server.options, oobVerifierDigits: oobVerifierDigits as number })).toThrow(
      /^oobVerifierDigits must be a whole number from 6 to 22/,
    )
})

test('SM1 nothing in the store tells a verifier of digits to whoever tries them all', async () => {
  const { store, written } = recording(memoryStore({ clock: () => start }))
  const server = oauth1Server({ store, oobVerifierDigits: 6 })
  const { oauth_verifier, token } = await authorized(server, client, { protocol: { oauth_callback: 'oob' } })
  const { createHash } = await import('node:crypto')
  const [, hash] = /"verifierHash":"([^"]+)"/.exec(written.join()) ?? []
  expect(hash).toMatch(/^[\w-]{43}$/)
  for (const text of [oauth_verifier, `${token.oauth_token.slice(0, 22)}${oauth_verifier}`])
    expect(createHash('sha256').update(text).digest('base64url')).not.toBe(hash)
  expect(written.join()).not.toContain(oauth_verifier)
})

test('SM1 nine wrong verifiers are forgiven, ten end the temporary credentials', async () => {
  const server = oauth1Server({ oobVerifierDigits: 6 })
  const pending = await authorized(server, client, { protocol: { oauth_callback: 'oob' } })
  expect(await statuses(9, () => verify(server, pending, 'wrong'))).toEqual({ 401: 9 })
  const forgiven = await authorized(server)
  expect(await statuses(9, () => verify(server, forgiven, 'wrong'))).toEqual({ 401: 9 })
  expect((await verify(server, forgiven)).status).toBe(200)

  expect(await verify(server, pending, 'wrong')).toMatchObject({ status: 401, body: '' })
  expect(server.events.at(-1)).toMatchObject({ reason: 'wrong verifier, once too often: the temporary credentials have ended' })
  expect(await verify(server, pending)).toMatchObject({ status: 401, body: '' })
})

test('SM1 the count is in the store: other processes go on with it, and nothing lengthens the life of the credentials', async () => {
  const { store, written } = recording(memoryStore({ clock: () => start }))
  const servers = [oauth1Server({ store }), oauth1Server({ store }), oauth1Server({ store })] as const
  const pending = await authorized(servers[0])
  for (let i = 0; i < 10; i++) expect((await verify(servers[i % 2 === 0 ? 1 : 2], pending, 'wrong')).status).toBe(401)
  expect((await verify(servers[0], pending)).status).toBe(401)
  const ends = written.filter((record) => record.includes('"oauth1"')).map((record) => /"endsAt":(\d+).*/.exec(record)?.[1])
  expect(new Set(ends)).toEqual(new Set([String(start + 600)]))
})

test('SM1 100 wrong verifiers at once: each is counted, and the right one comes too late', async () => {
  const store = memoryStore({ clock: () => start })
  // Answers come in another order than the questions: everybody reads the same version.
  const slow = { ...store, get: async (id: string) => (await new Promise((resolve) => setImmediate(resolve)), store.get(id)) }
  const server = oauth1Server({ store: slow })
  const pending = await authorized(server)
  const answers = await Promise.all(Array.from({ length: sizes.contestants }, () => verify(server, pending, 'wrong')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]))
  expect((await verify(server, pending)).status).toBe(401)
})

test('SM1 a right verifier among wrong ones at the same time is not refused for their sake', async () => {
  const store = memoryStore({ clock: () => start })
  const server = oauth1Server({ store })
  const pending = await authorized(server)
  const answers = await Promise.all([...Array.from({ length: 8 }, () => verify(server, pending, 'wrong')), verify(server, pending)])
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 401, 401, 401, 200])
})

test('SM1 only who signs rightly is counted: nobody ends the credentials of others', async () => {
  const server = oauth1Server()
  const pending = await authorized(server)
  for (let i = 0; i < 15; i++) {
    const exchange = exchangeRequest(server, { ...pending, oauth_verifier: 'wrong' }, { ...client, client_secret: 'wrong' })
    expect((await createAccessTokenResponse(server.options, exchange)).status).toBe(401)
  }
  expect((await verify(server, pending)).status).toBe(200)
})

test('SM1 a wrong verifier whose count cannot be written is 503, and is told nothing', async () => {
  const store = memoryStore({ clock: () => start })
  let fails = false
  const server = oauth1Server({
    store: { ...store, replace: (record, version) => (fails ? Promise.reject(new Error('down')) : store.replace(record, version)) },
  })
  const pending = await authorized(server)
  fails = true
  expect([(await verify(server, pending, 'wrong')).status, (await verify(server, pending)).status]).toEqual([503, 503])
  fails = false
  expect((await verify(server, pending)).status).toBe(200)
})

const noRoom = { status: 503, body: 'error=temporarily_unavailable&error_description=too+many+requests' }

test('X2 temporary credentials of one network are bounded in bytes; another network, and tokens, go on', async () => {
  const { store, written } = recording(memoryStore({ clock: () => start }))
  const server = oauth1Server({ store, temporaryCredentialsShare: 4096 })
  expect(await statuses(20, () => ask(server))).toEqual({ 200: 3, 503: 17 })
  const before = written.length
  const refused = await ask(server)
  expect(refused).toMatchObject(noRoom)
  expect(Number(refused.headers['Retry-After'])).toBeGreaterThan(0)
  expect(server.events.at(-1)).toMatchObject({ type: 'request.failed', reason: 'no room for more temporary credentials from this address' })
  // Nothing was stored, not even the nonce: the same request may come again.
  expect(written.length).toBe(before)
  expect((await ask(server, client, '203.0.113.10')).status).toBe(200)
  expect((await initiate(server)).status).toBe(200)
  server.now = start + 610
  expect((await ask(server)).status).toBe(200)
})

test('X2 a wrong signature takes no room, and neither does a request that is refused', async () => {
  const server = oauth1Server({
    temporaryCredentialsShare: 4096,
    failedAuthenticationLimit: false,
    realms: ['a'],
    clients: [{ ...client, realms: [] }],
  })
  const room = configureOAuth1(server.options).temporaryRoom
  await statuses(10, () => ask(server, wrong))
  await statuses(10, () => ask(server, client, address, { protocol: { oauth_callback: 'javascript:1' } }))
  await statuses(10, () => ask(server, client, address, { timestamp: start - 601 }))
  expect(room.used).toBe(0)
  const protocol = { oauth_nonce: 'the same' }
  expect(await statuses(10, () => ask(server, client, address, { protocol }))).toEqual({ 200: 1, 401: 9 })
  expect(room.used).toBeLessThan(1300)
})

test('X2 a user who agrees frees the room: a busy client is not held up', async () => {
  const server = oauth1Server({ temporaryCredentialsShare: 4096 })
  for (let i = 0; i < 30; i++) {
    const { oauth_token = '' } = formOf(await ask(server))
    await authorizeTemporaryCredentials(server.options, { oauth_token, subject: 'alice' })
  }
  expect(configureOAuth1(server.options).temporaryRoom.used).toBe(0)
})

test('X2 a long callback takes its bytes, and the longest that may be is 2,000', async () => {
  const server = oauth1Server({ temporaryCredentialsShare: 4096 })
  const long = `https://client.example/${'x'.repeat(1900)}`
  const more = { protocol: { oauth_callback: long } }
  expect(await statuses(5, () => ask(server, client, address, more))).toEqual({ 200: 1, 503: 4 })
  expect((await ask(server, client, address, { protocol: { oauth_callback: `${long}${'x'.repeat(100)}` } })).status).toBe(400)
})

test('X2 no request lengthens the life of temporary credentials', async () => {
  const server = oauth1Server({ temporaryCredentialsLifetime: 60 })
  const pending = await authorized(server)
  for (let at = start; at < start + 60; at += 10) {
    server.now = at
    expect((await verify(server, pending, 'wrong')).status).toBe(401)
  }
  server.now = start + 60
  expect((await verify(server, pending)).status).toBe(401)
  expect(server.events.at(-1)).toMatchObject({ reason: 'the token has expired' })
})

test('X2 many addresses: all of it stays in its room, and the last ones are still served', async () => {
  const store = memoryStore({ clock: () => start })
  const server = oauth1Server({ store, temporaryCredentialsShare: 4096, failedAuthenticationLimit: false })
  const { issued, refused, used } = await fillWithTemporaryCredentials(server, { credentials: 250, addresses: 15 })
  expect(issued + refused).toBe(250)
  expect(issued).toBe(45)
  expect(used).toBeLessThanOrEqual(16 * 4096)
  expect((await ask(server, client, '198.51.100.7')).status).toBe(200)
})

test('X2 temporaryCredentialsShare is an option', () => {
  for (const temporaryCredentialsShare of [0, 4095, 1.5, '4096'])
    expect(() => configureOAuth1({ ...oauth1Server().options, temporaryCredentialsShare: temporaryCredentialsShare as number })).toThrow(
      /^temporaryCredentialsShare must be a whole number from 4096 /,
    )
})

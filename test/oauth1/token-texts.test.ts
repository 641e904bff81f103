/** SM1: texts of `oauth_token` that the application writes. */
import { expect, test } from '@jest/globals'
import { memoryStore, type ProtocolResponse } from '../../src/index.js'
import {
  authorizeTemporaryCredentials,
  createAccessTokenResponse,
  findTemporaryCredentials,
  revokeTokenCredentials,
  type OAuth1Options,
  type OAuth1TokenRequest,
} from '../../src/oauth1/index.js'
import {
  authorized,
  callback,
  client,
  exchangeRequest,
  formOf,
  initiate,
  oauth1Server,
  recording,
  resource,
  resourceUrl,
  signed,
  start,
  tokenFor,
} from './support.js'

/** Texts with a number in them. */
function numbered(): NonNullable<OAuth1Options['tokens']> {
  let count = 0
  return async ({ kind }) => {
    await Promise.resolve()
    return `acme_${kind}-${++count}.~+/=`
  }
}

test('SM1 the option tokens writes the texts of both kinds, and they work everywhere', async () => {
  const asked: OAuth1TokenRequest[] = []
  const write = numbered()
  const server = oauth1Server({ realms: ['pics'], tokens: (token) => (asked.push(token), write(token)) })
  const { oauth_token = '', oauth_token_secret = '' } = formOf(await initiate(server))
  expect(oauth_token).toBe('acme_temporary-1.~+/=')
  expect(oauth_token_secret).toMatch(/^[\w-]{43}$/)
  expect(await findTemporaryCredentials(server.options, oauth_token)).toMatchObject({ callback })
  const { oauth_verifier, redirect } = await authorizeTemporaryCredentials(server.options, { oauth_token, subject: 'alice' })
  expect(new URL(redirect ?? '').searchParams.get('oauth_token')).toBe(oauth_token)
  const request = exchangeRequest(server, { token: { oauth_token, oauth_token_secret }, oauth_verifier })
  const token = formOf(await createAccessTokenResponse(server.options, { ...request, context: { tenant: 'acme' } })) as {
    oauth_token: string
    oauth_token_secret: string
  }
  expect(token.oauth_token).toBe('acme_token-2.~+/=')
  const ask = () => resource(server, signed(resourceUrl, { ...client, token }))
  expect(await ask()).toMatchObject({ status: 200, auth: { subject: 'alice', token: token.oauth_token } })
  expect(asked).toEqual([
    { kind: 'temporary', client_id: client.client_id, realms: ['pics'], expiresAt: start + 600, context: {} },
    {
      kind: 'token',
      client_id: client.client_id,
      subject: 'alice',
      realms: ['pics'],
      expiresAt: start + 31_536_000,
      context: { tenant: 'acme' },
    },
  ])
  expect(await revokeTokenCredentials(server.options, token.oauth_token)).toBe(true)
  expect((await ask()).status).toBe(401)
})

test('SM1 tokens with an id inside, of before the option was there, go on', async () => {
  const before = oauth1Server()
  const token = await tokenFor(before)
  const server = oauth1Server({ store: before.store, tokens: numbered() })
  expect((await resource(server, signed(resourceUrl, { ...client, token }))).status).toBe(200)
  const unknown = { oauth_token: 'never-issued', oauth_token_secret: 'x' }
  expect((await resource(server, signed(resourceUrl, { ...client, token: unknown }))).status).toBe(401)
})

test('SM1 the store holds no text of them', async () => {
  const { store, written } = recording(memoryStore({ clock: () => start }))
  await tokenFor(oauth1Server({ store, tokens: numbered() }))
  expect(written.join()).not.toMatch(/acme_/)
})

test('SM1 a text that was there before is a server error, and nothing is issued', async () => {
  let text = 'first'
  const server = oauth1Server({ tokens: ({ kind }) => (kind === 'temporary' ? text : 'the-same') })
  const one = await authorized(server)
  expect((await initiate(server)).status).toBe(500)
  expect(server.events.at(-1)).toMatchObject({
    type: 'request.failed',
    reason: 'the option tokens repeated itself: its text belongs to other credentials',
  })
  text = 'second'
  const two = await authorized(server)
  const exchange = (pending: typeof one): Promise<ProtocolResponse> =>
    createAccessTokenResponse(server.options, exchangeRequest(server, pending))
  expect((await exchange(one)).status).toBe(200)
  expect(await exchange(two)).toMatchObject({ status: 500, body: /^error=server_error/ })
  expect(server.events.filter(({ type }) => type === 'token.issued')).toHaveLength(1)
})

const noText = 'the option tokens must return a text of at most 1000 letters, digits and -._~+/'

test.each<[string, unknown, string?]>([
  ['a text with a space', 'a b'],
  ['a text outside ASCII', 'tökën'],
  ['an empty text', ''],
  ['a text of 1,001 characters', 'x'.repeat(1001)],
  ['no text', 7],
  ['nothing', undefined],
  [
    'a text that looks like one of the server',
    `${'a'.repeat(22)}.${'b'.repeat(22)}`,
    'the option tokens answered a text of the form <22 characters>.<22 characters>, which the server keeps',
  ],
])('SM1 a generator that answers %s is a server error, and nothing is stored', async (_title, answer, reason = noText) => {
  const { store, written } = recording(memoryStore({ clock: () => start }))
  const server = oauth1Server({ store, tokens: () => answer as string })
  expect((await initiate(server)).status).toBe(500)
  // The nonce was claimed: it is a proof that was shown.
  expect(written.filter((record) => !record.includes('"guard"'))).toEqual([])
  expect(server.events.at(-1)?.reason).toBe(reason)
})

test('SM1 a generator that takes too long is 503', async () => {
  const server = oauth1Server({ callbackTimeout: 20, tokens: () => new Promise(() => undefined) })
  expect((await initiate(server)).status).toBe(503)
})

test('SM1 an alias belongs to its issuer', async () => {
  const store = memoryStore({ clock: () => start })
  const one = oauth1Server({ store, issuer: 'https://one.example', tokens: () => 'shared-text' })
  const two = oauth1Server({ store, issuer: 'https://two.example', tokens: () => 'shared-text' })
  const { oauth_token = '' } = formOf(await initiate(one))
  expect(await findTemporaryCredentials(two.options, oauth_token)).toBeUndefined()
  expect((await initiate(two)).status).toBe(200)
  expect(await findTemporaryCredentials(two.options, oauth_token)).toBeDefined()
})

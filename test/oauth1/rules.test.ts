/** What functions of the application say about token credentials, and about which client asks: SW2, SM6, SM2. */
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import express from 'express'
import { AccessDenied, createTokenResponse, InvalidClient, InvalidScope, type ProtocolResponse } from '../../src/index.js'
import {
  createAccessTokenResponse,
  createTemporaryCredentialsResponse,
  oauth1TokenGrant,
  requireOAuth1,
  temporaryCredentialsHandler,
  type IssuedTokenCredentials,
  type OAuth1Client,
  type OAuth1Options,
} from '../../src/oauth1/index.js'
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
  resource,
  resourceUrl,
  signed,
  tokenFor,
  tokenUrl,
  type OAuth1Server,
} from './support.js'

const resources = new Resources()
beforeEach(() => {
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
})
afterEach(async () => {
  jest.restoreAllMocks()
  await resources.close()
})

const realms = ['movies', 'pics', 'mail']
const unauthorized = {
  status: 401,
  headers: { 'Cache-Control': 'no-store', Pragma: 'no-cache', 'WWW-Authenticate': 'OAuth realm="oauth1"' },
  body: '',
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

type Pending = Awaited<ReturnType<typeof authorized>>

function exchange(server: OAuth1Server, pending: Pending, context = {}): Promise<ProtocolResponse> {
  return createAccessTokenResponse(server.options, { ...exchangeRequest(server, pending), context })
}

test('SW2 an asynchronous responseParameters is awaited, and its members are in the answer', async () => {
  const server = oauth1Server({
    realms,
    responseParameters: async ({ client_id, subject, realms: granted, context }) => {
      await sleep(2)
      return { user: subject, client_id, count: granted.length, isNew: true, tenant: String(context.tenant) }
    },
  })
  const { status, body } = await exchange(server, await authorized(server), { tenant: 'acme' })
  expect(status).toBe(200)
  expect(body).toMatch(
    /^oauth_token=[\w.-]{45}&oauth_token_secret=[\w-]{43}&oauth_authorized_realms=movies\+pics\+mail&user=alice&client_id=dpf43f3p2l4k3l03&count=3&isNew=true&tenant=acme$/,
  )
})

test.each([
  ['rejects', () => Promise.reject(new Error('database password')), 500],
  ['rejects with an exported error', () => Promise.reject(new AccessDenied()), 403],
  ['resolves to no object', () => Promise.resolve('text' as unknown as Record<string, string>), 500],
  ['resolves to a member of the protocol', () => Promise.resolve({ oauth_token: 'x' }), 500],
  ['resolves to a promise in a member', () => Promise.resolve({ a: Promise.resolve('x') as unknown as string }), 500],
  ['never settles', () => new Promise<Record<string, string>>(() => undefined), 503],
])('SW2 a responseParameters that %s: the answer says so, and nothing is spent', async (_title, answer, status) => {
  let fails = true
  const server = oauth1Server({ callbackTimeout: 20, responseParameters: () => (fails ? answer() : { user_id: 7 }) })
  const pending = await authorized(server)
  const refused = await exchange(server, pending)
  expect(refused.status).toBe(status)
  expect(refused.body).not.toContain('password')
  fails = false
  expect(formOf(await exchange(server, pending))).toMatchObject({ user_id: '7' })
})

test('SM6 authorize is asked before the exchange, and what it returns is what the token is good for', async () => {
  const asked: IssuedTokenCredentials[] = []
  const told: IssuedTokenCredentials[] = []
  const server = oauth1Server({
    realms,
    authorize: async (token) => {
      asked.push(token)
      await sleep(1)
      return ['mail', 'movies', 'movies']
    },
    responseParameters: (token) => {
      told.push(token)
      return {}
    },
  })
  const response = await exchange(server, await authorized(server), { tenant: 'acme' })
  expect(formOf(response)).toMatchObject({ oauth_authorized_realms: 'movies mail' })
  expect(asked).toEqual([{ client_id: client.client_id, subject: 'alice', realms, context: { tenant: 'acme' } }])
  expect(told[0]?.realms).toEqual(['movies', 'mail'])
  const token = formOf(response) as { oauth_token: string; oauth_token_secret: string }
  const ask = (realm: string) => resource(server, signed(resourceUrl, { ...client, token }), { realms: [realm] })
  expect([(await ask('movies')).status, (await ask('pics')).status, (await ask('mail')).status]).toEqual([200, 403, 200])
})

test('SM6 authorize that returns nothing leaves the realms as they are, also where there are none', async () => {
  const server = oauth1Server({ realms, authorize: () => undefined })
  expect(formOf(await exchange(server, await authorized(server))).oauth_authorized_realms).toBe('movies pics mail')
  const without = oauth1Server({ authorize: () => [] })
  expect((await exchange(without, await authorized(without))).status).toBe(200)
})

test.each<[string, OAuth1Options['authorize'], Partial<ProtocolResponse>]>([
  [
    'an exported error',
    () => {
      throw new AccessDenied('not on this plan')
    },
    { status: 403, body: 'error=access_denied&error_description=not+on+this+plan' },
  ],
  ['a rejection', () => Promise.reject(new InvalidScope()), { status: 400 }],
  // The 401 of OAuth 2 has a challenge that means nothing to a client of OAuth 1.
  [
    'an error that is a 401',
    () => {
      throw new InvalidClient()
    },
    unauthorized,
  ],
  ['none of the realms', () => [], { status: 403, body: 'error=access_denied&error_description=the+request+was+denied' }],
  ['a realm more', () => ['movies', 'secret'], { status: 500 }],
  ['a realm of the server that the user did not grant', () => ['pics'], { status: 500 }],
  ['a text', () => 'movies' as unknown as string[], { status: 500 }],
  ['null', () => null as unknown as string[], { status: 500 }],
  ['something thrown', () => Promise.reject(new Error('database password')), { status: 500 }],
  ['nothing, ever', () => new Promise<string[]>(() => undefined), { status: 503 }],
])('SM6 authorize that answers %s refuses, and nothing is spent', async (_title, answer, expected) => {
  let refuses = true
  const server = oauth1Server({
    realms,
    clients: [{ ...client, realms: ['movies'] }],
    callbackTimeout: 20,
    authorize: (token) => (refuses ? answer?.(token) : undefined),
  })
  const pending = await authorized(server)
  const refused = await exchange(server, pending)
  expect(refused).toMatchObject(expected)
  expect(refused.body).not.toContain('password')
  refuses = false
  expect(formOf(await exchange(server, pending)).oauth_authorized_realms).toBe('movies')
})

test('SM6 authorize is not asked where verifier or signature are wrong', async () => {
  let count = 0
  const server = oauth1Server({
    authorize: () => {
      count++
      return undefined
    },
  })
  const pending = await authorized(server)
  expect((await exchange(server, { ...pending, oauth_verifier: 'wrong' })).status).toBe(401)
  await createAccessTokenResponse(server.options, exchangeRequest(server, pending, { ...client, client_secret: 'wrong' }))
  expect(count).toBe(0)
})

test('SM6 available: false answers both endpoints 503 with Retry-After, before anything is looked at', async () => {
  let isOpen = false
  const server = oauth1Server({ available: () => isOpen })
  const unavailable = {
    status: 503,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Cache-Control': 'no-store', Pragma: 'no-cache', 'Retry-After': '1' },
    body: 'error=temporarily_unavailable&error_description=the+server+is+temporarily+unable+to+answer',
  }
  expect(await initiate(server)).toEqual(unavailable)
  expect(server.events.at(-1)).toMatchObject({
    type: 'request.failed',
    endpoint: 'temporary credentials',
    reason: 'the option available answered false; let it return true where the server should answer',
  })
  isOpen = true
  const pending = await authorized(server)
  isOpen = false
  expect(await exchange(server, pending)).toEqual(unavailable)
  isOpen = true
  expect((await exchange(server, pending)).status).toBe(200)
})

test('SM2 context reaches the look-up of clients: at both endpoints, at the guard, in the grant', async () => {
  const seen: unknown[] = []
  const clients = (client_id: string, { context }: { readonly context: Readonly<Record<string, unknown>> }): OAuth1Client | undefined => {
    seen.push(context.tenant)
    return context.tenant === 'acme' && client_id === client.client_id ? client : undefined
  }
  const options: Partial<OAuth1Options> = {
    clients,
    context: (req: { headers: Record<string, string> }) => ({ tenant: req.headers.tenant }),
  }
  const server = oauth1Server(options)
  const ask = (tenant?: string) =>
    createTemporaryCredentialsResponse(server.options, {
      ...signed(initiateUrl, client, { protocol: { oauth_callback: callback } }),
      ...(tenant === undefined ? {} : { context: { tenant } }),
    })
  expect([(await ask('acme')).status, (await ask('other')).status, (await ask()).status]).toEqual([200, 401, 401])
  expect(seen).toEqual(['acme', 'other', undefined])

  const plain = oauth1Server({ store: server.store })
  const pending = await authorized(plain)
  expect((await exchange(server, pending, { tenant: 'other' })).status).toBe(401)
  const token = formOf(await exchange(server, pending, { tenant: 'acme' })) as { oauth_token: string; oauth_token_secret: string }

  const oauth2 = {
    clients: [{ client_id: client.client_id, client_secret: 'x', grant_types: ['urn:x-oauth2-token-handler:oauth1-token'] }],
    grants: [oauth1TokenGrant(server.options)],
  }
  const form = [
    ['grant_type', 'urn:x-oauth2-token-handler:oauth1-token'],
    ['client_id', client.client_id],
    ['client_secret', 'x'],
  ] as const
  const grant = (tenant: string) =>
    createTokenResponse(oauth2, { ...signed(tokenUrl, { ...client, token }, { form }), context: { tenant } })
  expect([(await grant('acme')).status, (await grant('other')).status]).toEqual([200, 400])

  const app = express()
  app.use('/initiate', temporaryCredentialsHandler({ ...server.options, allowInsecureTransport: true }))
  app.use('/photos', requireOAuth1({ ...server.options, allowInsecureTransport: true }), (_req, res) => void res.send('photos'))
  const { url } = await resources.listen(app)
  const overHttp = async (path: string, tenant: string, signer: Parameters<typeof signed>[1]) => {
    const { headers } = signed(url + path, signer, { method: 'GET', protocol: { oauth_callback: callback } })
    return (await fetch(url + path, { headers: { ...(headers as Record<string, string>), tenant } })).status
  }
  expect(await overHttp('/initiate', 'acme', client)).toBe(200)
  expect(await overHttp('/initiate', 'other', client)).toBe(401)
  expect(await overHttp('/photos', 'acme', { ...client, token })).toBe(200)
  expect(await overHttp('/photos', 'other', { ...client, token })).toBe(401)
})

test('SM6 a context that does not come in time is 503, at the endpoints and at the guard', async () => {
  const server = oauth1Server({ allowInsecureTransport: true, callbackTimeout: 20, context: () => new Promise(() => undefined) })
  const token = await tokenFor(oauth1Server({ store: server.store }))
  const app = express()
  app.use('/initiate', temporaryCredentialsHandler(server.options))
  app.use('/photos', requireOAuth1(server.options), (_req, res) => void res.send('photos'))
  const { url } = await resources.listen(app)
  for (const path of ['/initiate', '/photos']) {
    const { headers } = signed(url + path, { ...client, token }, { method: 'GET' })
    expect((await fetch(url + path, { headers: headers as Record<string, string> })).status).toBe(503)
  }
})

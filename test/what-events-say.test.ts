/** What an event says beside its reason: how long it took, who and from where, what was asked for and what would have been right. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import {
  authorizationHandler,
  createIntrospectionResponse,
  createTokenResponse,
  memoryStore,
  requireAccessToken,
  type ServerEvent,
  type StoreCall,
  type Store,
} from '../src/index.js'
import { listen } from './support/listen.js'
import { basic, code_challenge, exchange, formRequest, machine, parsed, redirect_uri, testServer, web } from './support/server.js'

const form = { grant_type: 'client_credentials' }
const address = '192.0.2.7'
const wrong = basic({ client_id: 'machine', client_secret: 'wrong' })

beforeEach(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
  jest.spyOn(console, 'error').mockReturnValue()
})
afterEach(() => {
  jest.restoreAllMocks()
})

describe('duration', () => {
  test('OP24 stands in token.issued, token.repeated, request.refused and request.failed, and nowhere else', async () => {
    const inner = memoryStore()
    let isDown = false
    const get: Store['get'] = async (id) => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (isDown) throw new Error('down')
      return inner.get(id)
    }
    const server = testServer({ store: { ...inner, get } })
    const { refresh_token } = await server.tokens()
    await server.refresh(refresh_token)
    await server.refresh(refresh_token)
    await server.token({ grant_type: 'authorization_code', code: 'x' }, basic(web))
    isDown = true
    await server.refresh(refresh_token)
    const told = server.events.map(({ type, duration }) => [type, typeof duration])
    expect(told).toEqual([
      ['code.issued', 'undefined'],
      ['token.issued', 'number'],
      ['token.issued', 'number'],
      ['token.repeated', 'number'],
      ['request.refused', 'number'],
      ['request.failed', 'number'],
    ])
    for (const { type, duration = 0 } of server.events.filter(({ type }) => type.startsWith('token.') || type === 'request.failed')) {
      expect([type, duration >= 18 && duration < 2000]).toEqual([type, true])
    }
  })

  test('OP24 of a request with startedAt counts from there', async () => {
    const server = testServer()
    await createTokenResponse(server.options, { ...formRequest(form, basic(machine)), startedAt: performance.now() - 500 })
    expect(server.events[0]?.duration).toBeGreaterThanOrEqual(500)
  })
})

describe('the channel of the store', () => {
  async function callsOf(work: () => Promise<unknown>): Promise<StoreCall[]> {
    const calls: StoreCall[] = []
    const note = (call: unknown) => void calls.push(call as StoreCall)
    subscribe('oauth2-token-handler:store', note)
    try {
      await work()
    } finally {
      unsubscribe('oauth2-token-handler:store', note)
    }
    return calls
  }

  test('OP24 tells verb, milliseconds and outcome of each call', async () => {
    const server = testServer()
    const calls = await callsOf(async () => server.refresh((await server.tokens()).refresh_token))
    expect(calls.map(({ verb, outcome }) => `${verb} ${outcome}`)).toEqual([
      'create ok', 'get ok', 'replace ok', 'get ok', 'replace ok',
    ]) // prettier-ignore
    for (const call of calls) expect(call).toEqual({ verb: expect.any(String), ms: expect.any(Number), outcome: 'ok' })
  })

  test('OP24 tells what failed, what was late, and what was refused unsent', async () => {
    const failing = testServer({ store: { ...memoryStore(), create: () => Promise.reject(new Error('no')) } })
    const late = testServer({ storeTimeout: 400, storeConcurrency: 1, store: { ...memoryStore(), create: () => new Promise(() => {}) } })
    const calls = await callsOf(async () => {
      await failing.token(form, basic(machine))
      await Promise.all([late.token(form, basic(machine)), late.token(form, basic(machine))])
    })
    expect(calls.map(({ verb, outcome }) => `${verb} ${outcome}`)).toEqual(['create failed', 'create refused', 'create timeout'])
    expect(calls[2]?.ms).toBeGreaterThanOrEqual(390)
  })

  test('OP24 the other channel stays as it is', async () => {
    const events: unknown[] = []
    const note = (event: unknown) => void events.push(event)
    subscribe('oauth2-token-handler', note)
    const server = testServer()
    await server.token(form, basic(machine))
    unsubscribe('oauth2-token-handler', note)
    expect(events).toEqual(server.events)
  })
})

describe('a refusal', () => {
  const ask = async (server: ReturnType<typeof testServer>, headers: Record<string, string>) =>
    parsed(await createTokenResponse(server.options, { ...formRequest(form, headers), address }))

  test('OP11 names the client that the registry has found, and the address; never a client that nobody knows', async () => {
    const server = testServer({ clients: [machine, { ...web, disabled: true }] })
    await ask(server, wrong)
    await ask(server, basic(web))
    await ask(server, basic({ client_id: 'stranger', client_secret: 'x' }))
    expect(server.events.map(({ reason, client_id, address }) => ({ reason, client_id, address }))).toEqual([
      { reason: 'wrong or expired client secret', client_id: 'machine', address },
      { reason: 'the client is disabled', client_id: 'web', address },
      { reason: 'unknown client', client_id: undefined, address },
    ])
    expect(JSON.stringify(server.events)).not.toContain('stranger')
  })

  test('OP11 for too many failures names the client too, where it was found before', async () => {
    const server = testServer()
    const stranger = basic({ client_id: 'stranger', client_secret: 'x' })
    for (let count = 0; count < 21; count++) for (const headers of [wrong, stranger]) await ask(server, headers)
    const tooMany = server.events.filter(({ status }) => status === 429)
    expect(tooMany.map(({ client_id, address }) => ({ client_id, address }))).toEqual([
      { client_id: 'machine', address },
      { client_id: undefined, address },
    ])
    const answer = await ask(server, wrong)
    expect(answer).toMatchObject({
      status: 429,
      headers: { 'Retry-After': expect.any(String) },
      json: { error: 'temporarily_unavailable' },
    })
    expect(answer.body).not.toContain('machine')
  })

  test('OP11 the guard: each refusal has the address, and one of something that no guard reads says where it was', async () => {
    const server = testServer({ trustProxy: () => true })
    const app = express()
    app.use('/optional', requireAccessToken(server.options, { optional: true }), (_req, res) => void res.json({}))
    app.use('/failing', requireAccessToken(server.options, { scope: () => 'hunter2' }))
    app.use(express.urlencoded(), requireAccessToken(server.options))
    const { url, close } = await listen(app)
    const ask = (path: string, headers: Record<string, string> = {}, init: RequestInit = {}) =>
      fetch(url + path, { ...init, headers: { 'x-forwarded-for': address, ...headers } })
    const inBody = { method: 'POST', body: new URLSearchParams({ access_token: 'hunter2' }) }
    for (const answer of [
      await ask('/', { authorization: 'Token hunter2' }),
      await ask('/', { authorization: 'hunter2' }),
      await ask('/?access_token=hunter2'),
      await ask('/', {}, inBody),
    ])
      expect([answer.status, await answer.text()]).toEqual([401, '{}'])
    await ask('/', { authorization: 'Bearer hunter2' })
    await ask('/failing', { authorization: 'Bearer hunter2' })
    // Nothing to tell: no token at all, and one that may be left out.
    await ask('/')
    expect((await ask('/optional', { authorization: 'Token hunter2' })).status).toBe(200)
    await close()
    expect(server.events.filter(({ type }) => type.startsWith('request.')).map(({ reason }) => reason)).toEqual([
      'the Authorization header has another scheme than Bearer',
      'the Authorization header has another scheme than Bearer',
      'access_token is in the query, where no guard reads it; it belongs in the Authorization header',
      'access_token is in the body, which this guard does not read; set allowBodyToken: true where it should',
      'unknown, expired or revoked',
      'requireAccessToken: scope must be among the option scopes; add it there',
    ])
    for (const event of server.events.filter(({ type }) => type.startsWith('request.'))) expect(event.address).toBe(address)
    expect(JSON.stringify(server.events)).not.toContain('hunter2')
  })

  test('OP11 a trustProxy that throws while a guard refuses: the request is answered', async () => {
    let calls = 0
    const trustProxy = () => {
      if (++calls > 1) throw new Error('proxy')
      return true
    }
    const server = testServer({ trustProxy })
    const { url, close } = await listen(express().use(requireAccessToken(server.options)))
    const headers = { 'x-forwarded-for': address, 'x-forwarded-proto': 'https', authorization: 'Bearer x' }
    expect((await fetch(url, { headers })).status).toBe(401)
    await close()
    expect(server.events.at(-1)).not.toHaveProperty('address')
  })

  test('OP11 a grant that the client may not use is named, as it is one of the server', async () => {
    const server = testServer()
    await server.token({ grant_type: 'authorization_code', code: 'x' }, basic(machine))
    await server.token({ grant_type: 'urn:ietf:params:oauth:grant-type:device_code' }, basic(machine))
    await server.token({ grant_type: 'urn:hunter2' }, basic(machine))
    expect(server.events.map(({ error, grant_type }) => [error, grant_type])).toEqual([
      ['unauthorized_client', 'authorization_code'],
      ['unsupported_grant_type', 'urn:ietf:params:oauth:grant-type:device_code'],
      ['unsupported_grant_type', undefined],
    ])
  })

  test('V11 introspection without introspect: true says nothing to the client, and names both clients in an event', async () => {
    const server = testServer()
    const { access_token } = await server.tokens()
    const answer = parsed(await createIntrospectionResponse(server.options, formRequest({ token: access_token }, basic(machine))))
    expect(answer.json).toEqual({ active: false })
    expect(server.events.at(-1)).toMatchObject({
      type: 'warning', endpoint: 'introspection', client_id: 'machine', token_client_id: 'web',
      reason: 'a client asked about a token of another client: give it introspect: true, where it is a resource server',
    }) // prettier-ignore
  })

  test('V16 names the scope that was refused and those that there are; the answer does not', async () => {
    const server = testServer()
    const answer = await server.token({ ...form, scope: 'read openid profile' }, basic(machine))
    expect(server.events[0]).toMatchObject({
      type: 'request.refused',
      client_id: 'machine',
      scope: 'openid profile',
      allowed: 'read write admin',
    })
    expect(server.events[0]?.reason).not.toContain('openid')
    expect(answer.body).not.toContain('openid')
    await server.token({ ...form, scope: 'x'.repeat(3000) }, basic(machine))
    expect(server.events[1]?.scope).toHaveLength(200)
    await server.token({ ...form, scope: 'rëad\n' }, basic(machine))
    expect(server.events[2]).toMatchObject({ reason: 'scope outside the grammar of RFC 6749 §3.3' })
    expect(server.events[2]).not.toHaveProperty('scope')
  })

  test('V17 of a redirection URI says what was sent and what is registered; the page does not', async () => {
    const server = testServer()
    const app = express()
    app.use(authorizationHandler({ ...server.options, allowInsecureTransport: true }, () => ({ subject: 'alice' })))
    const { url, close } = await listen(app)
    const pages: string[] = []
    for (const sent of [`${redirect_uri}/`, `https://evil.example/${'x'.repeat(900)}`, 'https://evil.example/\n<b>']) {
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: 'web',
        redirect_uri: sent,
        code_challenge,
        code_challenge_method: 'S256',
      })
      pages.push(await (await fetch(`${url}/?${query.toString()}`)).text())
    }
    await close()
    const told = server.events.filter(({ type }) => type === 'request.refused')
    expect(told[0]).toMatchObject({ client_id: 'web', reason: 'redirect_uri is not registered; add it to the redirect_uris of the client, or let the client send one of them', redirect_uri: `${redirect_uri}/`, registered: redirect_uri, address: expect.stringContaining('127.0.0.1') }) // prettier-ignore
    expect(told[1]?.redirect_uri).toHaveLength(500)
    expect(told[2]).not.toHaveProperty('redirect_uri')
    for (const page of pages) expect(page).not.toContain(redirect_uri)
  })

  test('V17 at the token endpoint likewise', async () => {
    const server = testServer()
    await server.token({ ...exchange(await server.code()), redirect_uri: `${redirect_uri}/` }, basic(web))
    expect(server.events.at(-1)).toMatchObject({
      reason: 'redirect_uri differs from the authorization request', redirect_uri: `${redirect_uri}/`, registered: redirect_uri,
    }) // prettier-ignore
  })

  test('V40 no body, a repeated parameter and an unknown grant are named', async () => {
    const server = testServer()
    const descriptions: unknown[] = []
    const send = async (body: string | undefined, headers: Record<string, string>) => {
      const { json } = parsed(
        await createTokenResponse(server.options, { url: 'https://server.example/token', method: 'POST', headers, body }),
      )
      descriptions.push(json.error_description)
    }
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    await send(undefined, { 'content-length': '0' })
    await send('{}', { 'content-type': 'application/json' })
    await send('a=b', {})
    await send('grant_type=x&scope=a&scope=b', type)
    await send('evil=x&evil=y', type)
    await send('grant_type=evil', { ...type, ...basic(machine) })
    expect(descriptions).toEqual([
      'the request has no body; it must be application/x-www-form-urlencoded',
      'the body must be application/x-www-form-urlencoded in UTF-8',
      'the request has no Content-Type; it must be application/x-www-form-urlencoded',
      'scope is included more than once',
      'a parameter is included more than once',
      'the grant type is not supported; there are authorization_code, refresh_token, client_credentials',
    ])
    expect(JSON.stringify(server.events)).not.toContain('evil')
  })

  test('V12 a document on localhost: the event says why and what helps', async () => {
    const events: ServerEvent[] = []
    const app = express()
    const options = {
      clientIdMetadataDocuments: true,
      allowInsecureTransport: true,
      onEvent: (event: ServerEvent) => void events.push(event),
    }
    app.use(authorizationHandler(options, () => ({ subject: 'alice' })))
    const { url, close } = await listen(app)
    const client_id = 'https://localhost:5443/client'
    const query = new URLSearchParams({ response_type: 'code', client_id, redirect_uri, code_challenge, code_challenge_method: 'S256' })
    expect((await fetch(`${url}/?${query.toString()}`)).status).toBe(503)
    await close()
    expect(events.at(-1)).toMatchObject({
      type: 'request.failed',
      reason: 'the client id metadata document cannot be fetched: localhost is not a public address',
      remedy: 'for tests set clientIdMetadataDocuments: { fetch }',
      document: client_id,
    })
  })
})

describe('a replayed code', () => {
  test('OP19 says how long after its first use it came back', async () => {
    const server = testServer()
    const code = await server.code()
    await server.token(exchange(code), basic(web))
    server.now += 7
    await server.token(exchange(code), basic(web))
    expect(server.events.find(({ type }) => type === 'code.replayed')).toMatchObject({ client_id: 'web', age: 7 })
  })

  test('OP19 that an earlier version wrote has no age, and is refused all the same', async () => {
    const inner = memoryStore()
    const store: Store = {
      ...inner,
      replace: (record, version) => {
        const { code, ...data } = record.data as { code?: { usedAt?: number } }
        const { usedAt: _usedAt, ...old } = code ?? {}
        return inner.replace({ ...record, data: { ...data, ...(code === undefined ? {} : { code: old }) } }, version)
      },
    }
    const server = testServer({ store })
    const code = await server.code()
    await server.token(exchange(code), basic(web))
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 400 })
    const replayed = server.events.find(({ type }) => type === 'code.replayed')
    expect(replayed).toMatchObject({ client_id: 'web' })
    expect(replayed).not.toHaveProperty('age')
  })
})

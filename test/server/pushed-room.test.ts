/** What pushed requests make the server remember: how much, for whom, and how long. Row X2. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { configure } from '../../src/configuration/configure.js'
import { createPushedAuthorizationResponse } from '../../src/endpoints/authorization/pushed.js'
import { memoryStore, type ServerOptions, type StoredRecord } from '../../src/index.js'
import { basic, formRequest, machine, native, parsed, redirect_uri, start, testServer, web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { asked, startSite, type Site } from './site.js'

const resources = new Resources()
afterEach(() => resources.close())

const clients = [web, native, { ...web, client_id: 'other', client_secret: 'other-secret-0123456789abcdef' }, machine]

interface Pushing {
  readonly store: ReturnType<typeof memoryStore>
  readonly server: ReturnType<typeof testServer>
  /** The last record that was written. */
  last(): StoredRecord
  push(
    more?: Readonly<Record<string, string>>,
    from?: { address?: string; client?: typeof web | { client_id: string; client_secret: string } },
  ): Promise<{ status: number; error?: string | undefined; retryAfter: number }>
}

function pushing(options: ServerOptions = {}, maxRecords = 1_000_000): Pushing {
  const written: StoredRecord[] = []
  const inner = memoryStore({ maxRecords, clock: () => server.now })
  const store = { ...inner, create: (record: StoredRecord) => (written.push(record), inner.create(record)) }
  const server: ReturnType<typeof testServer> = testServer({ clients, store, ...options })
  return {
    store: inner,
    server,
    last() {
      const record = written.at(-1)
      if (record === undefined) throw new Error('nothing was written')
      return record
    },
    async push(more = {}, { address = '198.51.100.1', client } = {}) {
      const form = { ...asked, client_id: client?.client_id ?? 'native', ...more }
      const request = formRequest(form, client === undefined ? {} : basic(client))
      const { status, json, headers } = parsed(await createPushedAuthorizationResponse(server.options, { ...request, address }))
      return { status, error: json.error, retryAfter: Number(headers['Retry-After']) }
    },
  }
}

/** How many pushes of 4 KB of `state` are let in. */
async function fill(subject: Pushing, from?: Parameters<Pushing['push']>[1]): Promise<number> {
  for (let n = 0; ; n++) {
    const { status, retryAfter } = await subject.push({ state: 's'.repeat(4000), claims: 'c'.repeat(4000) }, from)
    if (status === 201) continue
    expect([status, retryAfter > 0]).toEqual([503, true])
    return n
  }
}

describe('X2 what is kept of a request', () => {
  test('X2 only the parameters that are known, and nothing of the client’s credentials', async () => {
    const subject = pushing()
    const known = { prompt: 'login', max_age: '60', login_hint: 'alice', ui_locales: 'de', nonce: 'n', acr_values: '1', dpop_jkt: 'j' }
    await subject.push({ ...known, junk: 'z'.repeat(5000), client_assertion_type: 'x', __proto__x: '1', constructor: '1', resource: 'https://api.example' })
    expect(subject.last().data).toEqual({ client_id: 'native', parameters: { ...asked, ...known, client_id: 'native' }, resource: [], expiresAt: expect.any(Number), madeAt: start })
    expect(JSON.stringify(subject.last()).length).toBeLessThan(1000)
  }) // prettier-ignore

  test.each(['state', 'nonce', 'login_hint', 'claims', 'id_token_hint', 'prompt', 'acr_values'])('X2 %s has a bound', async (name) => {
    expect(await pushing().push({ [name]: 'x'.repeat(4097) })).toMatchObject({ status: 400, error: 'invalid_request' })
  })

  test('X2 a resource is kept once', async () => {
    const subject = pushing({ resources: ['https://api.example.com'] })
    const form = new URLSearchParams({ ...asked, client_id: 'native' })
    for (let n = 0; n < 50; n++) form.append('resource', 'https://api.example.com')
    const request = { ...formRequest(form.toString()), address: '198.51.100.1' }
    expect((await createPushedAuthorizationResponse(subject.server.options, request)).status).toBe(201)
    expect(subject.last().data.resource).toEqual(['https://api.example.com'])
  })
})

describe('X2 rooms', () => {
  test('X2 who fills the room of an address is told when to come again; other addresses, and clients that authenticate, go on', async () => {
    const subject = pushing()
    const count = await fill(subject)
    expect(count).toBeGreaterThan(40)
    expect(count).toBeLessThan(100)
    expect(await subject.push({}, { address: '198.51.100.2' })).toMatchObject({ status: 201 })
    expect(await subject.push({}, { client: web })).toMatchObject({ status: 201 })
    subject.server.now += 66
    expect(await subject.push()).toMatchObject({ status: 201 })
  })

  test('X2 a client that authenticates shares its room with no stranger and with no other client', async () => {
    const subject = pushing()
    const count = await fill(subject, { client: web })
    expect(count).toBeGreaterThan(1500)
    expect(await subject.push({}, { client: clients[2] as typeof web })).toMatchObject({ status: 201 })
    expect(await subject.push()).toMatchObject({ status: 201 })
  })

  test('X2 pushed requests that fill a memory store take no room of tokens', async () => {
    const subject = pushing({}, 50)
    for (let n = 0; n < 60; n++) await subject.push()
    expect(subject.store.size).toBe(50)
    expect((await subject.server.token({ grant_type: 'client_credentials' }, basic(machine))).status).toBe(200)
    await expect(subject.server.code()).resolves.toEqual(expect.any(String))
  })

  test('X2 a push that the store refuses takes no room', async () => {
    const subject = pushing({}, 1)
    await subject.push()
    const { pushed } = configure(subject.server.options).rooms
    const { used } = pushed
    expect(await subject.push()).toMatchObject({ status: 503 })
    expect(pushed.used).toBe(used)
  })
})

describe('X2 how long it is kept', () => {
  async function opened(site: Site): Promise<{ path: string }> {
    const body = new URLSearchParams({ ...asked, client_id: 'native' }).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const page = await site.browser().go('/oauth2/par', { method: 'POST', headers, body })
    const { request_uri } = JSON.parse(page.body) as { request_uri: string }
    return { path: `/oauth2/authorize?${new URLSearchParams({ client_id: 'native', request_uri }).toString()}` }
  }

  test('X2 a person may type for three minutes, and for nine', async () => {
    for (const seconds of [180, 540]) {
      const site = await startSite(resources, { clients })
      const { path } = await opened(site)
      const browser = site.browser()
      site.subject = undefined
      expect((await browser.go(path)).body).toBe('please log in')
      site.server.now += seconds
      site.subject = 'alice'
      expect((await browser.decide(path)).location?.startsWith(`${redirect_uri}?code=`)).toBe(true)
    }
  })

  test('X2 opening it moves the end once: a browser that comes again and again gets no more', async () => {
    const site = await startSite(resources, { clients })
    const { path } = await opened(site)
    const browser = site.browser()
    for (let minute = 0; minute < 10; minute++) {
      expect((await browser.go(path)).status).toBe(200)
      site.server.now += 60
    }
    expect((await browser.go(path)).status).toBe(400)
  })

  test('X2 the longer life takes room; without room a request is shown, and keeps the end that it had', async () => {
    const site = await startSite(resources, { clients })
    const { rooms } = configure(site.server.options)
    const before = rooms.pushed.used
    const { path } = await opened(site)
    const pushed = rooms.pushed.used - before
    await site.browser().go(path)
    expect(rooms.pushed.used - before).toBeGreaterThanOrEqual(2 * pushed)
    const { path: late } = await opened(site)
    const fillRoom = () => rooms.pushed.enter({ address: '127.0.0.1', bytes: 0, until: site.server.now + 700 })
    expect(() => Array.from({ length: 10_000 }, fillRoom)).toThrow('too many requests')
    const browser = site.browser()
    expect((await browser.go(late)).status).toBe(200)
    site.server.now += 59
    expect((await browser.go(late)).status).toBe(200)
    site.server.now += 1
    expect((await browser.go(late)).status).toBe(400)
  })
})

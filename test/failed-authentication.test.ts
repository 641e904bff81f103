/** The limit on failed client authentication (C9): what counts, for whom, for how long, and who is not touched by it. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  ConfigurationError,
  createIntrospectionResponse,
  createRevocationResponse,
  createTokenResponse,
  tokenHandler,
  type FailureCounter,
  type ServerOptions,
} from '../src/index.js'
import { createFailureCounter } from '../src/limits/failed-authentication.js'
import { basic, formRequest, machine, parsed, start, testServer, web } from './support/server.js'

const wrong = { ...machine, client_secret: 'wrong' }
const form = { grant_type: 'client_credentials' }
type Credentials = Parameters<typeof basic>[0]

/** A server, and requests to its token endpoint from an address. */
function limited(options: ServerOptions = {}) {
  const server = testServer(options)
  const ask = async (client: Credentials, address: string | undefined = '192.0.2.1') =>
    parsed(await createTokenResponse(server.options, { ...formRequest(form, basic(client)), ...(address === '' ? {} : { address }) }))
  const fail = async (times: number, address?: string, client: Credentials = wrong) => {
    for (let i = 0; i < times; i++) expect((await ask(client, address)).status).toBe(401)
  }
  return { server, ask, fail }
}

beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterAll(() => {
  jest.restoreAllMocks()
})

describe('twenty failures a minute', () => {
  test('C9 the next try is 429 with Retry-After and JSON, whatever the secret, and an event says why', async () => {
    const { server, ask, fail } = limited()
    await fail(20)
    const { json: _json, ...response } = await ask(wrong)
    expect(response).toEqual({
      status: 429,
      headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache', 'Retry-After': '60' },
      body: '{"error":"temporarily_unavailable","error_description":"too many failed attempts"}',
    })
    expect(await ask(machine)).toMatchObject(response)
    expect(server.events.at(-1)).toEqual({
      type: 'request.refused',
      at: start,
      endpoint: 'token',
      error: 'temporarily_unavailable',
      status: 429,
      reason: 'too many failures for this client from this address',
      client_id: 'machine',
      address: '192.0.2.1',
      duration: expect.any(Number),
    })
  })

  test('C9 the minute begins with the first failure, and Retry-After tells what is left of it', async () => {
    const { server, ask, fail } = limited()
    await fail(1)
    server.now = start + 50
    await fail(19)
    expect((await ask(machine)).headers['Retry-After']).toBe('10')
    server.now = start + 59
    expect((await ask(machine)).headers['Retry-After']).toBe('1')
    server.now = start + 60
    expect((await ask(machine)).status).toBe(200)
    await fail(20)
    expect((await ask(machine)).status).toBe(429)
  })

  test('U3 C9 a success never counts, and forgives earlier failures of that client from that address', async () => {
    const { ask, fail } = limited()
    await fail(19)
    await fail(19, '192.0.2.2')
    for (let i = 0; i < 50; i++) expect((await ask(machine)).status).toBe(200)
    await fail(1, '192.0.2.2')
    expect((await ask(machine, '192.0.2.2')).status).toBe(429)
    await fail(20)
    expect((await ask(machine)).status).toBe(429)
  })

  test('C9 what is refused for another reason does not count', async () => {
    const { server, ask } = limited()
    const malformed = { ...formRequest('grant_type=a&grant_type=b', basic(wrong)), address: '192.0.2.1' }
    const unsupported = { ...formRequest({ grant_type: 'x' }, basic(machine)), address: '192.0.2.1' }
    for (let i = 0; i < 30; i++) {
      expect((await createTokenResponse(server.options, malformed)).status).toBe(400)
      expect((await createTokenResponse(server.options, unsupported)).status).toBe(400)
    }
    expect((await ask(machine)).status).toBe(200)
  })

  test('C9 a failing look-up of clients does not count', async () => {
    let fails = true
    const clients = () => {
      if (fails) throw new Error('database')
      return machine
    }
    const { ask } = limited({ clients })
    for (let i = 0; i < 30; i++) expect((await ask(machine)).status).toBe(500)
    fails = false
    expect((await ask(machine)).status).toBe(200)
  })

  test('C9 C6 beyond the limit nobody is looked up, and no secret is compared', async () => {
    let looked = 0
    const { ask, fail } = limited({ clients: () => (looked++, machine) })
    await fail(20)
    expect((await ask(machine)).status).toBe(429)
    expect(looked).toBe(20)
  })

  test('C9 another address goes on, and so does another client from the same one: nobody is locked by an id alone', async () => {
    const { ask, fail } = limited()
    await fail(20)
    expect((await ask(machine, '192.0.2.2')).status).toBe(200)
    const { status, json } = await ask(web)
    expect([status, json.error]).toEqual([400, 'unauthorized_client'])
    expect((await ask(machine)).status).toBe(429)
  })

  test('C9 an unknown client is limited like a known one', async () => {
    const { ask, fail } = limited()
    const unknown = { ...wrong, client_id: 'unknown' }
    await fail(20, undefined, unknown)
    expect((await ask(unknown)).status).toBe(429)
  })

  test('C9 without an address there is no limit', async () => {
    const { ask, fail } = limited()
    await fail(50, '')
    expect((await ask(machine, '')).status).toBe(200)
  })

  test('C9 token endpoint, revocation and introspection count together', async () => {
    const { server } = limited()
    const request = { ...formRequest({ token: 'x', ...form }, basic(wrong)), address: '192.0.2.1' }
    const endpoints = [createTokenResponse, createRevocationResponse, createIntrospectionResponse]
    for (let i = 0; i < 20; i++) expect((await endpoints[i % 3]?.(server.options, request))?.status).toBe(401)
    for (const create of endpoints) expect((await create(server.options, request)).status).toBe(429)
  })

  test('C9 of a hundred tries at the same time no more than 20 are answered', async () => {
    const together = new Promise((resolve) => setTimeout(resolve, 50))
    const { ask } = limited({ clients: async () => (await together, machine) })
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => ask(i === 99 ? machine : wrong)))
    const count = (status: number) => answers.filter((answer) => answer.status === status).length
    expect([count(401), count(429), answers[99]?.status]).toEqual([20, 80, 429])
  })
})

describe('one network', () => {
  test.each([
    ['an IPv6 address of the same /64', '2001:db8:0:1::1', '2001:db8:0:1:ffff:ffff:ffff:ffff'],
    ['the same /64 written out', '2001:db8:0:1::1', '2001:0DB8:0000:0001:0000:0000:0000:0002'],
    ['the same /64 with zeros left out elsewhere', '2001:db8::1:0:0:0:1', '2001:db8:0:1:0:0:0:2'],
    ['an address with a zone', 'fe80::1%eth0', 'fe80::2'],
    ['an IPv4 address in IPv6', '192.0.2.1', '::ffff:192.0.2.1'],
    ['an address with a port', '192.0.2.1:4711', '192.0.2.1:4712'],
    ['an IPv6 address with a port', '[2001:db8::1]:4711', '2001:db8::2'],
  ])('C9 %s counts with it', async (_what, one, two) => {
    const { ask, fail } = limited()
    await fail(20, one)
    expect((await ask(machine, two)).status).toBe(429)
  })

  test.each([
    ['another /64', '2001:db8:0:1::1', '2001:db8:0:2::1'],
    ['another /64 written short', '2001:db8::1', '2001:db8:0:1::1'],
    ['a loopback address and its end', '::1', '1::'],
    ['another IPv4 address in IPv6', '::ffff:192.0.2.1', '::ffff:192.0.2.2'],
    ['another IPv4 address', '192.0.2.1', '192.0.2.10'],
  ])('C9 %s does not', async (_what, one, two) => {
    const { ask, fail } = limited()
    await fail(20, one)
    expect((await ask(machine, two)).status).toBe(200)
  })
})

describe('the built-in counter', () => {
  test('X18 C9 remembers 10,000 keys, and forgets the one that is least advanced and has been so for longest', () => {
    const counter = createFailureCounter(1, () => start)
    for (let i = 0; i < 10_000; i++) void counter.failed(`key ${i}`)
    void counter.failed('key 0')
    expect(counter.retryAfter('key 0')).toBe(60)
    void counter.failed('one more')
    expect(['key 0', 'key 1', 'key 2', 'key 9999', 'one more'].map((key) => counter.retryAfter(key))).toEqual([60, 0, 60, 60, 60])
  })

  test('C9 a key that comes back after its minute begins anew', () => {
    let now = start
    const counter = createFailureCounter(2, () => now)
    for (const key of ['old', 'old', 'young']) void counter.failed(key)
    now += 60
    void counter.failed('old')
    expect(counter.retryAfter('old')).toBe(0)
    void counter.failed('old')
    expect(counter.retryAfter('old')).toBe(60)
    // It is the youngest now: with 9,999 others it is `young` that goes.
    for (let i = 0; i < 9_998; i++) void counter.failed(`key ${i}`)
    void counter.failed('one more')
    expect(counter.retryAfter('old')).toBe(60)
  })
})

describe('the option', () => {
  test('C9 a number is the limit', async () => {
    const { ask, fail } = limited({ failedAuthenticationLimit: 3 })
    await fail(3)
    expect((await ask(machine)).status).toBe(429)
  })

  test('C9 false turns it off', async () => {
    const { ask, fail } = limited({ failedAuthenticationLimit: false })
    await fail(50)
    expect((await ask(machine)).status).toBe(200)
  })

  test('C9 a counter of the application replaces the built-in one, and its keys hold neither client nor address', async () => {
    const failures = new Map<string, number>()
    const counter: FailureCounter = {
      retryAfter: async (key) => ((failures.get(key) ?? 0) < 2 ? 0 : 6.5),
      failed: async (key) => void failures.set(key, (failures.get(key) ?? 0) + 1),
    }
    // Two processes that share it.
    const [one, two] = [limited({ failedAuthenticationLimit: counter }), limited({ failedAuthenticationLimit: counter })]
    await one.fail(1)
    await two.fail(1)
    expect(await one.ask(machine)).toMatchObject({ status: 429, headers: { 'Retry-After': '7' } })
    expect(await two.ask(machine)).toMatchObject({ status: 429 })
    expect([...failures]).toEqual([[expect.stringMatching(/^[\w-]{1,64}$/), 2]])
    expect([...failures.keys()].join()).not.toMatch(/machine|192/)
  })

  test('C9 a counter may be an object with methods', async () => {
    class Counter implements FailureCounter {
      #failures = 0
      retryAfter() {
        return this.#failures
      }
      failed() {
        this.#failures++
      }
    }
    const { ask, fail } = limited({ failedAuthenticationLimit: new Counter() })
    await fail(1)
    expect(await ask(machine)).toMatchObject({ status: 429, headers: { 'Retry-After': '1' } })
  })

  test.each([
    ['that throws', () => { throw new Error('redis://:hunter2@cache') }, 500],
    ['that rejects', () => Promise.reject(new Error('redis://:hunter2@cache')), 500],
    ['that answers nothing', () => undefined, 500],
    ['that answers no number', () => '60', 500],
    ['that answers no end', () => Infinity, 500],
    ['that never answers', () => new Promise(() => {}), 503],
  ])('R4 C9 a counter %s: no token, no crash, no detail', async (_what, retryAfter, status) => {
    const counter = { retryAfter, failed: () => undefined } as unknown as FailureCounter
    const { server, ask } = limited({ failedAuthenticationLimit: counter, callbackTimeout: 20 })
    const answer = await ask(machine)
    expect([answer.status, answer.json.access_token]).toEqual([status, undefined])
    expect(JSON.stringify([answer, server.events])).not.toContain('hunter2')
  }) // prettier-ignore

  test('R4 C9 a counter that cannot note a failure: 500 or 503', async () => {
    for (const [failed, status] of [[() => Promise.reject(new Error()), 500], [() => new Promise<void>(() => {}), 503]] as const) {
      const { ask } = limited({ failedAuthenticationLimit: { retryAfter: () => 0, failed }, callbackTimeout: 20 })
      expect((await ask(wrong)).status).toBe(status)
    }
  }) // prettier-ignore

  test.each([0, -1, 1.5, NaN, true, '20', null, {}, { retryAfter: () => 0 }, { failed: () => undefined }])(
    'C9 %p stops the start',
    (limit) => {
      const make = () => tokenHandler({ clients: [machine], failedAuthenticationLimit: limit as false })
      expect(make).toThrow(ConfigurationError)
      expect(make).toThrow(/^failedAuthenticationLimit must be /)
    },
  )
})

/**
 * Floods against client authentication, and what is never counted: the attacker has one address and many requests at once, many made-up names, or a page
 * that somebody visits. Rows X10, X12 and X18, and U3.
 */
import { scryptSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  createTokenResponse,
  InvalidClient,
  password,
  type ClientAuthenticationMethod,
  type ClientMetadata,
  type FailureCounter,
  type ServerOptions,
} from '../src/index.js'
import { createFailureCounter, withinFailureLimit } from '../src/limits/failed-authentication.js'
import { inLine } from '../src/clients/slow-hash-line.js'
import { basic, exchange, formRequest, machine, native, parsed, testServer, web } from './support/server.js'

const address = '203.0.113.9'
const form = { grant_type: 'client_credentials' }
const chosen = 'chosen by a person'

/** A scrypt of some milliseconds: slow enough to wait for, quick enough for a test. */
function slowHash(secret: string): string {
  const salt = 'c2FsdHNhbHRzYWx0c2FsdA'
  return `scrypt:256:8:1:${salt}:${scryptSync(secret, salt, 32, { N: 256, r: 8, p: 1 }).toString('base64url')}`
}

const hash = slowHash(chosen)
const slow = (client_id: string): ClientMetadata => ({ client_id, secrets: [{ hash }], grant_types: ['client_credentials'] })

/** A request with a secret from an address; undefined where it is not known. */
function ask(options: ServerOptions, client_id: string, client_secret: string, from: string | undefined) {
  const request = formRequest({ ...form, client_id, client_secret })
  return createTokenResponse(options, from === undefined ? request : { ...request, address: from }).then(({ status }) => status)
}

function times<T>(count: number, work: (position: number) => T): T[] {
  return Array.from({ length: count }, (_, position) => work(position))
}

function count(statuses: readonly number[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterAll(() => {
  jest.restoreAllMocks()
})

describe('X10 slow secrets', () => {
  const listed: ServerOptions = { clients: ['victim', 'bystander', 'other'].map(slow) }
  const found: ServerOptions = {
    clients: (client_id: string) => (['victim', 'bystander', 'other'].includes(client_id) ? slow(client_id) : undefined),
  }

  test.each([
    ['listed', listed],
    ['found by a function', found],
  ])('X10 forty guesses at once from one address stop nobody elsewhere, clients that are %s', async (_how, options) => {
    expect(await ask(options, 'bystander', chosen, '10.0.0.2')).toBe(200)
    const flood = times(40, () => ask(options, 'victim', 'x', address))
    await turn()
    const elsewhere = [
      ask(options, 'bystander', chosen, '10.0.0.2'),
      ask(options, 'victim', chosen, '10.0.0.5'),
      ask(options, 'other', 'x', '10.0.0.3'),
      ask(options, 'nobody', 'x', '10.0.0.4'),
    ]
    expect(await Promise.all(elsewhere)).toEqual([200, 200, 401, 401])
    // No more are told than of forty in a row.
    expect(count(await Promise.all(flood))).toEqual({ 401: 20, 429: 20 })
  })

  test('X10 no more guesses of one client from one address are in work than are left to fail', async () => {
    let [inWork, most, verified] = [0, 0, 0]
    const counting: ClientAuthenticationMethod = {
      name: 'client_secret_post',
      presented: ({ parameters }) => ({ client_id: parameters.client_id ?? '', secretReadings: [parameters.client_secret ?? ''] }),
      async verify({ secretReadings }) {
        verified++
        most = Math.max(most, ++inWork)
        await turn()
        inWork--
        return secretReadings?.[0] === chosen
      },
    }
    const options = { clients: [slow('victim')], clientAuthenticationMethods: [counting], failedAuthenticationLimit: 5 }
    expect(count(await Promise.all(times(50, () => ask(options, 'victim', 'x', address))))).toEqual({ 401: 5, 429: 45 })
    expect([most, verified]).toEqual([5, 5])
    // Right secrets wait for each other, and all of them are answered.
    expect(count(await Promise.all(times(50, () => ask(options, 'victim', chosen, '10.0.0.2'))))).toEqual({ 200: 50 })
    expect([most, inWork]).toEqual([5, 0])
  })

  test('X10 a counter of the application is not overrun either', async () => {
    let failures = 0
    const counter: FailureCounter = {
      retryAfter: async () => (await turn(), failures < 5 ? 0 : 60),
      failed: async () => {
        await turn()
        failures++
      },
    }
    const options = { clients: [slow('victim')], failedAuthenticationLimit: counter }
    const { 401: told = 0 } = count(await Promise.all(times(100, () => ask(options, 'victim', 'x', address))))
    expect(told).toBeLessThanOrEqual(24)
    expect(failures).toBe(told)
  })

  test.each([
    ['from known addresses', '10.0.0.5', '10.0.0.6', address],
    ['where no address is known', undefined, undefined, undefined],
  ])('X10 a line full of made-up names keeps clients and unknown names waiting alike, %s', async (_how, one, two, flooder) => {
    const load = times(40, (i) => ask(listed, `made-up ${i % 10}`, 'x', flooder))
    await turn()
    const order: string[] = []
    const note = (name: string) => (status: number) => order.push(`${name} ${status}`)
    await Promise.all([
      ask(listed, 'nobody', 'x', one).then(note('unknown')),
      ask(listed, 'other', 'x', two).then(note('wrong')),
      ask(listed, 'bystander', chosen, '10.0.0.7').then(note('right')),
    ])
    // Both waited: neither was answered at once, and each in its turn.
    expect([...order].sort()).toEqual(['right 200', 'unknown 401', 'wrong 401'])
    await Promise.all(load)
  })

  test.each(['other', 'nobody'])('X10 beyond the share of one address the answer is 503, for the name %s as for any', async (client_id) => {
    const flood = times(60, (i) => ask(listed, `made-up ${i}`, 'x', address))
    await turn()
    expect(await ask(listed, client_id, 'x', address)).toBe(503)
    // Two are in work and 32 wait.
    expect(count(await Promise.all(flood))).toEqual({ 401: 34, 503: 26 })
  })

  test('X10 networks take turns: whoever floods the line waits for itself', async () => {
    const order: string[] = []
    const work = (name: string, from: string) =>
      inLine({ client_id: name, address: from }, async () => {
        await turn()
        order.push(name)
      })
    const all = [...times(12, () => work('flood', address)), work('one', '10.0.0.2'), work('two', '10.0.0.3')]
    await Promise.all(all)
    expect(order.indexOf('one')).toBeLessThan(5)
    expect(order.indexOf('two')).toBeLessThan(6)
  })

  test('X10 many networks share the line: a new one still gets in', async () => {
    const idle = (client_id: string, from: string) => inLine({ client_id, address: from }, turn)
    const floods = times(20, (network) => times(32, (i) => idle(`c${network}.${i}`, `198.51.100.${network}`).catch(() => 'full'))).flat()
    await expect(idle('newcomer', '10.0.0.9')).resolves.toBeUndefined()
    const refused = (await Promise.all(floods)).filter((outcome) => outcome === 'full').length
    expect(refused).toBeGreaterThan(300)
  })
})

describe('X12 pages of other sites', () => {
  const page = { origin: 'https://any.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }
  const refused = {
    status: 400,
    body: '{"error":"invalid_request","error_description":"a page of another site may not call this endpoint"}',
  }
  const post = async (options: ServerOptions, body: Record<string, string>, headers: Record<string, string> = {}) =>
    parsed(await createTokenResponse(options, { ...formRequest(body, headers), address }))

  test('X12 twenty posts of a page lock nobody out', async () => {
    const server = testServer()
    for (const client_id of ['native', 'machine']) {
      for (let i = 0; i < 25; i++) expect(await post(server.options, { client_id, client_secret: 'x' }, page)).toMatchObject(refused)
    }
    const code = await server.code({ client_id: 'native' })
    expect((await post(server.options, { ...exchange(code), client_id: 'native' })).status).toBe(200)
    expect((await post(server.options, form, basic(machine))).status).toBe(200)
    expect(server.events[0]).toMatchObject({
      type: 'request.refused',
      reason: 'a browser sent it for a page that the option cors does not name',
    })
    expect(JSON.stringify(server.events)).not.toContain('any.example')
  })

  test.each<[string, Record<string, string>, ServerOptions['cors'], number]>([
    ['a page that cors names', page, { origins: ['https://any.example'] }, 200],
    ['any page where cors names all', page, { origins: '*' }, 200],
    ['another page than cors names', page, { origins: ['https://app.example'] }, 400],
    ['a page of a sibling host', { ...page, 'sec-fetch-site': 'same-site' }, undefined, 400],
    ['a page without origin', { 'sec-fetch-site': 'cross-site' }, { origins: ['https://any.example'] }, 400],
    ['a word that no browser says', { 'sec-fetch-site': 'elsewhere' }, undefined, 400],
    ['a page of its own', { origin: 'https://server.example', 'sec-fetch-site': 'same-origin' }, undefined, 200],
    ['the person', { 'sec-fetch-site': 'none' }, undefined, 200],
    ['no browser', {}, undefined, 200],
  ])('X12 %s', async (_who, headers, cors, status) => {
    const { options } = testServer(cors === undefined ? {} : { cors })
    expect((await post(options, form, { ...basic(machine), ...headers })).status).toBe(status)
  })

  test('X12 U3 what proves no guess is not counted: a secret of a public client, another method, no credentials', async () => {
    const poster = { ...machine, client_id: 'poster', token_endpoint_auth_method: 'client_secret_post' }
    const server = testServer({ clients: [native, poster, machine, web] })
    const probes: [Record<string, string>, Record<string, string>][] = [
      [{ client_id: 'native', client_secret: 'x' }, {}],
      [form, basic({ client_id: 'native', client_secret: 'x' })],
      [form, basic({ ...poster, client_secret: 'x' })],
      [{ ...form, client_id: 'machine' }, {}],
      [form, basic({ ...machine, client_secret: '' })],
      [form, {}],
      [form, { authorization: 'Basic !' }],
    ]
    for (const [body, headers] of probes) for (let i = 0; i < 25; i++) expect((await post(server.options, body, headers)).status).toBe(401)
    const code = await server.code({ client_id: 'native' })
    expect((await post(server.options, { ...exchange(code), client_id: 'native' })).status).toBe(200)
    expect((await post(server.options, { ...form, client_id: 'poster', client_secret: poster.client_secret })).status).toBe(200)
    expect((await post(server.options, form, basic(machine))).status).toBe(200)
  })

  test('U3 a client that fails and then succeeds goes on, again and again', async () => {
    const server = testServer()
    for (let i = 0; i < 60; i++) {
      expect((await post(server.options, form, basic({ ...machine, client_secret: 'old' }))).status).toBe(401)
      expect((await post(server.options, form, basic(machine))).status).toBe(200)
    }
  })

  test('U3 a disabled client counts as a wrong secret does, whatever its secret', async () => {
    const { options } = testServer({ clients: [{ ...machine, disabled: true }] })
    for (let i = 0; i < 20; i++) expect((await post(options, form, basic(machine))).status).toBe(401)
    expect((await post(options, form, basic(machine))).status).toBe(429)
  })

  test('U3 a counter of the application is told of successes where it wants to be', async () => {
    const told: string[] = []
    const counter: FailureCounter = {
      retryAfter: () => 0,
      failed: () => void told.push('failed'),
      succeeded: () => void told.push('succeeded'),
    }
    const { options } = testServer({ failedAuthenticationLimit: counter })
    await post(options, form, basic({ ...machine, client_secret: 'x' }))
    await post(options, form, basic(machine))
    expect(told).toEqual(['failed', 'succeeded'])
  })
})

describe('X18 ways round the limit', () => {
  test.each([
    ['one address', () => address],
    ['as many addresses', (i: number) => `10.0.${i >> 8}.${i & 255}`],
  ])('X18 a: ten thousand made-up names from %s do not make a count forgotten', (_whence, from) => {
    const counter = createFailureCounter(20, () => 0)
    const refused = new InvalidClient()
    const tryOnce = (name: string, tried: string): boolean => {
      try {
        void withinFailureLimit(counter, { kind: 'client', name, address: tried }, () => true, () => { throw refused }) // prettier-ignore
      } catch (thrown) {
        return thrown === refused
      }
      return false
    }
    let told = 0
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 25; i++) if (tryOnce('machine', address)) told++
      for (let i = 0; i < 10_000; i++) tryOnce(`n${round}.${i}`, from(i))
    }
    expect(told).toBe(20)
  })

  test('X18 a: a flood of made-up names ends at the bound of the address', async () => {
    const { options } = testServer({ failedAuthenticationLimit: 2 })
    expect(count(await Promise.all(times(30, (i) => ask(options, `n${i}`, 'x', address))))).toEqual({ 401: 20, 429: 10 })
    expect(await ask(options, 'machine', machine.client_secret, '10.0.0.2')).toBe(200)
  })

  test('X18 c: one address may try many names, and not more than ten times as often as one', async () => {
    const { options } = testServer({ failedAuthenticationLimit: 3 })
    const statuses = []
    for (let i = 0; i < 40; i++) statuses.push(await ask(options, `name ${i}`, 'x', address))
    expect(count(statuses)).toEqual({ 401: 30, 429: 10 })
    expect(await ask(options, 'name', 'x', '10.0.0.2')).toBe(401)
  })

  test('X18 c: many names at the same time are told no more', async () => {
    const clients = async () => (await turn(), undefined)
    const { options } = testServer({ clients, failedAuthenticationLimit: 3 })
    expect(count(await Promise.all(times(100, (i) => ask(options, `name ${i}`, 'x', address))))).toEqual({ 401: 30, 429: 70 })
  })

  const person = { ...machine, grant_types: ['password'] }
  function signIn(limit: number) {
    const authenticate = (name: string, word: string) =>
      name.localeCompare('admin', 'en', { sensitivity: 'base' }) === 0 && word === 'hunter2' ? 'admin' : word === 'own' ? name : undefined
    const { options } = testServer({ clients: [person], grants: [password({ authenticate })], failedAuthenticationLimit: limit })
    return async (username: string, word: string, from = address) => {
      const request = formRequest({ grant_type: 'password', username, password: word }, basic(person))
      return (await createTokenResponse(options, { ...request, address: from })).status
    }
  }

  test('X18 c: a name with many spellings, and one password for many names, end at the bound of the address', async () => {
    const guess = signIn(3)
    let told = 0
    for (const name of ['admin', 'ádmin', 'àdmin', 'âdmin', 'ädmin', 'ãdmin', 'admín', 'admìn', 'admîn', 'admïn', 'admiñ', 'ådmin']) {
      for (let i = 0; i < 4; i++) if ((await guess(name, 'wrong')) === 400) told++
    }
    expect([told, await guess('ãdmîñ', 'hunter2')]).toEqual([30, 429])
    expect(await guess('admin', 'hunter2', '10.0.0.2')).toBe(200)
  })

  test('X18 c: who signs in as somebody forgives neither another name nor the address', async () => {
    const guess = signIn(3)
    for (let i = 0; i < 3; i++) expect([await guess('admin', 'wrong'), await guess('mallory', 'own')]).toEqual([400, 200])
    expect(await guess('admin', 'hunter2')).toBe(429)
    for (let i = 0; i < 26; i++) expect([await guess(`user ${i}`, 'wrong'), await guess('mallory', 'own')]).toEqual([400, 200])
    expect([await guess('one more', 'wrong'), await guess('mallory', 'own')]).toEqual([400, 429])
  })
})

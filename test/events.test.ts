/** What the application is told: every type of event in a literal flow, whole, and the three ways in which it is told. */
import { spawn } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createTokenResponse, jwt, memoryStore, tokenHandler, type ServerEvent, type ServerOptions, type Store } from '../src/index.js'
import { sourceUnion } from './support/source.js'
import { basic, exchange, formRequest, machine, redirect_uri, start, testServer, web, type TestServer } from './support/server.js'

const form = { grant_type: 'client_credentials', scope: 'read' }
const id = expect.stringMatching(/^[\w-]{22}$/)
const alice = { at: start, client_id: 'web', subject: 'alice', authorization_id: id }
const refused = { at: start, type: 'request.refused', endpoint: 'token' }
const outage = Object.assign(new Error('connect postgres://admin:hunter2@db'), { code: 'ECONNREFUSED' })
const key = {
  kty: 'EC', crv: 'P-256', x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
} // prettier-ignore

const warn = jest.spyOn(console, 'warn')
beforeEach(() => {
  warn.mockReturnValue()
})
afterAll(() => {
  warn.mockRestore()
})

interface Flow {
  readonly title: string
  readonly options?: ServerOptions
  readonly run: (server: TestServer) => Promise<unknown>
  /** All events of the flow, whole. */
  readonly events: readonly Record<string, unknown>[]
}

const issued = { ...alice, type: 'token.issued', grant_type: 'authorization_code', scope: 'read' }
const refreshed = { ...issued, grant_type: 'refresh_token' }
const codeIssued = { ...alice, type: 'code.issued' }
const dull = 'the grant is invalid, expired, revoked, or was issued to another client'

const flows: Flow[] = [
  {
    title: 'a code and its exchange',
    run: (server) => server.tokens({ scope: 'read' }),
    events: [codeIssued, issued],
  },
  {
    title: 'client credentials without scope, in a token that nothing is stored about',
    options: { issuer: 'https://server.example', accessTokens: jwt({ key }) },
    run: (server) => server.token({ grant_type: 'client_credentials' }, basic(machine)),
    events: [{ type: 'token.issued', at: start, client_id: 'machine', grant_type: 'client_credentials', scope: 'read write admin' }],
  },
  {
    title: 'a refresh, and its retry',
    run: async (server) => {
      const { refresh_token } = await server.tokens({ scope: 'read' })
      await server.refresh(refresh_token)
      await server.refresh(refresh_token)
    },
    events: [codeIssued, issued, refreshed, { ...refreshed, type: 'token.repeated' }],
  },
  {
    title: 'an access token that its client ends, once',
    run: async (server) => {
      const { access_token } = await server.tokens({ scope: 'read' })
      await server.revoke({ token: access_token }, basic(web))
      await server.revoke({ token: access_token }, basic(web))
    },
    events: [codeIssued, issued, { ...alice, type: 'token.revoked' }],
  },
  {
    title: 'an authorization that its client ends',
    run: async (server) => {
      const { refresh_token } = await server.tokens({ scope: 'read' })
      await server.revoke({ token: refresh_token }, basic(web))
    },
    events: [codeIssued, issued, { ...alice, type: 'authorization.revoked' }],
  },
  {
    title: 'a wrong verifier',
    run: async (server) => server.token({ ...exchange(await server.code()), code_verifier: 'x'.repeat(43) }, basic(web)),
    events: [
      codeIssued,
      { ...alice, type: 'code.burnt', grant_type: 'authorization_code' },
      { ...refused, client_id: 'web', error: 'invalid_grant', status: 400, reason: 'wrong code_verifier' },
    ],
  },
  {
    title: 'a replay of a code',
    run: async (server) => {
      const code = await server.code({ scope: 'read' })
      await server.token(exchange(code), basic(web))
      await server.token(exchange(code), basic(web))
    },
    events: [
      codeIssued,
      issued,
      { ...alice, type: 'code.replayed', grant_type: 'authorization_code', age: 0 },
      { ...refused, client_id: 'web', error: 'invalid_grant', status: 400, reason: 'the code was used before' },
    ],
  },
  {
    title: 'a reuse of a refresh token',
    options: { refreshRetryWindow: 0 },
    run: async (server) => {
      const { refresh_token } = await server.tokens({ scope: 'read' })
      await server.refresh(refresh_token)
      await server.refresh(refresh_token)
    },
    events: [
      codeIssued,
      issued,
      refreshed,
      { ...alice, type: 'refresh_token.reused', grant_type: 'refresh_token' },
      { ...refused, client_id: 'web', error: 'invalid_grant', status: 400, reason: 'the refresh token was used before' },
    ],
  },
  {
    title: 'more access tokens than there may be',
    options: { maxAccessTokens: 1 },
    run: async (server) => server.refresh((await server.tokens({ scope: 'read' })).refresh_token),
    events: [codeIssued, issued, refreshed, { ...refreshed, type: 'access_token.dropped' }],
  },
  {
    title: 'a client that nobody knows',
    run: (server) => server.token(form, basic({ client_id: 'unknown', client_secret: 'x' })),
    events: [{ ...refused, error: 'invalid_client', status: 401, reason: 'unknown client' }],
  },
  {
    title: 'a code that nobody issued',
    run: (server) => server.token({ grant_type: 'authorization_code', code: 'x', redirect_uri, code_verifier: 'x'.repeat(43) }, basic(web)),
    events: [{ ...refused, client_id: 'web', error: 'invalid_grant', status: 400, reason: expect.not.stringMatching(dull) }],
  },
  {
    title: 'a store that fails',
    options: { store: { ...memoryStore(), create: () => Promise.reject(outage) } },
    run: (server) => server.token(form, basic(machine)),
    events: [
      {
        type: 'request.failed', at: start, endpoint: 'token', client_id: 'machine', error: 'temporarily_unavailable', status: 503,
        reason: 'the store failed', cause_name: 'Error', cause_code: 'ECONNREFUSED', remedy: 'ask check() of the store',
      },
    ],
  },
  {
    title: 'a hook that fails',
    options: { authorize: () => { throw new TypeError('hunter2') } },
    run: (server) => server.token(form, basic(machine)),
    events: [
      {
        type: 'request.failed', at: start, endpoint: 'token', client_id: 'machine', error: 'server_error', status: 500,
        reason: 'the option authorize threw a TypeError', cause_name: 'TypeError',
        remedy: 'to refuse, throw an OAuthError such as AccessDenied',
      },
    ],
  },
  {
    title: 'options with a mistake that can be lived with',
    options: { clients: [] },
    run: async ({ options }) => tokenHandler(options),
    events: [{ type: 'warning', at: start, reason: expect.stringContaining('clients') }],
  },
] // prettier-ignore

/** The fields that an event may have. */
const allowed = [
  'type', 'at', 'endpoint', 'client_id', 'subject', 'grant_type', 'scope', 'authorization_id', 'error', 'status', 'reason', 'cause_name',
  'cause_code', 'remedy', 'duration', 'age', 'allowed',
] // prettier-ignore

/** Nobody knows it beforehand. */
function withoutDuration({ duration, ...event }: ServerEvent): Omit<ServerEvent, 'duration'> {
  expect(typeof duration).toBe(timed.includes(event.type) ? 'number' : 'undefined')
  return event
}

const timed = ['token.issued', 'token.repeated', 'request.refused', 'request.failed']

describe('every type in a literal flow', () => {
  test.each(flows)('R5 I6 $title', async ({ options, run, events }) => {
    const server = testServer(options)
    await run(server)
    expect(server.events.map(withoutDuration)).toEqual(events)
    for (const event of server.events) expect(allowed).toEqual(expect.arrayContaining(Object.keys(event)))
    expect(JSON.stringify(server.events)).not.toContain('hunter2')
  })

  test('R5 store.filling: the memory store says once that it fills', async () => {
    const told: unknown[] = []
    const server = testServer({ store: memoryStore({ maxRecords: 5, clock: () => server.now, onEvent: (event) => told.push(event) }) })
    for (let i = 0; i < 5; i++) await server.token(form, basic(machine))
    expect(told).toEqual([{ type: 'store.filling', reason: 'the memory store holds 80 % of maxRecords (5)' }])
  })

  test('R5 no type is left out', () => {
    const shown = flows.flatMap(({ events }) => events.map(({ type }) => type))
    expect(new Set([...shown, 'store.filling', 'store.swept', 'record.unreadable'])).toEqual(
      new Set(sourceUnion('src/events/events.ts', 'EventType')),
    )
  })

  test('R5 the cause is there for who asks, and for no logger', async () => {
    const server = testServer({ store: { ...memoryStore(), create: () => Promise.reject(outage) } })
    await server.token(form, basic(machine))
    const [event] = server.events
    expect(event?.cause).toBe(outage)
    expect(Object.keys(event ?? {})).not.toContain('cause')
    expect(inspect(event) + JSON.stringify({ ...event })).not.toContain('hunter2')
  })

  test.each([
    [
      'a name and a code that are sentences',
      Object.assign(new Error(), { name: 'failed for hunter2', code: 'user hunter2' }),
      { cause_name: 'Error' },
    ],
    ['a code that is a number', Object.assign(new Error(), { code: 42 }), { cause_name: 'Error' }],
    ['a code that is too long', Object.assign(new Error(), { code: 'x'.repeat(65) }), { cause_name: 'Error' }],
    ['a text', 'hunter2', { cause_name: 'string' }],
    ['an object', { password: 'hunter2' }, { cause_name: 'object' }],
  ])('R5 of what was thrown, %s: no more than what looks like a name', async (_what, thrown, fields) => {
    const server = testServer({ store: { ...memoryStore(), create: () => Promise.reject(thrown) } })
    await server.token(form, basic(machine))
    const { cause_name, cause_code } = server.events[0] ?? {}
    expect(cause_code === undefined ? { cause_name } : { cause_name, cause_code }).toEqual(fields)
  })
})

describe('the channel', () => {
  test('R5 gets the same events, whoever else listens or not', async () => {
    const published: unknown[] = []
    const note = (event: unknown) => published.push(event)
    subscribe('oauth2-token-handler', note)
    try {
      const server = testServer()
      await server.token(form, basic(machine))
      const { onEvent: _none, ...silent } = testServer().options
      await createTokenResponse(silent, formRequest(form, basic(machine)))
      expect(published[0]).toBe(server.events[0])
      expect(published).toHaveLength(2)
      expect(published[1]).toMatchObject({ type: 'token.issued', client_id: 'machine', at: start })
    } finally {
      unsubscribe('oauth2-token-handler', note)
    }
  })
})

describe('a listener', () => {
  const failures: [what: string, onEvent: () => unknown][] = [
    ['throws', () => { throw new Error('listener') }],
    ['rejects', () => Promise.reject(new Error('listener'))],
    ['rejects with a promise of another realm', () => runInNewContext('Promise.reject(new Error())') as unknown],
    ['never resolves', () => new Promise(() => {})],
  ] // prettier-ignore

  test.each(failures)('R4 that %s changes nothing: the answer is given, and what was written stays', async (_what, onEvent) => {
    const unhandled = jest.fn()
    process.on('unhandledRejection', unhandled)
    try {
      const server = testServer({ onEvent })
      const { access_token } = await server.tokens()
      expect(await server.introspect({ token: access_token }, basic(web))).toMatchObject({ json: { active: true } })
      expect(await server.token(form)).toMatchObject({ status: 401 })
      await new Promise((resolve) => setTimeout(resolve, 5))
      expect(unhandled).not.toHaveBeenCalled()
    } finally {
      process.off('unhandledRejection', unhandled)
    }
  })

  test('I8 hears of a success after the write, and of none that was not written', async () => {
    const order: string[] = []
    const inner = memoryStore()
    let isDown = false
    const write = async <T>(verb: string, work: () => T | Promise<T>) => {
      if (isDown) throw outage
      const answer = await work()
      order.push(verb)
      return answer
    }
    const store: Store = {
      ...inner,
      create: (record) => write('create', () => inner.create(record)),
      replace: (record, version) => write('replace', () => inner.replace(record, version)),
    }
    const server = testServer({ store, onEvent: ({ type }) => order.push(type) })
    const { refresh_token } = await server.tokens()
    await server.revoke({ token: refresh_token }, basic(web))
    expect(order).toEqual(['create', 'code.issued', 'replace', 'token.issued', 'replace', 'authorization.revoked'])
    isDown = true
    await server.token(form, basic(machine))
    await expect(server.code()).rejects.toMatchObject({ error: 'temporarily_unavailable' })
    expect(order.slice(6)).toEqual(['request.failed'])
  })
})

describe('NODE_DEBUG', () => {
  const root = new URL('..', import.meta.url)
  const script = (more: string) => `
    import { createTokenResponse } from ${JSON.stringify(new URL('src/index.ts', root).href)}
    const options = { clients: [{ client_id: 'a', client_secret: 'b'.repeat(16), grant_types: ['client_credentials'] }], ...${more} }
    const headers = { authorization: 'Basic YTpiYmJiYmJiYmJiYmJiYmJi', 'content-type': 'application/x-www-form-urlencoded' }
    const ask = (body) => createTokenResponse(options, { url: 'https://a.example/', method: 'POST', headers, body })
    console.log((await ask('grant_type=client_credentials')).status, (await ask('grant_type=x')).status)`

  async function run(NODE_DEBUG: string, more = '{}'): Promise<{ out: string; err: string; lines: string[] }> {
    const { NODE_OPTIONS: _jest, ...environment } = process.env
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script(more)], {
      cwd: fileURLToPath(root),
      env: { ...environment, NODE_DEBUG },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const texts = { out: '', err: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.out += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.err += text))
    await once(child, 'close')
    return { ...texts, lines: texts.err.split('\n').filter((line) => line.includes('"type"')) }
  }

  test('R5 every event is one line of JSON on stderr', async () => {
    const { out, lines } = await run('oauth2-token-handler')
    expect(out).toBe('200 400\n')
    const told = lines.map((line) => JSON.parse(line.replace(/^OAUTH2-TOKEN-HANDLER \d+: /, '')) as ServerEvent)
    expect(told).toEqual([
      {
        type: 'token.issued',
        client_id: 'a',
        grant_type: 'client_credentials',
        authorization_id: id,
        at: expect.any(Number),
        duration: expect.any(Number),
      },
      {
        type: 'request.refused',
        endpoint: 'token',
        error: 'unsupported_grant_type',
        status: 400,
        reason: 'grant_type is neither one of the option grants nor a registered name',
        client_id: 'a',
        at: expect.any(Number),
        duration: expect.any(Number),
      },
    ])
  })

  test('V2 below a failure stand message and stack of what was thrown, and the console says no line of its own', async () => {
    const { err } = await run(
      'oauth2-token-handler',
      "{ beforeGrant() { throw new Error('no session', { cause: new TypeError('below\\x1b[2J') }) } }",
    )
    expect(err).toMatch(/"reason":"the option beforeGrant threw an Error","cause_name"|"cause_name":"Error"/)
    expect(err).toMatch(/\nError: no session\n {4}at /)
    expect(err).toMatch(/\nTypeError: below\?\[2J\n {4}at /)
    expect(err).not.toContain('oauth2-token-handler: request.failed')
  })

  test('V2 without it the console has one line and no message', async () => {
    const { err } = await run('', "{ beforeGrant() { throw new Error('no session') } }")
    expect(err).toBe(
      'oauth2-token-handler: request.failed (token) for client a: the option beforeGrant threw an Error [Error]; to refuse, throw an OAuthError such as AccessDenied; set onEvent, or NODE_DEBUG=oauth2-token-handler, to see all of it\n',
    )
  })

  test('R5 without it there is none', async () => {
    expect(await run('')).toEqual({ out: '200 400\n', err: '', lines: [] })
  })
})

/**
 * A store that fails at its k-th call, for every k of every flow: before it took effect, after, with a false although it took
 * effect, and by never answering. The answer blames nobody but the server, and the next request finds everything in order.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { memoryStore, type ServerOptions } from '../../src/index.js'
import { basic, exchange, native, testServer, web, type TestServer } from '../support/server.js'
import { faults, faultyStore, type Fault, type FaultyStore } from './doubles.js'
import { auditor, clients, flows, type Flow, type FlowAnswer } from './flows.js'
import { patience } from './sizes.js'

jest.setTimeout(patience)

const storeTimeout = 25

function prepared(options?: ServerOptions): { server: TestServer; store: FaultyStore } {
  const store = faultyStore(memoryStore({ clock: () => server.now }))
  const server: TestServer = testServer({ clients, ...options, store, storeTimeout })
  return { server, store }
}

interface Case {
  readonly call: number
  readonly verb: string
  readonly fault: Fault
  readonly tookEffect: boolean
}

function casesOf({ calls }: Flow): Case[] {
  return calls.flatMap((verb, position) => {
    const possible = faults.filter((fault) => verb !== 'get' || !fault.startsWith('false'))
    return possible.map((fault) => ({ call: position + 1, verb, fault, tookEffect: verb !== 'get' && fault !== 'throws before' }))
  })
}

beforeAll(() => {
  // An own memory store of a handler is not what these tests are about.
  jest.spyOn(console, 'warn').mockImplementation(() => {})
})

afterAll(() => {
  jest.restoreAllMocks()
})

describe.each(flows)('R4 $title', (flow) => {
  test(`asks the store for ${flow.calls.join(', ')}`, async () => {
    const { server, store } = prepared(flow.options)
    const credential = await flow.prepare(server)
    store.arm(0, 'throws before')
    const { outcome } = await flow.request(server, credential)
    expect(store.disarm()).toEqual(flow.calls)
    expect(outcome).toBe(flow.answer ?? 'success')
  })

  test.each(casesOf(flow))('I1 I2 I3 I4 I6 I8 when call $call ($verb) $fault', async ({ call, fault, tookEffect }) => {
    const { server, store } = prepared(flow.options)
    const credential = await flow.prepare(server)
    store.arm(call, fault)
    const first = await flow.request(server, credential)
    store.disarm()

    if (fault === 'false after') {
      // The write carries this request's own version: it has won, whatever the answer said.
      expect(first.outcome).toBe(flow.answer ?? 'success')
      await expectBacked(server, flow, [first])
      return
    }
    expect(first.outcome).toBe('temporarily_unavailable')
    expect(first.retryAfter).toMatch(/^[1-9][0-9]*$/)
    expect(first.access_token).toBeUndefined()
    expect(first.text + JSON.stringify(server.events)).not.toContain('connection terminated')

    const second = await flow.request(server, credential)
    expect(second.outcome).toBe(flow.retry(tookEffect, call))
    await expectBacked(server, flow, [first, second])
    if (flow.ends?.(tookEffect) === true) await expectEnded(server, store)
  })
})

/** I4, I2: what was handed out is active, and its refresh token is good for a use. */
async function expectBacked(server: TestServer, { isPublic = false }: Flow, answers: readonly FlowAnswer[]): Promise<void> {
  for (const { access_token, refresh_token } of answers) {
    if (access_token === undefined) continue
    const { json } = await server.introspect({ token: access_token }, basic(auditor))
    expect(json.active).toBe(true)
    if (refresh_token === undefined) continue
    const form = { grant_type: 'refresh_token', refresh_token }
    const used = await (isPublic ? server.token({ ...form, client_id: native.client_id }) : server.token(form, basic(web)))
    expect(used.status).toBe(200)
  }
}

/** I3: every Authorization in the store is revoked. */
async function expectEnded(server: TestServer, store: FaultyStore): Promise<void> {
  const ended: unknown[] = []
  for await (const { data } of store.list({ subject: 'alice' })) ended.push(data)
  expect(ended).toEqual([expect.objectContaining({ revokedAt: server.now, accessTokens: [] })])
}

const rotation = flows.filter(({ title }) => title === 'a refresh with rotation')

test.each(rotation.flatMap(casesOf))('I4 G5 a refresh whose call $call ($verb) $fault: the retries carry one successor', async (at) => {
  const { server, store } = prepared()
  const { refresh_token } = await server.tokens()
  store.arm(at.call, at.fault)
  const { json: lost } = await server.refresh(refresh_token)
  store.disarm()
  const { json: second } = await server.refresh(refresh_token)
  const { json: third } = await server.refresh(refresh_token)
  expect(third).toEqual(second)
  if (lost.refresh_token !== undefined) expect(second).toEqual(lost)
  expect(second.refresh_token).toMatch(/^[A-Za-z0-9_-]{22}\.1\./)
  expect((await server.refresh(second.refresh_token ?? '')).status).toBe(200)
})

test.each(['throws before', 'throws after', 'hangs'] as const)(
  'I4 G2 a wrong verifier whose write %s burns the code only if it was written',
  async (fault) => {
    const { server, store } = prepared()
    const code = await server.code()
    store.arm(2, fault)
    await server.token({ ...exchange(code), code_verifier: 'x'.repeat(43) }, basic(web))
    store.disarm()
    const { status, json } = await server.token(exchange(code), basic(web))
    expect(fault === 'throws before' ? status : json.error).toBe(fault === 'throws before' ? 200 : 'invalid_grant')
  },
)

test.each(['throws before', 'throws after', 'hangs'] as const)(
  'I8 a revocation whose write %s is not confirmed, and the token is what the store says',
  async (fault) => {
    const { server, store } = prepared()
    const { access_token, refresh_token } = await server.tokens()
    store.arm(2, fault)
    const { status } = await server.revoke({ token: refresh_token }, basic(web))
    store.disarm()
    expect(status).toBe(503)
    const { json } = await server.introspect({ token: access_token }, basic(web))
    expect(json.active).toBe(fault === 'throws before')
  },
)

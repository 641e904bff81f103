/** The health of one process, as load balancers ask for it. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createHealthResponse, healthHandler, memoryStore, type Store } from '../src/index.js'
import { listen } from './support/listen.js'
import { testServer } from './support/server.js'

const get = { method: 'GET' }
const ok = {
  status: 200,
  headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache' },
  body: '{"status":"ok"}',
}
const unavailable = { ...ok, status: 503, body: '{"status":"unavailable"}' }
const realNow = performance.now.bind(performance)
let later = 0

beforeAll(() => {
  jest.spyOn(performance, 'now').mockImplementation(() => realNow() + later)
})
afterAll(() => {
  jest.restoreAllMocks()
})

function withCheck(check: () => Promise<void>): Store {
  return { ...memoryStore(), check }
}

describe('health', () => {
  test('OP5 the store is asked once a second, however often and however many ask, and a `get` where it has no check', async () => {
    const check = jest.fn(() => Promise.resolve())
    const { options } = testServer({ store: withCheck(check) })
    for (const answer of await Promise.all(Array.from({ length: 100 }, () => createHealthResponse(options, get))))
      expect(answer).toEqual(ok)
    expect(check).toHaveBeenCalledTimes(1)
    later += 1001
    await Promise.all(Array.from({ length: 100 }, () => createHealthResponse(options, get)))
    expect(check).toHaveBeenCalledTimes(2)
    const asked: string[] = []
    const inner = memoryStore()
    const plain = testServer({ store: { ...inner, get: (id) => (asked.push(id), inner.get(id)) } })
    expect(await createHealthResponse(plain.options, get)).toEqual(ok)
    expect(asked).toEqual(['health'])
  })

  test('OP5 a store that fails is 503 without a reason; the reason is one event for each check', async () => {
    let isDown = true
    const check = () => (isDown ? Promise.reject(Object.assign(new Error('hunter2'), { code: 'ECONNREFUSED' })) : Promise.resolve())
    const server = testServer({ store: withCheck(check) })
    for (let count = 0; count < 5; count++) expect(await createHealthResponse(server.options, get)).toEqual(unavailable)
    expect(server.events).toEqual([
      {
        type: 'request.failed', endpoint: 'health', status: 503, reason: 'the store failed', cause_name: 'Error', cause_code: 'ECONNREFUSED',
        at: server.now, duration: expect.any(Number),
      },
    ]) // prettier-ignore
    isDown = false
    later += 1001
    expect(await createHealthResponse(server.options, get)).toEqual(ok)
  })

  test('OP5 a check that hangs is 503 after storeTimeout, and no second one is sent beside it', async () => {
    const check = jest.fn(() => new Promise<void>(() => {}))
    const server = testServer({ store: withCheck(check), storeTimeout: 300 })
    expect(await createHealthResponse(server.options, get)).toEqual(unavailable)
    later += 1001
    expect(await createHealthResponse(server.options, get)).toEqual(unavailable)
    expect(check).toHaveBeenCalledTimes(1)
    later += 3000
    await createHealthResponse(server.options, get)
    expect(check).toHaveBeenCalledTimes(2)
  })

  test('OP5 traffic that fills the line of the store does not make it fail', async () => {
    const inner = memoryStore()
    const server = testServer({ storeConcurrency: 1, store: { ...withCheck(() => Promise.resolve()), create: (record) => new Promise((resolve) => setTimeout(() => resolve(inner.create(record)), 300)) } }) // prettier-ignore
    const traffic = Promise.all([server.code(), server.code()])
    const begun = realNow()
    expect(await createHealthResponse(server.options, get)).toEqual(ok)
    expect(realNow() - begun).toBeLessThan(250)
    await traffic
  })

  const unwell: [what: string, available: () => boolean, reason: string][] = [
    ['answers false', () => false, 'the option available answered false; let it return true where the server should answer'],
    ['throws', () => { throw new TypeError('hunter2') }, 'the option available threw a TypeError'],
  ] // prettier-ignore

  test.each(unwell)(
    'OP5 while the option available %s it is 503, at once, and the store is not asked',
    async (_what, available, reason) => {
      const check = jest.fn(() => Promise.resolve())
      let isDraining = false
      const server = testServer({ store: withCheck(check), available: () => !isDraining || available() })
      expect(await createHealthResponse(server.options, get)).toEqual(ok)
      isDraining = true
      later += 1001
      for (let count = 0; count < 3; count++) expect(await createHealthResponse(server.options, get)).toEqual(unavailable)
      expect(check).toHaveBeenCalledTimes(1)
      expect(server.events.map(({ reason }) => reason)).toEqual([reason])
      isDraining = false
      expect(await createHealthResponse(server.options, get)).toEqual(ok)
    },
  )

  test('OP5 the handler answers GET and HEAD over plain http, and 405 to everything else; the option context is not asked', async () => {
    const context = jest.fn(() => ({}))
    const { options } = testServer({ context })
    const { url, close } = await listen((req, res) => healthHandler(options)(req, res))
    const well = await fetch(`${url}/health`)
    expect([well.status, await well.text(), well.headers.get('cache-control')]).toEqual([200, '{"status":"ok"}', 'no-store'])
    const head = await fetch(`${url}/health`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    const post = await fetch(`${url}/health`, { method: 'POST', body: 'x' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    await close()
    expect(context).not.toHaveBeenCalled()
  })

  test('OP5 OP24 the check is a call on the channel of the store', async () => {
    const calls: unknown[] = []
    const note = (call: unknown) => void calls.push(call)
    subscribe('oauth2-token-handler:store', note)
    await createHealthResponse(testServer({ store: withCheck(() => Promise.resolve()) }).options, get)
    unsubscribe('oauth2-token-handler:store', note)
    expect(calls).toEqual([{ verb: 'check', ms: expect.any(Number), outcome: 'ok' }])
  })
})

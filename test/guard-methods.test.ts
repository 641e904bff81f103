/** A guard fails closed (X1): whatever the method and the headers, protected code runs for a valid token, or an optional guard, and for nothing else. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import connect from 'connect'
import express from 'express'
import express4 from 'express4'
import { METHODS, Agent, request as httpRequest, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { requireAccessToken, type AccessTokenRequirement, type Guard } from '../src/index.js'
import { basic, machine, testServer } from './support/server.js'
import { Resources } from './support/wire.js'

const resources = new Resources()
const agent = new Agent({ keepAlive: true, maxSockets: 8 })
beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterAll(async () => {
  agent.destroy()
  await resources.close()
  jest.restoreAllMocks()
})

const page = 'https://page.example'
const preflight = { origin: page, 'access-control-request-method': 'x' }
const fields: Record<string, string>[] = [{}, { origin: page }, { 'access-control-request-method': 'GET' }, preflight]
// node:http hands CONNECT to a listener of its own.
const methods = METHODS.filter((method) => method !== 'CONNECT')

type Protected = (req: IncomingMessage, res: ServerResponse) => void

const hosts: [name: string, mount: (guard: Guard, code: Protected) => RequestListener][] = [
  ['Express 5, use', (guard, code) => express().use('/api', guard, code)],
  ['Express 5, all', (guard, code) => express().use('/api', guard).all('/api', code)],
  ['Express 4, use', (guard, code) => express4().use('/api', guard as never, code as never) as RequestListener],
  ['Express 4, all', (guard, code) => express4().use('/api', guard as never).all('/api', code as never) as RequestListener], // prettier-ignore
  ['Connect', (guard, code) => connect().use('/api', guard as never).use('/api', code)], // prettier-ignore
  ['node:http', (guard, code) => (req, res) => guard(req, res, () => code(req, res))],
]

/** How often the protected code ran, and for whom. */
async function serve(mount: (typeof hosts)[number][1], requirement: AccessTokenRequirement) {
  const server = testServer({ allowInsecureTransport: true })
  const seen: unknown[] = []
  const listener = mount(requireAccessToken(server.options, requirement), (req, res) => {
    seen.push((req as { auth?: { clientId: string } }).auth?.clientId)
    res.end('protected')
  })
  const { port } = await resources.listen(listener)
  const { json } = await server.token({ grant_type: 'client_credentials', scope: 'read' }, basic(machine))
  const send = (method: string, headers: Record<string, string>) =>
    new Promise<{ status: number; headers: IncomingMessage['headers'] }>((resolve, reject) => {
      const request = httpRequest({ port, path: '/api', agent, method, headers: { ...headers } }, (response) => {
        response.resume().on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }))
      })
      // The client would write it in capitals.
      request.method = method
      request.on('error', reject)
      request.end()
    })
  return { seen, send, bearer: { authorization: `Bearer ${json.access_token ?? ''}` } }
}

describe.each(hosts)('on %s', (_name, mount) => {
  test('X1 no method and no header field gets past the guard without a token', async () => {
    const { seen, send } = await serve(mount, { scope: 'read' })
    for (const more of fields) {
      for (const token of [{}, { authorization: 'Bearer nonsense' }]) {
        const answers = await Promise.all(methods.map(async (method) => [method, (await send(method, { ...more, ...token })).status]))
        for (const [method, status] of answers) {
          expect([method, status]).toEqual([method, method === 'OPTIONS' && more === preflight ? 204 : 401])
        }
      }
    }
    expect(seen).toEqual([])
  })

  test('X1 nor does a method in lower case, which the parser of node:http refuses', async () => {
    const { seen, send } = await serve(mount, { scope: 'read' })
    for (const method of ['options', 'Options', 'get', 'post']) {
      const outcome = await send(method, preflight).then(({ status }) => status, () => 400) // prettier-ignore
      expect([400, 401]).toContain(outcome)
    }
    expect(seen).toEqual([])
  })

  test('X1 a preflight gets 204 and no permission, with a token too; any other request with a token passes', async () => {
    const { seen, send, bearer } = await serve(mount, { scope: 'read' })
    for (const token of [{}, bearer]) {
      const { status, headers } = await send('OPTIONS', { ...preflight, ...token })
      expect(status).toBe(204)
      expect(Object.keys(headers).filter((name) => /^access-control|^www-auth|^content-length/.test(name))).toEqual([])
    }
    expect(seen).toEqual([])
    for (const method of methods) expect([method, (await send(method, bearer)).status]).toEqual([method, 200])
    expect(seen).toEqual(methods.map(() => 'machine'))
  })

  test('X1 an optional guard without cors takes a preflight for a request like any other', async () => {
    const { seen, send } = await serve(mount, { optional: true })
    expect((await send('OPTIONS', preflight)).status).toBe(200)
    expect((await send('OPTIONS', { ...preflight, authorization: 'Bearer nonsense' })).status).toBe(401)
    expect(seen).toEqual([undefined])
  })
})

describe('a scope that is a function of the request', () => {
  const ofMethod = { GET: 'read', POST: 'write' }
  const scopeOf = ({ method }: IncomingMessage) => ofMethod[method as keyof typeof ofMethod]

  test.each(hosts)('X1 I10 a method of which it says nothing does not pass, on %s', async (_name, mount) => {
    const { seen, send, bearer } = await serve(mount, { scope: scopeOf })
    expect((await send('GET', bearer)).status).toBe(200)
    expect((await send('POST', bearer)).status).toBe(403)
    for (const method of ['PUT', 'DELETE', 'PATCH', 'HEAD', 'QUERY'])
      expect([method, (await send(method, bearer)).status]).toEqual([method, 500])
    expect(seen).toEqual(['machine'])
  })

  test('X1 one that says [] or nothing but spaces needs none', async () => {
    for (const none of [[], '', ' ']) {
      const { send, bearer } = await serve((guard, code) => (req, res) => guard(req, res, () => code(req, res)), { scope: () => none })
      expect((await send('DELETE', bearer)).status).toBe(200)
    }
  })
})

/** Members that the application adds to the token response (T14). */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  ConfigurationError,
  createTokenResponse,
  tokenHandler,
  type JsonObject,
  type ServerOptions,
  type TokenClaims,
} from '../src/index.js'
import { basic, exchange, formRequest, machine, parsed, start, testServer, web } from './support/server.js'
import { isActive, reasons, recordOf, storedServer } from './support/stored.js'

const form = { grant_type: 'client_credentials', scope: 'read' }
const serverError = { status: 500, body: '{"error":"server_error","error_description":"the server met an unexpected condition"}' }

beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterAll(() => {
  jest.restoreAllMocks()
})

describe('added members', () => {
  test('T14 stand behind those of the protocol, whatever JSON they are', async () => {
    const added = { tenant: 'acme', limits: { perMinute: 60, burst: null }, tags: ['a', 1, true], expires_at: 7 }
    const { status, body } = await testServer({ responseParameters: () => added }).token(form, basic(machine))
    expect(status).toBe(200)
    expect(body).toMatch(
      /^\{"access_token":"[\w.-]+","token_type":"Bearer","expires_in":3600,"scope":"read","tenant":"acme","limits":\{"perMinute":60,"burst":null\},"tags":\["a",1,true\],"expires_at":7\}$/,
    )
  })

  test('T14 T13 the function gets the token and the context, and may be asynchronous', async () => {
    const seen: TokenClaims[] = []
    const { server } = storedServer({
      responseParameters: async (token) => {
        seen.push(token)
        return { user: token.subject ?? 'nobody' }
      },
    })
    const request = formRequest(exchange(await server.code({ scope: 'write', extra: { room: 7 } })), basic(web))
    const { json } = parsed(await createTokenResponse(server.options, { ...request, context: { tenant: 'acme' } }))
    expect(json).toMatchObject({ user: 'alice' })
    expect(seen).toEqual([
      {
        kind: 'access_token',
        client: expect.objectContaining({ client_id: 'web' }),
        subject: 'alice',
        scope: ['write'],
        resource: [],
        grant_type: 'authorization_code',
        issuedAt: start,
        expiresAt: start + 3600,
        issuer: undefined,
        authorization_id: json.access_token?.slice(0, 22),
        extra: { room: 7 },
        context: { tenant: 'acme' },
      },
    ])
  })

  test('T14 G5 a client that lost the answer to a refresh gets them again as they were', async () => {
    let count = 0
    const server = testServer({ responseParameters: () => ({ count: count++ }) })
    const { refresh_token } = await server.tokens()
    const { json: lost } = await server.refresh(refresh_token)
    expect(lost).toMatchObject({ count: 1 })
    expect((await server.refresh(refresh_token)).json).toEqual(lost)
  })

  test('T14 undefined members and an empty object add nothing', async () => {
    for (const answer of [{}, { missing: undefined }] as unknown as JsonObject[]) {
      const { json } = await testServer({ responseParameters: () => answer }).token(form, basic(machine))
      expect(Object.keys(json)).toEqual(['access_token', 'token_type', 'expires_in', 'scope'])
    }
  })

  test('T14 members that look like something of JavaScript are members', async () => {
    const added = JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":3}')
    const { body } = await testServer({ responseParameters: () => added }).token(form, basic(machine))
    expect(body).toContain('"__proto__":{"a":1},"constructor":2,"toString":3}')
  })
})

describe('what is refused', () => {
  /** The answer, and whether the code of the request is as good as before. */
  async function refusedWith(responseParameters: () => unknown, options: ServerOptions = {}) {
    let isWrong = true
    const { server, store } = storedServer({
      ...options,
      responseParameters: (): JsonObject => (isWrong ? (responseParameters() as JsonObject) : {}),
    })
    const code = await server.code({ scope: 'read' })
    const { version } = await recordOf(store, code)
    const answer = await server.token(exchange(code), basic(web))
    expect((await recordOf(store, code)).version).toBe(version)
    expect(server.events.filter(({ type }) => type === 'token.issued')).toEqual([])
    isWrong = false
    const { json } = await server.token(exchange(code), basic(web))
    expect(await isActive(server, json.access_token ?? '')).toBe(true)
    return { answer, reason: reasons(server)[0], server }
  }

  test.each([
    'access_token', 'token_type', 'expires_in', 'refresh_token', 'scope', 'error', 'error_description', 'error_uri',
  ])('T14 %s is the protocol’s: 500, nothing issued, and an event says which', async (name) => {
    const { answer, reason } = await refusedWith(() => ({ harmless: 1, [name]: 'mine' }))
    expect(answer).toMatchObject(serverError)
    expect(reason).toBe(`the option responseParameters may not set ${name}`)
  }) // prettier-ignore

  test('T14 R1 scope and refresh_token are refused where the response has none, too', async () => {
    for (const name of ['scope', 'refresh_token']) {
      const server = testServer({ responseParameters: () => ({ [name]: 'mine' }) })
      expect(await server.token({ grant_type: 'client_credentials' }, basic(machine))).toMatchObject(serverError)
    }
  })

  test.each(['mac_key', 'mac_algorithm'])('T14 Y2 %s is the protocol’s where tokens have keys, and only there', async (name) => {
    const added = () => ({ [name]: 'mine' })
    expect((await refusedWith(added, { authenticationMethod: 'mac' })).answer).toMatchObject(serverError)
    expect((await testServer({ responseParameters: added }).token(form, basic(machine))).json).toMatchObject({ [name]: 'mine' })
  })

  const circle: Record<string, unknown> = {}
  circle.self = circle
  test.each([
    ['nothing', () => undefined],
    ['null', () => null],
    ['a list', () => []],
    ['a text', () => 'tenant'],
    ['a function', () => () => ({})],
    ['what JSON has no word for', () => ({ big: 1n })],
    ['a circle', () => circle],
  ])('T14 %s: 500, nothing issued', async (_what, answer) => {
    const refused = await refusedWith(answer)
    expect(refused.answer).toMatchObject(serverError)
    expect(refused.reason).toBe('the option responseParameters must return an object of plain JSON')
  })

  test('T14 a member of the protocol that comes out only when it is written', async () => {
    const sly = { toJSON: () => ({ access_token: 'mine' }) }
    expect((await refusedWith(() => sly)).reason).toBe('the option responseParameters may not set access_token')
  })

  test('T14 R5 what it throws is 500 without detail, nothing issued', async () => {
    const { answer, server } = await refusedWith(() => {
      throw new Error('postgres://admin:hunter2@db')
    })
    expect(answer).toMatchObject(serverError)
    expect(JSON.stringify(server.events)).not.toContain('hunter2')
  })

  test('T14 anything but a function stops the start', () => {
    const make = () => tokenHandler({ clients: [machine], responseParameters: { tenant: 'acme' } as unknown as () => JsonObject })
    expect(make).toThrow(new ConfigurationError('responseParameters must be a function, not an object'))
  })
})

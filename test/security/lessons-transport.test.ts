/** What went wrong elsewhere with requests, errors and hashes, one test for each lesson that applies to what is built here. */
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import {
  ConfigurationError,
  createTokenResponse,
  hashClientSecret,
  memoryStore,
  tokenHandler,
  type ServerOptions,
} from '../../src/index.js'
import { Redacted } from '../../src/secrets.js'
import { basic, formRequest, machine, parsed, testServer } from '../support/server.js'
import { rawServer } from './raw-http.js'
import { patience } from './sizes.js'

jest.setTimeout(patience)

beforeEach(() => {
  jest.spyOn(console, 'warn').mockImplementation(() => {})
})

afterEach(() => {
  jest.restoreAllMocks()
})

describe('T5 T6 T7 T8 a parser does not switch its limits off, crash on a name, or merge what came twice', () => {
  test.each(['16kb', '16384', NaN, Infinity, -1, 0, 1.5, null])('maxBodySize: %p stops the start', (maxBodySize) => {
    expect(() => tokenHandler({ maxBodySize } as unknown as ServerOptions)).toThrow(ConfigurationError)
  })

  test.each(['scope[a]=b', 'scope[]=a', 'scope[__proto__]=b', '__proto__=a', 'constructor[prototype][x]=y', 'toString=a'])(
    '%s is an unknown name',
    async (odd) => {
      const { status, json } = await testServer().token(`grant_type=client_credentials&${odd}`, basic(machine))
      expect([status, json.scope]).toEqual([200, 'read write admin'])
    },
  )

  test.each(['grant_type=client_credentials', 'scope=read&scope=admin', 'x=1&x=2', 'scope=&scope=read'])(
    '%s twice is refused',
    async (more) => {
      const { status, json } = await testServer().token(`grant_type=client_credentials&${more}`, basic(machine))
      expect([status, json.error]).toEqual([400, 'invalid_request'])
    },
  )
})

describe('R5 no exception with a password or a key reaches the client', () => {
  const message = 'connect postgres://app:hunter2@db/tokens -----BEGIN PRIVATE KEY-----'
  const fail = () => {
    throw Object.assign(new Error(message), { code: 'ECONNREFUSED' })
  }

  test.each([
    ['the clients function', { clients: fail }, 500],
    ['a hook', { authorize: fail }, 500],
    ['the store', { store: { ...memoryStore(), create: fail } }, 503],
  ])('from %s', async (_what, options, expected) => {
    const server = testServer(options)
    const { status, headers, body } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
    expect(status).toBe(expected)
    expect(JSON.stringify(headers) + body + JSON.stringify(server.events) + inspect(server.events)).not.toMatch(
      /hunter2|PRIVATE KEY|at .*\.ts/,
    )
    expect(server.events.at(-1)).toMatchObject({ cause_name: 'Error', cause_code: 'ECONNREFUSED' })
  })

  test('secrets travel in a wrapper that prints nothing', () => {
    const secret = new Redacted('hunter2')
    const printed = [
      String(secret),
      JSON.stringify({ secret }),
      inspect(secret, { showHidden: true }),
      inspect({ deep: { secret } }, { depth: 9 }),
    ]
    for (const text of printed) expect(text).toMatch(/\[redacted\]/)
    expect(printed.join()).not.toContain('hunter2')
  })
})

describe('C8 slow hashes do not let a flood of wrong secrets stop the endpoint', () => {
  test('a generated secret costs one SHA-256', async () => {
    const hash = await hashClientSecret('generated-secret-0123456789', { generated: true })
    expect(hash).toMatch(/^sha256:[A-Za-z0-9_-]{43}$/)
  })

  test('beyond a queue of slow hashes the answer is 503, and others are served meanwhile', async () => {
    const slow = {
      client_id: 'slow',
      grant_types: ['client_credentials'],
      secrets: [{ hash: `scrypt:4096:8:1:${'A'.repeat(22)}:${'E'.repeat(43)}` }],
    }
    const options = { clients: [slow, machine] }
    const ask = async (client_id: string, client_secret: string) =>
      parsed(await createTokenResponse(options, formRequest({ grant_type: 'client_credentials' }, basic({ client_id, client_secret }))))
    const flood = Array.from({ length: 60 }, () => ask('slow', 'wrong'))
    let isOver = false
    const over = Promise.all(flood).then((answers) => ((isOver = true), answers))
    expect((await ask('machine', machine.client_secret)).status).toBe(200)
    expect(isOver).toBe(false)
    const statuses = (await over).map(({ status }) => status)
    expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(0)
    expect(statuses.filter((status) => status === 401).length).toBeGreaterThan(0)
    expect(new Set(statuses)).toEqual(new Set([401, 503]))
  })

  test('X10 C6 C8 made-up names from one address wait and are refused as known ones, and keep no client elsewhere waiting', async () => {
    const slow = {
      client_id: 'slow',
      grant_types: ['client_credentials'],
      secrets: [{ hash: await hashClientSecret('chosen') }],
    }
    const options = { clients: [slow] }
    const ask = async (client_id: string, client_secret: string, address: string) => {
      const request = formRequest({ grant_type: 'client_credentials' }, basic({ client_id, client_secret }))
      return parsed(await createTokenResponse(options, { ...request, address }))
    }
    let waiting = 60
    const flood = Array.from({ length: waiting }, async (_, n) => {
      const { status } = await ask(`unknown-${n}`, 'wrong', '203.0.113.9')
      waiting--
      return status
    })
    expect((await ask('slow', 'chosen', '10.0.0.2')).status).toBe(200)
    // Networks take turns: most of the flood still waits for itself, and what goes beyond its share was refused at once.
    expect(waiting).toBeGreaterThan(10)
    expect(new Set(await Promise.all(flood))).toEqual(new Set([401, 503]))
  })
})

describe('T1 forwarded headers are not believed from anyone', () => {
  test.each([
    [undefined, 400],
    [() => false, 400],
    [(address: string) => address === '127.0.0.1', 200],
  ])('X-Forwarded-Proto: https with trustProxy %p', async (trustProxy, expected) => {
    const { options } = testServer(trustProxy === undefined ? {} : { trustProxy })
    const handle = tokenHandler(options)
    const http = await rawServer((req, res) => handle(req, res))
    const lines = ['POST /token HTTP/1.1', 'Host: a', 'Connection: close', 'X-Forwarded-Proto: https', 'Content-Type: application/x-www-form-urlencoded', `Authorization: ${basic(machine).authorization}`, 'Content-Length: 29'] // prettier-ignore
    const answer = await http.send(Buffer.from(`${lines.join('\r\n')}\r\n\r\ngrant_type=client_credentials`))
    await http.close()
    expect(answer.slice(0, 12)).toBe(`HTTP/1.1 ${expected}`)
  })
})

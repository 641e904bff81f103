/**
 * Whatever bytes a client sends: no 5xx, no hang, an error that is registered and dull, and a 200 for nobody without credentials.
 * All of it goes through sockets to a real node:http server.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { introspectionHandler, requireAccessToken, revocationHandler, tokenHandler } from '../../src/index.js'
import { basic, machine, testServer, web } from '../support/server.js'
import { formBody, headerText, marker, nearly, scheme, text } from './fuzz-inputs.js'
import { parseResponses, rawServer, type RawResponse, type RawServer } from './raw-http.js'
import { patience, sizes } from './sizes.js'

jest.setTimeout(patience)

const registered = [
  'invalid_request', 'invalid_client', 'invalid_grant', 'unauthorized_client', 'unsupported_grant_type', 'invalid_scope', 'invalid_token',
  'insufficient_scope', 'unsupported_token_type',
] // prettier-ignore

// RFC 6749 §5.2: error_description = *( %x20-21 / %x23-5B / %x5D-7E )
const descriptionAlphabet = /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/

/** The clients of the test server; what they hold is all that opens anything. */
const rightBasic = basic(machine).authorization
// C9 would answer 429 before anything is looked at: from one address, the limit on failures is no help to what is tried here.
const machineOnly = testServer({ allowInsecureTransport: true, failedAuthenticationLimit: false, onEvent: () => {} })
const { options } = machineOnly

const prototype = Object.getOwnPropertyNames(Object.prototype)
let server: RawServer
let accessToken = ''

beforeAll(async () => {
  jest.spyOn(console, 'warn').mockImplementation(() => {})
  const token = tokenHandler(options)
  const revoke = revocationHandler(options)
  const introspect = introspectionHandler(options)
  const guard = requireAccessToken(options)
  server = await rawServer((req, res) => {
    if (req.url?.startsWith('/api')) {
      guard(req, res, () => res.end('{"granted":true}'))
      return
    }
    if (req.url?.startsWith('/revoke')) {
      revoke(req, res)
      return
    }
    if (req.url?.startsWith('/introspect')) {
      introspect(req, res)
      return
    }
    token(req, res)
  })
  accessToken = (await machineOnly.token({ grant_type: 'client_credentials' }, basic(machine))).json.access_token ?? ''
})

afterAll(async () => {
  await server.close()
  jest.restoreAllMocks()
})

function httpRequest(path: string, fields: Record<string, string | undefined>, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const common = { Host: 'server.example', Connection: 'close', 'Content-Length': String(body.length) }
  const all: Record<string, string | undefined> = { ...common, ...fields }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]))
  const head = `POST ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), body])
}

const form = { 'Content-Type': 'application/x-www-form-urlencoded' }

/** I7 for one response, whoever sent what. */
function assertHarmless({ status, head, body }: RawResponse): void {
  expect(status).toBeLessThan(500)
  expect(head + body).not.toContain(marker)
  if (status === 200) return
  const json: Record<string, unknown> = JSON.parse(body)
  if (status === 401 && !('error' in json)) {
    expect(json).toEqual({})
    return
  }
  expect(registered).toContain(json.error)
  expect(json.error_description).toMatch(descriptionAlphabet)
  expect(Object.keys(json)).toEqual(['error', 'error_description'])
}

/** Sends one request, and returns its one answer. */
async function ask(bytes: Buffer): Promise<RawResponse> {
  const responses = parseResponses(await server.send(bytes))
  const [response] = responses
  if (response === undefined || responses.length !== 1) throw new Error(`${responses.length} responses to one request`)
  assertHarmless(response)
  return response
}

/** Requests that are under way at the same time. */
const atOnce = 10

/** `first` is asked before all others: what is right, which few cases may miss by chance. */
async function fuzz<T>(arbitrary: fc.Arbitrary<T>, property: (input: T) => Promise<void>, first: readonly T[] = []): Promise<void> {
  const inputs = fc.array(arbitrary, { minLength: 1, maxLength: atOnce, size: 'max' })
  let cases = 0
  const properties = fc.asyncProperty(inputs, async (some) => {
    await Promise.all(some.map(property))
    cases += some.length
  })
  const examples: [T[]][] = first.map((input) => [[input]])
  while (cases < sizes.fuzzCases) await fc.assert(properties, { examples, numRuns: Math.ceil((sizes.fuzzCases - cases) / atOnce) })
  expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(prototype)
}

describe('I7 R2 R3 R5 T5 T6 T8 C1 C4 whatever a client sends', () => {
  test('as a form body: 200 only with the right Basic credentials, or of the introspection and revocation of nothing', async () => {
    const credentials = fc.constantFrom(
      undefined,
      rightBasic,
      basic(web).authorization,
      basic({ ...web, client_secret: 'wrong' }).authorization,
    )
    const seen = new Set<string>()
    await fuzz(
      fc.tuple(fc.constantFrom('/token', '/token', '/revoke', '/introspect'), credentials, formBody),
      async ([path, Authorization, body]) => {
        const response = await ask(httpRequest(path, { ...form, Authorization }, body))
        seen.add(`${path} ${response.status}`)
        if (response.status !== 200) return
        if (path === '/revoke') return
        expect([rightBasic, basic(web).authorization]).toContain(Authorization)
        if (path === '/introspect') expect(JSON.parse(response.body)).toEqual({ active: false })
        else expect(JSON.parse(response.body)).toHaveProperty('access_token')
      },
      [['/token', rightBasic, Buffer.from('grant_type=client_credentials')]],
    )
    // The inputs are near enough to what is right to get everywhere.
    expect([...seen]).toEqual(expect.arrayContaining(['/token 200', '/token 400', '/token 401', '/introspect 400']))
  })

  test('as a Basic header: 200 only for the client and its secret', async () => {
    const encoded = fc.oneof(
      fc.tuple(text, fc.constantFrom(':', '', '::'), text).map((parts) => Buffer.from(parts.join('')).toString('base64')),
      fc.constantFrom(rightBasic, basic(web).authorization).map((header) => header.slice(6)),
      text,
    )
    const header = nearly(fc.tuple(scheme, encoded).map((parts) => parts.join(''))).map(headerText)
    const body = Buffer.from('grant_type=client_credentials')
    await fuzz(header, async (Authorization) => {
      const { status } = await ask(httpRequest('/token', { ...form, Authorization }, body))
      if (status === 200) expect(decodedBasic(Authorization)).toBe(`${machine.client_id}:${machine.client_secret}`)
      else expect([400, 401]).toContain(status)
    })
  })

  test('as a bearer header: 200 only for the token', async () => {
    const presented = fc.oneof(fc.constant(null), text).map((other) => other ?? accessToken)
    const header = nearly(fc.tuple(scheme, presented).map((parts) => parts.join(''))).map(headerText)
    await fuzz(header, async (Authorization) => {
      const { status, head } = await ask(httpRequest('/api', { Authorization }))
      if (status === 200) expect(/^bearer +(\S+)$/i.exec(Authorization.trim())?.[1]).toBe(accessToken)
      else expect(head).toMatch(/^WWW-Authenticate: Bearer [\x20-\x7e]+\r$/m)
    })
  })

  test('as a scope: 200 only within what the server has', async () => {
    const known = fc.constantFrom('read', 'write', 'admin')
    const some = fc.array(fc.oneof({ weight: 3, arbitrary: known }, { weight: 1, arbitrary: text }), { maxLength: 6 })
    await fuzz(nearly(some.map((tokens) => tokens.join(' '))), async (bytes) => {
      const scope = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
      const body = Buffer.from(`grant_type=client_credentials&scope=${scope}`)
      const response = await ask(httpRequest('/token', { ...form, Authorization: rightBasic }, body))
      const { scope: granted = '', error } = JSON.parse(response.body)
      if (response.status === 200) expect(granted).toMatch(/^(?:(?:read|write|admin)(?: (?:read|write|admin)){0,2})?$/)
      else expect(['invalid_scope', 'invalid_request']).toContain(error)
    })
  })

  test('as the bytes of an HTTP message: 200 only with the right credentials', async () => {
    const method = fc.constantFrom('POST', 'POST', 'POST', 'GET', 'PUT', 'OPTIONS', 'DELETE', 'PATCH', 'TRACE', 'post', marker)
    const target = fc.constantFrom('/token', '/token?x=1', '/token?code=1', '/token#a', '//token', '*', 'http://a/token', '/revoke', '/introspect', '/api', `/${marker}`) // prettier-ignore
    const field = fc.constantFrom(
      'Content-Type: application/x-www-form-urlencoded', 'content-type: APPLICATION/X-WWW-FORM-URLENCODED; charset=utf-8', 'Content-Type: application/json',
      'Content-Encoding: gzip', 'Transfer-Encoding: chunked', 'Transfer-Encoding: gzip, chunked', 'Content-Length: 5', 'Content-Length: 99999999',
      'Expect: 100-continue', 'Expect: nothing', 'Connection: close', 'Connection: Upgrade\r\nUpgrade: h2c', 'X-Forwarded-Proto: https',
      `Authorization: ${basic({ ...machine, client_secret: 'wrong' }).authorization}`, 'Authorization: Bearer x', `Cookie: ${marker}`, ' folded', ':',
    ) // prettier-ignore
    const body = fc.constantFrom(
      '',
      '0\r\n\r\n',
      '1d\r\ngrant_type=client_credentials\r\n0\r\n\r\n',
      'grant_type=client_credentials',
      `code=${marker}`,
    )
    const message = fc.tuple(method, target, fc.array(field, { maxLength: 8 }), body, fc.constantFrom('1.1', '1.1', '1.0', '2.0')).map(
      ([verb, path, fields, content, version]) => `${[`${verb} ${path} HTTP/${version}`, 'Host: a', ...fields].join('\r\n')}\r\n\r\n${content}`) // prettier-ignore
    const seen = new Set<string>()
    await fuzz(nearly(message, 'latin1'), async (bytes) => {
      for (const response of parseResponses(await server.send(bytes))) {
        seen.add(response.body === '' ? `${response.status} empty` : `${response.status}`)
        // What node:http refuses it answers itself, without content; and the answer to HEAD has none.
        if (response.body === '') expect([400, 401, 405, 408, 413, 414, 417, 431]).toContain(response.status)
        else assertHarmless(response)
        expect(response.status).not.toBe(200)
      }
    })
    expect([...seen]).toEqual(expect.arrayContaining(['400', '400 empty', '401', '405', '415']))
  })
})

/** What a lenient reader could make of a Basic header. */
function decodedBasic(header: string): string {
  const raw = Buffer.from(header.trim().replace(/^basic +/i, ''), 'base64').toString('utf8')
  try {
    return decodeURIComponent(raw)
  } catch {
    return raw
  }
}

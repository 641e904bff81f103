/** What the guard makes of a MAC request, in both drafts (Y3): each line of the normalised request, the age, the nonce, the body. */
import { describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { memoryStore, type ProtocolRequest, type Store } from '../../src/index.js'
import { headerText, marker, nearly } from '../security/fuzz-inputs.js'
import { sizes } from '../security/sizes.js'
import { ask, aGet, drafts, invalidMac, macLine, macServer, macToken, signedAttributes, signedGet, type Draft } from '../support/mac.js'
import { basic, machine, start, testServer } from '../support/server.js'
import { reasons } from '../support/stored.js'

jest.setTimeout(60_000)

/** A request that differs from what was signed, by what it is called. */
const different: [what: string, signing: object][] = [
  ['host', { host: 'other.example.com' }],
  ['port', { port: '80' }],
  ['method', { method: 'POST' }],
  ['path', { target: '/apix?b=1&a=2' }],
  ['query', { target: '/api?b=1&a=3' }],
  ['order of the query', { target: '/api?a=2&b=1' }],
]

describe.each(drafts)('draft %s', (draft) => {
  async function prepared(more?: Parameters<typeof macServer>[0]) {
    const server = macServer(more)
    return { server, token: await macToken(server) }
  }

  test('Y3 a request as it was signed passes', async () => {
    const { server, token } = await prepared()
    expect(await ask(server, signedGet(draft, token))).toBe('accepted')
    expect(await ask(server, signedGet(draft, token, { nonce: 'n2', ext: 'a=1, b=2' }))).toBe('accepted')
    expect(await ask(server, { ...signedGet(draft, token, { nonce: 'n3', method: 'DELETE' }), method: 'DELETE' })).toBe('accepted')
    const absolute = { ...signedGet(draft, token, { nonce: 'n4' }), url: 'https://elsewhere.example/api?b=1&a=2' }
    expect(await ask(server, absolute)).toBe('accepted')
  })

  test('Y3 the scheme in any case, and blanks and line ends of the list as HTTP allows them', async () => {
    const { server, token } = await prepared()
    for (const [nonce, change] of [
      ['a', (line: string) => line.replace('MAC', 'mAc')],
      ['b', (line: string) => line.replaceAll(', ', ',')],
      ['c', (line: string) => line.replaceAll(', ', ' ,  ').replace('MAC ', 'MAC   ')],
      ['d', (line: string) => line.replace('id=', 'ID=')],
    ] as const) {
      const authorization = change(macLine(signedAttributes(draft, token, { nonce })))
      expect([authorization, await ask(server, { ...aGet, headers: { authorization } })]).toEqual([authorization, 'accepted'])
    }
  })

  test.each(different)('Y3 another %s than the one that was signed', async (_what, signing) => {
    const { server, token } = await prepared()
    expect(await ask(server, signedGet(draft, token, signing))).toEqual(invalidMac)
    expect(reasons(server)).toEqual(['wrong MAC'])
  })

  test.each(['id', 'nonce', 'ts', 'ext', 'mac'])('Y3 another %s in the header than the one that was signed', async (name) => {
    const { server, token } = await prepared()
    const attributes = signedAttributes(draft, token, { ext: 'x' })
    const others: Record<string, string> = {
      id: (await macToken(server)).access_token,
      nonce: draft === '-00' ? '0:other' : 'other',
      ts: String(start + 1),
      ext: 'y',
      mac: Buffer.alloc(32).toString('base64'),
    }
    const authorization = macLine({ ...attributes, [name]: others[name] ?? '' })
    expect(await ask(server, { ...aGet, headers: { authorization } })).toEqual(invalidMac)
    expect(reasons(server)).toEqual(['wrong MAC'])
  })

  test('Y3 another key, and the key in another encoding', async () => {
    const { server, token } = await prepared()
    const other = await macToken(server)
    for (const mac_key of [other.mac_key, '', Buffer.from(token.mac_key, 'base64url').toString('latin1')])
      expect(await ask(server, signedGet(draft, { ...token, mac_key }))).toEqual(invalidMac)
  })

  test('Y3 host and port come from the configuration, whatever the request says', async () => {
    const { server, token } = await prepared()
    const { headers } = signedGet(draft, token, { host: 'evil.example', port: '80' })
    const asked: ProtocolRequest = { ...aGet, url: 'http://evil.example/api?b=1&a=2', headers: { ...headers, host: 'evil.example' } }
    expect(await ask(server, asked)).toEqual(invalidMac)
    const elsewhere = signedGet(draft, token, { host: 'other.example', port: '8443' })
    expect(await ask(server, elsewhere, { origin: 'https://other.example:8443' })).toBe('accepted')
    const plain = signedGet(draft, token, { host: 'localhost', port: '80', nonce: 'plain' })
    expect(await ask(server, plain, { origin: 'http://localhost' })).toBe('accepted')
  })

  test('Y3 a nonce works once for its token and its time', async () => {
    const { server, token } = await prepared()
    expect(await ask(server, signedGet(draft, token))).toBe('accepted')
    expect(await ask(server, signedGet(draft, token))).toEqual(invalidMac)
    expect(await ask(server, signedGet(draft, token, { target: '/other' }), { origin: 'https://api.example.com' })).toEqual(invalidMac)
    expect(await ask(server, { ...signedGet(draft, token, { target: '/other' }), url: '/other' })).toEqual(invalidMac)
    expect(reasons(server)).toEqual(['the nonce was used before', 'wrong MAC', 'the nonce was used before'])
    expect(await ask(server, signedGet(draft, token, { age: 1 }))).toBe('accepted')
    expect(await ask(server, signedGet(draft, await macToken(server)))).toBe('accepted')
  })

  test('Y3 I1 of a hundred requests with one nonce one passes', async () => {
    const store = memoryStore()
    const [one, two] = [macServer({ store }), macServer({ store })]
    const token = await macToken(one)
    const asked = Array.from({ length: sizes.contestants }, (_, index) => ask(index % 2 === 0 ? one : two, signedGet(draft, token)))
    const answers = await Promise.all(asked)
    expect(answers.filter((answer) => answer === 'accepted')).toHaveLength(1)
    expect(answers.filter((answer) => answer !== 'accepted')).toEqual(Array(sizes.contestants - 1).fill(invalidMac))
  })

  test('Y3 I1 a store that reads, checks and then writes would be seen', async () => {
    const ids = new Set<string>()
    const store: Store = memoryStore()
    const broken: Store = {
      ...store,
      async create(record) {
        if (record.kind !== 'guard') return store.create(record)
        const isFree = !ids.has(record.id)
        await Promise.resolve()
        ids.add(record.id)
        return isFree
      },
    }
    const { server, token } = await prepared({ store: broken })
    const answers = await Promise.all(Array.from({ length: sizes.contestants }, () => ask(server, signedGet(draft, token))))
    expect(answers.filter((answer) => answer === 'accepted').length).toBeGreaterThan(1)
  })

  test('Y3 the nonce is remembered only after the signature is right, the body too, and the time', async () => {
    const { server, token } = await prepared()
    const forged = { ...token, mac_key: 'x'.repeat(43) }
    expect(await ask(server, signedGet(draft, forged))).toEqual(invalidMac)
    expect(await ask(server, signedGet(draft, token, { host: 'evil.example' }))).toEqual(invalidMac)
    expect(await ask(server, signedGet(draft, token))).toBe('accepted')
    server.now = start + 301
    expect(await ask(server, signedGet(draft, token, { nonce: 'late' }))).toEqual(invalidMac)
    server.now = start
    expect(await ask(server, signedGet(draft, token, { nonce: 'late' }))).toBe('accepted')
    const post: ProtocolRequest = { ...signedGet('-00', token, { body: 'a', method: 'POST', nonce: 'b' }), method: 'POST' }
    expect(await ask(server, { ...post, rawBody: 'other' })).toEqual(invalidMac)
    expect(await ask(server, { ...post, rawBody: 'a' })).toBe('accepted')
  })

  test('Y3 five minutes old or new is the most, and the nonce is remembered as long', async () => {
    const { server, token } = await prepared()
    server.now = start + 300
    expect(await ask(server, signedGet(draft, token, { nonce: 'oldest' }))).toBe('accepted')
    expect(await ask(server, signedGet(draft, token, { age: 600, nonce: 'newest' }))).toBe('accepted')
    expect(await ask(server, signedGet(draft, token, { age: 601 }))).toEqual(invalidMac)
    server.now = start + 301
    expect(await ask(server, signedGet(draft, token, { nonce: 'too old' }))).toEqual(invalidMac)
    // The newest is good until 900, and so is the memory of its nonce.
    server.now = start + 900
    await macToken(server)
    expect(await ask(server, signedGet(draft, token, { age: 600, nonce: 'newest' }))).toEqual(invalidMac)
    server.now = start + 901
    expect(await ask(server, signedGet(draft, token, { age: 600, nonce: 'newest' }))).toEqual(invalidMac)
    expect(reasons(server)).toEqual(['stale timestamp', 'stale timestamp', 'the nonce was used before', 'stale timestamp'])
  })

  test('Y3 an expired token, and one that was revoked', async () => {
    const { server, token } = await prepared()
    await server.revoke({ token: token.access_token }, basic(machine))
    expect(await ask(server, signedGet(draft, token))).toEqual(invalidMac)
    const other = await macToken(server)
    server.now = start + 3600
    expect(await ask(server, signedGet(draft, other, { age: 3600 }))).toEqual(invalidMac)
    expect(reasons(server)).toEqual(['unknown, expired or revoked', 'unknown, expired or revoked'])
  })

  test('Y3 N1 a bearer token as MAC, and a MAC token as bearer', async () => {
    const store = memoryStore()
    const { server, token } = await prepared({ store })
    const bearerServer = testServer({ store, issuer: 'https://api.example.com' })
    const { json } = await bearerServer.token({ grant_type: 'client_credentials' }, basic(machine))
    const asBearer = (text = '') => ({ ...aGet, headers: { authorization: `Bearer ${text}` } })
    // Both types are accepted side by side, by either server: the scheme decides.
    for (const side of [server, bearerServer]) {
      expect(await ask(side, asBearer(json.access_token))).toBe('accepted')
      expect(await ask(side, signedGet(draft, token, { nonce: side === server ? 'a' : 'b' }))).toBe('accepted')
      expect(await ask(side, asBearer(token.access_token))).toMatchObject({ status: 401, body: invalidMac.body })
      const disguised = signedGet(draft, { access_token: json.access_token ?? '', mac_key: '' })
      expect(await ask(side, disguised)).toMatchObject({ status: 401, body: invalidMac.body })
      expect(reasons(side)).toEqual([
        'a token that is bound to a key was presented as a bearer token',
        'a bearer token was presented as a MAC token',
      ])
    }
  })

  test('Y3 a scope that the token lacks is 403, and does not make the request a new one', async () => {
    const { server, token } = await prepared({ clients: [{ ...machine, scope: 'read' }] })
    expect(await ask(server, signedGet(draft, token), { scope: 'write' })).toMatchObject({
      status: 403,
      headers: { 'WWW-Authenticate': expect.stringMatching(/^MAC .*error="insufficient_scope".*scope="write"$/) },
    })
  })
})

describe('the body', () => {
  const signing = { body: '{"a":1}', method: 'POST' }

  async function post(more: Partial<ProtocolRequest>) {
    const server = macServer()
    const token = await macToken(server)
    const answer = await ask(server, { ...signedGet('-00', token, signing), method: 'POST', ...more })
    return { answer, reasons: reasons(server) }
  }

  test('Y3 is checked against the bytes that were kept', async () => {
    expect(await post({ rawBody: '{"a":1}' })).toEqual({ answer: 'accepted', reasons: [] })
    expect(await post({ rawBody: Buffer.from('{"a":1}'), body: { a: 1 } })).toEqual({ answer: 'accepted', reasons: [] })
    expect(await post({ rawBody: '{"a": 1}' })).toEqual({ answer: invalidMac, reasons: ['wrong bodyhash'] })
    expect(await post({ rawBody: '' })).toEqual({ answer: invalidMac, reasons: ['wrong bodyhash'] })
  })

  test('Y3 that cannot be checked is refused, and the event names the remedy', async () => {
    const remedy = ['the bodyhash cannot be checked; keep the bytes of the body in req.rawBody']
    expect(await post({ body: { a: 1 } })).toEqual({ answer: invalidMac, reasons: remedy })
    expect(await post({})).toEqual({ answer: invalidMac, reasons: remedy })
  })

  test('Y3 a bodyhash that was taken away or put in makes the signature wrong', async () => {
    const server = macServer()
    const token = await macToken(server)
    const { bodyhash: _hash, ...without } = signedAttributes('-00', token, signing)
    const { mac, ...unsigned } = signedAttributes('-00', token, { method: 'POST' })
    for (const attributes of [without, { ...unsigned, bodyhash: String(_hash), mac: String(mac) }])
      expect(await ask(server, { ...aGet, method: 'POST', rawBody: '{"a":1}', headers: { authorization: macLine(attributes) } })).toEqual(
        invalidMac,
      )
    expect(reasons(server)).toEqual(['wrong MAC', 'wrong MAC'])
  })
})

describe('malformed headers', () => {
  const whole = 'id="ID", ts="4000000000", nonce="n", mac="m"'

  test.each([
    'MAC',
    'MAC ',
    'mac',
    'MAC id',
    'MAC id=',
    'MAC id="ID"',
    'MAC , ',
    `MAC ${whole},x`,
    `MAC ${whole}x`,
    `MAC x ${whole}`,
    'MAC ts="4000000000", nonce="n", mac="m"',
    'MAC id="ID", ts="4000000000", mac="m"',
    'MAC id="ID", ts="4000000000", nonce="n"',
    'MAC id="ID", nonce="n", mac="m"',
    'MAC id="ID", nonce=":n", mac="m"',
    'MAC id="ID", nonce="x:n", mac="m"',
    'MAC id="ID", nonce="-1:n", mac="m"',
    'MAC id="ID", nonce="1:", mac="m"',
    'MAC id="ID", nonce="1234567890123:n", mac="m"',
    'MAC id="ID", ts="", nonce="n", mac="m"',
    'MAC id="ID", ts="01", nonce="n", mac="m"',
    'MAC id="ID", ts="-1", nonce="n", mac="m"',
    'MAC id="ID", ts="1e9", nonce="n", mac="m"',
    'MAC id="ID", ts="1234567890123", nonce="n", mac="m"',
    'MAC id="ID", ts="4000000000", nonce="", mac="m"',
    `MAC ${whole}, id="ID"`,
    `MAC ${whole}, ID="ID"`,
    `MAC ${whole}, mac="m"`,
    `MAC ${whole}, ext="a", ext="a"`,
    `MAC id='ID', ${whole.slice(9)}`,
    `MAC id=ID, ${whole.slice(9)}`,
    `MAC ${whole}, exe="n1"`,
    `MAC id="I\\D", ${whole.slice(9)}`,
    `MAC id="I\tD", ${whole.slice(9)}`,
    `MAC id="ÏD", ${whole.slice(9)}`,
    `MAC: ${whole}x`.replace(':', ''),
    `Basic MAC ${whole}`,
  ])('Y3 %s: 401', async (header) => {
    const server = macServer()
    const token = await macToken(server)
    // With everything else right: what is wrong is the form.
    const authorization = header.replaceAll('ID', token.access_token)
    const answer = await ask(server, { ...aGet, headers: { authorization } })
    const isMac = /^mac/i.test(header)
    expect(answer).toMatchObject(isMac ? invalidMac : { status: 401, body: '{}' })
    expect(reasons(server)).toEqual(isMac ? ['unknown, expired or revoked'] : ['the Authorization header has another scheme than MAC'])
  })

  test('Y3 whole, the same header is refused for its MAC and not for its form', async () => {
    const server = macServer()
    const { access_token } = await macToken(server)
    const authorization = `MAC ${whole.replace('ID', access_token)}`
    expect(await ask(server, { ...aGet, headers: { authorization } })).toEqual(invalidMac)
    expect(reasons(server)).toEqual(['wrong MAC'])
  })

  test('Y3 C4 two Authorization headers: 400', async () => {
    const server = macServer()
    const { authorization } = signedGet('-01', await macToken(server)).headers
    const twice = { ...aGet, headers: { authorization: [String(authorization), 'Bearer x'] } }
    expect(await ask(server, twice)).toMatchObject({ status: 400, body: expect.stringContaining('"invalid_request"') })
  })

  test('I7 Y3 two thousand headers that are nearly right: refused, unless they say the same', async () => {
    const server = macServer({ onEvent: () => {} })
    const token = await macToken(server)
    const read = (header: string) =>
      [...header.matchAll(/([a-z]+)="([^"]*)"/gi)].map(([, name = '', value]) => [name.toLowerCase(), value]).sort()
    const seen = { accepted: 0, refused: 0, absent: 0 }
    let count = 0
    const signed = fc
      .constantFrom<Draft>(...drafts)
      .map((draft) => macLine(signedAttributes(draft, token, { ext: marker, nonce: `n${count++}` })))
    const headers = signed.chain((line) => nearly(fc.constant(line), 'latin1').map((bytes) => ({ line, header: headerText(bytes) })))
    const property = fc.asyncProperty(headers, async ({ line, header }) => {
      const answer = await ask(server, { ...aGet, headers: { authorization: header } })
      if (header === line) expect(answer).toBe('accepted')
      if (answer === 'accepted') {
        seen.accepted++
        expect(read(header)).toEqual(read(line))
        return
      }
      expect(answer.status).toBe(401)
      expect(JSON.stringify(answer)).not.toContain(marker)
      seen[answer.body === '{}' ? 'absent' : 'refused']++
    })
    await fc.assert(property, { numRuns: 2_000 })
    expect(Math.min(seen.accepted, seen.refused, seen.absent)).toBeGreaterThan(10)
  })
})

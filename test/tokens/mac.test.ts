/** MAC tokens as they are issued (Y2), the vectors of the draft, and the header that a client makes (Y3, A7). */
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createHash } from 'node:crypto'
import express from 'express'
import {
  ConfigurationError,
  encrypted,
  jwt,
  macHeader,
  requireAccessToken,
  tokenHandler,
  type HostRequest,
  type MacRequest,
} from '../../src/index.js'
import { unseal } from '../../src/secrets.js'
import { ask, invalidMac, macLine, macServer, macToken, signedAttributes, signedGet, type MacToken } from '../support/mac.js'
import { basic, exchange, machine, start, testServer, web } from '../support/server.js'
import { authorizationOf, reasons, recordOf, rewrite, storedServer } from '../support/stored.js'
import { Resources } from '../support/wire.js'

const resources = new Resources()
beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
})
afterEach(() => resources.close())
afterAll(() => {
  jest.restoreAllMocks()
})

const mac = { authenticationMethod: 'mac', issuer: 'https://api.example.com' } as const
// 256 bits in characters of 6 bits each
const strongKey = /^[A-Za-z0-9_-]{43,}$/

describe('the vectors of the draft', () => {
  test('Y3 GET with nonce and without body', () => {
    const nonce = '264095:dj83hs9s'
    const url = 'http://example.com/resource/1?b=1&a=2'
    const signed = macHeader({ id: 'h480djs93hd8', key: '489dks293j39', method: 'GET', url, nonce, algorithm: 'hmac-sha-1' })
    expect(signed).toEqual({ Authorization: 'MAC id="h480djs93hd8", nonce="264095:dj83hs9s", mac="SLDJd4mg43cjQfElUs3Qub4L6xE="' })
  })

  test('Y3 POST with bodyhash', () => {
    const body = 'hello=world%21'
    const request = { id: 'jd93dh9dh39D', key: '8yfrufh348h', method: 'POST', url: 'http://example.com/request', body }
    expect(macHeader({ ...request, nonce: '273156:di3hvdf8', algorithm: 'hmac-sha-1' })).toEqual({
      Authorization:
        'MAC id="jd93dh9dh39D", nonce="273156:di3hvdf8", bodyhash="k9kbtCIy0CkI3/FEfpS/oIDjk6k=", mac="W7bdMZbv9UWOTadASIQHagZyirA="',
    })
  })
})

describe('issuing', () => {
  test('Y2 the response carries token_type mac, a key of at least 256 bits and its algorithm', async () => {
    const { status, json } = await macServer().token({ grant_type: 'client_credentials', scope: 'read' }, basic(machine))
    expect({ status, json }).toEqual({
      status: 200,
      json: {
        access_token: expect.stringMatching(/^[\w.-]{66}$/),
        token_type: 'mac',
        expires_in: 3600,
        scope: 'read',
        mac_key: expect.stringMatching(strongKey),
        mac_algorithm: 'hmac-sha-256',
      },
    })
  })

  test('Y2 a new key with each access token, at refresh too, and the old key stays with the old token', async () => {
    const server = macServer()
    const first = (await server.tokens()) as unknown as { access_token: string; mac_key: string; refresh_token: string }
    const { json } = await server.refresh(first.refresh_token)
    const second = { access_token: json.access_token ?? '', mac_key: String(json.mac_key) }
    expect(second.mac_key).toMatch(strongKey)
    expect(second.mac_key).not.toBe(first.mac_key)
    expect(await ask(server, signedGet('-01', first))).toBe('accepted')
    expect(await ask(server, signedGet('-01', second))).toBe('accepted')
    expect(await ask(server, signedGet('-01', { ...first, mac_key: second.mac_key }, { nonce: 'other' }))).toEqual(invalidMac)
  })

  test('Y2 a client that lost the answer to a refresh gets the same key again', async () => {
    const server = macServer()
    const { refresh_token } = await server.tokens()
    const { json: lost } = await server.refresh(refresh_token)
    expect((await server.refresh(refresh_token)).json).toEqual(lost)
    expect(lost.mac_key).toMatch(strongKey)
  })

  test('Y2 the record holds the key sealed under the text of the token, and under nothing else', async () => {
    const { server, store } = storedServer(mac)
    const { access_token, mac_key } = await macToken(server)
    expect(JSON.stringify(await recordOf(store, access_token))).not.toContain(mac_key)
    const { id, accessTokens } = await authorizationOf(store, access_token)
    const binding = accessTokens[0]?.binding ?? ''
    expect(unseal(binding, access_token, 'mac key', id)).toBe(mac_key)
    for (const other of [`${access_token}x`, id, createHash('sha256').update(access_token).digest('base64url')])
      expect(unseal(binding, other, 'mac key', id)).toBeUndefined()
    expect(unseal(binding, access_token, 'mac key', 'another authorization')).toBeUndefined()
    expect(JSON.stringify(server.events)).not.toContain(mac_key)
  })

  test('Y2 a sealed key that was changed, or moved here from another record, opens nothing', async () => {
    const { server, store } = storedServer(mac)
    const [token, other] = [await macToken(server), await macToken(server)]
    const [moved] = (await authorizationOf(store, other.access_token)).accessTokens
    const sealed = (await authorizationOf(store, token.access_token)).accessTokens[0]?.binding ?? ''
    for (const binding of [moved?.binding ?? '', `${sealed.slice(0, -2)}AA`, 'x']) {
      await rewrite(store, token.access_token, (authorization) => ({
        ...authorization,
        accessTokens: authorization.accessTokens.map((remembered) => ({ ...remembered, binding })),
      }))
      for (const mac_key of [token.mac_key, other.mac_key, ''])
        expect(await ask(server, signedGet('-01', { ...token, mac_key }))).toEqual(invalidMac)
    }
    expect(new Set(reasons(server))).toEqual(new Set(['malformed MAC credentials']))
  })

  test('Y2 introspection says that it is a mac token', async () => {
    const server = macServer()
    const { access_token } = await macToken(server)
    expect(await server.introspect({ token: access_token }, basic(machine))).toMatchObject({ json: { active: true, token_type: 'mac' } })
  })

  test('Y2 F5 texts of the application’s own have a key, too', async () => {
    let count = 0
    const server = macServer({ accessTokens: () => `own-${count++}` })
    const token = await macToken(server)
    expect(token).toMatchObject({ access_token: 'own-0', mac_key: expect.stringMatching(strongKey) })
    expect(await ask(server, signedGet('-01', token))).toBe('accepted')
  })

  const key = { kty: 'oct', k: Buffer.alloc(32, 7).toString('base64url') }
  const ec = {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
  }

  test('Y2 mac with tokens that are not remembered stops the start', () => {
    const needs = (name: string) =>
      new ConfigurationError(
        `authenticationMethod 'mac' needs tokens that are remembered, and ${name} tokens are not; use accessTokens: opaque()`,
      )
    expect(() => tokenHandler({ clients: [machine], ...mac, accessTokens: jwt({ key: ec }) })).toThrow(needs('jwt'))
    expect(() => tokenHandler({ clients: [machine], ...mac, accessTokens: encrypted({ key }) })).toThrow(needs('encrypted'))
  })

  test('Y4 anything but a known method stops the start', () => {
    const make = (authenticationMethod: unknown) => () =>
      tokenHandler({ clients: [machine], authenticationMethod: authenticationMethod as 'mac' })
    expect(make('Mac')).toThrow(new ConfigurationError(`authenticationMethod must be 'bearer' or 'mac'; did you mean "mac"?`))
    for (const method of ['dpop', '', null, 1]) expect(make(method)).toThrow(ConfigurationError)
  })

  test('Y3 a guard that does not know its host stops the start, and only where MAC tokens are issued', () => {
    const guard = (authenticationMethod: 'mac' | 'bearer', origin?: string) => () =>
      requireAccessToken({ clients: [machine], authenticationMethod }, origin === undefined ? {} : { origin })
    const unknown = 'requireAccessToken: MAC tokens sign host and port; set the option origin here, or issuer in the options'
    expect(guard('mac')).toThrow(new ConfigurationError(unknown))
    expect(guard('bearer')).not.toThrow()
    expect(guard('mac', 'https://api.example.com:8443')).not.toThrow()
    for (const origin of ['api.example.com', 'https://api.example.com/', 'https://api.example.com/v1'])
      expect(guard('mac', origin)).toThrow(/^requireAccessToken: origin must be a scheme, host and port/)
  })
})

describe('the header that a client makes', () => {
  const token = { access_token: 'token', mac_key: 'key' }
  const base: MacRequest = { id: 'token', key: 'key', method: 'GET', url: 'https://api.example.com/api?b=1&a=2' }
  const line = (request: Partial<MacRequest>) => macHeader({ ...base, ...request }).Authorization

  test('A7 Y3 draft -01: ts, nonce, ext, and never a bodyhash', () => {
    const signing = { ext: 'a,b c' }
    const expected = macLine(signedAttributes('-01', token, signing))
    expect(line({ ts: start, nonce: 'dj83hs9s', ...signing, body: 'unsigned' })).toBe(expected)
    expect(expected).toMatch(/^MAC id="token", ts="4000000000", nonce="dj83hs9s", ext="a,b c", mac="[\w+/]{43}="$/)
  })

  test('A7 Y3 draft -00: the nonce has the form age:random and there is no ts', () => {
    const expected = macLine(signedAttributes('-00', token, { age: 17, nonce: 'n', body: 'päyload' }))
    expect(line({ nonce: '17:n', body: 'päyload' })).toBe(expected)
    expect(line({ nonce: '17:n', body: Buffer.from('päyload') })).toBe(expected)
    expect(line({ nonce: '17:n', ts: start })).toContain('ts="4000000000", nonce="17:n"')
  })

  test('A7 method in capitals, host in small letters, the port of the scheme or the one in the URL, the path / for none, no fragment', () => {
    const signed = (url: string, method = 'GET') => line({ url, method, ts: start, nonce: 'dj83hs9s' })
    const expected = (signing: object) => macLine(signedAttributes('-01', token, signing))
    expect(signed('https://API.example.com/x', 'post')).toBe(expected({ method: 'POST', target: '/x' }))
    expect(signed('http://api.example.com/x')).toBe(expected({ port: '80', target: '/x' }))
    expect(signed('https://api.example.com:8443/x')).toBe(expected({ port: '8443', target: '/x' }))
    expect(signed('https://api.example.com')).toBe(expected({ target: '/' }))
    expect(signed('https://api.example.com?a=1')).toBe(expected({ target: '/?a=1' }))
    expect(signed('https://api.example.com/x?a=1#part')).toBe(expected({ target: '/x?a=1' }))
  })

  test('A7 without ts and nonce: now, and a nonce that is new each time', () => {
    const before = Math.floor(Date.now() / 1000)
    const lines = [line({}), line({})]
    const parts = lines.map((text) => /ts="(\d+)", nonce="([\w-]{16,})"/.exec(text) ?? [])
    for (const [, ts] of parts) expect(Number(ts) - before).toBeLessThanOrEqual(2)
    expect(new Set(parts.map(([, , nonce]) => nonce)).size).toBe(2)
  })
})

describe('over real HTTP', () => {
  test('Y2 Y3 A7 on Express 5, where express.json keeps rawBody: issued, used, the body checked, the nonce used up', async () => {
    const server = testServer({ authenticationMethod: 'mac', allowInsecureTransport: true })
    const keepBody = express.json({
      verify: (req, _res, bytes) => {
        ;(req as HostRequest).rawBody = bytes
      },
    })
    const app = express()
    app.post('/oauth2/token', tokenHandler(server.options))
    // The port is known when it listens, and the guard is made then.
    const { url } = await resources.listen(app)
    const guard = requireAccessToken(server.options, { origin: url })
    app.post('/notes', keepBody, guard, (req, res) => void res.json({ read: req.body, by: (req as HostRequest).auth }))
    app.post('/unkept', express.json(), guard, (_req, res) => void res.json({}))

    const tokenHeaders = { ...basic(web), 'content-type': 'application/x-www-form-urlencoded' }
    const form = new URLSearchParams(exchange(await server.code({ scope: 'read' })))
    const issued = await fetch(`${url}/oauth2/token`, { method: 'POST', headers: tokenHeaders, body: form })
    const { access_token, mac_key } = (await issued.json()) as MacToken

    const send = async (path: string, headers: Record<string, string>, body = '{"text":"ä"}') => {
      const response = await fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
      return { status: response.status, json: (await response.json()) as Record<string, unknown> }
    }
    const signed = (path: string, more: Partial<MacRequest> = {}) =>
      macHeader({ id: access_token, key: mac_key, method: 'POST', url: url + path, body: '{"text":"ä"}', ts: start, ...more })
    const firstDraft = (path: string, nonce: string) => {
      const { ts: _ts, ...rest } = { id: access_token, key: mac_key, method: 'POST', url: url + path, body: '{"text":"ä"}', ts: start }
      return macHeader({ ...rest, nonce })
    }

    const header = signed('/notes')
    expect(await send('/notes', header)).toEqual({
      status: 200,
      json: {
        read: { text: 'ä' },
        by: expect.objectContaining({ token: access_token, clientId: 'web', subject: 'alice', scopes: ['read'] }),
      },
    })
    expect(await send('/notes', header)).toMatchObject({ status: 401, json: { error: 'invalid_token' } })
    expect(await send('/notes', firstDraft('/notes', '0:a'))).toMatchObject({ status: 200 })
    expect(await send('/notes', firstDraft('/notes', '0:b'), '{"text":"o"}')).toMatchObject({ status: 401 })
    expect(await send('/unkept', firstDraft('/unkept', '0:c'))).toMatchObject({ status: 401 })
    expect(reasons(server).slice(-3)).toEqual([
      'the nonce was used before',
      'wrong bodyhash',
      'the bodyhash cannot be checked; keep the bytes of the body in req.rawBody',
    ])
  })

  test.each([
    ['text', express.text({ type: '*/*' })],
    ['raw', express.raw({ type: '*/*' })],
  ])('Y3 a body that express.%s has read is its own rawBody', async (_name, parser) => {
    const server = macServer()
    const token = await macToken(server)
    const guard = requireAccessToken(server.options)
    const app = express().post('/api', parser, guard, (_req, res) => void res.end('passed'))
    const { url } = await resources.listen(app)
    const send = async (nonce: string, body: string) => {
      const signing = { method: 'POST', target: '/api', body: 'a=1', nonce }
      const headers = { authorization: macLine(signedAttributes('-00', token, signing)) }
      return (await fetch(`${url}/api`, { method: 'POST', headers, body })).status
    }
    expect(await send('a', 'a=1')).toBe(200)
    expect(await send('b', 'a=2')).toBe(401)
  })
})

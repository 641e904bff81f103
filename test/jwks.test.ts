/** The public keys, as resource servers fetch them. */
import { afterEach, describe, expect, test } from '@jest/globals'
import express from 'express'
import { ConfigurationError, createJwksResponse, encrypted, jwksHandler, jwt, opaque, type ServerOptions } from '../src/index.js'
import { testServer } from './support/server.js'
import { ed25519, issuer, jwk, otherP256, p256, rsa } from './support/tokens.js'
import { Resources } from './support/wire.js'

const resources = new Resources()
afterEach(() => resources.close())

const get = { method: 'GET', url: '/oauth2/jwks', headers: {} }
const jwks = (options: ServerOptions, cache = {}) => createJwksResponse(options, get, cache)
const optionsWith = (accessTokens: NonNullable<ServerOptions['accessTokens']>) => testServer({ issuer, accessTokens }).options

describe('the document', () => {
  test('F3 has the public half of every key, whatever its state, and may be cached', () => {
    const keys = [
      { key: p256.privateKey, kid: 'ec' },
      { key: rsa.privateKey, kid: 'rsa', state: 'next', algorithm: 'PS256' },
      { key: ed25519.publicKey, kid: 'ed', state: 'retired' },
    ] as const
    const { status, headers, body } = jwks(optionsWith(jwt({ keys })))
    expect([status, headers]).toEqual([200, { 'Content-Type': 'application/jwk-set+json', 'Cache-Control': 'public, max-age=300' }])
    const [ec, { n, e }, ed] = [jwk(p256.publicKey), jwk(rsa.publicKey), jwk(ed25519.publicKey)]
    expect(JSON.parse(body)).toEqual({
      keys: [
        { kty: 'EC', crv: 'P-256', x: ec.x, y: ec.y, kid: 'ec', alg: 'ES256', use: 'sig' },
        { kty: 'RSA', n, e, kid: 'rsa', alg: 'PS256', use: 'sig' },
        { kty: 'OKP', crv: 'Ed25519', x: ed.x, kid: 'ed', alg: 'EdDSA', use: 'sig' },
      ],
    })
  })

  test('I6 nothing of a private key is in it', () => {
    const keys = [p256, rsa, ed25519].map(({ privateKey }, index) => ({ key: privateKey, state: index === 0 ? 'active' : 'next' }) as const)
    const { body } = jwks(optionsWith(jwt({ keys })))
    for (const { key } of keys) {
      const { d, p, q, dp, dq, qi } = jwk(key)
      for (const secret of [d, p, q, dp, dq, qi]) if (secret !== undefined) expect(body).not.toContain(secret)
    }
    for (const member of JSON.parse(body).keys) expect(Object.keys(member)).not.toContain('d')
  })

  test('F3 follows a replacement at once', () => {
    const accessTokens = jwt({ key: p256.privateKey })
    const options = optionsWith(accessTokens)
    const kids = () => (JSON.parse(jwks(options).body) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
    const [first = ''] = kids()
    accessTokens.replaceKeys([{ key: otherP256.privateKey }, { key: p256.publicKey, state: 'retired' }])
    expect(kids()).toEqual([expect.not.stringMatching(first), first])
    accessTokens.replaceKeys([{ key: otherP256.privateKey }])
    expect(kids()).toHaveLength(1)
  })

  test('F4 with signWith it has the keys of the signer, and none that encrypts', () => {
    const signWith = jwt({ key: p256.privateKey })
    const { body } = jwks(optionsWith(encrypted({ key: otherP256.privateKey, signWith })))
    expect(JSON.parse(body).keys).toEqual([expect.objectContaining({ x: jwk(p256.publicKey).x, use: 'sig' })])
    expect(body).not.toContain(jwk(otherP256.publicKey).x)
  })

  test('F3 maxAge is in the header', () => {
    expect(jwks(optionsWith(jwt({ key: p256.privateKey })), { maxAge: 60 }).headers['Cache-Control']).toBe('public, max-age=60')
    expect(jwks(optionsWith(jwt({ key: p256.privateKey })), { maxAge: 0 }).headers['Cache-Control']).toBe('public, max-age=0')
  })
})

describe('what stops the start', () => {
  const noKeys = new ConfigurationError('there are no public keys to publish; set accessTokens: jwt({ key })')

  test('F3 tokens without public keys', () => {
    for (const format of [opaque(), encrypted({ key: new Uint8Array(32) }), () => 'text']) {
      expect(() => jwksHandler(optionsWith(format))).toThrow(noKeys)
    }
  })

  test.each([
    [{ maxAge: -1 }, 'jwks: maxAge must be a whole number from 0 to 86400, not -1'],
    [{ maxAge: 86_401 }, 'jwks: maxAge must be a whole number from 0 to 86400, not 86401'],
    [{ maxAge: '300' }, 'jwks: maxAge must be a whole number from 0 to 86400, not a string'],
    [{ maxage: 300 }, 'jwks has no member "maxage"; did you mean "maxAge"?'],
  ])('F3 %p', (cache, message) => {
    expect(() => jwksHandler(optionsWith(jwt({ key: p256.privateKey })), cache as object)).toThrow(new ConfigurationError(message))
  })
})

describe('over HTTP', () => {
  test('F3 GET and HEAD are answered, everything else is 405, and the next handler is not called', async () => {
    const app = express()
    app.use('/oauth2/jwks', jwksHandler(optionsWith(jwt({ key: p256.privateKey }))))
    app.use((_req, res) => void res.status(418).end())
    const { url } = await resources.listen(app)
    const answer = await fetch(`${url}/oauth2/jwks`)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/jwk-set+json'])
    expect(await answer.json()).toMatchObject({ keys: [{ kty: 'EC', use: 'sig' }] })
    const head = await fetch(`${url}/oauth2/jwks`, { method: 'HEAD' })
    expect([head.status, head.headers.get('cache-control'), await head.text()]).toEqual([200, 'public, max-age=300', ''])
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const refused = await fetch(`${url}/oauth2/jwks`, { method })
      expect([method, refused.status, refused.headers.get('allow')]).toEqual([method, 405, 'GET, HEAD'])
      expect(refused.headers.get('cache-control')).toBe('no-store')
    }
  })

  test('T12 with the option cors a page may fetch it', async () => {
    const options = testServer({ issuer, accessTokens: jwt({ key: p256.privateKey }), cors: { origins: '*' } }).options
    const { url } = await resources.listen(jwksHandler(options))
    const answer = await fetch(url, { headers: { Origin: 'https://page.example' } })
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, '*'])
    const preflight = await fetch(url, {
      method: 'OPTIONS',
      headers: { Origin: 'https://page.example', 'Access-Control-Request-Method': 'GET' },
    })
    expect([preflight.status, preflight.headers.get('access-control-allow-methods')]).toEqual([204, expect.stringContaining('GET')])
  })
})

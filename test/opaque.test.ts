/** Opaque access tokens: row F1. */
import { describe, expect, it } from '@jest/globals'
import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { bearerHeader, ConfigurationError, memoryStore, opaque, type OpaqueOptions, type Store, type StoredRecord } from '../src/index.js'
import { basic, machine, testServer, web } from './support/server.js'

/** A store that keeps a copy of every record that was ever written. */
function recordingStore(): { store: Store; written: StoredRecord[] } {
  const written: StoredRecord[] = []
  const inner = memoryStore()
  const store: Store = {
    ...inner,
    create: (record) => inner.create((written.push(record), record)),
    replace: (record, version) => inner.replace((written.push(record), record), version),
  }
  return { store, written }
}

describe('the text', () => {
  it('F1 it is an id and a secret of 43 characters, which is 258 bits', async () => {
    const { access_token } = await testServer().tokens()
    expect(access_token).toMatch(/^[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}$/)
    expect(43 * Math.log2(64)).toBeGreaterThanOrEqual(256)
  })

  it('F1 every character of the secret is random: all 64 occur at every position', async () => {
    const format = opaque()
    const token = { authorization_id: 'a'.repeat(22) } as unknown as Parameters<typeof format.issue>[0]
    const seen = Array.from({ length: 43 }, () => new Set<string>())
    const texts = new Set<string>()
    for (let round = 0; round < 4000; round++) {
      const text = await format.issue(token)
      texts.add(text)
      for (const [position, characters] of seen.entries()) characters.add(text[23 + position] ?? '')
    }
    expect(texts.size).toBe(4000)
    // That one of 64 characters is missing at one of 43 positions has a chance of 43 · 64 · (63/64)^4000 < 10^-23.
    expect(seen.map(({ size }) => size)).toEqual(Array.from({ length: 43 }, () => 64))
  })

  it('F1 two tokens of one Authorization share their id and nothing else', async () => {
    const server = testServer()
    const first = await server.tokens()
    const { access_token = '' } = (await server.refresh(first.refresh_token)).json
    expect(access_token.slice(0, 23)).toBe(first.access_token.slice(0, 23))
    expect(access_token.slice(23)).not.toBe(first.access_token.slice(23))
  })
})

describe('what is stored', () => {
  it('F1 only the SHA-256 of the token is stored, nothing it could be made from', async () => {
    const { store, written } = recordingStore()
    const server = testServer({ store })
    const { access_token } = await server.tokens()
    const { json } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
    const dump = JSON.stringify(written) + inspect(written, { depth: 20 })
    for (const token of [access_token, json.access_token ?? '']) {
      expect(dump).toContain(createHash('sha256').update(token).digest('base64url'))
      expect(dump).not.toContain(token)
      expect(dump).not.toContain(token.slice(23))
      expect(dump).not.toContain(Buffer.from(token).toString('base64url'))
    }
  })

  it('F1 the stored hash is no token', async () => {
    const { store, written } = recordingStore()
    const server = testServer({ store })
    const { access_token } = await server.tokens()
    const hash = createHash('sha256').update(access_token).digest('base64url')
    expect(JSON.stringify(written)).toContain(hash)
    const token = `${access_token.slice(0, 22)}.${hash}`
    expect((await server.introspect({ token }, basic(web))).json).toEqual({ active: false })
  })
})

describe('the prefix', () => {
  it('F1 a prefix for secret scanners stands in front, and the token works with it only', async () => {
    const server = testServer({ accessTokens: opaque({ prefix: 'acme_' }) })
    const { access_token } = await server.tokens()
    expect(access_token).toMatch(/^acme_[\w-]{22}\.[\w-]{43}$/)
    const isActive = async (token: string) => (await server.introspect({ token }, basic(web))).json.active
    expect(await isActive(access_token)).toBe(true)
    expect(await isActive(access_token.slice('acme_'.length))).toBe(false)
    expect(await isActive(access_token.replace('acme_', 'acmf_'))).toBe(false)
    expect(await isActive(`acme_${access_token}`)).toBe(false)
    expect(bearerHeader(access_token).Authorization).toMatch(/^Bearer [A-Za-z0-9\-._~+/]+=*$/)
    await server.revoke({ token: access_token }, basic(web))
    expect(await isActive(access_token)).toBe(false)
  })

  it('F1 the prefix of one server is not the one of another over the same store', async () => {
    const store = memoryStore()
    const one = testServer({ store, accessTokens: opaque({ prefix: 'one_' }) })
    const two = testServer({ store, accessTokens: opaque({ prefix: 'two_' }) })
    const { access_token } = await one.tokens()
    expect((await one.introspect({ token: access_token }, basic(web))).json.active).toBe(true)
    expect((await two.introspect({ token: access_token }, basic(web))).json.active).toBe(false)
  })

  it.each(['a b', 'a.b', 'é', 'a\n', 'a'.repeat(33), 7, null, ['a']])('F1 the prefix %j stops the start', (prefix) => {
    expect(() => opaque({ prefix } as unknown as OpaqueOptions)).toThrow(ConfigurationError)
    expect(() => opaque({ prefix } as unknown as OpaqueOptions)).toThrow('opaque: prefix must be 1 to 32 letters, digits, "_" or "-"')
  })

  it('F1 a misspelt option stops the start', () => {
    expect(() => opaque({ prefx: 'a' } as OpaqueOptions)).toThrow('opaque has no member "prefx"; did you mean "prefix"?')
  })
})

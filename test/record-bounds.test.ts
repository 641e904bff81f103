/** A record stays small, and whether a token is alive has one answer: rows X14 and X15. */
import { describe, expect, test } from '@jest/globals'
import { encrypted, jwt, memoryStore, opaque, type ServerOptions, type Store } from '../src/index.js'
import { basic, exchange, testServer, web, type TestServer } from './support/server.js'
import { isLong } from './security/sizes.js'
import { issuer, p256, present, statusOf } from './support/tokens.js'

const rounds = isLong ? 1000 : 250

/** A store that notes the size of the largest record. */
function measuredStore(): Store & { readonly largest: () => number } {
  const inner = memoryStore()
  let largest = 0
  return {
    get: (id) => inner.get(id),
    create: (record) => inner.create(record),
    list: (filter) => inner.list(filter),
    replace: (record, version) => {
      largest = Math.max(largest, JSON.stringify(record).length)
      return inner.replace(record, version)
    },
    largest: () => largest,
  }
}

const formats: [string, ServerOptions['accessTokens']][] = [
  ['opaque', opaque()],
  ['jwt', jwt({ key: p256.privateKey })],
  ['encrypted', encrypted({ key: Buffer.alloc(32, 7) })],
]

function serverWith(accessTokens: ServerOptions['accessTokens'], options: ServerOptions = {}): TestServer {
  return testServer({
    issuer,
    ...(accessTokens === undefined ? {} : { accessTokens }),
    ...options,
  })
}

async function revoke(server: TestServer, token: string): Promise<void> {
  expect((await server.revoke({ token }, basic(web))).status).toBe(200)
}

async function isActive(server: TestServer, token: string): Promise<boolean> {
  const { json } = await server.introspect({ token }, basic(web))
  const guarded = await present(server.options, token, { checkRevocation: true })
  expect(guarded.outcome === 'accepted').toBe(json.active)
  return json.active === true
}

describe('X14 a record has a bound', () => {
  test.each(formats)('X14 refreshed and revoked again and again, %s tokens: small, and nothing comes back', async (_name, accessTokens) => {
    const store = measuredStore()
    const server = serverWith(accessTokens, { store })
    const revoked: string[] = []
    let tokens = await server.tokens()
    for (let i = 0; i < rounds; i++) {
      const refreshed = await server.refresh(tokens.refresh_token)
      // The Authorization has ended: the person agrees once more.
      tokens = refreshed.status === 200 ? (refreshed.json as unknown as typeof tokens) : await server.tokens()
      await revoke(server, tokens.access_token)
      revoked.push(tokens.access_token)
    }
    expect(store.largest()).toBeLessThan(12_000)
    for (const token of revoked.filter((_token, i) => i % 25 === 0)) expect(await isActive(server, token)).toBe(false)
  })

  test('X14 up to a hundred are revoked one by one; one more ends the Authorization, with an event that says so', async () => {
    const server = serverWith(jwt({ key: p256.privateKey }))
    let { access_token, refresh_token } = await server.tokens()
    const kept = access_token
    const next = async () =>
      ({ access_token, refresh_token } = (await server.refresh(refresh_token)).json as { access_token: string; refresh_token: string })
    for (let i = 0; i < 100; i++) {
      await next()
      await revoke(server, access_token)
    }
    await next()
    expect([await isActive(server, kept), await isActive(server, access_token)]).toEqual([true, true])
    server.events.length = 0
    await revoke(server, access_token)
    expect(server.events).toMatchObject([
      {
        type: 'authorization.revoked',
        client_id: 'web',
        subject: 'alice',
        reason: 'too many of its self-contained tokens were revoked one by one',
      },
    ])
    expect([await isActive(server, kept), await isActive(server, access_token)]).toEqual([false, false])
    expect((await server.refresh(refresh_token)).json.error).toBe('invalid_grant')
  })

  test('X14 what has expired does not count', async () => {
    const server = serverWith(jwt({ key: p256.privateKey }), { accessTokenLifetime: 10 })
    let tokens = await server.tokens()
    for (let i = 0; i < 250; i++) {
      if (i % 60 === 59) server.now += 10
      tokens = (await server.refresh(tokens.refresh_token)).json as unknown as typeof tokens
      await revoke(server, tokens.access_token)
    }
    expect((await server.refresh(tokens.refresh_token)).status).toBe(200)
  })
})

describe('X15 one answer to whether a token is alive', () => {
  test.each(formats)(
    'X15 a retry gets no %s token that was revoked, but another one with the same successor',
    async (_name, accessTokens) => {
      const server = serverWith(accessTokens)
      const { refresh_token } = await server.tokens()
      const first = (await server.refresh(refresh_token)).json
      expect((await server.refresh(refresh_token)).json).toEqual(first)
      await revoke(server, String(first.access_token))
      const retried = (await server.refresh(refresh_token)).json
      expect(retried.refresh_token).toBe(first.refresh_token)
      expect(retried.access_token).not.toBe(first.access_token)
      expect(await isActive(server, String(retried.access_token))).toBe(true)
      expect(await statusOf(server.options, String(first.access_token), { checkRevocation: true })).toBe(401)
    },
  )

  test('X15 nor one that nobody can read any more: the keys were replaced', async () => {
    const accessTokens = jwt({ keys: [{ key: p256.privateKey, kid: 'old' }] })
    const server = serverWith(accessTokens)
    const { refresh_token } = await server.tokens()
    const first = (await server.refresh(refresh_token)).json
    accessTokens.replaceKeys([{ key: p256.privateKey, kid: 'new' }])
    const retried = (await server.refresh(refresh_token)).json
    expect([retried.refresh_token, retried.access_token === first.access_token]).toEqual([first.refresh_token, false])
    expect(await isActive(server, String(retried.access_token))).toBe(true)
  })

  test('X15 a token that was encrypted to somebody else is repeated until its Authorization ends', async () => {
    const { privateKey, publicKey } = await import('node:crypto').then(({ generateKeyPairSync }) =>
      generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    )
    expect(privateKey.type).toBe('private')
    const server = serverWith(encrypted({ key: publicKey, signWith: jwt({ key: p256.privateKey, issuer }) }))
    const { refresh_token } = await server.tokens()
    const first = (await server.refresh(refresh_token)).json
    expect((await server.refresh(refresh_token)).json).toEqual(first)
  })

  test('SO6 the event of an expired code says that the code has expired, and of a revoked one that it was revoked', async () => {
    const server = testServer()
    const [expired, replayed] = [await server.code(), await server.code()]
    expect((await server.token(exchange(replayed), basic(web))).status).toBe(200)
    expect((await server.token(exchange(replayed), basic(web))).status).toBe(400)
    expect((await server.token(exchange(replayed), basic(web))).status).toBe(400)
    server.now += 61
    expect((await server.token(exchange(expired), basic(web))).json.error).toBe('invalid_grant')
    expect(server.events.filter(({ type }) => type === 'request.refused').map(({ reason }) => reason)).toEqual([
      'the code was used before',
      'the authorization was revoked',
      'the code has expired',
    ])
  })
})

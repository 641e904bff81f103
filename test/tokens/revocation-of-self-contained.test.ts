/** Tokens that say everything themselves, revoked: noted in their Authorization or as a guard, and obeyed by who asks the store. */
import { describe, expect, test } from '@jest/globals'
import { encrypted, jwt, memoryStore, type AccessTokenFormat, type ServerOptions, type StoredRecord } from '../../src/index.js'
import { basic, exchange, machine, start, web } from '../support/server.js'
import { authorizationOf, recordOf, storedServer } from '../support/stored.js'
import { decoded, issuer, machineToken, p256, statusOf } from '../support/tokens.js'

const formats: [string, () => AccessTokenFormat][] = [
  ['jwt', () => jwt({ key: p256.privateKey })],
  ['encrypted', () => encrypted({ key: new Uint8Array(32).fill(7) })],
]
const asking = { checkRevocation: true }

function serverWith(accessTokens: AccessTokenFormat, options: ServerOptions = {}) {
  const { server, store } = storedServer({ issuer, accessTokens, ...options })
  /** What a guard says that asks the store, and one that does not. */
  const statuses = async (token: string) => [await statusOf(server.options, token, asking), await statusOf(server.options, token)]
  return { server, store, statuses }
}

const signed = () => serverWith(jwt({ key: p256.privateKey }))
const jtiOf = (token: string) => String(decoded(token).claims.jti)

describe.each(formats)('F7 %s, revoked by its client', (_name, format) => {
  test('F7 of a user: refused at once by a guard that asks, by introspection too, and until its expiry accepted by one that does not', async () => {
    const { server, statuses } = serverWith(format(), { accessTokenLifetime: 60 })
    const { access_token } = await server.tokens()
    expect(await statuses(access_token)).toEqual([200, 200])
    expect(await server.revoke({ token: access_token }, basic(web))).toMatchObject({ status: 200, json: {} })
    expect(await statuses(access_token)).toEqual([401, 200])
    expect((await server.introspect({ token: access_token }, basic(web))).json).toEqual({ active: false })
    server.now += 60
    expect(await statuses(access_token)).toEqual([401, 401])
  })

  test('F7 only that token: the others of the Authorization and its refresh token live on', async () => {
    const { server, statuses } = serverWith(format())
    const { access_token, refresh_token } = await server.tokens()
    const refreshed = await server.refresh(refresh_token)
    await server.revoke({ token: access_token }, basic(web))
    expect(await statuses(refreshed.json.access_token ?? '')).toEqual([200, 200])
    expect(await server.refresh(refreshed.json.refresh_token ?? '')).toMatchObject({ status: 200 })
    expect(await statuses(access_token)).toEqual([401, 200])
  })

  test('F7 of a client alone: a guard record is made, and it ends that token only', async () => {
    const { server, store, statuses } = serverWith(format())
    const [one, two] = [await machineToken(server), await machineToken(server)]
    expect(store.size).toBe(0)
    const made: StoredRecord[] = []
    const create = store.create.bind(store)
    store.create = async (record) => {
      made.push(record)
      return create(record)
    }
    expect(await server.revoke({ token: one, token_type_hint: 'refresh_token' }, basic(machine))).toMatchObject({ status: 200 })
    expect(store.size).toBe(1)
    expect(await statuses(one)).toEqual([401, 200])
    expect(await statuses(two)).toEqual([200, 200])
    expect((await server.introspect({ token: one }, basic(machine))).json).toEqual({ active: false })
    // As long as the token would have lived, and the clocks of the machines may differ.
    expect(made).toMatchObject([{ kind: 'guard', expiresAt: start + 3600 + 5, data: {} }])
  })

  test('F7 the refresh token takes its access tokens with it', async () => {
    const { server, statuses } = serverWith(format())
    const { access_token, refresh_token } = await server.tokens()
    await server.revoke({ token: refresh_token }, basic(web))
    expect(await statuses(access_token)).toEqual([401, 200])
  })

  test('G3 a code that is replayed with every proof takes them, too', async () => {
    const { server, statuses } = serverWith(format())
    const code = await server.code()
    const { json } = await server.token(exchange(code), basic(web))
    expect(await statuses(json.access_token ?? '')).toEqual([200, 200])
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 400 })
    expect(await statuses(json.access_token ?? '')).toEqual([401, 200])
  })
})

describe('what is written', () => {
  test('F7 the record notes jti and expiry, nothing else of the token, and once', async () => {
    const { server, store } = signed()
    const { access_token } = await server.tokens()
    await server.revoke({ token: access_token }, basic(web))
    const { revokedTokens } = await authorizationOf(store, jtiOf(access_token))
    expect(revokedTokens).toEqual([{ jti: jtiOf(access_token), expiresAt: start + 3600 }])
    const { version } = await recordOf(store, jtiOf(access_token))
    expect(await server.revoke({ token: access_token }, basic(web))).toMatchObject({ status: 200 })
    expect(await recordOf(store, jtiOf(access_token))).toMatchObject({ version })
    expect(server.events.filter(({ type }) => type === 'token.revoked')).toHaveLength(1)
  })

  test('F7 one event for each, which names client and Authorization, not the token', async () => {
    const { server } = signed()
    const { access_token } = await server.tokens()
    await server.revoke({ token: access_token }, basic(web))
    const ofMachine = await machineToken(server)
    for (let again = 0; again < 2; again++) await server.revoke({ token: ofMachine }, basic(machine))
    const [ofUser, ofClient, ...more] = server.events.filter(({ type }) => type === 'token.revoked')
    expect(more).toEqual([])
    const authorization_id = jtiOf(access_token).slice(0, 22)
    expect(ofUser).toEqual({ type: 'token.revoked', at: start, client_id: 'web', subject: 'alice', authorization_id })
    expect(ofClient).toEqual({ type: 'token.revoked', at: start, client_id: 'machine' })
  })

  test.each<
    [string, (server: ReturnType<typeof signed>['server'], tokens: { access_token: string; refresh_token: string }) => Promise<unknown>]
  >([
    ['the next revocation', async (server, { access_token }) => server.revoke({ token: access_token }, basic(web))],
    ['the next token', async (server, { refresh_token }) => server.refresh(refresh_token)],
  ])('F7 a mention that has expired is dropped at %s, and one that has not stays', async (_name, next) => {
    const { server, store } = signed()
    const first = await server.tokens()
    await server.revoke({ token: first.access_token }, basic(web))
    server.now += 1800
    const second = (await server.refresh(first.refresh_token)).json
    await server.revoke({ token: second.access_token ?? '' }, basic(web))
    const noted = async () => ((await authorizationOf(store, jtiOf(first.access_token))).revokedTokens ?? []).map(({ jti }) => jti)
    expect(await noted()).toEqual([jtiOf(first.access_token), jtiOf(second.access_token ?? '')])
    server.now += 1799
    const third = (await server.refresh(second.refresh_token ?? '')).json
    expect(await noted()).toEqual([jtiOf(first.access_token), jtiOf(second.access_token ?? '')])
    server.now += 1
    await next(server, { access_token: third.access_token ?? '', refresh_token: third.refresh_token ?? '' })
    expect(await noted()).toEqual(expect.arrayContaining([jtiOf(second.access_token ?? '')]))
    expect(await noted()).not.toContain(jtiOf(first.access_token))
  })

  test('F7 the last mention gone, the record is as it was before', async () => {
    const { server, store } = signed()
    const { access_token, refresh_token } = await server.tokens()
    await server.revoke({ token: access_token }, basic(web))
    server.now += 3600
    await server.refresh(refresh_token)
    expect(await authorizationOf(store, refresh_token)).not.toHaveProperty('revokedTokens')
  })
})

describe('who may revoke what', () => {
  test('N2 a token of another client: 200, and nothing happens', async () => {
    const { server, store, statuses } = signed()
    const { access_token } = await server.tokens()
    const ofMachine = await machineToken(server)
    const { version } = await recordOf(store, jtiOf(access_token))
    expect(await server.revoke({ token: access_token }, basic(machine))).toMatchObject({ status: 200 })
    expect(await server.revoke({ token: ofMachine }, basic(web))).toMatchObject({ status: 200 })
    expect(await statuses(access_token)).toEqual([200, 200])
    expect(await statuses(ofMachine)).toEqual([200, 200])
    expect(await recordOf(store, jtiOf(access_token))).toMatchObject({ version })
    expect(store.size).toBe(1)
  })

  test('N2 an expired one, and one with a wrong signature: 200, and nothing is written', async () => {
    const { server, store } = signed()
    const token = await machineToken(server)
    expect(await server.revoke({ token: `${token.slice(0, -8)}AAAAAAAA` }, basic(machine))).toMatchObject({ status: 200 })
    server.now += 3600
    expect(await server.revoke({ token }, basic(machine))).toMatchObject({ status: 200 })
    expect(store.size).toBe(0)
    expect(server.events.map(({ type }) => type)).not.toContain('token.revoked')
  })

  test('I3 an Authorization that is absent, or of another issuer, backs no token', async () => {
    const accessTokens = jwt({ key: p256.privateKey })
    const { server, statuses, store } = serverWith(accessTokens)
    const { access_token } = await server.tokens()
    const elsewhere = { ...server.options, store: memoryStore() }
    expect(await statusOf(elsewhere, access_token, asking)).toBe(401)
    expect(await statusOf(elsewhere, access_token)).toBe(200)
    const record = await recordOf(store, access_token.length > 0 ? jtiOf(access_token) : '')
    await store.replace({ ...record, version: 'other', issuer: 'https://other.example' }, record.version)
    expect(await statuses(access_token)).toEqual([401, 200])
  })

  test('F7 the same token in other words is as revoked: another s, other unused bits', async () => {
    const { server } = signed()
    const { access_token } = await server.tokens()
    const [head = '', body = '', signature = ''] = access_token.split('.')
    const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
    const bytes = Buffer.from(signature, 'base64url')
    const s = (order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)).toString(16).padStart(64, '0')
    const mirrored = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s, 'hex')]).toString('base64url')
    const twin = `${head}.${body}.${mirrored}`
    expect(await statusOf(server.options, twin, asking)).toBe(200)
    await server.revoke({ token: access_token }, basic(web))
    expect(await statusOf(server.options, twin, asking)).toBe(401)
    expect(await statusOf(server.options, twin)).toBe(200)
  })
})

describe('when the store fails', () => {
  test('I8 a revocation that was not written is 503, for a token of a user and for one of a client', async () => {
    const { server, store } = signed()
    const { access_token } = await server.tokens()
    const ofMachine = await machineToken(server)
    store.replace = store.create = async () => Promise.reject(new Error('the store is away'))
    expect(await server.revoke({ token: access_token }, basic(web))).toMatchObject({
      status: 503,
      json: { error: 'temporarily_unavailable' },
    })
    expect(await server.revoke({ token: ofMachine }, basic(machine))).toMatchObject({ status: 503 })
    expect(server.events.map(({ type }) => type)).not.toContain('token.revoked')
  })

  test('I8 a guard that asks says 503, one that does not goes on', async () => {
    const { server, store, statuses } = signed()
    const tokens = [(await server.tokens()).access_token, await machineToken(server)]
    store.get = async () => Promise.reject(new Error('the store is away'))
    for (const token of tokens) expect(await statuses(token)).toEqual([503, 200])
  })
})

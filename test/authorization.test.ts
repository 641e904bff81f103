/** The Authorization and its transitions: pure functions, a state in and the next state out. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  covering,
  findAccessToken,
  isLive,
  refreshTokenStanding,
  withAccessToken,
  withCodeBurnt,
  withCodeUsed,
  withoutAccessToken,
  withoutExpired,
  withRefreshToken,
  withRevocation,
  type Authorization,
  type AuthorizationCode,
  type OpaqueAccessToken,
  type RefreshToken,
} from '../src/authorization/authorization.js'
import { newRefreshTokenText, parseRefreshToken } from '../src/authorization/credentials.js'
import { sha256 } from '../src/secrets.js'
import { basic, web } from './support/server.js'
import { authorizationOf, isActive, storedServer } from './support/stored.js'

const id = '0123456789abcdefghijkl'
const key = 'k'.repeat(43)
const now = 1000

const code: AuthorizationCode = {
  hash: sha256('code'),
  expiresAt: 1060,
  redirect_uri: 'https://client.example/callback',
  redirect_uri_named: true,
  pkce: { method: 'S256', code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM' },
  status: 'issued',
}

const issued: Authorization = {
  id,
  version: 'v1',
  client_id: 'web',
  subject: 'alice',
  grant_type: 'authorization_code',
  scope: ['read'],
  resource: [],
  createdAt: 1000,
  expiresAt: 1060,
  code,
  accessTokens: [],
}

const head: RefreshToken = { key, generation: 3, hash: sha256('head'), expiresAt: 9000 }

function accessToken(text: string, expiresAt: number): OpaqueAccessToken {
  return { hash: sha256(text), issuedAt: now, expiresAt, scope: ['read'], resource: [] }
}

describe('the code', () => {
  test('used, it stays with what its proof needs', () => {
    expect(withCodeUsed(issued, code, 7)).toEqual({ ...issued, code: { ...code, status: 'used', usedAt: 7 } })
  })

  test('burnt, nothing else changes', () => {
    expect(withCodeBurnt(issued, code)).toEqual({ ...issued, code: { ...code, status: 'burnt' } })
  })
})

describe('access tokens', () => {
  test('a new one is the last, and the Authorization covers it', () => {
    const first = withAccessToken(issued, accessToken('a', 4600), 100, now)
    const second = withAccessToken(first.authorization, accessToken('b', 2000), 100, now)
    expect(second).toEqual({
      dropped: 0,
      authorization: { ...issued, expiresAt: 4600, accessTokens: [accessToken('a', 4600), accessToken('b', 2000)] },
    })
  })

  test('one that has ended goes with the next, and is not counted as dropped', () => {
    const state = { ...issued, accessTokens: [accessToken('a', 1001), accessToken('b', 1000)] }
    const added = withAccessToken(state, accessToken('c', 1500), 2, now)
    expect(added.dropped).toBe(0)
    expect(added.authorization.accessTokens).toEqual([accessToken('a', 1001), accessToken('c', 1500)])
  })

  test('over the limit the oldest go', () => {
    const state = { ...issued, accessTokens: ['a', 'b', 'c'].map((text) => accessToken(text, 2000)) }
    const added = withAccessToken(state, accessToken('d', 2000), 2, now)
    expect(added.dropped).toBe(2)
    expect(added.authorization.accessTokens).toEqual([accessToken('c', 2000), accessToken('d', 2000)])
  })

  test('the 101st drops the oldest, with an event', async () => {
    const { server, store } = storedServer({ rotateRefreshTokens: false })
    const first = await server.tokens()
    for (let count = 2; count <= 100; count++) await server.refresh(first.refresh_token)
    expect(await isActive(server, first.access_token)).toBe(true)
    expect(server.events.some(({ type }) => type === 'access_token.dropped')).toBe(false)
    const { json } = await server.refresh(first.refresh_token)
    expect(await isActive(server, first.access_token)).toBe(false)
    expect(await isActive(server, json.access_token ?? '')).toBe(true)
    expect(server.events.filter(({ type }) => type === 'access_token.dropped')).toEqual([
      {
        type: 'access_token.dropped',
        client_id: 'web',
        grant_type: 'refresh_token',
        subject: 'alice',
        authorization_id: first.access_token.slice(0, 22),
        scope: 'read write admin',
        at: server.now,
      },
    ])
    expect((await authorizationOf(store, first.access_token)).accessTokens).toHaveLength(100)
  })

  test('maxAccessTokens: 1 keeps the newest', async () => {
    const { server } = storedServer({ maxAccessTokens: 1 })
    const first = await server.tokens()
    const { json } = await server.refresh(first.refresh_token)
    expect(await isActive(server, first.access_token)).toBe(false)
    expect(await isActive(server, json.access_token ?? '')).toBe(true)
  })

  test('one less takes what has ended along, and no other', () => {
    const state = { ...issued, expiresAt: 2000, accessTokens: [accessToken('a', 2000), accessToken('b', 2000), accessToken('c', 1000)] }
    expect(withoutAccessToken(state, sha256('a'), now)).toEqual({ ...state, accessTokens: [accessToken('b', 2000)] })
    expect(withoutAccessToken(state, sha256('x'), now).accessTokens).toHaveLength(2)
  })

  test('one is found by its text while it and its Authorization live', () => {
    const state = { ...issued, expiresAt: 1500, accessTokens: [accessToken('a', 1400), accessToken('b', 9999)] }
    expect(findAccessToken(state, 'a', 1399)).toEqual(accessToken('a', 1400))
    expect(findAccessToken(state, 'a', 1400)).toBeUndefined()
    expect(findAccessToken(state, 'b', 1499)).toEqual(accessToken('b', 9999))
    expect(findAccessToken(state, 'b', 1500)).toBeUndefined()
    expect(findAccessToken(state, 'c', now)).toBeUndefined()
    expect(findAccessToken({ ...state, revokedAt: now }, 'a', now)).toBeUndefined()
  })
})

describe('what has expired inside', () => {
  const previous = { hash: sha256('before'), retryUntil: 1035, sealedAnswer: 's1.x' }
  const state = { ...issued, refreshToken: { ...head, previous }, code: { ...code, status: 'used' as const } }

  test('an answer stays while it may be asked for, then it goes; the head and the used code stay', () => {
    expect(withoutExpired(state, 1034)).toEqual(state)
    expect(withoutExpired(state, 1035)).toEqual({ ...state, refreshToken: head })
    expect(withoutExpired(state, 99_999)).toEqual({ ...state, refreshToken: head })
  })

  test('it goes at the next write', async () => {
    const { server, store } = storedServer()
    const { refresh_token, access_token } = await server.tokens()
    const { json } = await server.refresh(refresh_token)
    server.now += 3500
    const { json: later } = await server.refresh(json.refresh_token ?? '')
    server.now += 100
    await server.revoke({ token: later.access_token ?? '' }, basic(web))
    const { accessTokens, refreshToken, code: used } = await authorizationOf(store, access_token)
    expect(accessTokens).toEqual([])
    expect(refreshToken).not.toHaveProperty('previous')
    expect(used).toMatchObject({ status: 'used' })
  })
})

describe('revocation', () => {
  const state = { ...issued, expiresAt: 5000, refreshToken: head, accessTokens: [accessToken('a', 4600)] }

  test('takes every token, keeps the code, and moves no end', () => {
    const { refreshToken: _refreshToken, ...rest } = state
    expect(withRevocation(state, 1200)).toEqual({ ...rest, accessTokens: [], revokedAt: 1200 })
  })

  test('happens once: a second one does not move its instant', () => {
    expect(withRevocation(withRevocation(state, 1200), 1300).revokedAt).toBe(1200)
  })

  test('is for good', () => {
    expect(isLive(state, 4999)).toBe(true)
    expect(isLive(state, 5000)).toBe(false)
    expect(isLive(withRevocation(state, 1200), 1200)).toBe(false)
  })
})

describe('what a refresh token is', () => {
  const texts = [0, 1, 2, 3, 4].map((generation) => newRefreshTokenText(id, generation, key))
  const text = (generation: number) => texts[generation] ?? ''
  const state: RefreshToken = {
    ...head,
    hash: sha256(text(3)),
    previous: { hash: sha256(text(2)), retryUntil: 1035, sealedAnswer: 's1.x' },
  }
  function standing(presented: string, at = now, refreshToken = state) {
    const parsed = parseRefreshToken(presented)
    if (parsed === undefined) throw new Error('not a refresh token')
    return refreshTokenStanding(refreshToken, parsed, presented, at)
  }

  test.each<[string, string, ReturnType<typeof refreshTokenStanding>]>([
    ['the newest', text(3), 'head'],
    ['the one before, in time', text(2), 'retry'],
    ['an older one', text(1), 'reused'],
    ['the oldest', text(0), 'reused'],
    ['one above the head', text(4), 'unrecognised'],
    ['another one of the same generation', newRefreshTokenText(id, 3, key), 'unrecognised'],
    ['another one of the generation before', newRefreshTokenText(id, 2, key), 'reused'],
    ['one with the tag of another key', newRefreshTokenText(id, 3, 'x'.repeat(43)), 'unrecognised'],
    ['an old one with the tag of another key', newRefreshTokenText(id, 1, 'x'.repeat(43)), 'unrecognised'],
  ])('%s', (_what, presented, expected) => {
    expect(standing(presented)).toBe(expected)
  })

  test('the one before is spent when its time is over, and where nothing is kept of it', () => {
    expect(standing(text(2), 1034)).toBe('retry')
    expect(standing(text(2), 1035)).toBe('reused')
    const { previous: _previous, ...strict } = state
    expect(standing(text(2), now, strict)).toBe('reused')
  })
})

test('expiresAt never goes down, whatever happens', () => {
  const instant = fc.integer({ min: 0, max: 100_000 })
  const step = fc.oneof(
    instant.map((at) => (state: Authorization) => covering(state, at)),
    instant.map((at) => (state: Authorization) => withRevocation(state, at)),
    instant.map((at) => (state: Authorization) => withRefreshToken(state, { ...head, expiresAt: at })),
    instant.map((at) => (state: Authorization) => withoutExpired(state, at)),
    instant.map((at) => (state: Authorization) => withoutAccessToken(state, sha256('a'), at)),
    fc.tuple(instant, instant).map(
      ([end, at]) =>
        (state: Authorization) =>
          withAccessToken(state, accessToken('a', end), 3, at).authorization,
    ),
    fc.constant((state: Authorization) => withCodeUsed(state, code, 7)),
    fc.constant((state: Authorization) => withCodeBurnt(state, code)),
  )
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let state = issued
      for (const next of steps) {
        const after = next(state)
        expect(after.expiresAt).toBeGreaterThanOrEqual(state.expiresAt)
        const ends = [...after.accessTokens.map(({ expiresAt }) => expiresAt), after.refreshToken?.expiresAt ?? 0]
        expect(after.expiresAt).toBeGreaterThanOrEqual(Math.max(...ends))
        expect(after.accessTokens.length).toBeLessThanOrEqual(3)
        if (state.revokedAt !== undefined) expect(after.revokedAt).toBe(state.revokedAt)
        state = after
      }
    }),
  )
})

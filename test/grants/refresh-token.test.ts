/** The refresh token grant: rotation, the sealed retry, and reuse (G5); what it must not consume (G15). */
import { describe, expect, test } from '@jest/globals'
import { newRefreshTokenText } from '../../src/authorization/credentials.js'
import type { ServerOptions } from '../../src/index.js'
import { basic, native, testServer, web } from '../support/server.js'
import {
  authorizationOf,
  invalidGrant,
  invalidRequest,
  invalidScope,
  isActive,
  reasons,
  recordOf,
  rewrite,
  storedServer,
} from '../support/stored.js'

const other = { ...web, client_id: 'other', client_secret: 'other-secret-0123456789abcdef' }

/** A server on which `web` has refreshed once: the token before, and the answer. */
async function refreshed(options: ServerOptions = {}) {
  const { server, store } = storedServer(options)
  const before = await server.tokens({ scope: 'read write' })
  const { json } = await server.refresh(before.refresh_token)
  const answer = { access_token: json.access_token ?? '', refresh_token: json.refresh_token ?? '' }
  return { server, store, before, answer }
}

describe('rotation', () => {
  test('G5 a refresh token is exchanged for a new pair', async () => {
    const { server } = storedServer()
    const { refresh_token, access_token } = await server.tokens({ scope: 'read write' })
    const response = await server.token(`grant_type=refresh_token&refresh_token=${refresh_token}`, basic(web))
    expect(response.status).toBe(200)
    expect(response.headers).toEqual({ 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache' })
    const id = refresh_token.slice(0, 22)
    const secret = '[A-Za-z0-9_-]{43}'
    expect(response.body).toMatch(
      new RegExp(
        `^\\{"access_token":"${id}\\.${secret}","token_type":"Bearer","expires_in":3600,"refresh_token":"${id}\\.1\\.${secret}\\.${secret}","scope":"read write"\\}$`,
      ),
    )
    expect(response.json.access_token).not.toBe(access_token)
    expect(await isActive(server, access_token)).toBe(true)
  })

  test('G5 the chain of successors goes on', async () => {
    const { server, answer } = await refreshed()
    let { refresh_token } = answer
    for (let generation = 2; generation < 12; generation++) {
      const { status, json } = await server.refresh(refresh_token)
      expect(status).toBe(200)
      refresh_token = json.refresh_token ?? ''
      expect(refresh_token.split('.')[1]).toBe(String(generation))
    }
  })

  test('G4 refresh_token is required', async () => {
    const server = testServer()
    expect(await server.token({ grant_type: 'refresh_token' }, basic(web))).toMatchObject(invalidRequest('refresh_token is required'))
  })

  test('G4 what is not a refresh token is refused', async () => {
    const { server } = storedServer()
    const { access_token, refresh_token } = await server.tokens()
    const code = await server.code()
    const unknown = refresh_token.replace(/^.{22}/, '0123456789abcdefghijkl')
    for (const text of ['x', access_token, code, unknown, `${refresh_token}.`, refresh_token.replace('.0.', '.00.')]) {
      expect(await server.refresh(text)).toMatchObject(invalidGrant)
    }
    expect(reasons(server)).toEqual(Array<string>(6).fill('unknown refresh token'))
    expect(await server.refresh(refresh_token)).toMatchObject({ status: 200 })
  })
})

describe('the retry of a client that lost the answer', () => {
  test('G5 within the window it gets the same answer, with expires_in counted anew, and nothing is written', async () => {
    const { server, store, before, answer } = await refreshed({ clockTolerance: 0 })
    const { version } = await recordOf(store, before.refresh_token)
    const refreshedAt = server.now
    for (const after of [0, 10, 29]) {
      server.now = refreshedAt + after
      const { status, json } = await server.refresh(before.refresh_token)
      expect(status).toBe(200)
      expect(json).toEqual({ ...answer, token_type: 'Bearer', expires_in: 3600 - after, scope: 'read write' })
    }
    expect((await recordOf(store, before.refresh_token)).version).toBe(version)
  })

  test('G5 the window is widened by the tolerance of clocks, and ends', async () => {
    const { server, before, answer } = await refreshed({ refreshRetryWindow: 30, clockTolerance: 5 })
    server.now += 34
    expect((await server.refresh(before.refresh_token)).json).toMatchObject(answer)
    server.now += 1
    expect(await server.refresh(before.refresh_token)).toMatchObject(invalidGrant)
    expect(await isActive(server, answer.access_token)).toBe(false)
  })

  test('G5 the answer is told as one that was given again', async () => {
    const { server, before } = await refreshed()
    await server.refresh(before.refresh_token)
    expect(server.events.map(({ type }) => type)).toEqual(['code.issued', 'token.issued', 'token.issued', 'token.repeated'])
  })

  test('G5 asking for another scope it gets the same successor with an access token of its own', async () => {
    const { server, before, answer } = await refreshed()
    const { status, json } = await server.refresh(before.refresh_token, { scope: 'read' })
    expect(status).toBe(200)
    expect(json).toMatchObject({ refresh_token: answer.refresh_token, scope: 'read', expires_in: 3600 })
    expect(json.access_token).not.toBe(answer.access_token)
    expect(await isActive(server, answer.access_token)).toBe(true)
    expect(await isActive(server, json.access_token ?? '')).toBe(true)
    expect((await server.refresh(before.refresh_token)).json).toMatchObject(answer)
    expect((await server.refresh(answer.refresh_token)).json).toMatchObject({ scope: 'read write' })
  })

  test('G5 asking for more scope than was granted it is refused, and the successor stays good', async () => {
    const { server, before, answer } = await refreshed()
    expect(await server.refresh(before.refresh_token, { scope: 'read admin' })).toMatchObject(invalidScope)
    expect(await server.refresh(answer.refresh_token)).toMatchObject({ status: 200 })
  })

  test('G5 an access token that has been revoked since is not given out again', async () => {
    const { server, before, answer } = await refreshed()
    await server.revoke({ token: answer.access_token }, basic(web))
    const { json } = await server.refresh(before.refresh_token)
    expect(json.refresh_token).toBe(answer.refresh_token)
    expect(json.access_token).not.toBe(answer.access_token)
    expect(await isActive(server, json.access_token ?? '')).toBe(true)
  })

  test('G5 an access token that has expired since is not given out again', async () => {
    const { server, before, answer } = await refreshed({ accessTokenLifetime: 10 })
    server.now += 10
    const { json } = await server.refresh(before.refresh_token)
    expect(json).toMatchObject({ refresh_token: answer.refresh_token, expires_in: 10 })
    expect(json.access_token).not.toBe(answer.access_token)
  })

  test('G5 once the Authorization has ended there is no retry', async () => {
    const { server, store, before } = await refreshed({ accessTokenLifetime: 10, refreshTokenIdleLifetime: 10, codeLifetime: 10 })
    const { version } = await recordOf(store, before.refresh_token)
    server.now += 10
    expect(await server.refresh(before.refresh_token)).toMatchObject(invalidGrant)
    expect(reasons(server)).toEqual(['the authorization has expired'])
    expect((await recordOf(store, before.refresh_token)).version).toBe(version)
  })

  test('G5 an answer that cannot be opened is refused, and changes nothing', async () => {
    const { server, store, before, answer } = await refreshed()
    await rewrite(store, before.refresh_token, ({ refreshToken, ...rest }) => {
      const previous = { hash: '', retryUntil: 0, ...refreshToken?.previous, sealedAnswer: 's1.AAAA' }
      return { ...rest, ...(refreshToken === undefined ? {} : { refreshToken: { ...refreshToken, previous } }) }
    })
    expect(await server.refresh(before.refresh_token)).toMatchObject(invalidGrant)
    expect(reasons(server)).toEqual(['the answer to repeat cannot be read'])
    expect(await server.refresh(answer.refresh_token)).toMatchObject({ status: 200 })
  })

  test('G5 a public client has it too', async () => {
    const server = testServer()
    const { refresh_token } = await server.tokens({ client_id: 'native' })
    const form = { grant_type: 'refresh_token', refresh_token, client_id: 'native' }
    const first = await server.token(form)
    expect(first.status).toBe(200)
    expect(await server.token(form)).toEqual(first)
  })

  test('G5 of 50 at the same time all get the same successor', async () => {
    const { server, store } = storedServer()
    const { refresh_token } = await server.tokens()
    const responses = await Promise.all(Array.from({ length: 50 }, () => server.refresh(refresh_token)))
    expect(new Set(responses.map(({ body }) => body)).size).toBe(1)
    expect(await authorizationOf(store, refresh_token)).toMatchObject({ refreshToken: { generation: 1 } })
  })
})

describe('reuse', () => {
  test('G5 the token before is spent once its successor was used: everything is revoked', async () => {
    const { server, store, before, answer } = await refreshed()
    const { json: last } = await server.refresh(answer.refresh_token)
    expect(await server.refresh(before.refresh_token)).toMatchObject(invalidGrant)
    for (const token of [before.access_token, answer.access_token, last.access_token, last.refresh_token]) {
      expect(await isActive(server, token ?? '')).toBe(false)
    }
    expect(await server.refresh(last.refresh_token ?? '')).toMatchObject(invalidGrant)
    expect(server.events.filter(({ type }) => type === 'refresh_token.reused')).toHaveLength(1)
    const { version } = await recordOf(store, before.refresh_token)
    expect(await server.refresh(before.refresh_token)).toMatchObject(invalidGrant)
    expect((await recordOf(store, before.refresh_token)).version).toBe(version)
  })

  test('G5 with refreshRetryWindow: 0 any second use revokes everything', async () => {
    const { server, store, before, answer } = await refreshed({ refreshRetryWindow: 0 })
    expect((await authorizationOf(store, before.refresh_token)).refreshToken).not.toHaveProperty('previous')
    expect(await server.refresh(before.refresh_token)).toMatchObject(invalidGrant)
    expect(await isActive(server, answer.access_token)).toBe(false)
    expect(await server.refresh(answer.refresh_token)).toMatchObject(invalidGrant)
  })

  test('G5 reuse is reuse whatever scope it asks for', async () => {
    const { server, before, answer } = await refreshed({ refreshRetryWindow: 0 })
    expect(await server.refresh(before.refresh_token, { scope: 'admin' })).toMatchObject(invalidGrant)
    expect(await isActive(server, answer.access_token)).toBe(false)
  })

  test('G5 reuse of a token whose Authorization has ended writes nothing', async () => {
    const { server, store, before } = await refreshed({ refreshTokenLifetime: 100, accessTokenLifetime: 100, refreshRetryWindow: 0 })
    const { version } = await recordOf(store, before.refresh_token)
    server.now += 100
    expect(await server.refresh(before.refresh_token)).toMatchObject(invalidGrant)
    expect((await recordOf(store, before.refresh_token)).version).toBe(version)
  })

  type Forge = (id: string, key: string, tokens: { spent: string; head: string }) => string
  const harmless: [string, Forge, string][] = [
    ['a wrong tag', (_id, _key, { spent }) => spent.replace(/\.[^.]*$/, `.${'A'.repeat(43)}`), 'not issued here'],
    ['a tag under another key', (id) => newRefreshTokenText(id, 0, 'x'.repeat(43)), 'not issued here'],
    ['a generation above the head', (id, key) => newRefreshTokenText(id, 5, key), 'not issued here'],
    ['the generation of the head and another secret', (id, key) => newRefreshTokenText(id, 2, key), 'not issued here'],
    ['the head with another generation', (_id, _key, { head }) => head.replace('.2.', '.1.'), 'not issued here'],
  ]
  test.each(harmless)('G5 %s is refused, and changes nothing', async (_what, forge, reason) => {
    const { server, store, before, answer } = await refreshed()
    const { json } = await server.refresh(answer.refresh_token)
    const head = json.refresh_token ?? ''
    const { id, refreshToken } = await authorizationOf(store, head)
    const { version } = await recordOf(store, head)
    expect(await server.refresh(forge(id, refreshToken?.key ?? '', { spent: before.refresh_token, head }))).toMatchObject(invalidGrant)
    expect(reasons(server)).toEqual([expect.stringContaining(reason)])
    expect((await recordOf(store, head)).version).toBe(version)
    expect(await server.refresh(head)).toMatchObject({ status: 200 })
  })
})

describe('what consumes nothing', () => {
  const requests: [string, Record<string, string>, Record<string, string>, object][] = [
    ['of another confidential client', {}, basic(other), invalidGrant],
    ['of another public client', { client_id: 'native' }, {}, invalidGrant],
    ['without authentication', {}, {}, { status: 401 }],
    ['with a wrong secret', {}, basic({ ...web, client_secret: 'wrong' }), { status: 401 }],
    ['for malformed scope', { scope: 'é' }, basic(web), invalidScope],
    ['without grant_type', { grant_type: '' }, basic(web), invalidRequest('grant_type is required')],
  ]
  test.each(requests)('G15 a request %s changes nothing, whichever refresh token it presents', async (_how, wrong, headers, expected) => {
    const { server, store, before, answer } = await refreshed({ clients: [web, other, native], refreshRetryWindow: 0 })
    const { version } = await recordOf(store, before.refresh_token)
    for (const refresh_token of [before.refresh_token, answer.refresh_token]) {
      expect(await server.token({ grant_type: 'refresh_token', refresh_token, ...wrong }, headers)).toMatchObject(expected)
    }
    expect((await recordOf(store, before.refresh_token)).version).toBe(version)
    expect(await server.refresh(answer.refresh_token)).toMatchObject({ status: 200 })
  })

  test('G15 the retry of another client gets no answer', async () => {
    const { server, before, answer } = await refreshed({ clients: [web, other] })
    const form = { grant_type: 'refresh_token', refresh_token: before.refresh_token }
    expect(await server.token(form, basic(other))).toMatchObject(invalidGrant)
    expect(await server.refresh(answer.refresh_token)).toMatchObject({ status: 200 })
  })

  test('G15 a scope that is refused consumes no refresh token', async () => {
    const { server, store, before, answer } = await refreshed()
    const { version } = await recordOf(store, before.refresh_token)
    expect(await server.refresh(answer.refresh_token, { scope: 'read admin' })).toMatchObject(invalidScope)
    expect((await recordOf(store, before.refresh_token)).version).toBe(version)
    expect(await server.refresh(answer.refresh_token)).toMatchObject({ status: 200 })
  })
})

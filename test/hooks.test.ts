/** The application's rules and what they see: the trusted context (T13), checkScope (G9), beforeGrant and authorize. */
import { describe, expect, test } from '@jest/globals'
import {
  createTokenResponse,
  InvalidGrant,
  InvalidRequest,
  OAuthError,
  type AccessTokenFormat,
  type DecidedRequest,
  type Grant,
  type Scope,
  type ServerOptions,
} from '../src/index.js'
import { basic, code_verifier, exchange, formRequest, machine, redirect_uri, testServer, web } from './support/server.js'
import { invalidGrant, invalidScope, isActive, recordOf, storedServer } from './support/stored.js'

const serverError = { status: 500, body: '{"error":"server_error","error_description":"the server met an unexpected condition"}' }
const machineForm = { grant_type: 'client_credentials' }

describe('the trusted context', () => {
  const context = { address: '192.0.2.7', canary: 'canary-5f1c' }

  /** A server on which everything that may see the context notes it. */
  function noting(more: ServerOptions = {}) {
    const seen: Record<string, unknown> = {}
    const note = (name: string) => (request: { context: unknown }) => {
      seen[name] = request.context
    }
    const grant: Grant = { type: 'urn:example:note', authorize: (request) => (note('grant')(request), { subject: 'alice' }) }
    const format: AccessTokenFormat = {
      name: 'note',
      kind: 'self-contained',
      issue: (token) => (note('format')(token), 'token'),
      read: () => undefined,
    }
    const server = testServer({
      clients: [{ ...machine, grant_types: ['urn:example:note'] }],
      grants: [grant, { type: 'refresh_token', authorize: () => ({}) }],
      accessTokens: format,
      checkScope: (request) => (note('checkScope')(request), request.scope),
      beforeGrant: note('beforeGrant'),
      authorize: (request) => (note('authorize')(request), undefined),
      refreshable: (request) => (note('refreshable')(request), true),
      accessTokenLifetime: (request) => (note('accessTokenLifetime')(request), 60),
      ...more,
    })
    return { server, seen }
  }

  test('T13 reaches every hook, the grant and the format, and never the wire', async () => {
    const { server, seen } = noting({ clients: [{ ...machine, grant_types: ['urn:example:note', 'refresh_token'] }] })
    const request = { ...formRequest({ grant_type: 'urn:example:note' }, basic(machine)), context }
    const response = await createTokenResponse(server.options, request)
    expect(response.status).toBe(200)
    const names = ['beforeGrant', 'grant', 'checkScope', 'authorize', 'refreshable', 'accessTokenLifetime', 'format']
    expect(seen).toEqual(Object.fromEntries(names.map((name) => [name, context])))
    expect(JSON.stringify(response)).not.toContain('canary')
    expect(JSON.stringify(server.events)).not.toContain('canary')
  })

  test('T13 is empty where the application adds nothing', async () => {
    const { server, seen } = noting()
    await server.token({ grant_type: 'urn:example:note' }, basic(machine))
    expect(seen).toMatchObject({ beforeGrant: {}, grant: {}, authorize: {}, format: {} })
  })

  test('T13 nothing that a client sends lands in it', async () => {
    const { server, seen } = noting()
    const form = 'grant_type=urn%3Aexample%3Anote&context=x&context%5Baddress%5D=x&address=x&__proto__=x&canary=x'
    expect(await server.token(form, { ...basic(machine), context: 'x' })).toMatchObject({ status: 200 })
    expect(seen.authorize).toEqual({})
  })

  test('T13 a refusal does not show it either', async () => {
    const { server } = noting({ authorize: () => { throw new InvalidGrant() } }) // prettier-ignore
    const request = { ...formRequest({ grant_type: 'urn:example:note' }, basic(machine)), context }
    expect(JSON.stringify(await createTokenResponse(server.options, request))).not.toContain('canary')
  })
})

describe('checkScope and authorize', () => {
  test.each(['checkScope', 'authorize'] as const)(
    'G9 %s narrows what a token carries, and the refresh token keeps the whole',
    async (rule) => {
      let answer: Scope = ['write']
      const server = testServer({ [rule]: () => answer })
      const tokens = await server.tokens({ scope: 'read write' })
      expect(tokens.scope).toBe('write')
      expect(await server.introspect({ token: tokens.access_token }, basic(web))).toMatchObject({ json: { scope: 'write' } })
      answer = ['read', 'write']
      expect(await server.refresh(tokens.refresh_token)).toMatchObject({ json: { scope: 'read write' } })
    },
  )

  test.each(['checkScope', 'authorize'] as const)(
    'G9 %s that leaves nothing of a scope is invalid_scope, nothing consumed',
    async (rule) => {
      let answer: Scope | undefined = []
      const { server, store } = storedServer({ [rule]: async () => answer })
      const code = await server.code({ scope: 'read write' })
      const { version } = await recordOf(store, code)
      expect(await server.token(exchange(code), basic(web))).toMatchObject(invalidScope)
      expect((await recordOf(store, code)).version).toBe(version)
      answer = undefined
      expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200, json: { scope: 'read write' } })
    },
  )

  test.each(['checkScope', 'authorize'] as const)('G9 %s may leave nothing of nothing', async (rule) => {
    const server = testServer({ scopes: [], [rule]: async () => [] })
    const { status, json } = await server.token(machineForm, basic(machine))
    expect(status).toBe(200)
    expect(json).not.toHaveProperty('scope')
  })

  test('G9 what a rule has taken from a new Authorization stays away', async () => {
    const { server, store } = storedServer({ authorize: () => ['read'] })
    const { json } = await server.token(machineForm, basic(machine))
    expect((await recordOf(store, json.access_token ?? '')).data).toMatchObject({ scope: ['read'] })
  })

  test('G9 authorize gets what checkScope has left', async () => {
    const seen: Scope[] = []
    const server = testServer({ checkScope: () => ['read'], authorize: ({ scope }) => (seen.push(scope), undefined) })
    expect(await server.token(machineForm, basic(machine))).toMatchObject({ json: { scope: 'read' } })
    expect(seen).toEqual([['read']])
  })

  const widening: unknown[] = [['read', 'admin'], ['unknown'], 'read', ['read', 7], null, {}]
  test.each(['checkScope', 'authorize'] as const)(
    'G9 %s cannot widen, or answer nonsense: server_error, nothing consumed',
    async (rule) => {
      let answer: unknown
      const { server, store } = storedServer({ [rule]: () => answer as Scope })
      const code = await server.code({ scope: 'read write' })
      const { version } = await recordOf(store, code)
      for (answer of widening) expect(await server.token(exchange(code), basic(web))).toMatchObject(serverError)
      expect((await recordOf(store, code)).version).toBe(version)
      answer = ['read']
      expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200, json: { scope: 'read' } })
    },
  )

  test('G13 authorize refuses with an error of its own, and nothing is consumed', async () => {
    let refuses = true
    const { server, store } = storedServer({
      authorize() {
        if (refuses) throw new OAuthError('access_denied', 'not today')
        return undefined
      },
    })
    const code = await server.code()
    const { version } = await recordOf(store, code)
    expect(await server.token(exchange(code), basic(web))).toMatchObject({
      status: 403,
      body: '{"error":"access_denied","error_description":"not today"}',
    })
    expect((await recordOf(store, code)).version).toBe(version)
    refuses = false
    const { json } = await server.token(exchange(code), basic(web))
    refuses = true
    expect(await server.refresh(json.refresh_token ?? '')).toMatchObject({ status: 403 })
    refuses = false
    const { json: answer } = await server.refresh(json.refresh_token ?? '')
    refuses = true
    expect(await server.refresh(json.refresh_token ?? '')).toMatchObject({ status: 403 })
    refuses = false
    expect((await server.refresh(json.refresh_token ?? '')).json).toMatchObject({ refresh_token: answer.refresh_token })
  })

  test('G13 a rule that narrows more by now gives the retry an access token of its own', async () => {
    let answer: Scope = ['read', 'write']
    const server = testServer({ authorize: () => answer })
    const { refresh_token } = await server.tokens({ scope: 'read write' })
    const { json: first } = await server.refresh(refresh_token)
    answer = ['read']
    const { json: second } = await server.refresh(refresh_token)
    expect(second).toMatchObject({ refresh_token: first.refresh_token, scope: 'read' })
    expect(second.access_token).not.toBe(first.access_token)
  })

  test('G13 what else it throws is a server error without detail', async () => {
    const server = testServer({ authorize: () => { throw new Error('postgres://admin:hunter2@db') } }) // prettier-ignore
    expect(await server.token(machineForm, basic(machine))).toMatchObject(serverError)
    expect(JSON.stringify(server.events)).not.toContain('hunter2')
  })
})

describe('beforeGrant', () => {
  test('G13 is asked after authentication and before the grant, and may refuse with any error', async () => {
    const asked: unknown[] = []
    const { server, store } = storedServer({
      beforeGrant({ grant_type, client, parameters }) {
        asked.push([grant_type, client.client_id])
        if (parameters.deny === '1') throw new InvalidRequest('not from here')
      },
    })
    const code = await server.code()
    const { version } = await recordOf(store, code)
    expect(await server.token(exchange(code), basic({ ...web, client_secret: 'wrong' }))).toMatchObject({ status: 401 })
    expect(asked).toEqual([])
    const wrong = { ...exchange(code), code_verifier: 'A'.repeat(43), deny: '1' }
    expect(await server.token(wrong, basic(web))).toMatchObject({
      status: 400,
      body: '{"error":"invalid_request","error_description":"not from here"}',
    })
    expect(asked).toEqual([['authorization_code', 'web']])
    expect((await recordOf(store, code)).version).toBe(version)
    expect(await server.token(exchange(code), basic(web))).toMatchObject({ status: 200 })
  })

  test.each([false, Promise.resolve(false)])('G13 false, which refuses nothing by itself, is no agreement: 500, and nothing is consumed', async (answer) => {
    const { server, store } = storedServer({ beforeGrant: (() => answer) as unknown as () => void })
    const code = await server.code()
    const { version } = await recordOf(store, code)
    expect(await server.token(exchange(code), basic(web))).toMatchObject(serverError)
    expect(server.events.at(-1)).toMatchObject({
      type: 'request.failed',
      reason: 'beforeGrant returned false; throw an exported error to refuse',
    })
    expect((await recordOf(store, code)).version).toBe(version)
  }) // prettier-ignore

  test.each([undefined, null, true, 0, {}])('G13 %j agrees', async (answer) => {
    const server = testServer({ beforeGrant: () => answer as undefined })
    expect(await server.token(machineForm, basic(machine))).toMatchObject({ status: 200 })
  })

  test.each([false, true, 'alice', 1, null, undefined])('G10 a grant that answers %j has authorised nobody: 500', async (answer) => {
    const grant: Grant = { type: 'urn:example:false', authorize: (() => answer) as unknown as Grant['authorize'] }
    const server = testServer({ clients: [{ ...machine, grant_types: [grant.type] }], grants: [grant] })
    expect(await server.token({ grant_type: grant.type }, basic(machine))).toMatchObject(serverError)
    expect(server.events.at(-1)).toMatchObject({
      reason: expect.stringMatching(
        /^the grant urn:example:false returned .*; return \{ subject, scope \}, or throw InvalidGrant$/,
      ) as unknown,
    })
  })

  test.each(['checkScope', 'authorize'])('G13 false of %s is no agreement', async (rule) => {
    const server = testServer({ [rule]: () => false })
    expect(await server.token(machineForm, basic(machine))).toMatchObject(serverError)
  })

  test('G13 is waited for', async () => {
    const server = testServer({ beforeGrant: () => Promise.reject(new InvalidGrant()) })
    expect(await server.token(machineForm, basic(machine))).toMatchObject(invalidGrant)
  })
})

describe('what a rule sees', () => {
  /** Notes what every rule is asked. */
  function watched(more: ServerOptions = {}) {
    const asked: (Omit<DecidedRequest, 'subject' | 'scope'> & Partial<DecidedRequest>)[] = []
    const server = testServer({
      beforeGrant: (request) => { asked.push(request) },
      checkScope: (request) => (asked.push(request), request.scope),
      authorize: (request) => (asked.push(request), undefined),
      refreshable: (request) => asked.push(request) > 0,
      accessTokenLifetime: (request) => (asked.push(request), 60),
      ...more,
    }) // prettier-ignore
    return { server, asked }
  }

  test('G13 no credential, at code exchange and at refresh', async () => {
    const { server, asked } = watched()
    const code = await server.code()
    const form = { ...exchange(code), client_id: 'web', client_secret: web.client_secret, note: 'n', scope: 'read' }
    const { json } = await server.token(form)
    expect(asked).toHaveLength(5)
    const shown = { grant_type: 'authorization_code', redirect_uri, client_id: 'web', note: 'n', scope: 'read' }
    for (const { parameters } of asked) expect({ ...parameters }).toEqual(shown)
    expect(asked.slice(1)).toMatchObject(Array(4).fill({ grant_type: 'authorization_code', subject: 'alice', scope: ['read'] }))
    await server.refresh(json.refresh_token ?? '', { username: 'u', password: 'p', assertion: 'a', code: 'c', subject_token: 's', actor_token: 't', device_code: 'd' }) // prettier-ignore
    expect(asked).toHaveLength(10)
    for (const { parameters } of asked.slice(5)) expect({ ...parameters }).toEqual({ grant_type: 'refresh_token', username: 'u' })
    const everything = JSON.stringify(asked)
    for (const secret of [code, code_verifier, web.client_secret, json.refresh_token ?? '', json.access_token ?? ''])
      expect(everything).not.toContain(secret)
  })

  test('G13 not the credential that a grant of the application’s own names', async () => {
    const grant: Grant = { type: 'ticket', presents: 'ticket', authorize: () => ({ subject: 'alice' }) }
    const { server, asked } = watched({ grants: [grant], clients: [{ ...machine, grant_types: ['ticket'] }] })
    expect(await server.token({ grant_type: 'ticket', ticket: 'secret', colour: 'red' }, basic(machine))).toMatchObject({ status: 200 })
    for (const { parameters } of asked) expect({ ...parameters }).toEqual({ grant_type: 'ticket', colour: 'red' })
  })

  test('G13 a rule that deletes from what it sees takes nothing from the grant', async () => {
    const server = testServer({ beforeGrant: ({ parameters }) => { Reflect.deleteProperty(parameters, 'redirect_uri') } }) // prettier-ignore
    const tokens = await server.tokens()
    expect(await isActive(server, tokens.access_token)).toBe(true)
  })
})

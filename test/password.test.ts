/** The password grant (G8): what it asks of the application, the one answer to every wrong password, and the limit on guessing. */
import { createHash, pbkdf2Sync, timingSafeEqual } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import {
  ConfigurationError,
  createTokenResponse,
  InvalidGrant,
  password,
  refreshToken,
  tokenHandler,
  validateTokenRequest,
  type ClientMetadata,
  type PasswordOptions,
  type ServerOptions,
} from '../src/index.js'
import { isProof, patience, sizes } from './security/sizes.js'
import { basic, formRequest, parsed, start, testServer } from './support/server.js'
import { invalidRequest, invalidScope, reasons } from './support/stored.js'
import { showsDifference } from './support/timing.js'

jest.setTimeout(patience)

const legacy = {
  client_id: 'web',
  client_secret: 'legacy-secret-0123456789abcdef',
  grant_types: ['password', 'refresh_token'],
} as const satisfies ClientMetadata
const second = { ...legacy, client_id: 'second' }

const users: Readonly<Partial<Record<string, { password: string; active: boolean }>>> = {
  alice: { password: 'correct horse', active: true },
  zoé: { password: 'pässwörd &=+%', active: true },
  inactive: { password: 'correct horse', active: false },
}

function authenticate(username: string, secret: string): string | undefined {
  const user = users[username]
  return user?.active === true && user.password === secret ? `id-of-${username}` : undefined
}

function passwordServer(options: ServerOptions = {}, grant: PasswordOptions = { authenticate }) {
  return testServer({ clients: [legacy, second], grants: [password(grant), refreshToken()], ...options })
}

const right = { grant_type: 'password', username: 'alice', password: 'correct horse' }
const wrong = { ...right, password: 'battery staple' }
const refused = {
  status: 400,
  headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache' },
  body: '{"error":"invalid_grant","error_description":"the username or password is wrong"}',
}

const warn = jest.spyOn(console, 'warn')
beforeEach(() => {
  warn.mockReset()
  warn.mockReturnValue()
})
afterEach(() => {
  warn.mockReset()
})

describe('the grant', () => {
  test('G8 is served only when it is listed', async () => {
    const server = testServer({ clients: [{ ...legacy, grant_types: ['password'] }] })
    expect(await server.token(right, basic(legacy))).toMatchObject({ status: 400, json: { error: 'unsupported_grant_type' } })
  })

  test('G8 warns once when the server starts, citing RFC 9700 §2.4', () => {
    const { options, events } = passwordServer()
    tokenHandler(options)
    tokenHandler(options)
    const warning = 'the password grant is served; RFC 9700 §2.4 says that it must not be used: move its clients to authorizationCode()'
    expect(warn.mock.calls).toEqual([[`oauth2-token-handler: ${warning}`]])
    expect(events).toEqual([{ type: 'warning', reason: warning, at: start }])
  })

  test('G8 name and password are exchanged for tokens of the subject', async () => {
    const server = passwordServer()
    const { status, json } = await server.token({ ...right, scope: 'read' }, basic(legacy))
    expect({ status, json }).toEqual({
      status: 200,
      json: { access_token: expect.any(String), token_type: 'Bearer', expires_in: 3600, refresh_token: expect.any(String), scope: 'read' },
    })
    expect(await server.introspect({ token: json.access_token ?? '' }, basic(legacy))).toMatchObject({
      json: { sub: 'id-of-alice', scope: 'read' },
    })
  })

  test('G8 the function gets name, password and context as they were sent, may be asynchronous, and is not asked at refresh', async () => {
    const asked: unknown[] = []
    const server = passwordServer({}, {
      authenticate: async (...all) => {
        asked.push(all)
        return authenticate(all[0], all[1])
      },
    }) // prettier-ignore
    const form = { ...right, username: 'zoé', password: 'pässwörd &=+%' }
    const { status, json } = parsed(
      await createTokenResponse(server.options, { ...formRequest(form, basic(legacy)), context: { device: 'kiosk' } }),
    )
    expect(status).toBe(200)
    expect(asked).toEqual([['zoé', 'pässwörd &=+%', { device: 'kiosk' }]])
    const refreshed = await server.token({ grant_type: 'refresh_token', refresh_token: json.refresh_token ?? '' }, basic(legacy))
    expect(refreshed.status).toBe(200)
    expect(asked).toHaveLength(1)
  })

  test('G8 unknown user, wrong password, inactive user: the same bytes', async () => {
    const server = passwordServer()
    for (const form of [wrong, { ...right, username: 'nobody' }, { ...right, username: 'inactive' }]) {
      const { json: _json, ...response } = await server.token(form, basic(legacy))
      expect(response).toEqual(refused)
    }
    expect(reasons(server).slice(1)).toEqual(Array(3).fill('the authenticate function refused'))
  })

  test.each([
    ['username is missing', { grant_type: 'password', password: 'x' }],
    ['password is missing', { grant_type: 'password', username: 'x' }],
    ['username is empty', { ...right, username: '' }],
    ['password is empty', { ...right, password: '' }],
  ])('G8 T6 %s: invalid_request, and nobody is asked', async (_what, form) => {
    const ask = jest.fn(authenticate)
    const server = passwordServer({}, { authenticate: ask })
    expect(await server.token(form, basic(legacy))).toMatchObject(invalidRequest('username and password are required'))
    expect(ask).not.toHaveBeenCalled()
  })

  test('G8 G15 a scope that is refused, a wrong client, a public client: nobody is asked', async () => {
    const ask = jest.fn(authenticate)
    const open = { client_id: 'open', token_endpoint_auth_method: 'none', grant_types: ['password'] }
    const server = passwordServer({ clients: [legacy, open] }, { authenticate: ask })
    expect(await server.token({ ...right, scope: 'all' }, basic(legacy))).toMatchObject(invalidScope)
    expect(await server.token(right, basic({ ...legacy, client_secret: 'wrong' }))).toMatchObject({ status: 401 })
    expect(await server.token({ ...right, client_id: 'open' })).toMatchObject({ json: { error: 'unauthorized_client' } })
    expect(ask).not.toHaveBeenCalled()
  })

  test('G8 what it throws: an exported error as it is, anything else as 500 without detail', async () => {
    let thrown: unknown = new InvalidGrant('the account is locked')
    const server = passwordServer({}, { authenticate: () => { throw thrown } }) // prettier-ignore
    expect(await server.token(right, basic(legacy))).toMatchObject({ status: 400, json: { error_description: 'the account is locked' } })
    thrown = new Error('ldap://admin:hunter2@directory')
    expect(await server.token(right, basic(legacy))).toMatchObject({ status: 500, json: { error: 'server_error' } })
    expect(JSON.stringify(server.events)).not.toContain('hunter2')
  })

  test.each([null, '', 7, false, {}])('G8 an answer that is neither a subject nor undefined (%j): 500, nothing issued', async (answer) => {
    const server = passwordServer({}, { authenticate: () => answer as unknown as string })
    expect(await server.token(right, basic(legacy))).toMatchObject({ status: 500 })
    expect(reasons(server).at(-1)).toMatch(/^a grant authorised a wrong subject: subject must be a text, not /)
  })

  test('G8 G13 hooks see the name and not the password, and no event has either', async () => {
    const seen: unknown[] = []
    const server = passwordServer({
      beforeGrant: (request) => { seen.push(request) },
      authorize: (request) => { seen.push(request); return undefined },
    }) // prettier-ignore
    await server.token(right, basic(legacy))
    await server.token(wrong, basic(legacy))
    expect(seen).toHaveLength(3)
    for (const request of seen) expect(request).toMatchObject({ parameters: { username: 'alice' } })
    const everything = JSON.stringify([seen, server.events])
    expect(everything).not.toContain('correct horse')
    expect(everything).not.toContain('battery staple')
    expect(JSON.stringify(server.events)).not.toMatch(/"alice"/)
  })

  test('G8 G12 has a lifetime of its own', async () => {
    const server = passwordServer({}, { authenticate, accessTokenLifetime: 60 })
    expect((await server.token(right, basic(legacy))).json.expires_in).toBe(60)
  })

  test('G8 A3 in two phases a wrong password shows in the first', async () => {
    const { options } = passwordServer()
    await expect(validateTokenRequest(options, formRequest(wrong, basic(legacy)))).rejects.toThrow(InvalidGrant)
    await expect(validateTokenRequest(options, formRequest(right, basic(legacy)))).resolves.toMatchObject({ grant_type: 'password' })
  })

  test('G8 options that are wrong stop the start', () => {
    const make = (options: unknown) => () => password(options as PasswordOptions)
    const missing = 'password: authenticate must be a function (username, password, context) => subject'
    expect(make({})).toThrow(new ConfigurationError(missing))
    expect(make(undefined)).toThrow(
      new ConfigurationError('password needs its function: password({ authenticate: (username, password) => subject })'),
    )
    expect(make({ authenticat: authenticate })).toThrow(
      new ConfigurationError('password has no member "authenticat"; did you mean "authenticate"?'),
    )
    expect(make({ authenticate, publicClients: true })).toThrow(ConfigurationError)
    expect(() => tokenHandler(passwordServer({}, { authenticate, accessTokenLifetime: 0 }).options)).toThrow(ConfigurationError)
  })
})

describe('the limit on guessing', () => {
  /** A request for tokens from an address. */
  function from(server: ReturnType<typeof passwordServer>, address = '192.0.2.1') {
    return async (form: Record<string, string>, client: { client_id: string; client_secret: string } = legacy) =>
      parsed(await createTokenResponse(server.options, { ...formRequest(form, basic(client)), address }))
  }

  const tooMany = { status: 429, headers: { 'Retry-After': '60' }, json: { error: 'temporarily_unavailable' } }

  test('G8 C9 counts per user name, whatever the client: 429 after 20, for the right password too', async () => {
    const server = passwordServer()
    const ask = from(server)
    for (let i = 0; i < 20; i++) expect((await ask(wrong, i % 2 === 0 ? legacy : second)).status).toBe(400)
    expect(await ask(wrong)).toMatchObject(tooMany)
    expect(await ask(right, second)).toMatchObject(tooMany)
    expect(server.events.at(-1)).toMatchObject({
      type: 'request.refused',
      status: 429,
      reason: 'too many failures for this username from this address',
    })
    expect((await ask({ ...right, username: 'zoé', password: 'pässwörd &=+%' })).status).toBe(200)
    expect((await from(server, '192.0.2.2')(right)).status).toBe(200)
    server.now = start + 60
    expect((await ask(right)).status).toBe(200)
  })

  test('G8 C9 a name in other capitals, with blanks, or in another form of Unicode is the same name', async () => {
    const ask = from(passwordServer())
    const spellings = ['alice', 'Alice', 'ALICE ', 'ａｌｉｃｅ']
    for (let i = 0; i < 20; i++) await ask({ ...wrong, username: spellings[i % 4] ?? '' })
    expect(await ask({ ...right, username: 'aLiCe' })).toMatchObject(tooMany)
  })

  test('G8 C9 beyond the limit nobody is asked', async () => {
    const authenticating = jest.fn(authenticate)
    const ask = from(passwordServer({}, { authenticate: authenticating }))
    for (let i = 0; i < 20; i++) await ask(wrong)
    expect(await ask(right)).toMatchObject(tooMany)
    expect(authenticating).toHaveBeenCalledTimes(20)
  })

  test('G8 C9 an unknown user is limited like a known one', async () => {
    const ask = from(passwordServer())
    for (let i = 0; i < 20; i++) expect((await ask({ ...wrong, username: 'nobody' })).json).toEqual(JSON.parse(refused.body))
    expect(await ask({ ...wrong, username: 'nobody' })).toMatchObject(tooMany)
  })

  test('G8 C9 successes, malformed requests and failures of the application do not count', async () => {
    let fails = false
    const server = passwordServer({}, {
      authenticate: (name, secret) => {
        if (fails) throw new Error('directory')
        return authenticate(name, secret)
      },
    }) // prettier-ignore
    const ask = from(server)
    for (let i = 0; i < 19; i++) await ask(wrong)
    for (let i = 0; i < 30; i++) expect((await ask(right)).status).toBe(200)
    for (let i = 0; i < 30; i++) expect((await ask({ ...right, scope: 'all' })).status).toBe(400)
    fails = true
    for (let i = 0; i < 30; i++) expect((await ask(wrong)).status).toBe(500)
    fails = false
    // U3: a success has forgiven the nineteen.
    for (let i = 0; i < 20; i++) expect((await ask(wrong)).status).toBe(400)
    expect(await ask(right)).toMatchObject(tooMany)
  })

  test('G8 C9 of a hundred guesses at the same time no more than 20 are answered', async () => {
    const together = new Promise((resolve) => setTimeout(resolve, 50))
    const slow = async (name: string, secret: string) => {
      await together
      return authenticate(name, secret)
    }
    const ask = from(passwordServer({}, { authenticate: slow }))
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => ask(i === 99 ? right : wrong)))
    expect(answers.filter(({ status }) => status === 400)).toHaveLength(20)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(80)
    expect(answers[99]).toMatchObject(tooMany)
  })
})

// Measured where nothing else runs: see `npm run test:proofs`.
if (isProof) describe('timing', measureTiming)

function measureTiming(): void {
  const digest = (secret: string) => pbkdf2Sync(secret, 'salt', 20, 32, 'sha256')
  const stored = new Map([['alice', digest('correct horse')]])
  const decoy = createHash('sha256').update('decoy').digest()

  /** As docs/grants.md shows it: the same work for users that do not exist. */
  const careful = (username: string, secret: string) => {
    const isRight = timingSafeEqual(digest(secret), stored.get(username) ?? decoy)
    return isRight && stored.has(username) ? username : undefined
  }
  const hasty = (username: string, secret: string) => (stored.has(username) ? careful(username, secret) : undefined)

  function works(ask: PasswordOptions['authenticate']) {
    const { options } = passwordServer({ onEvent: () => undefined }, { authenticate: ask })
    const send = (username: string) => async () => {
      const { status } = await createTokenResponse(options, formRequest({ ...wrong, username }, basic(legacy)))
      if (status !== 400) throw new Error(`answered ${status}`)
    }
    return [send('mabel'), send('alice')] as const
  }

  test('G8 an unknown user is refused in the time of a wrong password', async () => {
    expect(await showsDifference(works(careful), 'always', sizes.timingSamples)).toBe(false)
  })

  test('G8 a function that returns early for unknown users would be seen', async () => {
    expect(await showsDifference(works(hasty), 'once', sizes.timingSamples)).toBe(true)
  })

  test('G8 the careful function lets the right user in', async () => {
    const server = passwordServer({}, { authenticate: careful })
    const { json } = await server.token(right, basic(legacy))
    expect(await server.introspect({ token: json.access_token ?? '' }, basic(legacy))).toMatchObject({ json: { sub: 'alice' } })
  })
}

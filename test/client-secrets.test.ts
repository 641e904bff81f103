/** Secrets at rest, and what a refusal gives away: rows C5 (options), C6, C7 and C8. */
import { describe, expect, it } from '@jest/globals'
import { inspect } from 'node:util'
import { createClientRegistry } from '../src/clients/registry.js'
import { authenticateClient, type ClientAuthenticationMethod } from '../src/client-authentication/method.js'
import { ConfigurationError, hashClientSecret, type ClientMetadata, type ClientSecret } from '../src/index.js'
import { basic, native, redirect_uri, start, testServer, type JsonResponse } from './support/server.js'

const grant_type = 'client_credentials'
const refused = '{"error":"invalid_client","error_description":"client authentication failed"}'
const generated = '0123456789abcdefghijkl'
const registered = { client_id: 'machine', grant_types: ['client_credentials'] } as const
/** scrypt at the lowest cost, of the text `cheap`, so that a test of many tries is quick. */
const cheapHash = 'scrypt:2:1:1:c2FsdHNhbHRzYWx0c2FsdA:MAMBJBDvc50NBiO37ys0ew-g08JKS9M1NRDcTDuhAdY'

function serverWith(client: Partial<ClientMetadata>, ...others: ClientMetadata[]) {
  return testServer({ clients: [{ ...registered, ...client }, ...others] })
}

function tryBasic(server: ReturnType<typeof testServer>, client_secret: string, client_id = 'machine'): Promise<JsonResponse> {
  return server.token({ grant_type }, basic({ client_id, client_secret }))
}

describe('a contradictory client in the options', () => {
  const cases: [string, Partial<ClientMetadata>, RegExp][] = [
    ['neither a secret nor none', {}, /^client "machine": has no secret; add client_secret .* 'none' for a public client$/],
    ['both', { client_secret: 'a', token_endpoint_auth_method: 'none' }, /has a secret and says .*'none'; remove one of the two$/],
    ['hashes and none', { secrets: [{ hash: cheapHash }], token_endpoint_auth_method: 'none' }, /remove one of the two$/],
    ['a secret that is undefined', { client_secret: process.env.NO_SUCH_VARIABLE }, /client_secret is present but not a string; is an environment variable not set\?/], // prettier-ignore
    ['a public client whose secret is undefined', { client_secret: undefined, token_endpoint_auth_method: 'none' }, /is an environment variable not set\?/], // prettier-ignore
    ['a secret that is empty', { client_secret: '' }, /client_secret is present but empty; is an environment variable not set\?/],
    ['no hashes', { secrets: [] }, /has no secret/],
    ['a method that is not served', { client_secret: 'a', token_endpoint_auth_method: 'client_secret_bsic' }, /did you mean "client_secret_basic"\?; add the method to the option clientAuthenticationMethods$/], // prettier-ignore
  ]
  it.each(cases)('C5 %s stops the start', async (_case, client, message) => {
    await expect(serverWith(client).token({})).rejects.toThrow(message)
    await expect(serverWith(client).token({})).rejects.toThrow(ConfigurationError)
  })

  it.each(cases.slice(0, -1))('C5 %s from a clients function authenticates nobody', async (_case, client) => {
    const contradictory = {
      ...registered,
      ...client,
      grant_types: ['client_credentials', 'authorization_code'],
      redirect_uris: [redirect_uri],
    }
    const server = testServer({ clients: () => contradictory })
    for (const client_secret of ['', 'a', 'undefined']) expect((await tryBasic(server, client_secret)).body).toBe(refused)
    expect((await server.token({ grant_type: 'authorization_code', code: 'a', client_id: 'machine' })).body).toBe(refused)
    expect(server.events[0]).toMatchObject({
      type: 'warning',
      client_id: 'machine',
      reason: expect.stringMatching(/^the client cannot be used: .*(?:client_secret|secret)/),
    })
  })
})

describe('one refusal for all', () => {
  it('C6 unknown client, wrong, expired, disabled, wrong method: the same bytes', async () => {
    const client_secret = 'right'
    const hash = await hashClientSecret(generated, { generated: true })
    const clients: ClientMetadata[] = [
      { ...registered, client_secret },
      { ...registered, client_id: 'disabled', client_secret, disabled: true },
      { ...registered, client_id: 'expired', secrets: [{ hash, expiresAt: start }] },
      { ...registered, client_id: 'post', client_secret, token_endpoint_auth_method: 'client_secret_post' },
      native,
    ]
    const server = testServer({ clients })
    const answers = [
      await tryBasic(server, client_secret, 'unknown'),
      await tryBasic(server, 'wrong', 'machine'),
      await tryBasic(server, client_secret, 'disabled'),
      await tryBasic(server, 'wrong', 'disabled'),
      await tryBasic(server, generated, 'expired'),
      await tryBasic(server, client_secret, 'post'),
      await tryBasic(server, 'any', 'native'),
      await tryBasic(server, '', 'machine'),
      await server.token({ grant_type, client_id: 'unknown', client_secret }),
      await server.token({ grant_type, client_id: 'machine' }),
      await server.token({ grant_type, client_id: 'unknown' }),
    ]
    const [first] = answers
    expect(first).toMatchObject({ status: 401, body: refused })
    for (const answer of answers) expect(answer).toEqual(first)
    expect((await tryBasic(server, client_secret)).status).toBe(200)
  })

  it('C6 the event says which it was, and the wire does not', async () => {
    const server = serverWith({ client_secret: 'right' }, { ...registered, client_id: 'disabled', client_secret: 'right', disabled: true })
    await tryBasic(server, 'right', 'unknown')
    await tryBasic(server, 'wrong')
    await tryBasic(server, 'right', 'disabled')
    expect(server.events.filter(({ type }) => type !== 'warning').map(({ type, reason }) => [type, reason])).toEqual([
      ['request.refused', 'unknown client'],
      ['request.refused', 'wrong or expired client secret'],
      ['request.refused', 'the client is disabled'],
    ])
  })

  /** How many secrets of which kind were compared for one request. */
  async function workFor(client_id: string, clients: readonly ClientMetadata[]): Promise<string[]> {
    const served = { scopes: [], grantTypes: ['client_credentials'], methods: ['client_secret_basic', 'none'] }
    const no = () => false
    const stored = {
      find: () => Promise.resolve(undefined),
      keepUntil: () => Promise.resolve(),
      isSearched: no,
      hasRegistration: no,
      isEmpty: no,
    }
    const registry = createClientRegistry(clients, {
      ...served,
      stored,
      documents: undefined,
      strangerScopes: () => [],
      timeout: 1000,
      emit: () => undefined,
      warn: () => undefined,
    })
    const work: string[] = []
    const counting: ClientAuthenticationMethod = {
      name: 'client_secret_basic',
      presented: () => ({ client_id, secretReadings: ['wrong'] }),
      verify(_credentials, { secrets }) {
        work.push(...secrets.reveal().map(({ hash }) => hash.slice(0, hash.indexOf(':'))))
        return false
      },
    }
    const policy = {
      ...registry,
      clientAuthenticationMethods: [counting],
      clock: () => start,
      issuer: undefined,
      claimOnce: () => Promise.resolve(true),
      failures: undefined,
    }
    const authenticate = async () => authenticateClient({ headers: {}, parameters: {}, context: {} }, policy)
    await expect(authenticate()).rejects.toThrow('client authentication failed')
    return work
  }

  it('C6 an unknown client costs one comparison with a decoy, like a wrong secret', async () => {
    const clients = [{ ...registered, client_secret: 'right' }, native]
    expect(await workFor('machine', clients)).toEqual(['sha256'])
    expect(await workFor('unknown', clients)).toEqual(['sha256'])
    expect(await workFor('native', clients)).toEqual(['sha256'])
    expect(await workFor('not a client_id: \u0000', clients)).toEqual(['sha256'])
  })

  it('C6 where one client has a slow hash, every refusal costs one', async () => {
    const slow = { ...registered, client_id: 'slow', secrets: [{ hash: cheapHash }] }
    const clients = [{ ...registered, client_secret: 'right' }, slow]
    expect(await workFor('slow', clients)).toEqual(['scrypt'])
    expect(await workFor('unknown', clients)).toEqual(['scrypt'])
    expect(await workFor('machine', clients)).toEqual(['sha256', 'scrypt'])
  })
})

describe('several secrets', () => {
  it('C7 each is accepted until it expires, and not from then on', async () => {
    const hashes = await Promise.all(['a', 'b'].map((letter) => hashClientSecret(letter.repeat(32), { generated: true })))
    const [old = '', young = ''] = hashes
    const server = serverWith({ secrets: [{ hash: old, expiresAt: start + 60 }, { hash: young }] })
    expect((await tryBasic(server, 'a'.repeat(32))).status).toBe(200)
    expect((await tryBasic(server, 'b'.repeat(32))).status).toBe(200)
    server.now = start + 59
    expect((await tryBasic(server, 'a'.repeat(32))).status).toBe(200)
    server.now = start + 60
    expect((await tryBasic(server, 'a'.repeat(32))).body).toBe(refused)
    expect((await tryBasic(server, 'b'.repeat(32))).status).toBe(200)
  })

  it('C7 a plain secret and hashes live side by side', async () => {
    const server = serverWith({ client_secret: 'plain', secrets: [{ hash: await hashClientSecret(generated, { generated: true }) }] })
    expect((await tryBasic(server, 'plain')).status).toBe(200)
    expect((await tryBasic(server, generated)).status).toBe(200)
    expect((await tryBasic(server, 'neither')).body).toBe(refused)
  })
})

describe('hashes', () => {
  it('C8 a generated secret is kept as its SHA-256', async () => {
    // printf 0123456789abcdefghijkl | openssl dgst -sha256 -binary | basenc --base64url
    const hash = await hashClientSecret(generated, { generated: true })
    expect(hash).toBe('sha256:JllLosc-vBcgR_IwVmO8LF5v9gqIGC7vQ-NT9I_JW5Q')
    expect((await tryBasic(serverWith({ secrets: [{ hash }] }), generated)).status).toBe(200)
  })

  it('C8 a chosen secret is kept as scrypt with a salt of its own', async () => {
    const [hash, again] = await Promise.all([hashClientSecret('correct horse'), hashClientSecret('correct horse')])
    expect(hash).toMatch(/^scrypt:32768:8:1:[A-Za-z0-9_-]{22}:[A-Za-z0-9_-]{43}$/)
    expect(again).not.toBe(hash)
    const server = serverWith({ secrets: [{ hash }] })
    expect((await tryBasic(server, 'correct horse')).status).toBe(200)
    expect((await tryBasic(server, 'correct horsf')).body).toBe(refused)
  })

  it('C8 nothing is guessed from a prefix: a hash as client_secret is a text like any other', async () => {
    const hash = await hashClientSecret(generated, { generated: true })
    const server = serverWith({ client_secret: hash })
    expect((await tryBasic(server, generated)).body).toBe(refused)
    expect((await tryBasic(server, hash)).status).toBe(200)
  })

  it('C8 a stored hash is no credential', async () => {
    const hash = await hashClientSecret(generated, { generated: true })
    const server = serverWith({ secrets: [{ hash }] })
    for (const sent of [hash, hash.slice('sha256:'.length)]) expect((await tryBasic(server, sent)).body).toBe(refused)
  })

  const notHashes = [
    'plain', 'sha256:', `sha256:${'a'.repeat(42)}`, `sha256:${'a'.repeat(44)}`, `md5:${'a'.repeat(43)}`, `SHA256:${'a'.repeat(43)}`, '',
    `scrypt:1:8:1:${'a'.repeat(22)}:${'a'.repeat(43)}`, `scrypt:3:8:1:${'a'.repeat(22)}:${'a'.repeat(43)}`,
    `scrypt:1048576:8:1:${'a'.repeat(22)}:${'a'.repeat(43)}`, `scrypt:32768:8:1:a:${'a'.repeat(43)}`,
  ] // prettier-ignore
  it.each(notHashes)('C8 %j is not taken for a hash, and not repeated in the message', async (hash) => {
    const refusal = serverWith({ secrets: [{ hash }] }).token({})
    await expect(refusal).rejects.toThrow('client "machine": secrets holds a hash that hashClientSecret did not make; a plain secret goes under client_secret') // prettier-ignore
  })

  it.each<[unknown, string]>([
    ['abc', 'secrets must be an array of { hash, expiresAt? }'],
    [['abc'], 'secrets must be an object, not a string'],
    [[{ hash: cheapHash, expiresAt: '2030' }], 'secrets.expiresAt must be a whole number'],
    [[{ hash: cheapHash, expiresAt: 1.5 }], 'secrets.expiresAt must be a whole number'],
  ])('C8 secrets: %j stops the start', async (secrets, message) => {
    await expect(serverWith({ secrets: secrets as ClientSecret[] }).token({})).rejects.toThrow(message)
  })

  it('C8 a secret that is empty, or too short to be generated, is refused', async () => {
    await expect(hashClientSecret('')).rejects.toThrow(TypeError)
    await expect(hashClientSecret('a'.repeat(21), { generated: true })).rejects.toThrow('at least 22 characters')
    await expect(hashClientSecret(undefined as unknown as string)).rejects.toThrow(TypeError)
  })

  it('C8 neither secret nor hash is printed with a client', async () => {
    let seen = ''
    const hash = await hashClientSecret(generated, { generated: true })
    const server = testServer({
      clients: [{ ...registered, client_secret: 'plain-secret', secrets: [{ hash }] }],
      beforeGrant: ({ client }) => void (seen = inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client)),
    })
    expect((await tryBasic(server, 'plain-secret')).status).toBe(200)
    expect(seen).toContain('[redacted]')
    expect(seen).not.toMatch(/plain-secret|sha256/)
  })

  it('C8 slow hashes do not hold up the event loop', async () => {
    const server = serverWith(
      { secrets: [{ hash: await hashClientSecret('slow') }] },
      { ...registered, client_id: 'quick', client_secret: 'quick' },
    )
    const order: string[] = []
    await Promise.all([
      tryBasic(server, 'slow').then(({ status }) => order.push(`slow ${status}`)),
      tryBasic(server, 'quick', 'quick').then(({ status }) => order.push(`quick ${status}`)),
    ])
    expect(order).toEqual(['quick 200', 'slow 200'])
  })

  it('C8 a flood of slow hashes is answered 503 beyond the cap, and is over when it is over', async () => {
    const server = serverWith({ secrets: [{ hash: cheapHash }] })
    const answers = await Promise.all(Array.from({ length: 60 }, (_, position) => tryBasic(server, position % 2 === 0 ? 'cheap' : 'wrong')))
    const statuses = answers.map(({ status }) => status)
    // Two run and 32 wait.
    expect(statuses.filter((status) => status === 503)).toHaveLength(26)
    expect(statuses.filter((status) => status === 200)).toHaveLength(17)
    expect(statuses.filter((status) => status === 401)).toHaveLength(17)
    const late = answers.find(({ status }) => status === 503)
    expect(late?.json.error).toBe('temporarily_unavailable')
    expect(late?.headers['Retry-After']).toBe('1')
    expect((await tryBasic(server, 'cheap')).status).toBe(200)
  })
})

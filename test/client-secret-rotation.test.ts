/** Several live secrets for one client (C7), as a deployer uses them: a secret is replaced while the client goes on working. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { ConfigurationError, hashClientSecret, tokenHandler, type ClientMetadata, type ClientSecret } from '../src/index.js'
import { basic, start, testServer } from './support/server.js'

const form = { grant_type: 'client_credentials' }
const [oldSecret, newSecret] = ['old-secret-0123456789abcdef', 'new-secret-0123456789abcdef']
let oldHash = ''
let newHash = ''

beforeAll(async () => {
  jest.spyOn(console, 'warn').mockReturnValue()
  oldHash = await hashClientSecret(oldSecret, { generated: true })
  newHash = await hashClientSecret(newSecret, { generated: true })
})
afterAll(() => {
  jest.restoreAllMocks()
})

const client = (secrets: readonly ClientSecret[]): ClientMetadata => ({ client_id: 'shop', secrets, grant_types: ['client_credentials'] })
const by = (client_secret: string) => basic({ client_id: 'shop', client_secret })

describe('a rotation', () => {
  test('C7 in three steps, without restart: no request of the client fails', async () => {
    let secrets: ClientSecret[] = [{ hash: oldHash }]
    const server = testServer({ clients: () => client(secrets), failedAuthenticationLimit: false })
    const statuses = async (secret: string) => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => server.token(form, by(secret))))
      return [...new Set(answers.map(({ status }) => status))]
    }
    expect([await statuses(oldSecret), await statuses(newSecret)]).toEqual([[200], [401]])
    secrets = [{ hash: oldHash, expiresAt: start + 3600 }, { hash: newHash }]
    expect([await statuses(oldSecret), await statuses(newSecret)]).toEqual([[200], [200]])
    server.now = start + 3600
    expect([await statuses(oldSecret), await statuses(newSecret)]).toEqual([[401], [200]])
    secrets = [{ hash: newHash }]
    expect([await statuses(oldSecret), await statuses(newSecret)]).toEqual([[401], [200]])
  })

  test.each([
    ['first', () => [{ hash: oldHash, expiresAt: start }, { hash: newHash }]],
    ['last', () => [{ hash: newHash }, { hash: oldHash, expiresAt: start }]],
  ])('C7 C6 a secret that has expired is refused like a wrong one, where it stands %s', async (_place, secrets) => {
    const server = testServer({ clients: [client(secrets())] })
    const expired = await server.token(form, by(oldSecret))
    expect(expired).toMatchObject({ status: 401, json: { error: 'invalid_client' } })
    expect(await server.token(form, by('wrong-secret-0123456789abcdef'))).toEqual(expired)
    expect(await server.token(form, by(newSecret))).toMatchObject({ status: 200 })
  })

  test('C7 each has its own end, and one without an end has none', async () => {
    const third = 'third-secret-0123456789abcdef'
    const secrets = [
      { hash: oldHash, expiresAt: start + 10 },
      { hash: newHash, expiresAt: start + 20 },
      { hash: await hashClientSecret(third, { generated: true }) },
    ]
    const server = testServer({ clients: [client(secrets)] })
    const accepted = async () => {
      const answers = await Promise.all([oldSecret, newSecret, third].map((secret) => server.token(form, by(secret))))
      return answers.map(({ status }) => status === 200)
    }
    const at = async (now: number) => {
      server.now = now
      return accepted()
    }
    expect(await at(start + 9)).toEqual([true, true, true])
    expect(await at(start + 10)).toEqual([false, true, true])
    expect(await at(start + 20)).toEqual([false, false, true])
    expect(await at(start + 1_000_000_000)).toEqual([false, false, true])
  })

  test('C7 in the header and in the body, and one of two does not make a third', async () => {
    const server = testServer({ clients: [client([{ hash: oldHash }, { hash: newHash }])] })
    for (const client_secret of [oldSecret, newSecret]) {
      expect(await server.token({ ...form, client_id: 'shop', client_secret })).toMatchObject({ status: 200 })
    }
    for (const secret of [oldSecret + newSecret, oldSecret.slice(0, -1), `${newSecret}x`, oldHash, newHash])
      expect((await server.token(form, by(secret))).status).toBe(401)
  })

  test('C7 revocation and introspection take each of them, too', async () => {
    const server = testServer({ clients: [client([{ hash: oldHash }, { hash: newHash }])] })
    const { json } = await server.token(form, by(oldSecret))
    const token = json.access_token ?? ''
    expect(await server.introspect({ token }, by(newSecret))).toMatchObject({ json: { active: true } })
    expect(await server.revoke({ token }, by(newSecret))).toMatchObject({ status: 200 })
    expect(await server.introspect({ token }, by(oldSecret))).toMatchObject({ json: { active: false } })
  })
})

describe('C7 what stops the start', () => {
  const mistakes: [what: string, secrets: () => unknown][] = [
    ['the text of a secret in the place of its hash', () => [{ hash: oldSecret }]],
    ['a hash without its object', () => [oldHash]],
    ['an end that is no instant', () => [{ hash: oldHash, expiresAt: '2030-01-01' }]],
    ['a member that does not exist', () => [{ hash: oldHash, expires: start }]],
    ['no list', () => ({ hash: oldHash })],
    ['an empty list', () => []],
  ]

  test.each(mistakes)('C7 %s', (_what, secrets) => {
    const make = () => tokenHandler({ clients: [client(secrets() as ClientSecret[])] })
    expect(make).toThrow(ConfigurationError)
    expect(make).not.toThrow(new RegExp(oldSecret))
  })
})

import { expect, jest, test } from '@jest/globals'
import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { ConfigurationError, memoryStore, type StoredRecord } from '../../src/index.js'
import {
  createAccessTokenResponse,
  oauth1TokenGrant,
  requireOAuth1,
  sealClientSecret,
  temporaryCredentialsHandler,
  tokenCredentialsHandler,
  type OAuth1Options,
} from '../../src/oauth1/index.js'
import {
  authorized,
  client,
  exchangeRequest,
  initiate,
  oauth1Server,
  recording,
  resource,
  resourceUrl,
  secrets,
  signed,
  start,
  tokenFor,
} from './support.js'

const good: OAuth1Options = { clients: [client], secrets }
const rsa = (bits: number) => generateKeyPairSync('rsa', { modulusLength: bits })
const pem = (key: ReturnType<typeof rsa>['publicKey']) => key.export({ type: 'spki', format: 'pem' }).toString()
const large = rsa(2048)
const withClient = (member: object) => ({ ...good, clients: [{ client_id: 'c', ...member }] })

test.each([
  ['secrets missing', { clients: [client] }, 'secrets is required: OAuth 1 secrets are never stored in plain text; set secrets: ['],
  ['secrets missing beside a memory store', { clients: [client], store: memoryStore() }, 'secrets is required'],
  ['secrets of the wrong kind', { ...good, secrets: 'text' }, 'secrets must be an array, not a string'],
  ['no key', { ...good, secrets: [] }, 'secrets must hold at least one key'],
  ['a short key', { ...good, secrets: [{ kid: 'a', key: 'x'.repeat(42) }] }, 'secrets[0].key must be a text of at least 43'],
  ['an unset key', { ...good, secrets: [{ kid: 'a', key: undefined }] }, 'secrets[0].key must be a text'],
  ['a bad kid', { ...good, secrets: [{ kid: 'a:b', key: secrets[0].key }] }, 'secrets[0].kid must be'],
  ['a kid twice', { ...good, secrets: [...secrets, ...secrets] }, 'secrets has a kid twice'],
  ['an unknown option', { ...good, signatureMethod: [] }, 'has no member "signatureMethod"; did you mean "signatureMethods"?'],
  [
    'an unknown method',
    { ...good, signatureMethods: ['HMAC-SHA-256'] },
    'signatureMethods has "HMAC-SHA-256"; did you mean "HMAC-SHA256"?',
  ],
  ['no method', { ...good, signatureMethods: [] }, 'signatureMethods must name at least one'],
  ['no clients', { secrets }, 'clients must be an array or a function (client_id) => client, not undefined'],
  ['a client twice', { ...good, clients: [client, client] }, 'clients has a client_id twice'],
  ['a client without anything', withClient({}), 'needs a client_secret, a sealed_client_secret or a public_key'],
  ['an unset secret', withClient({ client_secret: undefined }), 'client_secret is there but undefined'],
  ['an empty secret', withClient({ client_secret: '' }), 'client_secret must be a string that is not empty'],
  ['two secrets', withClient({ client_secret: 's', sealed_client_secret: 'k1:x' }), 'has both client_secret and sealed_client_secret'],
  ['a sealed secret of another client', withClient({ sealed_client_secret: sealClientSecret(secrets, 'd', 's') }), 'does not open'],
  ['a small RSA key', withClient({ public_key: pem(rsa(1024).publicKey) }), 'public_key must be an RSA public key of at least 2048 bits'],
  ['a private key', withClient({ public_key: large.privateKey }), 'public_key must be an RSA public key'],
  ['a private key as text', withClient({ public_key: String(large.privateKey.export({ type: 'pkcs8', format: 'pem' })) }), 'stays with the client'], // prettier-ignore
  ['a key of another kind', withClient({ public_key: generateKeyPairSync('ed25519').publicKey }), 'public_key must be an RSA public key'],
  ['a text that is no key', withClient({ public_key: 'x' }), 'public_key must be a public key in PEM'],
  ['a bad callback', withClient({ client_secret: 's', callbacks: ['javascript:x'] }), 'callbacks: a callback must not be a script'],
  ['an unknown realm of a client', withClient({ client_secret: 's', realms: ['x'] }), 'realms has "x", which is not in the option realms'],
  [
    'an unknown member of a client',
    withClient({ client_secret: 's', callback: [] }),
    'has no member "callback"; did you mean "callbacks"?',
  ],
  ['a bad client_id', { ...good, clients: [{ ...client, client_id: 'ä' }] }, 'clients[0].client_id must be'],
  ['an origin with a path', { ...good, origin: 'https://a.example/x' }, 'origin must be scheme and authority only'],
  ['a realm with a line break', { ...good, realm: 'a\nb' }, 'realm must be visible ASCII'],
  ['realms with a space', { ...good, realms: ['a b'] }, 'realms must hold one name each'],
  ['a window of no size', { ...good, timestampWindow: 0 }, 'timestampWindow must be a whole number from 1 to 86400, not 0'],
  ['a callback that is none', { ...good, context: {} }, 'context must be a function'],
  ['half a store', { ...good, store: { get() {} } }, 'store must have the verb create()'],
])('O10 a deployer’s mistake stops the start: %s', (_title, options, message) => {
  for (const make of [temporaryCredentialsHandler, tokenCredentialsHandler, requireOAuth1, oauth1TokenGrant]) {
    const start = () => make({ ...options } as OAuth1Options)
    expect(start).toThrow(ConfigurationError)
    expect(start).toThrow(message)
  }
})

test('O1 requireOAuth1 warns at start of a realm that is there but undefined', () => {
  const warned = jest.spyOn(console, 'warn').mockReturnValue()
  requireOAuth1(good, { realm: undefined } as object)
  requireOAuth1(good, {})
  const lines = warned.mock.calls.map(([line]) => String(line)).filter((line) => line.includes('realm is there but undefined'))
  expect(lines).toEqual([expect.stringContaining('or leave realm out where any token may pass')])
  warned.mockRestore()
})

test('O10 requireOAuth1 refuses a realm that no token can have, and an unknown member', () => {
  expect(() => requireOAuth1(good, { realm: 'x' })).toThrow('requireOAuth1: realm "x" is not in the option realms')
  expect(() => requireOAuth1(good, { twolegged: true } as object)).toThrow('did you mean "twoLegged"?')
})

test('O5 allowInsecureTransport is refused in production', () => {
  const before = process.env.NODE_ENV
  process.env.NODE_ENV = 'production'
  try {
    expect(() => requireOAuth1({ ...good, store: memoryStore(), allowInsecureTransport: true })).toThrow('NODE_ENV=production')
  } finally {
    process.env.NODE_ENV = before
  }
})

test('O10 nothing that opens anything is in the store, the events, or a printed configuration', async () => {
  const { store, written } = recording(memoryStore({ clock: () => start }))
  const server = oauth1Server({ store })
  const pending = await authorized(server)
  const token = await tokenFor(server)
  await createAccessTokenResponse(server.options, exchangeRequest(server, pending, client, { protocol: { oauth_verifier: 'wrong' } }))
  const dump = [...written, JSON.stringify(server.events), inspect(server.events, { depth: 9, showHidden: true })].join('\n')
  const canaries = [
    client.client_secret, secrets[0].key, token.oauth_token, token.oauth_token_secret, pending.token.oauth_token,
    pending.token.oauth_token_secret, pending.oauth_verifier,
  ] // prettier-ignore
  for (const canary of canaries) expect(dump).not.toContain(canary)
  // The control: what is allowed to be there is found.
  expect(dump).toContain(token.oauth_token.slice(0, 22))
  expect(written.length).toBeGreaterThan(6)
})

test('O10 no value of a dump is a credential', async () => {
  const { store, written } = recording(memoryStore({ clock: () => start }))
  const server = oauth1Server({ store })
  const token = await tokenFor(server)
  const texts = [...new Set(written.flatMap((record) => record.match(/[^"{}[\],]{4,}/g) ?? []))]
  expect(texts.length).toBeGreaterThan(10)
  for (const oauth_token of texts) {
    for (const oauth_token_secret of [token.oauth_token_secret, oauth_token]) {
      expect((await resource(server, signed(resourceUrl, { ...client, token: { oauth_token, oauth_token_secret } }))).status).toBe(401)
    }
    expect((await resource(server, signed(resourceUrl, { ...client, token: { ...token, oauth_token_secret: oauth_token } }))).status).toBe(
      401,
    )
  }
})

const next = { kid: 'k2', key: 'another-key-0123456789-0123456789-0123456789-abcde' } as const

test('O10 rotation: the first key seals, the others open, one that is gone opens nothing', async () => {
  const { store, written } = recording(memoryStore({ clock: () => start }))
  const old = oauth1Server({ store })
  const token = await tokenFor(old)
  expect(written.some((record) => record.includes('"sealedSecret":"k1:s1.'))).toBe(true)

  const rotated = oauth1Server({ store, secrets: [next, ...secrets] })
  expect((await resource(rotated, signed(resourceUrl, { ...client, token }))).status).toBe(200)
  written.length = 0
  const newer = await tokenFor(rotated)
  expect(written.some((record) => record.includes('"sealedSecret":"k2:s1.'))).toBe(true)
  expect(written.some((record) => record.includes('"k1:'))).toBe(false)

  const retired = oauth1Server({ store, secrets: [next] })
  expect((await resource(retired, signed(resourceUrl, { ...client, token: newer }))).status).toBe(200)
  expect((await resource(retired, signed(resourceUrl, { ...client, token }))).status).toBe(401)
  expect(retired.events).toContainEqual(expect.objectContaining({ reason: 'a token was sealed with a key that is gone' }))
})

test('O10 a client from a database has its secret sealed, and one that does not open authenticates nobody', async () => {
  const sealed_client_secret = sealClientSecret(secrets, client.client_id, client.client_secret)
  expect(sealed_client_secret).toMatch(/^k1:s1\./)
  expect(sealed_client_secret).not.toContain(client.client_secret)
  const asked: string[] = []
  const find = (member: object) => (client_id: string) => {
    asked.push(client_id)
    return client_id === client.client_id ? { client_id, ...member } : undefined
  }
  const server = oauth1Server({ clients: find({ sealed_client_secret }) })
  expect((await initiate(server)).status).toBe(200)
  expect((await initiate(server, { ...client, client_secret: 'x' })).status).toBe(401)
  expect((await initiate(server, { client_id: 'x\u0000y', client_secret: 'x' })).status).toBe(401)
  expect(asked).toEqual([client.client_id, client.client_id])

  const spoilt = oauth1Server({ clients: find({ sealed_client_secret: sealed_client_secret.replace(/.$/, '!') }) })
  expect((await initiate(spoilt)).status).toBe(401)
  expect(spoilt.events[0]).toMatchObject({ type: 'warning', client_id: client.client_id, reason: expect.stringContaining('does not open') })

  const confused = oauth1Server({ clients: () => ({ client_id: 'another', client_secret: client.client_secret }) })
  expect((await initiate(confused)).status).toBe(401)
  expect(confused.events[0]?.reason).toBe(
    'the clients function returned a client with another client_id; look it up by the client_id that it is given',
  )

  const failing = oauth1Server({ clients: () => Promise.reject(new Error('password')) })
  expect(await initiate(failing)).toMatchObject({ status: 500, body: /^error=server_error&/ })
})

test('O10 a sealed secret cannot be moved to another record', async () => {
  const inner = memoryStore({ clock: () => start })
  const server = oauth1Server({ store: inner })
  const mine = await tokenFor(server)
  const victim = await tokenFor(server)
  const read = async (token: string): Promise<StoredRecord> => {
    const record = await inner.get(`oauth1:${token.slice(0, 22)}`)
    if (record === undefined) throw new Error('no record')
    return record
  }
  const { sealedSecret = '' } = (await read(mine.oauth_token)).data
  const record = await read(victim.oauth_token)
  await inner.replace({ ...record, data: { ...record.data, sealedSecret } }, record.version)
  const forged = { oauth_token: victim.oauth_token, oauth_token_secret: mine.oauth_token_secret }
  expect((await resource(server, signed(resourceUrl, { ...client, token: forged }))).status).toBe(401)
  expect(server.events.map(({ reason }) => reason)).toContain('the secret of a token does not open')
})

const changes: readonly [string, { readonly data?: object; readonly format?: number; readonly kind?: string }][] = [
  ['format', { format: 2 }],
  ['kind', { kind: 'authorization' }],
  ['data', { data: [] }],
  ['stage', { data: { stage: 'other' } }],
  ['tokenHash', { data: { tokenHash: '' } }],
  ['sealedSecret', { data: { sealedSecret: null } }],
  ['realms', { data: { realms: 'x' } }],
  ['subject', { data: { subject: undefined } }],
  ['endsAt', { data: { endsAt: '1' } }],
  ['client_id', { data: { client_id: 1 } }],
]
test.each(changes)('O10 a record whose %s is not what it was written as is 503, not a refusal', async (_title, change) => {
  const inner = memoryStore({ clock: () => start })
  const server = oauth1Server({ store: inner })
  const token = await tokenFor(server)
  const record = await inner.get(`oauth1:${token.oauth_token.slice(0, 22)}`)
  if (record === undefined) throw new Error('no record')
  const data = Array.isArray(change.data) ? change.data : { ...record.data, ...change.data }
  await inner.replace({ ...record, ...change, data } as unknown as StoredRecord, record.version)
  expect((await resource(server, signed(resourceUrl, { ...client, token }))).status).toBe(503)
})

test('O10 servers with different issuers share a store, and neither knows the other’s tokens', async () => {
  const store = memoryStore({ clock: () => start })
  const a = oauth1Server({ store, issuer: 'https://a.example' })
  const b = oauth1Server({ store, issuer: 'https://b.example' })
  const token = await tokenFor(a)
  expect((await resource(b, signed(resourceUrl, { ...client, token }))).status).toBe(401)
  expect((await resource(a, signed(resourceUrl, { ...client, token }))).status).toBe(200)
})

/** The stored form of an Authorization: there and back again, and what is not understood. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Authorization } from '../src/authorization/authorization.js'
import type { JsonObject } from '../src/json.js'
import { fromRecord, toRecord, UnreadableRecord } from '../src/authorization/record.js'
import type { StoredRecord } from '../src/stores/store.js'

const text = fc.string({ minLength: 1 })
const texts = fc.array(text, { maxLength: 4 })
const instant = fc.nat()
const plain = { noNullPrototype: true }

const code = fc.record(
  {
    hash: text,
    expiresAt: instant,
    redirect_uri: text,
    redirect_uri_named: fc.boolean(),
    pkce: fc.oneof(
      fc.record({ method: fc.constant('S256' as const), code_challenge: text }, plain),
      fc.constant({ method: 'none' as const }),
    ),
    status: fc.constantFrom('issued', 'used', 'burnt'),
  },
  plain,
)

const refreshToken = fc.record(
  {
    key: text,
    generation: instant,
    hash: text,
    expiresAt: instant,
    previous: fc.record({ hash: text, retryUntil: instant, sealedAnswer: text }, plain),
  },
  { ...plain, requiredKeys: ['key', 'generation', 'hash', 'expiresAt'] },
)

const accessToken = fc.record({ hash: text, issuedAt: instant, expiresAt: instant, scope: texts, resource: texts }, plain)
const extra = fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.parse(JSON.stringify(value)) as JsonObject)

const authorization: fc.Arbitrary<Authorization> = fc.record(
  {
    id: text,
    client_id: text,
    subject: text,
    grant_type: text,
    scope: texts,
    resource: texts,
    createdAt: instant,
    expiresAt: instant,
    revokedAt: instant,
    code,
    refreshToken,
    accessTokens: fc.array(accessToken, { maxLength: 3 }),
    extra,
  },
  { ...plain, requiredKeys: ['id', 'client_id', 'grant_type', 'scope', 'resource', 'createdAt', 'expiresAt', 'accessTokens'] },
)

/** What a store that keeps JSON gives back. */
function throughJson(record: StoredRecord): StoredRecord {
  return JSON.parse(JSON.stringify(record)) as StoredRecord
}

const whole: Authorization = {
  id: '0123456789abcdefghijkl',
  client_id: 'web',
  subject: 'alice',
  grant_type: 'authorization_code',
  scope: ['read'],
  resource: [],
  createdAt: 1000,
  expiresAt: 2000,
  code: {
    hash: 'h',
    expiresAt: 1060,
    redirect_uri: 'https://client.example/callback',
    redirect_uri_named: true,
    pkce: { method: 'S256', code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM' },
    status: 'issued',
  },
  refreshToken: { key: 'k', generation: 1, hash: 'h', expiresAt: 2000, previous: { hash: 'p', retryUntil: 1500, sealedAnswer: 's' } },
  accessTokens: [{ hash: 'a', issuedAt: 1000, expiresAt: 1500, scope: ['read'], resource: [] }],
}

describe('there and back', () => {
  test('what is written through JSON is read back whole, with its version', () => {
    fc.assert(
      fc.property(authorization, text, fc.option(text, { nil: undefined }), (state, version, issuer) => {
        expect(fromRecord(throughJson(toRecord(state, version, issuer)))).toStrictEqual({ ...state, version })
      }),
      { numRuns: 300 },
    )
  })

  test('the record shows what a store may index, and no more', () => {
    const { code: _code, refreshToken: _refreshToken, accessTokens, ...rest } = whole
    expect(toRecord({ ...rest, accessTokens, version: 'read' }, 'written', 'https://server.example')).toEqual({
      id: '0123456789abcdefghijkl',
      version: 'written',
      kind: 'authorization',
      issuer: 'https://server.example',
      subject: 'alice',
      client_id: 'web',
      expiresAt: 2000,
      format: 1,
      data: { grant_type: 'authorization_code', scope: ['read'], resource: [], createdAt: 1000, accessTokens },
    })
  })

  test('what a database writes as null is absent, where it may be', () => {
    const { subject: _subject, code: _code, refreshToken: _refreshToken, ...bare } = whole
    const record = throughJson(toRecord(bare, 'v', undefined))
    const nulls = { ...record, subject: null, data: { ...record.data, code: null, refreshToken: null, revokedAt: null, extra: null } }
    expect(fromRecord(nulls as unknown as StoredRecord)).toStrictEqual({ ...bare, version: 'v' })
  })
})

type Path = readonly string[]

/** The record of {@link whole} with one member replaced, or taken away. */
function spoilt(path: Path, value?: unknown): StoredRecord {
  const record = throughJson(toRecord(whole, 'v', undefined))
  let owner = record as unknown as Record<string, unknown>
  for (const name of path.slice(0, -1)) owner = owner[name] as Record<string, unknown>
  const last = path.at(-1) ?? ''
  if (value === undefined) Reflect.deleteProperty(owner, last)
  else owner[last] = value
  return record
}

describe('what cannot be understood whole', () => {
  const required: Path[] = [
    ...['id', 'version', 'client_id', 'kind', 'format', 'expiresAt', 'data'].map((name) => [name]),
    ...['grant_type', 'scope', 'resource', 'createdAt', 'accessTokens'].map((name) => ['data', name]),
    ...['hash', 'expiresAt', 'redirect_uri', 'redirect_uri_named', 'pkce', 'status'].map((name) => ['data', 'code', name]),
    ...['method', 'code_challenge'].map((name) => ['data', 'code', 'pkce', name]),
    ...['key', 'generation', 'hash', 'expiresAt'].map((name) => ['data', 'refreshToken', name]),
    ...['hash', 'retryUntil', 'sealedAnswer'].map((name) => ['data', 'refreshToken', 'previous', name]),
    ...['hash', 'issuedAt', 'expiresAt', 'scope', 'resource'].map((name) => ['data', 'accessTokens', '0', name]),
  ]
  test.each(required.map((path) => [path.join('.'), path] as const))('%s is not forgotten, null, or of another kind', (_name, path) => {
    expect(fromRecord(spoilt(['data', 'extra'], { a: 1 }))).toMatchObject(whole)
    for (const value of [undefined, null, { a: 1 }, [7]]) expect(() => fromRecord(spoilt(path, value))).toThrow(UnreadableRecord)
  })

  test('a code whose challenge was lost, or whose PKCE is null, is not a code without PKCE', () => {
    for (const pkce of [
      undefined,
      null,
      {},
      { method: 'S256' },
      { method: 'S256', code_challenge: null },
      { method: 'S256', code_challenge: '' },
      { method: null },
      { method: 'plain', code_challenge: 'x' },
      'none',
    ]) {
      expect(() => fromRecord(spoilt(['data', 'code', 'pkce'], pkce))).toThrow(UnreadableRecord)
    }
  })

  test.each<[Path, unknown]>([
    [['kind'], 'guard'],
    [['format'], 2],
    [['format'], 0],
    [['format'], '1'],
    [['expiresAt'], -1],
    [['expiresAt'], 1.5],
    [['expiresAt'], '2000'],
    [['expiresAt'], 1e300],
    [['subject'], ''],
    [['subject'], 7],
    [['data', 'scope'], 'read'],
    [['data', 'scope'], ['']],
    [['data', 'code'], []],
    [['data', 'code', 'status'], 'new'],
    [['data', 'code', 'redirect_uri_named'], 'true'],
    [['data', 'revokedAt'], 'never'],
    [['data', 'extra'], 'x'],
    [['data', 'accessTokens'], {}],
    [['data', 'accessTokens'], [null]],
  ])('%j may not be %j', (path, value) => {
    expect(() => fromRecord(spoilt(path, value))).toThrow(UnreadableRecord)
  })
})

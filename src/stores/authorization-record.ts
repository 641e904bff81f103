/**
 * The stored form of an Authorization, and the check of what comes back.
 *
 * A record is read as if somebody else had written it: a store that lost a member, a column that was cut, a release that
 * wrote another form. What cannot be understood whole is not understood at all.
 */
import type { Authorization, AuthorizationCode, CodeChallenge, JsonObject, OpaqueAccessToken, RefreshToken } from '../authorization.js'
import { recordFormat, type StoredRecord } from './store.js'

/** A record that this release cannot read. Answered 503; nothing is written over it. */
export class UnreadableRecord extends Error {
  override readonly name = 'UnreadableRecord'
}

/** The record of an Authorization, under a new version. */
export function toRecord(authorization: Authorization, version: string, issuer: string | undefined): StoredRecord {
  const { id, version: _read, client_id, subject, expiresAt, ...data } = authorization
  return {
    id,
    version,
    kind: 'authorization',
    ...(issuer === undefined ? {} : { issuer }),
    ...(subject === undefined ? {} : { subject }),
    client_id,
    expiresAt,
    format: recordFormat,
    data: data as unknown as JsonObject,
  }
}

/**
 * The Authorization in a record.
 *
 * @throws UnreadableRecord when the record is of a newer form, or not whole.
 */
export function fromRecord(record: StoredRecord): Authorization {
  const outer = fields(record, 'record')
  if (outer.format !== recordFormat) throw new UnreadableRecord(`the record has format ${String(outer.format)}, not ${recordFormat}`)
  if (outer.kind !== 'authorization') throw new UnreadableRecord('the record is not an authorization')
  const data = fields(outer.data, 'data')
  return {
    id: text(outer.id, 'id'),
    version: text(outer.version, 'version'),
    client_id: text(outer.client_id, 'client_id'),
    ...optional('subject', outer.subject, text),
    grant_type: text(data.grant_type, 'grant_type'),
    scope: texts(data.scope, 'scope'),
    resource: texts(data.resource, 'resource'),
    createdAt: instant(data.createdAt, 'createdAt'),
    expiresAt: instant(outer.expiresAt, 'expiresAt'),
    ...optional('revokedAt', data.revokedAt, instant),
    ...optional('code', data.code, readCode),
    ...optional('refreshToken', data.refreshToken, readRefreshToken),
    accessTokens: list(data.accessTokens, 'accessTokens').map(readAccessToken),
    ...optional('extra', data.extra, (value, name) => fields(value, name) as JsonObject),
  }
}

function readCode(value: unknown): AuthorizationCode {
  const code = fields(value, 'code')
  return {
    hash: text(code.hash, 'code.hash'),
    expiresAt: instant(code.expiresAt, 'code.expiresAt'),
    redirect_uri: text(code.redirect_uri, 'code.redirect_uri'),
    redirect_uri_named: flag(code.redirect_uri_named, 'code.redirect_uri_named'),
    pkce: readPkce(code.pkce),
    status: oneOf(code.status, ['issued', 'used', 'burnt'], 'code.status'),
  }
}

/** A challenge that a store forgot must not read as "there was none". */
function readPkce(value: unknown): CodeChallenge {
  const pkce = fields(value, 'code.pkce')
  const method = oneOf(pkce.method, ['S256', 'none'], 'code.pkce.method')
  return method === 'none' ? { method } : { method, code_challenge: text(pkce.code_challenge, 'code.pkce.code_challenge') }
}

function readRefreshToken(value: unknown): RefreshToken {
  const token = fields(value, 'refreshToken')
  return {
    key: text(token.key, 'refreshToken.key'),
    generation: instant(token.generation, 'refreshToken.generation'),
    hash: text(token.hash, 'refreshToken.hash'),
    expiresAt: instant(token.expiresAt, 'refreshToken.expiresAt'),
    ...optional('previous', token.previous, (previous) => {
      const { hash, retryUntil, sealedAnswer } = fields(previous, 'refreshToken.previous')
      return {
        hash: text(hash, 'previous.hash'),
        retryUntil: instant(retryUntil, 'previous.retryUntil'),
        sealedAnswer: text(sealedAnswer, 'previous.sealedAnswer'),
      }
    }),
  }
}

function readAccessToken(value: unknown): OpaqueAccessToken {
  const token = fields(value, 'accessToken')
  return {
    hash: text(token.hash, 'accessToken.hash'),
    issuedAt: instant(token.issuedAt, 'accessToken.issuedAt'),
    expiresAt: instant(token.expiresAt, 'accessToken.expiresAt'),
    scope: texts(token.scope, 'accessToken.scope'),
    resource: texts(token.resource, 'accessToken.resource'),
  }
}

function unreadable(name: string): UnreadableRecord {
  return new UnreadableRecord(`the member ${name} of a record is missing or of the wrong kind`)
}

function fields(value: unknown, name: string): Readonly<Partial<Record<string, unknown>>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unreadable(name)
  return value as Readonly<Partial<Record<string, unknown>>>
}

function list(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw unreadable(name)
  return value
}

function text(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '') throw unreadable(name)
  return value
}

function texts(value: unknown, name: string): readonly string[] {
  return list(value, name).map((item) => text(item, name))
}

function instant(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw unreadable(name)
  return value
}

function flag(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw unreadable(name)
  return value
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[], name: string): T {
  const found = allowed.find((item) => item === value)
  if (found === undefined) throw unreadable(name)
  return found
}

function optional<N extends string, T>(name: N, value: unknown, read: (value: unknown, name: string) => T): Partial<Record<N, T>> {
  return value === undefined || value === null ? {} : ({ [name]: read(value, name) } as Record<N, T>)
}

/**
 * The stored form of an Authorization, and the check of what comes back.
 *
 * A record is read as if somebody else had written it: a store that lost a member, a column that was cut, a release that
 * wrote another form. What cannot be understood whole is not understood at all.
 */
import type {
  Authorization,
  AuthorizationCode,
  CodeChallenge,
  OpaqueAccessToken,
  PreviousRefreshToken,
  RefreshToken,
  RevokedToken,
} from './authorization.js'
import type { JsonObject } from '../json.js'
import { recordFormat, type StoredRecord } from '../stores/store.js'

/** A record that this release cannot read. Answered 503; nothing is written over it. */
export class UnreadableRecord extends Error {
  override readonly name = 'UnreadableRecord'
}

type Writable<T> = { -readonly [name in keyof T]: T[name] }

/** The record of an Authorization, under a new version. What is absent is absent in it too. */
export function toRecord(authorization: Authorization, version: string, issuer: string | undefined): StoredRecord {
  const { id, client_id, subject, expiresAt } = authorization
  const record: Writable<StoredRecord> = {
    id,
    version,
    kind: 'authorization',
    client_id,
    expiresAt,
    format: recordFormat,
    data: toData(authorization),
  }
  if (issuer !== undefined) record.issuer = issuer
  if (subject !== undefined) record.subject = subject
  return record
}

/** The members that no store searches by. */
type Data = Omit<Authorization, 'id' | 'version' | 'client_id' | 'subject' | 'expiresAt'>

function toData(authorization: Authorization): JsonObject {
  const { grant_type, scope, resource, createdAt, accessTokens, revokedAt, code, refreshToken, revokedTokens, extra } = authorization
  const data: Writable<Data> = { grant_type, scope, resource, createdAt, accessTokens }
  if (revokedAt !== undefined) data.revokedAt = revokedAt
  if (code !== undefined) data.code = code
  if (refreshToken !== undefined) data.refreshToken = refreshToken
  if (revokedTokens !== undefined) data.revokedTokens = revokedTokens
  if (extra !== undefined) data.extra = extra
  return data as unknown as JsonObject
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
  const authorization: Writable<Authorization> = {
    id: text(outer.id, 'id'),
    version: text(outer.version, 'version'),
    client_id: text(outer.client_id, 'client_id'),
    grant_type: text(data.grant_type, 'grant_type'),
    scope: texts(data.scope, 'scope'),
    resource: texts(data.resource, 'resource'),
    createdAt: instant(data.createdAt, 'createdAt'),
    expiresAt: instant(outer.expiresAt, 'expiresAt'),
    accessTokens: list(data.accessTokens, 'accessTokens').map(readAccessToken),
  }
  if (isPresent(outer.subject)) authorization.subject = text(outer.subject, 'subject')
  if (isPresent(data.revokedAt)) authorization.revokedAt = instant(data.revokedAt, 'revokedAt')
  if (isPresent(data.code)) authorization.code = readCode(data.code)
  if (isPresent(data.refreshToken)) authorization.refreshToken = readRefreshToken(data.refreshToken)
  if (isPresent(data.revokedTokens)) authorization.revokedTokens = list(data.revokedTokens, 'revokedTokens').map(readRevokedToken)
  if (isPresent(data.extra)) authorization.extra = fields(data.extra, 'extra') as JsonObject
  return authorization
}

/** A column that is empty reads as null, and means the same as a member that is not there. */
function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null
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
    ...(isPresent(code.usedAt) ? { usedAt: instant(code.usedAt, 'code.usedAt') } : {}),
  }
}

/** A challenge that a store forgot must not read as "there was none". */
function readPkce(value: unknown): CodeChallenge {
  const pkce = fields(value, 'code.pkce')
  const method = oneOf(pkce.method, ['S256', 'none'], 'code.pkce.method')
  return method === 'none' ? { method } : { method, code_challenge: text(pkce.code_challenge, 'code.pkce.code_challenge') }
}

function readRefreshToken(value: unknown): RefreshToken {
  const stored = fields(value, 'refreshToken')
  const token: Writable<RefreshToken> = {
    key: text(stored.key, 'refreshToken.key'),
    generation: instant(stored.generation, 'refreshToken.generation'),
    hash: text(stored.hash, 'refreshToken.hash'),
    expiresAt: instant(stored.expiresAt, 'refreshToken.expiresAt'),
  }
  if (isPresent(stored.previous)) token.previous = readPrevious(stored.previous)
  return token
}

function readPrevious(value: unknown): PreviousRefreshToken {
  const { hash, retryUntil, sealedAnswer } = fields(value, 'refreshToken.previous')
  return {
    hash: text(hash, 'previous.hash'),
    retryUntil: instant(retryUntil, 'previous.retryUntil'),
    sealedAnswer: text(sealedAnswer, 'previous.sealedAnswer'),
  }
}

function readAccessToken(value: unknown): OpaqueAccessToken {
  const stored = fields(value, 'accessToken')
  const token: Writable<OpaqueAccessToken> = {
    hash: text(stored.hash, 'accessToken.hash'),
    issuedAt: instant(stored.issuedAt, 'accessToken.issuedAt'),
    expiresAt: instant(stored.expiresAt, 'accessToken.expiresAt'),
    scope: texts(stored.scope, 'accessToken.scope'),
    resource: texts(stored.resource, 'accessToken.resource'),
  }
  if (isPresent(stored.binding)) token.binding = text(stored.binding, 'accessToken.binding')
  return token
}

function readRevokedToken(value: unknown): RevokedToken {
  const token = fields(value, 'revokedToken')
  return { jti: text(token.jti, 'revokedToken.jti'), expiresAt: instant(token.expiresAt, 'revokedToken.expiresAt') }
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
  const items = list(value, name)
  for (const item of items) text(item, name)
  return items as readonly string[]
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

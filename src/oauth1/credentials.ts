/**
 * One set of credentials of a resource owner, from temporary to token (RFC 5849 §2): one record, one state at a time.
 *
 *   temporary ──the owner agrees──▶ authorized ──exchanged──▶ token ──revoked──▶ revoked
 *                                    │      ▲                                       ▲
 *                                    ├wrong─┘verifier                               │
 *                                    └──────────too many wrong verifiers────────────┘
 *
 * The text of `oauth_token` is `<id>.<random>`: the id names the record, which keeps a digest of the whole text. The exchange changes
 * the state, so it is one compare-and-set and works once. All functions here are pure. The record is checked when it is read: what
 * cannot be understood whole is not understood at all.
 */
import type { JsonObject } from '../json.js'
import { TemporarilyUnavailable } from '../errors.js'
import { randomText } from '../secrets.js'
import { recordFormat, type StoredRecord } from '../stores/store.js'

/** What all states have. Instants are whole seconds since the epoch. */
interface Common {
  readonly id: string
  /** The version that was read; absent until the first write. */
  readonly version?: string
  readonly client_id: string
  /** What was asked for, later what was granted. */
  readonly realms: readonly string[]
  /** When this state ends. */
  readonly endsAt: number
  /** When the temporary credentials were made that it began with. Versions 0.1.0 and 0.2.0 wrote none. */
  readonly madeAt?: number
  /** When the record may be forgotten. Never goes down. */
  readonly expiresAt: number
}

/** What a request is signed with: the digest of `oauth_token`, and `oauth_token_secret`, sealed. */
export interface SignedWith {
  readonly tokenHash: string
  readonly sealedSecret: string
}

/** Temporary credentials (§2.1) that nobody has agreed to yet. */
export interface TemporaryCredentials extends Common, SignedWith {
  readonly stage: 'temporary'
  readonly callback: string
}

/** Temporary credentials that a resource owner has agreed to (§2.2). */
export interface AuthorizedCredentials extends Common, SignedWith {
  readonly stage: 'authorized'
  readonly subject: string
  readonly verifierHash: string
  /** How many wrong verifiers were presented; absent for none. */
  readonly wrongVerifiers?: number
}

/** Token credentials (§2.3). */
export interface TokenCredentials extends Common, SignedWith {
  readonly stage: 'token'
  readonly subject: string
}

/** What is left of token credentials that were taken back. */
export interface RevokedCredentials extends Common {
  readonly stage: 'revoked'
}

/** Credentials in any state. */
export type Credentials = TemporaryCredentials | AuthorizedCredentials | TokenCredentials | RevokedCredentials

const idSize = 22
const tokenText = /^([A-Za-z0-9_-]{22})\.[A-Za-z0-9_-]{22}$/

/** A new id: 132 random bits. */
export function newCredentialsId(): string {
  return randomText(idSize)
}

/** The text of an `oauth_token`: of unreserved characters only, so that no client can encode it wrongly. */
export function newTokenText(id: string): string {
  return `${id}.${randomText(idSize)}`
}

/** The id in an `oauth_token`, or undefined when the text is not one of ours. */
export function credentialsIdOf(token: string): string | undefined {
  return tokenText.exec(token)?.[1]
}

/** The id of the record. No other credential names it: theirs have no colon. */
export function recordIdOf(id: string): string {
  return `oauth1:${id}`
}

/** The record of credentials, under a new version. */
export function toRecord(credentials: Credentials, version: string, issuer: string | undefined): StoredRecord {
  const { id, version: _read, expiresAt, ...data } = credentials
  return {
    id: recordIdOf(id),
    version,
    kind: 'oauth1',
    ...(issuer === undefined ? {} : { issuer }),
    expiresAt,
    format: recordFormat,
    data: data satisfies JsonObject,
  }
}

/**
 * The credentials in a record.
 *
 * @throws TemporarilyUnavailable when the record is of a newer form, or not whole.
 */
export function fromRecord(record: StoredRecord): Credentials {
  if (record.format !== recordFormat || (record.kind as unknown) !== 'oauth1') throw unreadable('format')
  const data = record.data as Readonly<Partial<Record<string, unknown>>> | undefined
  if (typeof data !== 'object' || Array.isArray(data)) throw unreadable('data')
  const common: Common = {
    id: text(record.id, 'id').slice(recordIdOf('').length),
    version: text(record.version, 'version'),
    client_id: text(data.client_id, 'client_id'),
    realms: texts(data.realms, 'realms'),
    endsAt: whole(data.endsAt, 'endsAt'),
    expiresAt: whole(record.expiresAt, 'expiresAt'),
    ...(data.madeAt === undefined ? {} : { madeAt: whole(data.madeAt, 'madeAt') }),
  }
  const signedWith = () => ({ tokenHash: text(data.tokenHash, 'tokenHash'), sealedSecret: text(data.sealedSecret, 'sealedSecret') })
  const subject = () => text(data.subject, 'subject')
  switch (data.stage) {
    case 'temporary':
      return { ...common, stage: 'temporary', ...signedWith(), callback: text(data.callback, 'callback') }
    case 'authorized':
      return {
        ...common,
        stage: 'authorized',
        ...signedWith(),
        subject: subject(),
        verifierHash: text(data.verifierHash, 'verifierHash'),
        // Absent in records of 0.1.0
        ...(data.wrongVerifiers === undefined ? {} : { wrongVerifiers: whole(data.wrongVerifiers, 'wrongVerifiers') }),
      }
    case 'token':
      return { ...common, stage: 'token', ...signedWith(), subject: subject() }
    case 'revoked':
      return { ...common, stage: 'revoked' }
    default:
      throw unreadable('stage')
  }
}

/** The resource owner has agreed. */
export function withConsent(
  credentials: TemporaryCredentials,
  consent: Pick<AuthorizedCredentials, 'subject' | 'verifierHash' | 'realms'>,
): AuthorizedCredentials {
  const { stage: _stage, callback: _callback, ...rest } = credentials
  return { ...rest, stage: 'authorized', ...consent }
}

const mostWrongVerifiers = 10

/** A wrong verifier was presented. One too many ends the credentials. */
export function withWrongVerifier(credentials: AuthorizedCredentials): AuthorizedCredentials | RevokedCredentials {
  const wrongVerifiers = (credentials.wrongVerifiers ?? 0) + 1
  return wrongVerifiers < mostWrongVerifiers ? { ...credentials, wrongVerifiers } : revoked(credentials)
}

/** What token credentials are made of. */
export type NewToken = SignedWith & Pick<Common, 'realms' | 'endsAt' | 'expiresAt'>

/** The exchange: what the temporary credentials were signed with is gone, so they cannot be used again. */
export function exchanged(credentials: AuthorizedCredentials, token: NewToken): TokenCredentials {
  const { stage: _stage, verifierHash: _verifierHash, wrongVerifiers: _wrongVerifiers, ...rest } = credentials
  return { ...rest, stage: 'token', ...token, expiresAt: Math.max(rest.expiresAt, token.expiresAt) }
}

/** Taken back, for good. */
export function revoked({ id, version, client_id, realms, endsAt, expiresAt }: Credentials): RevokedCredentials {
  return { stage: 'revoked', id, ...(version === undefined ? {} : { version }), client_id, realms, endsAt, expiresAt }
}

function unreadable(member: string): TemporarilyUnavailable {
  return new TemporarilyUnavailable(undefined, {
    reason: `the store returned a record whose member ${member} is missing or of the wrong kind`,
  })
}

function text(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '') throw unreadable(name)
  return value
}

function texts(value: unknown, name: string): readonly string[] {
  if (!Array.isArray(value)) throw unreadable(name)
  return value.map((item) => text(item, name))
}

function whole(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw unreadable(name)
  return value
}

/** How old credentials may be, and how long each stage lasts. */
export interface AgeRule {
  readonly notBefore: number | undefined
  readonly temporaryCredentialsLifetime: number
  readonly tokenLifetime: number
}

/** Whether credentials were made before the option `notBefore`. */
export function isTooOld({ stage, madeAt, endsAt }: Credentials, rule: AgeRule): boolean {
  // Members are read one by one: a rest would copy the whole configuration, and tell by its time that a client is known.
  const { notBefore } = rule
  if (notBefore === undefined) return false
  const life = stage === 'token' ? rule.tokenLifetime : rule.temporaryCredentialsLifetime
  return (madeAt ?? endsAt - life) < notBefore
}

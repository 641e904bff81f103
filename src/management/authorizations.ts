/**
 * Authorizations for the application to show and to end: "connected apps", "log out everywhere".
 *
 * What is asked for is checked before the store is: `{ subject: undefined }` must not end everybody's sessions.
 */
import { isLive, withRevocation, type Authorization } from '../authorization/authorization.js'
import type { JsonObject } from '../json.js'
import { isPromise, type Awaitable } from '../awaitable.js'
import { hasEndedFor } from '../clients/standing.js'
import { isClientId, type Client } from '../clients/client.js'
import { configure, type Configuration } from '../configuration/configure.js'
import { isAuthorizationId } from '../authorization/credentials.js'
import { TemporarilyUnavailable } from '../errors.js'
import { didYouMean } from '../option-checks/did-you-mean.js'
import type { ServerOptions } from '../configuration/options.js'
import type { Scope } from '../authorization/scope.js'
import type { ListFilter } from '../stores/store.js'

/** Whose Authorizations: at least one of the two. */
export interface AuthorizationFilter {
  /** Those of a resource owner. */
  readonly subject?: string
  /** Those of a client. */
  readonly client_id?: string
}

/** Which to end: all of a subject, of a client, or of both, or with `id` the one among them. */
export interface RevocationFilter extends AuthorizationFilter {
  readonly id?: string
}

/** What may be shown of an Authorization. Nothing in it is a credential. */
export interface AuthorizationSummary {
  readonly id: string
  readonly client_id: string
  /** Absent where the client speaks for itself. */
  readonly subject?: string
  readonly grant_type: string
  readonly scope: Scope
  readonly resource: readonly string[]
  readonly createdAt: number
  /** When it ends unless it is refreshed before. */
  readonly expiresAt: number
  readonly extra?: JsonObject
}

/**
 * The live Authorizations of a subject, of a client, or of both. One that cannot be read is told as an event and passed over.
 *
 * @throws TypeError at once when neither is given, or one is not a text that is not empty; TemporarilyUnavailable, while it runs, when the
 *   store fails.
 */
export function listAuthorizations(options: ServerOptions, filter: AuthorizationFilter): AsyncIterable<AuthorizationSummary> {
  const wanted = readFilter(filter, ['subject', 'client_id'], 'listAuthorizations')
  return liveAuthorizations(configure(options, 'listAuthorizations'), wanted)
}

/**
 * Ends every live Authorization of a subject, of a client, or of both, with all tokens that descend from it, and resolves to their number.
 * Those that come to be while it runs may be missed: log the subject out of the application first.
 *
 * Each of them is read and written. For all of a client, `saveClient` with `notBefore: Math.floor(Date.now() / 1000)` is one write, and misses none; guards see
 * it as the option `checkClient` of `requireAccessToken` says. Revoke as well where that must hold after `notBefore` is taken away.
 *
 * When it rejects, some may not have ended: call it again.
 *
 * @throws TypeError when neither subject nor client_id is given, or a member is not a text that is not empty, before anything is read.
 *   TemporarilyUnavailable when the store fails, or when one of the Authorizations cannot be read and so cannot be ended.
 */
export async function revokeAuthorizations(options: ServerOptions, filter: RevocationFilter): Promise<number> {
  const wanted = readFilter(filter, ['subject', 'client_id', 'id'], 'revokeAuthorizations')
  const configuration = configure(options, 'revokeAuthorizations')
  const { id } = filter
  if (id !== undefined) return (await revoke(configuration, id, wanted)) ? 1 : 0
  let unreadable = 0
  const listed = configuration.ledger.list(wanted, (unread, cause) => {
    unreadable++
    report(configuration, unread, cause)
  })
  let ended = 0
  let batch: string[] = []
  async function revokeBatch(): Promise<void> {
    const outcomes = await Promise.all(batch.map((listedId) => revoke(configuration, listedId, wanted)))
    ended += outcomes.filter((isEnded) => isEnded).length
    batch = []
  }
  for await (const authorization of listed) {
    batch.push(authorization.id)
    if (batch.length === atOnce) await revokeBatch()
  }
  await revokeBatch()
  if (unreadable > 0) throw new TemporarilyUnavailable(undefined, { reason: 'an authorization that cannot be read was not revoked' })
  return ended
}

const atOnce = 8

async function* liveAuthorizations(configuration: Configuration, filter: ListFilter): AsyncGenerator<AuthorizationSummary> {
  const clients = new Map<string, Awaitable<Client | undefined>>()
  for await (const authorization of configuration.ledger.list(filter, (id, cause) => report(configuration, id, cause))) {
    if (!isLive(authorization, configuration.clock())) continue
    const client = await clientOf(configuration, authorization, clients)
    if (client === undefined || !hasEndedFor(client, authorization.createdAt)) yield summary(authorization)
  }
}

const mostClients = 1_000

/** Each client of a list is looked up once. One that is gone, or cannot be looked up outside a request, ends nothing here. */
function clientOf(
  { findClient }: Configuration,
  { client_id }: Authorization,
  clients: Map<string, Awaitable<Client | undefined>>,
): Awaitable<Client | undefined> {
  if (clients.has(client_id)) return clients.get(client_id)
  if (clients.size >= mostClients) clients.clear()
  const found = isClientId(client_id) ? findClient(client_id) : undefined
  const client = isPromise(found) ? found.catch(() => undefined) : found
  clients.set(client_id, client)
  return client
}

function summary({
  id,
  client_id,
  subject,
  grant_type,
  scope,
  resource,
  createdAt,
  expiresAt,
  extra,
}: Authorization): AuthorizationSummary {
  return {
    id,
    client_id,
    ...(subject === undefined ? {} : { subject }),
    grant_type,
    scope,
    resource,
    createdAt,
    expiresAt,
    ...(extra === undefined ? {} : { extra }),
  }
}

/** Ends one that is live and that the filter means; true when this call did. */
async function revoke({ ledger, clock, emit }: Configuration, id: string, { subject, client_id }: ListFilter): Promise<boolean> {
  const ended = await ledger.settle(
    id,
    (current) => {
      const isMeant = (subject ?? current?.subject) === current?.subject && (client_id ?? current?.client_id) === current?.client_id
      if (current === undefined || !isMeant || !isLive(current, clock())) return { result: undefined }
      const next = withRevocation(current, clock())
      return { next, result: next }
    },
    { urgent: true },
  )
  if (ended === undefined) return false
  const about = ended.subject === undefined ? {} : { subject: ended.subject }
  emit({ type: 'authorization.revoked', client_id: ended.client_id, authorization_id: id, ...about })
  return true
}

function report({ emit }: Configuration, id: string, cause: unknown): void {
  const about = isAuthorizationId(id) ? { authorization_id: id } : {}
  emit({ type: 'record.unreadable', reason: 'an authorization in the store cannot be read', cause, ...about })
}

/** @throws TypeError */
function readFilter(filter: RevocationFilter, known: readonly string[], name: string): ListFilter {
  if (typeof filter !== 'object' || (filter as object | null) === null) throw new TypeError(`${name}: say whose, as in { subject }`)
  for (const [member, value] of Object.entries(filter)) {
    if (!known.includes(member)) throw new TypeError(`${name}: there is no member "${member}"${didYouMean(member, known)}`)
    if (typeof value !== 'string' || value === '') throw new TypeError(`${name}: ${member} must be a text that is not empty`)
  }
  const { subject, client_id } = filter
  if (subject !== undefined) return client_id === undefined ? { subject } : { subject, client_id }
  if (client_id !== undefined) return { client_id }
  throw new TypeError(`${name}: say whose, by subject, client_id or both`)
}

/**
 * All clients that are kept in the store, for an administrator: page by page, or one after the other.
 *
 * Listed are the clients that the application saved or registered, those that registered themselves (RFC 7591), and the metadata documents that are
 * remembered. Clients of the option `clients` are not in the store.
 */
import type { ClientSource } from '../clients/client.js'
import { configure } from '../configuration/configure.js'
import { assertKnownKeys, assertObject } from '../option-checks/reader.js'
import type { ServerOptions } from '../configuration/options.js'
import { foundClient, type FoundClient } from './clients.js'

/** Which clients to list. */
export interface ClientListOptions {
  /** The `cursor` of the last client of the page before. Default: from the first one on. */
  readonly after?: string | undefined
  /** How many at the most. Default: all. */
  readonly limit?: number | undefined
}

/** One client of the store. */
export interface ListedClient {
  /** As `findClient` finds it: with the hashes of its secrets. Of a metadata document it is what the document says. */
  readonly client: FoundClient
  /** Who says what the client is: the application, the client itself when it registered, or the metadata document at its `client_id`. */
  readonly source: ClientSource
  /** Where the next page begins. No secret. */
  readonly cursor: string
}

/** SHA-256 in base64url. */
const cursorText = /^[A-Za-z0-9_-]{43}$/

/**
 * The clients of this server that are kept in its store, in an order that means nothing and does not change. Reads a page of them at a time, so memory does
 * not grow with their number. Those that are saved or deleted meanwhile may be missing, or may be there. One that cannot be read is told as an event and
 * passed over. Over Redis, the first list of a large store looks at every key, once: the first page may take up to a minute, whatever `storeTimeout` says.
 *
 * @throws at once ConfigurationError when the store has no verb `scan`, TypeError when `after` is no cursor or `limit` no whole number of at least 1;
 *   TemporarilyUnavailable, while it runs, when the store fails.
 */
export function listClients(options: ServerOptions, list: ClientListOptions = {}): AsyncIterable<ListedClient> {
  assertKnownKeys(assertObject(list, 'listClients: the second argument'), ['after', 'limit'], 'listClients')
  const { after, limit = Infinity } = list
  if (after !== undefined && (typeof after !== 'string' || !cursorText.test(after)))
    throw new TypeError('listClients: after must be the cursor of a client that was listed')
  if (limit !== Infinity && (!Number.isSafeInteger(limit) || limit < 1))
    throw new TypeError('listClients: limit must be a whole number of at least 1')
  const { clientRecords, emit } = configure(options)
  const listed = clientRecords.list(after, limit, () => {
    emit({ type: 'record.unreadable', reason: 'a client in the store cannot be read' })
  })
  return found(listed)
}

async function* found(listed: ReturnType<ReturnType<typeof configure>['clientRecords']['list']>): AsyncGenerator<ListedClient> {
  for await (const { client, version, source, cursor } of listed) yield { client: foundClient(client, version), source, cursor }
}

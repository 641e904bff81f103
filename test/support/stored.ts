/**
 * A test server whose store the test can look into, and what it finds there.
 */
import { fromRecord, toRecord } from '../../src/authorization/record.js'
import { memoryStore, type Authorization, type MemoryStore, type ServerOptions, type Store, type StoredRecord } from '../../src/index.js'
import { basic, testServer, web, type TestServer } from './server.js'

/** A test server over a memory store of its own. */
export function storedServer(options: ServerOptions = {}): { server: TestServer; store: MemoryStore } {
  const store: MemoryStore = memoryStore({ clock: () => server.now })
  const server: TestServer = testServer({ store, ...options })
  return { server, store }
}

/** A test server without the option `clients`: they are in its store. */
export function serverOfStoredClients(options: ServerOptions & { store: Store }): TestServer {
  const server = testServer(options)
  const { clients: _clients, ...rest } = server.options
  return Object.assign(server, { options: rest })
}

/** The record that a credential names. */
export async function recordOf(store: Store, credential: string): Promise<StoredRecord> {
  const record = await store.get(credential.slice(0, 22))
  if (record === undefined) throw new Error('nothing is stored for this credential')
  return record
}

/** The Authorization that a credential names. */
export async function authorizationOf(store: Store, credential: string): Promise<Authorization> {
  return fromRecord(await recordOf(store, credential))
}

/** Changes what is stored for a credential, behind the server's back. */
export async function rewrite(store: Store, credential: string, change: (authorization: Authorization) => Authorization): Promise<void> {
  const record = await recordOf(store, credential)
  const changed = toRecord(change(fromRecord(record)), `${record.version}.`, record.issuer)
  if (!(await store.replace(changed, record.version))) throw new Error('the record could not be changed')
}

/** The reasons that the events gave, in order. */
export function reasons({ events }: TestServer): string[] {
  return events.flatMap(({ reason }) => (reason === undefined ? [] : [reason]))
}

/** Whether a token is active, as its own client is told. */
export async function isActive(server: TestServer, token: string): Promise<unknown> {
  const { json } = await server.introspect({ token }, basic(web))
  return json.active
}

const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache' }

/** The whole response to a bad grant: the same bytes for every cause. */
export const invalidGrant = {
  status: 400,
  headers,
  body: '{"error":"invalid_grant","error_description":"the grant is invalid, expired, revoked, or was issued to another client"}',
}

/** The whole response to a scope that is refused. */
export const invalidScope = {
  status: 400,
  headers,
  body: '{"error":"invalid_scope","error_description":"the requested scope is invalid, unknown, malformed, or exceeds what may be granted"}',
}

/** The whole response to a malformed request. */
export function invalidRequest(description: string) {
  return { status: 400, headers, body: `{"error":"invalid_request","error_description":"${description}"}` }
}

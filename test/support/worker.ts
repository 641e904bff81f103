/** A process with a server of its own over a store that others use too. It is told what to do by messages, and answers each. */
import {
  authorizationCode,
  clientCredentials,
  findClient,
  refreshToken,
  requireAccessToken,
  saveClient,
  type ServerOptions,
} from '../../src/index.js'
import { ticketGrant } from '../security/races.js'
import { listen } from './listen.js'
import { machine, native, testServer, web, type Form, type TestServer } from './server.js'
import { readCheckWrite, storeAt, writeBehind, type Address } from './store-of.js'
import { serverOfStoredClients } from './stored.js'

/** One of the servers in the process. */
export interface ServerSettings {
  /** True: the store reads, checks, and then writes. */
  readonly isBroken?: boolean
  /** True: the store answers at once, and writes later. */
  readonly writesBehind?: boolean
  /** True: the clients are in the store. */
  readonly storesClients?: boolean
  readonly options?: Pick<ServerOptions, 'refreshRetryWindow' | 'storeTimeout' | 'rotateRefreshTokens' | 'allowInsecureTransport'>
}

/** What the process is started with, as JSON in its first argument. */
export interface WorkerSettings {
  readonly address: Address
  /** The servers by name; all are over the same store. */
  readonly servers: Readonly<Record<string, ServerSettings>>
}

/** One call of the server. */
export interface Call {
  readonly number: number
  readonly server: string
  readonly method: 'token' | 'introspect' | 'revoke' | 'code' | 'guard' | 'endClient'
  readonly form?: Form
  readonly headers?: Record<string, string>
}

const settings = JSON.parse(process.argv[2] ?? '{}') as WorkerSettings
const store = storeAt(settings.address)
const servers = new Map(
  Object.entries(settings.servers).map(([name, { isBroken, writesBehind, storesClients, options }]) => [
    name,
    (storesClients === true ? serverOfStoredClients : testServer)({
      store: isBroken === true ? readCheckWrite(store) : writesBehind === true ? writeBehind(store) : store,
      clients: [web, native, { ...machine, grant_types: ['client_credentials', ticketGrant.type] }],
      grants: [authorizationCode(), refreshToken(), clientCredentials(), ticketGrant],
      ...options,
    }),
  ]),
)

process.on('message', (call: Call) => {
  void perform(call).then(
    (result) => process.send?.({ number: call.number, result }),
    (error: unknown) => process.send?.({ number: call.number, error: String(error) }),
  )
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

async function perform({ server: name, method, form = {}, headers = {} }: Call): Promise<unknown> {
  const server = servers.get(name)
  if (server === undefined) throw new Error(`there is no server ${name} in this process`)
  if (method === 'code') return server.code()
  if (method === 'guard') return guard(server.options, new URLSearchParams(form).get('token') ?? '')
  if (method === 'endClient') return endClient(server)
  const { status, json } = await server[method](form, headers)
  return { status, json }
}

/** The status of a route behind a guard that asks for the client of each token. */
async function guard(options: ServerOptions, token: string): Promise<number> {
  const middleware = requireAccessToken(options, { checkClient: true })
  const { url, close } = await listen((req, res) => middleware(req, res, () => res.end('the resource')))
  const { status } = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
  await close()
  return status
}

/** One write: all that was made for the client `web` has ended. */
async function endClient({ options, now }: TestServer): Promise<void> {
  const found = await findClient(options, web.client_id)
  if (found === undefined) throw new Error('there is no such client')
  await saveClient(options, { ...found, notBefore: now })
}

/**
 * A process with the servers of one version of the package, over databases that other versions use at the same time.
 *
 * Uses nothing but the public face, so that any version can be loaded: today's by its name, an earlier one from where it was built.
 */
import Libsql from 'libsql'
import { Redis } from 'ioredis'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { Pool } from 'pg'
import type * as Package from 'oauth2-token-handler'
import type * as OAuth1 from 'oauth2-token-handler/oauth1'
import type * as Postgres from 'oauth2-token-handler/stores/postgres'
import type * as RedisEntry from 'oauth2-token-handler/stores/redis'
import type * as Sqlite from 'oauth2-token-handler/stores/sqlite'
import { formats, oauth1Client, type Call, type RollingSettings } from './rolling-settings.js'
import type { Address } from './store-of.js'

const settings = JSON.parse(process.argv[2] ?? '{}') as RollingSettings

async function entry<M>(name: `.${string}`): Promise<M> {
  return (await import(settings.entries?.[name] ?? `oauth2-token-handler${name.slice(1)}`)) as M
}

const face = await entry<typeof Package>('.')
const oauth1 = await entry<typeof OAuth1>('./oauth1')

async function openStore(address: Address): Promise<Package.Store> {
  switch (address.kind) {
    case 'postgres': {
      const pool = new Pool({ connectionString: address.url, max: 10 })
      pool.on('error', () => {})
      const { postgresStore } = await entry<typeof Postgres>('./stores/postgres')
      const store = postgresStore(pool, { table: address.table })
      await store.createTables()
      return store
    }
    case 'redis': {
      const client = new Redis(address.url)
      client.on('error', () => {})
      const { redisStore } = await entry<typeof RedisEntry>('./stores/redis')
      const store = redisStore({ sendCommand: ([command, ...args]) => client.call(command, ...args), prefix: address.prefix })
      await store.check()
      return store
    }
    case 'sqlite': {
      const { sqliteStore } = await entry<typeof Sqlite>('./stores/sqlite')
      const store = sqliteStore(new Libsql(address.file))
      await store.createTables()
      return store
    }
  }
}

/** A later version whose records have another format number. It can read those of today; today's version cannot read its own. */
function withNewerFormat(store: Package.Store): Package.Store {
  const written = (record: Package.StoredRecord) => ({ ...record, format: record.format + 1 })
  const read = (record: Package.StoredRecord) => ({ ...record, format: 1 })
  return {
    async get(id) {
      const record = await store.get(id)
      return record === undefined ? undefined : read(record)
    },
    create: async (record) => store.create(written(record)),
    replace: async (record, version) => store.replace(written(record), version),
    list: (filter) => store.list(filter),
  }
}

async function withMistake(store: Package.Store): Promise<Package.Store> {
  if (settings.mistake === 'newer format') return withNewerFormat(store)
  if (settings.mistake === 'read, check, write') return (await import('./store-of.js')).readCheckWrite(store)
  return store
}

type Handle = (req: IncomingMessage & { auth?: unknown; oauth1?: unknown }, res: ServerResponse) => unknown

const clock = () => Math.floor(Date.now() / 1000)

/** Lets a ticket be used once. */
const ticket: Package.Grant = {
  type: 'urn:example:ticket',
  async authorize({ parameters, grantableScope, claimOnce }) {
    const scope = grantableScope()
    if (!(await claimOnce('ticket', parameters.ticket ?? '', clock() + 600))) throw new face.InvalidGrant()
    return { subject: 'alice', scope }
  },
}

function accessTokens(format: (typeof formats)[number]): Package.AccessTokenFormat {
  switch (format) {
    case 'opaque':
      return face.opaque()
    case 'jwt':
      return face.jwt({ key: settings.signingKey })
    case 'encrypted':
      return face.encrypted({ key: settings.encryptionKey })
  }
}

function serverOver(store: Package.Store, host: string, format: (typeof formats)[number]): Handle {
  const options: Package.ServerOptions = {
    issuer: `https://${host}`,
    store,
    scopes: ['read', 'write'],
    grants: [face.authorizationCode(), face.refreshToken(), face.clientCredentials(), ticket],
    accessTokens: accessTokens(format),
    trustProxy: () => true,
    clientIdMetadataDocuments: {
      fetch: (client_id: string) =>
        Promise.resolve({
          document: { client_id, client_name: 'App', redirect_uris: ['http://127.0.0.1/callback'], grant_types: ['authorization_code', 'refresh_token'] },
          headers: { 'cache-control': 'max-age=3600' },
        }), // prettier-ignore
    },
  }
  const oauth1Options: OAuth1.OAuth1Options = {
    clients: [oauth1Client],
    secrets: [{ kid: 'k1', key: 'server-key-0123456789-0123456789-0123456789-abcdef' }],
    store,
    issuer: `https://${host}`,
    trustProxy: () => true,
  }
  const server = face.authorizationServer(options, {
    // The page is the application's own: it prints the confirmation, and a POST that brings it agrees.
    authorize(request, req: IncomingMessage, res: ServerResponse) {
      if (req.method === 'POST' || req.headers['x-page'] === 'package') return { subject: 'alice' }
      res.end(request.confirmation)
      return undefined
    },
    registration: true,
  })
  const guard = face.requireAccessToken(options, { checkRevocation: true })
  const oauth1Guard = oauth1.requireOAuth1(oauth1Options)
  const routes: Readonly<Record<string, Handle>> = {
    '/api': (req, res) => guard(req, res, () => res.end(JSON.stringify(req.auth))),
    '/oauth1/api': (req, res) => oauth1Guard(req, res, () => res.end(JSON.stringify(req.oauth1))),
    '/oauth1/initiate': oauth1.temporaryCredentialsHandler(oauth1Options),
    '/oauth1/token': oauth1.tokenCredentialsHandler(oauth1Options),
    '/do': async (req, res) => {
      try {
        res.end(JSON.stringify((await perform((await json(req)) as Call, options, oauth1Options)) ?? {}))
      } catch (cause) {
        const status = (cause as { status?: unknown }).status
        res.writeHead(typeof status === 'number' ? status : 500).end(JSON.stringify({ error: String(cause) }))
      }
    },
  }
  return (req, res) => {
    const route = routes[req.url ?? '']
    if (route === undefined) server(req, res)
    else void route(req, res)
  }
}

/** What an application does by calling the package. */
async function perform(call: Call, options: Package.ServerOptions, oauth1Options: OAuth1.OAuth1Options): Promise<unknown> {
  switch (call.name) {
    case 'code':
      return { code: await face.issueAuthorizationCode(options, call.request) }
    case 'save client': {
      const { client_secret, ...client } = call.client
      const secrets = client_secret === undefined ? [] : [{ hash: await face.hashClientSecret(client_secret, { generated: true }) }]
      await face.saveClient(options, { ...client, ...(client_secret === undefined ? {} : { secrets }) })
      return undefined
    }
    case 'delete client':
      await face.deleteClient(options, call.client_id)
      return undefined
    case 'revoke':
      return { revoked: await face.revokeAuthorizations(options, { subject: call.subject }) }
    case 'list': {
      let count = 0
      for await (const _ of face.listAuthorizations(options, { subject: call.subject })) count++
      return { count }
    }
    case 'agree to OAuth 1':
      return oauth1.authorizeTemporaryCredentials(oauth1Options, { oauth_token: call.oauth_token, subject: 'alice' })
    case 'revoke OAuth 1':
      return { revoked: await oauth1.revokeTokenCredentials(oauth1Options, call.oauth_token) }
  }
}

const servers = new Map<string, Handle>()
for (const address of settings.addresses) {
  const store = await withMistake(await openStore(address))
  for (const format of formats) {
    const host = `${format}.${address.kind}.example`
    servers.set(host, serverOver(store, host, format))
  }
}

const server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => void servers.get(req.headers.host ?? '')?.(req, res))
server.listen(0, '127.0.0.1')
await once(server, 'listening')
process.on('disconnect', () => process.exit())
process.send?.({ port: (server.address() as AddressInfo).port, names: Object.keys(face) })

/**
 * Writes the records of one version of the package, of every kind and in every state, as fixtures that later versions have to read.
 *
 * Run it in a checkout of the version that is to be kept, with PostgreSQL and Redis at hand:
 *
 *   npx tsx test/upgrade/write-records.ts test/upgrade/0.1.0
 */
import Libsql from 'libsql'
import { Redis } from 'ioredis'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Pool } from 'pg'
import {
  authorizationServer,
  createRevocationResponse,
  createTokenResponse,
  deleteClient,
  hashClientSecret,
  issueAuthorizationCode,
  memoryStore,
  registerClient,
  saveClient,
  type ServerOptions,
  type Store,
} from '../../src/index.js'
import {
  authorizeTemporaryCredentials,
  createAccessTokenResponse,
  createTemporaryCredentialsResponse,
  revokeTokenCredentials,
} from '../../src/oauth1/index.js'
import { postgresStore } from '../../src/stores/postgres.js'
import { redisStore } from '../../src/stores/redis.js'
import { sqliteStore } from '../../src/stores/sqlite.js'
import {
  code_challenge,
  code_verifier,
  day,
  documentId,
  lasting,
  loopback,
  machine,
  native,
  redirect_uri,
  serversOver,
  start,
  visitedDocumentId,
  web,
} from './scenario.js'
import { signed } from './sign.js'

type Members = Record<string, string>
type Fields = Readonly<Record<string, string>>

const formType = 'application/x-www-form-urlencoded'

async function post(endpoint: typeof createTokenResponse, options: ServerOptions, form: Fields): Promise<Members> {
  const response = await endpoint(options, {
    url: 'https://as.example/oauth2/token',
    method: 'POST',
    headers: { 'content-type': formType },
    body: new URLSearchParams(form).toString(),
  })
  return (response.body === '' ? {} : JSON.parse(response.body)) as Members
}

const secretOf = (client: { client_id: string; client_secret?: string }): Fields =>
  client.client_secret === undefined
    ? { client_id: client.client_id }
    : { client_id: client.client_id, client_secret: client.client_secret }

async function write(store: Store, setClock: (now: number) => void) {
  let now = start
  const at = (instant: number) => {
    now = instant
    setClock(instant)
  }
  const servers = serversOver(store, () => now)
  const { opaque, signed: jwt, mac, custom, stored, oauth1 } = servers

  const codeOf = (options: ServerOptions, client: { client_id: string }, more: object = {}) =>
    issueAuthorizationCode(options, {
      client_id: client.client_id,
      redirect_uri,
      subject: 'alice',
      scope: 'read write',
      code_challenge,
      code_challenge_method: 'S256',
      ...more,
    })
  const redeem = (options: ServerOptions, client: { client_id: string; client_secret?: string }, code: string, more: Fields = {}) =>
    post(createTokenResponse, options, {
      grant_type: 'authorization_code',
      code,
      redirect_uri,
      code_verifier,
      ...secretOf(client),
      ...more,
    })
  const tokensOf = async (options: ServerOptions, client: { client_id: string; client_secret?: string }) =>
    redeem(options, client, await codeOf(options, client))
  const refresh = (options: ServerOptions, client: { client_id: string; client_secret?: string }, refresh_token = '') =>
    post(createTokenResponse, options, { grant_type: 'refresh_token', refresh_token, ...secretOf(client) })

  // What has expired comes first, so that the clock only goes forward.
  at(start - 20 * day)
  const expiredRefresh = await tokensOf(opaque, lasting)
  at(start - 120)
  const expiredCode = await codeOf(opaque, web)

  at(start)
  const codeLive = await codeOf(opaque, web, { extra: { tenant: 'a' } })
  const codeBurnt = await codeOf(opaque, web)
  await redeem(opaque, web, codeBurnt, { code_verifier: 'w'.repeat(43) })
  const codeUsed = await codeOf(opaque, web)
  const used = await redeem(opaque, web, codeUsed)
  const live = await tokensOf(opaque, web)
  const public_ = await tokensOf(opaque, native)
  const retriedFirst = await tokensOf(opaque, web)
  const retried = await refresh(opaque, web, retriedFirst.refresh_token)
  const rotatedFirst = await tokensOf(opaque, native)
  const rotated = await refresh(opaque, native, (await refresh(opaque, native, rotatedFirst.refresh_token)).refresh_token)
  const revoked = await tokensOf(opaque, web)
  await post(createRevocationResponse, opaque, { token: revoked.refresh_token ?? '', ...secretOf(web) })
  const machineToken = await post(createTokenResponse, opaque, { grant_type: 'client_credentials', ...secretOf(machine) })
  const machineRevoked = await post(createTokenResponse, opaque, { grant_type: 'client_credentials', ...secretOf(machine) })
  await post(createRevocationResponse, opaque, { token: machineRevoked.access_token ?? '', ...secretOf(machine) })
  await post(createTokenResponse, opaque, { grant_type: 'urn:example:ticket', ticket: 'the ticket', ...secretOf(web) })

  const jwtLive = await tokensOf(jwt, web)
  const jwtRetriedFirst = await tokensOf(jwt, web)
  const jwtRetried = await refresh(jwt, web, jwtRetriedFirst.refresh_token)
  const jwtOneRevoked = await tokensOf(jwt, web)
  await post(createRevocationResponse, jwt, { token: jwtOneRevoked.access_token ?? '', ...secretOf(web) })
  const jwtMachineRevoked = await post(createTokenResponse, jwt, { grant_type: 'client_credentials', ...secretOf(machine) })
  await post(createRevocationResponse, jwt, { token: jwtMachineRevoked.access_token ?? '', ...secretOf(machine) })
  const macLive = await tokensOf(mac, web)
  const customLive = await tokensOf(custom, web)
  const customRetriedFirst = await tokensOf(custom, web)
  const customRetried = await refresh(custom, web, customRetriedFirst.refresh_token)

  // Clients in the store
  const saved = { client_id: 'saved', client_secret: 'saved-secret-0123456789abcdef', grant_types: ['client_credentials'] }
  await saveClient(stored, {
    client_id: 'saved',
    secrets: [{ hash: await hashClientSecret('saved-secret-0123456789abcdef', { generated: true }) }],
    grant_types: ['client_credentials'],
  })
  await saveClient(stored, { client_id: 'chosen', client_secret: 'a secret that a person chose', grant_types: ['client_credentials'] })
  await saveClient(stored, { client_id: 'disabled', client_secret: 'disabled-secret', grant_types: ['client_credentials'], disabled: true })
  await saveClient(stored, { client_id: 'deleted', client_secret: 'deleted-secret', grant_types: ['client_credentials'] })
  await deleteClient(stored, 'deleted')
  const registered = await registerClient(stored, { grant_types: ['authorization_code', 'refresh_token'], redirect_uris: [redirect_uri] })
  const site = await openSite(stored)
  const selfRegistered = await site.register({
    redirect_uris: [loopback],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    client_name: 'Self',
  })
  const unused = await site.register({ redirect_uris: [redirect_uri], token_endpoint_auth_method: 'client_secret_post' })

  // Documents, and what was agreed to
  const documentCode = await site.agree({ client_id: documentId, redirect_uri: loopback })
  const documentTokens = await redeem(stored, { client_id: documentId }, documentCode, { redirect_uri: loopback })
  await site.visit({ client_id: visitedDocumentId, redirect_uri: loopback })
  const selfCode = await site.agree({ client_id: selfRegistered.client_id ?? '', redirect_uri: loopback })
  const selfTokens = await redeem(stored, { client_id: selfRegistered.client_id ?? '' }, selfCode, { redirect_uri: loopback })
  const registeredTokens = await redeem(stored, registered, await codeOf(stored, registered))

  // Pushed requests
  const push = () =>
    site.push({
      ...secretOf(registered),
      redirect_uri,
      response_type: 'code',
      scope: 'read',
      code_challenge,
      code_challenge_method: 'S256',
    })
  const pushed = await push()
  const opened = await push()
  const { cookie } = await site.visit({ client_id: registered.client_id, request_uri: opened })
  const decided = await push()
  await site.agree({ client_id: registered.client_id, request_uri: decided })
  site.close()

  // OAuth 1
  const client = { client_id: 'dpf43f3p2l4k3l03', client_secret: 'kd94hf93k423kf44' }
  const tokenIn = (body: string) => Object.fromEntries(new URLSearchParams(body)) as { oauth_token: string; oauth_token_secret: string }
  const initiate = async () =>
    tokenIn(
      (
        await createTemporaryCredentialsResponse(
          oauth1,
          signed('https://as.example/oauth/initiate', client, { oauth_callback: 'https://client.example/ready' }, now),
        )
      ).body,
    )
  const authorized = async () => {
    const token = await initiate()
    const { oauth_verifier } = await authorizeTemporaryCredentials(oauth1, { oauth_token: token.oauth_token, subject: 'alice' })
    return { token, oauth_verifier }
  }
  const exchange = async () => {
    const { token, oauth_verifier } = await authorized()
    const answer = await createAccessTokenResponse(
      oauth1,
      signed('https://as.example/oauth/token', { ...client, token }, { oauth_verifier }, now),
    )
    return { exchanged: { token, oauth_verifier }, token: tokenIn(answer.body) }
  }
  const temporary = await initiate()
  const verified = await authorized()
  const { exchanged, token: credentials } = await exchange()
  const { token: revokedCredentials } = await exchange()
  await revokeTokenCredentials(oauth1, revokedCredentials.oauth_token)

  return {
    expiredRefresh, expiredCode, codeLive, codeBurnt, codeUsed, used, live, public: public_, retriedFirst, retried, rotatedFirst, rotated, revoked,
    machineToken, machineRevoked, jwtLive, jwtRetriedFirst, jwtRetried, jwtOneRevoked, jwtMachineRevoked, macLive, customLive, customRetriedFirst, customRetried,
    saved, registered, selfRegistered, unused, documentTokens, selfTokens, registeredTokens, pushed, opened, cookie, decided,
    oauth1: { temporary, verified, exchanged, credentials, revokedCredentials },
  } // prettier-ignore
}

/** The whole server over HTTP, and a browser that visits it. */
async function openSite(options: ServerOptions) {
  const server = createServer(authorizationServer(options, { authorize: () => ({ subject: 'alice' }), registration: true }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  async function send(method: string, path: string, headers: Fields = {}, body = ''): Promise<{ res: IncomingMessage; text: string }> {
    const req = request({
      port,
      host: '127.0.0.1',
      method,
      path,
      agent: false,
      headers: { host: 'as.example', 'x-forwarded-proto': 'https', 'sec-fetch-site': 'same-origin', ...headers },
    })
    req.end(body)
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of res) text += String(chunk)
    return { res, text }
  }
  const path = (parameters: Fields) =>
    `/oauth2/authorize?${new URLSearchParams({ response_type: 'code', scope: 'read', code_challenge, code_challenge_method: 'S256', ...parameters }).toString()}`
  async function visit(parameters: Fields) {
    const { res, text } = await send('GET', path(parameters))
    return { cookie: (res.headers['set-cookie'] ?? [''])[0]?.split(';')[0] ?? '', text }
  }
  return {
    visit,
    async register(metadata: object) {
      return JSON.parse(
        (await send('POST', '/oauth2/register', { 'content-type': 'application/json' }, JSON.stringify(metadata))).text,
      ) as Members
    },
    async push(form: Fields) {
      return (
        (
          JSON.parse(
            (await send('POST', '/oauth2/par', { 'content-type': formType }, new URLSearchParams(form).toString())).text,
          ) as Members
        ).request_uri ?? ''
      )
    },
    async agree(parameters: Fields) {
      const { cookie, text } = await visit(parameters)
      const fields = Object.fromEntries(
        [...text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)].map(([, name = '', value = '']) => [name, value]),
      )
      const { res } = await send(
        'POST',
        path(parameters),
        { cookie, 'content-type': formType },
        new URLSearchParams({ ...fields, decision: 'allow' }).toString(),
      )
      return new URL(res.headers.location ?? '').searchParams.get('code') ?? ''
    },
    close: () => server.close(),
  }
}

const folder = process.argv[2]
if (folder === undefined) throw new Error('say where to write: npx tsx test/upgrade/write-records.ts FOLDER')
mkdirSync(folder, { recursive: true })

function keep(name: string, credentials: unknown, content: unknown): void {
  writeFileSync(join(folder ?? '', `${name}.json`), `${JSON.stringify({ start, credentials, content }, undefined, 1)}\n`)
}

{
  let now = start
  const inner = memoryStore({ clock: () => now })
  const ids = new Set<string>()
  const store: Store = {
    get: (id) => inner.get(id),
    create: (record) => (ids.add(record.id), inner.create(record)),
    replace: (record, version) => inner.replace(record, version),
    list: (filter) => inner.list(filter),
  }
  const credentials = await write(store, (instant) => (now = instant))
  const records = await Promise.all([...ids].map(async (id) => store.get(id)))
  keep(
    'memory',
    credentials,
    records.filter((record) => record !== undefined),
  )
}
{
  const database = new Libsql(':memory:')
  const store = sqliteStore(database)
  await store.createTables()
  const credentials = await write(store, () => undefined)
  keep('sqlite', credentials, database.prepare('SELECT * FROM oauth2_records ORDER BY id').all())
  store.close()
}
{
  const pool = new Pool({ connectionString: process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/test' })
  const schema = `upgrade_${process.pid}`
  await pool.query(`CREATE SCHEMA ${schema}`)
  const store = postgresStore(pool, { table: `${schema}.records` })
  await store.createTables()
  const credentials = await write(store, () => undefined)
  const { rows } = await pool.query(
    `SELECT id, version, kind, client_id, subject, expires_at, document::text AS document FROM ${schema}.records ORDER BY id`,
  )
  keep('postgres', credentials, rows)
  store.close()
  await pool.query(`DROP SCHEMA ${schema} CASCADE`)
  await pool.end()
}
{
  const client = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379')
  const prefix = `upgrade_${process.pid}:`
  const store = redisStore({ sendCommand: ([command, ...args]) => client.call(command, ...args), prefix })
  const credentials = await write(store, () => undefined)
  const keys = (await client.keys(`${prefix}*`)).sort()
  const content = []
  for (const key of keys) {
    const expiresAt = await client.expiretime(key)
    const isRecord = key.startsWith(`${prefix}record:`)
    const value = isRecord ? await client.get(key) : await client.call('ZRANGE', key, '0', '-1', 'WITHSCORES')
    content.push({ key: key.slice(prefix.length), expiresAt, value })
  }
  keep('redis', credentials, content)
  await client.del(...keys)
  await client.quit()
}

/**
 * Records that version 0.1.0 wrote, in each of the four stores and in every state, are read by this version as they were meant.
 *
 * `write-records.ts` wrote them. A test may change what it reads, so each starts from the fixtures anew.
 */
import { describe, expect, it } from '@jest/globals'
import { once } from 'node:events'
import { createServer, request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readFileSync } from 'node:fs'
import {
  authorizationServer,
  createIntrospectionResponse,
  createRevocationResponse,
  createTokenResponse,
  findClient,
  listAuthorizations,
  macHeader,
  memoryStore,
  requireAccessToken,
  revokeAuthorizations,
  type ServerOptions,
  type Store,
  type StoredRecord,
} from 'oauth2-token-handler'
import { createAccessTokenResponse, findTemporaryCredentials, requireOAuth1 } from 'oauth2-token-handler/oauth1'
import { describeWith, openPostgres, openRedis, openSqlite } from '../support/services.js'
import {
  code_challenge,
  code_verifier,
  documentId,
  inspector,
  loopback,
  native,
  redirect_uri,
  serversOver,
  start,
  visitedDocumentId,
  web,
  lasting,
} from './scenario.js'
import { signed } from './sign.js'

type Members = Readonly<Record<string, string>>
interface Fixture<C> {
  readonly credentials: Readonly<Record<string, Members>> & {
    readonly codeLive: string
    readonly codeBurnt: string
    readonly codeUsed: string
    readonly expiredCode: string
    readonly pushed: string
    readonly opened: string
    readonly decided: string
    readonly cookie: string
    readonly oauth1: Readonly<Record<'temporary' | 'credentials' | 'revokedCredentials', Token>> &
      Readonly<Record<'verified' | 'exchanged', { readonly token: Token; readonly oauth_verifier: string }>>
  }
  readonly content: C
}
interface Token {
  readonly oauth_token: string
  readonly oauth_token_secret: string
}

function fixture<C>(name: string): Fixture<C> {
  return JSON.parse(readFileSync(new URL(`0.1.0/${name}.json`, import.meta.url), 'utf8')) as Fixture<C>
}

interface Opened {
  readonly store: Store
  readonly credentials: Fixture<unknown>['credentials']
  close(): Promise<void>
}

async function openMemory(): Promise<Opened> {
  const { credentials, content } = fixture<readonly StoredRecord[]>('memory')
  const store = memoryStore({ clock: () => start })
  for (const record of content) await store.create(record)
  return { store, credentials, close: () => Promise.resolve() }
}

type Row = Readonly<Record<'id' | 'version' | 'kind' | 'client_id' | 'subject' | 'expires_at' | 'document', string | number | null>>
const columns = ['id', 'version', 'kind', 'client_id', 'subject', 'expires_at', 'document'] as const

async function openedSqlite(): Promise<Opened> {
  const { credentials, content } = fixture<readonly Row[]>('sqlite')
  const place = await openSqlite()
  const insert = place.database.prepare(`INSERT INTO oauth2_records (${columns.join(', ')}) VALUES (?, ?, ?, ?, ?, ?, ?)`)
  for (const row of content) insert.run(...columns.map((name) => row[name]))
  return { store: place.store, credentials, close: () => place.close() }
}

async function openedPostgres(): Promise<Opened> {
  const { credentials, content } = fixture<readonly Row[]>('postgres')
  const place = await openPostgres()
  for (const row of content)
    await place.pool.query(`INSERT INTO ${place.table} (${columns.join(', ')}) VALUES ($1, $2, $3, $4, $5, $6, $7)`, columns.map((name) => row[name])) // prettier-ignore
  return { store: place.store, credentials, close: () => place.close() }
}

interface Key {
  readonly key: string
  readonly expiresAt: number
  readonly value: string | readonly string[]
}

async function openedRedis(): Promise<Opened> {
  const { credentials, content } = fixture<readonly Key[]>('redis')
  const place = await openRedis()
  for (const { key, expiresAt, value } of content) {
    const name = `${place.prefix}${key}`
    if (typeof value === 'string') {
      await place.sendCommand(['SET', name, value, 'EXAT', String(expiresAt)], name)
      continue
    }
    for (let at = 0; at < value.length; at += 2) await place.sendCommand(['ZADD', name, value[at + 1] ?? '', value[at] ?? ''], name)
    await place.sendCommand(['EXPIREAT', name, String(expiresAt)], name)
  }
  return { store: place.store, credentials, close: () => place.close() }
}

readsWhatWasWritten(describe, 'memory', openMemory)
readsWhatWasWritten(describe, 'SQLite', openedSqlite)
readsWhatWasWritten(describeWith('PostgreSQL'), 'PostgreSQL', openedPostgres)
readsWhatWasWritten(describeWith('Redis'), 'Redis', openedRedis)

const formType = 'application/x-www-form-urlencoded'

async function post(endpoint: typeof createTokenResponse, options: ServerOptions, form: Members) {
  const request = {
    url: 'https://as.example/',
    method: 'POST',
    headers: { 'content-type': formType },
    body: new URLSearchParams(form).toString(),
  }
  const { status, body } = await endpoint(options, request)
  return { status, json: (body === '' ? {} : JSON.parse(body)) as Partial<Record<string, unknown>> }
}

function secretOf({
  client_id = '',
  client_secret,
}: {
  readonly client_id?: string | undefined
  readonly client_secret?: string | undefined
}): Members {
  return client_secret === undefined ? { client_id } : { client_id, client_secret }
}

/** What the record of the ended authorization, or whatever went before, may not give back. */
const invalidGrant = { status: 400, json: { error: 'invalid_grant' } }

function readsWhatWasWritten(declare: typeof describe | typeof describe.skip, name: string, open: () => Promise<Opened>): void {
  declare(`records of 0.1.0 in ${name}`, () => {
    async function withServers(work: (servers: ReturnType<typeof serversOver>, credentials: Opened['credentials']) => Promise<void>) {
      const opened = await open()
      try {
        await work(
          serversOver(opened.store, () => start),
          opened.credentials,
        )
      } finally {
        await opened.close()
      }
    }
    type Client = Parameters<typeof secretOf>[0]
    const redeem = (options: ServerOptions, client: Client, code: string) => post(createTokenResponse, options, { grant_type: 'authorization_code', code, redirect_uri, code_verifier, ...secretOf(client) }) // prettier-ignore
    const refresh = (options: ServerOptions, client: Client, { refresh_token = '' }: Members = {}) => post(createTokenResponse, options, { grant_type: 'refresh_token', refresh_token, ...secretOf(client) }) // prettier-ignore
    const isActive = async (options: ServerOptions, { access_token = '' }: Members = {}) => (await post(createIntrospectionResponse, options, { token: access_token, ...secretOf(inspector) })).json.active // prettier-ignore

    it('SECURITY I1 I3 codes: live, used, burnt, expired', async () => {
      await withServers(async ({ opaque }, credentials) => {
        expect(await redeem(opaque, web, credentials.codeLive)).toMatchObject({ status: 200, json: { scope: 'read write' } })
        expect(await redeem(opaque, web, credentials.codeBurnt)).toMatchObject(invalidGrant)
        expect(await redeem(opaque, web, credentials.expiredCode)).toMatchObject(invalidGrant)
        expect(await isActive(opaque, credentials.used)).toBe(true)
        // A second use that proves possession revokes what the first one got.
        expect(await redeem(opaque, web, credentials.codeUsed)).toMatchObject(invalidGrant)
        expect(await isActive(opaque, credentials.used)).toBe(false)
        expect(await refresh(opaque, web, credentials.used)).toMatchObject(invalidGrant)
      })
    })

    it('SECURITY I2 refresh tokens: live, public, retried, reused, revoked, expired', async () => {
      await withServers(async ({ opaque }, credentials) => {
        expect(await refresh(opaque, web, credentials.live)).toMatchObject({ status: 200 })
        expect(await refresh(opaque, native, credentials.public)).toMatchObject({ status: 200 })
        const { access_token, refresh_token } = credentials.retried ?? {}
        expect(await refresh(opaque, web, credentials.retriedFirst)).toMatchObject({ status: 200, json: { access_token, refresh_token } })
        expect(await refresh(opaque, native, credentials.rotatedFirst)).toMatchObject(invalidGrant)
        expect(await refresh(opaque, native, credentials.rotated)).toMatchObject(invalidGrant)
        expect(await isActive(opaque, credentials.rotated)).toBe(false)
        expect(await refresh(opaque, web, credentials.revoked)).toMatchObject(invalidGrant)
        expect(await isActive(opaque, credentials.revoked)).toBe(false)
        expect(await refresh(opaque, lasting, credentials.expiredRefresh)).toMatchObject(invalidGrant)
        expect(await isActive(opaque, credentials.expiredRefresh)).toBe(true)
      })
    })

    it('SECURITY I1 I3 tokens of clients, and one-time values', async () => {
      await withServers(async ({ opaque, signed: jwt }, credentials) => {
        expect(await isActive(opaque, credentials.machineToken)).toBe(true)
        expect(await isActive(opaque, credentials.machineRevoked)).toBe(false)
        expect(await isActive(jwt, credentials.jwtMachineRevoked)).toBe(false)
        const ticket = (text: string) =>
          post(createTokenResponse, opaque, { grant_type: 'urn:example:ticket', ticket: text, ...secretOf(web) })
        expect(await ticket('the ticket')).toMatchObject(invalidGrant)
        expect(await ticket('another ticket')).toMatchObject({ status: 200 })
      })
    })

    it('X14 X15 self-contained tokens: live, retried, revoked one by one', async () => {
      await withServers(async ({ signed: jwt }, credentials) => {
        expect(await isActive(jwt, credentials.jwtLive)).toBe(true)
        expect(await isActive(jwt, credentials.jwtOneRevoked)).toBe(false)
        expect(await refresh(jwt, web, credentials.jwtOneRevoked)).toMatchObject({ status: 200 })
        expect(await isActive(jwt, credentials.jwtOneRevoked)).toBe(false)
        const { access_token, refresh_token } = credentials.jwtRetried ?? {}
        expect(await refresh(jwt, web, credentials.jwtRetriedFirst)).toMatchObject({ status: 200, json: { access_token, refresh_token } })
        // What 0.1.0 sealed for the retry does not name its access token: revoked, it must not be given again.
        await post(createRevocationResponse, jwt, { token: access_token ?? '', ...secretOf(web) })
        const { json } = await refresh(jwt, web, credentials.jwtRetriedFirst)
        expect(json.access_token).not.toBe(access_token)
      })
    })

    it('Y2 F5 F6 MAC tokens and texts of the application', async () => {
      await withServers(async ({ mac, custom }, credentials) => {
        const { access_token: id = '', mac_key: key = '' } = credentials.macLive ?? {}
        const status = await listening(mac, async (url) => {
          const headers = macHeader({ id, key, method: 'GET', url: 'https://as.example/', ts: start })
          return (await fetch(url, { headers: { ...headers, 'x-forwarded-proto': 'https' } })).status
        })
        expect(status).toBe(200)
        expect(await isActive(custom, credentials.customLive)).toBe(true)
        expect(await refresh(custom, web, credentials.customLive)).toMatchObject({ status: 200 })
        const { access_token, refresh_token } = credentials.customRetried ?? {}
        expect(await refresh(custom, web, credentials.customRetriedFirst)).toMatchObject({
          status: 200,
          json: { access_token, refresh_token },
        })
      })
    })

    it('N6 Authorizations are listed and ended', async () => {
      await withServers(async ({ opaque }, credentials) => {
        const listed: string[] = []
        for await (const { id, extra } of listAuthorizations(opaque, { subject: 'alice' })) {
          listed.push(id)
          if (id === credentials.codeLive.slice(0, 22)) expect(extra).toEqual({ tenant: 'a' })
        }
        expect(listed).toContain(credentials.live?.access_token?.slice(0, 22))
        expect(listed).not.toContain(credentials.revoked?.access_token?.slice(0, 22))
        expect(await revokeAuthorizations(opaque, { subject: 'alice' })).toBe(listed.length)
        expect(await isActive(opaque, credentials.live)).toBe(false)
      })
    })

    it('SW1 M9 clients: saved, registered, registered by themselves, disabled, deleted', async () => {
      await withServers(async ({ stored }, credentials) => {
        const clientCredentials = (client: Client) =>
          post(createTokenResponse, stored, { grant_type: 'client_credentials', ...secretOf(client) })
        expect(await clientCredentials(credentials.saved ?? {})).toMatchObject({ status: 200 })
        expect(await clientCredentials({ client_id: 'chosen', client_secret: 'a secret that a person chose' })).toMatchObject({
          status: 200,
        })
        expect(await clientCredentials({ client_id: 'disabled', client_secret: 'disabled-secret' })).toMatchObject({ status: 401 })
        expect(await clientCredentials({ client_id: 'deleted', client_secret: 'deleted-secret' })).toMatchObject({ status: 401 })
        expect(await findClient(stored, 'deleted')).toBeUndefined()
        expect(await refresh(stored, credentials.registered ?? {}, credentials.registeredTokens)).toMatchObject({ status: 200 })
        expect(await refresh(stored, { client_id: credentials.selfRegistered?.client_id }, credentials.selfTokens)).toMatchObject({
          status: 200,
        })
        expect(await redeem(stored, credentials.unused ?? {}, 'x')).toMatchObject(invalidGrant)
      })
    })

    it('M10 U28 documents: agreed to, and only visited', async () => {
      await withServers(async ({ stored }, credentials) => {
        expect(await refresh(stored, { client_id: documentId }, credentials.documentTokens)).toMatchObject({ status: 200 })
        await visiting(stored, async (visit) => {
          expect((await visit({ client_id: visitedDocumentId, redirect_uri: loopback })).text).toContain('127.0.0.1')
        })
      })
    })

    it('M11 pushed requests: waiting, open in a browser, used', async () => {
      await withServers(async ({ stored }, credentials) => {
        await visiting(stored, async (visit) => {
          const { client_id = '' } = credentials.registered ?? {}
          const pushed = (request_uri: string) => ({ client_id, request_uri })
          expect((await visit(pushed(credentials.pushed))).status).toBe(200)
          expect((await visit(pushed(credentials.opened), credentials.cookie)).status).toBe(200)
          expect((await visit(pushed(credentials.opened))).status).toBe(400)
          expect((await visit(pushed(credentials.decided))).status).toBe(400)
        })
      })
    })

    it('O9 O10 OAuth 1: temporary credentials and token credentials', async () => {
      await withServers(async ({ oauth1 }, credentials) => {
        const client = { client_id: 'dpf43f3p2l4k3l03', client_secret: 'kd94hf93k423kf44' }
        const { temporary, verified, exchanged, credentials: token, revokedCredentials } = credentials.oauth1
        const exchange = ({ token: presented, oauth_verifier }: typeof verified) =>
          createAccessTokenResponse(
            oauth1,
            signed('https://as.example/oauth/token', { ...client, token: presented }, { oauth_verifier }, start),
          )
        expect(await findTemporaryCredentials(oauth1, temporary.oauth_token)).toMatchObject({ client_id: client.client_id })
        expect(await exchange(verified)).toMatchObject({ status: 200 })
        expect(await exchange(verified)).toMatchObject({ status: 401 })
        expect(await exchange(exchanged)).toMatchObject({ status: 401 })
        const guard = requireOAuth1({ ...oauth1, trustProxy: () => true })
        const server = createServer((req, res) => {
          guard(req, res, () => res.end('in'))
        })
        await serving(server, async (url) => {
          const { port } = new URL(url)
          const ask = async (presented: Token) => {
            const { headers } = signed(`https://127.0.0.1:${port}/`, { ...client, token: presented }, {}, start)
            return (await fetch(url, { method: 'POST', headers: { ...headers, 'x-forwarded-proto': 'https' } })).status
          }
          expect(await ask(token)).toBe(200)
          expect(await ask(revokedCredentials)).toBe(401)
        })
      })
    })
  })
}

async function serving<T>(server: ReturnType<typeof createServer>, work: (url: string) => Promise<T>): Promise<T> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** Something behind the guard. */
function listening<T>(options: ServerOptions, work: (url: string) => Promise<T>): Promise<T> {
  const guard = requireAccessToken({ ...options, trustProxy: () => false })
  return serving(createServer((req, res) => guard(req, res, () => res.end('in'))), work) // prettier-ignore
}

type Visit = (parameters: Members, cookie?: string) => Promise<{ readonly status: number; readonly text: string }>

/** The authorization endpoint, for whom `alice` is logged in. */
function visiting(options: ServerOptions, work: (visit: Visit) => Promise<void>): Promise<void> {
  const server = createServer(authorizationServer(options, { authorize: () => ({ subject: 'alice' }), registration: true }))
  return serving(server, async (url) => {
    await work(async (parameters, cookie) => {
      const query = new URLSearchParams({
        response_type: 'code',
        scope: 'read',
        code_challenge,
        code_challenge_method: 'S256',
        ...parameters,
      }).toString()
      const headers = { host: 'as.example', 'x-forwarded-proto': 'https', ...(cookie === undefined ? {} : { cookie }) }
      const req = request(`${url}oauth2/authorize?${query}`, { headers, agent: false })
      req.end()
      const [res] = (await once(req, 'response')) as [IncomingMessage]
      let text = ''
      for await (const chunk of res) text += String(chunk)
      return { status: res.statusCode ?? 0, text }
    })
  })
}

/** Mistakes that show only when a request comes: what the application returns, and how it mounts what it has made. */
import express from 'express'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { generateKeyPairSync } from 'node:crypto'
import {
  authorizationServer,
  clientCredentials,
  createTokenResponse,
  jwt,
  metadataHandler,
  requireAccessToken,
  tokenHandler,
  type ServerEvent,
  type ServerOptions,
} from '../../src/index.js'
import { basic, formRequest, machine } from '../support/server.js'
import { authorizePath } from '../server/site.js'
import { mistakes, type Mistake, type Place } from './mistake.js'

const wrong = (value: unknown) => value as never

/** One request to an application over plain http, as a proxy that ends TLS sends it. */
async function ask(app: express.Express, path: string, init: RequestInit = {}): Promise<void> {
  app.set('trust proxy', true)
  app.set('env', 'test')
  const server = createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const headers = { 'x-forwarded-proto': 'https', ...(init.headers as Record<string, string> | undefined) }
  await fetch(`http://127.0.0.1:${port}${path}`, { redirect: 'manual', ...init, headers }).then(
    (response) => response.text(),
    () => '',
  )
  server.close()
  server.closeAllConnections()
}

function mounted(mount: (app: express.Express) => void): express.Express {
  const app = express()
  mount(app)
  return app
}

const form = 'grant_type=client_credentials'
const formType = 'application/x-www-form-urlencoded'
const post = { method: 'POST', body: form, headers: { ...basic(machine), 'content-type': formType } }

/** What `authorize` returned, or did. */
function decided(what: string, names: string, decide: (...values: unknown[]) => unknown): readonly [string, string, Mistake['make']] {
  const make = async ({ oauth }: Place) => {
    const server = authorizationServer(oauth(), { authorize: wrong(decide) })
    await ask(mounted((app) => app.use(server)), authorizePath()) // prettier-ignore
  }
  return [`authorize ${what}`, names, make]
}

/** An `authorize` that leaves the browser without an answer. The browser goes away as soon as an event has said so. */
function unanswered(what: string, names: string, decide: () => unknown): readonly [string, string, Mistake['make']] {
  const make = async ({ oauth, onEvent }: Place) => {
    const browser = new AbortController()
    const heard = (event: ServerEvent) => {
      onEvent(event)
      browser.abort()
    }
    const server = authorizationServer(oauth({ callbackTimeout: 20, onEvent: heard }), { authorize: wrong(decide) })
    await ask(mounted((app) => app.use(server)), authorizePath(), { signal: browser.signal }) // prettier-ignore
  }
  return [`authorize ${what}`, names, make]
}

/** What a function of the options answered when a machine asked for a token. */
function asked(names: string, what: string, options: ServerOptions | object, more = ''): readonly [string, string, Mistake['make']] {
  return [what, names, async ({ oauth }) => createTokenResponse(oauth(options), formRequest(form + more, basic(machine)))]
}

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

export const runningMistakes: readonly Mistake[] = mistakes('at run time', [
  decided('returns a numeric id', 'subject', () => ({ subject: 42 })),
  decided('returns a text', 'subject', () => 'alice'),
  decided('returns true', 'subject', () => true),
  decided('returns null', 'authorize', () => null),
  decided('returns the user', 'subject', () => ({ user: { id: 42 } })),
  decided('returns nobody', 'subject', () => ({ subject: null })),
  decided('returns an empty subject', 'subject', () => ({ subject: '' })),
  decided('returns a promise of a subject', 'subject', () => ({ subject: Promise.resolve('alice') })),
  decided('returns an ObjectId', 'subject', () => ({ subject: { toString: () => '65' } })),
  decided('returns more scope', 'scope', () => ({ subject: 'alice', scope: 'admin' })),
  decided('returns a number for a scope', 'scope', () => ({ subject: 'alice', scope: 5 })),
  decided('returns scopes', 'scope', () => ({ subject: 'alice', scopes: [] })),
  decided('returns extra that is no JSON', 'extra', () => ({ subject: 'alice', extra: 'premium' })),
  decided('returns extra with a loop', 'extra', () => {
    const extra: Record<string, unknown> = {}
    extra.self = extra
    return { subject: 'alice', extra }
  }),
  unanswered('never answers', 'authorize', () => new Promise(() => undefined)),
  unanswered('forgets to answer', 'authorize', () => undefined),
  decided('throws, because there is no session', 'authorize threw a TypeError', (_request, req) => ({ subject: (req as { session: { user: string } }).session.user })),
  asked('checkScope', 'checkScope answers more', { checkScope: () => ['read', 'write', 'admin'] }),
  asked('checkScope', 'checkScope answers true', { checkScope: () => true }),
  asked('authorize', 'the option authorize answers a subject', { authorize: () => ({ subject: 'alice' }) }),
  asked('authorize', 'the option authorize answers a text', { authorize: () => 'read' }),
  asked('the option beforeGrant threw an Error', 'beforeGrant throws an error of its own', {
    beforeGrant: () => {
      throw new Error('blocked')
    },
  }),
  asked('responseParameters', 'responseParameters answers a member of the protocol', { responseParameters: () => ({ access_token: 'x' }) }),
  asked('responseParameters', 'responseParameters answers a text', { responseParameters: () => 'tenant' }),
  asked('accessTokens', 'accessTokens answers a number', { accessTokens: () => 42 }),
  asked('accessTokens', 'accessTokens answers an empty text', { accessTokens: () => '' }),
  asked('accessTokens', 'accessTokens answers a text with a space', { accessTokens: () => 'my token' }),
  asked('accessTokenLifetime', 'accessTokenLifetime answers a text', { accessTokenLifetime: () => '1h' }),
  asked('sub', 'claims sets sub', { accessTokens: jwt({ key, claims: () => ({ sub: 'alice' }) }) }),
  asked('claims', 'claims answers nothing', { accessTokens: jwt({ key, claims: wrong(() => undefined) }) }),
  asked('clients', 'clients finds another client', { clients: () => ({ ...machine, client_id: 'other' }) }),
  asked('client_secret', 'clients finds a row without a secret', {
    clients: () => ({ client_id: 'machine', grant_types: ['client_credentials'] }),
  }),
  asked('clients', 'clients throws', {
    clients: () => {
      throw new Error('no connection')
    },
  }),
  asked('the client', 'clients finds an empty list', { clients: () => [] }),
  asked('subject', 'a grant authorises a numeric id', { grants: [{ type: 'client_credentials', authorize: () => ({ subject: 42 }) }] }),
  asked('grant', 'a grant returns nothing', { grants: [{ ...clientCredentials(), authorize: () => undefined }] }),
  asked('available', 'available answers false', { available: () => false }),
  asked('store', 'the store fails', {
    store: {
      get: () => Promise.reject(new Error('down')),
      create: () => Promise.reject(new Error('down')),
      replace: () => Promise.reject(new Error('down')),
      list: () => [],
    },
  }),
  ['plain http', 'allowInsecureTransport', ({ oauth }) =>
    ask(mounted((app) => app.post('/oauth2/token', tokenHandler(oauth()))), '/oauth2/token', { ...post, headers: { ...post.headers, 'x-forwarded-proto': 'http' } })],
  ['a body that was read before', 'req.body', ({ oauth }) =>
    ask(mounted((app) => {
      app.use((req, _res, next) => void req.resume().on('end', () => { next() }))
      app.post('/oauth2/token', tokenHandler(oauth()))
    }), '/oauth2/token', post)],
  ['a handler that was not called', 'tokenHandler', async ({ wire }) => {
    const app = mounted((made) => made.post('/oauth2/token', tokenHandler as never))
    app.use(((error: Error, _req: unknown, res: express.Response, _next: unknown) => {
      wire(error.message)
      res.status(500).end()
    }) as express.ErrorRequestHandler)
    await ask(app, '/oauth2/token', post)
  }],
  ['a guard that was not called', 'requireAccessToken', async ({ wire }) => {
    const app = mounted((made) => made.get('/notes', requireAccessToken as never))
    app.use(((error: Error, _req: unknown, res: express.Response, _next: unknown) => {
      wire(error.message)
      res.status(500).end()
    }) as express.ErrorRequestHandler)
    await ask(app, '/notes')
  }],
  ['a guard before the token endpoint', 'requireAccessToken', ({ oauth }) => {
    const options = oauth()
    return ask(mounted((app) => app.use(requireAccessToken(options)).post('/oauth2/token', tokenHandler(options))), '/oauth2/token', post)
  }],
  ['the server under a path of its own', 'authorizationServer', ({ oauth }) =>
    ask(mounted((app) => app.use('/auth', authorizationServer(oauth(), { authorize: () => ({ subject: 'alice' }) }))), '/auth/oauth2/token', post)],
  ['the server under the path of its issuer', 'authorizationServer', ({ oauth }) =>
    ask(mounted((app) => app.use('/auth', authorizationServer(oauth({ issuer: 'https://auth.example/auth' }), { authorize: () => ({ subject: 'alice' }) }))), '/auth/oauth2/token', post)],
  ['another object of options for the guard', 'requireAccessToken', ({ oauth }) =>
    ask(mounted((app) => {
      app.post('/oauth2/token', tokenHandler(oauth()))
      app.get('/notes', requireAccessToken(oauth()))
    }), '/notes', { headers: { authorization: 'Bearer x' } })],
  ['a guard with cors on a route for GET', 'requireAccessToken', ({ oauth }) =>
    ask(mounted((app) => app.get('/notes', requireAccessToken(oauth({ cors: { origins: ['https://app.example'] } })))), '/notes', { headers: { origin: 'https://app.example' } })],
  ['an issuer of another host', 'issuer', ({ oauth }) =>
    ask(mounted((app) => app.use(metadataHandler(oauth()))), '/.well-known/oauth-authorization-server')],
  ['clients that are added after the start', 'clients', async ({ oauth }) => {
    const options = oauth({ clients: [] }) as { -readonly [Name in keyof ServerOptions]: ServerOptions[Name] }
    const handler = tokenHandler(options)
    options.clients = [machine]
    await ask(mounted((app) => app.post('/oauth2/token', handler)), '/oauth2/token', post)
  }],
  ['a scope of a request that is none', 'scopes', async ({ oauth }) => {
    const guard = requireAccessToken(oauth(), { scope: () => 'raed' })
    await ask(mounted((app) => app.get('/notes', guard)), '/notes', { headers: { authorization: 'Bearer x' } })
    await wait(1)
  }],
]) // prettier-ignore

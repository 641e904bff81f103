/**
 * The server that the real clients talk to: over https with a certificate of its own, with a consent that alice has always given
 * already, the token endpoint, revocation, introspection, and a protected route.
 */
import express from 'express'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { generate } from 'selfsigned'
import {
  introspectionHandler,
  issueAuthorizationCode,
  OAuthError,
  requireAccessToken,
  revocationHandler,
  tokenHandler,
  type AuthInfo,
  type ClientMetadata,
  type ServerOptions,
} from '../../src/index.js'

type Fetch = (url: string | URL, init?: FetchOptions) => Promise<Response>

/** What the clients hand to a fetch of their own; an absent body may be undefined. */
interface FetchOptions {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: { toString(): string } | null | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Provider {
  readonly issuer: string
  /** What a client would read at the metadata endpoint. */
  readonly metadata: {
    readonly issuer: string
    readonly authorization_endpoint: string
    readonly token_endpoint: string
    readonly revocation_endpoint: string
    readonly introspection_endpoint: string
    readonly code_challenge_methods_supported: string[]
  }
  /** The protected route. */
  readonly resource: string
  /** Trusts the certificate. */
  readonly agent: Agent
  /** `fetch` over that agent, for clients that take one. */
  readonly fetch: Fetch
  close(): Promise<void>
}

/** Starts a provider for these clients, with the scopes `read` and `write`. */
export async function startProvider(clients: readonly ClientMetadata[]): Promise<Provider> {
  const app = express()
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
  const server = createServer({ key, cert }, app)
  server.listen(0, 'localhost')
  await once(server, 'listening')
  const issuer = `https://localhost:${(server.address() as AddressInfo).port}`
  mount(app, { issuer, clients, scopes: ['read', 'write'] })
  const agent = new Agent({ ca: cert, keepAlive: false })
  return {
    issuer,
    metadata: {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/oauth2/token`,
      revocation_endpoint: `${issuer}/oauth2/revoke`,
      introspection_endpoint: `${issuer}/oauth2/introspect`,
      code_challenge_methods_supported: ['S256'],
    },
    resource: `${issuer}/me`,
    agent,
    fetch: fetchOver(agent),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function mount(app: express.Express, oauth: ServerOptions): void {
  app.get('/authorize', async (req, res) => {
    const { client_id = '', redirect_uri, scope, state, code_challenge, code_challenge_method } = req.query as Record<string, string>
    try {
      const request = { client_id, redirect_uri, subject: 'alice', scope, code_challenge, code_challenge_method }
      const code = await issueAuthorizationCode(oauth, request)
      const answer = new URLSearchParams(state === undefined ? { code } : { code, state })
      res.redirect(`${String(redirect_uri)}?${answer.toString()}`)
    } catch (error) {
      res.status(400).send(error instanceof OAuthError ? error.description : 'failed')
    }
  })
  app.use('/oauth2/token', tokenHandler(oauth))
  app.use('/oauth2/revoke', revocationHandler(oauth))
  app.use('/oauth2/introspect', introspectionHandler(oauth))
  app.get('/me', requireAccessToken(oauth, { scope: 'read' }), (req: express.Request & { auth?: AuthInfo }, res) => {
    res.json({ client: req.auth?.clientId, subject: req.auth?.subject ?? null, scopes: req.auth?.scopes })
  })
}

/** Follows an authorization request as a browser would, up to where it leads. */
export async function follow(provider: Provider, url: URL | string): Promise<URL> {
  const response = await provider.fetch(url)
  const location = response.headers.get('location')
  if (location === null) throw new Error(`the authorization endpoint did not redirect: ${await response.text()}`)
  return new URL(location)
}

/** The built-in fetch takes no certificate but through the environment, so this is one over node:https. Redirects are left to the caller. */
function fetchOver(agent: Agent): Fetch {
  return async (url, { method = 'GET', headers = {}, body, signal } = {}) => {
    const req = request(url, { agent, method, headers, ...(signal === undefined ? {} : { signal }) })
    req.end(body?.toString())
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of res) chunks.push(chunk as Buffer)
    const fields = Object.entries(res.headersDistinct).flatMap(([name, values = []]) =>
      values.map((value): [string, string] => [name, value]),
    )
    const text = Buffer.concat(chunks)
    return new Response(text.length === 0 ? null : text, { status: res.statusCode ?? 0, headers: fields })
  }
}

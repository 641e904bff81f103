/**
 * An MCP server as in examples/mcp-server.ts, with what a test wants otherwise; and what a program has to give the official MCP clients: a memory, and
 * a browser.
 */
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from '@modelcontextprotocol/client'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express, { type Request, type Response as ExpressResponse } from 'express'
import { authorizationServer, requireAccessToken, type AuthInfo, type RegistrationOptions, type ServerOptions } from '../../src/index.js'
import { decideOnPage, serveHttps, trustingFetch, type HttpsServer } from './https-support.js'

export interface McpVariant {
  /** Continues the origin: an issuer with a path. */
  readonly issuerPath?: string
  /** Continues the origin. */
  readonly resourcePath?: string
  readonly options?: ServerOptions
  readonly registration?: boolean | RegistrationOptions
  /** Sees every request first; true when it has answered. */
  readonly before?: (req: Request, res: ExpressResponse) => boolean
}

export interface RunningMcpServer extends HttpsServer {
  /** Where the MCP endpoint is. */
  readonly url: URL
  readonly oauth: ServerOptions
  /** `POST /oauth2/token` and the like, in order. */
  readonly requests: string[]
}

export async function startMcpServer({
  issuerPath = '',
  resourcePath = '/mcp',
  options = {},
  registration = true,
  before,
}: McpVariant = {}): Promise<RunningMcpServer> {
  const app = express()
  const requests: string[] = []
  const server = await serveHttps(app)
  const resource = server.origin + resourcePath
  const oauth: ServerOptions = {
    issuer: server.origin + issuerPath,
    resources: [resource],
    scopes: ['notes:read', 'notes:write'],
    implies: { 'notes:write': ['notes:read'] },
    ...options,
  }
  app.use((req, res, next) => {
    requests.push(`${req.method} ${req.path}`)
    if (before?.(req, res) !== true) next()
  })
  app.use(authorizationServer(oauth, { authorize: () => ({ subject: 'alice' }), registration }))
  const mcpPath = resourcePath === '' ? '/' : resourcePath
  const scope = ({ body }: Request) => (body?.params?.name === 'clear_notes' ? 'notes:write' : 'notes:read')
  app.post(mcpPath, express.json(), requireAccessToken(oauth, { resource, scope }), async (req: Request & { auth?: AuthInfo }, res) => {
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true })
    await notesServer().connect(transport)
    await transport.handleRequest(req, res, req.body)
  })
  app.all(mcpPath, (_req, res) => void res.status(405).set('Allow', 'POST').end())
  return { ...server, url: new URL(resource), oauth, requests }
}

function notesServer(): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' })
  const text = (text: string) => ({ content: [{ type: 'text' as const, text }] })
  server.registerTool('list_notes', { description: 'All notes' }, ({ authInfo }) => text(`read by ${authInfo?.clientId ?? 'nobody'}`))
  server.registerTool('clear_notes', { description: 'Forgets all notes' }, () => text('forgotten'))
  return server
}

export interface Tokens {
  readonly access_token: string
  readonly refresh_token?: string
  readonly scope?: string
}

/** What both versions call an OAuthClientProvider, over a memory that the test reads and changes. */
export class Provider {
  readonly redirectUrl = 'http://127.0.0.1:33418/callback'
  clientMetadata: Record<string, unknown> & { redirect_uris: string[] } = {
    client_name: 'A test',
    redirect_uris: [this.redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
  }
  declare clientMetadataUrl?: string
  /** What it has registered as, or was registered as beforehand. */
  client: Record<string, unknown> | undefined
  held: Tokens | undefined
  answer: URL | undefined
  /** How often a person was asked. */
  asked = 0
  /** What the client threw away. */
  readonly invalidated: string[] = []
  #discovery: object | undefined
  #verifier = ''
  #state = ''

  constructor(changes: Partial<Pick<Provider, 'clientMetadata' | 'clientMetadataUrl' | 'client'>> = {}) {
    Object.assign(this, changes)
  }

  clientInformation = () => this.client as never
  saveClientInformation = (client: object) => void (this.client = { ...client })
  tokens = () => this.held as never
  saveTokens = (tokens: Tokens) => void (this.held = tokens)
  saveCodeVerifier = (verifier: string) => void (this.#verifier = verifier)
  codeVerifier = () => this.#verifier
  saveDiscoveryState = (state: object) => void (this.#discovery = state)
  discoveryState = () => this.#discovery as never
  state = () => (this.#state = crypto.randomUUID())
  invalidateCredentials = (scope: string) => {
    this.invalidated.push(scope)
    if (scope === 'all' || scope === 'tokens') this.held = undefined
    if (scope === 'all' || scope === 'client') this.client = undefined
  }
  redirectToAuthorization = async (url: URL) => {
    this.asked++
    this.answer = await decideOnPage(url)
    if (this.answer.searchParams.get('state') !== this.#state) throw new Error('another state came back')
  }
}

/** A session of an official client: a tool is called, and where a person has to agree first, it is asked. */
export interface Session {
  call(tool: string): Promise<string>
}

async function agreed<T>(provider: Provider, finishAuth: (answer: URL) => Promise<void>, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    const { answer } = provider
    if ((thrown as Error).constructor.name !== 'UnauthorizedError' || answer === undefined) throw thrown
    provider.answer = undefined
    await finishAuth(answer)
    return work()
  }
}

/** The official client, version 1. */
export function version1(url: URL, provider: Provider): Session {
  return {
    call: (name) => {
      const transport = () => new Transport1(url, { authProvider: provider as never, fetch: trustingFetch })
      return agreed(provider, (answer) => transport().finishAuth(answer.searchParams.get('code') ?? ''), async () => {
        const client = new Client1({ name: 'test', version: '1' })
        await client.connect(transport())
        try {
          return JSON.stringify(await client.callTool({ name }))
        } finally {
          await client.close()
        }
      }) // prettier-ignore
    },
  }
}

/** The official client, version 2. */
export function version2(url: URL, provider: Provider): Session {
  return {
    call: (name) => {
      const transport = () => new Transport2(url, { authProvider: provider as never, fetch: trustingFetch })
      return agreed(provider, (answer) => transport().finishAuth(answer.searchParams), async () => {
        const client = new Client2({ name: 'test', version: '1' })
        await client.connect(transport())
        try {
          return JSON.stringify(await client.callTool({ name }))
        } finally {
          await client.close()
        }
      }) // prettier-ignore
    },
  }
}

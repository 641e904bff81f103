/**
 * An MCP server with an authorization server of its own (RFC 8414, RFC 9728, RFC 7591, RFC 8707): MCP clients find it, register, ask, and call the tools.
 * What differs from authorization-server.ts: the resource is the MCP endpoint, clients register themselves, and each tool may need a scope of its own.
 *
 * Run it:  npx tsx examples/mcp-server.ts
 * Try it:  curl -k https://localhost:3000/.well-known/oauth-protected-resource/mcp
 * Answer:  {"resource":"https://localhost:3000/mcp","authorization_servers":["https://localhost:3000"],"scopes_supported":["notes:read","notes:write"],"bearer_methods_supported":["header"]}
 * A client:  NODE_TLS_REJECT_UNAUTHORIZED=0 npx @modelcontextprotocol/inspector, with the URL https://localhost:3000/mcp
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express, { type Request } from 'express'
import { authorizationServer, requireAccessToken, type AuthInfo, type ServerOptions } from 'oauth2-token-handler'
import { serve } from './https.js'

const app = express()
const origin = await serve(app)
const resource = `${origin}/mcp`
const oauth: ServerOptions = {
  issuer: origin,
  resources: [resource],
  scopes: ['notes:read', 'notes:write'],
  implies: { 'notes:write': ['notes:read'] },
  clientIdMetadataDocuments: true,
  cors: { origins: '*' },
}
// In your application the session says who is logged in, and nobody is sent to your login page: see authorization-server.ts.
app.use(authorizationServer(oauth, { authorize: () => ({ subject: 'alice' }), registration: true }))

const notes = ['water the plants']
const text = (text: string) => ({ content: [{ type: 'text' as const, text }] })

function mcpServer(): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' })
  server.registerTool('list_notes', { description: 'All notes' }, ({ authInfo }) => {
    return text(`${notes.join(', ')} (read by ${authInfo?.clientId ?? 'nobody'})`)
  })
  server.registerTool('clear_notes', { description: 'Forgets all notes' }, () => text(`${notes.splice(0).length} forgotten`))
  return server
}

/** All that the calls need, at once: a client that lacks it gets 403 with the scope to ask for. A body may hold several calls. */
function scopeFor({ body }: Request): string {
  const calls = [body].flat() as ({ params?: { name?: string } } | null)[]
  return calls.some((call) => call?.params?.name === 'clear_notes') ? 'notes:write' : 'notes:read'
}

const guard = requireAccessToken(oauth, { resource, scope: scopeFor })
app.post('/mcp', express.json(), guard, async (req: Request & { auth?: AuthInfo }, res) => {
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true })
  await mcpServer().connect(transport)
  await transport.handleRequest(req, res, req.body)
})
app.all('/mcp', (_req, res) => void res.status(405).set('Allow', 'POST').end())

console.log(`The MCP server is at ${resource}. What a client reads first:

curl -k ${origin}/.well-known/oauth-protected-resource/mcp
`)

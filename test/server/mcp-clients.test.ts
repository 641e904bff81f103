/** The official MCP clients, versions 1 and 2, unmodified and over https, against the whole server. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { serveHttps, trustingFetch } from './https-support.js'
import { Provider, startMcpServer, version1, version2, type McpVariant, type RunningMcpServer } from './mcp-support.js'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function start(variant?: McpVariant): Promise<RunningMcpServer> {
  const server = await startMcpServer(variant)
  closing.push(server.close)
  return server
}

const redirect_uris = ['http://127.0.0.1:33418/callback']
const grant_types = ['authorization_code', 'refresh_token']
const client_secret = 'a-secret_with~marks.0123456789'

describe.each([
  ['1', version1],
  ['2', version2],
])('the official MCP client, version %s', (_version, connect) => {
  test('M13 discovers, registers by default, asks, and calls a tool', async () => {
    const { url, requests } = await start()
    const provider = new Provider()
    expect(await connect(url, provider).call('list_notes')).toContain(`read by ${String(provider.client?.client_id)}`)
    expect(requests.filter((request) => request === 'POST /oauth2/register')).toHaveLength(1)
    expect(provider.client).toMatchObject({ redirect_uris, grant_types, token_endpoint_auth_method: 'client_secret_basic' })
    expect(provider.client?.client_secret).toEqual(expect.any(String))
    expect(provider.held?.refresh_token).toEqual(expect.any(String))
    // The second session needs nobody.
    expect(await connect(url, provider).call('list_notes')).toContain('read by')
    expect(provider.asked).toBe(1)
  })

  test('M9 registers as a public client, by its own wish and by the default of the server', async () => {
    const byWish = await start()
    const wishing = new Provider()
    wishing.clientMetadata = { ...wishing.clientMetadata, token_endpoint_auth_method: 'none' }
    expect(await connect(byWish.url, wishing).call('list_notes')).toContain('read by')
    const byDefault = await start({ registration: { defaultAuthMethod: 'none' } })
    const silent = new Provider()
    expect(await connect(byDefault.url, silent).call('list_notes')).toContain('read by')
    for (const { client } of [wishing, silent]) expect(client).not.toHaveProperty('client_secret')
  })

  test('M10 is the document at its client_id, and nobody registers', async () => {
    const documents = await serveHttps((req, res) => {
      const client_id = `https://localhost:${documents.port}${req.url ?? ''}`
      res.setHeader('Content-Type', 'application/json')
      res.end(JSON.stringify({ client_id, client_name: 'Documented', redirect_uris, grant_types, token_endpoint_auth_method: 'none' }))
    })
    closing.push(documents.close)
    const fetch = async (address: string) => ({ document: await (await trustingFetch(address)).json(), headers: {} })
    const { url, requests } = await start({ options: { clientIdMetadataDocuments: { fetch } } })
    const clientMetadataUrl = `${documents.origin}/client.json`
    const provider = new Provider({ clientMetadataUrl })
    expect(await connect(url, provider).call('list_notes')).toContain(`read by ${clientMetadataUrl}`)
    expect(requests).not.toContain('POST /oauth2/register')
  })

  test.each(['client_secret_basic', 'client_secret_post'])('C1 was registered beforehand with %s', async (token_endpoint_auth_method) => {
    const registered = { client_id: 'static-client', client_secret, redirect_uris, grant_types, token_endpoint_auth_method }
    const { url, requests, oauth } = await start({ options: { clients: [registered] }, registration: false })
    const isBasic = token_endpoint_auth_method === 'client_secret_basic'
    const provider = new Provider({
      client: { issuer: oauth.issuer, ...(isBasic ? { client_id: 'static-client', client_secret } : registered) },
    })
    expect(await connect(url, provider).call('list_notes')).toContain('read by static-client')
    expect(requests).not.toContain('POST /oauth2/register')
  })

  test('M12 finds an issuer with a path at the path-inserted place', async () => {
    const { url, requests } = await start({ issuerPath: '/tenants/one' })
    expect(await connect(url, new Provider()).call('list_notes')).toContain('read by')
    expect(requests).toContain('GET /.well-known/oauth-authorization-server/tenants/one')
    expect(requests).toContain('POST /tenants/one/oauth2/token')
  })

  test('M2 asks for a resource that is an origin, with and without the slash', async () => {
    for (const resourcePath of ['', '/']) {
      const { url } = await start({ resourcePath })
      expect(await connect(url, new Provider()).call('list_notes')).toContain('read by')
    }
  })

  test('M4 steps up after insufficient_scope, with the registration that it has', async () => {
    const { url, requests } = await start()
    const provider = new Provider()
    // Version 1 refreshes where it can, which widens nothing, before it would ask anybody.
    if (connect === version1) provider.clientMetadata = { ...provider.clientMetadata, grant_types: ['authorization_code'] }
    const session = connect(url, provider)
    expect(await session.call('list_notes')).toContain('read by')
    // ID16: version 2 asks for offline_access, may refresh, and is told that it was granted.
    expect(provider.held?.scope).toBe(connect === version1 ? 'notes:read' : 'notes:read offline_access')
    expect(await session.call('clear_notes')).toContain('forgotten')
    expect(provider.held?.scope).toContain('notes:write')
    expect(provider.asked).toBe(2)
    expect(requests.filter((request) => request === 'POST /oauth2/register')).toHaveLength(1)
    expect(await session.call('list_notes')).toContain('read by')
  })

  test('G5 refreshes twenty times at once and is logged out by none of them', async () => {
    const { url } = await start()
    const provider = new Provider()
    await connect(url, provider).call('list_notes')
    const before = provider.held
    provider.held = { ...before, access_token: 'expired' }
    const answers = await Promise.all(Array.from({ length: 20 }, () => connect(url, provider).call('list_notes')))
    for (const answer of answers) expect(answer).toContain('read by')
    expect(provider.held.refresh_token).not.toBe(before?.refresh_token)
    expect([provider.asked, provider.invalidated]).toEqual([1, []])
    // And the session goes on.
    provider.held = { ...provider.held, access_token: 'expired' }
    expect(await connect(url, provider).call('list_notes')).toContain('read by')
    expect(provider.asked).toBe(1)
  })

  test('R6 a 503 in the middle of a refresh throws nothing away', async () => {
    let isDown = false
    const { url } = await start({ options: { available: () => !isDown } })
    const provider = new Provider()
    await connect(url, provider).call('list_notes')
    const before = provider.held
    provider.held = { ...before, access_token: 'expired' }
    isDown = true
    await expect(connect(url, provider).call('list_notes')).rejects.toThrow()
    expect(provider.held.refresh_token).toBe(before?.refresh_token)
    expect(provider.invalidated).toEqual([])
    isDown = false
    expect(await connect(url, provider).call('list_notes')).toContain('read by')
    expect(provider.asked).toBe(1)
  })
})

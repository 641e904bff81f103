/** The blocks of the README and of docs/ that make a server run as they stand (U15): what each needs of the application is given, and nothing of the package is replaced. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type express from 'express'
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { firstRoute, pageAt, pages, runBlock, serversOf } from './support/pages.js'

const servers = serversOf(pages.get('README.md') ?? '')
const elsewhere = [...pages]
  .filter(([path]) => path !== 'README.md')
  .flatMap(([path, page]) => serversOf(page).map((block) => [path, block] as const))

let listening: Server | undefined
beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
  process.env.REPORTS_SECRET = process.env.WEB_SECRET = process.env.API_SECRET = 'x'.repeat(30)
  process.env.TOKEN_KEY = randomBytes(32).toString('base64url')
})
afterAll(() => {
  listening?.close()
  jest.restoreAllMocks()
})

async function get(app: express.Express, path: string): Promise<Record<string, unknown>> {
  const server = createServer(app)
  listening = server
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}${path}`)
  const body = (await response.json()) as Record<string, unknown>
  await new Promise((resolve) => server.close(resolve))
  return body
}

describe('a block of the README that makes a server', () => {
  test('U15 there are several', () => {
    expect(servers.length).toBeGreaterThan(2)
    expect(elsewhere.length).toBeGreaterThan(20)
  })

  test.each(servers.map((block) => [firstRoute(block), block]))('U15 starts as it stands: %s', async (_line, block) => {
    expect(typeof (await runBlock(block))).toBe('function')
  })
})

describe('a block of docs/ that makes a server', () => {
  test.each(elsewhere.map(([path, block]) => [path, firstRoute(block), block]))(
    'U15 starts as it stands: %s, %s',
    async (_path, _line, block) => {
      expect(typeof (await runBlock(block))).toBe('function')
    },
  )

  test('U15 the one about metadata advertises what it serves', async () => {
    const blocks = serversOf(pageAt('docs/authorization-server.md'))
    const app = await runBlock(blocks.find((block) => block.includes('metadataHandler(')) ?? '')
    expect(await get(app, '/.well-known/oauth-authorization-server')).toMatchObject({
      issuer: 'https://server.example',
      token_endpoint: 'https://server.example/oauth2/token',
      revocation_endpoint: 'https://server.example/oauth2/revoke',
      introspection_endpoint: 'https://server.example/oauth2/introspect',
      jwks_uri: 'https://server.example/oauth2/jwks',
      service_documentation: 'https://server.example/docs',
    })
    expect(await get(app, '/oauth2/jwks')).toMatchObject({ keys: [{ kty: 'EC', use: 'sig' }] })
  })

  test.each([
    ['from-oauth2orize', 'https://server.example/authorize', 'https://server.example/token'],
    ['from-oidc-provider', 'https://server.example/oauth2/authorize', 'https://server.example/oauth2/token'],
    ['from-mcp-auth-router', 'https://api.example.com/oauth2/authorize', 'https://api.example.com/oauth2/token'],
  ])('U15 the one of %s serves the places that its page names', async (page, authorization_endpoint, token_endpoint) => {
    const [block = ''] = serversOf(pageAt(`docs/migrating/${page}.md`))
    const metadata = await get(await runBlock(block), '/.well-known/oauth-authorization-server')
    expect(metadata).toMatchObject({ authorization_endpoint, token_endpoint })
  })
})

/** Resource indicators (RFC 8707): which resource a token is for, from the authorization request to the guard. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import { generateKeyPairSync } from 'node:crypto'
import { createTokenResponse, jwt, memoryStore, type ServerOptions } from '../../src/index.js'
import { checkAccessToken } from '../../src/endpoints/resource/check.js'
import { readRequirement } from '../../src/endpoints/resource/requirement.js'
import { configure } from '../../src/configuration/configure.js'
import { basic, exchange, formRequest, machine, parsed, testServer, web, type TestServer } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { authorizePath, issuer, startSite } from './site.js'

const mcp = 'https://api.example.com/mcp'
const files = 'https://files.example.com'
const invalidTarget = { error: 'invalid_target', error_description: 'the requested resource is unknown, malformed, or was not granted' }

const formats: [name: string, options: ServerOptions][] = [
  ['opaque', {}],
  ['jwt', { issuer, accessTokens: jwt({ key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }) }],
]

/** Whom a token is for, as introspection and, where it is signed, the token itself say. */
async function audienceOf(server: TestServer, token = ''): Promise<unknown> {
  const configuration = configure(server.options)
  const accepted: string[] = []
  for (const resource of [mcp, files]) {
    const request = { method: 'GET', url: 'https://x/', headers: { authorization: `Bearer ${token}` } }
    const { outcome } = await checkAccessToken(configuration, request, readRequirement(configuration, { resource }), [])
    if (outcome === 'accepted') accepted.push(resource)
  }
  if (token.startsWith('ey')) expect(new Set([decodeJwt(token).aud].flat())).toEqual(new Set(accepted.length === 0 ? [issuer] : accepted))
  return accepted
}

function form(members: Readonly<Record<string, string>>, resources: readonly string[] = []): string {
  return new URLSearchParams([
    ...Object.entries(members),
    ...resources.map((resource): [string, string] => ['resource', resource]),
  ]).toString()
}

async function exchanged(server: TestServer, code: string, resources?: readonly string[]) {
  return server.token(form(exchange(code), resources), basic(web))
}

async function refreshed(server: TestServer, refresh_token = '', resources?: readonly string[]) {
  return server.token(form({ grant_type: 'refresh_token', refresh_token }, resources), basic(web))
}

describe.each(formats)('M1 %s tokens', (_name, format) => {
  const server = () => testServer({ ...format, resources: [mcp, files] })

  test('M1 what was authorized is inherited at the token endpoint and at refresh', async () => {
    const s = server()
    const { json } = await exchanged(s, await s.code({ resource: [mcp, files] }))
    expect(await audienceOf(s, json.access_token)).toEqual([mcp, files])
    const again = await refreshed(s, json.refresh_token)
    expect(await audienceOf(s, again.json.access_token)).toEqual([mcp, files])
  })

  test('M1 a token is narrowed, and the refresh token keeps all', async () => {
    const s = server()
    const { json } = await exchanged(s, await s.code({ resource: [mcp, files] }), [mcp])
    expect(await audienceOf(s, json.access_token)).toEqual([mcp])
    const other = await refreshed(s, json.refresh_token, [files])
    expect(await audienceOf(s, other.json.access_token)).toEqual([files])
    const both = await refreshed(s, other.json.refresh_token)
    expect(await audienceOf(s, both.json.access_token)).toEqual([mcp, files])
  })

  test.each([
    ['granted to nobody', [files]],
    ['unknown', ['https://evil.example/']],
    ['relative', ['/mcp']],
    ['with a fragment', [`${mcp}#x`]],
    ['one granted, one not', [mcp, files]],
  ])('M1 a resource that is %s consumes nothing', async (_what, resources) => {
    const s = server()
    const code = await s.code({ resource: mcp })
    expect(await exchanged(s, code, resources)).toMatchObject({ status: 400, json: invalidTarget })
    const { status, json } = await exchanged(s, code)
    expect(status).toBe(200)
    expect(await refreshed(s, json.refresh_token, resources)).toMatchObject({ status: 400, json: invalidTarget })
    expect(await audienceOf(s, (await refreshed(s, json.refresh_token)).json.access_token)).toEqual([mcp])
  })

  test('M1 a retried refresh with another resource gets the same successor and a token of its own', async () => {
    const s = server()
    const { json } = await exchanged(s, await s.code({ resource: [mcp, files] }))
    const first = await refreshed(s, json.refresh_token, [mcp])
    const second = await refreshed(s, json.refresh_token, [files])
    expect(second.json.refresh_token).toBe(first.json.refresh_token)
    expect(await audienceOf(s, first.json.access_token)).toEqual([mcp])
    expect(await audienceOf(s, second.json.access_token)).toEqual([files])
    expect((await refreshed(s, json.refresh_token, ['https://evil.example/'])).json.error).toBe('invalid_target')
    expect((await refreshed(s, second.json.refresh_token)).status).toBe(200)
  })

  test('M1 client credentials: as asked for, never by default where there are several', async () => {
    const s = server()
    const ask = (resources?: string[]) => s.token(form({ grant_type: 'client_credentials', scope: 'read' }, resources), basic(machine))
    expect(await audienceOf(s, (await ask([files])).json.access_token)).toEqual([files])
    expect(await audienceOf(s, (await ask([files, mcp, files])).json.access_token)).toEqual([mcp, files])
    expect(await audienceOf(s, (await ask()).json.access_token)).toEqual([])
    expect(await ask(['https://evil.example'])).toMatchObject({ status: 400, json: invalidTarget })
  })

  test('M1 the only resource is the default', async () => {
    const s = testServer({ ...format, resources: [mcp] })
    const { access_token } = await s.tokens()
    const granted = await s.token({ grant_type: 'client_credentials' }, basic(machine))
    for (const token of [access_token, granted.json.access_token]) {
      const configuration = configure(s.options)
      const request = { method: 'GET', url: 'https://x/', headers: { authorization: `Bearer ${token}` } }
      const checked = await checkAccessToken(configuration, request, readRequirement(configuration, {}), [])
      expect(checked).toMatchObject({ outcome: 'accepted', auth: { resource: new URL(mcp) } })
    }
  })

  test('M1 without resources the parameter is ignored', async () => {
    const s = testServer(format)
    const { status, json } = await exchanged(s, await s.code({ resource: 'https://anything.example' }), ['not a URI'])
    expect(status).toBe(200)
    expect(await refreshed(s, json.refresh_token, ['https://x.example', 'https://y.example'])).toMatchObject({ status: 200 })
  })

  test('M1 a resource that was taken out of the configuration is granted no more', async () => {
    const store = memoryStore()
    const before = testServer({ ...format, store, resources: [mcp, files] })
    const one = await exchanged(before, await before.code({ resource: mcp }))
    const both = await exchanged(before, await before.code({ resource: [mcp, files] }))
    const after = testServer({ ...format, store, resources: [`${files}/`, 'https://new.example.com'] })
    expect(await refreshed(after, one.json.refresh_token)).toMatchObject({ status: 400, json: invalidTarget })
    const { json } = await refreshed(after, both.json.refresh_token)
    const introspected = await after.introspect({ token: json.access_token ?? '' }, basic(web))
    expect(introspected.json.aud).toBe(`${files}/`)
  })
})

describe('M1 the authorization endpoint', () => {
  const resources = new Resources()
  afterEach(() => resources.close())

  test('M1 M6 an unknown resource goes back to the client', async () => {
    const site = await startSite(resources, { resources: [mcp, files] })
    const { status, answer } = await site.browser().go(authorizePath({ resource: 'https://evil.example' }))
    expect({ status, answer }).toEqual({ status: 303, answer: { ...invalidTarget, state: 'state of web', iss: issuer } })
  })

  test('M1 the page names the resources, and the code is bound to them', async () => {
    const site = await startSite(resources, { resources: [mcp, files] })
    const browser = site.browser()
    const path = `${authorizePath({ resource: 'HTTPS://API.example.com/mcp' })}&resource=${encodeURIComponent(`${files}/`)}`
    expect((await browser.go(path)).body).toContain(`<li>${mcp}</li><li>${files}</li>`)
    const { answer } = await browser.decide(path)
    const { json } = await exchanged(site.server, answer.code ?? '', [files])
    expect(await audienceOf(site.server, json.access_token)).toEqual([files])
  })
})

describe('M2 spelling', () => {
  test.each([
    ['HTTPS://API.EXAMPLE.COM/mcp', mcp],
    ['https://files.example.com/', files],
    ['https://FILES.example.com', files],
  ])('M2 %s is %s, printed as configured', async (resource, printed) => {
    const s = testServer({ ...formats[1]?.[1], resources: [mcp, files] })
    const { json } = await exchanged(s, await s.code({ resource }), [resource])
    expect(decodeJwt(json.access_token ?? '').aud).toBe(printed)
  })

  test.each([
    'https://api.example.com/mcp/',
    'https://api.example.com/MCP',
    'https://api.example.com:443/mcp',
    'https://api.example.com/%6dcp',
    'https://api.example.com/x/../mcp',
    'https://api.example.com/mcp?',
    'https://user@api.example.com/mcp',
    'http://api.example.com/mcp',
    'https://api.example.com./mcp',
    ' https://api.example.com/mcp',
  ])('M2 %s is another resource', async (resource) => {
    const s = testServer({ resources: [mcp, files] })
    expect((await exchanged(s, await s.code({ resource: mcp }), [resource])).json.error).toBe('invalid_target')
  })

  test('M2 an origin is configured with the slash and asked for without', async () => {
    const s = testServer({ ...formats[1]?.[1], resources: ['https://api.example.com/'] })
    const { json } = await exchanged(s, await s.code({ resource: 'https://api.example.com' }))
    expect(decodeJwt(json.access_token ?? '').aud).toBe('https://api.example.com/')
  })

  test.each([[['/mcp']], [[`${mcp}#x`]], [['mcp']], [[files, `${files}/`]], [['https://']]])(
    'M2 resources %j stop the start',
    async (list) => {
      await expect(createTokenResponse({ clients: [machine], resources: list }, formRequest(''))).rejects.toThrow(/resources/)
    },
  )
})

test('M1 resource may repeat, other parameters may not', async () => {
  const s = testServer({ resources: [mcp, files] })
  const body = 'grant_type=client_credentials&resource=&resource=https://files.example.com&scope=read&scope=read'
  expect(parsed(await createTokenResponse(s.options, formRequest(body, basic(machine)))).json.error).toBe('invalid_request')
})

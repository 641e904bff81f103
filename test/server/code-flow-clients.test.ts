/** openid-client 6 and oauth4webapi 3, unmodified, over https: discovery, pushed request, `iss` and `resource`. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import express from 'express'
import { once } from 'node:events'
import { Agent, createServer, request } from 'node:https'
import type { IncomingMessage, RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { generateKeyPairSync } from 'node:crypto'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { generate } from 'selfsigned'
import { authorizationServer, jwt, requireAccessToken, type ServerOptions } from '../../src/index.js'

const redirect_uri = 'https://client.example/callback'
const clients = [
  { client_id: 'web', client_secret: 'web-secret-0123456789abcdef', grant_types: ['authorization_code', 'refresh_token'], redirect_uris: [redirect_uri] },
  { client_id: 'native', token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], redirect_uris: [redirect_uri] },
] // prettier-ignore

interface Init {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: { toString(): string } | null | undefined
}

interface Site {
  readonly issuer: string
  readonly resource: string
  fetch(url: string | URL, init?: Init): Promise<Response>
  /** alice agrees in her browser; where that leads. */
  agree(url: URL): Promise<URL>
}

const closers: (() => Promise<unknown>)[] = []
let plain: Site
let strict: Site
beforeAll(async () => {
  const accessTokens = jwt({ key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey })
  plain = await startSite('')
  strict = await startSite('/tenant', { accessTokens, requirePushedAuthorizationRequests: true })
})
afterAll(() => Promise.all(closers.map((close) => close())))

async function startSite(path: string, options: ServerOptions = {}): Promise<Site> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
  let app: RequestListener = () => undefined
  const server = createServer({ key, cert }, (req, res) => app(req, res))
  server.listen(0, 'localhost')
  await once(server, 'listening')
  closers.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`
  const [issuer, resource] = [origin + path, `${origin}/api`]
  app = application({ issuer, resources: [resource, `${origin}/other`], scopes: ['read', 'write'], clients, ...options })
  const fetch = fetchOver(new Agent({ ca: cert, keepAlive: false }))
  return { issuer, resource, fetch, agree: (url) => agree(fetch, url) }
}

function application(options: ServerOptions): RequestListener {
  const app = express()
  app.use(authorizationServer(options, { authorize: () => ({ subject: 'alice' }), openidConfiguration: true }))
  app.use('/api', requireAccessToken(options, { resource: options.resources?.[0] ?? '', scope: 'read' }), (req, res) => {
    const { auth } = req as { auth?: { subject?: string; resource?: URL } }
    res.json({ subject: auth?.subject, resource: auth?.resource })
  })
  return app as RequestListener
}

async function agree(fetch: Site['fetch'], url: URL): Promise<URL> {
  const page = await fetch(url)
  const fields = [...(await page.text()).matchAll(/name="(confirmation|agreement)" value="([^"]*)"/g)]
  const body = new URLSearchParams([...fields.map(([, name = '', value = '']): [string, string] => [name, value]), ['decision', 'allow']])
  const headers = {
    cookie: page.headers.get('set-cookie')?.split(';')[0] ?? '',
    'content-type': 'application/x-www-form-urlencoded',
    'sec-fetch-site': 'same-origin',
  }
  const answer = await fetch(url, { method: 'POST', headers, body })
  return new URL(answer.headers.get('location') ?? '')
}

/** The built-in fetch takes no certificate but through the environment. */
function fetchOver(agent: Agent): Site['fetch'] {
  return async (url, { method = 'GET', headers = {}, body } = {}) => {
    const req = request(url, { agent, method, headers })
    req.end(body?.toString())
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of res) chunks.push(chunk as Buffer)
    const fields = Object.entries(res.headersDistinct).flatMap(([name, values = []]) =>
      values.map((value): [string, string] => [name, value]),
    )
    return new Response(chunks.length === 0 ? null : Buffer.concat(chunks), { status: res.statusCode ?? 0, headers: fields })
  }
}

const authentications = [
  ['web', oauth.ClientSecretBasic('web-secret-0123456789abcdef'), openid.ClientSecretBasic('web-secret-0123456789abcdef')],
  ['web', oauth.ClientSecretPost('web-secret-0123456789abcdef'), openid.ClientSecretPost('web-secret-0123456789abcdef')],
  ['native', oauth.None(), openid.None()],
] as const

describe.each([
  ['an origin', () => plain],
  ['a path, where requests have to be pushed', () => strict],
])('M7 M11 M12 the code flow, the issuer being %s', (_what, site) => {
  test.each(authentications)('M11 M12 oauth4webapi as %s', async (client_id, authentication, _other) => {
    const { issuer, resource, fetch, agree } = site()
    const options = { [oauth.customFetch]: fetch }
    const url = new URL(issuer)
    const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { ...options, algorithm: 'oauth2' }))
    const client = { client_id }
    const code_verifier = oauth.generateRandomCodeVerifier()
    const code_challenge = await oauth.calculatePKCECodeChallenge(code_verifier)
    const state = oauth.generateRandomState()
    const asked = { redirect_uri, response_type: 'code', scope: 'read', state, resource, code_challenge, code_challenge_method: 'S256' }
    const push = await oauth.pushedAuthorizationRequest(server, client, authentication, new URLSearchParams(asked), options)
    const { request_uri } = await oauth.processPushedAuthorizationResponse(server, client, push)
    const target = new URL(server.authorization_endpoint ?? '')
    target.search = new URLSearchParams({ client_id, request_uri }).toString()
    const back = await agree(target)
    expect(back.searchParams.get('iss')).toBe(issuer)
    const checked = oauth.validateAuthResponse(server, client, back, state)
    expect(() => oauth.validateAuthResponse({ ...server, issuer: 'https://evil.example' }, client, back, state)).toThrow(/iss/)
    const additionalParameters = { resource }
    const granted = await oauth.authorizationCodeGrantRequest(server, client, authentication, checked, redirect_uri, code_verifier, { ...options, additionalParameters }) // prettier-ignore
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, granted)
    const refreshing = await oauth.refreshTokenGrantRequest(server, client, authentication, tokens.refresh_token ?? '', { ...options, additionalParameters }) // prettier-ignore
    const { access_token } = await oauth.processRefreshTokenResponse(server, client, refreshing)
    const used = await oauth.protectedResourceRequest(access_token, 'GET', new URL(resource), undefined, undefined, options)
    expect(await used.json()).toEqual({ subject: 'alice', resource })
  })

  test.each(authentications)('M11 M12 openid-client as %s', async (client_id, _other, authentication) => {
    const { issuer, resource, fetch, agree } = site()
    const custom = { [openid.customFetch]: fetch, algorithm: 'oauth2' as const }
    const configuration = await openid.discovery(new URL(issuer), client_id, undefined, authentication, custom)
    const pkceCodeVerifier = openid.randomPKCECodeVerifier()
    const code_challenge = await openid.calculatePKCECodeChallenge(pkceCodeVerifier)
    const expectedState = openid.randomState()
    const asked = { redirect_uri, scope: 'read', state: expectedState, resource, code_challenge, code_challenge_method: 'S256' }
    const back = await agree(await openid.buildAuthorizationUrlWithPAR(configuration, asked))
    const tokens = await openid.authorizationCodeGrant(configuration, back, { pkceCodeVerifier, expectedState }, { resource })
    const { access_token } = await openid.refreshTokenGrant(configuration, tokens.refresh_token ?? '', { scope: 'read', resource })
    const used = await openid.fetchProtectedResource(configuration, access_token, new URL(resource), 'GET')
    expect(await used.json()).toEqual({ subject: 'alice', resource })
  })
})

test('M7 oauth4webapi is told of a denial, with iss', async () => {
  const { issuer, fetch } = plain
  const url = new URL(issuer)
  const discovery = await oauth.discoveryRequest(url, { [oauth.customFetch]: fetch, algorithm: 'oauth2' })
  const server = await oauth.processDiscoveryResponse(url, discovery)
  const search = new URLSearchParams({ client_id: 'web', redirect_uri, response_type: 'code', state: 's', scope: 'everything' })
  const { headers } = await fetch(`${server.authorization_endpoint ?? ''}?${search.toString()}`)
  const refuse = () => oauth.validateAuthResponse(server, { client_id: 'web' }, new URL(headers.get('location') ?? ''), 's')
  expect(refuse).toThrow(oauth.AuthorizationResponseError)
})

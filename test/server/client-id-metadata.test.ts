/** Clients that are documents about themselves: which are believed, how long, and what their outage does. */
import { describe, expect, test } from '@jest/globals'
import { isClientIdUrl, type ClientIdMetadataOptions } from '../../src/clients/id-metadata.js'
import { configure } from '../../src/configuration/configure.js'
import { clientCredentials, authorizationCode, refreshToken, type ServerOptions } from '../../src/index.js'
import { exchange, redirect_uri, testServer, type TestServer } from '../support/server.js'

const client_id = 'https://client.example/oauth/client.json'
const whole = { client_id, client_name: 'Documented', redirect_uris: [redirect_uri], grant_types: ['authorization_code', 'refresh_token'] }

interface Documented {
  readonly server: TestServer
  /** The addresses that were fetched. */
  readonly fetched: string[]
  document: unknown
  headers: Record<string, string>
  isDown: boolean
  /** What the authorization endpoint finds. */
  ask(id?: string): Promise<{ readonly name?: string | undefined; readonly error?: string; readonly status?: number }>
}

function documented(document: unknown = whole, more: ClientIdMetadataOptions = {}, options: ServerOptions = {}): Documented {
  const fetch = async (url: string) => {
    subject.fetched.push(url)
    if (subject.isDown) throw new Error('the host is down')
    return { document: subject.document, headers: subject.headers }
  }
  const server = testServer({ clientIdMetadataDocuments: { fetch, ...more }, ...options })
  const subject: Documented = {
    server,
    fetched: [],
    document,
    headers: {},
    isDown: false,
    async ask(id = client_id) {
      try {
        const client = await configure(server.options).findClientToAuthorize(id)
        return { name: client?.metadata.client_name }
      } catch (thrown) {
        const { error, status } = thrown as { error: string; status: number }
        return { error, status }
      }
    },
  }
  return subject
}

describe('which client_id is the URL of a document', () => {
  test.each(['https://client.example/', 'https://client.example/client.json', 'https://client.example:8443/a/b?version=2', 'https://client.example/..well'])(
    'M10 %s is', (url) => expect(isClientIdUrl(url)).toBe(true),
  ) // prettier-ignore

  test.each([
    'https://client.example', 'http://client.example/client.json', 'https://client.example/a#b', 'https://client.example/#', 'https://user@client.example/a', 'https://u:p@client.example/a',
    'https://@client.example/a', 'https://client.example/a/../b', 'https://client.example/./a', 'https://client.example/a/..', 'https://client.example/%2e%2e/a', 'https://client.example/%2E/a', 'https://client.example/.%2e/a',
    'https://CLIENT.example/a', 'HTTPS://client.example/a', 'https://client.example:443/a', 'https://client.example\\@evil.example/a', 'https://2130706433/a', 'https://0x7f.1/a', 'https://0177.0.0.1/a',
    'https:///a', 'https:/client.example/a', 'https://client.example/a b', 'https://client.example/a\\..\\b', 'https://client.example/\n', 'web', 'urn:example:client', 'file:///etc/passwd',
  ])('M10 %j is not', (url) => expect(isClientIdUrl(url)).toBe(false)) // prettier-ignore

  test('M10 without the option, none is', async () => {
    const server = testServer()
    expect(await configure(server.options).findClientToAuthorize(client_id)).toBeUndefined()
  })
})

describe('which document is believed', () => {
  test('M10 one that names its URL', async () => {
    expect(await documented().ask()).toEqual({ name: 'Documented' })
    expect(await documented({ ...whole, token_endpoint_auth_method: 'none', unknown: { a: 1 } }).ask()).toEqual({ name: 'Documented' })
  })

  test.each([
    { ...whole, client_id: 'https://client.example/other.json' },
    { ...whole, client_id: `${client_id}?` },
    { ...whole, client_id: client_id.toUpperCase() },
    { ...whole, client_id: undefined },
    { ...whole, token_endpoint_auth_method: 'client_secret_basic' },
    { ...whole, token_endpoint_auth_method: 'client_secret_post' },
    { ...whole, token_endpoint_auth_method: 'client_secret_jwt' },
    { ...whole, token_endpoint_auth_method: ['client_secret_basic'] },
    { ...whole, client_secret: 'x' },
    { ...whole, client_secret_expires_at: 0 },
    { ...whole, redirect_uris: undefined },
    { ...whole, redirect_uris: ['javascript:alert(1)'] },
    { ...whole, redirect_uris: 'https://client.example/' },
    { ...whole, grant_types: 'authorization_code' },
    { ...whole, scope: 'a "quoted" scope' },
    null, [], 'text', 7,
  ])('M10 not %j', async (document) => {
    expect(await documented(document).ask()).toMatchObject({ error: 'invalid_request', status: 400 })
  }) // prettier-ignore

  test('M10 what it says of itself is shown only where it is text, and linked to only where it is a page', async () => {
    const strange = {
      client_name: { toString: 1 },
      logo_uri: 'javascript:alert(1)',
      policy_uri: 'data:text/html,x',
      tos_uri: 7,
      client_uri: 'https://client.example/',
    }
    const { server, ask } = documented({
      ...whole,
      ...strange,
      introspect: true,
      require_pkce: false,
      disabled: true,
      secrets: [],
      extra: 1,
    })
    await ask()
    const client = await configure(server.options).findClientToAuthorize(client_id)
    expect(client?.metadata).toEqual({
      client_id,
      client_uri: 'https://client.example/',
      redirect_uris: whole.redirect_uris,
      grant_types: whole.grant_types,
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      scope: ['read', 'write', 'admin'],
      defaultScope: ['read', 'write', 'admin'],
    })
    expect(client).toMatchObject({ introspect: false, require_pkce: true, disabled: false, isPublic: true })
  })

  test('M10 it gets tokens for people who agree, and never for itself', async () => {
    const grants = [authorizationCode(), refreshToken(), clientCredentials()]
    const { server, ask } = documented({ ...whole, grant_types: ['client_credentials', 'authorization_code', 'password'] }, {}, { grants })
    await ask()
    const { status, json } = await server.token({ grant_type: 'client_credentials', client_id })
    expect([status, json.error]).toEqual([400, 'unauthorized_client'])
  })

  test('M10 one that the application accepts', async () => {
    expect(await documented(whole, { accept: ({ client_name }) => client_name === 'Documented' }).ask()).toEqual({ name: 'Documented' })
    expect(await documented(whole, { accept: () => false }).ask()).toMatchObject({ error: 'invalid_request' })
  })
})

describe('how long it is believed', () => {
  test.each([
    [{}, 300],
    [{ 'cache-control': 'max-age=3600' }, 3600],
    [{ 'cache-control': 'public, max-age=10' }, 300],
    [{ 'cache-control': 'max-age=999999999' }, 86_400],
    [{ 'cache-control': 'no-store' }, 300],
    [{ 'cache-control': 'max-age=3600, no-cache' }, 300],
    [{ 'cache-control': 'max-age=-5' }, 300],
    [{ 'cache-control': 'max-age=much' }, 300],
  ])('M10 with %j for %d seconds, once somebody has authorised it', async (headers, lifetime) => {
    const subject = documented()
    subject.headers = headers
    await subject.server.code({ client_id })
    subject.document = { ...whole, client_name: 'Changed' }
    subject.server.now += lifetime - 1
    expect([await subject.ask(), subject.fetched.length]).toEqual([{ name: 'Documented' }, 1])
    subject.server.now += 1
    expect([await subject.ask(), subject.fetched.length]).toEqual([{ name: 'Changed' }, 2])
  })

  test('M10 a host is asked ten times a minute, whatever it answers; another host goes on', async () => {
    const subject = documented(undefined)
    for (let path = 0; path < 30; path++) await subject.ask(`https://client.example/${path}`)
    expect(subject.fetched).toHaveLength(10)
    expect(await subject.ask('https://client.example/more')).toMatchObject({ status: 503 })
    await subject.ask('https://other.example/1')
    expect(subject.fetched).toHaveLength(11)
    subject.server.now += 60
    await subject.ask('https://client.example/more')
    expect(subject.fetched).toHaveLength(12)
  })
})

describe('when its host is down', () => {
  test('M10 nobody is logged out: the token endpoint goes by what was read', async () => {
    const subject = documented()
    const { server } = subject
    const code = await server.code({ client_id })
    subject.isDown = true
    const redeemed = await server.token({ ...exchange(code), client_id })
    expect(redeemed.status).toBe(200)
    let refresh_token = redeemed.json.refresh_token ?? ''
    for (let day = 0; day < 20; day++) {
      server.now += 86_400
      const refreshed = await server.token({ grant_type: 'refresh_token', refresh_token, client_id })
      expect(refreshed.status).toBe(200)
      refresh_token = refreshed.json.refresh_token ?? ''
    }
    expect((await server.revoke({ token: refresh_token, client_id })).status).toBe(200)
    expect(subject.fetched).toHaveLength(1)
  })

  test('M10 who would be asked anew is told 503, and never that the client is unknown', async () => {
    const subject = documented()
    subject.isDown = true
    expect(await subject.ask()).toEqual({ error: 'temporarily_unavailable', status: 503 })
    expect(subject.server.events).toEqual([])
    subject.isDown = false
    expect(await subject.ask()).toEqual({ name: 'Documented' })
  })

  test('M10 the token endpoint fetches nothing for a client that nobody was asked about', async () => {
    const subject = documented()
    const { status, json } = await subject.server.token({ ...exchange('unknown'), client_id })
    expect([status, json.error, subject.fetched]).toEqual([401, 'invalid_client', []])
  })
})

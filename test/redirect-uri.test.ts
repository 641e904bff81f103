/** Redirection URIs: what may be registered, and what matches a registered one. Rows G1, N5 and M8, as far as they are about the text. */
import { describe, expect, it } from '@jest/globals'
import { ConfigurationError, memoryStore, saveClient, tokenHandler } from '../src/index.js'
import { isRegisteredRedirectUri, isWebPage, redirectUriFault, usualPrivateUseSchemes } from '../src/clients/redirect-uri.js'
import { testServer, web } from './support/server.js'

const strangers = new Set(usualPrivateUseSchemes)

describe('registration', () => {
  it.each([
    'https://client.example/callback',
    'https://client.example',
    'https://client.example:8443/cb?tenant=1&x=%20',
    'http://127.0.0.1/cb',
    'http://127.0.0.1:3000/cb',
    'http://[::1]/cb',
    'http://localhost:3000/',
    'com.example.app:/callback',
    'com.example.app:callback',
    'myapp://callback',
  ])('M8 %s may be registered', (uri) => {
    expect(redirectUriFault(uri)).toBeUndefined()
  })

  it.each([
    ['', 'must be ASCII without spaces'],
    ['https://client.example/a b', 'must be ASCII without spaces'],
    [' https://client.example/', 'must be ASCII without spaces'],
    ['https://client.example/\n', 'must be ASCII without spaces'],
    ['https://client.example/é', 'must be ASCII without spaces'],
    ['/callback', 'must be an absolute URI'],
    ['client.example/callback', 'must be an absolute URI'],
    ['//client.example/callback', 'must be an absolute URI'],
    ['https://', 'must be an absolute URI'],
    ['https://client.example/#', 'must not have a fragment'],
    ['https://client.example/cb#access_token', 'must not have a fragment'],
    ['com.example.app:/callback#x', 'must not have a fragment'],
    ['javascript:alert(1)', 'must not use the scheme javascript:'],
    ['JavaScript:alert(1)', 'must not use the scheme javascript:'],
    ['data:text/html,x', 'must not use the scheme data:'],
    ['vbscript:x', 'must not use the scheme vbscript:'],
    ['file:///etc/passwd', 'must not use the scheme file:'],
    ['blob:https://client.example/1', 'must not use the scheme blob:'],
    ['about:blank', 'must not use the scheme about:'],
    ['https://user@client.example/', 'must not hold a user name or password'],
    ['https://:secret@client.example/', 'must not hold a user name or password'],
    ['http://127.0.0.1@attacker.example/', 'must not hold a user name or password'],
    ['http://client.example/', 'must be https, unless its host is the loopback'],
    ['HTTP://client.example/', 'must be https, unless its host is the loopback'],
    ['http://localhost.attacker.example/', 'must be https, unless its host is the loopback'],
    ['http://127.0.0.1.attacker.example/', 'must be https, unless its host is the loopback'],
    ['http://10.0.0.1/', 'must be https, unless its host is the loopback'],
    ['http://0.0.0.0/', 'must be https, unless its host is the loopback'],
  ])('M8 %j may not: it %s', (uri, fault) => {
    expect(redirectUriFault(uri)).toBe(fault)
  })

  it('M8 a client with a bad one stops the start, and the message names the client, the URI and the fault', () => {
    const options = { clients: [{ ...web, redirect_uris: ['https://good.example/', 'http://client.example/'] }] }
    expect(() => tokenHandler(options)).toThrow(ConfigurationError)
    expect(() => tokenHandler(options)).toThrow(
      'client "web": redirect_uris: "http://client.example/" must be https, unless its host is the loopback',
    )
  })
})

describe('what strangers may register', () => {
  it.each([
    'https://client.example/callback',
    'http://127.0.0.1:3000/cb',
    'http://[::1]/cb',
    'http://localhost/',
    'com.example.app:/callback',
    'com.example.app:callback',
    'com.example.app://callback',
    'cursor://anysphere.cursor-mcp/oauth/callback',
    'vscode://vscode.github-authentication/did-authenticate',
    'vscode-insiders://x/y',
    'windsurf://callback',
    'jetbrains://idea/callback',
  ])('U27 X5 %s', (uri) => {
    expect(redirectUriFault(uri, strangers)).toBeUndefined()
  })

  it.each([
    'ms-msdt:/id', 'search-ms:query=x&crumb=location:%5C%5Cevil', 'tel:+1900', 'intent://x', 'chrome-extension://abc/cb', 'myapp://callback', 'sms:1', 'steam://run',
    'cursor2://x', 'http2://x', 'httpss://x',
  ])('U27 X5 %s may not: its scheme has no dot', (uri) => {
    expect(redirectUriFault(uri, strangers)).toBe(
      'must be https, http on the loopback, or have a scheme with a dot, or one of the option privateUseSchemes',
    )
    expect(redirectUriFault(uri)).toBeUndefined()
  }) // prettier-ignore

  it.each(['ftp://x/', 'ws://x/', 'wss://x/', 'mailto:a@x', 'filesystem:https://x/', 'view-source:https://x/', 'FTP://x/', 'file:///x'])(
    'U27 %s may not, by anybody',
    (uri) => {
      for (const schemes of [undefined, strangers, new Set(['ftp', 'ws', 'wss', 'mailto', 'filesystem', 'view-source', 'file'])]) {
        expect(redirectUriFault(uri, schemes)).toBe(`must not use the scheme ${uri.slice(0, uri.indexOf(':') + 1).toLowerCase()}`)
      }
    },
  )
})

describe('the text is what a URL parser reads', () => {
  it.each([
    ['https:dyn.example/cb', 'https://dyn.example/cb'],
    ['https:/dyn.example/cb', 'https://dyn.example/cb'],
    ['https:///dyn.example/cb', 'https://dyn.example/cb'],
    ['https:\\\\dyn.example/cb', 'https://dyn.example/cb'],
    ['https://dyn.example\\evil.example/cb', 'https://dyn.example/evil.example/cb'],
    ['https:claude.ai', 'https://claude.ai/'],
    ['http:localhost/x', 'http://localhost/x'],
    ['http:/localhost/x', 'http://localhost/x'],
    ['https://dyn.example:/cb', 'https://dyn.example/cb'],
    ['https://dyn.example:0443/cb', 'https://dyn.example/cb'],
    ['https://dyn.example:08443/cb', 'https://dyn.example:8443/cb'],
    ['https://dyn.example:00080/cb', 'https://dyn.example:80/cb'],
    ['https://@dyn.example/cb', 'https://dyn.example/cb'],
    ['https://dyn%2Eexample/cb', 'https://dyn.example/cb'],
    ['https://dyn.example/a/../cb', 'https://dyn.example/cb'],
    ['https://dyn.example/./cb', 'https://dyn.example/cb'],
    ['https://dyn.example/%2E%2e/cb', 'https://dyn.example/cb'],
    ['https://dyn.example/"cb"', 'https://dyn.example/%22cb%22'],
    ['https://dyn.example/cb?x=<y>', 'https://dyn.example/cb?x=%3Cy%3E'],
    ['http://127.1/cb', 'http://127.0.0.1/cb'],
    ['http://2130706433/cb', 'http://127.0.0.1/cb'],
    ['http://[0:0:0:0:0:0:0:1]/cb', 'http://[::1]/cb'],
    ['com.example.app:/a/../cb', 'com.example.app:/cb'],
    ['com.example.app:///a/./cb', 'com.example.app:///a/cb'],
  ])('U26 X19 %s may not be registered: it is read as %s', (uri, read) => {
    expect(redirectUriFault(uri, strangers)).toBe('must be written as a URL parser reads it')
    expect(redirectUriFault(uri)).toBe(`must be written as a URL parser reads it: "${read}"`)
  })

  it.each([
    'https://dyn.example/a\\b',
    'https://dyn.example/a|b',
    'https://dyn.example/a^b',
    'https://dyn.example/{b}',
    'com.example.app:/a\\b',
  ])('U26 %s holds a character that no path has', (uri) => {
    expect(redirectUriFault(uri, strangers)).toBe('must be written as a URL parser reads it')
  })

  it.each([
    'https://client.example',
    'https://client.example?x=1',
    'HTTPS://Client.Example/CB',
    'https://client.example:443/cb',
    'http://localhost:80/cb',
    'https://client.example/%7Euser/%2F%3a%2f%c3%a9?u=https%3A%2F%2Fx%2F&e=%20',
    "https://client.example/o'brien?n='x'&a=b;c=d",
    'https://client.example/a;b=c,d@e:f!$&()*+=~_-.',
    'https://client.example/cb?tenant={id}|x',
    'https://client.example//cb',
    'https://xn--bcher-kva.example/cb',
    'https://client.example./cb',
    'com.example.app:callback?x=1',
    'Com.Example.App:/cb',
    "com.example.app:/cb?x='y'",
  ])('U26 %s goes on to be taken', (uri) => {
    expect(redirectUriFault(uri, strangers)).toBeUndefined()
    expect(redirectUriFault(uri)).toBeUndefined()
  })

  it('U26 in the options and in saveClient it stops, and the message says how to write it', async () => {
    const client = { ...web, redirect_uris: ['https:/client.example/cb'] }
    const message =
      'client "web": redirect_uris: "https:/client.example/cb" must be written as a URL parser reads it: "https://client.example/cb"'
    expect(() => tokenHandler({ clients: [client] })).toThrow(new ConfigurationError(message))
    await expect(saveClient({ store: memoryStore() }, client)).rejects.toThrow(new ConfigurationError(message))
  })

  it('U26 a client that is found with one keeps its other URIs, and an event says why that one is refused', async () => {
    const redirect_uris = ['https:client.example/old', 'https://client.example/callback']
    const server = testServer({ clients: () => ({ ...web, redirect_uris }) })
    await expect(server.code({ redirect_uri: 'https:client.example/old' })).rejects.toMatchObject({
      description: 'redirect_uri is not registered',
      reason: 'redirect_uri is registered, but may not be any more',
    })
    expect(await server.code({ redirect_uri: 'https://client.example/callback' })).toContain('.')
  })

  it.each([
    'https:client.example',
    'https:/x',
    'https:///x',
    'https:\\\\x',
    'https://',
    'javascript:x',
    'data:,x',
    ' https://x/',
    5,
    undefined,
  ])('X19 %j is no address of a page', (value) => {
    expect([isWebPage(value), isWebPage('https://client.example/')]).toEqual([false, true])
  })
})

describe('matching', () => {
  const registered = 'https://client.example/callback'

  it('G1 the very same bytes match', () => {
    expect(isRegisteredRedirectUri(registered, registered)).toBe(true)
  })

  it.each([
    'https://client.example/callback/',
    'https://client.example/Callback',
    'https://CLIENT.example/callback',
    'https://client.example:443/callback',
    'https://client.example:8443/callback',
    'https://client.example/callback?',
    'https://client.example/callback?x=1',
    'https://client.example/callback#x',
    'https://client.example/./callback',
    'https://client.example/%63allback',
    'https://client.example/callback ',
    'http://client.example/callback',
    'https://client.example.attacker.example/callback',
    'https://attacker.example/?https://client.example/callback',
    '',
  ])('G1 %j does not match', (presented) => {
    expect(isRegisteredRedirectUri(presented, registered)).toBe(false)
  })

  it.each([
    ['http://127.0.0.1:49152/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:49152/cb', 'http://127.0.0.1:3000/cb'],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:3000/cb'],
    ['http://[::1]:49152/cb?a=b', 'http://[::1]/cb?a=b'],
    ['http://localhost:49152/', 'http://localhost/'],
    ['http://localhost:65535', 'http://localhost'],
  ])('M8 %s is the registered %s: the port of the loopback is free', (presented, loopback) => {
    expect(isRegisteredRedirectUri(presented, loopback)).toBe(true)
  })

  it.each([
    ['http://127.0.0.1:49152/other', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:49152/cb/', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:49152/cb?x', 'http://127.0.0.1/cb'],
    ['http://localhost:49152/cb', 'http://127.0.0.1/cb'],
    ['http://[::1]:49152/cb', 'http://127.0.0.1/cb'],
    ['https://127.0.0.1:49152/cb', 'https://127.0.0.1/cb'],
    ['http://127.0.0.1:49152@attacker.example/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:80.attacker.example/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:99999/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:123456/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:49152/cb#x', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:49152\\@attacker.example/cb', 'http://127.0.0.1/cb'],
    ['http://localhost.attacker.example:80/', 'http://localhost/'],
    ['HTTP://127.0.0.1:49152/cb', 'http://127.0.0.1/cb'],
  ])('M8 %s is not the registered %s', (presented, loopback) => {
    expect(isRegisteredRedirectUri(presented, loopback)).toBe(false)
  })

  it('N5 a code goes to a registered URI only', async () => {
    const server = testServer()
    await expect(server.code({ redirect_uri: 'https://client.example/callback/' })).rejects.toThrow('redirect_uri is not registered')
    expect(await server.code({ redirect_uri: registered })).toMatch(/^[\w-]{22}\.[\w-]{43}$/)
  })
})

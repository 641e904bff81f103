/** Redirection URIs: what may be registered, and what matches a registered one. Rows G1, N5 and M8, as far as they are about the text. */
import { describe, expect, it } from '@jest/globals'
import { ConfigurationError, tokenHandler } from '../src/index.js'
import { isRegisteredRedirectUri, redirectUriFault } from '../src/redirect-uri.js'
import { testServer, web } from './support/server.js'

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

/** Attacks by the redirection: nobody is sent, and nothing is told, anywhere but to what was registered. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createHash } from 'node:crypto'
import { basic, exchange, native, redirect_uri, web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { authorizePath, issuer, startSite, type Site } from './site.js'

const loopback = {
  ...native,
  client_id: 'loopback',
  redirect_uris: ['http://127.0.0.1/cb', 'http://[::1]:1/cb?x=1', 'http://localhost:8080'],
}
const other = { ...web, client_id: 'other', client_secret: 'other-secret-0123456789abcdef', redirect_uris: ['https://other.example/cb'] }
const resources = new Resources()
let site: Site
beforeAll(async () => {
  site = await startSite(resources, { clients: [web, other, loopback] })
})
afterAll(() => resources.close())

/** What a browser gets that is led there; `uri` as it stands in the query. */
async function led(uri: string, client_id = 'web') {
  const path = authorizePath({ redirect_uri: undefined, client_id })
  const good = await site.browser().go(`${path}&redirect_uri=${uri}`)
  const bad = await site.browser().go(`${path.replace('response_type=code', 'response_type=x')}&redirect_uri=${uri}`)
  return { good, bad }
}

describe('M8 open redirect', () => {
  test.each([
    ['another host', 'https://evil.example/callback'],
    ['userinfo', 'https://client.example@evil.example/callback'],
    ['userinfo of its own', 'https://user@client.example/callback'],
    ['an empty userinfo', 'https://@client.example/callback'],
    ['userinfo with the whole URI', 'https://client.example%2Fcallback@evil.example/'],
    ['a port', 'https://client.example:8443/callback'],
    ['the default port', 'https://client.example:443/callback'],
    ['case of the host', 'https://CLIENT.example/callback'],
    ['case of the scheme', 'HTTPS://client.example/callback'],
    ['case of the path', 'https://client.example/Callback'],
    ['another scheme', 'http://client.example/callback'],
    ['no scheme', '//client.example/callback'],
    ['a subdomain', 'https://client.example.evil.example/callback'],
    ['a prefix', 'https://evil-client.example/callback'],
    ['a dot at the end of the host', 'https://client.example./callback'],
    ['a slash at the end', 'https://client.example/callback/'],
    ['a longer path', 'https://client.example/callback/../evil'],
    ['dot segments', 'https://client.example/x/../callback'],
    ['encoded dots', 'https://client.example/x/%252e%252e/callback'],
    ['encoded dots behind', 'https://client.example/callback/%252e%252e/evil'],
    ['an encoded letter', 'https://client.example/%2563allback'],
    ['a query', 'https://client.example/callback?next=https://evil.example'],
    ['an empty query', 'https://client.example/callback?'],
    ['a fragment', 'https://client.example/callback%23x'],
    ['an empty fragment', 'https://client.example/callback%23'],
    ['a space behind', 'https://client.example/callback%20'],
    ['a plus behind', 'https://client.example/callback+'],
    ['a space before', '%20https://client.example/callback'],
    ['a tab', 'https://client.example/call%09back'],
    ['a line feed', 'https://client.example/callback%0A'],
    ['CR LF and a header', 'https://client.example/callback%0D%0ALocation:%20https://evil.example'],
    ['a zero byte', 'https://client.example/callback%00'],
    ['a zero byte and more', 'https://client.example/callback%00.evil.example'],
    ['backslashes', 'https:%5C%5Cclient.example/callback'],
    ['a backslash and a host', 'https://evil.example%5C@client.example/callback'],
    ['a backslash for a slash', 'https://client.example%5Ccallback'],
    ['a fullwidth letter', 'https://client.example/callback%EF%BD%8B'],
    ['a fullwidth dot', 'https://client%EF%BC%8Eexample/callback'],
    ['a Cyrillic letter', 'https://cli%D0%B5nt.example/callback'],
    ['a soft hyphen', 'https://client%C2%AD.example/callback'],
    ['a right-to-left override', 'https://client.example/callback%E2%80%AE'],
    ['invalid UTF-8', 'https://client.example/callback%FF'],
    ['a script', 'javascript:alert(1)//https://client.example/callback'],
    ['a data URL', 'data:text/html,x'],
    ['that of another client', 'https://other.example/cb'],
    ['nothing', ''],
    ['the word null', 'null'],
    ['a list', 'https://client.example/callback,https://evil.example'],
    ['twice, good first', `${redirect_uri}&redirect_uri=https://evil.example`],
    ['twice, good last', `https://evil.example&redirect_uri=${redirect_uri}`],
    ['twice the same', `${redirect_uri}&redirect_uri=${redirect_uri}`],
    ['twice, one by an encoded name', `${redirect_uri}&redirect%5Furi=https://evil.example`],
  ])('M8 %s is a page', async (what, uri) => {
    const { good, bad } = await led(uri)
    if (what === 'nothing') {
      // RFC 6749 §3.1.2.3: an empty one is as good as none, where one is registered
      expect(bad.location).toMatch(/^https:\/\/client\.example\/callback\?error=/)
      return
    }
    for (const page of [good, bad]) {
      expect([page.status, page.location, page.headers.refresh]).toEqual([400, undefined, undefined])
      expect(page.body).not.toContain('evil')
    }
  })

  test.each(['redirect_uri[]', 'redirect_uri[0]', 'Redirect_uri', ' redirect_uri'])('T8 %j is just another name', async (name) => {
    const path = `${authorizePath()}&${encodeURIComponent(name)}=https://evil.example`
    expect((await site.browser().decide(path)).location).toMatch(/^https:\/\/client\.example\/callback\?code=/)
  })
})

describe('M8 the port of a loopback redirection URI', () => {
  test.each([
    'http://127.0.0.1:49152/cb',
    'http://127.0.0.1/cb',
    'http://127.0.0.1:1/cb',
    'http://[::1]:65535/cb?x=1',
    'http://localhost:3000',
    'http://localhost',
  ])('M8 %s is registered, and the code is bound to it byte for byte', async (uri) => {
    const { location, answer } = await site.browser().decide(authorizePath({ client_id: 'loopback', redirect_uri: uri }))
    expect(location?.startsWith(`${uri}${uri.includes('?') ? '&' : '?'}code=`)).toBe(true)
    const form = { ...exchange(answer.code ?? ''), client_id: 'loopback' }
    expect((await site.server.token({ ...form, redirect_uri: 'http://127.0.0.1/other' })).status).toBe(400)
    expect((await site.server.token({ ...form, redirect_uri: uri.replace(/:\d+(?=\/|$)/, ':9') + 'x' })).status).toBe(400)
    expect((await site.server.token({ ...form, redirect_uri: uri })).status).toBe(200)
  })

  test.each([
    'http://127.0.0.1:99999/cb',
    'http://127.0.0.1:/cb',
    'http://127.0.0.1:80@evil.example/cb',
    'http://127.0.0.1:80%5C@evil.example/cb',
    'http://127.0.0.1:80%23@evil.example/cb',
    'http://127.0.0.1.evil.example/cb',
    'http://127.0.0.2/cb',
    'http://127.1:80/cb',
    'http://2130706433/cb',
    'http://localhost/cb',
    'https://127.0.0.1:80/cb',
    'http://127.0.0.1:80/cb/',
    'http://127.0.0.1:80/cb%0A',
    'http://127.0.0.1:%2080/cb',
    'http://127.0.0.1:-1/cb',
    'http://[::ffff:127.0.0.1]/cb?x=1',
    'http://[::1]:80/cb?x=2',
    'http://localhost:8080/',
    'http://localhost:8080@evil.example',
    'http://LOCALHOST:8080',
  ])('M8 %s is not', async (uri) => {
    const { good, bad } = await led(uri, 'loopback')
    expect([good.status, good.location, bad.status, bad.location]).toEqual([400, undefined, 400, undefined])
  })
})

describe('M6 response splitting, injection, mix-up', () => {
  test.each(['a\r\nSet-Cookie: x=y', '\r\n\r\n<script>', 'a&code=stolen&iss=https://evil.example', '#code=stolen', '\u0000', '\u2028', 'é☃💥', '%0d%0a', `'"<>\\`])(
    'M6 the state %j comes back as one parameter',
    async (state) => {
      const browser = site.browser()
      for (const page of [await browser.decide(authorizePath({ state })), await browser.go(authorizePath({ state, scope: 'x' }))]) {
        const { searchParams, hash } = new URL(page.location ?? '')
        expect([searchParams.getAll('state'), searchParams.getAll('iss'), hash]).toEqual([[state], [issuer], ''])
        expect(page.location).toMatch(/^[\x21-\x7e]+$/)
        expect(page.headers['set-cookie']).toBeUndefined()
      }
    },
  ) // prettier-ignore

  test('M6 a state that is not UTF-8, or stands twice, is a page', async () => {
    for (const state of ['%FF', '%zz', 'a&state=b']) {
      const { status, location } = await site.browser().go(`${authorizePath({ state: undefined })}&state=${state}`)
      expect([status, location]).toEqual([400, undefined])
    }
  })

  test('G1 G2 a code that was injected into the session of another client or verifier gives nothing', async () => {
    const code = async () => (await site.browser().decide(authorizePath())).answer.code ?? ''
    const stolen = exchange(await code())
    expect((await site.server.token({ ...stolen, redirect_uri: 'https://other.example/cb' }, basic(other))).json.error).toBe(
      'invalid_grant',
    )
    expect((await site.server.token({ ...stolen, code_verifier: 'v'.repeat(43) }, basic(web))).json.error).toBe('invalid_grant')
    expect(createHash('sha256').update('v'.repeat(43)).digest('base64url')).not.toBe(stolen.code_challenge)
    const { redirect_uri: _left, ...without } = exchange(await code())
    expect((await site.server.token(without, basic(web))).status).toBe(400)
  })

  test('M7 an answer always names who gave it, so that servers are not mixed up', async () => {
    const browser = site.browser()
    const answers = [await browser.decide(authorizePath()), await browser.decide(authorizePath(), 'deny')]
    answers.push(await browser.go(authorizePath({ code_challenge: undefined })), await browser.go(authorizePath({ prompt: 'none' })))
    for (const { answer } of answers) expect(answer.iss).toBe(issuer)
  })
})

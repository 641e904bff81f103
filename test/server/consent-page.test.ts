/** The pages of the authorization endpoint: what a client wrote about itself is text there, and nothing else. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { authorizationHandler, type AuthorizationRequest, type ClientMetadata, type ServerOptions } from '../../src/index.js'
import { native, testServer, web } from '../support/server.js'
import { Resources } from '../support/wire.js'
import { authorizePath, startSite } from './site.js'

const resources = new Resources()
afterEach(() => resources.close())

async function pageOf(client: ClientMetadata, parts = {}, options: ServerOptions = {}) {
  const site = await startSite(resources, { clients: [client], ...options }, parts)
  const { client_id, redirect_uris: [redirect_uri] = [] } = client
  return (await site.browser().go(authorizePath({ client_id, redirect_uri }))).body
}

describe('M6 the consent page', () => {
  test('M6 is a plain form with two buttons, for ears and eyes', async () => {
    const body = await pageOf({ ...web, client_name: 'Reports' })
    expect(body).toContain('<html lang="en">')
    expect(body).toContain('<h1>Allow access?</h1>')
    expect(body).toContain('<strong dir="auto">Reports</strong> asks for access to your account.')
    expect(body).toContain('<strong dir="auto">client.example</strong>')
    expect(body).toContain('<button type="submit" name="decision" value="deny">Deny</button>')
    expect(body).not.toMatch(/<script|<img|<a |http-equiv| on\w+=/)
  })

  test.each([
    ['markup', '<script>alert(1)</script>', '&lt;script&gt;alert(1)&lt;/script&gt;'],
    ['quotes', `"onclick='x'&amp;`, '&quot;onclick=&#39;x&#39;&amp;amp;'],
    ['replacement patterns', `$& $' $\` $1 $$`, '$&amp; $&#39; $` $1 $$'],
    ['our placeholders', '{host} {client}', '{host} {client}'],
  ])('M6 %s in a name is text', async (_what, client_name, shown) => {
    const body = await pageOf({ ...web, client_name })
    expect(body).toContain(`<p><strong dir="auto">${shown}</strong> asks for access to your account.</p>`)
    expect(body.match(/<form/g)).toHaveLength(1)
  })

  test.each(['', '   '])('M6 without a name, "%s", the client is called by its id', async (client_name) => {
    expect(await pageOf({ ...web, client_name })).toContain('<strong dir="auto">web</strong>')
  })

  test.each(['javascript:alert(1)', 'data:text/html,x', 'vbscript:x', ' javascript:x', 'JavaScript:x'])(
    'M6 %s in registered URLs is not on the page',
    async (uri) => {
      const body = await pageOf({ ...web, policy_uri: uri, logo_uri: uri, tos_uri: uri, client_uri: uri })
      expect(body).not.toMatch(/javascript:|data:|vbscript:/i)
    },
  )

  test('M6 says where the answer goes, and what runs on the own machine', async () => {
    const loopback = { ...native, redirect_uris: ['http://127.0.0.1/cb', 'http://localhost:1/cb', 'http://[::1]/cb'] }
    expect(await pageOf(loopback)).toContain('<p class="note">This application runs on your own device.')
    expect(await pageOf({ ...native, redirect_uris: ['http://127.0.0.1/cb', 'https://client.example/'] })).not.toContain('class="note"')
    expect(await pageOf({ ...native, redirect_uris: ['com.example.app://accounts.bank.example/cb'] })).toContain(
      '<strong dir="auto">com.example.app:</strong>',
    )
    expect(await pageOf({ ...native, redirect_uris: ['https://bücher.example/'].map((uri) => new URL(uri).href) })).toContain(
      'xn--bcher-kva.example',
    )
  })

  test.each([
    ['an override of direction', 'Google\u202Egnp.evil', 'Googlegnp.evil'],
    ['isolates and marks', '\u2067a\u200Eb\u2069\u061C', 'ab'],
    ['what has no width', 'Goo\u200Bgle\u2060\uFEFF\u00AD', 'Google'],
    ['controls', 'a\u0000b\u001b[2J\nc\u0085', 'ab[2Jc'],
    ['tags', 'Bank\u{e0041}\u{e007f}', 'Bank'],
    ['nothing that can be seen', '\u200B\u3164\u00A0 ', 'web'],
  ])('V6 %s in a name is not on the page, nor told to a page of the application', async (_what, client_name, shown) => {
    let told = ''
    const authorize = ({ client }: AuthorizationRequest) => ((told = client.name), { subject: 'alice' })
    const body = await pageOf({ ...web, client_name }, { authorize })
    expect(body).toContain(`<p><strong dir="auto">${shown}</strong> asks for access to your account.</p>`)
    expect(told).toBe(shown)
  })

  test('V6 a name that registered itself, or stands in a document, likewise; and addresses of pages are escaped', async () => {
    let told: AuthorizationRequest['client'] | undefined
    const authorize = ({ client }: AuthorizationRequest) => ((told = client), { subject: 'alice' })
    const client_name = 'Google\u202Egnp.evil'
    const members = {
      client_name,
      client_uri: 'https://client.example/\u202Egnp',
      policy_uri: 'https:evil.example',
      redirect_uris: ['https://client.example/'],
    }
    const fetch = (client_id: string) => Promise.resolve({ document: { client_id, ...members }, headers: {} })
    const site = await startSite(resources, { clientIdMetadataDocuments: { fetch } }, { authorize })
    const path = authorizePath({ client_id: 'https://client.example/c.json', redirect_uri: 'https://client.example/' })
    expect((await site.browser().go(path)).body).toContain('<strong dir="auto">Googlegnp.evil</strong>')
    expect(told).toMatchObject({ uri: 'https://client.example/%E2%80%AEgnp', policy_uri: undefined })
  })

  test('U25 X17 names the host of a client_id that is a URL, and tells a page of the application who is a stranger', async () => {
    const told: AuthorizationRequest['client'][] = []
    const authorize = ({ client }: AuthorizationRequest) => (told.push(client), { subject: 'alice' })
    const redirect_uri = 'http://127.0.0.1/cb'
    const fetch = (client_id: string) =>
      Promise.resolve({ document: { client_id, client_name: 'Claude', redirect_uris: [redirect_uri] }, headers: {} })
    const site = await startSite(resources, { clientIdMetadataDocuments: { fetch } }, { authorize, registration: true })
    const documented = await site.browser().go(authorizePath({ client_id: 'https://totally-evil.example:8443/c', redirect_uri }))
    expect(documented.body).toContain('<p>This application is published by <strong dir="auto">totally-evil.example:8443</strong>.</p>')
    const body = JSON.stringify({ client_name: 'Claude', redirect_uris: [redirect_uri], token_endpoint_auth_method: 'none' })
    const registered = await site
      .browser()
      .go('/oauth2/register', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const { client_id } = JSON.parse(registered.body) as { client_id: string }
    expect((await site.browser().go(authorizePath({ client_id, redirect_uri }))).body).not.toContain('published by')
    expect((await site.browser().go(authorizePath())).body).not.toContain('published by')
    expect(told.map(({ isStranger, documentHost, isLoopbackOnly }) => [isStranger, documentHost, isLoopbackOnly])).toEqual([
      [true, 'totally-evil.example:8443', true],
      [true, undefined, true],
      [false, undefined, false],
    ])
  })

  test('U25 U26 the note about the own machine is there however the scheme and the host are written', async () => {
    for (const uri of ['HTTP://127.0.0.1/cb', 'http://LOCALHOST:80/cb', 'https://localhost/cb'])
      expect(await pageOf({ ...native, redirect_uris: [uri] })).toContain('<p class="note">This application runs on your own device.')
  })

  test('M6 its texts may be others', async () => {
    const texts = { lang: 'de', title: 'Zugriff <erlauben>?', question: '{client} will an Ihre Daten.', allow: 'Ja', deny: 'Nein' }
    const body = await pageOf(web, { texts })
    expect(body).toContain('<html lang="de">')
    expect(body).toContain('<h1>Zugriff &lt;erlauben&gt;?</h1>')
    expect(body).toContain('<p><strong dir="auto">web</strong> will an Ihre Daten.</p>')
    expect(body).toContain('>Nein</button>')
    expect(body).toContain('It will be able to:')
    const site = await startSite(resources, {}, { texts: { errorTitle: 'Geht nicht', errorAdvice: undefined } as object })
    expect((await site.browser().go('/oauth2/authorize')).body).toContain('<h1>Geht nicht</h1>')
  })

  test.each([{ titel: 'x' }, { title: 5 }, { title: '' }, 'de'])('M6 wrong texts, %j, stop the start', (texts) => {
    const { options } = testServer()
    expect(() => authorizationHandler(options, () => undefined, { texts: texts as object })).toThrow(/texts/)
  })

  test('M6 wrong parts stop the start', () => {
    const { options } = testServer()
    expect(() => authorizationHandler(options, undefined as never)).toThrow(/the second argument must be authorize/)
    expect(() => authorizationHandler(options, () => undefined, { text: {} } as object)).toThrow(/text/)
  })

  test('R2 the error page does not echo', async () => {
    const site = await startSite(resources)
    const { body } = await site.browser().go('/oauth2/authorize?client_id=<script>alert(1)</script>')
    expect(body).not.toContain('alert(1)')
  })
})

/** The examples of the whole server run as their headers say, and get the answers that their headers show. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { paste, startExample, type RunningExample } from '../support/example.js'
import { decideOnPage, trustingFetch } from './https-support.js'
import { Provider, version1, version2 } from './mcp-support.js'

const folder = new URL('../../examples/', import.meta.url)
const names = ['authorization-server.ts', 'consent-page.ts', 'mcp-server.ts', 'single-page-app.ts']

const running: RunningExample[] = []
afterEach(async () => {
  for (const example of running.splice(0)) await example.stop()
})

async function start(name: string, ready?: RegExp): Promise<RunningExample> {
  const example = await startExample(`examples/${name}`, ready)
  running.push(example)
  return example
}

const source = (name: string) => readFileSync(new URL(name, folder), 'utf8')

/** A line of the header, such as `Try it:`. */
const headerLine = (name: string, label: string) => new RegExp(`^ \\* ${label}: +(.+)$`, 'm').exec(source(name))?.[1] ?? ''

/** Text of a run as the header has it: the usual ports, and `…` for what changes from run to run. */
function asInHeader(text: string): string {
  return text
    .replace(/"(access_token|refresh_token)":"[^"]+"/g, '"$1":"…"')
    .replace(/Origin: https:\/\/localhost:\d+/g, 'Origin: https://localhost:3001')
    .replace(/(?<!Origin: https:\/\/)localhost:\d+/g, 'localhost:3000')
    .replace(/ code=(?!x$)\S+/, ' code=<code>')
    .replace(/code_verifier=\S+/, 'code_verifier=<verifier>')
}

describe('the examples of the whole server', () => {
  test.each(names)('%s has at most 60 lines and a header that says how to run it', (name) => {
    expect(source(name).trimEnd().split('\n').length).toBeLessThanOrEqual(60)
    expect(headerLine(name, 'Run it')).toBe(`npx tsx examples/${name}`)
    expect(headerLine(name, 'Try it')).toMatch(/^curl -k https:\/\/localhost:3000\//)
    expect(headerLine(name, 'Answer')).toMatch(/^\{.+\}$/)
  })

  test('M6 V31 authorization-server.ts: login, consent, exchange, API', async () => {
    const { output } = await start('authorization-server.ts', /^Open .+\n/m)
    const url = output.trim().slice('Open '.length)
    const { origin } = new URL(url)
    const toLogin = await trustingFetch(url)
    const login = origin + (toLogin.headers.get('location') ?? '')
    expect(login).toBe(`${origin}/login`)
    const back = toLogin.headers
      .getSetCookie()
      .flatMap((set) => /^__Host-back=[^;]+/.exec(set) ?? [])
      .join()
    const logIn = (password: string, site = 'same-origin', at = login, cookie = back) =>
      trustingFetch(at, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': site, cookie },
        body: `name=alice&password=${password}`,
      })
    expect((await logIn('wrong')).status).toBe(403)
    expect((await logIn('swordfish', 'cross-site')).status).toBe(403)
    const elsewhere = await logIn('swordfish', 'same-origin', `${origin}/login?back=//elsewhere.example`, '')
    expect(elsewhere.headers.get('location')).toBe('/')
    const loggedIn = await logIn('swordfish')
    expect(origin + (loggedIn.headers.get('location') ?? '')).toBe(url)
    const session = loggedIn.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
    const asAlice = (address: string | URL | Request, init?: RequestInit) => {
      const headers = new Headers(init?.headers)
      headers.set('cookie', [session, headers.get('cookie') ?? ''].filter((cookie) => cookie !== '').join('; '))
      return trustingFetch(address, { ...init, headers })
    }
    const line = await (await trustingFetch(await decideOnPage(url, 'allow', asAlice))).text()
    expect(asInHeader(line)).toBe(headerLine('authorization-server.ts', 'Try it'))
    const answer = await paste(line)
    expect(asInHeader(answer)).toBe(headerLine('authorization-server.ts', 'Answer'))
    const { access_token } = JSON.parse(answer) as { access_token: string }
    const notes = await trustingFetch(`${origin}/notes`, { headers: { authorization: `Bearer ${access_token}` } })
    expect(await notes.json()).toEqual({ notes: ['water the plants'], of: 'alice' })
    const denied = await decideOnPage(url, 'deny', asAlice)
    expect([denied.searchParams.get('error'), denied.searchParams.get('iss')]).toEqual(['access_denied', origin])
  })

  test('V26 consent-page.ts: the page of the example asks, its hidden field is `confirmation`, and both answers arrive', async () => {
    const { output } = await start('consent-page.ts', /^Open \S+\n/m)
    const url = /^Open (\S+)$/m.exec(output)?.[1] ?? ''
    const page = await (await trustingFetch(url)).text()
    expect(page).toContain('<strong dir="auto">The example</strong> wants access to your account alice.')
    expect(page).toContain('<li>read your notes</li>')
    expect([...page.matchAll(/<input type="hidden" name="(\w+)"/g)].map(([, name]) => name)).toEqual(['confirmation'])
    const line = await (await trustingFetch(await decideOnPage(url, 'allow'))).text()
    expect(asInHeader(line)).toBe(headerLine('consent-page.ts', 'Try it'))
    expect(asInHeader(await paste(line))).toBe(headerLine('consent-page.ts', 'Answer'))
    expect((await decideOnPage(url, 'deny')).searchParams.get('error')).toBe('access_denied')
  })

  test.each([
    ['1', version1],
    ['2', version2],
  ])('M13 mcp-server.ts: the official client, version %s, calls its tools', async (_version, connect) => {
    const { curlLine, output } = await start('mcp-server.ts')
    expect(asInHeader(curlLine)).toBe(headerLine('mcp-server.ts', 'Try it'))
    expect(asInHeader(await paste(curlLine))).toBe(headerLine('mcp-server.ts', 'Answer'))
    const url = new URL(/https:\S+\/mcp/.exec(output)?.[0] ?? '')
    const provider = new Provider()
    provider.clientMetadata = { ...provider.clientMetadata, grant_types: ['authorization_code'] }
    const session = connect(url, provider)
    expect(await session.call('list_notes')).toContain('water the plants')
    const read = provider.held?.access_token ?? ''
    expect(await session.call('clear_notes')).toContain('1 forgotten')
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'clear_notes' } }
    const headers = { authorization: `Bearer ${read}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    for (const body of [call, [call], [{ ...call, id: 2, params: { name: 'list_notes' } }, call]])
      expect((await trustingFetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).status).toBe(403)
    expect((await trustingFetch(url, { method: 'POST', headers, body: '[null]' })).status).toBe(400)
  })

  test('T12 single-page-app.ts: its page may call, and another may not', async () => {
    const { curlLine, output } = await start('single-page-app.ts')
    expect(asInHeader(curlLine)).toBe(headerLine('single-page-app.ts', 'Try it'))
    expect(await paste(curlLine)).toBe(headerLine('single-page-app.ts', 'Answer'))
    const page = /^Open (https:\/\/localhost:\d+)/m.exec(output)?.[1] ?? ''
    const api = /curl -k (https:\/\/localhost:\d+)/.exec(output)?.[1] ?? ''
    for (const place of ['/oauth2/token', '/notes']) {
      const preflight = async (origin: string) => {
        const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }
        return (await trustingFetch(api + place, { method: 'OPTIONS', headers })).headers.get('access-control-allow-origin')
      }
      expect([await preflight(page), await preflight('https://elsewhere.example')]).toEqual([page, null])
    }
  })
})

import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import connect from 'connect'
import express from 'express'
import express4 from 'express4'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { connect as connect2, createServer as createServer2 } from 'node:http2'
import { connect as tcp, type AddressInfo } from 'node:net'
import {
  createAccessTokenResponse,
  requireOAuth1,
  temporaryCredentialsHandler,
  tokenCredentialsHandler,
  type OAuth1Info,
} from '../../src/oauth1/index.js'
import {
  authorized,
  callback,
  client,
  exchangeRequest,
  formOf,
  joined,
  oauth1Server,
  signed,
  tokenFor,
  type Pairs,
  type SignOptions,
} from './support.js'

let server: Server | undefined

beforeEach(() => {
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
})

afterEach(async () => {
  jest.restoreAllMocks()
  server?.closeAllConnections()
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)))
  server = undefined
})

async function listen(app: RequestListener): Promise<string> {
  server = createServer(app)
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${((server.address() ?? {}) as AddressInfo).port}`
}

const local = () => oauth1Server({ allowInsecureTransport: true })

/** Sends what `signed` made. */
async function send(url: string, signer: Parameters<typeof signed>[1], options: SignOptions = {}, body?: string): Promise<Response> {
  const request = signed(url, signer, options)
  const text = body ?? (request.body as string | undefined)
  return fetch(request.url, {
    method: request.method,
    headers: request.headers as Record<string, string>,
    ...(text === undefined ? {} : { body: text }),
  })
}

const initiation = { protocol: { oauth_callback: callback } }
const form: Pairs = [['own', 'a b+c'], ['own', 'ä'], ['empty', '']] // prettier-ignore

const frameworks: readonly [string, (path: string, handler: ReturnType<typeof temporaryCredentialsHandler>) => RequestListener][] = [
  ['Express 5', (path, handler) => express().use(path, handler)],
  ['Express 4', (path, handler) => express4().use(path, handler)],
  ['Connect', (path, handler) => connect().use(path, handler as connect.NextHandleFunction)],
  ['node:http', (_path, handler) => (req, res) => handler(req, res)],
]

test.each(frameworks)('O1 the endpoints under %s, at a mount path, in all three places', async (_name, mount) => {
  const { options } = local()
  const url = `${await listen(mount('/oauth/initiate', temporaryCredentialsHandler(options)))}/oauth/initiate`
  for (const place of ['header', 'query', 'body'] as const) {
    const response = await send(url, client, { ...initiation, form, place })
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('&oauth_callback_confirmed=true')])
    expect(response.headers.get('content-type')).toBe('application/x-www-form-urlencoded')
    expect(response.headers.get('cache-control')).toBe('no-store')
  }
  expect((await send(`${url}/deeper?x=%20`, client, { ...initiation, method: 'GET' })).status).toBe(200)
  const refused = await fetch(url, { method: 'DELETE' })
  expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, POST'])
})

test('O1 the token credentials endpoint over http, and context for the response', async () => {
  const target = oauth1Server({
    allowInsecureTransport: true,
    context: (req: IncomingMessage) => ({ agent: req.headers['x-agent'] }),
    responseParameters: ({ context, subject }) => ({ agent: String(context.agent), user: subject }),
  })
  const url = `${await listen(express().use(tokenCredentialsHandler(target.options)))}/token`
  const { token, oauth_verifier } = await authorized(target)
  const request = signed(url, { ...client, token }, { protocol: { oauth_verifier } })
  const response = await fetch(url, { method: 'POST', headers: { ...(request.headers as Record<string, string>), 'x-agent': 'x' } })
  expect(await response.text()).toMatch(/^oauth_token=.*&agent=x&user=alice$/)
})

const parsers: readonly [string, express.RequestHandler][] = [
  ['express.urlencoded()', express.urlencoded()],
  ['express.urlencoded({ extended: true })', express.urlencoded({ extended: true })],
  ['express.text()', express.text({ type: () => true })],
  ['express.raw()', express.raw({ type: () => true })],
]
test.each(parsers)('O3 a body that %s has read is signed as it was sent', async (_name, parser) => {
  const { options } = local()
  const url = await listen(express().use(parser, temporaryCredentialsHandler(options)))
  expect((await send(url, client, { ...initiation, form })).status).toBe(200)
  expect((await send(url, client, { ...initiation, form, place: 'body' })).status).toBe(200)
  expect((await send(url, client, { ...initiation, form }, `${joined(form)}&more`)).status).toBe(401)
})

const keepRaw = express.urlencoded({
  extended: true,
  verify: (req, _res, buffer) => {
    Object.assign(req, { rawBody: buffer })
  },
})

test('O3 req.rawBody goes before a parsed body, which cannot say what a nested name was', async () => {
  const nested: Pairs = [['a[b]', '1'], ['c[]', '2']] // prettier-ignore
  const { options } = local()
  const lost = await listen(express().use(express.urlencoded({ extended: true }), temporaryCredentialsHandler(options)))
  expect((await send(lost, client, { ...initiation, form: nested })).status).toBe(400)
  server?.close()
  const kept = await listen(express().use(keepRaw, temporaryCredentialsHandler(options)))
  expect((await send(kept, client, { ...initiation, form: nested })).status).toBe(200)
})

test('O3 a body that was consumed is the deployer’s mistake, and is told', async () => {
  const target = local()
  const drain: express.RequestHandler = (req, _res, next) => void req.resume().on('end', next)
  const url = await listen(express().use(drain, temporaryCredentialsHandler(target.options)))
  expect((await send(url, client, { ...initiation, form })).status).toBe(500)
  expect(target.events.map(({ reason }) => reason)).toContain('the body was consumed before it reached the handler')
})

test('O3 a form over the limit is 413, and a compressed one 415', async () => {
  const { options } = oauth1Server({ allowInsecureTransport: true, maxBodySize: 100 })
  const url = await listen(express().use(temporaryCredentialsHandler(options)))
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  expect((await fetch(url, { method: 'POST', headers, body: 'x'.repeat(101) })).status).toBe(413)
  expect((await fetch(url, { method: 'POST', headers: { ...headers, 'content-encoding': 'gzip' }, body: 'x' })).status).toBe(415)
})

const whoami: express.RequestHandler = (req, res) => void res.json((req as unknown as { auth: OAuth1Info }).auth)

test('O1 requireOAuth1 sets req.auth behind a parser, and leaves the request to the application', async () => {
  const target = local()
  const token = await tokenFor(target)
  const url = await listen(express().use(express.urlencoded(), express.json(), requireOAuth1(target.options), whoami))
  const mine = { ...client, token }
  const auth = { clientId: client.client_id, subject: 'alice', token: token.oauth_token, realms: [] }
  for (const place of ['header', 'query', 'body'] as const) {
    expect(await (await send(`${url}/a?b=c`, mine, { form, place })).json()).toMatchObject(auth)
  }
  expect((await send(url, mine, { method: 'GET' })).status).toBe(200)
  const json = signed(url, mine)
  const headers = { ...(json.headers as Record<string, string>), 'content-type': 'application/json' }
  expect((await fetch(url, { method: 'POST', headers, body: '{"a":1}' })).status).toBe(200)
  const refused = await fetch(url)
  expect([refused.status, refused.headers.get('www-authenticate'), await refused.text()]).toEqual([401, 'OAuth realm="oauth1"', ''])
})

test('O1 requireOAuth1 with a realm and two-legged', async () => {
  const target = oauth1Server({ allowInsecureTransport: true, realms: ['Photos', 'Mail'] })
  const token = await tokenFor(target)
  const app = express()
  app.use('/photos', requireOAuth1(target.options, { realm: 'Photos' }), whoami)
  app.use('/mail', requireOAuth1(target.options, { realm: ['Photos', 'Mail'] }), whoami)
  app.use('/open', requireOAuth1(target.options, { twoLegged: true }), whoami)
  const url = await listen(app)
  expect((await send(`${url}/photos`, { ...client, token })).status).toBe(200)
  expect((await send(`${url}/mail`, { ...client, token })).status).toBe(403)
  expect(await (await send(`${url}/open`, client)).json()).toEqual({ clientId: client.client_id, realms: [] })
})

test('O3 a form that nobody has read before requireOAuth1 is refused, and the deployer is told how to mend it', async () => {
  const target = local()
  const token = await tokenFor(target)
  const url = await listen(express().use(requireOAuth1(target.options), whoami))
  expect((await send(url, { ...client, token }, { form })).status).toBe(401)
  expect(target.events.some(({ reason }) => reason?.includes('mount express.urlencoded() before it'))).toBe(true)
  // The package `oauth` names the type of a form on every request; without content there is nothing to read.
  const empty = signed(url, { ...client, token }, { method: 'GET' })
  const headers = { ...(empty.headers as Record<string, string>), 'content-type': 'application/x-www-form-urlencoded' }
  expect((await fetch(url, { headers })).status).toBe(200)
})

test('O3 over HTTP/2 a form that nobody has read is refused too, also without Content-Length; a request without content passes', async () => {
  const target = local()
  const { options } = target
  const token = await tokenFor(target)
  const guard = requireOAuth1(options)
  const passed: IncomingMessage[] = []
  const h2 = createServer2((req, res) => guard(req as unknown as IncomingMessage, res as unknown as ServerResponse, () => (passed.push(req as unknown as IncomingMessage), res.end()))) // prettier-ignore
  await new Promise((resolve) => h2.listen(0, '127.0.0.1', () => resolve(undefined)))
  const authority = `127.0.0.1:${(h2.address() as AddressInfo).port}`
  const session = connect2(`http://${authority}`)
  const ask = (method: string, body: string | undefined) =>
    new Promise<unknown>((resolve, reject) => {
      const { authorization } = signed(`http://${authority}/pay`, { ...client, token }, { method }).headers
      const head = {
        ':method': method,
        ':path': '/pay',
        authorization: String(authorization),
        'content-type': 'application/x-www-form-urlencoded',
      }
      const stream = session.request(head, { endStream: body === undefined })
      stream.on('response', (headers) => resolve(headers[':status'])).on('error', reject)
      if (body !== undefined) stream.end(body)
    })
  try {
    expect(await ask('POST', 'amount=1000000')).toBe(401)
    expect(await ask('POST', undefined)).toBe(200)
    expect(await ask('GET', undefined)).toBe(200)
    expect(passed).toHaveLength(2)
  } finally {
    session.destroy()
    await new Promise((resolve) => h2.close(resolve))
  }
})

test('O3 two Authorization headers on the wire are refused, not the first one taken', async () => {
  const { options } = local()
  const url = new URL(await listen(express().use(temporaryCredentialsHandler(options))))
  const { authorization } = signed(url.href, client, initiation).headers
  const lines = [
    'POST / HTTP/1.1',
    `Host: ${url.host}`,
    `Authorization: ${String(authorization)}`,
    'Authorization: Basic eDp5',
    'Connection: close',
    '',
    '',
  ]
  const answer = await new Promise<string>((resolve) => {
    let text = ''
    const socket = tcp(Number(url.port), '127.0.0.1', () => socket.write(lines.join('\r\n')))
    socket.on('data', (part) => (text += part.toString())).on('close', () => resolve(text))
  })
  expect(answer).toContain('HTTP/1.1 400')
})

test('O5 plain http is refused with a line that names both remedies; X-Forwarded-Proto counts from trusted peers only', async () => {
  const strict = oauth1Server()
  const url = await listen(express().use(temporaryCredentialsHandler(strict.options)))
  expect((await send(url, client, initiation)).status).toBe(400)
  expect(strict.events.some(({ reason }) => /allowInsecureTransport: true.*trustProxy/.test(reason ?? ''))).toBe(true)
  server?.close()
  const origin = 'https://api.example.com'
  for (const [trusted, status] of [
    ['127.0.0.1', 200],
    ['10.0.0.1', 400],
  ] as const) {
    // prettier-ignore
    const proxied = oauth1Server({ origin, trustProxy: (address) => address === trusted })
    const at = await listen((req, res) => temporaryCredentialsHandler(proxied.options)(req, res))
    const { headers } = signed(`${origin}/oauth`, client, initiation)
    const response = await fetch(`${at}/oauth`, {
      method: 'POST',
      headers: { ...(headers as Record<string, string>), 'x-forwarded-proto': 'https' },
    })
    expect(response.status).toBe(status)
    server?.close()
  }
})

test('O2 the handler and the framework-free function answer alike', async () => {
  const target = local()
  const url = await listen(express().use(tokenCredentialsHandler(target.options)))
  const request = exchangeRequest(target, { token: { oauth_token: 'x', oauth_token_secret: 'y' }, oauth_verifier: 'z' })
  const free = await createAccessTokenResponse(target.options, request)
  const wired = await send(url, { ...client, token: { oauth_token: 'x', oauth_token_secret: 'y' } }, { protocol: { oauth_verifier: 'z' } })
  expect([wired.status, await wired.text(), wired.headers.get('www-authenticate')]).toEqual([
    free.status,
    free.body,
    free.headers['WWW-Authenticate'],
  ])
  expect(formOf(free)).toEqual({})
})

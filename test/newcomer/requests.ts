/** Mistakes of somebody who writes a client: the answer, or the event, names the parameter. */
import express from 'express'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { authorizationServer, issueAuthorizationCode, issueTokens, requireAccessToken, type ServerOptions } from '../../src/index.js'
import { authorizePath } from '../server/site.js'
import { basic, code_challenge, code_verifier, machine, redirect_uri, web } from '../support/server.js'
import { mistakes, type Mistake, type Place } from './mistake.js'

type Row = readonly [string, string, Mistake['make']]
type Asking = (path: string, init?: RequestInit) => Promise<{ readonly status: number; readonly text: string; readonly location: string }>

const formType = 'application/x-www-form-urlencoded'

/** A whole server, an API behind a guard, and a client that asks both. */
async function withServer({ oauth, wire }: Place, work: (ask: Asking, options: ServerOptions) => Promise<unknown>): Promise<void> {
  const app = express()
  app.set('trust proxy', true)
  const options = oauth({ resources: ['https://api.example'] })
  app.use(authorizationServer(options, { authorize: () => ({ subject: 'alice' }), registration: true }))
  app.get('/notes', requireAccessToken(options, { scope: 'read' }), (_req, res) => void res.json({}))
  const server = createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    await work(async (path, init = {}) => {
      const headers = { 'x-forwarded-proto': 'https', ...(init.headers as Record<string, string> | undefined) }
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { redirect: 'manual', ...init, headers })
      const text = await response.text()
      const location = response.headers.get('location') ?? ''
      const challenge = response.headers.get('www-authenticate') ?? ''
      if (response.status >= 300)
        wire([response.status, said(text), decodeURIComponent(location), challenge].filter((part) => part !== '').join(' '))
      return { status: response.status, text, location }
    }, options)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

/** The words of a page, or a JSON text as it is. */
function said(text: string): string {
  return text.startsWith('<') ? text.replace(/[^]*<main[^>]*>/, '').replaceAll(/<[^>]*>/g, ' ') : text
}

function token(names: string, what: string, body: string, headers: Record<string, string> = basic(machine), type = formType): Row {
  return [`token: ${what}`, names, (place) => withServer(place, (ask) => ask('/oauth2/token', { method: 'POST', body, headers: { 'content-type': type, ...headers } }))] // prettier-ignore
}

function authorization(names: string, what: string, differences: Record<string, string | undefined>): Row {
  return [`authorize: ${what}`, names, (place) => withServer(place, (ask) => ask(authorizePath(differences)))]
}

function guard(names: string, what: string, path: string, headers: Record<string, string>): Row {
  return [`resource: ${what}`, names, (place) => withServer(place, (ask) => ask(path, { headers }))]
}

function post(endpoint: string, names: string, what: string, body: string, headers: Record<string, string> = basic(machine)): Row {
  return [`${endpoint}: ${what}`, names, (place) => withServer(place, (ask) => ask(`/oauth2/${endpoint}`, { method: 'POST', body, headers: { 'content-type': formType, ...headers } }))] // prettier-ignore
}

function registration(names: string, what: string, metadata: object | string): Row {
  const body = typeof metadata === 'string' ? metadata : JSON.stringify(metadata)
  return [`register: ${what}`, names, (place) => withServer(place, (ask) => ask('/oauth2/register', { method: 'POST', body, headers: { 'content-type': 'application/json' } }))] // prettier-ignore
}

const code = 'grant_type=authorization_code'
const machines = 'grant_type=client_credentials'
const cb = `redirect_uri=${encodeURIComponent(redirect_uri)}`

/** A code of `web`, exchanged wrongly. */
function exchange(names: string, what: string, differences: Record<string, string | undefined>, times = 1): Row {
  const make = (place: Place) =>
    withServer(place, async (ask, options) => {
      const asked = { client_id: 'web', redirect_uri, code_challenge, code_challenge_method: 'S256' }
      const issued = await issueAuthorizationCode(options, { ...asked, subject: 'alice' })
      const members = { grant_type: 'authorization_code', code: issued, redirect_uri, code_verifier, ...differences }
      const pairs = Object.entries<string | undefined>(members).flatMap(([name, value]): [string, string][] =>
        value === undefined ? [] : [[name, value]],
      )
      const body = new URLSearchParams(pairs).toString()
      const init = { method: 'POST', body, headers: { 'content-type': formType, ...basic(web) } }
      for (let time = 0; time < times; time++) await ask('/oauth2/token', init)
    })
  return [`token: ${what}`, names, make]
}

/** A resource server that was not told to be one asks about the token of another client. */
const introspectForeign = (place: Place) =>
  withServer(place, async (ask, options) => {
    const { access_token } = await issueTokens(options, { client_id: 'web', subject: 'alice', scope: 'read' })
    const headers = { 'content-type': formType, ...basic(machine) }
    await ask('/oauth2/introspect', { method: 'POST', body: new URLSearchParams({ token: access_token }).toString(), headers })
  })

export const requestMistakes: readonly Mistake[] = mistakes('client', [
  token('grant_type', 'nothing', ''),
  token('grant_type', 'no grant_type', 'scope=read'),
  token('grant_type: password', 'a grant that is not served', 'grant_type=password&username=a&password=b'),
  token('grant_type', 'a grant misspelt', 'grant_type=client_credential'),
  token(
    'application/x-www-form-urlencoded',
    'JSON',
    JSON.stringify({ grant_type: 'client_credentials' }),
    basic(machine),
    'application/json',
  ),
  token('application/x-www-form-urlencoded', 'text', machines, basic(machine), 'text/plain'),
  token('scope is included more than once', 'a parameter twice', `${machines}&scope=read&scope=write`),
  token('scope: raed · allowed: read write', 'a scope that is none', `${machines}&scope=raed`),
  token('scope: openid profile · allowed: read write', 'OpenID Connect', `${machines}&scope=openid+profile`),
  token('scope: read,write · allowed: read write', 'scopes with a comma', `${machines}&scope=read,write`),
  token('resource', 'a resource that is none', `${machines}&resource=https%3A%2F%2Fother.example`),
  token('client', 'a wrong secret', machines, basic({ client_id: 'machine', client_secret: 'wrong' })),
  token('client', 'an unknown client', machines, basic({ client_id: 'nobody', client_secret: 'x' })),
  token('client', 'no client', machines, {}),
  token('client authentication', 'the secret in header and body', `${machines}&client_id=machine&client_secret=${machine.client_secret}`),
  token('client', 'a Bearer token for the client', machines, { authorization: 'Bearer x' }),
  token('client', 'Basic without base64', machines, { authorization: 'Basic machine:secret' }),
  token('authentication method', 'a public client with a secret', `${code}&code=x&client_id=native&client_secret=x`, {}),
  token('grant_type: authorization_code', 'a grant that the client may not use', `${code}&code=x&${cb}&code_verifier=${code_verifier}`),
  token('code is required', 'no code', `${code}&${cb}`, basic(web)),
  token('code', 'a code that is none', `${code}&code=x&${cb}&code_verifier=${code_verifier}`, basic(web)),
  token('refresh_token is required', 'no refresh token', 'grant_type=refresh_token', basic(web)),
  token('refresh token', 'a refresh token that is none', 'grant_type=refresh_token&refresh_token=x', basic(web)),
  [
    'token: GET',
    'POST',
    (place) => withServer(place, (ask) => ask('/oauth2/token?grant_type=client_credentials', { headers: basic(machine) })),
  ],
  ['token: the secret in the query', 'query', (place) => withServer(place, (ask) => ask(`/oauth2/token?client_id=machine&client_secret=${machine.client_secret}`, { method: 'POST', body: machines, headers: { 'content-type': formType } }))], // prettier-ignore
  exchange('redirect_uri', 'without redirect_uri', { redirect_uri: undefined }),
  exchange('redirect_uri', 'another redirect_uri', { redirect_uri: `${redirect_uri}/` }),
  exchange('code_verifier', 'without code_verifier', { code_verifier: undefined }),
  exchange('code_verifier', 'a wrong code_verifier', { code_verifier: 'x'.repeat(43) }),
  exchange('code_verifier', 'a short code_verifier', { code_verifier: 'x' }),
  exchange('code_verifier', 'the challenge for the verifier', { code_verifier: code_challenge }),
  exchange('code', 'a code twice', {}, 2),
  authorization('client_id', 'no client', { client_id: undefined }),
  authorization('client', 'an unknown client', { client_id: 'nobody' }),
  authorization(`redirect_uri: ${redirect_uri}/ · registered: ${redirect_uri}`, 'a redirect_uri with a slash more', {
    redirect_uri: `${redirect_uri}/`,
  }),
  authorization(`redirect_uri: https://other.example/callback · registered: ${redirect_uri}`, 'a redirect_uri of another host', {
    redirect_uri: 'https://other.example/callback',
  }),
  authorization('grant_types', 'a client without the code grant', { client_id: 'machine' }),
  authorization('response_type', 'no response_type', { response_type: undefined }),
  authorization('response_type', 'the implicit flow', { response_type: 'token' }),
  authorization('code_challenge', 'no code_challenge', { code_challenge: undefined, code_challenge_method: undefined }),
  authorization('code_challenge_method', 'plain', { code_challenge_method: 'plain' }),
  authorization('code_challenge', 'a short challenge', { code_challenge: 'x' }),
  authorization('scope: raed · allowed: read write', 'a scope that is none', { scope: 'raed' }),
  authorization('scope: openid profile · allowed: read write', 'OpenID Connect', { scope: 'openid profile' }),
  authorization('resource', 'a resource that is none', { resource: 'https://other.example' }),
  authorization('request', 'a request object', { request: 'eyJhbGciOiJub25lIn0.e30.' }),
  authorization('request_uri', 'a request_uri that was not pushed', { request_uri: 'urn:ietf:params:oauth:request_uri:x' }),
  authorization('consent_required', 'prompt=none', { prompt: 'none' }),
  authorization('prompt', 'a prompt that is none', { prompt: 'none login' }),
  [
    'authorize: a parameter twice',
    'state is included more than once',
    (place) => withServer(place, (ask) => ask(`${authorizePath()}&state=2`)),
  ],
  ['authorize: PUT', 'GET', (place) => withServer(place, (ask) => ask(authorizePath(), { method: 'PUT' }))],
  guard('Bearer', 'no token', '/notes', {}),
  guard('invalid_token', 'a token that is none', '/notes', { authorization: 'Bearer x' }),
  guard('the Authorization header has another scheme than Bearer', 'another scheme', '/notes', { authorization: 'Token x' }),
  guard('the Authorization header has another scheme than Bearer', 'the token without a scheme', '/notes', { authorization: 'x' }),
  guard('access_token is in the query', 'the token in the query', '/notes?access_token=x', {}),
  guard('one place', 'the token twice', '/notes?access_token=x', { authorization: 'Bearer x' }),
  post('introspect', 'token', 'no token', ''),
  [
    'introspect: a token of another client',
    'machine · a client asked about a token of another client: give it introspect: true, where it is a resource server · token_client_id: web',
    introspectForeign,
  ],
  post('introspect', 'client', 'no client', 'token=x', {}),
  post('revoke', 'token', 'no token', ''),
  post('revoke', 'client', 'a wrong secret', 'token=x', basic({ client_id: 'machine', client_secret: 'wrong' })),
  post('par', 'request_uri', 'a request_uri', 'request_uri=x', basic(web)),
  post('par', 'redirect_uri', 'another redirect_uri', 'response_type=code&redirect_uri=https%3A%2F%2Fother.example', basic(web)),
  registration('JSON', 'no JSON', 'redirect_uris=https://web.example/cb'),
  registration('redirect_uris', 'no redirect_uris', { client_name: 'Notes' }),
  registration('redirect_uris', 'a redirect_uri over http', { redirect_uris: ['http://web.example/cb'] }),
  registration('token_endpoint_auth_method', 'a method that is not served', { redirect_uris: ['https://web.example/cb'], token_endpoint_auth_method: 'private_key_jwt' }), // prettier-ignore
  registration('grant_types', 'client credentials', { redirect_uris: ['https://web.example/cb'], grant_types: ['client_credentials'] }),
  registration('client_name', 'a name that is a number', { redirect_uris: ['https://web.example/cb'], client_name: 7 }),
])

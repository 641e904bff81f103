import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { constants, createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { globalAgent } from 'node:https'
import { OAuth } from 'oauth'
import OAuth10a from 'oauth-1.0a'
import { startServer, type RunningServer } from './https.js'
import { secrets } from './support.js'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const privateKey = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const client_id = 'printer key & more'
const client_secret = 'printer secret & more'
const callback = 'https://printer.example/ready'

let server: RunningServer

beforeAll(async () => {
  server = await startServer({
    clients: [{ client_id, client_secret, public_key: rsa.publicKey, callbacks: [callback] }],
    secrets,
    signatureMethods: ['HMAC-SHA1', 'HMAC-SHA256', 'HMAC-SHA512', 'RSA-SHA1', 'RSA-SHA256', 'RSA-SHA512', 'PLAINTEXT'],
  })
  // The package `oauth` takes no certificate of its own.
  globalAgent.options.ca = server.certificate
})

afterAll(async () => {
  delete globalAgent.options.ca
  await server.close()
})

async function consent(oauth_token: string): Promise<URLSearchParams> {
  const { status, headers } = await server.send(`${server.url}/oauth/authorize?oauth_token=${encodeURIComponent(oauth_token)}`)
  expect(status).toBe(302)
  const redirect = new URL(String(headers.location))
  expect(redirect.origin + redirect.pathname).toBe(callback)
  return redirect.searchParams
}

/** The types of the package say that there always is an error. */
function settle(error: unknown, data: unknown, resolve: (value: unknown) => void, reject: (error: Error) => void): void {
  if (error) reject(new Error(JSON.stringify(error)))
  else resolve(JSON.parse(String(data)))
}

type Credentials = readonly [token: string, secret: string]

const fromNode = (start: (done: (error: unknown, token: string, secret: string) => void) => void) =>
  new Promise<Credentials>((resolve, reject) => {
    start((error, token, secret) => (error ? reject(new Error(JSON.stringify(error))) : resolve([token, secret])))
  })

test.each([
  ['HMAC-SHA1', 'POST'],
  ['HMAC-SHA256', 'POST'],
  ['RSA-SHA1', 'POST'],
  ['PLAINTEXT', 'POST'],
  ['HMAC-SHA1', 'GET'],
])('O1 the npm package oauth, unmodified, by %s and %s over https', async (method, verb) => {
  const key = method === 'RSA-SHA1' ? privateKey : client_secret
  const client = new OAuth(`${server.url}/oauth/initiate`, `${server.url}/oauth/token`, client_id, key, '1.0', callback, method)
  client.setClientOptions({ requestTokenHttpMethod: verb, accessTokenHttpMethod: verb, followRedirects: false })
  const temporary = await fromNode((done) => client.getOAuthRequestToken(done))
  const answer = await consent(temporary[0])
  const token = await fromNode((done) => client.getOAuthAccessToken(...temporary, answer.get('oauth_verifier') ?? '', done))

  const get = new Promise((resolve, reject) => {
    const url = `${server.url}/photos/%E2%98%83?file=a%20b&size=original`
    client.get(url, ...token, (error, data) => settle(error, data, resolve, reject))
  })
  expect(await get).toMatchObject({ subject: 'alice', method: 'GET', query: { file: 'a b', size: 'original' } })
  const post = new Promise((resolve, reject) => {
    const form = { title: "it's (a) *test*! ☃", empty: '' }
    client.post(`${server.url}/photos?x=1`, ...token, form, undefined, (error, data) => settle(error, data, resolve, reject))
  })
  expect(await post).toMatchObject({ subject: 'alice', method: 'POST', body: { title: "it's (a) *test*! ☃", empty: '' } })
  const refused = await new Promise((resolve) => client.get(`${server.url}/photos`, token[0], 'wrong', (error) => resolve(error)))
  // An RSA signature does not cover the token's secret (RFC 5849 §3.4.3).
  if (method === 'RSA-SHA1') expect(refused).toBeNull()
  else expect(refused).toMatchObject({ statusCode: 401, data: '' })
})

const hash = (method: string) => (baseString: string, key: string) => {
  const [kind, digest = ''] = method.toLowerCase().split('-')
  if (kind === 'hmac') return createHmac(digest, key).update(baseString).digest('base64')
  return sign(digest, Buffer.from(baseString), { key: privateKey, padding: constants.RSA_PKCS1_PADDING }).toString('base64')
}

test.each(['HMAC-SHA1', 'HMAC-SHA256', 'HMAC-SHA512', 'RSA-SHA1', 'RSA-SHA256', 'RSA-SHA512', 'PLAINTEXT'])(
  'O1 the npm package oauth-1.0a, unmodified, by %s over https',
  async (method) => {
    const client = new OAuth10a({
      consumer: { key: client_id, secret: client_secret },
      signature_method: method,
      ...(method === 'PLAINTEXT' ? {} : { hash_function: hash(method) }),
    })
    const ask = async (path: string, verb: string, data: object, token?: OAuth10a.Token) => {
      const request = { url: `${server.url}${path}`, method: verb, data }
      const { Authorization } = client.toHeader(client.authorize(request, token))
      return server.send(request.url, { method: verb, headers: { authorization: Authorization } })
    }
    const tokenOf = ({ status, body }: { status: number; body: string }): OAuth10a.Token => {
      expect([status, body]).toEqual([200, expect.stringMatching(/^oauth_token=/)])
      const form = new URLSearchParams(body)
      return { key: form.get('oauth_token') ?? '', secret: form.get('oauth_token_secret') ?? '' }
    }
    const temporary = tokenOf(await ask('/oauth/initiate', 'POST', { oauth_callback: callback }))
    const answer = await consent(temporary.key)
    const token = tokenOf(await ask('/oauth/token', 'POST', { oauth_verifier: answer.get('oauth_verifier') }, temporary))
    const { status, body } = await ask('/photos?file=a%20b&file=c', 'GET', {}, token)
    expect([status, JSON.parse(body)]).toEqual([200, expect.objectContaining({ subject: 'alice', query: { file: ['a b', 'c'] } })])
    expect((await ask('/photos', 'GET', {}, temporary)).status).toBe(401)
  },
)

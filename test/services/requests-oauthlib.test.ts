import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { execFile, execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startServer, type RunningServer } from '../oauth1/https.js'
import { secrets } from '../oauth1/support.js'

const python = '/usr/bin/python3'

function version(): string | undefined {
  try {
    return execFileSync(python, ['-c', 'import requests_oauthlib; print(requests_oauthlib.__version__)'], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim()
  } catch {
    return undefined
  }
}

const found = version()
if (found === undefined) {
  console.warn('requests-oauthlib is not installed (Debian: python3-requests-oauthlib): its tests are skipped')
}
const testWithPython = found === undefined ? test.skip : test

const client_id = 'printer'
const client_secret = 'printer secret & more'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

let server: RunningServer
let folder: string
let certificate: string
let keyFile: string

beforeAll(async () => {
  server = await startServer({
    clients: [{ client_id, client_secret, public_key: rsa.publicKey }],
    secrets,
    signatureMethods: ['HMAC-SHA1', 'HMAC-SHA256', 'HMAC-SHA512', 'RSA-SHA1', 'RSA-SHA256', 'RSA-SHA512', 'PLAINTEXT'],
  })
  folder = mkdtempSync(join(tmpdir(), 'oauth1-python-'))
  certificate = join(folder, 'certificate.pem')
  keyFile = join(folder, 'key.pem')
  writeFileSync(certificate, server.certificate)
  writeFileSync(keyFile, rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }))
})

afterAll(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

const flow = `
import json, requests, sys
from requests_oauthlib import OAuth1Session
url, method, place, callback, key = sys.argv[1:]
secrets = dict(rsa_key=open(key).read()) if method.startswith('RSA') else dict(client_secret=${JSON.stringify(client_secret)})
more = dict(signature_method=method, signature_type=place, callback_uri=callback, **secrets)
session = OAuth1Session(${JSON.stringify(client_id)}, **more)
session.fetch_request_token(url + '/oauth/initiate')
page = requests.get(session.authorization_url(url + '/oauth/authorize'), allow_redirects=False)
if callback == 'oob':
    token = session.fetch_access_token(url + '/oauth/token', verifier=page.text)
else:
    session.parse_authorization_response(page.headers['Location'])
    token = session.fetch_access_token(url + '/oauth/token')
results = []
# By itself it refuses a GET with a body.
if place != 'BODY':
    results.append(session.get(url + '/photos/%E2%98%83', params={'file': 'a b', 'tag': ['x', 'y&z']}).json())
if place != 'QUERY':
    results.append(session.post(url + '/photos?x=1', data={'title': "it's (a) *test*! \\u2603", 'empty': ''}).json())
if place == 'AUTH_HEADER':
    results.append(session.post(url + '/photos', json={'a': [1]}).json())
wrong = OAuth1Session(${JSON.stringify(client_id)}, client_secret='wrong', resource_owner_key=token['oauth_token'], resource_owner_secret='wrong')
print(json.dumps(dict(token=sorted(token), results=results, wrong=wrong.get(url + '/photos').status_code)))
`

testWithPython.each([
  ['HMAC-SHA1', 'AUTH_HEADER', 'https://printer.example/ready?a=b'],
  ['HMAC-SHA1', 'AUTH_HEADER', 'oob'],
  ['HMAC-SHA1', 'BODY', 'https://printer.example/ready'],
  ['HMAC-SHA1', 'QUERY', 'https://printer.example/ready'],
  ['HMAC-SHA256', 'AUTH_HEADER', 'https://printer.example/ready'],
  ['HMAC-SHA512', 'AUTH_HEADER', 'https://printer.example/ready'],
  ['RSA-SHA1', 'AUTH_HEADER', 'https://printer.example/ready'],
  ['RSA-SHA256', 'AUTH_HEADER', 'https://printer.example/ready'],
  ['RSA-SHA512', 'AUTH_HEADER', 'https://printer.example/ready'],
  ['PLAINTEXT', 'AUTH_HEADER', 'https://printer.example/ready'],
])('O1 requests-oauthlib, unmodified, by %s in %s with callback %s over https', async (method, place, callback) => {
  const env = { ...process.env, REQUESTS_CA_BUNDLE: certificate, NO_PROXY: 'localhost' }
  const { stdout } = await promisify(execFile)(python, ['-c', flow, server.url, method, place, callback, keyFile], { env })
  const { token, results, wrong } = JSON.parse(stdout) as { token: string[]; results: Record<string, unknown>[]; wrong: number }
  expect(token).toEqual(['oauth_token', 'oauth_token_secret'])
  const get = { subject: 'alice', method: 'GET', query: { file: 'a b', tag: ['x', 'y&z'] } }
  const form = { subject: 'alice', method: 'POST', body: { title: "it's (a) *test*! ☃", empty: '' } }
  const json = { subject: 'alice', method: 'POST', body: { a: [1] } }
  expect(results).toMatchObject({ AUTH_HEADER: [get, form, json], BODY: [form], QUERY: [get] }[place] ?? [])
  expect(results.length).toBeGreaterThan(0)
  expect(wrong).toBe(401)
})

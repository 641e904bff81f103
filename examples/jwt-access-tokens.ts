/**
 * Signed access tokens (RFC 9068), and a resource server in a second process that verifies them by the address of the keys alone.
 * What differs from client-credentials.ts: `accessTokens: jwt(…)`, the handler of the key set, and somebody else's server.
 *
 * Run it:  npx tsx examples/jwt-access-tokens.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -u reports:reports-secret -d grant_type=client_credentials -d scope=read
 * Answer:  {"access_token":"…","token_type":"Bearer","expires_in":300,"scope":"read"}
 * Then:    curl -k https://localhost:3001/notes -H "Authorization: Bearer <access token>"
 * Answer:  {"notes":["water the plants"],"readBy":"reports","tenant":"blue"}
 */
import { fork } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import express from 'express'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { jwksHandler, jwt, tokenHandler, type ServerOptions } from 'oauth2-token-handler'
import { certificateFile, serve } from './https.js'

const [, , issuer] = process.argv
await (issuer === undefined ? authorizationServer() : resourceServer(issuer))

async function authorizationServer(): Promise<void> {
  const app = express()
  const origin = await serve(app)
  // In production: a PEM or JWK from where you keep your secrets, the same in every process.
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const oauth: ServerOptions = {
    issuer: origin,
    clients: [{ client_id: 'reports', client_secret: 'reports-secret', grant_types: ['client_credentials'] }],
    scopes: ['read', 'write'],
    accessTokens: jwt({ key, audience: 'https://notes.example', claims: { tenant: 'blue' } }),
    accessTokenLifetime: 300,
  }
  app.post('/oauth2/token', tokenHandler(oauth))
  app.get('/oauth2/jwks', jwksHandler(oauth))
  const env = { ...process.env, PORT: process.env.PORT === '0' ? '0' : '3001', NODE_EXTRA_CA_CERTS: certificateFile() }
  const child = fork(fileURLToPath(import.meta.url), [origin], { env })
  child.once('message', (notes: string) => {
    const ask = `${origin}/oauth2/token -u reports:reports-secret -d grant_type=client_credentials -d scope=read`
    console.log(`In another terminal:

curl -k ${notes}/notes -H "Authorization: Bearer $(curl -sk ${ask} | node -p 'JSON.parse(fs.readFileSync(0)).access_token')"
curl -k ${ask}
`)
  })
}

async function resourceServer(issuer: string): Promise<void> {
  const keys = createRemoteJWKSet(new URL(`${issuer}/oauth2/jwks`))
  const expected = { issuer, audience: 'https://notes.example', typ: 'at+jwt', algorithms: ['ES256'] }
  const app = express()
  app.get('/notes', async (req, res) => {
    const [, token = ''] = /^Bearer (.+)$/i.exec(req.get('authorization') ?? '') ?? []
    const verified = await jwtVerify(token, keys, expected).catch(() => undefined)
    if (verified === undefined) return void res.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').end()
    res.json({ notes: ['water the plants'], readBy: verified.payload.client_id, tenant: verified.payload.tenant })
  })
  process.once('disconnect', () => process.exit())
  process.send?.(await serve(app))
}

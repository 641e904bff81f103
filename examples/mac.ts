/**
 * MAC tokens: a key comes with each access token, and every request is signed with it, so that a token seen on the wire is worth nothing.
 * What differs from protected-resource.ts: `authenticationMethod: 'mac'`, and `rawBody`, so that the hash of a body can be checked.
 *
 * Run it:  npx tsx examples/mac.ts
 * Try it:  curl -k https://localhost:3000/notes -H 'Content-Type: application/json' -d '{"note":"water the plants"}' -H 'Authorization: MAC <signed>'
 * Answer:  {"noted":"water the plants","by":"reports"}
 * Again:   {"error":"invalid_token","error_description":"the access token is invalid, expired, or was revoked"}
 */
import express, { type Request } from 'express'
import { createTokenResponse, macHeader, requireAccessToken, tokenHandler, type AuthInfo, type ServerOptions } from 'oauth2-token-handler'
import { serve } from './https.js'

const oauth: ServerOptions = {
  clients: [{ client_id: 'reports', client_secret: 'reports-secret', grant_types: ['client_credentials'] }],
  scopes: ['write'],
  authenticationMethod: 'mac',
}

const app = express()
app.post('/oauth2/token', tokenHandler(oauth))

const origin = await serve(app)
// The guard never reads the body: it looks at the bytes that the parser before it has kept.
const keepRawBody = express.json({ verify: (req: Request & { rawBody?: Buffer }, _res, bytes) => void (req.rawBody = bytes) })
// Clients sign host and port, and those that count are the ones you name here, not the ones a request names.
const guard = requireAccessToken(oauth, { scope: 'write', origin })
app.post('/notes', keepRawBody, guard, (req: Request & { auth?: AuthInfo }, res) => {
  res.json({ noted: (req.body as { note: string }).note, by: req.auth?.clientId })
})

// The client's side: it gets a token and its key, and signs one request.
const { body } = await createTokenResponse(oauth, {
  url: `${origin}/oauth2/token`,
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${btoa('reports:reports-secret')}` },
  body: 'grant_type=client_credentials',
})
const { access_token: id, mac_key: key } = JSON.parse(body) as { access_token: string; mac_key: string }
const note = '{"note":"water the plants"}'
// `age:random` as nonce is draft -00, which signs a hash of the body, too. Without it the header is of draft -01.
const { Authorization } = macHeader({ id, key, method: 'POST', url: `${origin}/notes`, nonce: '0:dj83hs9s', body: note })
console.log(`A signed request, good for five minutes, and once. In another terminal:

curl -k ${origin}/notes -H 'Content-Type: application/json' -d '${note}' -H 'Authorization: ${Authorization}'
`)

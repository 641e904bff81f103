/**
 * A route that needs an access token with a scope (RFC 6750), and the endpoint that ends a token (RFC 7009).
 * What differs from client-credentials.ts: the guard in front of the route, and `req.auth` behind it.
 *
 * Run it:  npx tsx examples/protected-resource.ts
 * Try it:  curl -k https://localhost:3000/notes -H "Authorization: Bearer $(curl -sk https://localhost:3000/oauth2/token -u reports:reports-secret -d grant_type=client_credentials | node -p 'JSON.parse(fs.readFileSync(0)).access_token')"
 * Answer:  {"notes":["water the plants"],"readBy":"reports","scopes":["read"]}
 */
import express, { type Request } from 'express'
import { requireAccessToken, revocationHandler, tokenHandler, type AuthInfo, type ServerOptions } from 'oauth2-token-handler'
import { serve } from './https.js'

// One options object for all handlers: so they share the store.
const oauth: ServerOptions = {
  clients: [{ client_id: 'reports', client_secret: 'reports-secret', grant_types: ['client_credentials'], scope: 'read' }],
  scopes: ['read', 'write'],
}
const notes = ['water the plants']

const app = express()
app.post('/oauth2/token', tokenHandler(oauth))
app.post('/oauth2/revoke', revocationHandler(oauth))

app.get('/notes', requireAccessToken(oauth, { scope: 'read' }), (req: Request & { auth?: AuthInfo }, res) => {
  res.json({ notes, readBy: req.auth?.clientId, scopes: req.auth?.scopes })
})

// This client's scope is `read`, so here it gets 403 insufficient_scope.
app.post('/notes', requireAccessToken(oauth, { scope: 'write' }), express.json(), (req, res) => {
  notes.push(String(req.body))
  res.status(201).end()
})

const origin = await serve(app)
console.log(`The notes are at ${origin}/notes. With a token in another terminal:

curl -k ${origin}/notes -H "Authorization: Bearer $(curl -sk ${origin}/oauth2/token -u reports:reports-secret -d grant_type=client_credentials | node -p 'JSON.parse(fs.readFileSync(0)).access_token')"
`)

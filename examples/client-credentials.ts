/**
 * The base: a token endpoint for machines that act for themselves (RFC 6749 §4.4).
 *
 * Run it:  npm start
 * Try it:  curl -k https://localhost:3000/oauth2/token -u reports:reports-secret -d grant_type=client_credentials -d scope=read
 * Answer:  {"access_token":"…","token_type":"Bearer","expires_in":3600,"scope":"read"}
 */
import express from 'express'
import { tokenHandler, type ServerOptions } from 'oauth2-token-handler'
import { serve } from './https.js'

const oauth: ServerOptions = {
  clients: [{ client_id: 'reports', client_secret: 'reports-secret', grant_types: ['client_credentials'] }],
  scopes: ['read', 'write'],
}

const app = express()
app.post('/oauth2/token', tokenHandler(oauth))

const origin = await serve(app)
console.log(`The token endpoint is ${origin}/oauth2/token. In another terminal:

curl -k ${origin}/oauth2/token -u reports:reports-secret -d grant_type=client_credentials -d scope=read
`)

/**
 * OAuth 1.0a: both credential endpoints, the page between them, a guarded route, and a client that goes the three legs (RFC 5849 §2)
 * by the npm package `oauth`, which signs everything itself. The URL that it signs in the end works once, because its nonce does.
 *
 * Run it:  npx tsx examples/oauth1.ts
 * Try it:  curl -k 'https://localhost:3000/photos/vacation.jpg?<signed>'
 * Answer:  {"photo":"vacation.jpg","owner":"alice"}
 */
import { randomBytes } from 'node:crypto'
import { globalAgent, request } from 'node:https'
import express, { type Request } from 'express'
import { OAuth } from 'oauth'
import type { AuthInfo } from 'oauth2-token-handler'
import {
  authorizeTemporaryCredentials,
  requireOAuth1,
  temporaryCredentialsHandler,
  tokenCredentialsHandler,
  type OAuth1Options,
} from 'oauth2-token-handler/oauth1'
import { serve } from './https.js'

// One options object for all of them. Yours has a `store`, and takes the key from its environment.
const oauth1: OAuth1Options = {
  clients: [{ client_id: 'printer', client_secret: 'printer-secret', callbacks: ['oob'] }],
  secrets: [{ kid: '1', key: process.env.OAUTH1_KEY ?? randomBytes(32).toString('base64') }],
}

const app = express()
app.use('/oauth/initiate', temporaryCredentialsHandler(oauth1))
app.use('/oauth/token', tokenCredentialsHandler(oauth1))

// Your page asks before: who wants it, and what for, is what findTemporaryCredentials says. Then, after login and consent:
app.post('/authorize', express.urlencoded(), async (req: Request<object, string, { oauth_token: string }>, res) => {
  const { oauth_verifier } = await authorizeTemporaryCredentials(oauth1, { oauth_token: req.body.oauth_token, subject: 'alice' })
  res.send(oauth_verifier)
})
app.get('/photos/:photo', requireOAuth1(oauth1), (req: Request<{ photo: string }> & { auth?: AuthInfo }, res) => {
  res.json({ photo: req.params.photo, owner: req.auth?.subject })
})

const origin = await serve(app)
globalAgent.options.rejectUnauthorized = false // The certificate was made for this run.
const client = new OAuth(`${origin}/oauth/initiate`, `${origin}/oauth/token`, 'printer', 'printer-secret', '1.0', 'oob', 'HMAC-SHA256')
client.getOAuthRequestToken((_error, temporary, temporarySecret) => {
  const form = { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }
  const user = request(`${origin}/authorize`, form, (answer) => {
    answer.setEncoding('utf8').once('data', (verifier: string) => {
      client.getOAuthAccessToken(temporary, temporarySecret, verifier, (_refused, token, secret) => {
        console.log(`curl -k '${client.signUrl(`${origin}/photos/vacation.jpg`, token, secret, 'GET')}'`)
      })
    })
  })
  user.end(`oauth_token=${temporary}`)
})

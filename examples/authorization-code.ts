/**
 * The code flow with PKCE (RFC 6749 §4.1, RFC 7636): a consent page, the redirect back, the exchange.
 * The client's side is here too, so that a browser is all you need: open the URL it prints and press Allow.
 *
 * Run it:  npx tsx examples/authorization-code.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -u app:app-secret -d grant_type=authorization_code -d code=<code> -d redirect_uri=https://localhost:3000/callback -d code_verifier=<verifier>
 * Answer:  {"access_token":"…","token_type":"Bearer","expires_in":3600,"refresh_token":"…","scope":"read"}
 */
import { createHash, randomBytes } from 'node:crypto'
import express from 'express'
import { AccessDenied, authorizationResponse, tokenHandler, type ServerOptions } from 'oauth2-token-handler'
import { serve } from './https.js'

const app = express()
const origin = await serve(app)
const redirect_uri = `${origin}/callback`
const client = { client_id: 'app', client_secret: 'app-secret', redirect_uris: [redirect_uri] }
const oauth: ServerOptions = {
  issuer: origin,
  clients: [{ ...client, grant_types: ['authorization_code', 'refresh_token'] }],
  scopes: ['read'],
}
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
const page = { 'Content-Type': 'text/html', 'Cache-Control': 'no-store', 'Content-Security-Policy': "frame-ancestors 'none'" }

/** What the client asks for; undefined unless client and redirect URI are registered, because nobody is redirected to any other place. */
function readRequest(url: string) {
  const query = new URL(url, origin).searchParams
  const [client_id, redirect_uri] = [query.get('client_id'), query.get('redirect_uri') ?? '']
  return client_id === client.client_id && client.redirect_uris.includes(redirect_uri) ? { client_id, redirect_uri, query } : undefined
}

app.get('/authorize', (req, res) => {
  const request = readRequest(req.originalUrl)
  if (request === undefined) return void res.status(400).send('Unknown client or redirect URI')
  res.set(page).send(`<p>Allow ${request.client_id} to ${escapeHtml(request.query.get('scope') ?? 'do everything')}?</p>
    <form method="post" action="${escapeHtml(req.originalUrl)}"><button name="decision" value="allow">Allow</button><button>Deny</button></form>`)
})
app.post('/authorize', express.urlencoded(), async (req, res) => {
  const request = readRequest(req.originalUrl)
  if (request === undefined) return void res.status(400).send('Unknown client or redirect URI')
  // Only our own page decides, and one word alone agrees. In your application the session says who the subject is.
  if (req.get('Sec-Fetch-Site') !== 'same-origin') return void res.status(403).send('Please use the form')
  const { client_id, redirect_uri, query } = request
  const { scope, state, code_challenge, code_challenge_method } = Object.fromEntries(query)
  const answer = (req.body as { decision?: string }).decision === 'allow' ? { subject: 'alice' } : { error: new AccessDenied() }
  const asked = { client_id, redirect_uri, scope, state, code_challenge, code_challenge_method }
  res.redirect(303, await authorizationResponse(oauth, { ...asked, ...answer }))
})
app.post('/oauth2/token', tokenHandler(oauth))

// The client's side: it made a verifier and a state, asks for `read`, and finds a code in the redirect.
const [verifier, state] = [randomBytes(32).toString('base64url'), randomBytes(16).toString('base64url')]
const code_challenge = createHash('sha256').update(verifier).digest('base64url')
app.get('/callback', ({ query }, res) => {
  if (query.state !== state || query.iss !== origin || typeof query.code !== 'string')
    return void res.status(400).type('text').send('No code for us')
  res.type('text').send(`curl -k ${origin}/oauth2/token -u app:app-secret -d grant_type=authorization_code -d code=${query.code} -d redirect_uri=${redirect_uri} -d code_verifier=${verifier}`) // prettier-ignore
})
console.log(`Open ${origin}/authorize?response_type=code&client_id=app&redirect_uri=${redirect_uri}&scope=read&state=${state}&code_challenge=${code_challenge}&code_challenge_method=S256`) // prettier-ignore

/**
 * A consent page of your own. What differs from authorization-server.ts: on GET `authorize` writes the page, and on POST, where the person has
 * allowed it, it says who the person is. The package checks `confirmation` and `decision`, and asks no page of yours after Deny.
 *
 * Run it:  npx tsx examples/consent-page.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -u app:app-secret -d grant_type=authorization_code -d code=<code> -d redirect_uri=https://localhost:3000/callback -d code_verifier=<verifier>
 * Answer:  {"access_token":"…","token_type":"Bearer","expires_in":3600,"refresh_token":"…","scope":"notes:read"}
 */
import { createHash, randomBytes } from 'node:crypto'
import express, { type Request } from 'express'
import { authorizationServer, type AuthorizationRequest, type ServerOptions } from 'oauth2-token-handler'
import { serve } from './https.js'

const app = express()
const origin = await serve(app)
const redirect_uri = `${origin}/callback`
const grant_types = ['authorization_code', 'refresh_token']
const oauth: ServerOptions = {
  issuer: origin,
  clients: [{ client_id: 'app', client_secret: 'app-secret', client_name: 'The example', redirect_uris: [redirect_uri], grant_types }],
  scopes: ['notes:read', 'notes:write'],
}

const sentences: Readonly<Record<string, string>> = { 'notes:read': 'read your notes', 'notes:write': 'change your notes' }
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** What is in `client` was written by the client: escape it. */
function consentPage({ client, scope, confirmation, isAskedAgain }: AuthorizationRequest, subject: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Allow access?</title>
    <main><h1>Allow access?</h1>
    ${isAskedAgain ? '<p role="status">Your answer was not accepted. Please decide again.</p>' : ''}
    <p><strong dir="auto">${escapeHtml(client.name)}</strong> wants access to your account ${escapeHtml(subject)}. It will be able to:</p>
    <ul>${scope.map((token) => `<li>${escapeHtml(sentences[token] ?? token)}</li>`).join('')}</ul>
    ${client.isStranger ? '<p>It has registered itself, and nobody here has checked it.</p>' : ''}
    <p>If you allow it, you will be taken to <strong dir="auto">${escapeHtml(client.redirectHost)}</strong>.</p>
    <form method="post"><input type="hidden" name="confirmation" value="${escapeHtml(confirmation)}">
    <button name="decision" value="deny">Deny</button> <button name="decision" value="allow">Allow</button></form></main></html>`
}

app.use(authorizationServer(oauth, { authorize(request, req: Request, res: express.Response) {
  const subject = 'alice' // Your login says who it is: see authorization-server.ts.
  if (req.method === 'POST') return { subject }
  res.type('html').send(consentPage(request, subject))
  return undefined
} })) // prettier-ignore

// The client's side, so that a browser is all you need.
const [verifier, state] = [randomBytes(32).toString('base64url'), randomBytes(16).toString('base64url')]
const code_challenge = createHash('sha256').update(verifier).digest('base64url')
app.get('/callback', ({ query }, res) => {
  if (query.state !== state || query.iss !== origin || typeof query.code !== 'string') return void res.status(400).type('text').send('No code for us') // prettier-ignore
  res.type('text').send(`curl -k ${origin}/oauth2/token -u app:app-secret -d grant_type=authorization_code -d code=${query.code} -d redirect_uri=${redirect_uri} -d code_verifier=${verifier}`) // prettier-ignore
})
console.log(`Open ${origin}/oauth2/authorize?response_type=code&client_id=app&redirect_uri=${redirect_uri}&scope=notes:read&state=${state}&code_challenge=${code_challenge}&code_challenge_method=S256`) // prettier-ignore

/**
 * A single-page application: a public client in the browser, on another origin than the API, with PKCE and without a secret.
 * What differs from authorization-server.ts: the client is public, and `cors` names the page that may call the endpoints.
 *
 * Run it:  npx tsx examples/single-page-app.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -H "Origin: https://localhost:3001" -d client_id=page -d grant_type=authorization_code -d code=x
 * Answer:  {"error":"invalid_grant","error_description":"the grant is invalid, expired, revoked, or was issued to another client"}
 */
import express from 'express'
import { authorizationServer, requireAccessToken, type ServerOptions } from 'oauth2-token-handler'
import { serve } from './https.js'

const [api, page] = [express(), express()]
const issuer = await serve(api)
const origin = await serve(page, 3001)
const redirect_uris = [`${origin}/`]
const grant_types = ['authorization_code', 'refresh_token']
const oauth: ServerOptions = {
  issuer,
  clients: [{ client_id: 'page', client_name: 'Notes', token_endpoint_auth_method: 'none', redirect_uris, grant_types }],
  scopes: ['notes:read'],
  cors: { origins: [origin] },
}
// In your application the session says who is logged in: see authorization-server.ts.
api.use(authorizationServer(oauth, { authorize: () => ({ subject: 'alice' }) }))
api.use('/notes', requireAccessToken(oauth, { scope: 'notes:read' }), (_req, res) => {
  res.set({ 'Access-Control-Allow-Origin': origin, Vary: 'Origin' }).json({ notes: ['water the plants'] })
})

const script = `
const [issuer, redirect_uri, client_id] = [${JSON.stringify(issuer)}, location.origin + '/', 'page']
const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/[+]/g, '-').replace(/[/]/g, '_').replace(/=/g, '')
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)))
const show = (text) => { document.querySelector('output').textContent = text }
document.querySelector('button').onclick = async () => {
  const [verifier, state] = [sessionStorage.verifier, sessionStorage.state] = [random(), random()]
  const code_challenge = base64url(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)))
  location.href = issuer + '/oauth2/authorize?' + new URLSearchParams({ response_type: 'code', client_id, redirect_uri, state, code_challenge, code_challenge_method: 'S256' })
}
async function finish(answer) {
  history.replaceState(null, '', '/') // the code stays in no history
  if (answer.get('state') !== sessionStorage.state || answer.get('iss') !== issuer) return show('not for us')
  if (answer.has('error')) return show(answer.get('error'))
  const body = new URLSearchParams({ grant_type: 'authorization_code', client_id, redirect_uri, code: answer.get('code'), code_verifier: sessionStorage.verifier })
  const { access_token } = await (await fetch(issuer + '/oauth2/token', { method: 'POST', body })).json()
  show(await (await fetch(issuer + '/notes', { headers: { Authorization: 'Bearer ' + access_token } })).text())
}
if (location.search) finish(new URLSearchParams(location.search))`
page.get('/script.js', (_req, res) => void res.type('js').send(script))
page.get('/', (_req, res) => {
  res.set({
    'Content-Security-Policy': `default-src 'self'; connect-src ${issuer}; frame-ancestors 'none'`,
    'Referrer-Policy': 'no-referrer',
  })
  res.send('<!doctype html><html lang="en"><title>Notes</title><h1>Notes</h1><button>Show</button><output></output><script src="/script.js"></script></html>') // prettier-ignore
})
console.log(`Open ${origin}/ . What its script is told when it asks for tokens:

curl -k ${issuer}/oauth2/token -H "Origin: ${origin}" -d client_id=page -d grant_type=authorization_code -d code=x
`)

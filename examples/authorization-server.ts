/**
 * A whole authorization server in one file: a login of your own, the consent page that comes with the package, tokens, and an API that takes them.
 * What differs from authorization-code.ts: `authorizationServer` serves every endpoint, and asks the application one question: who is logged in?
 *
 * Run it:  npx tsx examples/authorization-server.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -u app:app-secret -d grant_type=authorization_code -d code=<code> -d redirect_uri=https://localhost:3000/callback -d code_verifier=<verifier>
 * Answer:  {"access_token":"…","token_type":"Bearer","expires_in":3600,"refresh_token":"…","scope":"notes:read"}
 */
import { createHash, randomBytes } from 'node:crypto'
import express, { type Request } from 'express'
import { authorizationServer, requireAccessToken, type AuthInfo, type ServerOptions } from 'oauth2-token-handler'
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

// The login: yours. Here a form, a password for everybody, and sessions in memory.
const sessions = new Map<string, string>()
const sessionOf = ({ headers }: Request) => /(?:^|; )__Host-session=([\w-]+)/.exec(headers.cookie ?? '')?.[1] ?? ''
const cookie = { httpOnly: true, secure: true, sameSite: 'lax', path: '/' } as const
const backOf = ({ headers }: Request) => decodeURIComponent(/(?:^|; )__Host-back=([^;]+)/.exec(headers.cookie ?? '')?.[1] ?? '%2F')
const form = `<!doctype html><html lang="en"><title>Log in</title><main><h1>Log in</h1><form method="post"><label>Name <input name="name"></label>
  <label>Password (swordfish) <input name="password" type="password"></label><button>Log in</button></form></main></html>`
app.get('/login', (_req, res) => void res.set('Content-Security-Policy', "frame-ancestors 'none'").send(form))
app.post('/login', express.urlencoded(), (req, res) => {
  const { name = '', password } = req.body as { name?: string; password?: string }
  if (req.get('Sec-Fetch-Site') !== 'same-origin' || name === '' || password !== 'swordfish') return void res.status(403).send(form)
  const session = randomBytes(32).toString('base64url')
  sessions.set(session, name)
  res.cookie('__Host-session', session, cookie).redirect(303, backOf(req)) // back from the cookie: in the URL anybody could write another place
})

// Everything else: it asks who is logged in, and whoever is not is sent to the login and comes back.
app.use(authorizationServer(oauth, { authorize(request, req: Request, res: express.Response) {
  const subject = sessions.get(sessionOf(req))
  if (subject !== undefined) return { subject }
  res.cookie('__Host-back', request.url, cookie).redirect(303, '/login')
  return undefined
} })) // prettier-ignore

app.get('/notes', requireAccessToken(oauth, { scope: 'notes:read' }), (req: Request & { auth?: AuthInfo }, res) => {
  res.json({ notes: ['water the plants'], of: req.auth?.subject })
})

// The client's side, so that a browser is all you need.
const [verifier, state] = [randomBytes(32).toString('base64url'), randomBytes(16).toString('base64url')]
const code_challenge = createHash('sha256').update(verifier).digest('base64url')
app.get('/callback', ({ query }, res) => {
  if (query.state !== state || query.iss !== origin || typeof query.code !== 'string') return void res.status(400).type('text').send('No code for us') // prettier-ignore
  res.type('text').send(`curl -k ${origin}/oauth2/token -u app:app-secret -d grant_type=authorization_code -d code=${query.code} -d redirect_uri=${redirect_uri} -d code_verifier=${verifier}`) // prettier-ignore
})
console.log(`Open ${origin}/oauth2/authorize?response_type=code&client_id=app&redirect_uri=${redirect_uri}&scope=notes:read&state=${state}&code_challenge=${code_challenge}&code_challenge_method=S256`) // prettier-ignore

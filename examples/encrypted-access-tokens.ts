/**
 * Encrypted access tokens: everything about a token is inside, nobody without the key can read it, and no look-up is needed to accept it.
 * What differs from protected-resource.ts: `accessTokens: encrypted(…)`, a key that is replaced every minute, and `checkRevocation` where it matters.
 *
 * Run it:  npx tsx examples/encrypted-access-tokens.ts
 * Try it:  curl -k https://localhost:3000/notes -H "Authorization: Bearer $(curl -sk https://localhost:3000/oauth2/token -u reports:reports-secret -d grant_type=client_credentials | node -p 'JSON.parse(fs.readFileSync(0)).access_token')"
 * Answer:  {"notes":["water the plants"],"readBy":"reports","tenant":"blue"}
 */
import { randomBytes } from 'node:crypto'
import express, { type Request } from 'express'
import { encrypted, requireAccessToken, revocationHandler, tokenHandler, type AuthInfo, type ServerOptions } from 'oauth2-token-handler'
import { serve } from './https.js'

const accessTokenLifetime = 120
const tenants: Partial<Record<string, string>> = { reports: 'blue' }

// In production every process reads the same keys from where you keep your secrets: 32 random bytes each.
let active = randomBytes(32)
let next = randomBytes(32)
let retired: Uint8Array[] = []
const keys = () => [{ key: active }, { key: next, state: 'next' as const }, ...retired.map((key) => ({ key, state: 'retired' as const }))]
const accessTokens = encrypted({ keys: keys(), claims: ({ client }) => ({ tenant: tenants[client.client_id] ?? null }) })

// A key is known as `next` before it encrypts, and as `retired` until its last token has expired.
setInterval(() => {
  retired = [active, ...retired].slice(0, accessTokenLifetime / 60)
  active = next
  next = randomBytes(32)
  accessTokens.replaceKeys(keys())
}, 60_000)

const app = express()
const origin = await serve(app)
const oauth: ServerOptions = {
  issuer: origin,
  clients: [{ client_id: 'reports', client_secret: 'reports-secret', grant_types: ['client_credentials'] }],
  scopes: ['read', 'write'],
  accessTokens,
  accessTokenLifetime,
}
app.post('/oauth2/token', tokenHandler(oauth))
app.post('/oauth2/revoke', revocationHandler(oauth))

const notes = (req: Request & { auth?: AuthInfo }, res: express.Response) => {
  res.json({ notes: ['water the plants'], readBy: req.auth?.clientId, tenant: req.auth?.extra.tenant })
}
app.get('/notes', requireAccessToken(oauth), notes)
// One look-up more: a token that was revoked is refused here at once, and above when it expires.
app.get('/secrets', requireAccessToken(oauth, { checkRevocation: true }), notes)

console.log(`The notes are at ${origin}/notes. With a token in another terminal:

curl -k ${origin}/notes -H "Authorization: Bearer $(curl -sk ${origin}/oauth2/token -u reports:reports-secret -d grant_type=client_credentials | node -p 'JSON.parse(fs.readFileSync(0)).access_token')"
`)

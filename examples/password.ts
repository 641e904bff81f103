/**
 * The password grant (RFC 6749 §4.3), and why not to: RFC 9700 §2.4 says that it must not be used. The client sees the password, a second factor
 * has no place, and people learn to type their password anywhere. Use it to move an old client to authorization-code.ts, and for nothing else.
 *
 * Run it:  npx tsx examples/password.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -u old-app:old-secret -d grant_type=password -d username=alice -d 'password=correct horse' -d scope=read
 * Answer:  {"access_token":"…","token_type":"Bearer","expires_in":3600,"refresh_token":"…","scope":"read"}
 * Wrong:   {"error":"invalid_grant","error_description":"the username or password is wrong"}
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import express from 'express'
import { legacyApplication, tokenHandler } from 'oauth2-token-handler'
import { serve } from './https.js'

const slowHash = promisify(scrypt) as (password: string, salt: Buffer, size: number) => Promise<Buffer>

interface User {
  readonly salt: Buffer
  readonly hash: Buffer
  readonly isActive: boolean
}

async function newUser(password: string, isActive = true): Promise<User> {
  const salt = randomBytes(16)
  return { salt, hash: await slowHash(password.normalize('NFKC'), salt, 32), isActive }
}

const users = new Map([['alice', await newUser('correct horse')]])
const nobody = await newUser(randomBytes(16).toString('hex'), false)

/** Unknown, wrong and inactive take the same time: whoever listens to the clock learns no names. */
async function authenticate(username: string, password: string): Promise<string | undefined> {
  const { salt, hash, isActive } = users.get(username) ?? nobody
  const isRight = timingSafeEqual(await slowHash(password.normalize('NFKC'), salt, 32), hash)
  return isRight && isActive ? username : undefined
}

const oldApp = { client_id: 'old-app', client_secret: 'old-secret', grant_types: ['password', 'refresh_token'] }
const app = express()
// After 20 wrong passwords a minute for one name from one address the answer is 429.
app.post('/oauth2/token', tokenHandler({ clients: [oldApp], scopes: ['read'], grants: legacyApplication({ authenticate }) }))

const origin = await serve(app)
console.log(`The token endpoint is ${origin}/oauth2/token. In another terminal:

curl -k ${origin}/oauth2/token -u old-app:old-secret -d grant_type=password -d username=alice -d 'password=correct horse' -d scope=read
`)

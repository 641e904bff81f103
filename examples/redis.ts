/**
 * The base, with tokens in Redis (REDIS_URL), for any number of processes.
 *
 * With node-redis `sendCommand` is `(args) => client.sendCommand(args)`, and the client needs a listener for `error`. Run Redis with `appendonly yes` and `maxmemory-policy noeviction`.
 *
 * Run it:  npx tsx examples/redis.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -u reports:reports-secret -d grant_type=client_credentials -d scope=read
 * Answer:  {"access_token":"…","token_type":"Bearer","expires_in":3600,"scope":"read"}
 */
import express from 'express'
import { Redis } from 'ioredis'
import { tokenHandler, type ServerOptions } from 'oauth2-token-handler'
import { redisStore } from 'oauth2-token-handler/stores/redis'
import { serve } from './https.js'

// A connection that is silent for five seconds while an answer is due is closed, and made anew.
const client = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', { socketTimeout: 5000 })
client.on('error', (error: Error) => {
  console.error(error.message)
})
const store = redisStore({
  sendCommand: ([command, ...args]) => client.call(command, ...args),
  prefix: process.env.REDIS_PREFIX ?? 'oauth2:',
})
await store.check()

const oauth: ServerOptions = {
  clients: [{ client_id: 'reports', client_secret: 'reports-secret', grant_types: ['client_credentials'] }],
  scopes: ['read', 'write'],
  store,
}

const app = express()
app.post('/oauth2/token', tokenHandler(oauth))

const origin = await serve(app)
console.log(`The token endpoint is ${origin}/oauth2/token. In another terminal:

curl -k ${origin}/oauth2/token -u reports:reports-secret -d grant_type=client_credentials -d scope=read
`)

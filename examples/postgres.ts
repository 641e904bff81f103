/**
 * The base, with tokens in PostgreSQL (DATABASE_URL), for any number of processes.
 *
 * Anything with `query(text, values)` is a pool. It must reach the primary.
 *
 * Run it:  npx tsx examples/postgres.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -u reports:reports-secret -d grant_type=client_credentials -d scope=read
 * Answer:  {"access_token":"…","token_type":"Bearer","expires_in":3600,"scope":"read"}
 */
import express from 'express'
import { tokenHandler, type ServerOptions } from 'oauth2-token-handler'
import { postgresStore } from 'oauth2-token-handler/stores/postgres'
import { Pool } from 'pg'
import { serve } from './https.js'

const pool = new Pool({
  connectionString: process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/test',
  connectionTimeoutMillis: 2000,
  keepAlive: true,
})
// pg ends the process when an idle connection breaks and nobody listens.
pool.on('error', () => undefined)
const store = postgresStore(pool, { sweepInterval: 60 })
await store.createTables()
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

/**
 * The base, with tokens in a SQLite file (SQLITE_FILE, default tokens.db) that outlive the process.
 *
 * `libsql`, better-sqlite3 and `node:sqlite` are used alike. Give the store a connection of its own.
 *
 * Run it:  npx tsx examples/sqlite.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -u reports:reports-secret -d grant_type=client_credentials -d scope=read
 * Answer:  {"access_token":"…","token_type":"Bearer","expires_in":3600,"scope":"read"}
 */
import express from 'express'
import Database from 'libsql'
import { tokenHandler, type ServerOptions } from 'oauth2-token-handler'
import { sqliteStore } from 'oauth2-token-handler/stores/sqlite'
import { serve } from './https.js'

const store = sqliteStore(new Database(process.env.SQLITE_FILE ?? 'tokens.db'), { sweepInterval: 60 })
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

/**
 * A store of your own: the four verbs, here over a Map, as they would be over the database that you have.
 *
 * `testStore` and `testStoreAcrossProcesses` from `oauth2-token-handler/testing` tell in your tests whether it is right. A Map needs nothing of
 * `oauth2-token-handler/stores/kit`; docs/store-of-your-own.md shows a store over a database, which does.
 *
 * Run it:  npx tsx examples/custom-store.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -u reports:reports-secret -d grant_type=client_credentials -d scope=read
 * Answer:  {"access_token":"…","token_type":"Bearer","expires_in":3600,"scope":"read"}
 */
import express from 'express'
import { tokenHandler, type ServerOptions, type Store, type StoredRecord } from 'oauth2-token-handler'
import { serve } from './https.js'

const records = new Map<string, StoredRecord>()

export const store: Store = {
  async get(id) {
    return records.get(id)
  },
  // INSERT … ON CONFLICT DO NOTHING: of two with one id, one succeeds.
  async create(record) {
    if (records.has(record.id)) return false
    records.set(record.id, record)
    return true
  },
  // UPDATE … WHERE id = … AND version = …: comparing and writing are one step, or two requests both win.
  async replace(record, version) {
    if (records.get(record.id)?.version !== version) return false
    records.set(record.id, record)
    return true
  },
  // SELECT … WHERE kind = 'authorization' AND …: never guards or clients.
  async *list({ subject, client_id }) {
    for (const record of [...records.values()]) {
      const isTheirs = (subject ?? record.subject) === record.subject && (client_id ?? record.client_id) === record.client_id
      if (record.kind === 'authorization' && isTheirs) yield records.get(record.id) ?? record
    }
  },
}

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

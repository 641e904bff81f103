/** An application that imports every entry of the package: `check.js` compiles it in folders of its own, and `npm run typecheck` here. */
import { generateKeyPairSync, createPublicKey } from 'node:crypto'
import express, { type Request } from 'express'
import {
  authorizationServer,
  encrypted,
  jwt,
  requireAccessToken,
  tokenHandler,
  type ClientAuthenticationMethod,
  type JsonWebKey,
  type ServerOptions,
} from 'oauth2-token-handler'
import 'oauth2-token-handler/express'
import { requireOAuth1, type OAuth1Options } from 'oauth2-token-handler/oauth1'
import { retrying } from 'oauth2-token-handler/stores/kit'
import { postgresStore } from 'oauth2-token-handler/stores/postgres'
import { redisStore } from 'oauth2-token-handler/stores/redis'
import { sqliteStore } from 'oauth2-token-handler/stores/sqlite'
import { testStore, testStoreAcrossProcesses } from 'oauth2-token-handler/testing'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const exported = publicKey.export({ format: 'jwk' })
const written: JsonWebKey = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid: 'one', use: 'sig' }

const oauth: ServerOptions = {
  issuer: 'https://server.example',
  clients: [{ client_id: 'a', client_secret: process.env.SECRET, jwks: { keys: [exported, written] } }],
  scopes: ['read'],
  accessTokens: jwt({ key: privateKey.export({ format: 'jwk' }) }),
}

/** The keys of a client go to node:crypto as they are. */
const readKeys: ClientAuthenticationMethod['verify'] = async (_credentials, client, server) => {
  const keys = await server.keysOf(client)
  return keys.map((key) => createPublicKey({ key, format: 'jwk' })).length > 0
}

const app = express()
app.post('/token', tokenHandler(oauth))
app.use(authorizationServer(oauth, { authorize: () => ({ subject: 'alice' }) }))
app.get('/me', requireAccessToken(oauth, { scope: 'read' }), (req, res) => {
  const subject: string | undefined = req.auth?.subject
  res.json({ subject, scopes: req.auth?.scopes.join(' ') })
})
app.get('/also', (req: Request, res) => {
  // @ts-expect-error a token has no such member
  res.json(req.auth?.nothing)
})

export const used: readonly unknown[] = [encrypted, postgresStore, redisStore, sqliteStore, retrying, testStore, testStoreAcrossProcesses, requireOAuth1, readKeys] // prettier-ignore
export const options: OAuth1Options | undefined = undefined

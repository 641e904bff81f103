/**
 * oidc-provider on node:http, which is its cheapest host, with a Map for storage: its own adapter forgets all but the last 1000 entries.
 * It has no middleware for protected resources: the bearer check is a look-up by its models, on Express 5 as in an API of its users.
 */
import express from 'express'
import { generateKeyPairSync } from 'node:crypto'
import { Provider } from 'oidc-provider'
import { audience, client, issuer, lifetime, pkce, resourceAnswer, scope, subject } from '../workloads.js'

const signing = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
}

export async function start({ kind, format, store }) {
  if (store !== 'memory') throw new Error('has no stores')
  if (format === 'encrypted') throw new Error('not configured for encrypted tokens')
  if (kind === 'resource' && format !== 'opaque') throw new Error('leaves verifying JWTs to another package')
  const alg = format === 'opaque' ? 'ES256' : format
  const key = { ...signing[alg]().privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: '1' }
  const seconds = () => lifetime
  const provider = new Provider(issuer, {
    adapter: mapAdapter(),
    jwks: { keys: [key] },
    clients: [
      {
        client_id: client.client_id,
        client_secret: client.client_secret,
        grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
        redirect_uris: [client.redirect_uri],
        id_token_signed_response_alg: alg,
      },
    ],
    clientAuthMethods: ['client_secret_basic'],
    enabledJWA: { idTokenSigningAlgValues: ['ES256', 'EdDSA', 'RS256'] },
    scopes: ['openid', 'offline_access', 'read', 'write'],
    cookies: { keys: ['bench'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: format !== 'opaque',
        defaultResource: () => audience,
        getResourceServerInfo: () => ({ scope: 'read write', audience, accessTokenFormat: 'jwt', jwt: { sign: { alg } } }),
      },
    },
    findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    routes: { token: '/oauth2/token' },
    ttl: { AccessToken: seconds, AuthorizationCode: 600, ClientCredentials: seconds, Grant: seconds, RefreshToken: seconds },
  })
  const registered = await provider.Client.find(client.client_id)

  async function material() {
    if (kind === 'resource') return new provider.ClientCredentials({ client: registered, scope }).save()
    const grant = new provider.Grant({ accountId: subject, clientId: client.client_id })
    grant.addOIDCScope(`openid offline_access ${scope}`)
    const common = { accountId: subject, client: registered, grantId: await grant.save(), gty: 'authorization_code', scope }
    if (kind === 'refresh') return new provider.RefreshToken({ ...common, rotations: 0 }).save()
    const challenge = { codeChallenge: pkce.code_challenge, codeChallengeMethod: 'S256' }
    return new provider.AuthorizationCode({ ...common, redirectUri: client.redirect_uri, ...challenge }).save()
  }
  return {
    listener: kind === 'resource' ? protectedResource(provider) : provider.callback(),
    prepare: (count) => Promise.all(Array.from({ length: count }, material)),
  }
}

function protectedResource(provider) {
  const app = express()
  app.get('/api', async (req, res) => {
    const [, text = ''] = /^Bearer (.+)$/.exec(req.headers.authorization ?? '') ?? []
    const token = await provider.ClientCredentials.find(text)
    if (token?.isValid !== true || !token.scopes.has(scope)) return res.sendStatus(401)
    res.json(resourceAnswer)
  })
  return app
}

function mapAdapter() {
  const entries = new Map()
  return class MapAdapter {
    constructor(model) {
      this.key = (id) => `${model}:${id}`
    }
    async upsert(id, payload) {
      entries.set(this.key(id), payload)
    }
    async find(id) {
      return entries.get(this.key(id))
    }
    async consume(id) {
      entries.get(this.key(id)).consumed = Math.floor(Date.now() / 1000)
    }
    async destroy(id) {
      entries.delete(this.key(id))
    }
    async findByUid() {
      return undefined
    }
    async findByUserCode() {
      return undefined
    }
    async revokeByGrantId() {
      throw new Error('no grant is revoked here')
    }
  }
}

/** oauth2orize with Passport on Express 5, with Maps. The checks it leaves to the application (secret, PKCE, expiry) are here, as its examples have them. */
import express from 'express'
import { createHash, randomBytes } from 'node:crypto'
import oauth2orize from 'oauth2orize'
import passport from 'passport'
import { BasicStrategy } from 'passport-http'
import { Strategy as BearerStrategy } from 'passport-http-bearer'
import { client, lifetime, pkce, resourceAnswer, scope, subject } from '../workloads.js'
import { joseTokens } from './jose-tokens.js'

const newToken = () => randomBytes(32).toString('base64url')
const expiry = () => Date.now() + lifetime * 1000

export function start({ kind, format, store }) {
  if (store !== 'memory') throw new Error('has no stores')
  const jose = joseTokens(format)
  const [codes, accessTokens, refreshTokens] = [new Map(), new Map(), new Map()]
  const registered = { id: client.client_id, secret: client.client_secret }

  async function issue(grant, refreshable, issued) {
    const access_token = jose === undefined ? newToken() : await jose.sign()
    if (jose === undefined) accessTokens.set(access_token, { ...grant, expiresAt: expiry() })
    const members = { expires_in: lifetime, scope: grant.scope.join(' ') }
    if (!refreshable) return issued(null, access_token, null, members)
    const refresh_token = newToken()
    refreshTokens.set(refresh_token, grant)
    issued(null, access_token, refresh_token, members)
  }

  const server = oauth2orize.createServer()
  server.exchange(
    oauth2orize.exchange.clientCredentials((caller, requested, issued) => {
      const allowed = requested?.every((token) => ['read', 'write'].includes(token))
      if (!allowed) return issued(new oauth2orize.TokenError('scope', 'invalid_scope'))
      void issue({ client_id: caller.id, scope: requested }, false, issued)
    }),
  )
  server.exchange(
    oauth2orize.exchange.code((caller, text, redirect_uri, body, issued) => {
      const code = codes.get(text)
      codes.delete(text)
      const verified =
        code !== undefined &&
        code.client_id === caller.id &&
        code.redirect_uri === redirect_uri &&
        Date.now() < code.expiresAt &&
        createHash('sha256').update(body.code_verifier).digest('base64url') === code.code_challenge
      if (!verified) return issued(null, false)
      void issue({ client_id: caller.id, subject: code.subject, scope: code.scope }, true, issued)
    }),
  )
  server.exchange(
    oauth2orize.exchange.refreshToken((caller, text, _scope, issued) => {
      const grant = refreshTokens.get(text)
      if (grant?.client_id !== caller.id) return issued(null, false)
      refreshTokens.delete(text)
      void issue(grant, true, issued)
    }),
  )

  const authenticator = new passport.Passport()
  authenticator.use(
    new BasicStrategy((id, secret, done) => done(null, id === registered.id && secret === registered.secret ? registered : false)),
  )
  authenticator.use(
    new BearerStrategy(async (text, done) => {
      try {
        const grant = jose === undefined ? accessTokens.get(text) : await jose.verify(text)
        if (grant === undefined || (jose === undefined && Date.now() >= grant.expiresAt)) return done(null, false)
        if (!(jose === undefined ? grant.scope : grant.scope.split(' ')).includes(scope)) return done(null, false)
        done(null, { id: grant.client_id }, grant)
      } catch {
        done(null, false)
      }
    }),
  )

  const app = express()
  const authenticate = authenticator.authenticate('basic', { session: false })
  app.post('/oauth2/token', express.urlencoded(), authenticate, server.token(), server.errorHandler())
  app.get('/api', authenticator.authenticate('bearer', { session: false }), (_req, res) => res.json(resourceAnswer))

  async function material() {
    const text = newToken()
    const grant = { client_id: client.client_id, subject, scope: [scope] }
    if (kind === 'exchange') {
      codes.set(text, { ...grant, redirect_uri: client.redirect_uri, code_challenge: pkce.code_challenge, expiresAt: expiry() })
    } else if (kind === 'refresh') refreshTokens.set(text, grant)
    else if (jose !== undefined) return jose.sign()
    else accessTokens.set(text, { ...grant, expiresAt: expiry() })
    return text
  }
  return { listener: app, prepare: (count) => Promise.all(Array.from({ length: count }, material)) }
}

/** @node-oauth/express-oauth-server on Express 5, with a model of Maps. */
import OAuthServer from '@node-oauth/express-oauth-server'
import express from 'express'
import { randomBytes } from 'node:crypto'
import { client, lifetime, pkce, resourceAnswer, scope, subject } from '../workloads.js'
import { joseTokens } from './jose-tokens.js'

const newToken = () => randomBytes(32).toString('base64url')
const later = () => new Date(Date.now() + lifetime * 1000)

export function start({ kind, format, store }) {
  if (store !== 'memory') throw new Error('has no stores')
  const jose = joseTokens(format)
  const [codes, accessTokens, refreshTokens] = [new Map(), new Map(), new Map()]
  const registered = {
    id: client.client_id,
    grants: ['authorization_code', 'refresh_token', 'client_credentials'],
    redirectUris: [client.redirect_uri],
  }
  const user = { id: subject }
  const model = {
    getClient: (id, secret) =>
      id === client.client_id && (secret === null || secret === undefined || secret === client.client_secret) ? registered : false,
    getUserFromClient: () => user,
    validateScope: (_user, _client, requested) => (requested?.every((token) => ['read', 'write'].includes(token)) ? requested : false),
    verifyScope: ({ scope: granted }, needed) => needed.every((token) => granted.includes(token)),
    generateAccessToken: () => (jose === undefined ? newToken() : jose.sign()),
    generateRefreshToken: newToken,
    saveToken(token, tokenClient, tokenUser) {
      const saved = { ...token, client: tokenClient, user: tokenUser }
      // A token that says everything itself need not be remembered.
      if (jose === undefined) accessTokens.set(token.accessToken, saved)
      if (token.refreshToken !== undefined) refreshTokens.set(token.refreshToken, saved)
      return saved
    },
    async getAccessToken(text) {
      if (jose === undefined) return accessTokens.get(text)
      const claims = await jose.verify(text)
      return {
        accessToken: text,
        accessTokenExpiresAt: new Date(claims.exp * 1000),
        scope: claims.scope.split(' '),
        client: registered,
        user,
      }
    },
    getRefreshToken: (text) => refreshTokens.get(text),
    revokeToken: ({ refreshToken }) => refreshTokens.delete(refreshToken),
    getAuthorizationCode: (text) => codes.get(text),
    revokeAuthorizationCode: ({ authorizationCode }) => codes.delete(authorizationCode),
  }
  const oauth = new OAuthServer({ model, accessTokenLifetime: lifetime })
  const app = express()
  app.post('/oauth2/token', express.urlencoded(), oauth.token())
  app.get('/api', oauth.authenticate({ scope: [scope] }), (_req, res) => res.json(resourceAnswer))

  async function material() {
    const text = newToken()
    const granted = { scope: [scope], client: registered, user }
    if (kind === 'exchange') {
      const challenge = { codeChallenge: pkce.code_challenge, codeChallengeMethod: 'S256' }
      codes.set(text, { authorizationCode: text, expiresAt: later(), redirectUri: client.redirect_uri, ...granted, ...challenge })
    } else if (kind === 'refresh') refreshTokens.set(text, { refreshToken: text, refreshTokenExpiresAt: later(), ...granted })
    else if (jose !== undefined) return jose.sign()
    else accessTokens.set(text, { accessToken: text, accessTokenExpiresAt: later(), ...granted })
    return text
  }
  return { listener: app, prepare: (count) => Promise.all(Array.from({ length: count }, material)) }
}

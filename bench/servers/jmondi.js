/**
 * @jmondi/oauth2-server on Express 5, with repositories of Maps. Its access tokens are always JWTs: where the workload asks for an opaque one
 * they are signed with HS256, the default and cheapest; codes and refresh tokens are opaque, which is cheaper than its JWTs.
 */
import { AuthorizationServer, DateInterval, JwtService } from '@jmondi/oauth2-server'
import { handleExpressError, handleExpressResponse, requestFromExpress } from '@jmondi/oauth2-server/express'
import express from 'express'
import { createSecretKey, randomBytes } from 'node:crypto'
import { client, pkce, subject } from '../workloads.js'
import { joseTokens } from './jose-tokens.js'

const newToken = () => randomBytes(32).toString('base64url')

export function start({ kind, format, store }) {
  if (store !== 'memory') throw new Error('has no stores')
  if (kind === 'resource') throw new Error('has no middleware for protected resources')
  const jose = joseTokens(format)
  const [codes, accessTokens, refreshTokens] = [new Map(), new Map(), new Map()]
  const scopes = [{ name: 'read' }, { name: 'write' }]
  const granted = [scopes[0]]
  const user = { id: subject }
  const registered = {
    id: client.client_id,
    name: client.client_id,
    secret: client.client_secret,
    redirectUris: [client.redirect_uri],
    allowedGrants: ['client_credentials', 'authorization_code', 'refresh_token'],
    scopes,
  }
  const inAnHour = () => new DateInterval('1h').getEndDate()
  const clientRepository = {
    getByIdentifier: async (id) => (id === registered.id ? registered : undefined),
    isClientValid: async (grantType, { secret, allowedGrants }, presented) => presented === secret && allowedGrants.includes(grantType),
  }
  const tokenRepository = {
    issueToken: async (owner, of, by) => ({
      accessToken: newToken(),
      accessTokenExpiresAt: inAnHour(),
      refreshToken: null,
      refreshTokenExpiresAt: null,
      client: owner,
      user: by ?? null,
      scopes: of,
    }),
    async issueRefreshToken(token) {
      token.refreshToken = newToken()
      token.refreshTokenExpiresAt = inAnHour()
      refreshTokens.set(token.refreshToken, token)
      return token
    },
    persist: async (token) => void accessTokens.set(token.accessToken, token),
    async revoke(token) {
      token.accessTokenExpiresAt = token.refreshTokenExpiresAt = new Date(0)
    },
    isRefreshTokenRevoked: async ({ refreshTokenExpiresAt }) => Date.now() > refreshTokenExpiresAt.getTime(),
    getByRefreshToken: async (text) => refreshTokens.get(text),
  }
  const scopeRepository = {
    getAllByIdentifiers: async (names) => scopes.filter(({ name }) => names.includes(name)),
    finalize: async (of) => of,
  }
  const codeRepository = {
    getByIdentifier: async (text) => codes.get(text),
    issueAuthCode: (owner, by, of) => ({ code: newToken(), expiresAt: inAnHour(), client: owner, user: by, scopes: of }),
    persist: async (code) => void codes.set(code.code, code),
    isRevoked: async (text) => Date.now() > codes.get(text).expiresAt.getTime(),
    revoke: async (text) => void (codes.get(text).expiresAt = new Date(0)),
  }
  // As a key object: from text jsonwebtoken makes the key anew for each token, which takes 300 µs.
  const hmac = new JwtService(createSecretKey(randomBytes(32)))
  const jwtService =
    jose === undefined
      ? hmac
      : { verify: (text) => jose.verify(text), decode: () => null, sign: (claims) => jose.sign(withoutUndefined(claims)) }
  const server = new AuthorizationServer(clientRepository, tokenRepository, scopeRepository, jwtService, {
    useOpaqueAuthorizationCodes: true,
    useOpaqueRefreshTokens: true,
  })
  const userRepository = { getUserByCredentials: async () => user }
  server.enableGrantTypes('client_credentials', 'refresh_token', {
    grant: 'authorization_code',
    authCodeRepository: codeRepository,
    userRepository,
  })
  const app = express()
  app.post('/oauth2/token', express.urlencoded(), async (req, res) => {
    try {
      handleExpressResponse(res, await server.respondToAccessTokenRequest(requestFromExpress(req)))
    } catch (error) {
      handleExpressError(error, res)
    }
  })

  async function material() {
    if (kind === 'refresh') {
      const token = await tokenRepository.issueRefreshToken(await tokenRepository.issueToken(registered, granted, user))
      await tokenRepository.persist(token)
      return token.refreshToken
    }
    const code = codeRepository.issueAuthCode(registered, user, granted)
    const { code_challenge } = pkce
    await codeRepository.persist({
      ...code,
      redirectUri: client.redirect_uri,
      codeChallenge: code_challenge,
      codeChallengeMethod: 'S256',
    })
    return code.code
  }
  return { listener: app, prepare: (count) => Promise.all(Array.from({ length: count }, material)) }
}

function withoutUndefined(claims) {
  return Object.fromEntries(Object.entries(claims).filter(([name, value]) => name === 'scope' || (name === 'cid' && value !== undefined)))
}

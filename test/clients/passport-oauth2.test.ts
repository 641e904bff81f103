/** passport-oauth2, unmodified: an application with a session logs alice in over https, refreshes, and uses the token. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import express from 'express'
import session from 'express-session'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import passport from 'passport'
import OAuth2Strategy from 'passport-oauth2'
import { follow, startProvider, type Provider } from './provider.js'

interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
}

/** The part of the `oauth` package's client that a strategy carries. */
interface StrategyClient {
  setAgent(agent: unknown): void
  useAuthorizationHeaderforGET(use: boolean): void
  get(url: string, accessToken: string, done: (error: unknown, body: string) => void): void
  getOAuthAccessToken(
    text: string,
    parameters: Record<string, string>,
    done: (error: unknown, access: string, refresh: string) => void,
  ): void
}

const web = {
  client_id: 'web-1+_:%',
  client_secret: 'a secret-_:+% schlüssel',
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: ['http://127.0.0.1/callback'],
}

let provider: Provider
let application: Server
let origin: string
let client: StrategyClient

beforeAll(async () => {
  provider = await startProvider([web])
  application = createServer(relyingParty())
  application.listen(0, '127.0.0.1')
  await once(application, 'listening')
  origin = `http://127.0.0.1:${(application.address() as AddressInfo).port}`
})
afterAll(async () => {
  application.closeAllConnections()
  application.close()
  await provider.close()
})

function relyingParty(): express.Express {
  const strategy = new OAuth2Strategy(
    {
      authorizationURL: provider.metadata.authorization_endpoint,
      tokenURL: provider.metadata.token_endpoint,
      clientID: web.client_id,
      clientSecret: web.client_secret,
      callbackURL: '/callback',
      scope: 'read',
      state: true,
      pkce: true,
    },
    (accessToken: string, refreshToken: string, _profile: unknown, done: (error: unknown, user: Express.User) => void) => {
      done(null, { accessToken, refreshToken })
    },
  )
  client = (strategy as unknown as { _oauth2: StrategyClient })._oauth2
  client.setAgent(provider.agent)
  client.useAuthorizationHeaderforGET(true)
  const app = express()
  app.use(session({ secret: 'session-secret', resave: false, saveUninitialized: false }))
  app.use(new passport.Passport().use(strategy).initialize())
  const authenticate = passport.authenticate(strategy, { session: false }) as express.RequestHandler
  app.get('/login', authenticate)
  app.get('/callback', authenticate, (req, res) => {
    res.json(req.user)
  })
  return app
}

/** The whole dance of a browser: login, consent, callback. */
async function logIn(): Promise<Tokens> {
  const login = await fetch(`${origin}/login`, { redirect: 'manual' })
  const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? ''
  const callback = await follow(provider, login.headers.get('location') ?? '')
  expect(callback.origin).toBe(origin)
  const response = await fetch(callback, { headers: { cookie } })
  return (await response.json()) as Tokens
}

function use(accessToken: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.get(provider.resource, accessToken, (error, body) => {
      if (error === null) resolve(JSON.parse(body))
      else reject(error)
    })
  })
}

function refresh(refreshToken: string): Promise<Tokens> {
  return new Promise((resolve, reject) => {
    client.getOAuthAccessToken(refreshToken, { grant_type: 'refresh_token' }, (error, accessToken, next) => {
      if (error === null) resolve({ accessToken, refreshToken: next })
      else reject(error)
    })
  })
}

describe('passport-oauth2', () => {
  test('G1 G4 code with PKCE and state, use, refresh, use', async () => {
    const tokens = await logIn()
    const alice = { client: web.client_id, subject: 'alice', scopes: ['read'] }
    expect(await use(tokens.accessToken)).toEqual(alice)
    const refreshed = await refresh(tokens.refreshToken)
    expect(refreshed.refreshToken).not.toBe(tokens.refreshToken)
    expect(await use(refreshed.accessToken)).toEqual(alice)
  })

  test('G5 a refresh token that comes back after its successor was used ends the authorization', async () => {
    const { refreshToken } = await logIn()
    const second = await refresh(refreshToken)
    const third = await refresh(second.refreshToken)
    expect(third.refreshToken).not.toBe(second.refreshToken)
    await expect(refresh(refreshToken)).rejects.toMatchObject({ statusCode: 400 })
    await expect(refresh(third.refreshToken)).rejects.toMatchObject({ statusCode: 400 })
    await expect(use(third.accessToken)).rejects.toMatchObject({ statusCode: 401 })
  })
})

/** Errors of an application that HTTP cannot carry as they are: the request is answered all the same, and the process goes on. */
import { afterAll, describe, expect, test } from '@jest/globals'
import { authorizationHandler, OAuthError, tokenHandler } from '../src/index.js'
import { requireOAuth1, temporaryCredentialsHandler } from '../src/oauth1/index.js'
import { oauth1Server, signed } from './oauth1/support.js'
import { authorizePath } from './server/site.js'
import { testServer } from './support/server.js'
import { Resources } from './support/wire.js'

const resources = new Resources()
afterAll(() => resources.close())

const errors: [name: string, make: () => OAuthError, status: number][] = [
  ['status 99', () => new OAuthError('access_denied', 'no', { status: 99 }), 403],
  ['status 101', () => new OAuthError('access_denied', 'no', { status: 101 }), 403],
  ['status 200', () => new OAuthError('access_denied', 'no', { status: 200 }), 403],
  ['status 1000', () => new OAuthError('invalid_request', 'no', { status: 1000 }), 400],
  ['status 418', () => new OAuthError('invalid_request', 'no', { status: 418 }), 418],
  ['a status that is a text', () => new OAuthError('invalid_request', 'no', { status: '409' as unknown as number }), 400],
  ['a code that is not registered', () => new OAuthError('no_such_code' as 'access_denied', 'no'), 400],
  ['a line break in Allow', () => new OAuthError('access_denied', 'no', { allow: 'GET\nX: y' }), 403],
  ['Japanese in the challenge', () => new OAuthError('access_denied', 'no', { challenge: 'Basic realm="日本"' }), 403],
  ['NaN in Retry-After', () => new OAuthError('temporarily_unavailable', 'no', { retryAfter: Number.NaN }), 503],
]

const form = { 'content-type': 'application/x-www-form-urlencoded' }

describe('R4 I7 an error of the application', () => {
  test.each(errors)('R4 I7 with %s is answered by every handler', async (_name, make, status) => {
    const fails = (): never => {
      throw make()
    }
    const { options } = testServer({ clients: fails, trustProxy: () => true })
    const signedOptions = oauth1Server({ clients: fails, trustProxy: () => true }).options
    const { options: withContext } = testServer({ context: fails, trustProxy: () => true })
    const authorize = authorizationHandler(options, () => ({ subject: 'alice' }))
    const handlers = { authorize, token: tokenHandler(options), context: tokenHandler(withContext), initiate: temporaryCredentialsHandler(signedOptions) } // prettier-ignore
    const guard = requireOAuth1(signedOptions)
    const { url } = await resources.listen((req, res) => {
      const name = String(req.headers['x-handler'])
      if (name in handlers) handlers[name as keyof typeof handlers](req, res)
      else guard(req, res, () => res.end('passed'))
    })
    const { headers } = signed('https://server.example/', { client_id: 'c', client_secret: 's' })
    const post = { method: 'POST', headers: form, body: 'grant_type=client_credentials&client_id=x&client_secret=y' }
    const asked: Record<string, Omit<RequestInit, 'headers'> & { headers?: Record<string, string> }> = {
      authorize: {},
      token: post,
      context: post,
      initiate: { method: 'POST', headers: signed('https://server.example/', { client_id: 'c' }, { protocol: { oauth_callback: 'oob' } }).headers as Record<string, string> }, // prettier-ignore
      guard: { headers: { ...(headers as Record<string, string>), authorization: `${String(headers.authorization)}, oauth_token="x"` } },
    }
    for (const [name, { headers: more = {}, ...init }] of Object.entries(asked)) {
      const sent = { 'x-forwarded-proto': 'https', 'x-handler': name, ...more }
      const path = name === 'authorize' ? authorizePath() : '/'
      const response = await fetch(url + path, { ...init, redirect: 'manual', headers: sent, signal: AbortSignal.timeout(3000) })
      expect([name, response.status]).toEqual([name, status])
      expect(response.headers.get('retry-after')).not.toBe('NaN')
    }
  })
})

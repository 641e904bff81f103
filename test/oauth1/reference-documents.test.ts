/** SM7: what the reference document of the OAuth 1 access token endpoint shows, example by example. */
import { expect, test } from '@jest/globals'
import { createAccessTokenResponse } from '../../src/oauth1/index.js'
import { authorized, client, exchangeRequest, oauth1Server, signed, tokenUrl, type OAuth1Server } from './support.js'

const url = 'https://your.provider/access_token?foo=bar'

function server(): OAuth1Server {
  return oauth1Server({
    realms: ['movies', 'pics'],
    responseParameters: ({ context }) => (typeof context.my_specific === 'string' ? { my_specific: context.my_specific } : {}),
  })
}

test.each(['GET', 'POST'])(
  'SM7 a valid %s request: 200, the headers, and a body with realms and extra credentials in this order',
  async (method) => {
    const one = server()
    const { token, oauth_verifier } = await authorized(one)
    const request = signed(url, { ...client, token }, { method, protocol: { oauth_verifier } })
    const { status, headers, body } = await createAccessTokenResponse(one.options, { ...request, context: { my_specific: 'argument' } })
    expect(headers).toMatchObject({ 'Content-Type': 'application/x-www-form-urlencoded' })
    expect(body).toMatch(/^oauth_token=[^&]+&oauth_token_secret=[^&]+&oauth_authorized_realms=movies\+pics&my_specific=argument$/)
    expect(status).toBe(200)
  },
)

test('SM7 without extra credentials the body has no more than the members of the protocol', async () => {
  const one = server()
  const { body } = await createAccessTokenResponse(one.options, exchangeRequest(one, await authorized(one)))
  expect(body).toMatch(/^oauth_token=[^&]+&oauth_token_secret=[^&]+&oauth_authorized_realms=movies\+pics$/)
})

test('SM7 an invalid request, which lacks the resource owner key: 400, error and error_description', async () => {
  const one = server()
  const request = signed(tokenUrl, client, { protocol: { oauth_verifier: 'v' } })
  const { status, headers, body } = await createAccessTokenResponse(one.options, request)
  expect(body).toBe('error=invalid_request&error_description=oauth_token+is+required')
  expect(status).toBe(400)
  expect(headers).toEqual({ 'Content-Type': 'application/x-www-form-urlencoded', 'Cache-Control': 'no-store', Pragma: 'no-cache' })
})

test('SM7 an unauthorized request: 401, an empty body, a challenge', async () => {
  const one = server()
  const token = { oauth_token: '234lsdkf', oauth_token_secret: 'x' }
  const request = signed(url, { ...client, token }, { method: 'GET', protocol: { oauth_verifier: 'v' } })
  expect(await createAccessTokenResponse(one.options, request)).toEqual({
    status: 401,
    headers: { 'Cache-Control': 'no-store', Pragma: 'no-cache', 'WWW-Authenticate': 'OAuth realm="oauth1"' },
    body: '',
  })
})

test('SM7 "any valid HTTP verb" is not what RFC 5849 §2.3 says: PUT and HEAD are 405', async () => {
  const one = server()
  const pending = await authorized(one)
  for (const method of ['PUT', 'HEAD']) {
    const refused = await createAccessTokenResponse(one.options, exchangeRequest(one, pending, client, { method }))
    expect(refused).toMatchObject({ status: 405, headers: { Allow: 'GET, POST' } })
  }
})

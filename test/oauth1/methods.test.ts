import { expect, test } from '@jest/globals'
import { generateKeyPairSync } from 'node:crypto'
import { createAccessTokenResponse, type OAuth1Options } from '../../src/oauth1/index.js'
import { signatureMethods, type SignatureMethod } from '../../src/oauth1/signature.js'
import { authorized, exchangeRequest, initiate, oauth1Server, resource, resourceUrl, signed, tokenFor } from './support.js'

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
const both = {
  client_id: 'both',
  client_secret: 'a secret with ☃ & = % +',
  public_key: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
}
const signer = { client_id: both.client_id, client_secret: both.client_secret, privateKey: pair.privateKey }
const server = (options: Partial<OAuth1Options>) => oauth1Server({ clients: [both], ...options })

test('O4 there are seven methods', () => {
  expect([...signatureMethods].sort()).toEqual(
    ['HMAC-SHA1', 'HMAC-SHA256', 'HMAC-SHA512', 'PLAINTEXT', 'RSA-SHA1', 'RSA-SHA256', 'RSA-SHA512'].sort(),
  )
})

test.each([...signatureMethods])('O4 %s: the three legs and a resource pass where it is listed', async (signatureMethod) => {
  const listed = server({ signatureMethods: [signatureMethod] })
  const token = await tokenFor(listed, signer, { signatureMethod })
  expect((await resource(listed, signed(resourceUrl, { ...signer, token }, { signatureMethod }))).status).toBe(200)
})

test.each([...signatureMethods])('O4 %s: refused where it is not listed', async (signatureMethod) => {
  const others = signatureMethods.filter((method) => method !== signatureMethod)
  expect(await initiate(server({ signatureMethods: others }), signer, { signatureMethod })).toMatchObject({
    status: 400,
    body: 'error=invalid_request&error_description=the+signature+method+is+not+supported',
  })
})

test.each([...signatureMethods])('O4 %s: wrong secrets or a wrong key are a 401', async (signatureMethod) => {
  const listed = server({ signatureMethods })
  const wrong = { ...signer, client_secret: 'wrong', privateKey: stranger.privateKey }
  expect(await initiate(listed, wrong, { signatureMethod })).toMatchObject({ status: 401, body: '' })
  const pending = await authorized(listed, signer, { signatureMethod })
  const oauth_token_secret = 'wrong'
  const request = exchangeRequest(listed, { ...pending, token: { ...pending.token, oauth_token_secret } }, signer, { signatureMethod })
  // An RSA signature does not cover the token's secret (RFC 5849 §3.4.3); everything else does.
  expect((await createAccessTokenResponse(listed.options, request)).status).toBe(signatureMethod.startsWith('RSA') ? 200 : 401)
})

test.each(['HMAC-SHA256', 'HMAC-SHA1'] as const)('O4 %s is allowed by default', async (signatureMethod) => {
  expect((await initiate(server({}), signer, { signatureMethod })).status).toBe(200)
})

test.each(['HMAC-SHA512', 'RSA-SHA1', 'RSA-SHA256', 'RSA-SHA512', 'PLAINTEXT'] as const)(
  'O4 %s is not allowed by default',
  async (signatureMethod) => {
    expect((await initiate(server({}), signer, { signatureMethod })).status).toBe(400)
  },
)

const mismatches: readonly [SignatureMethod, object, object][] = [
  ['HMAC-SHA1', { client_id: 'c', public_key: both.public_key }, { client_secret: '' }],
  ['HMAC-SHA256', { client_id: 'c', public_key: both.public_key }, { client_secret: both.public_key }],
  ['PLAINTEXT', { client_id: 'c', public_key: both.public_key }, { client_secret: '' }],
  ['RSA-SHA256', { client_id: 'c', client_secret: 's' }, { privateKey: stranger.privateKey }],
]
test.each(mismatches)('O4 %s: a client without what the method needs is a 401', async (signatureMethod, registered, has) => {
  const target = oauth1Server({ clients: [registered as { client_id: string }], signatureMethods })
  expect(await initiate(target, { client_id: 'c', ...has }, { signatureMethod })).toMatchObject({ status: 401, body: '' })
  expect(target.events.at(-1)?.reason).toBe('the client has no secret or key for this method')
})

/**
 * A grant of your own (RFC 6749 §4.5): a signed ticket, such as a link in a mail carries, is exchanged for tokens, once.
 * What differs from client-credentials.ts: an object with `type` and `authorize` in the option `grants`.
 *
 * Run it:  npx tsx examples/custom-grant.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -u mailer:mailer-secret -d grant_type=urn:example:ticket -d ticket=<ticket>
 * Answer:  {"access_token":"…","token_type":"Bearer","expires_in":3600,"refresh_token":"…","scope":"read"}
 * Again:   {"error":"invalid_grant","error_description":"the ticket is invalid, expired, or was used"}
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import express from 'express'
import { InvalidGrant, InvalidRequest, refreshToken, tokenHandler, type Grant } from 'oauth2-token-handler'
import { serve } from './https.js'

const key = randomBytes(32)
const sign = (text: string) => createHmac('sha256', key).update(text).digest('base64url')

function newTicket(subject: string, expiresAt: number): string {
  const text = `${subject}~${expiresAt}`
  return `${text}~${sign(text)}`
}

function isSigned(text: string, signature: string): boolean {
  const [expected, given] = [Buffer.from(sign(text)), Buffer.from(signature)]
  return expected.length === given.length && timingSafeEqual(expected, given)
}

const ticketGrant: Grant = {
  type: 'urn:example:ticket',
  async authorize({ parameters, now, grantableScope, claimOnce }) {
    if (parameters.ticket === undefined) throw new InvalidRequest('ticket is required')
    const [subject = '', expiry = '', signature = ''] = parameters.ticket.split('~')
    const expiresAt = Number(expiry)
    const scope = grantableScope()
    // claimOnce comes last: a request that is refused for another reason does not use the ticket up.
    const isGood =
      isSigned(`${subject}~${expiry}`, signature) && now < expiresAt && (await claimOnce('ticket', parameters.ticket, expiresAt))
    if (!isGood) throw new InvalidGrant('the ticket is invalid, expired, or was used')
    return { subject, scope }
  },
}

const mailer = { client_id: 'mailer', client_secret: 'mailer-secret', grant_types: [ticketGrant.type, 'refresh_token'] }
const app = express()
app.post('/oauth2/token', tokenHandler({ clients: [mailer], scopes: ['read'], grants: [ticketGrant, refreshToken()] }))

const origin = await serve(app)
const ticket = newTicket('alice', Math.floor(Date.now() / 1000) + 3600)
console.log(`A ticket for alice is good for one hour, and once. In another terminal:

curl -k ${origin}/oauth2/token -u mailer:mailer-secret -d grant_type=urn:example:ticket -d ticket=${ticket}
`)

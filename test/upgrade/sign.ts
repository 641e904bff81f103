/** Signs requests of OAuth 1 by HMAC-SHA256 (RFC 5849 §3.4), for the upgrade fixtures. Uses nothing of the code under test. */
import { createHmac, randomUUID } from 'node:crypto'

export interface Signer {
  readonly client_id: string
  readonly client_secret: string
  readonly token?: { readonly oauth_token: string; readonly oauth_token_secret: string }
}

const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

/** A POST without a body; all parameters stand in the header. */
export function signed(url: string, { client_id, client_secret, token }: Signer, more: Readonly<Record<string, string>>, now: number) {
  const parameters: Record<string, string> = {
    oauth_consumer_key: client_id,
    oauth_signature_method: 'HMAC-SHA256',
    oauth_timestamp: String(now),
    oauth_nonce: randomUUID(),
    ...(token === undefined ? {} : { oauth_token: token.oauth_token }),
    ...more,
  }
  const pairs = Object.entries(parameters).map(([name, value]) => `${encode(name)}=${encode(value)}`).sort() // prettier-ignore
  const base = ['POST', encode(url), encode(pairs.join('&'))].join('&')
  const key = `${encode(client_secret)}&${encode(token?.oauth_token_secret ?? '')}`
  const oauth_signature = createHmac('sha256', key).update(base).digest('base64')
  const header = Object.entries({ ...parameters, oauth_signature }).map(([name, value]) => `${encode(name)}="${encode(value)}"`)
  return { url, method: 'POST', headers: { authorization: `OAuth ${header.join(', ')}` } }
}

/** How this package is set up wherever it is measured, and how codes and tokens are got from it without HTTP. */
import { client, issuer, pkce, scope } from './workloads.js'

/** The options of the server, but for its store. */
export const serverOptions = {
  issuer,
  clients: [
    {
      client_id: client.client_id,
      client_secret: client.client_secret,
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      redirect_uris: [client.redirect_uri],
    },
  ],
  scopes: ['read', 'write'],
  codeLifetime: 600,
  trustProxy: () => true,
}

/** A code for a subject. */
export function issueCode({ issueAuthorizationCode }, options, subject) {
  const { client_id, redirect_uri } = client
  const { code_challenge } = pkce
  return issueAuthorizationCode(options, { client_id, redirect_uri, subject, scope, code_challenge, code_challenge_method: 'S256' })
}

/** The form that redeems such a code. */
export function exchangeForm(code) {
  return { grant_type: 'authorization_code', code, redirect_uri: client.redirect_uri, code_verifier: pkce.code_verifier }
}

/** The token response to a form. */
export async function askForTokens({ createTokenResponse }, options, form) {
  const { client_id, client_secret } = client
  const { status, body } = await createTokenResponse(options, {
    method: 'POST',
    url: `${issuer}/oauth2/token`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ ...form, client_id, client_secret }),
  })
  if (status !== 200) throw new Error(body)
  return JSON.parse(body)
}

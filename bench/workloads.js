/**
 * What is asked of the servers: the requests, and what a right answer to each is.
 *
 * A workload says what is sent; `material` is what a request needs of the server beforehand: a code, a refresh token, an access
 * token. Servers are told `kind`, `format` and `store`.
 */

export const client = {
  client_id: 'reports',
  client_secret: '3vKq0Tn5cY8mWb1rXs6HjL9dPzF2gAeU4oRiN7kCtBw',
  redirect_uri: 'https://app.example/callback',
}
export const subject = 'alice'
export const issuer = 'https://server.example'
export const audience = 'https://api.example'
export const scope = 'read'
export const lifetime = 3600

// RFC 7636 Appendix B
export const pkce = {
  code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
  code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
}

/** What a protected resource answers. */
export const resourceAnswer = { reports: [1, 2, 3] }

const kinds = {
  credentials: { body: () => `grant_type=client_credentials&scope=${scope}` },
  exchange: {
    body: (code) =>
      `grant_type=authorization_code&code=${code}&redirect_uri=${encodeURIComponent(client.redirect_uri)}&code_verifier=${pkce.code_verifier}`,
    refreshToken: true,
  },
  refresh: { body: (token) => `grant_type=refresh_token&refresh_token=${encodeURIComponent(token)}`, refreshToken: true },
  resource: {},
}

const inMemory = [
  { id: 'W1', kind: 'credentials', format: 'opaque', title: 'client credentials, opaque token' },
  { id: 'W2-ES256', kind: 'credentials', format: 'ES256', title: 'client credentials, JWT with ES256' },
  { id: 'W2-EdDSA', kind: 'credentials', format: 'EdDSA', title: 'client credentials, JWT with EdDSA' },
  { id: 'W2-RS256', kind: 'credentials', format: 'RS256', title: 'client credentials, JWT with RS256' },
  { id: 'W2-encrypted', kind: 'credentials', format: 'encrypted', title: 'client credentials, encrypted token' },
  { id: 'W3', kind: 'exchange', format: 'opaque', title: 'code with PKCE for access and refresh token' },
  { id: 'W4', kind: 'refresh', format: 'opaque', title: 'refresh with rotation' },
  { id: 'W5-opaque', kind: 'resource', format: 'opaque', title: 'bearer check, opaque token' },
  { id: 'W5-ES256', kind: 'resource', format: 'ES256', title: 'bearer check, JWT with ES256' },
  { id: 'W5-ES256-new', kind: 'resource', format: 'ES256', once: true, title: 'bearer check, JWT with ES256, each token once' },
  { id: 'W5-RS256', kind: 'resource', format: 'RS256', title: 'bearer check, JWT with RS256' },
  { id: 'W5-RS256-new', kind: 'resource', format: 'RS256', once: true, title: 'bearer check, JWT with RS256, each token once' },
  { id: 'W5-encrypted', kind: 'resource', format: 'encrypted', title: 'bearer check, encrypted token' },
]

const durable = ['postgres', 'redis'].flatMap((store) =>
  inMemory
    .filter(({ format }) => format === 'opaque')
    .map((workload) => ({ ...workload, id: `W6-${store}-${workload.id}`, title: `${workload.title}, on ${store}`, store })),
)

export const workloads = [...inMemory.map((workload) => ({ ...workload, store: 'memory' })), ...durable]

/** True for a workload whose every request needs material of its own. */
export function consumesMaterial({ kind, once = false }) {
  return once || kind === 'exchange' || kind === 'refresh'
}

const basic = `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')}`

/** The bytes of one request. TLS ends at a proxy, as it does in production. */
export function requestText({ kind }, port, material) {
  const fields = [`Host: 127.0.0.1:${port}`, 'User-Agent: bench', 'Accept: application/json', 'X-Forwarded-Proto: https']
  if (kind === 'resource') return ['GET /api HTTP/1.1', ...fields, `Authorization: Bearer ${material}`, '', ''].join('\r\n')
  const body = kinds[kind].body(material)
  const own = [`Authorization: ${basic}`, 'Content-Type: application/x-www-form-urlencoded', `Content-Length: ${Buffer.byteLength(body)}`]
  return ['POST /oauth2/token HTTP/1.1', ...fields, ...own, '', body].join('\r\n')
}

/** Why an answer is wrong; undefined when it is right. `previous` is the access token of the answer before, where tokens must differ. */
export function faultOf(workload, status, body, previous) {
  if (status !== 200) return `status ${status}: ${body.slice(0, 200)}`
  let answer
  try {
    answer = JSON.parse(body)
  } catch {
    return `no JSON: ${body.slice(0, 200)}`
  }
  if (workload.kind === 'resource') return answer.reports?.length === 3 ? undefined : `another resource: ${body.slice(0, 200)}`
  const { access_token, token_type, expires_in, refresh_token } = answer
  if (typeof access_token !== 'string' || access_token.length < 20) return 'no access token'
  if (!/^bearer$/i.test(token_type)) return `token_type ${token_type}`
  if (!(expires_in > 0)) return `expires_in ${expires_in}`
  if (kinds[workload.kind].refreshToken && typeof refresh_token !== 'string') return 'no refresh token'
  if (access_token === previous) return 'the same access token twice'
  return undefined
}

/** An answer of the usual size, for servers that answer a constant. */
export function constantAnswer({ kind, format }) {
  if (kind === 'resource') return resourceAnswer
  return {
    access_token: 'a'.repeat({ opaque: 66, ES256: 450, EdDSA: 450, RS256: 710, encrypted: 560 }[format]),
    token_type: 'Bearer',
    expires_in: lifetime,
    ...(kinds[kind].refreshToken ? { refresh_token: 'r'.repeat(112) } : {}),
    scope,
  }
}

/** Material for servers that do not look at it. */
export function constantMaterial({ kind, format }, count) {
  const size = kind === 'resource' ? constantAnswer({ kind: 'credentials', format }).access_token.length : kind === 'refresh' ? 112 : 66
  return Array.from({ length: count }, () => 'm'.repeat(size))
}

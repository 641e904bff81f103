/**
 * The servers of the upgrade fixtures: their options, which the version that writes and every version that reads have in common.
 *
 * All clocks stand at {@link start} when the last record is written. Knows no test framework.
 */
import { createPrivateKey } from 'node:crypto'
import {
  authorizationCode,
  clientCredentials,
  InvalidGrant,
  jwt,
  refreshToken,
  type Grant,
  type ServerOptions,
  type Store,
} from '../../src/index.js'
import type { OAuth1Options } from '../../src/oauth1/index.js'

/** When the fixtures were finished: an instant far enough away for every database. */
export const start = 4_000_000_000
export const day = 86_400

export const issuer = 'https://as.example'
export const documentId = 'https://client.example/app.json'
export const visitedDocumentId = 'https://client.example/visited.json'
export const loopback = 'http://127.0.0.1/callback'
export const redirect_uri = 'https://client.example/callback'
export const code_verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
export const code_challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

/** A key made for the fixtures, and good for nothing else. */
const signingKey = createPrivateKey(`-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqK8MYj90XiWPIR1d
MhsIWn5qvADGEcgtAVpKas60s8ShRANCAAT2bQcl0uPt7TXe+KFP74fl06EsQjnc
ccCIUHdwFsK4hfvvvzOigEWRR33TG1sG1h7RgG/PYPVlgCZos3TfGvc5
-----END PRIVATE KEY-----`)

export const web = {
  client_id: 'web',
  client_secret: 'web-secret-0123456789abcdef',
  grant_types: ['authorization_code', 'refresh_token', 'urn:example:ticket'],
  redirect_uris: [redirect_uri],
} as const
export const native = {
  client_id: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: [redirect_uri],
} as const
export const machine = { client_id: 'machine', client_secret: 'machine-secret-0123456789', grant_types: ['client_credentials'] } as const
/** Its access tokens outlive its refresh tokens. */
export const lasting = { ...web, client_id: 'lasting', client_secret: 'lasting-secret-0123456789', accessTokenLifetime: 365 * day } as const
/** May ask about every token. */
export const inspector = {
  client_id: 'inspector',
  client_secret: 'inspector-secret-0123456789',
  grant_types: [],
  introspect: true,
} as const

/** Lets a ticket be used once. */
const ticket: Grant = {
  type: 'urn:example:ticket',
  async authorize({ parameters, grantableScope, claimOnce }) {
    const scope = grantableScope()
    if (!(await claimOnce('ticket', parameters.ticket ?? '', start + day))) throw new InvalidGrant()
    return { subject: 'alice', scope }
  },
}

const shared = {
  issuer,
  scopes: ['read', 'write'],
  grants: [authorizationCode(), refreshToken(), clientCredentials(), ticket],
  trustProxy: () => true,
}

/** One store, and the servers that write into it: each has another way of writing tokens, or of finding clients. */
export function serversOver(store: Store, clock: () => number) {
  const common = { ...shared, store, clock }
  const listed = { ...common, clients: [web, native, machine, lasting, inspector] }
  const opaque: ServerOptions = listed
  const signed: ServerOptions = { ...listed, accessTokens: jwt({ key: signingKey }) }
  const mac: ServerOptions = { ...listed, authenticationMethod: 'mac' }
  // Texts of the application's own, which must never be the same twice, also over several runs.
  let texts = 0
  const text = () => `custom-${process.pid}-${Date.now().toString(36)}-${++texts}`
  const custom: ServerOptions = { ...listed, accessTokens: () => text(), refreshTokens: () => text() }
  const document = (client_id: string) => ({
    client_id,
    client_name: 'App',
    redirect_uris: [loopback],
    grant_types: ['authorization_code', 'refresh_token'],
  })
  const stored: ServerOptions = {
    ...common,
    clientIdMetadataDocuments: {
      fetch: (url: string) => Promise.resolve({ document: document(url), headers: { 'cache-control': 'max-age=86400' } }),
    },
  }
  const oauth1: OAuth1Options = {
    clients: [{ client_id: 'dpf43f3p2l4k3l03', client_secret: 'kd94hf93k423kf44' }],
    secrets: [{ kid: 'k1', key: 'server-key-0123456789-0123456789-0123456789-abcdef' }],
    store,
    clock,
  }
  return { opaque, signed, mac, custom, stored, oauth1 }
}

export type Servers = ReturnType<typeof serversOver>

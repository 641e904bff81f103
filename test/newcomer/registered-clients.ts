/** Mistakes in the clients that a deployer registers. */
import { tokenHandler } from '../../src/index.js'
import { mistakes, type Mistake } from './mistake.js'

const secret = 'a-secret-of-more-than-16-characters'
const code = { client_id: 'web', client_secret: secret, redirect_uris: ['https://web.example/cb'] }
const machine = { client_id: 'm2m', client_secret: secret, grant_types: ['client_credentials'] }

function client(names: string, what: string, wrong: object): readonly [string, string, Mistake['make']] {
  return [what, names, ({ oauth }) => tokenHandler(oauth({ clients: [wrong] }))]
}

function clients(names: string, what: string, wrong: unknown): readonly [string, string, Mistake['make']] {
  return [what, names, ({ oauth }) => tokenHandler(oauth({ clients: wrong }))]
}

export const clientOptionMistakes: readonly Mistake[] = mistakes('clients', [
  clients('clients', 'none', []),
  clients('clients', 'an object by id', { web: code }),
  clients('clients', 'a Map', new Map()),
  clients('await it', 'a promise', Promise.resolve([code])),
  clients('clients', 'null', null),
  clients('clients[0]', 'an id alone', ['web']),
  clients('clients[0]', 'a promise of one', [Promise.resolve(code)]),
  clients('web', 'the same twice', [code, code]),
  client('client_id', 'clientId and clientSecret', { clientId: 'a', clientSecret: 'x' }),
  client('client_id', 'id and secret', { id: 'a', secret: 'x' }),
  client('client_id', 'nothing', {}),
  client('client_id', 'an id beyond ASCII', { ...machine, client_id: 'größe' }),
  client('client_id', 'a number for an id', { ...machine, client_id: 7 }),
  client('client_secret', 'a secret that is not set', { ...machine, client_secret: undefined }),
  client('client_secret', 'an empty secret', { ...machine, client_secret: '' }),
  client('client_secret', 'a short secret', { ...machine, client_secret: 'ab' }),
  client('client_secret', 'a bcrypt hash for a secret', { ...machine, client_secret: `$2b$10$${'a'.repeat(53)}` }),
  client('client_secret', 'an argon2 hash for a secret', { ...machine, client_secret: '$argon2id$v=19$m=65536$c29tZXNhbHQ$aGFzaA' }),
  client('client_secret', 'no secret and not public', { client_id: 'm2m', grant_types: ['client_credentials'] }),
  client('client_secret', 'a plain secret in secrets', { ...machine, client_secret: undefined, secrets: undefined }),
  client('secrets', 'a text for the secrets', { client_id: 'm2m', grant_types: ['client_credentials'], secrets: secret }),
  client('secrets', 'a secret without its braces', { client_id: 'm2m', grant_types: ['client_credentials'], secrets: [secret] }),
  client('secrets', 'a plain secret for a hash', { client_id: 'm2m', grant_types: ['client_credentials'], secrets: [{ hash: secret }] }),
  client('none', 'a public client with a secret', { ...code, token_endpoint_auth_method: 'none' }),
  client('token_endpoint_auth_method', 'basic', { ...code, token_endpoint_auth_method: 'basic' }),
  client('grant_types', 'grant types as a text', { ...machine, grant_types: 'client_credentials' }),
  client('client_credentials', 'a grant type misspelt', { ...machine, grant_types: ['client_credential'] }),
  client('implicit', 'implicit', { ...code, grant_types: ['authorization_code', 'implicit'] }),
  client('refresh_token', 'refresh_token alone', { ...machine, grant_types: ['refresh_token'] }),
  client('grant_types', 'grantTypes', { ...machine, grantTypes: ['client_credentials'] }),
  client('client_credentials', 'a public client with client credentials', { client_id: 'p', token_endpoint_auth_method: 'none', grant_types: ['client_credentials'] }), // prettier-ignore
  client('redirect_uris', 'a code client without', { client_id: 'web', client_secret: secret }),
  client('redirect_uris', 'redirect_uri', { client_id: 'web', client_secret: secret, redirect_uri: 'https://web.example/cb' }),
  client('redirect_uris', 'as a text', { ...code, redirect_uris: 'https://web.example/cb' }),
  client('redirect_uris', 'a path', { ...code, redirect_uris: ['/cb'] }),
  client('redirect_uris', 'over http', { ...code, redirect_uris: ['http://web.example/cb'] }),
  client('redirect_uris', 'with a fragment', { ...code, redirect_uris: ['https://web.example/#/cb'] }),
  client('redirect_uris', 'a wildcard for a host', { ...code, redirect_uris: ['https://*.example/cb'] }),
  client('redirect_uris', 'a wildcard for a path', { ...code, redirect_uris: ['https://web.example/*'] }),
  client('redirect_uris', 'a script', { ...code, redirect_uris: ['javascript:alert(1)'] }),
  client('redirect_uris', 'with a host in capitals and a dot segment', { ...code, redirect_uris: ['https://web.example/a/../cb'] }),
  client('scope', 'a scope that is none of the server', { ...machine, scope: 'raed' }),
  client('scope', 'scopes', { ...machine, scopes: ['read'] }),
  client('scope', 'a scope with a comma', { ...machine, scope: 'read,write' }),
  client('defaultScope', 'a default beyond the scope', { ...machine, scope: 'read', defaultScope: 'write' }),
  client('require_pkce', 'a public client without PKCE', { client_id: 'p', token_endpoint_auth_method: 'none', redirect_uris: ['https://web.example/cb'], require_pkce: false }), // prettier-ignore
  client('require_pkce', 'no as a text', { ...code, require_pkce: 'no' }),
  client('accessTokenLifetime', 'a lifetime with a unit', { ...machine, accessTokenLifetime: '1h' }),
  client('accessTokenLifetime', 'a lifetime in milliseconds', { ...machine, accessTokenLifetime: 3_600_000 }),
  client('jwks', 'a symmetric key', { ...machine, jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } }),
  client('jwks', 'a list without its object', { ...machine, jwks: [] }),
  client('disabled', 'false as a text', { ...machine, disabled: 'false' }),
  client('introspect', 'introspect, yes as a text', { ...machine, introspect: 'yes' }),
  client('client_name', 'name', { ...machine, name: 'Reports' }),
  client('logo_uri', 'logo', { ...machine, logo: 'https://web.example/logo.png' }),
  client('extra', 'a member of the application', { ...machine, tenant: 'a' }),
  client('rotateRefreshTokens', 'rotation, yes as a text', { ...machine, rotateRefreshTokens: 'yes' }),
])

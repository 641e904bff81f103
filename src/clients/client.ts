/**
 * Clients: what is registered about them (RFC 7591 §2), read and checked once, and how one is looked up.
 *
 * A client of the options that contradicts itself stops the start. One that a look-up function returns contradictory
 * authenticates nobody, and an event says why.
 */
import type { ClientSecret } from './secrets.js'
import { ConfigurationError } from '../errors.js'
import { didYouMean } from '../option-checks/did-you-mean.js'
import { assertKnownKeys, assertObject, OptionReader, type Unchecked } from '../option-checks/reader.js'
import type { Context } from '../http/message.js'
import { assertPublicKeys, type PublicKeySet } from './public-keys.js'
import { redirectUriFault, storedRedirectUriFault } from './redirect-uri.js'
import { assertSecretsFit, readSecrets } from './registered-secrets.js'
import { isWithinScope, readScopeList, type Scope } from '../authorization/scope.js'
import { Redacted } from '../secrets.js'

/** A client as an application registers it. Names are those of RFC 7591 §2 where it has one. */
export interface ClientMetadata {
  /** 1 to 255 visible ASCII characters or spaces (RFC 6749 Appendix A.1). */
  readonly client_id: string
  /**
   * The client's secret in plain text; hashed at start. Present but undefined or empty, as from an environment variable that is not set,
   * it stops the start. Contradicts `token_endpoint_auth_method: 'none'`.
   */
  readonly client_secret?: string | undefined
  /** Its secrets as hashes, made by `hashClientSecret`; all that have not expired are accepted. */
  readonly secrets?: readonly ClientSecret[]
  /** The one way in which it authenticates. `none` makes it public. Default: `client_secret_basic` or `client_secret_post`. */
  readonly token_endpoint_auth_method?: string
  /** The grants it may use. Default: `['authorization_code']`. It gets refresh tokens when this has `refresh_token`. */
  readonly grant_types?: readonly string[]
  /** Where its codes may be sent, compared byte for byte: as a URL parser reads them. Required for `authorization_code`. */
  readonly redirect_uris?: readonly string[]
  /** The most it may be granted, as a list or separated by spaces. Default: whatever the server's `scopes` are. */
  readonly scope?: string | readonly string[]
  /** What it gets when it asks for no scope. Default: all it may have. */
  readonly defaultScope?: string | readonly string[]
  /** False lets a confidential client go without PKCE (RFC 7636). Default true. */
  readonly require_pkce?: boolean
  /** True: its authorization requests have to be pushed (RFC 9126). Default false. */
  readonly require_pushed_authorization_requests?: boolean
  /** Whether a confidential client gets a new refresh token at each refresh; a public one always does. Default: the server's. */
  readonly rotateRefreshTokens?: boolean
  /** Lifetime of its access tokens in seconds. Default: the grant's or the server's. */
  readonly accessTokenLifetime?: number
  /** How long its Authorizations may be refreshed in all, in seconds. Default: the server's. */
  readonly refreshTokenLifetime?: number
  /** How long its refresh tokens may lie unused, in seconds. Default: the server's. */
  readonly refreshTokenIdleLifetime?: number
  /** Its public keys (RFC 7517 §5), for methods that verify what it has signed. Private and symmetric keys are refused. */
  readonly jwks?: PublicKeySet
  /**
   * True: it authenticates nowhere. Its access tokens end where the client is looked at: at introspection, and at guards as the option `checkClient` of
   * `requireAccessToken` says. Said by the application only.
   */
  readonly disabled?: boolean
  /**
   * An instant, in whole seconds since the epoch: all that was made for the client up to and in that second has ended, codes, refresh tokens and access
   * tokens, however many. Guards see it as they see `disabled`. Said by the application only.
   */
  readonly notBefore?: number
  /** True: it may introspect every token, as a resource server does (RFC 7662). */
  readonly introspect?: boolean
  readonly client_name?: string
  readonly client_uri?: string
  readonly logo_uri?: string
  readonly policy_uri?: string
  readonly tos_uri?: string
  readonly contacts?: readonly string[]
  readonly response_types?: readonly string[]
  readonly software_id?: string
  readonly software_version?: string
  /** Anything of the application's own, found again in hooks as `client.metadata.extra`. */
  readonly extra?: unknown
}

/** A client as it is stored: with hashes where there were secrets. */
export type StoredClient = Omit<ClientMetadata, 'client_secret'>

/**
 * Who says what a client is: the application (the options, `saveClient`, `registerClient`), the client itself at the registration endpoint (RFC 7591), or the
 * metadata document at its `client_id`. The last two are strangers: nobody has looked at what they say.
 */
export type ClientSource = 'application' | 'registration' | 'document'

/** A client that was read and found consistent. */
export interface Client {
  readonly client_id: string
  /** Who says all this. Trust depends on it: see {@link isStranger}. */
  readonly source: ClientSource
  /** Its secrets, hashed, in a wrapper that does not print them. Empty for a public client. */
  readonly secrets: Redacted<readonly ClientSecret[]>
  /** Undefined where it may use either way of sending its secret. */
  readonly token_endpoint_auth_method: string | undefined
  /** True when it cannot keep a secret, so that nothing it sends proves who it is (RFC 6749 §2.1). */
  readonly isPublic: boolean
  readonly grant_types: readonly string[]
  readonly redirect_uris: readonly string[]
  readonly scope: Scope | undefined
  readonly defaultScope: Scope | undefined
  readonly require_pkce: boolean
  readonly require_pushed_authorization_requests: boolean
  readonly rotateRefreshTokens: boolean | undefined
  readonly accessTokenLifetime: number | undefined
  readonly refreshTokenLifetime: number | undefined
  readonly refreshTokenIdleLifetime: number | undefined
  readonly disabled: boolean
  /** What was made up to and in this second has ended. */
  readonly notBefore: number | undefined
  readonly introspect: boolean
  /** What was registered, without secrets. */
  readonly metadata: Omit<ClientMetadata, 'client_secret' | 'secrets'>
}

/**
 * Finds a registered client. Called with 1 to 255 visible ASCII characters or spaces, never with anything else. `context` is what the option `context` says
 * of the request; empty where no request is known. A member that is null is as good as absent.
 */
export type FindClient = (
  client_id: string,
  about: { readonly context: Context },
) => ClientMetadata | undefined | null | Promise<ClientMetadata | undefined | null>

const memberNames: readonly string[] = [
  'client_id', 'client_secret', 'secrets', 'token_endpoint_auth_method', 'grant_types', 'redirect_uris', 'scope', 'defaultScope',
  'require_pkce', 'require_pushed_authorization_requests', 'rotateRefreshTokens', 'accessTokenLifetime', 'refreshTokenLifetime', 'refreshTokenIdleLifetime', 'jwks', 'disabled', 'notBefore', 'introspect', 'client_name', 'client_uri', 'logo_uri',
  'policy_uri', 'tos_uri', 'contacts', 'response_types', 'software_id', 'software_version', 'extra',
] satisfies (keyof ClientMetadata)[] // prettier-ignore

const year = 31_536_000
/** Whole seconds: milliseconds would end everything for good. */
const latestInstant = 99_999_999_999

// RFC 6749 Appendix A.1: client-id = *VSCHAR; VSCHAR = %x20-7E
const clientId = /^[\x20-\x7e]{1,255}$/

/** True for a text that may be looked up as a client_id. */
export function isClientId(text: string): boolean {
  return clientId.test(text)
}

function isText(client_id: unknown): client_id is string {
  return typeof client_id === 'string' && isClientId(client_id)
}

/** Whether a client has registered itself, or is a document: nobody whom the application knows says what it is. */
export function isStranger({ source }: Pick<Client, 'source'>): boolean {
  return source !== 'application'
}

/**
 * Reads one registered client.
 *
 * @throws ConfigurationError when it contradicts itself; the message names the member and holds no secret.
 */
export function readClient(value: unknown, name: string, source: ClientSource = 'application'): Client {
  const members = assertObject(value, name)
  const { client_id } = members
  // First of all: a member that is misspelt is the reason why another one is missing.
  assertKnownKeys(members, memberNames, isText(client_id) ? `client "${client_id}"` : name, 'What is your own goes under "extra".')
  return readMembers(value, name, source, source === 'application' ? redirectUriFault : storedRedirectUriFault)
}

/**
 * Reads one that was found, by a function of the application or in the store. It may have been registered under older rules for redirection URIs: a URI
 * that they took and today's do not is no reason to refuse the client; it is refused where an authorization request names it.
 *
 * @throws ConfigurationError as {@link readClient}.
 */
export function readFoundClient(value: unknown, source: ClientSource): Client {
  return readMembers(value, 'the client', source, storedRedirectUriFault)
}

function readMembers(value: unknown, name: string, source: ClientSource, faultOf: (uri: string) => string | undefined): Client {
  const members = assertObject(value, name)
  const client_id = members.client_id
  if (!isText(client_id)) {
    const rule = 'client_id must be 1 to 255 visible ASCII characters or spaces'
    throw new ConfigurationError(`${name}.${rule}`, rule)
  }
  const where = `client "${client_id}": `
  const reader = new OptionReader(members, where)
  const token_endpoint_auth_method = reader.text('token_endpoint_auth_method')
  const secrets = readSecrets(members, where)
  const isPublic = token_endpoint_auth_method === 'none'
  assertSecretsFit(isPublic, token_endpoint_auth_method, secrets, where)
  assertPublicKeys(members.jwks, `${where}jwks`)
  const grant_types = reader.texts('grant_types') ?? ['authorization_code']
  return {
    client_id,
    source,
    secrets: new Redacted(secrets),
    token_endpoint_auth_method,
    isPublic,
    grant_types,
    redirect_uris: readRedirectUris(reader, grant_types, where, faultOf),
    scope: readScope(members, 'scope', where),
    defaultScope: readScope(members, 'defaultScope', where),
    require_pkce: readPkceRule(reader, isPublic, where),
    require_pushed_authorization_requests: reader.boolean('require_pushed_authorization_requests', false),
    rotateRefreshTokens: reader.boolean('rotateRefreshTokens', undefined),
    accessTokenLifetime: reader.whole('accessTokenLifetime', undefined, 1, year),
    refreshTokenLifetime: reader.whole('refreshTokenLifetime', undefined, 1, 100 * year),
    refreshTokenIdleLifetime: reader.whole('refreshTokenIdleLifetime', undefined, 1, 100 * year),
    disabled: reader.boolean('disabled', false),
    notBefore: reader.whole('notBefore', undefined, 0, latestInstant),
    introspect: reader.boolean('introspect', false),
    metadata: withoutSecrets(members as unknown as ClientMetadata),
  }
}

/** What a server serves, by name. */
export interface Served {
  readonly scopes: Scope
  readonly grantTypes: readonly string[]
  readonly methods: readonly string[]
}

/**
 * Refuses what nothing would ever read: a misspelt scope, grant type or authentication method.
 *
 * @throws ConfigurationError
 */
export function assertClientFitsServer(client: Client, { scopes, grantTypes, methods }: Served): void {
  const where = `client "${client.client_id}"`
  for (const token of [...(client.scope ?? []), ...(client.defaultScope ?? [])]) {
    if (scopes.includes(token)) continue
    throw new ConfigurationError(
      `${where}: scope "${token}" is not among the server's scopes${didYouMean(token, scopes)}; add it to the option scopes`,
    )
  }
  if (client.scope !== undefined && client.defaultScope !== undefined && !isWithinScope(client.defaultScope, client.scope)) {
    throw new ConfigurationError(`${where}: defaultScope must be within scope`)
  }
  if (client.isPublic && client.grant_types.includes('client_credentials')) {
    // RFC 6749 §4.4: only confidential clients
    throw new ConfigurationError(
      `${where}: a public client cannot use client_credentials; give it a secret, or take that out of grant_types`,
    )
  }
  for (const type of client.grant_types) {
    if (grantTypes.includes(type) || knownGrantTypes.includes(type)) continue
    throw new ConfigurationError(
      `${where}: grant_types names "${type}", which the server does not serve${didYouMean(type, [...grantTypes, ...knownGrantTypes])}; ` +
        'add the grant to the option grants',
    )
  }
  const method = client.token_endpoint_auth_method
  if (method === undefined || methods.includes(method)) return
  throw new ConfigurationError(
    `${where}: token_endpoint_auth_method "${method}" is not served${didYouMean(method, methods)}; add the method to the option ` +
      'clientAuthenticationMethods',
  )
}

/** Grant types that a client may be registered for although this server does not serve them. */
const knownGrantTypes: readonly string[] = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'password',
  'implicit',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:jwt-bearer',
  'urn:ietf:params:oauth:grant-type:token-exchange',
]

function readRedirectUris(
  reader: OptionReader,
  grant_types: readonly string[],
  where: string,
  faultOf: (uri: string) => string | undefined,
): readonly string[] {
  const uris = reader.texts('redirect_uris') ?? []
  for (const uri of uris) {
    const fault = faultOf(uri)
    if (fault !== undefined)
      throw new ConfigurationError(`${where}redirect_uris: "${uri}" ${fault}`, 'redirect_uris holds one that may not be registered')
  }
  if (uris.length === 0 && grant_types.includes('authorization_code')) {
    throw new ConfigurationError(
      `${where}may use authorization_code but has no redirect_uris; add them, or say which grants it uses, as in grant_types: ['client_credentials']`,
      'it may use authorization_code but has no redirect_uris',
    )
  }
  return uris
}

function readScope(members: Unchecked, name: 'scope' | 'defaultScope', where: string): Scope | undefined {
  const value = members[name]
  if (value === undefined) return undefined
  const scope = readScopeList(value)
  if (scope !== undefined) return scope
  const rule = `${name} must be scope tokens (RFC 6749 §3.3), as an array or separated by spaces`
  throw new ConfigurationError(`${where}${rule}`, rule)
}

function readPkceRule(reader: OptionReader, isPublic: boolean, where: string): boolean {
  const require_pkce = reader.boolean('require_pkce', true)
  // RFC 9700 §2.1.1: public clients must use PKCE
  if (isPublic && !require_pkce) throw new ConfigurationError(`${where}is public and cannot go without PKCE; remove require_pkce: false`)
  return require_pkce
}

function withoutSecrets(members: ClientMetadata): Client['metadata'] {
  const { client_secret: _secret, secrets: _secrets, ...metadata } = members
  return metadata
}

/**
 * `configure`: options in, configuration out, or a `ConfigurationError` that names the option and the remedy.
 *
 * Options are read once. The same object gives the same configuration, so that handlers which share it are one server.
 */
import { clientSecretBasic, clientSecretPost } from './client-authentication/client-secret.js'
import type { ClientAuthenticationMethod, ClientAuthenticationPolicy } from './client-authentication/method.js'
import { none } from './client-authentication/none.js'
import { createClientRegistry } from './client-registry.js'
import type { Served } from './clients.js'
import { ConfigurationError } from './errors.js'
import { createEmit, type Emit } from './events.js'
import { authorizationCode } from './grants/authorization-code.js'
import { clientCredentials } from './grants/client-credentials.js'
import type { Grant } from './grants/grant.js'
import { refreshToken } from './grants/refresh-token.js'
import { assertKnownKeys, assertObject, didYouMean, OptionReader, type Unchecked } from './option-checks.js'
import type { ServerOptions } from './options.js'
import type { TransportPolicy } from './protocol.js'
import { isScopeToken, type Scope } from './scope.js'
import { ClientRecords } from './stores/client-records.js'
import { Ledger } from './stores/ledger.js'
import { memoryStore } from './stores/memory.js'
import type { Store } from './stores/store.js'
import type { AccessTokenFormat, TokenType } from './tokens/access-token.js'
import { bearer } from './tokens/bearer.js'
import type { IssuingPolicy } from './tokens/issue.js'
import { opaque } from './tokens/opaque.js'
import type { ReadingPolicy } from './tokens/read.js'

/** Options that were checked, with every default in place. */
export interface Configuration extends TransportPolicy, ClientAuthenticationPolicy, IssuingPolicy, ReadingPolicy {
  readonly scopes: Scope
  readonly grants: ReadonlyMap<string, Grant>
  readonly defaultGrantType: string | undefined
  readonly refreshable: NonNullable<ServerOptions['refreshable']>
  readonly rotateRefreshTokens: boolean
  readonly accessTokenLifetime: NonNullable<ServerOptions['accessTokenLifetime']>
  readonly codeLifetime: number
  readonly checkScope: ServerOptions['checkScope']
  readonly beforeGrant: ServerOptions['beforeGrant']
  readonly authorize: ServerOptions['authorize']
  readonly context: ServerOptions['context']
  readonly trustProxy: ServerOptions['trustProxy']
  readonly errorUri: string | undefined
  readonly realm: string
  readonly emit: Emit
  /** Prints one line for the deployer, and tells it as an event. Each text once. */
  readonly warn: (message: string) => void
  /** Whether the store is the default one, which only handlers with the same options share. */
  readonly usesDefaultStore: boolean
  /** The clients that are kept in the store. */
  readonly clientRecords: ClientRecords
  /** What clients have to fit. */
  readonly served: Served
  /** Lets the next look-up of that client pass the cache. */
  readonly forgetClient: (client_id: string) => void
}

const optionNames: readonly string[] = [
  'clients', 'clientCacheLifetime', 'notBefore', 'scopes', 'checkScope', 'grants', 'defaultGrantType', 'refreshable', 'authenticationMethod', 'accessTokens',
  'clientAuthenticationMethods', 'store', 'storeTimeout', 'issuer', 'accessTokenLifetime', 'codeLifetime', 'refreshTokenLifetime',
  'refreshTokenIdleLifetime', 'refreshRetryWindow', 'rotateRefreshTokens', 'maxAccessTokens', 'beforeGrant', 'authorize', 'context',
  'allowInsecureTransport', 'trustProxy', 'maxBodySize', 'errorUri', 'realm', 'onEvent', 'clock', 'clockTolerance',
] satisfies (keyof ServerOptions)[] // prettier-ignore

const callbackNames = ['clock', 'onEvent', 'checkScope', 'beforeGrant', 'authorize', 'context']

const configurations = new WeakMap<object, Configuration>()
const day = 86_400
const year = 365 * day

/**
 * The configuration of a server.
 *
 * @throws ConfigurationError for an unknown option, a wrong type, or options that contradict each other.
 */
export function configure(options: ServerOptions): Configuration {
  const members = assertObject(options, 'the options')
  const known = configurations.get(options)
  if (known !== undefined) return known
  assertKnownKeys(members, optionNames, 'the options object')
  const configuration = build(options, members)
  configurations.set(options, configuration)
  return configuration
}

function build(options: ServerOptions, members: Unchecked): Configuration {
  const reader = new OptionReader(members, '')
  for (const name of callbackNames) reader.assertCallback(name)
  const { clock = systemClock, onEvent, checkScope, beforeGrant, authorize, context } = options
  const emit = createEmit(onEvent, clock)
  const warn = createWarn(emit)
  const issuer = readIssuer(reader)
  const clockTolerance = reader.whole('clockTolerance', 5, 0, 300)
  const storeTimeout = reader.whole('storeTimeout', 2000, 1, 600_000)
  const store = readStore(members) ?? defaultStore(clock, emit, warn)
  const refreshable = readRefreshable(members)
  const grants = readGrants(members, refreshable)
  const scopes = readScopes(reader)
  const clientAuthenticationMethods = readMethods(members)
  const served = { scopes, grantTypes: [...grants.keys()], methods: clientAuthenticationMethods.map(({ name }) => name) }
  const clientRecords = new ClientRecords({ store, timeout: storeTimeout, issuer })
  const cacheLifetime = reader.whole('clientCacheLifetime', 0, 0, 300)
  // Without the option, clients are looked for where the application may have put them.
  const isStored = options.clients === undefined && members.store !== undefined
  const clients = isStored ? (client_id: string) => clientRecords.find(client_id) : options.clients
  return {
    ...createClientRegistry(clients, { ...served, timeout: storeTimeout, cacheLifetime, emit, warn }),
    clientRecords,
    served,
    scopes,
    grants,
    defaultGrantType: readDefaultGrantType(reader, grants),
    refreshable,
    clientAuthenticationMethods,
    accessTokenFormat: readFormat(members),
    tokenType: readTokenType(members),
    ledger: new Ledger({
      store,
      timeout: storeTimeout,
      issuer,
      clockTolerance,
      notBefore: reader.whole('notBefore', undefined, 0, Number.MAX_SAFE_INTEGER),
    }),
    usesDefaultStore: members.store === undefined,
    issuer,
    clock,
    clockTolerance,
    ...readLifetimes(reader, members),
    checkScope,
    beforeGrant,
    authorize,
    context,
    trustProxy: readTrustProxy(options),
    allowInsecureTransport: readInsecureTransport(reader, warn),
    maxBodySize: reader.whole('maxBodySize', 16_384, 64, 1_048_576),
    errorUri: readErrorUri(reader),
    realm: readRealm(reader),
    emit,
    warn,
  }
}

function systemClock(): number {
  return Math.floor(Date.now() / 1000)
}

function createWarn(emit: Emit): (message: string) => void {
  const said = new Set<string>()
  return (message) => {
    if (said.has(message)) return
    said.add(message)
    console.warn(`oauth2-token-handler: ${message}`)
    emit({ type: 'warning', reason: message })
  }
}

function readLifetimes(reader: OptionReader, members: Unchecked) {
  const lifetime = members.accessTokenLifetime
  return {
    accessTokenLifetime:
      typeof lifetime === 'function'
        ? (lifetime as Exclude<Configuration['accessTokenLifetime'], number>)
        : reader.whole('accessTokenLifetime', 3600, 1, year),
    // RFC 6749 §4.1.2: a maximum authorization code lifetime of 10 minutes is recommended
    codeLifetime: reader.whole('codeLifetime', 60, 1, 600),
    refreshTokenLifetime: reader.whole('refreshTokenLifetime', 90 * day, 1, 100 * year),
    refreshTokenIdleLifetime: reader.whole('refreshTokenIdleLifetime', 14 * day, 1, 100 * year),
    refreshRetryWindow: reader.whole('refreshRetryWindow', 30, 0, 600),
    rotateRefreshTokens: reader.boolean('rotateRefreshTokens', true),
    maxAccessTokens: reader.whole('maxAccessTokens', 100, 1, 10_000),
  }
}

function readIssuer(reader: OptionReader): string | undefined {
  const issuer = reader.text('issuer')
  if (issuer === undefined) return undefined
  // RFC 8414 §2: the issuer is a URL without query or fragment
  if (!URL.canParse(issuer) || /[?#]/.test(issuer)) throw new ConfigurationError('issuer must be an absolute URL without query or fragment')
  const { protocol, hostname } = new URL(issuer)
  const isLoopback = hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]'
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback)) return issuer
  throw new ConfigurationError('issuer must be an https URL')
}

function readScopes(reader: OptionReader): Scope {
  const scopes = reader.texts('scopes') ?? []
  for (const token of scopes) {
    if (isScopeToken(token)) continue
    throw new ConfigurationError('scopes must hold one scope token each (RFC 6749 §3.3): no spaces, quotes or backslashes inside')
  }
  return [...new Set(scopes)]
}

function readRealm(reader: OptionReader): string {
  const realm = reader.text('realm') ?? 'oauth2'
  if (!/^[\x20-\x7e]*$/.test(realm)) throw new ConfigurationError('realm must be visible ASCII characters or spaces')
  return realm
}

function readErrorUri(reader: OptionReader): string | undefined {
  const uri = reader.text('errorUri')
  // RFC 6749 §5.2: error_uri = URI-reference, of %x21 / %x23-5B / %x5D-7E
  if (uri === undefined || /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(uri)) return uri
  throw new ConfigurationError('errorUri must be a URI: ASCII without spaces, quotes and backslashes')
}

function readStore(members: Unchecked): Store | undefined {
  const { store } = members
  if (store === undefined) return undefined
  const verbs = assertObject(store, 'store')
  for (const verb of ['get', 'create', 'replace', 'list']) {
    if (typeof verbs[verb] !== 'function')
      throw new ConfigurationError(`store must have the verb ${verb}(); memoryStore() is one that has all`)
  }
  return store as Store
}

function defaultStore(clock: () => number, emit: Emit, warn: (message: string) => void): Store {
  if (process.env.NODE_ENV === 'production') {
    warn('no store is configured: tokens are kept in memory, end with this process, and are unknown to any other; set the option store')
  }
  return memoryStore({ clock, onEvent: emit })
}

function readRefreshable(members: Unchecked): Configuration['refreshable'] {
  const { refreshable = true } = members
  if (typeof refreshable === 'boolean') return refreshable
  if (typeof refreshable === 'function') return refreshable as Exclude<Configuration['refreshable'], boolean>
  throw new ConfigurationError('refreshable must be true, false or a function')
}

function readGrants(members: Unchecked, refreshable: Configuration['refreshable']): ReadonlyMap<string, Grant> {
  const { grants = [authorizationCode(), refreshToken(), clientCredentials()] } = members
  if (!Array.isArray(grants) || grants.length === 0) throw new ConfigurationError('grants must be an array of at least one grant')
  const byType = new Map<string, Grant>()
  for (const grant of grants as unknown[]) {
    const { type, authorize } = assertObject(typeof grant === 'function' ? undefined : grant, 'grants: each')
    if (typeof type !== 'string' || typeof authorize !== 'function') {
      throw new ConfigurationError('grants: each must be an object with type and authorize; call the factory, as in clientCredentials()')
    }
    // RFC 6749 §4.5: an extension grant is named by an absolute URI; registered names have no colon
    if (type === '' || (type.includes(':') && !URL.canParse(type)))
      throw new ConfigurationError('grants: type must be a name or an absolute URI')
    if (byType.has(type)) throw new ConfigurationError(`grants has "${type}" twice`)
    new OptionReader(grant as Unchecked, `grants: "${type}" `).whole('accessTokenLifetime', undefined, 1, year)
    byType.set(type, grant as Grant)
  }
  if (refreshable === false) byType.delete('refresh_token')
  if (byType.size === 0)
    throw new ConfigurationError('grants has refreshToken() only, and refreshable: false takes it away; remove one of the two')
  return byType
}

function readDefaultGrantType(reader: OptionReader, grants: ReadonlyMap<string, Grant>): string | undefined {
  const type = reader.text('defaultGrantType')
  if (type === undefined || grants.has(type)) return type
  throw new ConfigurationError(`defaultGrantType "${type}" is not the type of one of the grants${didYouMean(type, [...grants.keys()])}`)
}

function readMethods(members: Unchecked): readonly ClientAuthenticationMethod[] {
  const { clientAuthenticationMethods: methods = [clientSecretBasic(), clientSecretPost(), none()] } = members
  if (!Array.isArray(methods) || methods.length === 0) {
    throw new ConfigurationError('clientAuthenticationMethods must be an array of at least one method')
  }
  for (const method of methods as unknown[]) {
    const { name, presented, verify } = assertObject(typeof method === 'function' ? undefined : method, 'clientAuthenticationMethods: each')
    if (typeof name === 'string' && typeof presented === 'function' && typeof verify === 'function') continue
    throw new ConfigurationError(
      'clientAuthenticationMethods: each must have name, presented and verify; call the factory, as in clientSecretBasic()',
    )
  }
  return methods as ClientAuthenticationMethod[]
}

function readFormat(members: Unchecked): AccessTokenFormat {
  if (members.accessTokens === undefined) return opaque()
  const { name, kind, issue, read } = assertObject(members.accessTokens, 'accessTokens')
  const isFormat = typeof name === 'string' && typeof issue === 'function' && typeof read === 'function'
  if (isFormat && (kind === 'reference' || kind === 'self-contained')) return members.accessTokens as AccessTokenFormat
  throw new ConfigurationError(
    "accessTokens must be a format with name, kind ('reference' or 'self-contained'), issue and read, such as opaque()",
  )
}

function readTokenType(members: Unchecked): TokenType {
  const { authenticationMethod = 'bearer' } = members
  if (authenticationMethod === 'bearer') return bearer()
  const given = typeof authenticationMethod === 'string' ? didYouMean(authenticationMethod, ['bearer']) : ''
  throw new ConfigurationError(`authenticationMethod must be 'bearer'${given}`)
}

function readTrustProxy({ trustProxy }: ServerOptions): Configuration['trustProxy'] {
  if (trustProxy === undefined || typeof trustProxy === 'function') return trustProxy
  throw new ConfigurationError("trustProxy must be a function (address) => boolean, as in (address) => address === '10.0.0.1'")
}

function readInsecureTransport(reader: OptionReader, warn: (message: string) => void): boolean {
  const allowed = reader.boolean('allowInsecureTransport', false)
  if (!allowed) return false
  if (process.env.NODE_ENV === 'production') {
    throw new ConfigurationError('allowInsecureTransport is for development; with NODE_ENV=production remove it and serve https')
  }
  warn('allowInsecureTransport is on: secrets and tokens travel in plain text; use it on your own machine only')
  return true
}

/**
 * `configure`: options in, configuration out, or a `ConfigurationError` that names the option and the remedy.
 *
 * Options are read once. The same object gives the same configuration, so that handlers which share it are one server.
 */
import { assertOptions } from '../option-checks/arguments.js'
import type { ClientAuthenticationPolicy } from '../client-authentication/method.js'
import { createClientRegistry, type ClientRegistry } from '../clients/registry.js'
import { documentRules, readClientIdDocuments, storedClients } from './client-sources.js'
import type { Served } from '../clients/client.js'
import { readCors, type CorsPolicy } from '../http/cors.js'
import { createWarn, readInsecureTransport, readStore, systemClock, type Warn } from '../environment.js'
import { createEmit, type Emit } from '../events/events.js'
import { readFailureLimit } from '../limits/failed-authentication.js'
import type { Grant } from '../grants/grant.js'
import { readLifetimes, type Lifetimes } from './lifetimes.js'
import { named } from '../known-causes.js'
import { assertKnownKeys, OptionReader, type Unchecked } from '../option-checks/reader.js'
import type { EndpointPlaces, ServerOptions } from './options.js'
import {
  assertFormatFits,
  readDefaultGrantType,
  readFormat,
  readGrants,
  readMethods,
  readRefreshable,
  readTokenType,
} from './strategies.js'
import {
  assertClock,
  readEndpoints,
  readErrorUri,
  readIgnoredScopes,
  readImplies,
  readIssuer,
  readPrivateUseSchemes,
  readRealm,
  readScopes,
  readStrangerScopes,
  readTrustProxy,
} from './plain-options.js'
import type { TransportPolicy } from '../http/message.js'
import { readResources, type KnownResources } from '../authorization/resources.js'
import { offlineAccess, type Scope } from '../authorization/scope.js'
import { ClientRecords } from '../clients/records.js'
import { Ledger } from '../authorization/ledger.js'
import { lineOf } from '../stores/line.js'
import { isMemoryStore } from '../stores/memory.js'
import type { Store } from '../stores/store.js'
import { createStrangerRooms, type StrangerRooms } from '../clients/stranger-rooms.js'
import { suspiciousLifetimes } from '../clients/suspicious-values.js'
import type { TokenType } from '../tokens/access-token.js'
import { bearer } from '../tokens/bearer.js'
import type { IssuingPolicy } from '../tokens/issue.js'
import { mac } from '../tokens/mac.js'
import type { ReadingPolicy } from '../tokens/read.js'

/** Options that were checked, with every default in place. */
export interface Configuration
  extends TransportPolicy, ClientAuthenticationPolicy, ClientRegistry, IssuingPolicy, ReadingPolicy, Lifetimes {
  readonly scopes: Scope
  /** Scopes that are dropped from requests. */
  readonly ignoredScopes: ReadonlySet<string>
  readonly implies: ReadonlyMap<string, Scope>
  readonly resources: KnownResources
  readonly grants: ReadonlyMap<string, Grant>
  readonly defaultGrantType: string | undefined
  readonly refreshable: NonNullable<ServerOptions['refreshable']>
  readonly hasClientIdDocuments: boolean
  /** The schemes without a dot that clients of strangers may be redirected to. */
  readonly privateUseSchemes: ReadonlySet<string>
  /** What strangers may have: clients that registered themselves, and metadata documents. Handlers narrow it when they are made. */
  readonly strangers: { scopes: Scope }
  /** Room for what strangers make the server remember. */
  readonly rooms: StrangerRooms
  /** Milliseconds. */
  readonly callbackTimeout: number
  readonly checkScope: ServerOptions['checkScope']
  readonly beforeGrant: ServerOptions['beforeGrant']
  readonly authorize: ServerOptions['authorize']
  readonly context: ServerOptions['context']
  readonly trustProxy: ServerOptions['trustProxy']
  readonly errorUri: string | undefined
  readonly realm: string
  readonly emit: Emit
  readonly warn: Warn
  /** Whether the store is the default one, which only handlers with the same options share. */
  readonly usesDefaultStore: boolean
  /** For the check of its health: everything else goes through the ledger. */
  readonly store: Store
  /** Milliseconds. */
  readonly storeTimeout: number
  readonly available: ServerOptions['available']
  /** All types that resources accept; the Authorization scheme decides. */
  readonly tokenTypes: readonly TokenType[]
  readonly cors: CorsPolicy | undefined
  readonly endpoints: EndpointPlaces
  readonly requirePushedAuthorizationRequests: boolean
  /** The endpoints that have a handler. Handlers note themselves here when they are made; nothing else changes after the start. */
  readonly servedEndpoints: Set<string>
  /** The resources of which a guard accepts tokens in a form body; `''` for a guard that names none. Guards note themselves here when they are made. */
  readonly bodyTokenResources: Set<string>
  /** The clients that are kept in the store. */
  readonly clientRecords: ClientRecords
  /** What clients have to fit. */
  readonly served: Served
}

const optionNames: readonly string[] = [
  'clients', 'clientCacheLifetime', 'notBefore', 'scopes', 'strangerScopes', 'ignoredScopes', 'implies', 'resources', 'checkScope', 'grants', 'defaultGrantType', 'refreshable', 'authenticationMethod', 'accessTokens', 'refreshTokens', 'responseParameters', 'available', 'failedAuthenticationLimit', 'cors', 'endpoints', 'clientIdMetadataDocuments', 'privateUseSchemes', 'requirePushedAuthorizationRequests',
  'clientAuthenticationMethods', 'store', 'storeTimeout', 'storeConcurrency', 'callbackTimeout', 'issuer', 'accessTokenLifetime', 'codeLifetime', 'refreshTokenLifetime',
  'refreshTokenIdleLifetime', 'refreshRetryWindow', 'rotateRefreshTokens', 'maxAccessTokens', 'beforeGrant', 'authorize', 'context',
  'allowInsecureTransport', 'trustProxy', 'maxBodySize', 'errorUri', 'realm', 'onEvent', 'clock', 'clockTolerance',
] satisfies (keyof ServerOptions)[] // prettier-ignore

const callbackNames = [
  'available',
  'refreshTokens',
  'responseParameters',
  'clock',
  'onEvent',
  'checkScope',
  'beforeGrant',
  'authorize',
  'context',
]

const configurations = new WeakMap<object, Configuration>()
const withRegistration = new WeakSet()

/** Says beforehand that clients will register themselves with this server, so that having none yet is no reason for a warning. */
export function expectRegistration(options: ServerOptions): void {
  if (typeof options === 'object' && (options as unknown) !== null) withRegistration.add(options)
}

/**
 * The configuration of a server. `caller` is the function that was called with the options, for messages.
 *
 * @throws ConfigurationError for an unknown option, a wrong type, or options that contradict each other.
 */
export function configure(options: ServerOptions, caller?: string): Configuration {
  const known = configurations.get(options)
  if (known !== undefined) return known
  const members = assertOptions(options, caller)
  assertKnownKeys(members, optionNames, 'the options object')
  const configuration = build(options, members)
  configurations.set(options, configuration)
  return configuration
}

function build(options: ServerOptions, members: Unchecked): Configuration {
  const reader = new OptionReader(members, '')
  for (const name of callbackNames) reader.assertCallback(name)
  const {
    clock = systemClock,
    onEvent,
    checkScope,
    beforeGrant,
    authorize,
    context,
    available,
    refreshTokens,
    responseParameters,
  } = options
  assertClock(clock)
  const emit = createEmit(onEvent, clock)
  const warn = createWarn('oauth2-token-handler', emit)
  const issuer = readIssuer(reader)
  const clockTolerance = reader.whole('clockTolerance', 5, 0, 300)
  const storeTimeout = reader.whole('storeTimeout', 2000, 1, 600_000)
  const callbackTimeout = reader.whole('callbackTimeout', 10_000, 1, 600_000)
  const store = readStore(members, { clock, emit, warn })
  const bounded = { store, timeout: storeTimeout, line: lineOf(store, reader.whole('storeConcurrency', undefined, 1, 100_000)) }
  const refreshable = readRefreshable(members)
  const grants = readGrants(members, refreshable)
  for (const { warning } of grants.values()) if (warning !== undefined) warn(warning)
  const scopes = readScopes(reader)
  const ignoredScopes = readIgnoredScopes(reader, scopes)
  if (scopes.includes('openid'))
    warn(
      'scopes has "openid", and no id_token is issued: this server is OAuth 2.0 without OpenID Connect; remove it unless a client insists on it',
    )
  const tokenTypes = [bearer(), mac()]
  const tokenType = readTokenType(members, tokenTypes)
  const accessTokenFormat = readFormat(options.accessTokens)
  assertFormatFits(accessTokenFormat, tokenType, issuer)
  const clientAuthenticationMethods = readMethods(members)
  const known = [...scopes, ...(grants.has('refresh_token') ? [offlineAccess] : []), ...ignoredScopes]
  const served = { scopes: known, grantTypes: [...grants.keys()], methods: clientAuthenticationMethods.map(({ name }) => name) }
  const notBefore = reader.whole('notBefore', undefined, 0, 99_999_999_999)
  const ledger = new Ledger({ ...bounded, decisionTimeout: callbackTimeout, issuer, clockTolerance, notBefore })
  const lifetimes = readLifetimes(reader, members)
  for (const warning of suspiciousLifetimes(lifetimes)) warn(warning)
  const strangers = { scopes: readStrangerScopes(reader, scopes) }
  const rooms = createStrangerRooms(clock)
  const privateUseSchemes = readPrivateUseSchemes(reader)
  const documents = readClientIdDocuments(options, {
    ledger,
    clock,
    callbackTimeout,
    room: rooms.documents,
    rules: documentRules(strangers, served, privateUseSchemes),
  })
  const clientRecords = new ClientRecords({ ...bounded, issuer, clock, notBefore })
  const cacheLifetime = reader.whole('clientCacheLifetime', 0, 0, 300)
  const servedEndpoints = new Set<string>(withRegistration.has(options) ? ['registration'] : [])
  const stored = storedClients(clientRecords, rooms, {
    // Without the option, clients are looked for where the application may have put them; and always where they may have registered themselves.
    isSearched: () => options.clients === undefined,
    hasRegistration: () => servedEndpoints.has('registration'),
    isEmpty: () => members.store === undefined && !clientRecords.hasWritten,
  })
  return {
    ...createClientRegistry(options.clients, {
      ...served,
      stored,
      documents,
      strangerScopes: () => strangers.scopes,
      timeout: storeTimeout,
      cacheLifetime,
      isStoreAtHand: isMemoryStore(store),
      emit,
      warn,
    }),
    strangers,
    rooms,
    clientRecords,
    served,
    scopes,
    ignoredScopes,
    implies: readImplies(members, scopes),
    resources: readResources(reader.texts('resources') ?? []),
    grants,
    defaultGrantType: readDefaultGrantType(reader, grants),
    refreshable: named('the option refreshable', refreshable),
    clientAuthenticationMethods,
    accessTokenFormat,
    tokenType,
    tokenTypes,
    refreshTokens: named('the option refreshTokens', refreshTokens),
    responseParameters: named('the option responseParameters', responseParameters),
    available: named('the option available', available),
    failures: readFailureLimit(members, clock, callbackTimeout),
    cors: readCors(members.cors),
    endpoints: readEndpoints(members),
    servedEndpoints,
    bodyTokenResources: new Set(),
    requirePushedAuthorizationRequests: reader.boolean('requirePushedAuthorizationRequests', false),
    ledger,
    claimOnce: (namespace, value, expiresAt) => ledger.claimOnce(namespace, value, expiresAt),
    callbackTimeout,
    notBefore,
    usesDefaultStore: members.store === undefined,
    store,
    storeTimeout,
    issuer,
    clock,
    clockTolerance,
    ...lifetimes,
    accessTokenLifetime: named('the option accessTokenLifetime', lifetimes.accessTokenLifetime),
    hasClientIdDocuments: documents !== undefined,
    privateUseSchemes,
    checkScope: named('the option checkScope', checkScope),
    beforeGrant: named('the option beforeGrant', beforeGrant),
    authorize: named('the option authorize', authorize),
    context: named('the option context', context),
    trustProxy: named('the option trustProxy', readTrustProxy(options)),
    allowInsecureTransport: readInsecureTransport(reader, warn, 'secrets and tokens travel in plain text'),
    maxBodySize: reader.whole('maxBodySize', 16_384, 64, 1_048_576),
    errorUri: readErrorUri(reader),
    realm: readRealm(reader),
    emit,
    warn,
  }
}

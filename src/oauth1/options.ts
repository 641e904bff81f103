/**
 * What an application configures for OAuth 1, and `configureOAuth1`: options in, configuration out, or a `ConfigurationError`.
 *
 * Options are read once. The same object gives the same configuration, so that handlers which share it are one server.
 */
import { assertOptions } from '../option-checks/arguments.js'
import { createWarn, readInsecureTransport, readStore, systemClock, type Warn } from '../environment.js'
import { ConfigurationError } from '../errors.js'
import { createEmit, type Emit, type EventListener } from '../events/events.js'
import { readFailureLimit, type FailureCounter } from '../limits/failed-authentication.js'
import { named } from '../known-causes.js'
import { didYouMean } from '../option-checks/did-you-mean.js'
import { assertKnownKeys, OptionReader, type Unchecked } from '../option-checks/reader.js'
import type { Context } from '../http/message.js'
import { NamedRoom, SharedRoom } from '../limits/shared-room.js'
import type { Store } from '../stores/store.js'
import { createClientLookUp, type ClientLookUp, type FindOAuth1Client, type OAuth1Client } from './clients.js'
import { Records } from './records.js'
import { createSealer, type Sealer, type SealingSecret } from './sealing.js'
import { signatureMethods as knownMethods, type SignatureMethod } from './signature.js'
import { createStandIns, type StandIns } from './stand-ins.js'

/** Token credentials that are about to be handed out. */
export interface IssuedTokenCredentials {
  readonly client_id: string
  readonly subject: string
  readonly realms: readonly string[]
  readonly context: Context
}

/** An `oauth_token` that is about to be written. */
export interface OAuth1TokenRequest {
  /** Which credentials it is for: temporary ones (RFC 5849 §2.1) or token credentials (§2.3). */
  readonly kind: 'temporary' | 'token'
  readonly client_id: string
  /** Absent for temporary credentials: nobody has agreed yet. */
  readonly subject?: string
  readonly realms: readonly string[]
  /** When the credentials end, in seconds since the epoch. */
  readonly expiresAt: number
  readonly context: Context
}

/** Members of an answer, beside those of the protocol. */
export type ExtraMembers = Readonly<Record<string, string | number | boolean>>

/** The options of an OAuth 1 server. Durations are whole seconds unless another unit is named. */
export interface OAuth1Options {
  /** The registered clients, or a function that finds one by its identifier. What it throws is answered 500. */
  readonly clients: readonly OAuth1Client[] | FindOAuth1Client
  /** Server keys under which the secrets of clients and tokens are sealed. The first one seals, all of them open. */
  readonly secrets: readonly SealingSecret[]
  /** Where credentials and nonces are kept. Default: `memoryStore()`, which ends with the process and warns in production. */
  readonly store?: Store
  /** The signature methods that are accepted. Default: HMAC-SHA256 and HMAC-SHA1. PLAINTEXT works over TLS only. */
  readonly signatureMethods?: readonly SignatureMethod[]
  /** What tokens may be limited to. Default: nothing, so that every token is good for everything. */
  readonly realms?: readonly string[]
  /** The realm in challenges. Default `oauth1`. */
  readonly realm?: string
  /**
   * Scheme and authority that clients sign, such as `https://api.example.com`. Default: the `Host` of the request, and `https` when
   * it came over TLS. Set it where a proxy changes either, and where clients also talk to servers of others: a
   * request signed for one of those cannot be replayed here then.
   */
  readonly origin?: string
  /** How far the clock of a client may be off, either way. Nonces are kept that long. Default 600. */
  readonly timestampWindow?: number
  /** How long a user may take to agree, and the client to come back. Default 600. */
  readonly temporaryCredentialsLifetime?: number
  /**
   * An instant, in whole seconds since the epoch: temporary credentials and token credentials that were made before it have ended. For a leak, and for the time
   * after a backup was restored. The age of those that earlier releases wrote is taken from their end and the lifetimes of today. Default: none.
   */
  readonly notBefore?: number
  /** How long tokens work; OAuth 1 has no way to refresh one. Default 31,536,000 (a year). */
  readonly tokenLifetime?: number
  /**
   * Writes the texts of `oauth_token`: letters, digits and `-._~+/`, hard to guess, never the same twice. A text that was there before is answered 500,
   * and nothing is issued. Keep the option as long as such tokens live. Default: random text.
   */
  readonly tokens?: (token: OAuth1TokenRequest) => string | Promise<string>
  /**
   * How many digits the verifier has that a user carries from your page to the client, where the callback is `oob`: 6 to 22. After ten wrong verifiers
   * the temporary credentials end. Default: no digits, 22 random characters.
   */
  readonly oobVerifierDigits?: number
  /**
   * A rule of your own before token credentials are issued. Returns fewer realms, or undefined; throws an exported error to refuse, and nothing is spent.
   * More realms than it was given are answered 500.
   */
  readonly authorize?: (token: IssuedTokenCredentials) => readonly string[] | undefined | Promise<readonly string[] | undefined>
  /** Members to add to the response with token credentials. They may not replace a protocol member. */
  readonly responseParameters?: (token: IssuedTokenCredentials) => ExtraMembers | Promise<ExtraMembers>
  /** Trusted facts about a request, for `clients`, `tokens`, `authorize` and `responseParameters`. Gets the request object of the framework. */
  readonly context?: (request: never) => Context | Promise<Context>
  /** False answers every request to both credential endpoints 503: for maintenance. */
  readonly available?: () => boolean | Promise<boolean>
  /**
   * How many wrong signatures a minute one client may have from one address before the answer is 429; a counter of your own, for several processes; or false
   * for no limit. Default 20.
   */
  readonly failedAuthenticationLimit?: number | FailureCounter | false
  /**
   * Bytes of temporary credentials that one network may hold in one process until users have agreed to them; some 1,100 bytes each. All networks together
   * may hold 16 times as much. Default 524,288.
   */
  readonly temporaryCredentialsShare?: number
  /** Accepts plain http: for work on your own machine. Refused when NODE_ENV is `production`. Default false. */
  readonly allowInsecureTransport?: boolean
  /**
   * Whether `X-Forwarded-Proto` and `X-Forwarded-For` of the peer with that address are believed. For Connect and node:http; Express has its own
   * `trust proxy`, which counts where this option is not set. Default: nobody's.
   */
  readonly trustProxy?: (address: string) => boolean
  /** The largest body in bytes. Default 16,384. */
  readonly maxBodySize?: number
  /** Milliseconds that one call of the store, or of the clients function, may take before the answer is 503. Default 2000. */
  readonly storeTimeout?: number
  /** Milliseconds that your functions `context`, `tokens`, `authorize` and `responseParameters` may take before the answer is 503. Default 10,000. */
  readonly callbackTimeout?: number
  /** The name of this server, where several share a store. Default: none. */
  readonly issuer?: string
  /** Told what happens. What it throws is swallowed. */
  readonly onEvent?: EventListener
  /** Now, in whole seconds since the epoch. Default: the system's clock. */
  readonly clock?: () => number
  /** Seconds by which the clocks of several machines may differ. Default 5. */
  readonly clockTolerance?: number
}

/** Options that were checked, with every default in place. */
export interface OAuth1Configuration {
  readonly findClient: ClientLookUp
  readonly sealer: Sealer
  readonly records: Records
  readonly standIns: StandIns
  readonly signatureMethods: readonly SignatureMethod[]
  readonly realms: readonly string[]
  readonly realm: string
  readonly origin: string | undefined
  readonly timestampWindow: number
  readonly temporaryCredentialsLifetime: number
  readonly tokenLifetime: number
  readonly notBefore: number | undefined
  readonly clockTolerance: number
  readonly tokens: OAuth1Options['tokens']
  readonly oobVerifierDigits: number | undefined
  readonly authorize: OAuth1Options['authorize']
  readonly responseParameters: OAuth1Options['responseParameters']
  readonly context: OAuth1Options['context']
  readonly available: OAuth1Options['available']
  /** Undefined for no limit. */
  readonly failures: FailureCounter | undefined
  readonly temporaryRoom: NamedRoom
  readonly callbackTimeout: number
  readonly allowInsecureTransport: boolean
  readonly trustProxy: OAuth1Options['trustProxy']
  readonly maxBodySize: number
  readonly clock: () => number
  readonly emit: Emit
  readonly warn: Warn
}

const optionNames: readonly string[] = [
  'clients', 'secrets', 'store', 'signatureMethods', 'realms', 'realm', 'origin', 'timestampWindow', 'temporaryCredentialsLifetime',
  'tokenLifetime', 'notBefore', 'tokens', 'oobVerifierDigits', 'authorize', 'responseParameters', 'context', 'available', 'failedAuthenticationLimit',
  'temporaryCredentialsShare', 'allowInsecureTransport', 'trustProxy', 'maxBodySize', 'storeTimeout', 'callbackTimeout', 'issuer', 'onEvent', 'clock',
  'clockTolerance',
] satisfies (keyof OAuth1Options)[] // prettier-ignore

const callbackNames = ['tokens', 'authorize', 'responseParameters', 'context', 'available', 'trustProxy', 'onEvent', 'clock']
const configurations = new WeakMap<object, OAuth1Configuration>()
const day = 86_400
const year = 365 * day

/**
 * The configuration of an OAuth 1 server.
 *
 * @throws ConfigurationError for an unknown option, a wrong type, or options that contradict each other.
 */
export function configureOAuth1(options: OAuth1Options, caller?: string): OAuth1Configuration {
  const known = configurations.get(options)
  if (known !== undefined) return known
  const members = assertOptions(options, caller ?? 'OAuth 1')
  assertKnownKeys(members, optionNames, 'the OAuth 1 options object')
  const configuration = build(options, members)
  configurations.set(options, configuration)
  return configuration
}

function build(options: OAuth1Options, members: Unchecked): OAuth1Configuration {
  const reader = new OptionReader(members, '')
  for (const name of callbackNames) reader.assertCallback(name)
  const { clock = systemClock, onEvent, tokens, authorize, responseParameters, context, available, trustProxy } = options
  const emit = createEmit(onEvent, clock)
  const warn = createWarn('oauth2-token-handler/oauth1', emit)
  const sealer = createSealer(members.secrets)
  const realms = readRealms(reader)
  const timeout = reader.whole('storeTimeout', 2000, 1, 600_000)
  const callbackTimeout = reader.whole('callbackTimeout', 10_000, 1, 600_000)
  const clockTolerance = reader.whole('clockTolerance', 5, 0, 300)
  const store = readStore(members, { clock, emit, warn })
  const signatureMethods = readSignatureMethods(reader)
  return {
    findClient: createClientLookUp(members.clients, { sealer, realms, timeout, emit }),
    sealer,
    records: new Records({ store, timeout, issuer: reader.text('issuer'), clockTolerance, ownTexts: tokens !== undefined }),
    standIns: createStandIns(sealer),
    signatureMethods,
    realms,
    realm: readRealm(reader),
    origin: readOrigin(reader),
    timestampWindow: reader.whole('timestampWindow', 600, 1, day),
    temporaryCredentialsLifetime: reader.whole('temporaryCredentialsLifetime', 600, 1, day),
    tokenLifetime: reader.whole('tokenLifetime', year, 1, 100 * year),
    notBefore: reader.whole('notBefore', undefined, 0, Number.MAX_SAFE_INTEGER),
    clockTolerance,
    tokens: named('the option tokens', tokens),
    oobVerifierDigits: reader.whole('oobVerifierDigits', undefined, 6, 22),
    authorize: named('the option authorize', authorize),
    responseParameters: named('the option responseParameters', responseParameters),
    context: named('the option context', context),
    available: named('the option available', available),
    failures: readFailureLimit(members, clock, callbackTimeout),
    temporaryRoom: readTemporaryRoom(reader, clock),
    callbackTimeout,
    trustProxy: named('the option trustProxy', trustProxy),
    allowInsecureTransport: readInsecureTransport(reader, warn, 'requests can be read and replayed within the timestamp window'),
    maxBodySize: reader.whole('maxBodySize', 16_384, 64, 1_048_576),
    clock,
    emit,
    warn,
  }
}

function readSignatureMethods(reader: OptionReader): readonly SignatureMethod[] {
  const names = reader.texts('signatureMethods') ?? ['HMAC-SHA256', 'HMAC-SHA1']
  if (names.length === 0) throw new ConfigurationError('signatureMethods must name at least one method, such as HMAC-SHA256')
  return names.map((name) => {
    const method = knownMethods.find((known) => known === name)
    if (method !== undefined) return method
    throw new ConfigurationError(
      `signatureMethods has "${name}"${didYouMean(name, knownMethods)}; there are ${knownMethods.join(', ')} (RFC 5849 §3.4)`,
    )
  })
}

function readRealms(reader: OptionReader): readonly string[] {
  const realms = reader.texts('realms') ?? []
  if (realms.every((realm) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(realm))) return [...new Set(realms)]
  throw new ConfigurationError('realms must hold one name each: visible ASCII without spaces, quotes or backslashes')
}

function readRealm(reader: OptionReader): string {
  const realm = reader.text('realm') ?? 'oauth1'
  if (!/^[\x20-\x7e]*$/.test(realm)) throw new ConfigurationError('realm must be visible ASCII characters or spaces')
  return realm
}

function readOrigin(reader: OptionReader): string | undefined {
  const origin = reader.text('origin')
  if (origin === undefined || /^https?:\/\/[^/?#@\s]+$/i.test(origin)) return origin
  throw new ConfigurationError('origin must be scheme and authority only, as in https://api.example.com')
}

/** What all networks together may hold, in shares of one. */
const shares = 16

/** Temporary credentials that nobody has agreed to: whoever has the secret of a client can make the server remember them without any user. */
function readTemporaryRoom(reader: OptionReader, clock: () => number): NamedRoom {
  const share = reader.whole('temporaryCredentialsShare', 524_288, 4096, 1_073_741_824)
  return new NamedRoom(new SharedRoom({ size: shares * share, share, clock, of: 'temporary credentials' }))
}

/**
 * Dynamic client registration (RFC 7591): a client introduces itself and gets a `client_id`, and a secret where it uses one.
 *
 * Off unless it is mounted. What is not known is dropped, what is refused says why, the secret is shown once and stored as its hash.
 * A client that nobody has authorised within `unusedClientLifetime` is forgotten, and `client_secret_expires_at` says so; one that was authorised stays.
 */
import type { ClientMetadata, StoredClient } from '../clients/client.js'
import { assertClientFitsServer, readClient } from '../clients/client.js'
import { configure, type Configuration } from '../configuration/configure.js'
import { ConfigurationError, InvalidRequest, OAuthError, ServerError } from '../errors.js'
import { countAgainstLimit, createFailureCounter, type FailureCounter } from '../limits/failed-authentication.js'
import { hashClientSecret } from '../clients/secrets.js'
import { assertKnownKeys, assertObject, OptionReader, type Unchecked } from '../option-checks/reader.js'
import type { ServerOptions } from '../configuration/options.js'
import {
  bodyTooLarge,
  headerValue,
  isSecure,
  jsonResponse,
  renderError,
  type Context,
  type ProtocolRequest,
  type ProtocolResponse,
} from '../http/message.js'
import { formatScope, intersectScope, isWithinScope } from '../authorization/scope.js'
import { equalInConstantTime, randomText, secretSize, sha256 } from '../secrets.js'
import { MetadataFault, readStrangerMetadata, type StrangerMetadata } from '../clients/stranger-metadata.js'
import { lateCallback, withinTime } from '../time-limit.js'
import { reportRefusal } from '../events/refusals.js'

/** Options of `registrationHandler`. */
export interface RegistrationOptions {
  /** A bearer token without which nobody may register. Default: anybody may. */
  readonly initialAccessToken?: string
  /** Whether the application wants such a client. True and undefined accept it, and nothing else does; throws an exported error to refuse. Default: every one. */
  readonly accept?: (metadata: Omit<ClientMetadata, 'client_id'>, context: Context) => boolean | undefined | Promise<boolean | undefined>
  /**
   * The most scope that strangers may have.
   *
   * @deprecated It is the option `strangerScopes` of the server, which binds metadata documents too, as this one does now.
   */
  readonly registrationScopes?: readonly string[]
  /** The method of a client that names none. Default `client_secret_basic` (RFC 7591 §2). */
  readonly defaultAuthMethod?: 'client_secret_basic' | 'client_secret_post' | 'none'
  /** Registrations a minute from one address. Default 10. */
  readonly perMinute?: number
  /** Seconds for which a client is kept that nobody has authorised yet. Default 259,200 (three days: a weekend). */
  readonly unusedClientLifetime?: number
}

/** The same, read. */
export interface RegistrationRules {
  readonly initialAccessToken: string | undefined
  readonly accept: RegistrationOptions['accept']
  readonly defaultAuthMethod: string
  readonly registrations: FailureCounter
  /** Seconds. */
  readonly unusedClientLifetime: number
}

const maxBodySize = 16_384
const threeDays = 259_200
const year = 31_536_000
const methods = ['client_secret_basic', 'client_secret_post', 'none']

/** @throws ConfigurationError when the options are wrong. */
export function readRegistrationRules(configuration: Configuration, options: RegistrationOptions): RegistrationRules {
  const members = assertObject(options, 'registrationHandler: the second argument')
  const names = ['initialAccessToken', 'accept', 'registrationScopes', 'defaultAuthMethod', 'perMinute', 'unusedClientLifetime']
  assertKnownKeys(members, names, 'registrationHandler')
  const reader = new OptionReader(members, 'registrationHandler: ')
  reader.assertCallback('accept')
  narrowStrangerScopes(configuration, reader)
  const defaultAuthMethod = reader.text('defaultAuthMethod') ?? 'client_secret_basic'
  if (!methods.includes(defaultAuthMethod))
    throw new ConfigurationError(`registrationHandler: defaultAuthMethod must be one of ${methods.join(', ')}`)
  return {
    initialAccessToken: reader.text('initialAccessToken'),
    accept: options.accept,
    defaultAuthMethod,
    registrations: createFailureCounter(reader.whole('perMinute', 10, 1, 1_000_000), configuration.clock),
    unusedClientLifetime: reader.whole('unusedClientLifetime', threeDays, 60, year),
  }
}

/** What strangers may have is one rule for both ways in. */
function narrowStrangerScopes({ scopes, strangers, warn }: Configuration, reader: OptionReader): void {
  const most = reader.texts('registrationScopes')
  if (most === undefined) return
  if (!isWithinScope(most, scopes)) throw new ConfigurationError('registrationHandler: registrationScopes must be among the option scopes')
  warn('registrationScopes is now the option strangerScopes of the server, and binds clients that are metadata documents too; set that one')
  strangers.scopes = intersectScope(strangers.scopes, most)
}

/** Answers a registration request: 201 and what was registered, or the JSON of RFC 7591 §3.2.2. Does not reject for anything a client sent. */
export async function createRegistrationResponse(
  options: ServerOptions,
  request: ProtocolRequest,
  rules: RegistrationRules,
): Promise<ProtocolResponse> {
  const configuration = configure(options)
  try {
    assertTransport(request, configuration)
    assertInitialAccessToken(request, rules)
    const metadata = readMetadata(await readJson(request), configuration, rules)
    await countAgainstLimit(rules.registrations, { kind: 'client', name: 'registration', address: request.address })
    await assertAccepted(configuration, rules, metadata, request.context ?? {})
    return jsonResponse(201, await register(configuration, rules, metadata, request.address))
  } catch (thrown) {
    return renderError(reportRefusal(configuration, 'registration', thrown, request), configuration.errorUri)
  }
}

function assertTransport(request: ProtocolRequest, { allowInsecureTransport }: Configuration): void {
  // RFC 7591 §5: the registration endpoint requires TLS
  if (!isSecure(request) && !allowInsecureTransport) throw new InvalidRequest('the registration endpoint requires https')
  if (request.method !== 'POST') throw new InvalidRequest('the registration endpoint answers POST only', { status: 405, allow: 'POST' })
  // RFC 7591 §3.1: the body is application/json
  if (!/^application\/json[\t ]*(?:;|$)/i.test(headerValue(request.headers, 'content-type') ?? '')) {
    throw new InvalidRequest('the body must be application/json', { status: 415 })
  }
  if ((headerValue(request.headers, 'content-encoding') ?? 'identity') !== 'identity') {
    throw new InvalidRequest('the body must not be compressed', { status: 415 })
  }
}

function assertInitialAccessToken({ headers }: ProtocolRequest, { initialAccessToken }: RegistrationRules): void {
  if (initialAccessToken === undefined) return
  const presented = /^ *bearer +(\S+) *$/i.exec(headerValue(headers, 'authorization') ?? '')?.[1] ?? ''
  // RFC 7591 §3: an initial access token
  if (equalInConstantTime(sha256(presented), sha256(initialAccessToken))) return
  throw new OAuthError('invalid_token', 'an initial access token is needed to register', { challenge: 'Bearer realm="registration"' })
}

async function readJson({ body }: ProtocolRequest): Promise<Unchecked> {
  const read: unknown = typeof body === 'function' ? await (body as () => unknown)() : body
  const text = read instanceof Uint8Array ? Buffer.from(read).toString('utf8') : read
  if (typeof text === 'string' && Buffer.byteLength(text) > maxBodySize) throw bodyTooLarge()
  const document = typeof text === 'string' ? parseJson(text) : text
  if (typeof document === 'object' && document !== null && !Array.isArray(document)) return document as Unchecked
  throw new OAuthError('invalid_client_metadata', 'the body must be a JSON object')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What may be registered of what was sent. @throws OAuthError `invalid_client_metadata` or `invalid_redirect_uri` (RFC 7591 §3.2.2). */
function readMetadata(
  document: Unchecked,
  { served, strangers, privateUseSchemes }: Configuration,
  { defaultAuthMethod }: RegistrationRules,
): StrangerMetadata {
  const usable = methods.filter((name) => served.methods.includes(name))
  const rules = {
    ...strangers,
    grantTypes: served.grantTypes,
    methods: usable,
    privateUseSchemes,
    defaultMethod: defaultAuthMethod,
    onMistake: 'refuse',
  } as const
  try {
    return readStrangerMetadata(document, rules)
  } catch (thrown) {
    if (!(thrown instanceof MetadataFault)) throw thrown
    const { member, message: reason } = thrown
    if (member === 'redirect_uris') throw new OAuthError('invalid_redirect_uri', reason)
    throw new OAuthError('invalid_client_metadata', `${member} is invalid, or not supported here`, { reason })
  }
}

async function assertAccepted(
  { callbackTimeout }: Configuration,
  { accept }: RegistrationRules,
  metadata: StrangerMetadata,
  context: Context,
): Promise<void> {
  if (accept === undefined) return
  const answer: unknown = await withinTime(callbackTimeout, async () => accept(metadata, context), lateCallback)
  if (answer !== true && answer !== undefined) throw new OAuthError('invalid_client_metadata', 'the client is not accepted')
}

async function register(
  { clientRecords, served, clock, rooms }: Configuration,
  { unusedClientLifetime }: RegistrationRules,
  metadata: StrangerMetadata,
  address: string | undefined,
): Promise<object> {
  const now = clock()
  const isPublic = metadata.token_endpoint_auth_method === 'none'
  const client_secret = isPublic ? undefined : randomText(secretSize)
  const secrets = client_secret === undefined ? [] : [{ hash: await hashClientSecret(client_secret, { generated: true }) }]
  const stored = { ...metadata, client_id: randomText(22), secrets } satisfies StoredClient
  assertClientFitsServer(readClient(stored, 'the client', 'registration'), served)
  const until = now + unusedClientLifetime
  rooms.registrations.enter(stored.client_id, { address, bytes: JSON.stringify(stored).length, until })
  try {
    if (!(await clientRecords.create(stored, 'registration', until)))
      throw new ServerError(undefined, { reason: 'a new client met one with the same id' })
  } catch (thrown) {
    rooms.registrations.leave(stored.client_id)
    throw thrown
  }
  const { secrets: _hashes, defaultScope: _default, scope, ...registered } = stored
  return {
    ...registered,
    scope: formatScope(scope),
    client_id_issued_at: now,
    // RFC 7591 §3.2.1: when the secret expires. Until then it is kept for certain, and longer where somebody authorises the client.
    ...(client_secret === undefined ? {} : { client_secret, client_secret_expires_at: until }),
  }
}

/**
 * Dynamic client registration (RFC 7591): a client introduces itself and gets a `client_id`, and a secret where it uses one.
 *
 * Off unless it is mounted. What is not known is dropped, what is refused says why, the secret is shown once and stored as its hash.
 * A client that nobody has authorised within `unusedLifetime` is forgotten; one that was used stays.
 */
import type { ClientMetadata, StoredClient } from '../clients.js'
import { assertClientFitsServer, readClient } from '../clients.js'
import { configure, type Configuration } from '../configuration.js'
import { ConfigurationError, InvalidRequest, OAuthError, ServerError } from '../errors.js'
import { countAgainstLimit, createFailureCounter, type FailureCounter } from '../failed-authentication.js'
import { hashClientSecret } from '../client-secrets.js'
import { assertKnownKeys, assertObject, OptionReader, type Unchecked } from '../option-checks.js'
import type { ServerOptions } from '../options.js'
import {
  bodyTooLarge,
  headerValue,
  isSecure,
  jsonResponse,
  renderError,
  type Context,
  type ProtocolRequest,
  type ProtocolResponse,
} from '../protocol.js'
import { isWebPage, redirectUriFault } from '../redirect-uri.js'
import { formatScope, intersectScope, isWithinScope, readScopeList, type Scope } from '../scope.js'
import { equalInConstantTime, randomText, secretSize, sha256 } from '../secrets.js'
import { reportRefusal } from './client-request.js'

/** Options of `registrationHandler`. */
export interface RegistrationOptions {
  /** A bearer token without which nobody may register. Default: anybody may. */
  readonly initialAccessToken?: string
  /** Whether the application wants such a client. Throws an exported error to refuse. Default: every one. */
  readonly accept?: (metadata: Omit<ClientMetadata, 'client_id'>, context: Context) => boolean | undefined | Promise<boolean | undefined>
  /** The most scope that a registered client may have. Default: all of the server's. */
  readonly registrationScopes?: readonly string[]
  /** The method of a client that names none. Default `client_secret_basic` (RFC 7591 §2). */
  readonly defaultAuthMethod?: 'client_secret_basic' | 'client_secret_post' | 'none'
  /** Registrations a minute from one address. Default 10. */
  readonly perMinute?: number
}

/** The same, read. */
export interface RegistrationRules {
  readonly initialAccessToken: string | undefined
  readonly accept: RegistrationOptions['accept']
  readonly scopes: Scope
  readonly defaultAuthMethod: string
  readonly registrations: FailureCounter
}

const maxBodySize = 16_384
const day = 86_400
const unusedLifetime = day
const methods = ['client_secret_basic', 'client_secret_post', 'none']

/** @throws ConfigurationError when the options are wrong. */
export function readRegistrationRules(configuration: Configuration, options: RegistrationOptions): RegistrationRules {
  const members = assertObject(options, 'registrationHandler: the second argument')
  const names = ['initialAccessToken', 'accept', 'registrationScopes', 'defaultAuthMethod', 'perMinute']
  assertKnownKeys(members, names, 'registrationHandler')
  const reader = new OptionReader(members, 'registrationHandler: ')
  reader.assertCallback('accept')
  const scopes = reader.texts('registrationScopes') ?? configuration.scopes
  if (!isWithinScope(scopes, configuration.scopes))
    throw new ConfigurationError('registrationHandler: registrationScopes must be among the option scopes')
  const defaultAuthMethod = reader.text('defaultAuthMethod') ?? 'client_secret_basic'
  if (!methods.includes(defaultAuthMethod))
    throw new ConfigurationError(`registrationHandler: defaultAuthMethod must be one of ${methods.join(', ')}`)
  return {
    initialAccessToken: reader.text('initialAccessToken'),
    accept: options.accept,
    scopes,
    defaultAuthMethod,
    registrations: createFailureCounter(reader.whole('perMinute', 10, 1, 1_000_000), configuration.clock),
  }
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
    if ((await rules.accept?.(metadata, request.context ?? {})) === false)
      throw new OAuthError('invalid_client_metadata', 'the client is not accepted')
    return jsonResponse(201, await register(configuration, metadata))
  } catch (thrown) {
    return renderError(reportRefusal(configuration, 'registration', thrown), configuration.errorUri)
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

type Registration = Omit<ClientMetadata, 'client_id' | 'client_secret' | 'secrets'>

/** What may be registered of what was sent. Unknown members are dropped (RFC 7591 §2). */
function readMetadata(document: Unchecked, configuration: Configuration, rules: RegistrationRules): Registration {
  const { token_endpoint_auth_method = rules.defaultAuthMethod } = document
  const served = methods.filter((name) => configuration.served.methods.includes(name))
  if (typeof token_endpoint_auth_method !== 'string' || !served.includes(token_endpoint_auth_method))
    throw invalid('token_endpoint_auth_method')
  return {
    token_endpoint_auth_method,
    grant_types: readGrantTypes(document.grant_types, configuration),
    response_types: ['code'],
    redirect_uris: readRedirectUris(document.redirect_uris, configuration),
    ...present('client_name', document.client_name, (value) => typeof value === 'string' && value.length <= 200),
    ...present('client_uri', document.client_uri, isWebPage),
    ...present('logo_uri', document.logo_uri, isWebPage),
    ...present('policy_uri', document.policy_uri, isWebPage),
    ...present('tos_uri', document.tos_uri, isWebPage),
    ...present('contacts', document.contacts, isListOfTexts),
    ...present('software_id', document.software_id, (value) => typeof value === 'string'),
    ...present('software_version', document.software_version, (value) => typeof value === 'string'),
    scope: rules.scopes,
    defaultScope: readScope(document.scope, rules),
  }
}

function invalid(member: string): OAuthError {
  return new OAuthError('invalid_client_metadata', `${member} is invalid, or not supported here`)
}

/** Who registers itself acts for people who agree, and never for itself. */
function readGrantTypes(value: unknown, { grants }: Configuration): readonly string[] {
  if (value !== undefined && !isListOfTexts(value)) throw invalid('grant_types')
  const wanted = value ?? ['authorization_code']
  const types = ['authorization_code', 'refresh_token'].filter((type) => wanted.includes(type) && grants.has(type))
  if (!types.includes('authorization_code')) throw invalid('grant_types')
  return types
}

function readRedirectUris(value: unknown, { privateUseSchemes }: Configuration): readonly string[] {
  const isList = isListOfTexts(value) && value.length > 0 && value.length <= 20
  if (isList && value.every((uri) => redirectUriFault(uri, privateUseSchemes) === undefined)) return value
  throw new OAuthError('invalid_redirect_uri', 'redirect_uris must be a list of https, loopback or private-use URIs without fragment')
}

/**
 * What the client gets when it asks for nothing. It may ask for all that registered clients may have: MCP clients register with the scope of the first
 * challenge they meet, and come back for more (RFC 7591 §3.2.1 lets the server replace what was asked for).
 */
function readScope(value: unknown, { scopes }: RegistrationRules): Scope {
  if (value === undefined) return scopes
  const wanted = readScopeList(value)
  if (wanted === undefined || typeof value !== 'string') throw invalid('scope')
  const allowed = intersectScope(wanted, scopes)
  return allowed.length === 0 ? scopes : allowed
}

function isListOfTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')
}

function present(name: string, value: unknown, isRight: (value: unknown) => boolean): object {
  if (value === undefined || value === null) return {}
  if (isRight(value)) return { [name]: value }
  throw invalid(name)
}

async function register({ clientRecords, served, clock }: Configuration, metadata: Registration): Promise<object> {
  const now = clock()
  const isPublic = metadata.token_endpoint_auth_method === 'none'
  const client_secret = isPublic ? undefined : randomText(secretSize)
  const secrets = client_secret === undefined ? [] : [{ hash: await hashClientSecret(client_secret, { generated: true }) }]
  const stored: StoredClient = { ...metadata, client_id: randomText(22), secrets }
  assertClientFitsServer(readClient(stored, 'the client'), served)
  if (!(await clientRecords.create(stored, 'registration', now + unusedLifetime))) {
    throw new ServerError(undefined, { reason: 'a new client met one with the same id' })
  }
  const { secrets: _hashes, defaultScope: _default, scope = [], ...registered } = stored
  return {
    ...registered,
    scope: formatScope(typeof scope === 'string' ? [scope] : scope),
    client_id_issued_at: now,
    // RFC 7591 §3.2.1: 0 says that it does not expire
    ...(client_secret === undefined ? {} : { client_secret, client_secret_expires_at: 0 }),
  }
}

/**
 * Pushed authorization requests (RFC 9126): the client sends its authorization request here first, authenticated, and takes only a reference through
 * the browser.
 *
 * 1. `createPushedAuthorizationResponse`: the request is checked as the authorization endpoint would, and what is known of it is kept for 60 seconds.
 * 2. `openPushedRequest`: the first browser that brings the reference has it for ten minutes from then on, and no other. Its end moves this once.
 * 3. `closePushedRequest`: the decision uses it up.
 *
 * What is kept takes room, at each of the first two steps for as long as that step lets it live: for clients that prove nothing the room of the address that
 * asks, for clients of the application that have authenticated a room of their own. Where no room is free, a push is refused, and a request that is opened
 * keeps the life that it has.
 */
import type { JsonObject } from '../../json.js'
import { madeBeforeNotBefore } from '../../events/events.js'
import { isStranger, type Client } from '../../clients/client.js'
import { configure, type Configuration } from '../../configuration/configure.js'
import { InvalidClient, InvalidRequest, OAuthError, TemporarilyUnavailable } from '../../errors.js'
import type { ServerOptions } from '../../configuration/options.js'
import { jsonResponse, type Form, type ProtocolRequest, type ProtocolResponse } from '../../http/message.js'
import { equalInConstantTime, randomText, secretSize, sha256 } from '../../secrets.js'
import type { StoredRecord } from '../../stores/store.js'
import { knownParameters } from './parameters.js'
import { readAuthorizationRequest } from './request.js'
import { answerClient } from '../client-request.js'
import { registeredRedirectUri } from './redirection.js'

const prefix = 'urn:ietf:params:oauth:request_uri:'
const lifetime = 60
const lifetimeInBrowser = 600

/**
 * Answers a pushed authorization request: 201 with `request_uri` and `expires_in`, or the JSON of RFC 6749 §5.2.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export async function createPushedAuthorizationResponse(options: ServerOptions, request: ProtocolRequest): Promise<ProtocolResponse> {
  const configuration = configure(options)
  const policy = withDocuments(configuration, request)
  return answerClient(policy, 'pushed authorization', request, async ({ client, parameters, resource }) => {
    // RFC 9126 §2.1: the request must not refer to another
    if (parameters.request_uri !== undefined) throw new InvalidRequest('request_uri must not be pushed')
    registeredRedirectUri(client, parameters.redirect_uri, configuration)
    readAuthorizationRequest(configuration, client, { parameters, resource, audience: [], pairs: [] })
    const reference = randomText(secretSize)
    const expiresAt = configuration.clock() + lifetime
    const data = ownCopy({
      client_id: client.client_id,
      parameters: knownParameters(parameters),
      // RFC 8707 §2: by now each is one of the server's; where it has none, the parameter is ignored
      resource: configuration.resources.size === 0 ? [] : [...new Set(resource)],
      expiresAt,
      madeAt: expiresAt - lifetime,
      ...(isProven(client) ? { isProven: true } : {}),
    })
    const leave = takeRoom(configuration, data, request.address, expiresAt)
    try {
      await configuration.ledger.remember('request', reference, data, expiresAt)
    } catch (thrown) {
      leave()
      throw thrown
    }
    return jsonResponse(201, { request_uri: prefix + reference, expires_in: lifetime })
  })
}

/** A client that is a document is looked up as at the authorization endpoint: to push a request is the first thing that it does. */
function withDocuments(configuration: Configuration, request: ProtocolRequest): Configuration {
  if (!configuration.hasClientIdDocuments) return configuration
  const findClient = async (client_id: string) => {
    try {
      return await configuration.findClientToAuthorize(client_id, request)
    } catch (thrown) {
      if (!(thrown instanceof InvalidRequest)) throw thrown
      // RFC 9126 §2.3: a client that is not known is refused as at the token endpoint
      throw new InvalidClient(undefined, { reason: thrown.reason ?? thrown.description })
    }
  }
  return Object.assign(Object.create(configuration) as Configuration, { findClient })
}

/** The texts of a request are parts of its body, which a store in memory would keep with them. */
function ownCopy(data: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(data)) as JsonObject
}

/** Whether the application knows the client, and the client has proved who it is. */
function isProven(client: Client): boolean {
  return !client.isPublic && !isStranger(client)
}

/** @throws TemporarilyUnavailable where no room is free. */
function takeRoom({ rooms }: Configuration, data: JsonObject, address: string | undefined, until: number): () => void {
  const bytes = JSON.stringify(data).length
  const { client_id, isProven } = data
  return isProven === true && typeof client_id === 'string'
    ? rooms.pushedByClients.enter({ address: client_id, bytes, until })
    : rooms.pushed.enter({ address, bytes, until })
}

/** A pushed request that this browser may decide on. */
export interface PushedRequest {
  readonly form: Form
  readonly record: StoredRecord
}

/** Whether a request names one that was pushed here. */
export function isPushed({ parameters: { request_uri } }: Form): boolean {
  return request_uri?.startsWith(prefix) === true
}

/** The browser that brings a reference. */
export interface Opener {
  /** The text in its cookie. */
  readonly browser: string
  readonly address: string | undefined
  /** Whether a person may be there, who may need minutes. */
  readonly mayStay: boolean
}

/**
 * The request behind a `request_uri`; undefined where the authorization request has none.
 *
 * @throws OAuthError `invalid_request_uri` when it is unknown, expired, used, of another client, or open in another browser.
 */
export async function openPushedRequest(configuration: Configuration, query: Form, opener: Opener): Promise<PushedRequest | undefined> {
  const { request_uri = '', client_id } = query.parameters
  // One that was not pushed here is refused with the rest of the request, which says whom to tell.
  if (!isPushed(query)) return undefined
  const open = async () => {
    const record = await configuration.ledger.recall('request', request_uri.slice(prefix.length))
    // RFC 9126 §2.2: the reference is bound to the client that pushed it; another one spoils nothing
    return record !== undefined && record.data.client_id === client_id ? openFor(configuration, record, opener) : undefined
  }
  // Whoever was slower reads again: the faster one may have been the same browser.
  const opened = (await open()) ?? (await open())
  if (opened === undefined) throw new OAuthError('invalid_request_uri', 'the request_uri is unknown, expired, or was used')
  return opened
}

async function openFor(configuration: Configuration, record: StoredRecord, opener: Opener): Promise<PushedRequest | undefined> {
  const { ledger, clock } = configuration
  const browser = sha256(opener.browser)
  const { data } = record
  const { isUsed, browser: owner, expiresAt, parameters, resource, client_id } = data
  if (isUsed === true || typeof expiresAt !== 'number' || clock() >= expiresAt) return undefined
  assertNotTooOld(configuration, data)
  const form = {
    // Without a prototype, as those of a request are
    parameters: Object.assign(Object.create(null) as Record<string, string>, parameters, {
      client_id: typeof client_id === 'string' ? client_id : '',
    }),
    resource: resource as readonly string[],
    audience: [],
    pairs: [],
  }
  if (typeof owner === 'string') return equalInConstantTime(owner, browser) ? { form, record } : undefined
  const { until, leave } = extendedLife(configuration, data, opener, expiresAt)
  let isOpened = false
  try {
    isOpened = await ledger.exchange(record, { ...data, browser, expiresAt: until }, until)
  } finally {
    if (!isOpened) leave()
  }
  return isOpened ? { form, record: { ...record, data: { ...data, browser, expiresAt: until } } } : undefined
}

/**
 * Version 0.1.0 and 0.2.0 wrote no `madeAt`: a request that no browser has opened was made a minute before its end, any other ten minutes before, or sooner.
 *
 * @throws OAuthError `invalid_request_uri` for one from before the option `notBefore`: a backup may have brought it back.
 */
function assertNotTooOld({ notBefore }: Configuration, { madeAt, expiresAt, browser }: JsonObject): void {
  const life = browser === undefined ? lifetime : lifetimeInBrowser
  const made = typeof madeAt === 'number' ? madeAt : Number(expiresAt) - life
  if (notBefore === undefined || made >= notBefore) return
  throw new OAuthError('invalid_request_uri', 'the request_uri is unknown, expired, or was used', { reason: madeBeforeNotBefore })
}

/** A person may need minutes to log in. The longer life takes room like the push itself; without room the request keeps its end. */
function extendedLife(configuration: Configuration, data: JsonObject, { address, mayStay }: Opener, expiresAt: number) {
  if (!mayStay) return { until: expiresAt, leave: () => undefined }
  const until = configuration.clock() + lifetimeInBrowser
  try {
    return { until, leave: takeRoom(configuration, data, address, until) }
  } catch (thrown) {
    if (thrown instanceof TemporarilyUnavailable) return { until: expiresAt, leave: () => undefined }
    throw thrown
  }
}

/** Uses a pushed request of that client up. @throws OAuthError `invalid_request_uri` when that has happened already. */
export async function closePushedRequest(configuration: Configuration, request_uri: string, client_id: string): Promise<void> {
  const { ledger } = configuration
  const record = request_uri.startsWith(prefix) ? await ledger.recall('request', request_uri.slice(prefix.length)) : undefined
  const isOpen = record !== undefined && record.data.isUsed !== true && record.data.client_id === client_id
  if (isOpen) assertNotTooOld(configuration, record.data)
  const isClosed = isOpen && (await ledger.exchange(record, { isUsed: true }, record.expiresAt))
  if (!isClosed) throw new OAuthError('invalid_request_uri', 'the request_uri is unknown, expired, or was used')
}

/** @throws InvalidRequest when this client has to push its requests, and has not. */
export function assertPushedWhereRequired({ requirePushedAuthorizationRequests }: Configuration, client: Client, isPushed: boolean): void {
  // RFC 9126 §5, §6
  if (isPushed || !(requirePushedAuthorizationRequests || client.require_pushed_authorization_requests)) return
  throw new InvalidRequest('the authorization request must be pushed')
}

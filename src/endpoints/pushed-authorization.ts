/**
 * Pushed authorization requests (RFC 9126): the client sends its authorization request here first, authenticated, and takes only a reference through
 * the browser.
 *
 * 1. `createPushedAuthorizationResponse`: the request is checked as the authorization endpoint would, and kept for 60 seconds.
 * 2. `openPushedRequest`: the first browser that brings the reference has it for ten minutes, and no other.
 * 3. `closePushedRequest`: the decision uses it up.
 */
import type { JsonObject } from '../authorization.js'
import type { Client } from '../clients.js'
import { configure, type Configuration } from '../configuration.js'
import { InvalidRequest, OAuthError } from '../errors.js'
import type { ServerOptions } from '../options.js'
import { jsonResponse, type Form, type Parameters, type ProtocolRequest, type ProtocolResponse } from '../protocol.js'
import { equalInConstantTime, randomText, secretSize, sha256 } from '../secrets.js'
import type { StoredRecord } from '../stores/store.js'
import { readAuthorizationRequest } from './authorization-request.js'
import { answerClient } from './client-request.js'
import { registeredRedirectUri } from './redirection.js'

const prefix = 'urn:ietf:params:oauth:request_uri:'
const lifetime = 60
const lifetimeInBrowser = 600

/** Parameters that authenticate the client, and are no part of the authorization request. */
const clientParameters = ['client_secret', 'client_assertion', 'client_assertion_type']

/**
 * Answers a pushed authorization request: 201 with `request_uri` and `expires_in`, or the JSON of RFC 6749 §5.2.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export async function createPushedAuthorizationResponse(options: ServerOptions, request: ProtocolRequest): Promise<ProtocolResponse> {
  const configuration = configure(options)
  return answerClient(configuration, 'pushed authorization', request, async ({ client, parameters, resource }) => {
    // RFC 9126 §2.1: the request must not refer to another
    if (parameters.request_uri !== undefined) throw new InvalidRequest('request_uri must not be pushed')
    const form = { parameters: withoutClientParameters(parameters), resource, audience: [], pairs: [] }
    registeredRedirectUri(client, parameters.redirect_uri, configuration)
    readAuthorizationRequest(configuration, client, form)
    const reference = randomText(secretSize)
    const expiresAt = configuration.clock() + lifetime
    const data = { client_id: client.client_id, parameters: { ...form.parameters } as JsonObject, resource, expiresAt }
    await configuration.ledger.remember('request', reference, data, expiresAt)
    return jsonResponse(201, { request_uri: prefix + reference, expires_in: lifetime })
  })
}

function withoutClientParameters(parameters: Parameters): Parameters {
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => !clientParameters.includes(name)))
}

/** A pushed request that this browser may decide on. */
export interface PushedRequest {
  readonly form: Form
  readonly record: StoredRecord
}

/**
 * The request behind a `request_uri`; undefined where the authorization request has none.
 *
 * @throws OAuthError `invalid_request_uri` when it is unknown, expired, used, of another client, or open in another browser.
 */
export async function openPushedRequest(
  configuration: Configuration,
  { parameters }: Form,
  browser: string,
): Promise<PushedRequest | undefined> {
  const { request_uri, client_id } = parameters
  // One that was not pushed here is refused with the rest of the request, which says whom to tell.
  if (request_uri?.startsWith(prefix) !== true) return undefined
  const open = async () => {
    const record = await configuration.ledger.recall('request', request_uri.slice(prefix.length))
    // RFC 9126 §2.2: the reference is bound to the client that pushed it; another one spoils nothing
    return record !== undefined && record.data.client_id === client_id ? openFor(configuration, record, sha256(browser)) : undefined
  }
  // Whoever was slower reads again: the faster one may have been the same browser.
  const opened = (await open()) ?? (await open())
  if (opened === undefined) throw new OAuthError('invalid_request_uri', 'the request_uri is unknown, expired, or was used')
  return opened
}

async function openFor({ ledger, clock }: Configuration, record: StoredRecord, browser: string): Promise<PushedRequest | undefined> {
  const { data } = record
  const { isUsed, browser: owner, expiresAt, parameters, resource, client_id } = data
  if (isUsed === true || typeof expiresAt !== 'number' || clock() >= expiresAt) return undefined
  const form = {
    parameters: { ...(parameters as Record<string, string>), client_id: typeof client_id === 'string' ? client_id : '' },
    resource: resource as readonly string[],
    audience: [],
    pairs: [],
  }
  if (typeof owner === 'string') return equalInConstantTime(owner, browser) ? { form, record } : undefined
  const until = clock() + lifetimeInBrowser
  const isFirst = await ledger.exchange(record, { ...data, browser, expiresAt: until }, until)
  if (!isFirst) return undefined
  return { form, record: { ...record, data: { ...data, browser, expiresAt: until } } }
}

/** Uses a pushed request of that client up. @throws OAuthError `invalid_request_uri` when that has happened already. */
export async function closePushedRequest({ ledger }: Configuration, request_uri: string, client_id: string): Promise<void> {
  const record = request_uri.startsWith(prefix) ? await ledger.recall('request', request_uri.slice(prefix.length)) : undefined
  const isOpen = record !== undefined && record.data.isUsed !== true && record.data.client_id === client_id
  const isClosed = isOpen && (await ledger.exchange(record, { isUsed: true }, record.expiresAt))
  if (!isClosed) throw new OAuthError('invalid_request_uri', 'the request_uri is unknown, expired, or was used')
}

/** @throws InvalidRequest when this client has to push its requests, and has not. */
export function assertPushedWhereRequired({ requirePushedAuthorizationRequests }: Configuration, client: Client, isPushed: boolean): void {
  // RFC 9126 §5, §6
  if (isPushed || !(requirePushedAuthorizationRequests || client.require_pushed_authorization_requests)) return
  throw new InvalidRequest('the authorization request must be pushed')
}

/**
 * The temporary credentials endpoint (RFC 5849 §2.1): a client says that it wants a user to be asked, and where to send the answer.
 */
import { assertAvailable } from '../http/availability.js'
import { InvalidRequest } from '../errors.js'
import { startTime } from '../events/events.js'
import type { Context, ProtocolRequest, ProtocolResponse } from '../http/message.js'
import { randomText, secretSize, sha256 } from '../secrets.js'
import { inTime, tokenText } from './application-rules.js'
import { assertTransport, claimNonce, identify, type SignedRequest, type UsableStage } from './authenticate.js'
import { callbackFault, unregisteredCallbackFault } from './callback.js'
import type { RegisteredClient } from './clients.js'
import { newCredentialsId, type TemporaryCredentials } from './credentials.js'
import { acceptEndpointRequest } from './endpoint-request.js'
import { configureOAuth1, type OAuth1Configuration, type OAuth1Options } from './options.js'
import { formResponse, refuse, unauthorized } from './responses.js'

const endpoint = 'temporary credentials'
const demand = { endpoint, stage: undefined, required: ['oauth_callback'] } as const

/**
 * Answers a request for temporary credentials. It does not reject for anything a client sent.
 *
 * @throws ConfigurationError when the options are wrong.
 * @see RFC 5849 §2.1
 */
export async function createTemporaryCredentialsResponse(options: OAuth1Options, request: ProtocolRequest): Promise<ProtocolResponse> {
  const configuration = configureOAuth1(options)
  const startedAt = request.startedAt ?? startTime(configuration.emit)
  const { context = {}, address } = request
  let client_id: string | undefined
  try {
    await assertAvailable(configuration)
    assertTransport(request, endpoint, configuration)
    const read = await acceptEndpointRequest(request, endpoint, configuration)
    const signed = await identify(configuration, read, demand, context)
    const { client, parameters } = signed
    client_id = client.client_id
    const callback = acceptableCallback(parameters.protocol.oauth_callback ?? '', client)
    const realms = askedRealms(configuration, client, parameters.realm)
    const endsAt = configuration.clock() + configuration.temporaryCredentialsLifetime
    const asked = { id: newCredentialsId(), client_id, callback, realms, endsAt }
    const oauth_token = await admit(configuration, asked, { signed, address, context })
    return formResponse(await issue(configuration, asked, oauth_token))
  } catch (thrown) {
    return refuse(configuration, endpoint, thrown, { client_id, address, startedAt })
  }
}

/** What is to be remembered. */
type Asked = Pick<TemporaryCredentials, 'id' | 'client_id' | 'callback' | 'realms' | 'endsAt'>

interface Asking {
  readonly signed: Pick<SignedRequest<UsableStage>, 'client' | 'nonce'>
  readonly address: string | undefined
  readonly context: Context
}

/** What a record holds beside its texts: digests, sealed secret, version. */
const fixedSize = 500

/**
 * Lets new temporary credentials in: room first, then the nonce, then the text of `oauth_token`.
 *
 * @throws TemporarilyUnavailable where there is no room; then nothing is stored, and the same request may come again.
 */
async function admit(configuration: OAuth1Configuration, asked: Asked, { signed, address, context }: Asking): Promise<string> {
  const { temporaryRoom, clockTolerance, tokens } = configuration
  const { id, client_id, callback, realms, endsAt } = asked
  const bytes = client_id.length + callback.length + realms.join().length + (tokens === undefined ? fixedSize : 2 * fixedSize)
  temporaryRoom.enter(id, { address, bytes, until: endsAt + clockTolerance })
  try {
    await claimNonce(configuration, signed)
    const token = { kind: 'temporary', client_id, realms, expiresAt: endsAt, context } as const
    return await inTime(configuration, () => tokenText(configuration, id, token))
  } catch (thrown) {
    temporaryRoom.leave(id)
    throw thrown
  }
}

function acceptableCallback(callback: string, { callbacks }: RegisteredClient): string {
  const fault = callbacks === undefined ? unregisteredCallbackFault(callback) : callbackFault(callback)
  if (fault !== undefined) throw new InvalidRequest(fault)
  // RFC 5849 §4.7: a registered callback keeps a user from being sent to somebody else
  if (callbacks !== undefined && !callbacks.includes(callback)) throw new InvalidRequest('the callback is not registered for this client')
  return callback
}

/**
 * The realms that the header names, or all that the client may have. A header that names a realm of the server is a demand for every name in it. One
 * that names none is the name of a protection space (RFC 9110 §11.5), and asks for nothing.
 *
 * @throws OAuthError with status 401 for a demand that the client may not make.
 */
function askedRealms(configuration: OAuth1Configuration, client: RegisteredClient, realm = ''): readonly string[] {
  const { realms } = configuration
  const allowed = realms.filter((known) => client.realms === undefined || client.realms.includes(known))
  const named = new Set(realm.split(/[\t ]+/).filter((name) => name !== ''))
  if (!realms.some((known) => named.has(known))) return allowed
  for (const name of named) {
    if (!allowed.includes(name)) throw unauthorized(configuration, 'the client asked for a realm that it may not have', client)
  }
  return allowed.filter((known) => named.has(known))
}

async function issue(configuration: OAuth1Configuration, asked: Asked, oauth_token: string): Promise<Record<string, string>> {
  const { records, sealer, clockTolerance, tokens } = configuration
  const { id, endsAt } = asked
  const oauth_token_secret = randomText(secretSize)
  if (tokens !== undefined) await records.createAlias(oauth_token, id, endsAt)
  await records.create({
    stage: 'temporary',
    ...asked,
    madeAt: configuration.clock(),
    tokenHash: sha256(oauth_token),
    sealedSecret: sealer.seal(oauth_token_secret, 'oauth1 token secret', id),
    expiresAt: endsAt + clockTolerance,
  })
  // RFC 5849 §2.1: oauth_callback_confirmed tells the client that the server speaks this version of the protocol
  return { oauth_token, oauth_token_secret, oauth_callback_confirmed: 'true' }
}

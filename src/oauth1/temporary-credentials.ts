/**
 * The temporary credentials endpoint (RFC 5849 §2.1): a client says that it wants a user to be asked, and where to send the answer.
 */
import { InvalidRequest } from '../errors.js'
import type { ProtocolRequest, ProtocolResponse } from '../protocol.js'
import { randomText, secretSize, sha256 } from '../secrets.js'
import { assertTransport, authenticate } from './authenticate.js'
import { callbackFault } from './callback.js'
import type { RegisteredClient } from './clients.js'
import { newCredentialsId, newTokenText } from './credentials.js'
import { acceptEndpointRequest } from './endpoint-request.js'
import { configureOAuth1, type OAuth1Configuration, type OAuth1Options } from './options.js'
import { formResponse, refuse } from './responses.js'

const endpoint = 'temporary credentials'

/**
 * Answers a request for temporary credentials. It does not reject for anything a client sent.
 *
 * @throws ConfigurationError when the options are wrong.
 * @see RFC 5849 §2.1
 */
export async function createTemporaryCredentialsResponse(options: OAuth1Options, request: ProtocolRequest): Promise<ProtocolResponse> {
  const configuration = configureOAuth1(options)
  try {
    assertTransport(request, endpoint, configuration)
    const read = await acceptEndpointRequest(request, endpoint, configuration)
    const { client, parameters } = await authenticate(configuration, read, { endpoint, stage: undefined, required: ['oauth_callback'] })
    const callback = acceptableCallback(parameters.protocol.oauth_callback ?? '', client)
    return formResponse(await issue(configuration, client, callback, askedRealms(configuration, client, parameters.realm)))
  } catch (thrown) {
    return refuse(configuration, endpoint, thrown)
  }
}

function acceptableCallback(callback: string, { callbacks }: RegisteredClient): string {
  const fault = callbackFault(callback)
  if (fault !== undefined) throw new InvalidRequest(fault)
  // RFC 5849 §4.7: a registered callback keeps a user from being sent to somebody else
  if (callbacks !== undefined && !callbacks.includes(callback)) throw new InvalidRequest('the callback is not registered for this client')
  return callback
}

/**
 * The realms that the header names, as far as server and client know them; all that the client may have where it names none. The
 * `realm` of the header is also just the name of a protection space (RFC 9110 §11.5), so an unknown one is no mistake.
 */
function askedRealms({ realms }: OAuth1Configuration, client: RegisteredClient, realm = ''): readonly string[] {
  const allowed = realms.filter((known) => client.realms === undefined || client.realms.includes(known))
  const asked = new Set(realm.split(' '))
  const named = allowed.filter((known) => asked.has(known))
  return named.length === 0 ? allowed : named
}

async function issue(
  { records, sealer, clock, clockTolerance, temporaryCredentialsLifetime }: OAuth1Configuration,
  client: RegisteredClient,
  callback: string,
  realms: readonly string[],
): Promise<Record<string, string>> {
  const id = newCredentialsId()
  const oauth_token = newTokenText(id)
  const oauth_token_secret = randomText(secretSize)
  const endsAt = clock() + temporaryCredentialsLifetime
  await records.create({
    stage: 'temporary',
    id,
    client_id: client.client_id,
    callback,
    realms,
    tokenHash: sha256(oauth_token),
    sealedSecret: sealer.seal(oauth_token_secret, 'oauth1 token secret', id),
    endsAt,
    expiresAt: endsAt + clockTolerance,
  })
  // RFC 5849 §2.1: oauth_callback_confirmed tells the client that the server speaks this version of the protocol
  return { oauth_token, oauth_token_secret, oauth_callback_confirmed: 'true' }
}

/**
 * The shell of OAuth 1: handlers for Express, Connect and bare node:http. The only file of oauth1/ that knows `req`, `res` and `next`.
 */
import type { ServerResponse } from 'node:http'
import { parsedBody, unreadBody } from '../node/body.js'
import { ConfigurationError } from '../errors.js'
import { startTime } from '../events/events.js'
import { assertKnownKeys, assertObject, OptionReader } from '../option-checks/reader.js'
import type { ProtocolRequest, ProtocolResponse } from '../http/message.js'
import {
  clientAddress,
  pass,
  plainRequest,
  readContext,
  refusedAddress,
  requestHead,
  send,
  warnOfInsecureTransport,
  warnOfMissingAddress,
  type WireHead,
  type WireRequest,
} from '../node/wire.js'
import { configureOAuth1, type OAuth1Configuration, type OAuth1Options } from './options.js'
import { checkOAuth1, type OAuth1Demand, type OAuth1Info } from './protected-resource.js'
import { refuse } from './responses.js'
import { createTemporaryCredentialsResponse } from './temporary-credentials.js'
import { createAccessTokenResponse } from './token-credentials.js'

/** A request as node:http has it, with what Express and body parsers may have added. */
export interface OAuth1HostRequest extends WireRequest {
  /** The text or bytes of the body, where the application has kept them. */
  readonly rawBody?: unknown
  body?: unknown
  auth?: unknown
}

/** A handler for Express, Connect, and node:http. */
export type OAuth1Handler = (req: OAuth1HostRequest, res: ServerResponse, next?: (error?: unknown) => void) => void

/**
 * The temporary credentials endpoint (RFC 5849 §2.1). Mount it with `app.use`; it answers every request it gets.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export function temporaryCredentialsHandler(options: OAuth1Options): OAuth1Handler {
  const configuration = configureOAuth1(options, 'temporaryCredentialsHandler')
  return function handleTemporaryCredentials(req, res, _next): void {
    void answer(configuration, 'temporary credentials', req, res, (request) => createTemporaryCredentialsResponse(options, request))
  }
}

/** The token credentials endpoint (RFC 5849 §2.3), also called the access token endpoint. Mounting as for {@link temporaryCredentialsHandler}. */
export function tokenCredentialsHandler(options: OAuth1Options): OAuth1Handler {
  const configuration = configureOAuth1(options, 'tokenCredentialsHandler')
  return function handleTokenCredentials(req, res, _next): void {
    void answer(configuration, 'token credentials', req, res, (request) => createAccessTokenResponse(options, request))
  }
}

/** Options of {@link requireOAuth1}. */
export interface OAuth1Requirement {
  /** The realm, or the realms, that the token must have. Default: none. */
  readonly realm?: string | readonly string[]
  /** True: a request that a client has signed for itself, without a token, passes too; `req.auth.subject` is absent then. Default false. */
  readonly twoLegged?: boolean
}

/**
 * Lets a request pass that is signed with live token credentials, and sets `req.auth` (`OAuth1Info`). A form body must have been
 * parsed before it, or be in `req.rawBody`. Anything else is answered 400, 401, 403, 429, or 503 when the
 * store fails.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export function requireOAuth1(options: OAuth1Options, requirement: OAuth1Requirement = {}): OAuth1Handler {
  const configuration = configureOAuth1(options, 'requireOAuth1')
  const demand = readRequirement(configuration, requirement)
  return function guard(req, res, next): void {
    const startedAt = startTime(configuration.emit)
    void check(configuration, req, demand).then(
      (auth) => {
        req.auth = auth
        pass(next)
      },
      (thrown: unknown) =>
        send(res, refuse(configuration, 'oauth1 resource', thrown, { address: refusedAddress(req, configuration), startedAt })),
    )
  }
}

async function check(configuration: OAuth1Configuration, req: OAuth1HostRequest, demand: OAuth1Demand): Promise<OAuth1Info> {
  const head = requestHead(req)
  const request = { ...requestOf(configuration, req, head), body: keptBody(req) ?? (endsWithHead(req) ? '' : undefined) }
  // Asked for the look-up of the client only, and most servers have no such option.
  const context = configuration.context === undefined ? {} : await readContext(configuration, req)
  return checkOAuth1(configuration, { ...request, context }, demand)
}

function readRequirement({ realms: known, warn }: OAuth1Configuration, requirement: OAuth1Requirement): OAuth1Demand {
  if (typeof requirement === 'string')
    throw new ConfigurationError("requireOAuth1: the second argument must be an object, as in { realm: 'notes' }, not a string")
  const members = assertObject(requirement, 'requireOAuth1: the second argument')
  assertKnownKeys(members, ['realm', 'twoLegged'], 'requireOAuth1')
  if ('realm' in members && members.realm === undefined) {
    warn(
      'requireOAuth1: realm is there but undefined, as of a misspelt constant, and demands nothing; name the realm, or leave realm out where any token may pass',
    )
  }
  const reader = new OptionReader(members, 'requireOAuth1: ')
  const realms = typeof members.realm === 'string' ? [members.realm] : (reader.texts('realm') ?? [])
  for (const name of realms) {
    if (known.includes(name)) continue
    throw new ConfigurationError(`requireOAuth1: realm "${name}" is not in the option realms, so no token can have it; add it there`)
  }
  return { realms, twoLegged: reader.boolean('twoLegged', false) }
}

async function answer(
  configuration: OAuth1Configuration,
  endpoint: string,
  req: OAuth1HostRequest,
  res: ServerResponse,
  respond: (request: ProtocolRequest) => Promise<ProtocolResponse>,
): Promise<void> {
  const startedAt = startTime(configuration.emit)
  try {
    const head = requestHead(req)
    const request = requestOf(configuration, req, head)
    const context = await readContext(configuration, req)
    const body = () => keptBody(req) ?? unreadBody(req, res, head.headers, configuration, 'keep its text in req.rawBody')
    send(res, await respond({ ...request, context, startedAt, body }))
  } catch (thrown) {
    send(res, refuse(configuration, endpoint, thrown, { startedAt }))
  }
}

/** The request as plain data, without its body, and who sends it. */
function requestOf(configuration: OAuth1Configuration, req: OAuth1HostRequest, head: WireHead): ProtocolRequest {
  const request = plainRequest(req, head, configuration)
  if (request.secure === false) warnOfInsecureTransport(configuration)
  const address = clientAddress(req, head, configuration)
  warnOfMissingAddress(req, address, configuration)
  return { ...request, address }
}

/** Whether a request of HTTP/2 has ended with its header fields. */
function endsWithHead(req: OAuth1HostRequest): boolean {
  const { stream } = req as { stream?: { endAfterHeaders?: unknown } }
  return req.httpVersionMajor >= 2 && stream?.endAfterHeaders === true
}

/** The body, unless the application has read it: then what it kept or made of it. */
function keptBody(req: OAuth1HostRequest): unknown {
  return req.rawBody ?? parsedBody(req)
}

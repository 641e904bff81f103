/**
 * The authorization endpoint as a handler (RFC 6749 §3.1): for an application that has a login and leaves the rest to this package.
 *
 * 1. Client and redirection URI are checked. When they are wrong a page says so, and nobody is redirected.
 * 2. Everything else is checked. An error goes back to the client, with `state` and `iss`; for a client of strangers it is a page with a link until `authorize`
 *    has named a subject or a person has answered. With `prompt=none` it goes back within a frame, where the address that the person sees does not change.
 * 3. GET: the application's `authorize` is asked. It answers by itself (a login page, a consent page of its own), or names the subject; then the consent page is shown.
 * 4. POST, from that page: the confirmation is checked, `authorize` is asked again, and the code is issued. Without a right confirmation the page is shown again.
 */
import type { ServerResponse } from 'node:http'
import { assertOrder } from '../option-checks/arguments.js'
import { isStranger } from '../clients/client.js'
import { configure, type Configuration } from '../configuration/configure.js'
import { decisionOn, type Decide } from './decide.js'
import {
  describeClient,
  destinationOf,
  readAuthorizationRequest,
  readRedirection,
  type AuthorizationRequest,
  type CheckedRequest,
  type Redirection,
} from '../endpoints/authorization/request.js'
import { authorizationResponse, errorUrl } from '../endpoints/authorization/response.js'
import { reportRefusal } from '../events/refusals.js'
import {
  agreementOf,
  askedAgain,
  browserSecret,
  confirmationOf,
  decidingPage,
  isSameAgreement,
  markAskedAgain,
  ownConfirmationOf,
} from '../endpoints/authorization/confirmation.js'
import {
  consentPage,
  errorPage,
  protectiveHeaders,
  readTexts,
  strangersErrorPage,
  type ConsentTexts,
} from '../endpoints/authorization/consent-page.js'
import { readDecision } from '../endpoints/authorization/decision.js'
import { assertPushedWhereRequired, closePushedRequest, isPushed, openPushedRequest } from '../endpoints/authorization/pushed.js'
import { AccessDenied, ConfigurationError, InvalidRequest, OAuthError } from '../errors.js'
import { startTime } from '../events/events.js'
import { assertVisit, isForeignFrame, isFrame } from '../http/foreign-page.js'
import { readBody, type Handler, type HostRequest } from './host.js'
import { named } from '../known-causes.js'
import { assertKnownKeys, assertObject, kindOf } from '../option-checks/reader.js'
import type { ServerOptions } from '../configuration/options.js'
import { isSecure, readForm, readQuery, type Form, type Parameters, type ProtocolRequest, type ProtocolResponse } from '../http/message.js'
import { silentResponse } from './silent-response.js'
import { clientAddress, plainRequest, readContext, requestHead, send } from './wire.js'
import { withinTime } from '../time-limit.js'

export type { Decide }

/** Options of {@link authorizationHandler}. */
export interface AuthorizationHandlerOptions {
  /** Texts of the consent page, in place of the English ones. */
  readonly texts?: Partial<ConsentTexts>
}

/**
 * The authorization endpoint. Mount it with `app.use` or `app.all`; it answers GET and POST.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export function authorizationHandler(options: ServerOptions, decide: Decide, handlerOptions: AuthorizationHandlerOptions = {}): Handler {
  assertOrder(options, decide, 'authorizationHandler')
  const configuration = configure(options, 'authorizationHandler')
  if (typeof decide !== 'function')
    throw new ConfigurationError(
      `authorizationHandler: the second argument must be authorize, a function (request, req, res) that returns { subject }, not ${kindOf(decide)}`,
    )
  assertKnownKeys(assertObject(handlerOptions, 'authorizationHandler: the third argument'), ['texts'], 'authorizationHandler')
  const texts = readTexts(handlerOptions.texts, 'authorizationHandler: texts')
  configuration.servedEndpoints.add('authorization')
  const endpoint = { options, configuration, decide: named('authorize', decide), texts }
  return function handleAuthorization(req, res, _next): void {
    void handle(endpoint, req, res)
  }
}

interface Endpoint {
  readonly options: ServerOptions
  readonly configuration: Configuration
  readonly decide: Decide
  readonly texts: ConsentTexts
}

async function handle(endpoint: Endpoint, req: HostRequest, res: ServerResponse): Promise<void> {
  const { configuration, texts } = endpoint
  const startedAt = startTime(configuration.emit)
  let address: string | undefined
  try {
    for (const [name, value] of Object.entries(protectiveHeaders)) res.setHeader(name, value)
    const head = requestHead(req)
    address = clientAddress(req, head, configuration)
    const about = {
      address,
      context: await readContext(configuration, req),
    }
    const request = { ...plainRequest(req, head, configuration), ...about, startedAt }
    assertReachable(request, configuration)
    const query = readQuery(request.url)
    const { secret, setCookie } = browserSecret(request)
    // A POST brings its cookie or is none of ours: a forged one must not replace what an open page was made with.
    const isShown = request.method === 'GET'
    if (setCookie !== undefined && isShown) res.appendHeader('Set-Cookie', setCookie)
    const wasAsked = isShown ? askedAgain(request) : undefined
    if (wasAsked !== undefined) res.appendHeader('Set-Cookie', wasAsked)
    if (setCookie !== undefined && !isShown && isPushed(query)) {
      // Opened now it would belong to a browser that never gets the cookie.
      askAgain(configuration, request, undefined, 'a pushed request was answered by a browser without its cookie', res)
      return
    }
    const isFramed = isForeignFrame(request.headers)
    const pushed = await openPushedRequest(configuration, query, { browser: secret, address: about.address, mayStay: !isFramed })
    const form = pushed?.form ?? query
    const { findClient, findClientToAuthorize, privateUseSchemes } = configuration
    // A frame of another site's page causes no fetch of a metadata document: their number would use up what the visitor may cause.
    const findIt = isFramed ? findClient : findClientToAuthorize
    const redirection = await readRedirection({ findClientToAuthorize: findIt, privateUseSchemes }, form, about)
    const request_uri = pushed && query.parameters.request_uri
    const asked = { request, form, secret, request_uri, isAskedAgain: wasAsked !== undefined }
    await handleKnown(endpoint, asked, redirection, req, res)
  } catch (thrown) {
    const error = reportRefusal(configuration, 'authorization', thrown, { address, startedAt })
    sendPage(res, error, errorPage(error.status, error.description, texts))
  }
}

function sendPage(res: ServerResponse, { allow, retryAfter }: OAuthError, { headers, ...page }: ProtocolResponse): void {
  const allowed = allow === undefined ? {} : { Allow: allow }
  const later = retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) }
  send(res, { ...page, headers: { ...headers, ...allowed, ...later } })
}

function assertReachable(request: ProtocolRequest, { allowInsecureTransport }: Configuration): void {
  // RFC 6749 §3.1: the authorization endpoint requires TLS
  if (!isSecure(request) && !allowInsecureTransport) throw new InvalidRequest('the authorization endpoint requires https')
  if (request.method !== 'GET' && request.method !== 'POST') {
    throw new InvalidRequest('the authorization endpoint answers GET and POST', { status: 405, allow: 'GET, POST' })
  }
  assertVisit(request.headers)
}

/** An authorization request, and the browser it came from. */
interface Asked {
  readonly request: ProtocolRequest
  readonly form: Form
  /** The text in the browser's cookie. */
  readonly secret: string
  /** Where the request was pushed. */
  readonly request_uri: string | undefined
  readonly isAskedAgain: boolean
}

/** Whether an error is sent to the client: where the application has registered it, in a silent frame, or where a person is known to be there. */
interface Trust {
  isGiven: boolean
}

/** From here on there is somebody to send an error to. */
async function handleKnown(
  endpoint: Endpoint,
  asked: Asked,
  redirection: Redirection,
  req: HostRequest,
  res: ServerResponse,
): Promise<void> {
  const { configuration, texts } = endpoint
  const { client, redirect_uri, state } = redirection
  // RFC 9700 §4.11.2: the server redirects by itself only where it trusts the redirection URI. Anybody can register one here.
  const trust: Trust = { isGiven: !isStranger(client) || isSilentFrame(asked) }
  try {
    assertPushedWhereRequired(configuration, client, asked.request_uri !== undefined)
    const checked = readAuthorizationRequest(configuration, client, asked.form)
    const shown = describe(asked, redirection, checked)
    if (checked.isSilent) await answerSilently(endpoint, shown, req, res)
    else if (asked.request.method === 'GET') await ask(endpoint, asked, shown, trust, req, res)
    else await conclude(endpoint, asked, shown, trust, req, res)
  } catch (thrown) {
    const error = reportRefusal(configuration, 'authorization', thrown, { ...asked.request, client_id: client.client_id })
    const url = errorUrl(configuration, redirect_uri, state, error)
    if (trust.isGiven) redirect(res, url)
    else {
      const status = error.status >= 500 ? error.status : 400
      sendPage(res, error, strangersErrorPage(status, error.description, { host: destinationOf(redirect_uri), url }, texts))
    }
  }
}

/** RFC 9700 §4.11.2 excepts silent authentication: the client is waiting in a frame, where it is shown no page. A window of its own is no frame. */
function isSilentFrame({ request, form }: Asked): boolean {
  return form.parameters.prompt === 'none' && isFrame(request.headers)
}

function describe(asked: Asked, { client, redirect_uri }: Redirection, { scope, resource }: CheckedRequest): AuthorizationRequest {
  const { request, form, secret, request_uri, isAskedAgain } = asked
  return {
    client_id: client.client_id,
    client: describeClient(client, redirect_uri),
    redirect_uri,
    scope,
    resource,
    request_uri,
    parameters: form.parameters,
    url: pathAndQuery(request.url),
    confirmation: confirmationOf({ form, redirect_uri }, secret),
    isAskedAgain,
  }
}

/** The application may send a browser there after a login, so that it must not lead to another host. */
function pathAndQuery(target: string): string {
  return target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/^[/\\]*/, '/')
}

/**
 * OpenID Connect Core 1.0 §3.1.2.6, `prompt=none`: nothing is shown. Consent is asked each time, so that there is no code without a page.
 *
 * @throws OAuthError always: `login_required`, `consent_required`, `interaction_required`, or what the application throws.
 */
async function answerSilently(
  { configuration, decide }: Endpoint,
  shown: AuthorizationRequest,
  req: HostRequest,
  res: ServerResponse,
): Promise<never> {
  // A stranger is not told whether somebody is logged in, since nobody has agreed to tell.
  if (shown.client.isStranger) throw new OAuthError('interaction_required', 'the resource owner must be asked')
  const late = () =>
    new OAuthError('interaction_required', 'the resource owner must be asked', { reason: 'authorize did not answer in time' })
  const asking = async () =>
    readDecision(await decide(shown, req, silentResponse(req, res)), shown, { warn: configuration.warn, named: () => undefined })
  const decision = await withinTime(configuration.callbackTimeout, asking, late)
  throw decision === undefined
    ? new OAuthError('login_required', 'the resource owner must log in')
    : new OAuthError('consent_required', 'the resource owner must agree')
}

async function ask(
  endpoint: Endpoint,
  { secret }: Asked,
  shown: AuthorizationRequest,
  trust: Trust,
  req: HostRequest,
  res: ServerResponse,
): Promise<void> {
  const decision = await decisionOn(endpoint, shown, req, res, () => {
    trust.isGiven = true
  })
  if (decision === undefined) return
  const { scope } = decision
  const { confirmation } = shown
  const agreement = agreementOf(confirmation, decision, secret)
  send(res, consentPage({ ...shown, scope }, { confirmation: ownConfirmationOf(confirmation, secret), agreement }, endpoint.texts))
}

async function conclude(
  endpoint: Endpoint,
  asked: Asked,
  shown: AuthorizationRequest,
  trust: Trust,
  req: HostRequest,
  res: ServerResponse,
): Promise<void> {
  const { options, configuration } = endpoint
  const { request, form, secret, request_uri } = asked
  const { redirect_uri } = shown
  const answered = await readAnswer(configuration, request, req, res)
  const page = decidingPage(request, { form, redirect_uri }, answered, configuration.issuer)
  if (page === undefined) {
    askAgain(configuration, request, shown.client_id, 'the confirmation is missing, stale, or of another request or browser', res)
    return
  }
  // A person has seen a page of this server and pressed a button on it.
  trust.isGiven = true
  // Only one word agrees.
  if (answered.decision !== 'allow') {
    if (request_uri !== undefined) await closePushedRequest(configuration, request_uri, shown.client_id)
    throw new AccessDenied()
  }
  const decision = await decisionOn(endpoint, shown, req, res, () => undefined)
  if (decision === undefined) return
  // The person who was logged in when the page was shown has agreed to what it said. A page of the application knows both itself.
  const agreement = agreementOf(shown.confirmation, decision, secret)
  if (page === 'of the package' && !isSameAgreement(agreement, answered.agreement)) {
    askAgain(configuration, request, shown.client_id, 'subject or scope is not the one that the consent page was shown for', res)
    return
  }
  redirect(res, await authorizationResponse(options, { asked: shown, ...decision }))
}

/** The fields of the form. A body that is no form answers nothing. */
async function readAnswer(
  configuration: Configuration,
  request: ProtocolRequest,
  req: HostRequest,
  res: ServerResponse,
): Promise<Parameters> {
  try {
    return (await readForm({ ...request, body: () => readBody(req, res, req.headers, configuration) }, configuration)).parameters
  } catch (thrown) {
    if (thrown instanceof InvalidRequest) return {}
    throw thrown
  }
}

/**
 * An answer that was not confirmed is none: the page is shown again. `authorize` is not asked in between, because it may take a POST for an agreement; so the
 * browser is sent to the same address with GET. Another site that has forged the POST gets its visitor to the page, where every link can lead.
 */
function askAgain({ emit }: Configuration, request: ProtocolRequest, client_id: string | undefined, reason: string, res: ServerResponse) {
  emit({ type: 'request.refused', endpoint: 'authorization', status: 303, reason, ...(client_id === undefined ? {} : { client_id }) })
  res.appendHeader('Set-Cookie', markAskedAgain(request))
  // RFC 3986 §5.2.2: a reference that is only a query keeps the path, whatever path a proxy has sent on
  const query = request.url.slice(request.url.indexOf('?'))
  redirect(
    res,
    query.replace(/[^\x21-\x7e]/g, (character) => encodeURIComponent(character)),
  )
}

/** RFC 9700 §4.12: 303 turns a POST into a GET, so that a form is never sent on. */
function redirect(res: ServerResponse, location: string): void {
  send(res, { status: 303, headers: { ...protectiveHeaders, Location: location }, body: '' })
}

/**
 * The authorization endpoint as a handler (RFC 6749 §3.1): for an application that has a login and leaves the rest to this package.
 *
 * 1. Client and redirection URI are checked. When they are wrong a page says so, and nobody is redirected.
 * 2. Everything else is checked. What is wrong goes back to the client, with `state` and `iss`.
 * 3. GET: the application's `decide` is asked. It answers by itself (a login page, a consent page of its own), or names the subject; then the consent page is shown.
 * 4. POST, from that page: the confirmation is checked, `decide` is asked again, and the code is issued.
 */
import type { ServerResponse } from 'node:http'
import { configure, type Configuration } from './configuration.js'
import {
  describeClient,
  readAuthorizationRequest,
  readRedirection,
  type AuthorizationRequest,
  type Redirection,
} from './endpoints/authorization-request.js'
import { authorizationResponse, errorUrl } from './endpoints/authorization-response.js'
import { reportRefusal } from './endpoints/client-request.js'
import { agreementOf, browserSecret, confirmationOf, isConfirmed, isSameAgreement } from './endpoints/confirmation.js'
import { consentPage, englishTexts, errorPage, protectiveHeaders, type ConsentTexts } from './endpoints/consent-page.js'
import { assertPushedWhereRequired, closePushedRequest, openPushedRequest } from './endpoints/pushed-authorization.js'
import { AccessDenied, ConfigurationError, InvalidRequest, ServerError } from './errors.js'
import { readBody, type Handler, type HostRequest } from './host.js'
import { assertKnownKeys, assertObject, OptionReader } from './option-checks.js'
import type { ServerOptions } from './options.js'
import { isSecure, readForm, readQuery, type Form, type ProtocolRequest } from './protocol.js'
import { isWithinScope, readScopeList, type Scope } from './scope.js'
import { assertSubject } from './subject.js'
import { plainRequest, requestHead, send } from './wire.js'

/** Who agreed, and to what. */
export interface AuthorizationDecision {
  readonly subject: string
  /** Default: all that was asked for. */
  readonly scope?: string | Scope
  /** Found again in hooks and in `req.auth.extra`; plain JSON. `auth_time`, `acr` and `amr` become claims of signed tokens. */
  readonly extra?: Parameters<typeof authorizationResponse>[1]['extra']
}

/**
 * The application's part. Answers by itself (redirects to a login, shows a page) and returns undefined; or returns who is logged in; or throws `AccessDenied`.
 * Asked on GET, before the consent page, and again on POST, when the person has agreed. Request and response are what the framework has.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- their types are the application's to name
export type Decide<Req = any, Res = any> = (
  request: AuthorizationRequest,
  req: Req,
  res: Res,
) => AuthorizationDecision | undefined | Promise<AuthorizationDecision | undefined>

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
  const configuration = configure(options)
  if (typeof decide !== 'function') throw new ConfigurationError('authorizationHandler: decide must be a function (request, req, res)')
  const texts = readTexts(handlerOptions)
  configuration.servedEndpoints.add('authorization')
  return function handleAuthorization(req, res, _next): void {
    void handle({ options, configuration, decide, texts }, req, res)
  }
}

function readTexts(handlerOptions: AuthorizationHandlerOptions): ConsentTexts {
  assertKnownKeys(assertObject(handlerOptions, 'authorizationHandler: the third argument'), ['texts'], 'authorizationHandler')
  const texts = assertObject(handlerOptions.texts ?? {}, 'authorizationHandler: texts')
  assertKnownKeys(texts, Object.keys(englishTexts), 'authorizationHandler: texts')
  const reader = new OptionReader(texts, 'authorizationHandler: texts.')
  const translated = Object.entries(englishTexts).map(([name, text]) => [name, reader.text(name) ?? text] as const)
  return { ...englishTexts, ...Object.fromEntries(translated) }
}

interface Endpoint {
  readonly options: ServerOptions
  readonly configuration: Configuration
  readonly decide: Decide
  readonly texts: ConsentTexts
}

async function handle(endpoint: Endpoint, req: HostRequest, res: ServerResponse): Promise<void> {
  const { configuration, texts } = endpoint
  try {
    for (const [name, value] of Object.entries(protectiveHeaders)) res.setHeader(name, value)
    const request = plainRequest(req, requestHead(req), configuration)
    assertReachable(request, configuration)
    const query = readQuery(request.url)
    const { secret, setCookie } = browserSecret(request)
    // A POST brings its cookie or is none of ours: a forged one must not replace what an open page was made with.
    if (setCookie !== undefined && request.method === 'GET') res.appendHeader('Set-Cookie', setCookie)
    const pushed = await openPushedRequest(configuration, query, secret)
    const form = pushed?.form ?? query
    const redirection = await readRedirection(configuration, form)
    await handleKnown(endpoint, { request, form, secret, request_uri: pushed && query.parameters.request_uri }, redirection, req, res)
  } catch (thrown) {
    const error = reportRefusal(configuration, 'authorization', thrown)
    const { headers, ...page } = errorPage(error.status, error.description, texts)
    const allow = error.allow === undefined ? {} : { Allow: error.allow }
    const retryAfter = error.retryAfter === undefined ? {} : { 'Retry-After': String(error.retryAfter) }
    send(res, { ...page, headers: { ...headers, ...allow, ...retryAfter } })
  }
}

function assertReachable(request: ProtocolRequest, { allowInsecureTransport }: Configuration): void {
  // RFC 6749 §3.1: the authorization endpoint requires TLS
  if (!isSecure(request) && !allowInsecureTransport) throw new InvalidRequest('the authorization endpoint requires https')
  if (request.method === 'GET' || request.method === 'POST') return
  throw new InvalidRequest('the authorization endpoint answers GET and POST', { status: 405, allow: 'GET, POST' })
}

/** An authorization request, and the browser it came from. */
interface Asked {
  readonly request: ProtocolRequest
  readonly form: Form
  /** The text in the browser's cookie. */
  readonly secret: string
  /** Where the request was pushed. */
  readonly request_uri: string | undefined
}

/** From here on there is somebody to send an error to. */
async function handleKnown(
  endpoint: Endpoint,
  asked: Asked,
  redirection: Redirection,
  req: HostRequest,
  res: ServerResponse,
): Promise<void> {
  const { configuration } = endpoint
  const { request, form, secret, request_uri } = asked
  const { client, redirect_uri, state } = redirection
  try {
    assertPushedWhereRequired(configuration, client, request_uri !== undefined)
    const checked = readAuthorizationRequest(configuration, client, form)
    const shown: AuthorizationRequest = {
      client_id: client.client_id,
      client: describeClient(client, redirect_uri),
      redirect_uri,
      scope: checked.scope,
      resource: checked.resource,
      parameters: form.parameters,
      url: pathAndQuery(request.url),
      confirmation: confirmationOf(form, secret),
    }
    if (request.method === 'GET') await ask(endpoint, secret, shown, req, res)
    else await conclude(endpoint, asked, shown, req, res)
  } catch (thrown) {
    redirect(res, errorUrl(configuration, redirect_uri, state, reportRefusal(configuration, 'authorization', thrown, client.client_id)))
  }
}

/** The application may send a browser there after a login, so that it must not lead to another host. */
function pathAndQuery(target: string): string {
  return target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/^[/\\]*/, '/')
}

async function ask({ decide, texts }: Endpoint, secret: string, shown: AuthorizationRequest, req: HostRequest, res: ServerResponse) {
  const decision = await decide(shown, req, res)
  if (decision === undefined) return
  assertSubject(decision.subject, 'authorizationHandler: ')
  const scope = agreedScope(decision, shown)
  send(res, consentPage({ ...shown, scope }, agreementOf(shown.confirmation, { subject: decision.subject, scope }, secret), texts))
}

async function conclude(
  { options, configuration, decide }: Endpoint,
  { request, form, secret, request_uri }: Asked,
  shown: AuthorizationRequest,
  req: HostRequest,
  res: ServerResponse,
): Promise<void> {
  const { parameters: answered } = await readForm({ ...request, body: () => readBody(req, res, req.headers, configuration) }, configuration)
  if (!isConfirmed(request, form, answered.confirmation)) {
    throw new AccessDenied('the decision was not confirmed', {
      reason: 'the confirmation is missing, stale, or of another request or browser',
    })
  }
  const isDenied = answered.decision === 'deny'
  const decision = isDenied ? undefined : await decide(shown, req, res)
  if (decision === undefined && !isDenied) return
  if (decision !== undefined) assertStillAgreed(decision, shown, secret, answered.agreement)
  if (request_uri !== undefined) await closePushedRequest(configuration, request_uri)
  if (decision === undefined) throw new AccessDenied()
  const { redirect_uri, code_challenge, code_challenge_method, state } = form.parameters
  const scope = agreedScope(decision, shown)
  const url = await authorizationResponse(options, {
    client_id: shown.client_id,
    redirect_uri,
    subject: decision.subject,
    scope,
    resource: form.resource,
    code_challenge,
    code_challenge_method,
    state,
    extra: decision.extra,
  })
  redirect(res, url)
}

/** Whoever was logged in when the page was shown has agreed, to what the page said, and nobody else. */
function assertStillAgreed(decision: AuthorizationDecision, shown: AuthorizationRequest, secret: string, agreement: string | undefined) {
  const agreed = { subject: decision.subject, scope: agreedScope(decision, shown) }
  if (isSameAgreement(agreementOf(shown.confirmation, agreed, secret), agreement)) return
  throw new AccessDenied('the decision was not confirmed', { reason: 'subject or scope is not what the consent page was shown for' })
}

/** The person may agree to less than was asked for, never to more. */
function agreedScope({ scope }: AuthorizationDecision, shown: AuthorizationRequest): Scope {
  if (scope === undefined) return shown.scope
  const agreed = readScopeList(scope)
  if (agreed !== undefined && isWithinScope(agreed, shown.scope)) return agreed
  throw new ServerError(undefined, { reason: 'decide returned something else than a part of the scope that was asked for' })
}

/** RFC 9700 §4.12: 303 turns a POST into a GET, so that a form is never sent on. */
function redirect(res: ServerResponse, location: string): void {
  send(res, { status: 303, headers: { ...protectiveHeaders, Location: location }, body: '' })
}

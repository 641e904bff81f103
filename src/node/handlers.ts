/**
 * The handlers for Express, Connect and bare node:http: each asks one endpoint. With `host.ts` and `authorization-handler.ts` the shell, which alone
 * knows `req`, `res` and `next`.
 */
import { assertOrder } from '../option-checks/arguments.js'
import { whenThere, type Awaitable } from '../awaitable.js'
import { configure, expectRegistration, type Configuration } from '../configuration/configure.js'
import type { ServerResponse } from 'node:http'
import { anyPage, askedMethod, corsAnswer, isPreflight, preflightAnswer } from '../http/cors.js'
import { readRequirement, type AccessTokenDemand, type AccessTokenRequirement } from '../endpoints/resource/requirement.js'
import { reportRefusal } from '../events/refusals.js'
import { introspectionResponse } from '../endpoints/introspection.js'
import { createJwksResponse, type CacheOptions } from '../endpoints/jwks.js'
import { createMetadataResponse, endpointUrl, type MetadataOptions } from '../endpoints/metadata.js'
import { createProtectedResourceResponse, type ProtectedResourceOptions } from '../endpoints/resource/metadata.js'
import { checkAccessToken, type AccessTokenCheck, type AuthInfo } from '../endpoints/resource/check.js'
import { createPushedAuthorizationResponse } from '../endpoints/authorization/pushed.js'
import { createRegistrationResponse, readRegistrationRules, type RegistrationOptions } from '../endpoints/registration.js'
import { revocationResponse } from '../endpoints/revocation.js'
import { tokenResponse } from '../endpoints/token/endpoint.js'
import { ConfigurationError, ServerError } from '../errors.js'
import { watchGuard, watchHost } from './mounting.js'
import { pathOf } from './request-path.js'
import { answer, plainRequestWithBody, type Guard, type Handler, type HostRequest } from './host.js'
import type { ServerOptions } from '../configuration/options.js'
import { renderError, type ProtocolRequest } from '../http/message.js'
import { addCors, noContent, pass, refusedAddress, requestHead, send, type WireHead } from './wire.js'

/**
 * The token endpoint (RFC 6749 §3.2). Mount it with `app.post` or `app.use`; it answers every request it gets, and never calls `next`.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export function tokenHandler(options: ServerOptions): Handler {
  const configuration = configure(options, 'tokenHandler')
  configuration.servedEndpoints.add('token')
  return function handleToken(req, res, _next): void {
    void answer(configuration, 'token', req, res, (request) => tokenResponse(configuration, request))
  }
}

/** The revocation endpoint (RFC 7009). Options and mounting as for {@link tokenHandler}. */
export function revocationHandler(options: ServerOptions): Handler {
  const configuration = configure(options, 'revocationHandler')
  configuration.servedEndpoints.add('revocation')
  return function handleRevocation(req, res, _next): void {
    warnIfAlone(configuration, 'revocationHandler')
    void answer(configuration, 'revocation', req, res, (request) => revocationResponse(configuration, request))
  }
}

/** The introspection endpoint (RFC 7662). Options and mounting as for {@link tokenHandler}. */
export function introspectionHandler(options: ServerOptions): Handler {
  const configuration = configure(options, 'introspectionHandler')
  configuration.servedEndpoints.add('introspection')
  return function handleIntrospection(req, res, _next): void {
    warnIfAlone(configuration, 'introspectionHandler')
    void answer(configuration, 'introspection', req, res, (request) => introspectionResponse(configuration, request))
  }
}

/**
 * Lets a request pass that carries an active access token with the scope, and sets `req.auth` ({@link AuthInfo}). Anything else is answered 401 or
 * 403 with a challenge (RFC 6750 §3), or 503 when the store fails. A preflight carries no token and is answered here, with what the option `cors` allows.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export function requireAccessToken(options: ServerOptions, requirement: AccessTokenRequirement = {}): Guard {
  assertOrder(options, requirement, 'requireAccessToken')
  const configuration = configure(options, 'requireAccessToken')
  const demand = readRequirement(configuration, requirement)
  const watch = watchGuard(configuration, pathOf(endpointUrl(configuration, 'token')))
  return function guard(req, res, next): void {
    warnIfAlone(configuration, 'requireAccessToken')
    const head = requestHead(req)
    if (isPreflight(head) && answersPreflight(configuration, demand)) {
      sendPreflight(configuration, head, res)
      return
    }
    void whenThere(check(configuration, req, head, demand), (checked) => {
      const { cors } = configuration
      if (cors !== undefined) {
        const allowed = corsAnswer(head, cors, cors.guard)
        if (head.headers.origin !== undefined && 'Access-Control-Allow-Origin' in allowed.single) watch.asked(req)
        addCors(res, allowed)
      }
      if (checked.outcome === 'absent') watch.refused(req)
      if (checked.outcome === 'accepted') req.auth = checked.auth
      // Nothing passes but a valid token, or no token where that is allowed.
      if (checked.outcome === 'accepted' || (demand.isOptional && checked.outcome === 'absent')) pass(next)
      else send(res, checked.response)
    })
  }
}

/** Without the option `cors`, a guard that lets requests without a token pass lets a preflight pass as one of those. */
function answersPreflight({ cors }: Configuration, { isOptional }: AccessTokenDemand): boolean {
  return cors !== undefined || !isOptional
}

/** Never 401, which a browser would not show to the page; without the option `cors` it allows nothing. */
function sendPreflight({ cors }: Configuration, head: WireHead, res: ServerResponse): void {
  if (cors !== undefined) addCors(res, preflightAnswer(head, cors, cors.guard, askedMethod(head)))
  send(res, noContent)
}

/** Pushed authorization requests (RFC 9126). Options and mounting as for {@link tokenHandler}. */
export function pushedAuthorizationHandler(options: ServerOptions): Handler {
  const configuration = configure(options, 'pushedAuthorizationHandler')
  configuration.servedEndpoints.add('pushedAuthorization')
  return function handlePushedAuthorization(req, res, _next): void {
    void answer(configuration, 'pushed authorization', req, res, (request) => createPushedAuthorizationResponse(options, request))
  }
}

/**
 * Dynamic client registration (RFC 7591). What registers is found in the store, beside whatever the option `clients` is.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export function registrationHandler(options: ServerOptions, registration: RegistrationOptions = {}): Handler {
  expectRegistration(options)
  const configuration = configure(options, 'registrationHandler')
  const rules = readRegistrationRules(configuration, registration)
  configuration.servedEndpoints.add('registration')
  return function handleRegistration(req, res, _next): void {
    void answer(configuration, 'registration', req, res, (request) => createRegistrationResponse(options, request, rules))
  }
}

/** The public keys (RFC 7517), for resource servers that verify tokens themselves. Mount it with `app.get` or `app.use`. */
export function jwksHandler(options: ServerOptions, cache: CacheOptions = {}): Handler {
  const configuration = configure(options, 'jwksHandler')
  createJwksResponse(options, aGet, cache)
  configuration.servedEndpoints.add('jwks')
  return function handleJwks(req, res, _next): void {
    void answer(configuration, 'jwks', req, res, (request) => createJwksResponse(options, request, cache), 'GET')
  }
}

/** Authorization server metadata (RFC 8414). Mount it at `/.well-known/oauth-authorization-server`. */
export function metadataHandler(options: ServerOptions, about: MetadataOptions = {}): Handler {
  const configuration = configure(options, 'metadataHandler')
  createMetadataResponse(options, aGet, about)
  const noteHost = watchHost(configuration)
  return function handleMetadata(req, res, _next): void {
    noteHost(req)
    void answer(configuration, 'metadata', req, res, (request) => createMetadataResponse(options, request, about), 'GET')
  }
}

/** Protected resource metadata (RFC 9728). Mount it at `resourceMetadataUrl`: the well-known path goes between host and path of the resource. */
export function protectedResourceHandler(options: ServerOptions, about: ProtectedResourceOptions = {}): Handler {
  const configuration = configure(options, 'protectedResourceHandler')
  createProtectedResourceResponse(options, aGet, about)
  // Anybody may read it, browsers that ask beforehand too.
  const toAnybody = { ...configuration, cors: anyPage }
  return function handleProtectedResource(req, res, _next): void {
    void answer(toAnybody, 'metadata', req, res, (request) => createProtectedResourceResponse(options, request, about), 'GET')
  }
}

/** Asked once when a handler is made, so that what cannot be answered stops the start. */
const aGet: ProtocolRequest = { method: 'GET', url: '/', headers: {} }

function check(configuration: Configuration, req: HostRequest, head: WireHead, demand: AccessTokenDemand): Awaitable<AccessTokenCheck> {
  const addressOf = () => refusedAddress(req, configuration)
  try {
    return checkAccessToken(configuration, plainRequestWithBody(req, head, configuration), demand, demand.scopeFor(req), addressOf)
  } catch (thrown) {
    // A mistake of the application that shows with a request: told without what the request had to do with it.
    const rule = thrown instanceof ConfigurationError ? thrown.rule : undefined
    const error = rule === undefined ? thrown : new ServerError(undefined, { reason: rule, cause: thrown })
    const refused = reportRefusal(configuration, 'resource', error, { address: addressOf() })
    return { outcome: 'refused', response: renderError(refused, configuration.errorUri) }
  }
}

/** A default store that no token handler shares never holds a token: the options object was copied where it should be shared. */
function warnIfAlone(configuration: Configuration, name: string): void {
  if (!configuration.usesDefaultStore || configuration.servedEndpoints.has('token')) return
  configuration.warn(
    `${name} has a memory store of its own that no tokenHandler shares; give both the same options object, or set the option store`,
  )
}

export type { AccessTokenRequirement, AuthInfo, CacheOptions, MetadataOptions, ProtectedResourceOptions, RegistrationOptions }

/**
 * What a protected resource demands of an access token: read and checked once, when the guard is made.
 */
import { readSecondArgument } from '../../option-checks/arguments.js'
import { leaveAlone } from '../../awaitable.js'
import type { Configuration } from '../../configuration/configure.js'
import { ConfigurationError, ServerError } from '../../errors.js'
import { kindOf, OptionReader } from '../../option-checks/reader.js'
import { comparableResource } from '../../authorization/resources.js'
import { readScopeList, type Scope } from '../../authorization/scope.js'
import { resourceMetadataUrl } from './metadata.js'

/** Options of `requireAccessToken`. */
export interface AccessTokenRequirement {
  /** The scope that is needed, as a list or separated by spaces, or a function of the request; all of it. Default: none. A function says `[]` for none. */
  // The request is whatever the framework has: its type is the application's to name.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly scope?: string | readonly string[] | ((request: any) => string | readonly string[])
  /** The resource that this is, one of the server's `resources`: a token must be bound to it, and challenges name its metadata (RFC 9728). */
  readonly resource?: string
  /** True: a request without a token passes, without `req.auth`. A bad token is refused all the same. Default false. */
  readonly optional?: boolean
  /** True: `access_token` in a form body that the application has parsed is accepted (RFC 6750 §2.2). Default false. */
  readonly allowBodyToken?: boolean
  /** Whom the token must be meant for (`aud`). Default: the issuer, the format's audience, or any of the `resources`; or nobody in particular. */
  readonly audience?: string
  /** True: a token that carries everything itself is looked up in the store too, and refused once it was revoked. Default false. */
  readonly checkRevocation?: boolean
  /**
   * True: the client of the token is looked up each time, side by side with the token where its client is known by then: one `get` more. The token is refused
   * where the client is disabled, gone, or has a `notBefore` that is not before the token's Authorization; 503 where the look-up fails. Default false: the
   * client is looked at where it is at hand, in the list of the option `clients`, in a memory store, and once in `clientCacheLifetime`.
   */
  readonly checkClient?: boolean
  /** Scheme, host and port under which clients know this resource, for MAC tokens. Default: those of the issuer. */
  readonly origin?: string
}

/** The same, read. */
export interface AccessTokenDemand {
  /** All of these, or 403. Throws when the application's function says nothing, and when it names a scope that the server does not have. */
  readonly scopeFor: (request: unknown) => Scope
  /** Where the metadata of the resource are, for challenges. */
  readonly resourceMetadata: string | undefined
  readonly isOptional: boolean
  readonly allowBodyToken: boolean
  /** Whom the token must be meant for: one of these. Empty: anybody. */
  readonly audiences: readonly string[]
  /** Whether a token that is not bound to any audience passes. */
  readonly acceptsUnbound: boolean
  readonly checkRevocation: boolean
  readonly checkClient: boolean
  readonly origin: URL | undefined
}

const memberNames: readonly string[] = [
  'scope', 'resource', 'optional', 'allowBodyToken', 'audience', 'checkRevocation', 'checkClient', 'origin',
] satisfies (keyof AccessTokenRequirement)[] // prettier-ignore

/** @throws ConfigurationError when the requirement is wrong, or could never be met. */
export function readRequirement(configuration: Configuration, requirement: AccessTokenRequirement): AccessTokenDemand {
  if (typeof requirement === 'string' || Array.isArray(requirement))
    throw new ConfigurationError(
      `requireAccessToken: the second argument must be an object, as in { scope: 'read' }, not ${kindOf(requirement)}`,
    )
  const members = readSecondArgument(requirement, memberNames, 'requireAccessToken')
  for (const [name, remedy] of weakerWhenAbsent)
    if (name in members && members[name] === undefined) warnOfUndefined(configuration, name, remedy)
  const reader = new OptionReader(members, 'requireAccessToken: ')
  const resource = readResource(configuration, reader.text('resource'))
  const audience = reader.text('audience')
  if (resource !== undefined && audience !== undefined)
    throw new ConfigurationError('requireAccessToken: resource is the audience; remove one of the two')
  const named = resource ?? audience
  const allowBodyToken = reader.boolean('allowBodyToken', false)
  // RFC 9728 §2: bearer_methods_supported says what the guards of a resource accept
  if (allowBodyToken) configuration.bodyTokenResources.add(resource ?? '')
  return {
    scopeFor: readScopeFor(configuration, members.scope),
    resourceMetadata: resource === undefined ? undefined : resourceMetadataUrl(resource),
    isOptional: reader.boolean('optional', false),
    allowBodyToken,
    audiences: named === undefined ? ownAudiences(configuration) : [named],
    acceptsUnbound: named === undefined,
    checkRevocation: reader.boolean('checkRevocation', false),
    checkClient: reader.boolean('checkClient', false),
    origin: readOrigin(configuration, reader.text('origin') ?? (resource === undefined ? undefined : new URL(resource).origin)),
  }
}

/** The members without which more tokens pass, and what to do where that is meant. */
const weakerWhenAbsent = [
  ['scope', 'name the scope that is needed, or leave scope out where any token may pass'],
  ['resource', 'name the resource, or leave resource out where a token for any of them may pass'],
  ['audience', 'name the audience, or leave audience out where a token for any audience of this server may pass'],
  ['checkRevocation', 'set it to true, or leave checkRevocation out where a token that was revoked may pass until it expires'],
] as const satisfies readonly (readonly [keyof AccessTokenRequirement, string])[]

/** A misspelt constant is undefined, and opens the route. */
function warnOfUndefined({ warn }: Configuration, name: string, remedy: string): void {
  warn(`requireAccessToken: ${name} is there but undefined, as of a misspelt constant, and demands nothing; ${remedy}`)
}

function readScopeFor(configuration: Configuration, scope: unknown): (request: unknown) => Scope {
  if (typeof scope === 'function') {
    const ask = scope as (request: unknown) => unknown
    return (request) => readScope(configuration, answered(configuration, ask(request)))
  }
  const fixed = readScope(configuration, scope)
  return () => fixed
}

/** A function that says nothing, as of a method that nobody thought of, has not said that no scope is needed. */
function answered({ warn }: Configuration, scope: unknown): unknown {
  leaveAlone(scope)
  if (scope !== undefined) return scope
  warn('requireAccessToken: the function scope returned undefined, and the request was refused; let it return [] where no scope is needed')
  throw new ServerError(undefined, { reason: 'the function scope of requireAccessToken returned undefined' })
}

function readResource({ resources }: Configuration, text: string | undefined): string | undefined {
  if (text === undefined) return resources.size === 1 ? [...resources.values()][0] : undefined
  const known = resources.get(comparableResource(text) ?? '')
  if (known !== undefined) return known
  throw new ConfigurationError(
    `requireAccessToken: resource "${text}" is not among the server's resources, so no token is meant for it; add it to the option resources`,
  )
}

function readScope({ scopes }: Configuration, scope: unknown = []): Scope {
  const tokens = readScopeList(scope)
  if (tokens === undefined)
    throw new ConfigurationError('requireAccessToken: scope must be scope tokens, as an array or separated by spaces')
  for (const token of tokens) {
    if (scopes.includes(token)) continue
    throw new ConfigurationError(
      `requireAccessToken: scope "${token}" is not among the server's scopes, so no token can have it; add it to the option scopes`,
      'requireAccessToken: scope must be among the option scopes; add it there',
    )
  }
  return tokens
}

/** RFC 9068 §4: a token is accepted by those whom it is meant for. */
function ownAudiences({ accessTokenFormat, issuer, resources }: Configuration): readonly string[] {
  const own = accessTokenFormat.audience ?? issuer
  return own === undefined ? [...resources.values()] : [...(typeof own === 'string' ? [own] : own), ...resources.values()]
}

function readOrigin({ issuer, tokenType }: Configuration, origin: string | undefined): URL | undefined {
  if (origin !== undefined && !(URL.canParse(origin) && new URL(origin).origin === origin)) {
    throw new ConfigurationError("requireAccessToken: origin must be a scheme, host and port such as 'https://api.example.com'")
  }
  const place = origin ?? issuer
  if (place !== undefined) return new URL(place)
  if (tokenType.bind === undefined) return undefined
  throw new ConfigurationError('requireAccessToken: MAC tokens sign host and port; set the option origin here, or issuer in the options')
}

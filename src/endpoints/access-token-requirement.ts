/**
 * What a protected resource demands of an access token: read and checked once, when the guard is made.
 */
import type { Configuration } from '../configuration.js'
import { ConfigurationError } from '../errors.js'
import { assertKnownKeys, assertObject, OptionReader } from '../option-checks.js'
import { readScopeList, type Scope } from '../scope.js'

/** Options of `requireAccessToken`. */
export interface AccessTokenRequirement {
  /** The scope that is needed, as a list or separated by spaces; all of it. Default: none. */
  readonly scope?: string | readonly string[]
  /** True: a request without a token passes, without `req.auth`. A bad token is refused all the same. Default false. */
  readonly optional?: boolean
  /** True: `access_token` in a form body that the application has parsed is accepted (RFC 6750 §2.2). Default false. */
  readonly allowBodyToken?: boolean
  /** Whom the token must be meant for (`aud`). Default: for tokens that carry everything themselves, the format's audience, else the issuer; for others anybody. */
  readonly audience?: string
  /** True: a token that carries everything itself is looked up in the store too, and refused once it was revoked. Default false. */
  readonly checkRevocation?: boolean
  /** Scheme, host and port under which clients know this resource, for MAC tokens. Default: those of the issuer. */
  readonly origin?: string
}

/** The same, read. */
export interface AccessTokenDemand {
  /** All of these, or 403. */
  readonly scope: Scope
  readonly isOptional: boolean
  readonly allowBodyToken: boolean
  /** Undefined: anybody. */
  readonly audience: string | undefined
  readonly checkRevocation: boolean
  readonly origin: URL | undefined
}

const memberNames: readonly string[] = [
  'scope', 'optional', 'allowBodyToken', 'audience', 'checkRevocation', 'origin',
] satisfies (keyof AccessTokenRequirement)[] // prettier-ignore

/** @throws ConfigurationError when the requirement is wrong, or could never be met. */
export function readRequirement(configuration: Configuration, requirement: AccessTokenRequirement): AccessTokenDemand {
  const members = assertObject(requirement, 'requireAccessToken: the second argument')
  assertKnownKeys(members, memberNames, 'requireAccessToken')
  const reader = new OptionReader(members, 'requireAccessToken: ')
  return {
    scope: readScope(configuration, members.scope),
    isOptional: reader.boolean('optional', false),
    allowBodyToken: reader.boolean('allowBodyToken', false),
    audience: reader.text('audience') ?? usualAudience(configuration),
    checkRevocation: reader.boolean('checkRevocation', false),
    origin: readOrigin(configuration, reader.text('origin')),
  }
}

function readScope({ scopes }: Configuration, scope: unknown = []): Scope {
  const tokens = readScopeList(scope)
  if (tokens === undefined)
    throw new ConfigurationError('requireAccessToken: scope must be scope tokens, as an array or separated by spaces')
  for (const token of tokens) {
    if (scopes.includes(token)) continue
    throw new ConfigurationError(
      `requireAccessToken: scope "${token}" is not among the server's scopes, so no token can have it; add it to the option scopes`,
    )
  }
  return tokens
}

/** RFC 9068 §4: a self-contained token is accepted by those whom it is meant for. */
function usualAudience({ accessTokenFormat, issuer }: Configuration): string | undefined {
  return accessTokenFormat.kind === 'self-contained' ? (accessTokenFormat.audience ?? issuer) : undefined
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

/**
 * The arguments of the functions that people call first: what was handed over where the options belong, or where the second argument belongs, and the remedy.
 */
import { ConfigurationError } from '../errors.js'
import { assertKnownKeys, assertObject, kindOf, type Unchecked } from './reader.js'
import { valueAdvice } from './value-advice.js'

/** Options by which their object is known, whatever else it holds. */
const tellingOptions = ['clients', 'issuer', 'grants', 'store', 'accessTokens', 'secrets']

/** Members of a request or a filter, which is never an object of options. */
const tellingMembers = ['client_id', 'subject', 'oauth_token', 'asked', 'method', 'headers']

/**
 * The object of options that `caller` was given.
 *
 * @throws ConfigurationError when it is missing, or something else.
 */
export function assertOptions(value: unknown, caller: string | undefined): Unchecked {
  const name = caller ?? 'the options'
  if (value === undefined || value === null)
    throw new ConfigurationError(`${name}: the options object is missing; use one for all handlers, as in ${call(caller)}`)
  if (isRequest(value)) {
    throw new ConfigurationError(
      `${name} was given a request in the place of the options: it was mounted without being called; write app.use(path, ${call(caller)})`,
    )
  }
  if (isApplication(value))
    throw new ConfigurationError(
      `${name} was given the application in the place of the options; hand over the options, and mount what it makes: app.use(${call(caller)})`,
    )
  if (typeof value !== 'object' || Array.isArray(value))
    throw new ConfigurationError(
      `${caller === undefined ? '' : `${caller}: `}the options must be an object, as in ${call(caller)}, not ${kindOf(value)}${valueAdvice(value)}`,
    )
  const members = value as Unchecked
  const wrong = tellingMembers.find((member) => member in members)
  if (wrong !== undefined)
    throw new ConfigurationError(`${name} has "${wrong}" in its first argument, which must be the options; write ${call(caller)}`)
  return members
}

function call(caller = 'tokenHandler'): string {
  return caller.startsWith('OAuth 1') ? 'requireOAuth1(oauth1)' : `${caller}(${withSecond.has(caller) ? 'oauth, { … }' : 'oauth'})`
}

/** Those of which the second argument is what they are called for. */
const withSecond = new Set([
  'authorizationServer', 'authorizationResponse', 'issueAuthorizationCode', 'issueTokens', 'listAuthorizations', 'revokeAuthorizations', 'saveClient', 'registerClient',
]) // prettier-ignore

/** @throws ConfigurationError where the options stand in the second place, and something else in the first. */
export function assertOrder(first: unknown, second: unknown, caller: string): void {
  const hasOption = (value: unknown) => typeof value === 'object' && value !== null && tellingOptions.some((name) => name in value)
  if (hasOption(second) && !hasOption(first))
    throw new ConfigurationError(`${caller}: the arguments are swapped; the options come first, as in ${caller}(oauth, { … })`)
}

/**
 * The second argument of `caller`: an object with some of the members that are known.
 *
 * @throws ConfigurationError for another one; where it has an option in it, with the order of the arguments.
 */
export function readSecondArgument(value: unknown, known: readonly string[], caller: string): Unchecked {
  const members = assertObject(value, `${caller}: the second argument`)
  const option = tellingOptions.find((name) => name in members && !known.includes(name))
  if (option !== undefined)
    throw new ConfigurationError(
      `${caller} has the option "${option}" in its second argument; the options come first, as in ${caller}(oauth, { ${known.slice(0, 2).join(', ')} })`,
    )
  assertKnownKeys(members, known, caller)
  return members
}

function isRequest(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'headers' in value && 'socket' in value
}

/** Express and Connect applications are functions with `use`; a server of node:http is not mounted on. */
function isApplication(value: unknown): boolean {
  return (typeof value === 'function' || typeof value === 'object') && value !== null && 'use' in value && typeof value.use === 'function'
}

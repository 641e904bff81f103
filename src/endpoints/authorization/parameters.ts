/**
 * The parameters of an authorization request that this server or the application may go by, and how long each may be.
 *
 * What is pushed is kept for minutes, so that only these are kept, and nothing without a bound.
 *
 * @see RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 9449 §10, OpenID Connect Core §3.1.2.1, §5.2, §5.5
 */
import { InvalidRequest } from '../../errors.js'
import type { Parameters } from '../../http/message.js'

const short = 512
const long = 4096

const longest: ReadonlyMap<string, number> = new Map([
  ['client_id', short],
  ['response_type', short],
  ['response_mode', short],
  ['redirect_uri', 2048],
  ['scope', 2048],
  ['state', long],
  ['code_challenge', short],
  ['code_challenge_method', short],
  ['dpop_jkt', short],
  ['nonce', short],
  ['prompt', short],
  ['display', short],
  ['max_age', short],
  ['ui_locales', short],
  ['claims_locales', short],
  ['login_hint', short],
  ['acr_values', 2048],
  ['claims', long],
  ['id_token_hint', long],
])

/**
 * The parameters that are known, without the others.
 *
 * @throws InvalidRequest when one of them is too long.
 */
export function knownParameters(parameters: Parameters): Readonly<Record<string, string>> {
  const known: [string, string][] = []
  for (const [name, most] of longest) {
    const value = parameters[name]
    if (value === undefined) continue
    if (value.length > most) throw new InvalidRequest(`${name} is too long`)
    known.push([name, value])
  }
  return Object.fromEntries(known)
}

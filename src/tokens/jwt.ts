/**
 * Signed access tokens: the JWT profile of RFC 9068. Anybody with the public keys can read one, and nobody else can make one.
 *
 * 1. `writeClaims`: the claims of RFC 9068 §2.2, with the application's own.
 * 2. `jwsSigner`: header (`typ: at+jwt`, `alg`, `kid`) and claims, signed with the active key.
 * 3. Reading: `verifyJws` with the key that `kid` names and the one algorithm it is bound to; then the type, then the claims.
 *
 * Such a token lives until it expires, unless the resource server asks the store (`checkRevocation`).
 */
import { whenThere } from '../awaitable.js'
import { assertKnownKeys, assertObject } from '../option-checks/reader.js'
import { ConfigurationError } from '../errors.js'
import { jwsSigner, verifyJws } from '../jose/jws.js'
import { KnownSignatures } from '../jose/verified-tokens.js'
import { readSigningKeys, type KeyInput, type SigningAlgorithm, type SigningKeyOptions } from '../jose/signing-keys.js'
import type { AccessTokenFormat, FormatServer, TokenClaims } from './access-token.js'
import { assertHasIssuer, readClaims, readClaimsOptions, usualAudience, writeClaims, type ClaimsOptions } from './claims.js'

/** Options of {@link jwt}. One of `key` and `keys`. */
export interface JwtOptions extends ClaimsOptions {
  /** The one key: a private key as PEM text, JWK or KeyObject. */
  readonly key?: KeyInput
  /** A set of keys, for rotation. */
  readonly keys?: readonly SigningKeyOptions[]
  /** The algorithm of `key`. Default: `ES256` for EC on P-256, `EdDSA` for Ed25519, `RS256` for RSA; `PS256` has to be said. */
  readonly algorithm?: SigningAlgorithm
}

/** The format, and its keys. */
export interface JwtFormat extends AccessTokenFormat {
  /**
   * Replaces the keys at once and without restart; the next token is signed with the new active key.
   *
   * @throws ConfigurationError when the set is wrong; the old one then stays.
   */
  replaceKeys(keys: readonly SigningKeyOptions[]): void
}

const optionNames: readonly string[] = ['key', 'keys', 'algorithm', 'claims', 'audience', 'issuer'] satisfies (keyof JwtOptions)[]

/**
 * Access tokens as signed JWTs. Needs the server's `issuer`.
 *
 * @throws ConfigurationError for a key that is too weak or does not fit its algorithm.
 * @see RFC 9068
 */
export function jwt(options: JwtOptions): JwtFormat {
  if ((options as unknown) === undefined) throw new ConfigurationError("jwt needs its key, as in jwt({ key: readFileSync(path, 'utf8') })")
  assertKnownKeys(assertObject(options, 'jwt'), optionNames, 'jwt')
  const claimsOptions = readClaimsOptions(options, 'jwt')
  let keySet = readSigningKeys(keyOptions(options), 'jwt')
  let sign = jwsSigner(keySet.active, 'at+jwt')
  let known = new KnownSignatures()
  return {
    name: 'jwt',
    kind: 'self-contained',
    ...usualAudience(claimsOptions),
    issue(token: TokenClaims) {
      // Held before the claims are asked for: the function that writes them may replace the keys.
      const signer = sign
      return whenThere(writeClaims(token, claimsOptions), signer)
    },
    read(text: string, server: FormatServer) {
      // A token without kid has no key here, however few there are.
      const verified = verifyJws(text, (kid = '') => keySet.byKid.get(kid), known)
      // RFC 9068 §4: the type must be at+jwt, so that no other JWT of this issuer passes for an access token
      if (verified === undefined || !isAccessTokenType(verified.header.typ)) return undefined
      return readClaims(verified.claims, claimsOptions, server)
    },
    assertFits: (server: FormatServer) => {
      assertHasIssuer(claimsOptions, server, 'jwt')
    },
    jwks: () => ({ keys: [...keySet.byKid.values()].map(({ jwk }) => jwk) }),
    replaceKeys(keys: readonly SigningKeyOptions[]) {
      keySet = readSigningKeys(keys, 'replaceKeys')
      sign = jwsSigner(keySet.active, 'at+jwt')
      // What another set of keys has verified counts for nothing.
      known = new KnownSignatures()
    },
  }
}

function keyOptions({ key, keys, algorithm }: JwtOptions): readonly SigningKeyOptions[] {
  if ((key === undefined) === (keys === undefined))
    throw new ConfigurationError('jwt needs one of key and keys; is an environment variable not set?')
  if (keys !== undefined) {
    if (algorithm !== undefined) throw new ConfigurationError('jwt: algorithm goes with key; in keys each key has its own')
    return keys
  }
  return key === undefined ? [] : [algorithm === undefined ? { key } : { key, algorithm }]
}

function isAccessTokenType(typ: unknown): boolean {
  return typeof typ === 'string' && /^(?:application\/)?at\+jwt$/i.test(typ)
}

/**
 * Encrypted access tokens: everything about the token is inside, and only who holds the key can read it.
 *
 * A JWE in compact form (RFC 7516) with A256GCM over the claims of RFC 9068. With a shared key, decrypting is verifying: only
 * holders of the key can make a token. With an asymmetric key anybody who has the public half could, so there the claims are
 * signed first (`signWith`) and the JWE holds that JWT.
 */
import { whenThere } from '../awaitable.js'
import {
  readEncryptionKeys,
  type EncryptionAlgorithm,
  type EncryptionKeyInput,
  type EncryptionKeyOptions,
  type EncryptionKeySet,
} from '../jose/encryption-keys.js'
import { parseObject } from '../jose/compact-serialization.js'
import { ConfigurationError } from '../errors.js'
import { decryptJwe, jweEncrypter } from '../jose/jwe.js'
import { assertKnownKeys, assertObject } from '../option-checks/reader.js'
import type { AccessTokenFormat, FormatServer, TokenClaims } from './access-token.js'
import { assertHasIssuer, readClaims, readClaimsOptions, usualAudience, writeClaims, type ClaimsOptions } from './claims.js'

/** Options of {@link encrypted}. One of `key` and `keys`. */
export interface EncryptedOptions extends ClaimsOptions {
  /** The one key: 32 random bytes, their base64url, a PEM text, a JWK or a KeyObject. */
  readonly key?: EncryptionKeyInput
  /** A set of keys, for rotation. */
  readonly keys?: readonly EncryptionKeyOptions[]
  /** The algorithm of `key`. Default: `A256KW` for bytes, `ECDH-ES+A256KW` for an EC or X25519 key; `dir` has to be said. */
  readonly algorithm?: EncryptionAlgorithm
  /** With an asymmetric key: the format that signs what is then encrypted, as in `signWith: jwt({ key })`. Claims, audience and issuer are its own. */
  readonly signWith?: AccessTokenFormat
}

/** The format, and its keys. */
export interface EncryptedFormat extends AccessTokenFormat {
  /**
   * Replaces the keys at once and without restart.
   *
   * @throws ConfigurationError when the set is wrong; the old one then stays.
   */
  replaceKeys(keys: readonly EncryptionKeyOptions[]): void
}

const optionNames: readonly string[] = [
  'key', 'keys', 'algorithm', 'signWith', 'claims', 'audience', 'issuer',
] satisfies (keyof EncryptedOptions)[] // prettier-ignore

/**
 * Access tokens as JWEs. Needs the server's `issuer`.
 *
 * @throws ConfigurationError for a key of the wrong kind or size, and for an asymmetric one without `signWith`.
 * @see RFC 7516
 */
export function encrypted(options: EncryptedOptions): EncryptedFormat {
  if ((options as unknown) === undefined)
    throw new ConfigurationError("encrypted needs its key, as in encrypted({ key: readFileSync(path, 'utf8') })")
  assertKnownKeys(assertObject(options, 'encrypted'), optionNames, 'encrypted')
  const claimsOptions = readClaimsOptions(options, 'encrypted')
  const { signWith } = options
  if (signWith !== undefined && Object.keys(claimsOptions).length > 0) {
    throw new ConfigurationError(
      'encrypted: with signWith, claims, audience and issuer are options of the format that signs; move them there, as in signWith: jwt({ key, claims })',
    )
  }
  const members = signWith === undefined ? { typ: 'at+jwt' } : { typ: 'at+jwt', cty: 'JWT' }
  let keySet = fittingKeys(keyOptions(options), signWith, 'encrypted')
  let encrypt = jweEncrypter(keySet.active, members)
  return {
    name: 'encrypted',
    kind: 'self-contained',
    ...usualAudience(signWith ?? claimsOptions),
    issue(token: TokenClaims) {
      // Held before the claims are asked for: the function that writes them may replace the keys.
      const encrypter = encrypt
      const text = signWith === undefined ? whenThere(writeClaims(token, claimsOptions), JSON.stringify) : signWith.issue(token)
      return whenThere(text, encrypter)
    },
    async read(text: string, server: FormatServer) {
      // A token without kid has no key here, however few there are.
      const decrypted = await decryptJwe(text, (kid = '') => keySet.byKid.get(kid))
      if (decrypted === undefined) return undefined
      // Encrypted with a public key of the set: the private half is elsewhere.
      if (decrypted === 'sealed') return { kind: 'sealed' }
      if (signWith !== undefined) return decrypted.header.cty === 'JWT' ? signWith.read?.(decrypted.text, server) : undefined
      const claims = parseObject(decrypted.text)
      return claims === undefined || decrypted.header.typ !== 'at+jwt' ? undefined : readClaims(claims, claimsOptions, server)
    },
    assertFits(server: FormatServer) {
      if (signWith === undefined) assertHasIssuer(claimsOptions, server, 'encrypted')
      else signWith.assertFits?.(server)
    },
    ...(signWith?.jwks === undefined ? {} : { jwks: signWith.jwks }),
    replaceKeys(keys: readonly EncryptionKeyOptions[]) {
      keySet = fittingKeys(keys, signWith, 'replaceKeys')
      encrypt = jweEncrypter(keySet.active, members)
    },
  }
}

function keyOptions({ key, keys, algorithm }: EncryptedOptions): readonly EncryptionKeyOptions[] {
  if ((key === undefined) === (keys === undefined))
    throw new ConfigurationError('encrypted needs one of key and keys; is an environment variable not set?')
  if (keys !== undefined) {
    if (algorithm !== undefined) throw new ConfigurationError('encrypted: algorithm goes with key; in keys each key has its own')
    return keys
  }
  return key === undefined ? [] : [algorithm === undefined ? { key } : { key, algorithm }]
}

function fittingKeys(options: readonly EncryptionKeyOptions[], signWith: AccessTokenFormat | undefined, where: string): EncryptionKeySet {
  const keySet = readEncryptionKeys(options, where)
  const isAsymmetric = [...keySet.byKid.values()].some(({ alg }) => alg === 'ECDH-ES+A256KW')
  if (isAsymmetric && signWith === undefined) {
    throw new ConfigurationError(
      `${where}: with an asymmetric key anybody could make tokens; add signWith: jwt({ key }), or use 32 random bytes`,
    )
  }
  if (signWith !== undefined && (signWith.kind !== 'self-contained' || signWith.read === undefined)) {
    throw new ConfigurationError(`${where}: signWith must be a format that can be verified, such as jwt({ key })`)
  }
  return keySet
}

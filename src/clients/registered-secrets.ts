/** The secrets that a client is registered with: read and checked, and kept as hashes. */
import { digestOfSecret, isSecretHash, type ClientSecret } from './secrets.js'
import { ConfigurationError } from '../errors.js'
import { assertKnownKeys, assertObject, OptionReader, type Unchecked } from '../option-checks/reader.js'

/** The members `client_secret` and `secrets` as hashes. */
export function readSecrets(members: Unchecked, where: string): readonly ClientSecret[] {
  const secrets: ClientSecret[] = []
  if ('client_secret' in members) {
    const { client_secret } = members
    // An environment variable that is not set must not turn a confidential client into a public one.
    if (typeof client_secret !== 'string' || client_secret === '') {
      throw new ConfigurationError(
        `${where}client_secret is present but ${client_secret === '' ? 'empty' : 'not a string'}; is an environment variable not set? ` +
          "For a public client leave client_secret out and say token_endpoint_auth_method: 'none'",
        'client_secret is present but empty, or not a string',
      )
    }
    secrets.push({ hash: digestOfSecret(client_secret) })
  }
  const { secrets: hashes = [] } = members
  if (!Array.isArray(hashes)) throw new ConfigurationError(`${where}secrets must be an array of { hash, expiresAt? }`)
  return [...secrets, ...hashes.map((secret: unknown) => readSecret(secret, where))]
}

function readSecret(value: unknown, where: string): ClientSecret {
  const members = assertObject(value, `${where}secrets`)
  assertKnownKeys(members, ['hash', 'expiresAt'], `${where}secrets`)
  const { hash } = members
  if (typeof hash !== 'string' || !isSecretHash(hash)) {
    const rule = 'secrets holds a hash that hashClientSecret did not make; a plain secret goes under client_secret'
    throw new ConfigurationError(`${where}${rule}`, rule)
  }
  const expiresAt = new OptionReader(members, `${where}secrets.`).whole('expiresAt', undefined, 0, Number.MAX_SAFE_INTEGER)
  return expiresAt === undefined ? { hash } : { hash, expiresAt }
}

/** @throws ConfigurationError where a public client has a secret, or one that needs a secret has none. */
export function assertSecretsFit(isPublic: boolean, method: string | undefined, secrets: readonly ClientSecret[], where: string): void {
  if (isPublic && secrets.length > 0) {
    const rule = "has a secret and says token_endpoint_auth_method: 'none'; remove one of the two"
    throw new ConfigurationError(`${where}${rule}`, `it ${rule}`)
  }
  const needsSecret = method === undefined || method === 'client_secret_basic' || method === 'client_secret_post'
  if (needsSecret && secrets.length === 0) {
    throw new ConfigurationError(
      `${where}has no secret; add client_secret or secrets, or say token_endpoint_auth_method: 'none' for a public client`,
      'it has no secret',
    )
  }
}

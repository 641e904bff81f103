/**
 * Secrets with a slow hash that this process has found right, so that the hash need not be computed at each request.
 *
 * What is kept is an HMAC of the secret and its stored hash, under a key that this process made and that never leaves it: no secret in plain text, and
 * nothing that another process or a dump of the store could use. One entry for each stored hash, so that a hash that is replaced has none.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { keepLatest } from '../bounded-map.js'
import { equalInConstantTime } from '../secrets.js'

const key = randomBytes(32)
const mostRemembered = 1_000

/** Digests by the stored hash; the one that was found right last is last. Only a right secret makes an entry, so nobody else can push one out. */
const remembered = new Map<string, string>()

function digestOf(secret: string, hash: string): string {
  return createHmac('sha256', key).update(`${hash}\0${secret}`).digest('base64url')
}

// As long as a digest, so that comparing with it is the same work where nothing is remembered.
const nothing = digestOf('', '')

/** Whether this process has found that secret right for that stored hash. The same work, whatever the answer is. */
export function isRememberedSecret(secret: string, hash: string): boolean {
  const known = remembered.get(hash)
  const isRight = equalInConstantTime(digestOf(secret, hash), known ?? nothing)
  return isRight && known !== undefined
}

/** Remembers a secret that was found right. Over 1,000 hashes the oldest is computed again. */
export function rememberSecret(secret: string, hash: string): void {
  keepLatest(remembered, hash, digestOf(secret, hash), mostRemembered)
}

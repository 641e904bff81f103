/**
 * Signatures that were right. A token is presented many times, and what a key has signed it has signed: of a token that was verified once, the
 * signature is not computed again. Everything else about it is judged each time: its key, its header, its type, its claims, its end.
 *
 * Kept are SHA-256 digests of whole tokens, never tokens, and of verified ones only, so that nobody without a right token fills it. It belongs to
 * one set of keys and goes with it.
 */
import { addLatest } from '../bounded-map.js'
import { sha256 } from '../secrets.js'

/** Some 1.5 MB. The one that was verified first is forgotten first. */
const most = 10_000

/** The tokens that keys of one set have signed, as far as they were seen lately. */
export class KnownSignatures {
  readonly #digests = new Set<string>()

  /** Whether the signature of a token is right: as it was the last time, or as `verify` says. */
  isRight(token: string, verify: () => boolean): boolean {
    const digest = sha256(token)
    if (this.#digests.has(digest)) return true
    if (!verify()) return false
    addLatest(this.#digests, digest, most)
    return true
  }
}

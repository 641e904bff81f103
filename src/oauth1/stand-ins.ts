/**
 * Values that take the place of a client or token that is not known, so that refusing it is the same work as refusing a wrong
 * signature (RFC 5849 §4, "timing"). Nothing verifies against them: their secrets are random and nobody has a private key.
 */
import { createPublicKey, randomBytes, type KeyObject } from 'node:crypto'
import { randomText, secretSize, sha256 } from '../secrets.js'
import { outOfBand } from './callback.js'
import { exchanged, fromRecord, newCredentialsId, newTokenText, toRecord, withConsent, type TokenCredentials } from './credentials.js'
import type { Sealer } from './sealing.js'

/** One of each, made at start. */
export interface StandIns {
  readonly clientSecret: string
  readonly publicKey: KeyObject
  /** In the place of credentials that were read and are worth nothing. */
  readonly credentials: TokenCredentials
  /** In the place of a record that is not there: reads one, as it would be read. */
  readCredentials(): TokenCredentials
  /** The id to look up for a token that has none. */
  readonly id: string
}

const modulusBytes = 256
const versionSize = 22

/** Makes stand-ins that open with the keys of `sealer`. */
export function createStandIns(sealer: Sealer): StandIns {
  const id = newCredentialsId()
  const signedWith = {
    tokenHash: sha256(newTokenText(id)),
    sealedSecret: sealer.seal(randomText(secretSize), 'oauth1 token secret', id),
  }
  // It comes about as a real one does: an object of the same members in another order is another thing to the engine.
  const common = { id, client_id: 'nobody', realms: [], ...signedWith, endsAt: 0, expiresAt: 0 }
  const temporary = { stage: 'temporary', ...common, callback: outOfBand } as const
  const authorized = withConsent(temporary, { subject: 'nobody', realms: [], verifierHash: sha256(randomText(secretSize)) })
  const credentials = exchanged(authorized, { ...signedWith, realms: [], endsAt: 0, expiresAt: 0 })
  const record = toRecord(credentials, randomText(versionSize), undefined)
  return {
    clientSecret: randomText(secretSize),
    publicKey: publicKeyOfNobody(),
    credentials,
    readCredentials() {
      const read = fromRecord(record)
      return read.stage === 'token' ? read : credentials
    },
    id,
  }
}

/** A random odd number of 2048 bits as modulus: to verify against it costs what a real one costs, and its factors are unknown. */
function publicKeyOfNobody(): KeyObject {
  const modulus = randomBytes(modulusBytes)
  modulus.writeUInt8(modulus.readUInt8(0) | 0x80, 0)
  modulus.writeUInt8(modulus.readUInt8(modulusBytes - 1) | 0x01, modulusBytes - 1)
  return createPublicKey({ key: { kty: 'RSA', n: modulus.toString('base64url'), e: 'AQAB' }, format: 'jwk' })
}

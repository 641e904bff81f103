/**
 * Signed tokens as an application adds them to a library that leaves tokens to it: by the jose package, with keys imported once.
 */
import { jwtVerify, SignJWT } from 'jose'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { audience, client, issuer, lifetime, scope } from '../workloads.js'

const makeKeys = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
}

/** How to write and read access tokens; undefined for opaque ones. */
export function joseTokens(format) {
  if (format === 'opaque') return undefined
  if (makeKeys[format] === undefined) throw new Error(`no ${format} tokens`)
  const { privateKey, publicKey } = makeKeys[format]()
  return {
    publicKey,
    privateKey,
    sign: (claims = { scope, client_id: client.client_id }, subject = client.client_id) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: format, typ: 'at+jwt', kid: '1' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(subject)
        .setJti(randomUUID())
        .setIssuedAt()
        .setExpirationTime(`${lifetime}s`)
        .sign(privateKey),
    verify: async (token) => (await jwtVerify(token, publicKey, { issuer, audience, typ: 'at+jwt', algorithms: [format] })).payload,
  }
}

/**
 * Tokens that are nearly right, read by us and by jose with the same key: we accept nothing that jose refuses, and refuse nothing that jose accepts but for
 * what `isOnlyRefusedHere` lists.
 */
import { describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto'
import { compactDecrypt, compactVerify } from 'jose'
import { readEncryptionKeys, type EncryptionAlgorithm, type EncryptionKey } from '../../src/jose/encryption-keys.js'
import { decryptJwe, jweEncrypter, wrapKey } from '../../src/jose/jwe.js'
import { jwsSigner, signatureOf, verifyJws } from '../../src/jose/jws.js'
import { KnownSignatures } from '../../src/jose/verified-tokens.js'
import { readSigningKeys, type SigningKey, type SigningKeyOptions, type SigningKeySet } from '../../src/jose/signing-keys.js'
import { base64url, ed25519, p256, rsa } from '../support/tokens.js'
import { patience, sizes } from './sizes.js'

jest.setTimeout(patience)
const alphabet = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
const settings = { numRuns: sizes.comparedTokens }

/** One character of a text put in place of another one, between two, or taken away; or a piece doubled, or cut off at the end. */
const change = fc.record({
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  kind: fc.constantFrom('set', 'set', 'set', 'insert', 'delete', 'repeat', 'cut'),
  text: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...alphabet) },
    { weight: 1, arbitrary: fc.constantFrom('.', '=', '+', '/', ' ', '\n', '\t', '\0', '%', '\u0141', '\u00e4', '\ud800') },
  ),
})

function changed(token: string, { at, kind, text }: { readonly at: number; readonly kind: string; readonly text: string }): string {
  // A quarter of them at the end of a part, where the bits are that stand for nothing.
  const ends = [...token.matchAll(/.(?=\.|$)/g)].map(({ index }) => index)
  const position = at < 0.25 ? (ends[Math.floor(at * 4 * ends.length)] ?? 0) : Math.floor(((at - 0.25) / 0.75) * token.length)
  const [before, here, behind] = [token.slice(0, position), token[position] ?? '', token.slice(position + 1)]
  switch (kind) {
    case 'set':
      return before + text + behind
    case 'insert':
      return before + text + here + behind
    case 'delete':
      return before + behind
    case 'repeat':
      return before + here + here + behind
    default:
      return before
  }
}

/** What a header may have beside what it needs: what means nothing here, and what decides. */
const harmless = fc.record(
  {
    typ: fc.constantFrom('at+jwt', 'JWT', 7),
    jwk: fc.constant({ kty: 'oct', k: 'AA' }),
    x: fc.jsonValue({ maxDepth: 1 }),
  },
  { requiredKeys: [] },
)
const deciding = fc.oneof(
  fc.record({ alg: fc.constantFrom('ES256', 'EdDSA', 'RS256', 'PS256', 'none', 'dir', 'A256KW', 'HS256', null) }),
  fc.record({ crit: fc.constantFrom(['b64'], ['x'], [], null, 'b64'), b64: fc.constantFrom(true, false), x: fc.constant(1) }),
  fc.record({ b64: fc.constantFrom(true, false, null) }),
  fc.record({ zip: fc.constantFrom('DEF', 'NONE', null) }),
  fc.record({ enc: fc.constantFrom('A256GCM', 'A128GCM', 'A256CBC-HS512', null) }),
)
const frame = fc.constantFrom<(text: string) => string>(
  ...Array.from({ length: 6 }, () => (text: string) => text),
  (text) => ` ${text}\r\n`,
  (text) => `\ufeff${text}`,
  (text) => `[${text}]`,
  (text) => `${text}x`,
  (text) => text.replace('{', '{"alg":"none","zip":"DEF",'),
  (text) => text.replace('{', '{"__proto__":{"alg":"none","crit":["x"]},'),
)
const headerText = (own: object) =>
  fc
    .tuple(fc.oneof({ weight: 2, arbitrary: harmless }, { weight: 1, arbitrary: deciding }), frame)
    .map(([more, framed]) => framed(JSON.stringify({ ...own, ...more })))

const content = fc.oneof(
  { weight: 4, arbitrary: fc.dictionary(fc.string(), fc.jsonValue()).map((claims) => Buffer.from(JSON.stringify(claims))) },
  { weight: 1, arbitrary: fc.constantFrom('[]', 'null', '7', '', '{', '\ufeff{}', '{}x').map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
)

/** What is well-formed for jose and not for us, each with its reason in src/jose/jws.ts, src/jose/jwe.ts or src/jose/compact-serialization.ts. */
function isOnlyRefusedHere(token: string): boolean {
  const parts = token.split('.')
  // RFC 4648 §3.5, RFC 7515 §2: each part is the one text for its bytes
  if (parts.some((part) => Buffer.from(part, 'base64url').toString('base64url') !== part)) return true
  const header = Buffer.from(parts[0] ?? '', 'base64url').toString()
  // RFC 8259 §8.1: no byte order mark
  if (header.startsWith('\ufeff')) return true
  const { crit, b64 } = JSON.parse(header) as { crit?: unknown; b64?: unknown }
  return crit !== undefined || (parts.length === 3 && b64 !== undefined)
}

function objectIn(bytes: Uint8Array): object | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** How often each outcome was seen: a comparison that never accepts shows nothing. */
const seen = { accepted: 0, refused: 0, stricter: 0 }

function note(token: string, ours: unknown, theirs: object | undefined): void {
  if (ours === undefined && theirs !== undefined && isOnlyRefusedHere(token)) {
    seen.stricter++
    return
  }
  seen[ours === undefined ? 'refused' : 'accepted']++
  expect([token, ours]).toEqual([token, theirs])
}

const signers: SigningKeyOptions[] = [
  { key: p256.privateKey },
  { key: ed25519.privateKey },
  { key: rsa.privateKey },
  { key: rsa.privateKey, algorithm: 'PS256' },
]

describe.each(signers.map((options) => [options.algorithm ?? '', options] as const))('JWS %#', (_name, options) => {
  const key: SigningKeySet['active'] = readSigningKeys([options], 'x').active
  const own = { alg: key.alg, typ: 'at+jwt', kid: key.kid }

  const compare = async (token: string, verifier: SigningKey = key) => {
    const ours = verifyJws(token, () => verifier, new KnownSignatures())
    note(token, ours, await byJose(token, verifier))
  }
  const byJose = async (token: string, { publicKey, alg }: SigningKey) => {
    try {
      const { payload, protectedHeader } = await compactVerify(token, publicKey, { algorithms: [alg] })
      const claims = objectIn(payload)
      return claims === undefined ? undefined : { header: protectedHeader, claims }
    } catch {
      return undefined
    }
  }

  test('I7 a token with something changed', async () => {
    const token = jwsSigner(key, 'at+jwt')({ sub: 'alice', scope: 'read' })
    await compare(token)
    await fc.assert(
      fc.asyncProperty(change, async (difference) => compare(changed(token, difference))),
      settings,
    )
  })

  test('I7 any header over any claims, under a right signature', async () => {
    const property = fc.asyncProperty(headerText(own), content, async (header, claims) => {
      const text = `${base64url(header)}.${base64url(claims)}`
      await compare(`${text}.${base64url(signatureOf(text, key))}`)
    })
    await fc.assert(property, settings)
  })

  test('I7 any bytes for a signature', async () => {
    const text = `${base64url(own)}.${base64url({})}`
    const size = fc.constantFrom(key.signatureSize, key.signatureSize, 0, 1, 63, 64, 65, 70, 71, 72, 255, 256, 257)
    const bytes = size.chain((length) => fc.uint8Array({ minLength: length, maxLength: length }))
    await fc.assert(
      fc.asyncProperty(bytes, async (signature) => compare(`${text}.${base64url(signature)}`)),
      settings,
    )
  })
})

describe.each(['A256KW', 'dir'] as const)('JWE %s', (algorithm: EncryptionAlgorithm) => {
  const bytes = randomBytes(32)
  const key: EncryptionKey = readEncryptionKeys([{ key: bytes, algorithm }], 'x').active
  const own = { alg: algorithm, kid: key.kid, typ: 'at+jwt', enc: 'A256GCM' }

  const compare = async (token: string) => {
    const ours = await decryptJwe(token, () => key)
    note(token, ours, await byJose(token))
  }
  const byJose = async (token: string) => {
    const limits = { keyManagementAlgorithms: [algorithm], contentEncryptionAlgorithms: ['A256GCM'], maxDecompressedLength: 0 }
    try {
      const { plaintext, protectedHeader } = await compactDecrypt(token, createSecretKey(bytes), limits)
      return { header: protectedHeader, text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plaintext) }
    } catch {
      return undefined
    }
  }

  test('I7 a token with something changed', async () => {
    const token = await jweEncrypter(key, { typ: 'at+jwt' })('{"sub":"alice","scope":"read"}')
    await compare(token)
    await fc.assert(
      fc.asyncProperty(change, async (difference) => compare(changed(token, difference))),
      settings,
    )
  })

  test('I7 any header over any content, rightly encrypted, with a key, an IV and a tag of any size', async () => {
    const size = (usual: number) => fc.constantFrom(...Array<number>(15).fill(usual), 0, 1, usual - 1, usual + 1, usual + 8)
    const contentKeySize = fc.constantFrom(...Array<number>(9).fill(32), 16, 24, 40)
    const property = fc.asyncProperty(headerText(own), content, size(12), size(16), contentKeySize, async (text, inside, ivSize, tagSize, keySize) => {
      const contentKey = algorithm === 'dir' ? bytes : randomBytes(32)
      const encryptedKey = algorithm === 'dir' ? Buffer.alloc(Math.abs(keySize - 32)) : wrapKey(keySize === 32 ? contentKey : randomBytes(keySize), key.encryptWith)
      const iv = randomBytes(Math.max(ivSize, 1))
      const cipher = createCipheriv('aes-256-gcm', contentKey, iv).setAAD(Buffer.from(base64url(text)))
      const ciphertext = Buffer.concat([cipher.update(inside), cipher.final()])
      const tag = Buffer.concat([cipher.getAuthTag(), randomBytes(8)]).subarray(0, tagSize)
      await compare([base64url(text), ...[encryptedKey, iv, ciphertext, tag].map(base64url)].join('.'))
    }) // prettier-ignore
    await fc.assert(property, settings)
  })
})

test('I7 each outcome was seen: both accept, both refuse, we alone refuse', () => {
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(sizes.comparedTokens / 10)
})

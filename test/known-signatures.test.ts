/** A token that was verified is known by its digest: what that spares is the signature, and nothing else. */
import { expect, test } from '@jest/globals'
import { generateKeyPairSync } from 'node:crypto'
import { jwt } from '../src/index.js'
import { jwsSigner, verifyJws } from '../src/jose/jws.js'
import { KnownSignatures } from '../src/jose/verified-tokens.js'
import { readSigningKeys } from '../src/jose/signing-keys.js'
import { jwtServer, statusOf } from './support/tokens.js'

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const [key, other] = [newKey(), newKey()].map((privateKey) => readSigningKeys([{ key: privateKey, kid: 'k' }], 'x').active)
if (key === undefined || other === undefined) throw new Error('no keys')
const token = jwsSigner(key, 'at+jwt')({ sub: 'alice' })

test('F2 the signature of a token is computed once', () => {
  const known = new KnownSignatures()
  expect(verifyJws(token, () => other, known)).toBeUndefined()
  expect(verifyJws(token, () => key, known)).toMatchObject({ claims: { sub: 'alice' } })
  // Only by the memory of it can it pass with a key that has not signed it.
  expect(verifyJws(token, () => other, known)).toMatchObject({ claims: { sub: 'alice' } })
  expect(verifyJws(token, () => other, new KnownSignatures())).toBeUndefined()
})

test('F2 everything else is judged each time: the key, its algorithm, and every character', () => {
  const known = new KnownSignatures()
  expect(verifyJws(token, () => key, known)).toBeDefined()
  expect(verifyJws(token, () => undefined, known)).toBeUndefined()
  expect(verifyJws(token, () => ({ ...key, alg: 'EdDSA' }), known)).toBeUndefined()
  for (let at = 0; at < token.length; at++) {
    const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
    expect(verifyJws(changed, () => key, known)).toBeUndefined()
  }
})

test('F2 what is wrong is not remembered, however often it comes', () => {
  const known = new KnownSignatures()
  const wrong = `${token.slice(0, -4)}AAAA`
  for (let times = 0; times < 3; times++) expect(verifyJws(wrong, () => key, known)).toBeUndefined()
})

test('F2 10,000 are remembered, and the one that came first is forgotten first', () => {
  const known = new KnownSignatures()
  let computed = 0
  const ask = (name: number) => known.isRight(String(name), () => ++computed > 0)
  for (let name = 0; name < 10_001; name++) ask(name)
  expect(computed).toBe(10_001)
  ask(1)
  ask(10_000)
  expect(computed).toBe(10_001)
  ask(0)
  expect(computed).toBe(10_002)
})

test('I5 F2 a token that was accepted before is refused when it has expired, and when its key has gone', async () => {
  const format = jwt({ keys: [{ key: newKey() }] })
  const server = jwtServer({ accessTokens: format, accessTokenLifetime: 60 })
  const { access_token } = await server.tokens({ scope: 'read' })
  expect(await statusOf(server.options, access_token)).toBe(200)
  expect(await statusOf(server.options, access_token)).toBe(200)
  server.now += 60
  expect(await statusOf(server.options, access_token)).toBe(401)
  server.now -= 1
  expect(await statusOf(server.options, access_token)).toBe(200)
  format.replaceKeys([{ key: newKey() }])
  expect(await statusOf(server.options, access_token)).toBe(401)
})

/** A resource server that knows nothing but the address of the keys, and keeps them as long as it may: at rest, under rotation, in an emergency. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createRemoteJWKSet, jwtVerify, type JWTVerifyResult } from 'jose'
import { jwksHandler, jwt, type JwtFormat, type SigningKeyOptions } from '../../src/index.js'
import { start, type TestServer } from '../support/server.js'
import { decoded, ed25519, issuer, jwtServer, machineToken, p256, rsa, statusOf } from '../support/tokens.js'
import { Resources } from '../support/wire.js'

const resources = new Resources()
let now = start
beforeEach(() => {
  now = start
  // The clock by which jose judges the age of what it keeps.
  jest.spyOn(Date, 'now').mockImplementation(() => now * 1000)
})
afterEach(async () => {
  jest.restoreAllMocks()
  await resources.close()
})

const maxAge = 300

interface Verifier {
  verify(token: string): Promise<JWTVerifyResult>
  /** How often it has asked for the keys. */
  readonly fetched: () => number
}

/** One that keeps the keys for `maxAge`, and does not ask again for a key that it does not know. */
async function cachingVerifier({ options }: TestServer): Promise<Verifier> {
  let fetched = 0
  const handler = jwksHandler(options, { maxAge })
  const { url } = await resources.listen((req, res) => {
    fetched++
    handler(req, res)
  })
  const keys = createRemoteJWKSet(new URL('/oauth2/jwks', url), { cacheMaxAge: maxAge * 1000, cooldownDuration: 1e12 })
  const verify = (token: string) => jwtVerify(token, keys, { issuer, audience: issuer, typ: 'at+jwt', currentDate: new Date(now * 1000) })
  return { verify, fetched: () => fetched }
}

function serverAt(accessTokens: JwtFormat): TestServer {
  return jwtServer({ accessTokens, accessTokenLifetime: 120, clock: () => now })
}

test.each([['ES256', p256], ['EdDSA', ed25519], ['RS256', rsa]] as const)('F3 %s: jose verifies a token by the address of the keys', async (alg, pair) => {
  const server = serverAt(jwt({ key: pair.privateKey }))
  const { verify } = await cachingVerifier(server)
  const token = await machineToken(server)
  const { payload, protectedHeader } = await verify(token)
  expect(protectedHeader.alg).toBe(alg)
  expect(payload).toEqual(decoded(token).claims)
  await expect(verify(`${token.slice(0, -8)}AAAAAAAA`)).rejects.toMatchObject({ code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' })
  now += 120
  await expect(verify(token)).rejects.toMatchObject({ code: 'ERR_JWT_EXPIRED' })
}) // prettier-ignore

describe('rotation', () => {
  /** A new key, of two kinds by turns. */
  const newKey = (round: number): KeyObject =>
    (round % 2 === 0 ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')).privateKey

  test('F3 ten rotations under load: a verifier that keeps the keys fails at no token', async () => {
    const accessTokens = jwt({ key: p256.privateKey })
    const server = serverAt(accessTokens)
    const { verify, fetched } = await cachingVerifier(server)
    const kids = new Set<unknown>()
    let live: { token: string; until: number }[] = []
    let verified = 0

    /** A minute of load, with a replacement of the keys in the middle of it. */
    const minute = async (keys?: readonly SigningKeyOptions[]) => {
      const issue = async () => ({ token: await machineToken(server), until: now + 120 })
      const before = [issue(), issue(), issue()]
      if (keys !== undefined) accessTokens.replaceKeys(keys)
      live = [...live.filter(({ until }) => now < until), ...(await Promise.all([...before, issue(), issue(), issue()]))]
      await Promise.all(live.map(({ token }) => verify(token)))
      for (const { token } of live) kids.add(decoded(token).header.kid)
      expect(await Promise.all(live.map(({ token }) => statusOf(server.options, token)))).toEqual(live.map(() => 200))
      verified += live.length
      now += 60
    }

    let active: KeyObject = p256.privateKey
    await minute()
    for (let round = 1; round <= 10; round++) {
      const next = newKey(round)
      await minute([{ key: active }, { key: next, state: 'next' }])
      // Published for as long as anybody may keep the keys, before it signs.
      for (let waited = 60; waited < maxAge; waited += 60) await minute()
      await minute([{ key: next }, { key: active, state: 'retired' }])
      // There until the last token that it signed has expired.
      await minute()
      await minute([{ key: next }])
      active = next
    }
    expect(kids.size).toBe(11)
    // 81 minutes, with the tokens of this one and of the one before; in the first there is none before.
    expect(verified).toBe(81 * 12 - 6)
    // The time that was spent, at one request for each five minutes of it.
    expect(fetched()).toBeLessThanOrEqual(Math.ceil((now - start) / maxAge))
  })

  test('F3 the control: a key that signs before it was published fails, until the keys are asked for again', async () => {
    const accessTokens = jwt({ key: p256.privateKey })
    const server = serverAt(accessTokens)
    const { verify } = await cachingVerifier(server)
    await verify(await machineToken(server))
    accessTokens.replaceKeys([{ key: newKey(0) }, { key: p256.privateKey, state: 'retired' }])
    await expect(verify(await machineToken(server))).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' })
    now += maxAge
    await verify(await machineToken(server))
  })

  test('F3 the emergency: a key that is taken out is worthless here at once, and elsewhere within the cache lifetime', async () => {
    const accessTokens = jwt({ key: p256.privateKey })
    const server = jwtServer({ accessTokens, accessTokenLifetime: 86_400, clock: () => now })
    const { verify, fetched } = await cachingVerifier(server)
    const stolen = await machineToken(server)
    await verify(stolen)
    const spare = newKey(0)
    accessTokens.replaceKeys([{ key: p256.privateKey }, { key: spare, state: 'next' }])
    now += maxAge
    await verify(stolen)
    now += 100
    accessTokens.replaceKeys([{ key: spare }])
    expect(await statusOf(server.options, stolen)).toBe(401)
    now += maxAge - 101
    // It is kept as long as it may be; this is what maxAge weighs.
    await verify(stolen)
    now += 1
    await expect(verify(stolen)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' })
    await verify(await machineToken(server))
    expect(fetched()).toBe(3)
  })
})

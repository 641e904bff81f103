/**
 * Tokens read by what is not JavaScript: PyJWT and jwcrypto of Debian's Python (apt-get install python3-jwt python3-jwcrypto).
 * Where they are absent these tests are skipped and say so; with REQUIRE_PYTHON=1, which .ci/run sets once it has installed them, that fails.
 */
import { afterEach, describe, expect, test } from '@jest/globals'
import { spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { encrypted, jwksHandler, jwt, type AccessTokenFormat, type JwtOptions } from '../../src/index.js'
import { machine, testServer, type TestServer } from '../support/server.js'
import { decoded, ed25519, issuer, jwk, machineToken, p256, rsa } from '../support/tokens.js'
import { Resources } from '../support/wire.js'

const python = '/usr/bin/python3'
const isThere = spawnSync(python, ['-c', 'import jwt, jwcrypto, cryptography']).status === 0
if (!isThere) console.warn('skipped: there is no python3-jwt and python3-jwcrypto; apt-get install them')
const whereThere = isThere ? describe : describe.skip

const resources = new Resources()
afterEach(() => resources.close())

type Said = { readonly claims: Record<string, unknown> } | { readonly fault: string }

/** What each reader says of each token. */
async function ask(order: { readonly tokens: readonly string[] } & Record<string, unknown>): Promise<Said[][]> {
  const child = spawn(python, [fileURLToPath(new URL('verify.py', import.meta.url))], { stdio: ['pipe', 'pipe', 'pipe'] })
  const complaints = text(child.stderr)
  child.stdin.end(JSON.stringify({ issuer, audience: issuer, ...order }))
  const [answer, [status]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number]>])
  if (status !== 0) throw new Error(`verify.py ended with ${status}: ${await complaints}`)
  return JSON.parse(answer) as Said[][]
}

function serverWith(accessTokens: AccessTokenFormat): TestServer {
  return testServer({ issuer, accessTokens, clock: () => Math.floor(Date.now() / 1000) })
}

async function jwksUri({ options }: TestServer): Promise<string> {
  const { url } = await resources.listen(jwksHandler(options))
  return `${url}/oauth2/jwks`
}

test('F2 Python is there, where it was installed for this', () => {
  expect(isThere || process.env.REQUIRE_PYTHON !== '1').toBe(true)
})

whereThere('PyJWT and jwcrypto', () => {
  const cases: [alg: string, options: () => JwtOptions][] = [
    ['ES256', () => ({ key: p256.privateKey })],
    ['EdDSA', () => ({ key: ed25519.privateKey })],
    ['RS256', () => ({ key: rsa.privateKey })],
    ['PS256', () => ({ key: rsa.privateKey, algorithm: 'PS256' })],
  ]

  test.each(cases)('F2 %s: both verify a token by the address of the keys, and no other one', async (alg, options) => {
    const server = serverWith(jwt({ ...options(), claims: { tenant: 'blau-ü' } }))
    const token = await machineToken(server)
    const [header = '', claims = '', signature = ''] = token.split('.')
    const widened = Buffer.from(JSON.stringify({ ...decoded(token).claims, scope: 'admin' })).toString('base64url')
    const expired = serverWith(jwt(options()))
    const old = await machineToken(testServer({ ...expired.options, clock: () => 1_700_000_000 }))
    const meantForOthers = await machineToken(serverWith(jwt({ ...options(), audience: 'https://api.example' })))
    const stranger = await machineToken(serverWith(jwt({ key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey })))
    const others = [`${header}.${widened}.${signature}`, `${header}.${claims}.`, old, meantForOthers, stranger]
    const [good, ...refused] = await ask({ jwks_uri: await jwksUri(server), alg, tokens: [token, ...others] })
    expect(good).toEqual([{ claims: decoded(token).claims }, { claims: decoded(token).claims }])
    expect(decoded(token).claims).toMatchObject({ sub: machine.client_id, tenant: 'blau-ü' })
    expect(refused).toHaveLength(others.length)
    for (const said of refused) expect(said).toEqual([{ fault: expect.any(String) }, { fault: expect.any(String) }])
  })

  test.each(['A256KW', 'dir'] as const)('F4 %s: jwcrypto decrypts a token with the key, and with no other', async (alg) => {
    const key = randomBytes(32)
    const token = await machineToken(serverWith(encrypted({ key, algorithm: alg })))
    const read = (bytes: Buffer) => ask({ alg, key: { kty: 'oct', k: bytes.toString('base64url') }, tokens: [token] })
    expect(await read(key)).toEqual([[{ claims: expect.objectContaining({ iss: issuer, sub: machine.client_id, scope: 'read' }) }]])
    expect(await read(randomBytes(32))).toEqual([[{ fault: 'InvalidJWEData' }]])
  })

  test('F4 ECDH-ES+A256KW: jwcrypto decrypts with the private key, PyJWT verifies what is inside', async () => {
    const recipient = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const server = serverWith(encrypted({ key: recipient.publicKey, signWith: jwt({ key: p256.privateKey }) }))
    const token = await machineToken(server)
    const order = { jwks_uri: await jwksUri(server), alg: 'ECDH-ES+A256KW', inner_alg: 'ES256', tokens: [token] }
    expect(await ask({ ...order, key: jwk(recipient.privateKey) })).toEqual([
      [{ claims: expect.objectContaining({ sub: machine.client_id }) }],
    ])
    expect(await ask({ ...order, key: jwk(p256.privateKey) })).toEqual([[{ fault: 'InvalidJWEData' }]])
  })
})

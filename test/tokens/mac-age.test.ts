/** The age in the nonce of draft -00 (SW4): whole seconds, or with a fraction as oauthlib's client writes it; signed and remembered as it came. */
import { expect, test } from '@jest/globals'
import { macHeader, type ProtocolRequest } from '../../src/index.js'
import { ask, invalidMac, macServer, macToken, signedGet } from '../support/mac.js'
import { start } from '../support/server.js'
import { reasons } from '../support/stored.js'

async function prepared() {
  const server = macServer()
  return { server, token: await macToken(server) }
}

test.each(['0', '1', '1.0', '0.000123', '1.000123', '299.999999', '000000000001'])('SW4 an age of %s passes', async (age) => {
  const { server, token } = await prepared()
  expect(await ask(server, signedGet('-00', token, { age }))).toBe('accepted')
})

test.each(['', '.5', '1.', '1.0000001', '1.5.5', '1,5', '1e1', '5.3e-05', '-1', '+1', ' 1', '1 ', '0x1', 'Infinity', '1234567890123', '١'])(
  'SW4 an age of "%s" is no age',
  async (age) => {
    const { server, token } = await prepared()
    const request = signedGet('-00', token, { age })
    expect(await ask(server, request)).toMatchObject({ status: 401 })
    expect(reasons(server).join()).toMatch(/^(malformed MAC credentials|.*unknown.*)$/)
  },
)

test('SW4 the age is judged with its fraction, to the second that is the last', async () => {
  const { server, token } = await prepared()
  expect(await ask(server, signedGet('-00', token, { age: '300.000000' }))).toBe('accepted')
  expect(await ask(server, signedGet('-00', token, { age: '300.000001' }))).toEqual(invalidMac)
  server.now = start + 301
  expect(await ask(server, signedGet('-00', token, { age: '1.000000', nonce: 'a' }))).toBe('accepted')
  expect(await ask(server, signedGet('-00', token, { age: '0.999999', nonce: 'a' }))).toEqual(invalidMac)
  expect(reasons(server)).toEqual(['stale timestamp', 'stale timestamp'])
})

test('SW4 the text of the age is what was signed: a fraction that was put there or taken away is a wrong MAC', async () => {
  const { server, token } = await prepared()
  for (const [from, to] of [
    ['nonce="1:', 'nonce="1.0:'],
    ['nonce="1.5:', 'nonce="1:'],
    ['nonce="1.5:', 'nonce="1.50:'],
  ] as const) {
    const request = signedGet('-00', token, { age: from.slice(7, -1) })
    const authorization = String(request.headers.authorization).replace(from, to)
    expect(await ask(server, { ...request, headers: { authorization } })).toEqual(invalidMac)
  }
  expect(reasons(server)).toEqual(['wrong MAC', 'wrong MAC', 'wrong MAC'])
})

test('SW4 a nonce with a fraction works once, and is remembered as the text that it is', async () => {
  const { server, token } = await prepared()
  const request = (age: string): ProtocolRequest => signedGet('-00', token, { age, nonce: 'n' })
  expect(await ask(server, request('1.5'))).toBe('accepted')
  expect(await ask(server, request('1.5'))).toEqual(invalidMac)
  expect(await ask(server, request('1.50'))).toBe('accepted')
  expect(reasons(server)).toEqual(['the nonce was used before'])
})

test('SW4 macHeader takes such a nonce for draft -00', () => {
  const request = { id: 'token', key: 'key', method: 'GET', url: 'https://api.example.com/' }
  expect(macHeader({ ...request, nonce: '1.000123:n' }).Authorization).toMatch(/^MAC id="token", nonce="1\.000123:n", mac="/)
  expect(macHeader({ ...request, nonce: '1.0000001:n' }).Authorization).toMatch(/^MAC id="token", ts="/)
})

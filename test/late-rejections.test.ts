/** A function that has to answer at once and returns a promise has answered nothing; that the promise rejects must not end the process. */
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals'
import { setTimeout as pause } from 'node:timers/promises'
import { requireAccessToken, tokenHandler, type AccessTokenRequirement, type ServerOptions } from '../src/index.js'
import { basic, machine, testServer } from './support/server.js'
import { Resources } from './support/wire.js'

const resources = new Resources()
const unhandled: unknown[] = []
const note = (reason: unknown) => void unhandled.push(reason)
beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
  process.on('unhandledRejection', note)
})
afterEach(() => resources.close())
afterAll(() => {
  process.off('unhandledRejection', note)
  jest.restoreAllMocks()
})

const rejecting = () => Promise.reject(new Error('no connection')) as never
const body = 'grant_type=client_credentials'
const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '192.0.2.1' }

/** Node tells of rejections at the end of a turn. */
async function told(): Promise<readonly unknown[]> {
  await pause(10)
  return unhandled
}

test.each<[option: string, more: ServerOptions, status: number]>([
  ['accessTokenLifetime', { accessTokenLifetime: rejecting }, 500],
  ['available', { available: rejecting }, 500],
  ['trustProxy', { trustProxy: rejecting }, 200],
])('R4 of the option %s', async (_option, more, status) => {
  const { options } = testServer({ allowInsecureTransport: true, ...more })
  const { url } = await resources.listen(tokenHandler(options))
  const headers = { ...forwarded, ...basic(machine), 'content-type': 'application/x-www-form-urlencoded' }
  expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(status)
  expect(await told()).toEqual([])
})

test.each<[what: string, more: ServerOptions, requirement: AccessTokenRequirement, status: number]>([
  ['the scope of a guard', {}, { scope: rejecting }, 500],
  ['trustProxy, at a guard', { trustProxy: rejecting }, {}, 401],
])('R4 I10 of %s', async (_what, more, requirement, status) => {
  const guard = requireAccessToken(testServer({ allowInsecureTransport: true, ...more }).options, requirement)
  const { url } = await resources.listen((req, res) => guard(req, res, () => res.end('passed')))
  expect((await fetch(url, { headers: { ...forwarded, authorization: 'Bearer x' } })).status).toBe(status)
  expect(await told()).toEqual([])
})

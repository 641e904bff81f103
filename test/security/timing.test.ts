/**
 * C6: an unknown client is refused in the time that a wrong secret takes. Samples of both are taken in turn and compared by Welch's t; a
 * server that returns early for unknown clients shows that the measurement would see it.
 */
import { randomBytes } from 'node:crypto'
import { expect, jest, test } from '@jest/globals'
import { clientSecretBasic, createTokenResponse, type ServerOptions } from '../../src/index.js'
import { basic, formRequest, machine, web } from '../support/server.js'
import { patience, sizes } from './sizes.js'

jest.setTimeout(patience)

/** Beyond this a difference is not chance: about one in ten million. */
const limit = 5
/**
 * Nanoseconds of difference that are let pass: finding an id in a table takes some 25 more than not finding it, which is far below what
 * a hash takes (a thousand and more) and what a network lets through.
 */
const margin = 100
const warmUp = 1_000

/** A server that verifies nothing where there is nothing to verify against. */
const earlyReturn = {
  ...clientSecretBasic(),
  verify: (...[credentials, client, now]: Parameters<ReturnType<typeof clientSecretBasic>['verify']>) =>
    client.client_id === '' ? false : clientSecretBasic().verify(credentials, client, now),
}

function optionsWith(clientAuthenticationMethods: ServerOptions['clientAuthenticationMethods'] = [clientSecretBasic()]): ServerOptions {
  return { clients: [web, machine], clientAuthenticationMethods }
}

function refusedRequest(client_id: string) {
  const client_secret = randomBytes(24).toString('base64url')
  return formRequest({ grant_type: 'client_credentials' }, basic({ client_id, client_secret }))
}

async function timeOf(options: ServerOptions, client_id: string): Promise<number> {
  const request = refusedRequest(client_id)
  const before = process.hrtime.bigint()
  const { status } = await createTokenResponse(options, request)
  const nanoseconds = Number(process.hrtime.bigint() - before)
  if (status !== 401) throw new Error(`answered ${status}`)
  return nanoseconds
}

/** Both kinds in turn, each pair in random order, without the slowest tenth of all. */
async function sample(options: ServerOptions, count: number): Promise<{ unknown: number[]; wrong: number[] }> {
  const unknown: number[] = []
  const wrong: number[] = []
  for (let i = -warmUp; i < count; i++) {
    const unknownFirst = Math.random() < 0.5
    // Ids of one length, so that reading the header is the same work.
    const one = await timeOf(options, unknownFirst ? 'manhole' : 'machine')
    const other = await timeOf(options, unknownFirst ? 'machine' : 'manhole')
    if (i < 0) continue
    unknown.push(unknownFirst ? one : other)
    wrong.push(unknownFirst ? other : one)
  }
  const slowest = [...unknown, ...wrong].sort((a, b) => a - b)[Math.floor(count * 1.8)] ?? Infinity
  const cropped = (times: number[]) => times.filter((time) => time < slowest)
  return { unknown: cropped(unknown), wrong: cropped(wrong) }
}

/** Welch's t: by how much two means differ beyond the margin, in units of the standard error of the difference. */
function welch(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const errorOf = (values: readonly number[], center: number) =>
    values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1) / values.length
  const [left, right] = [mean(a), mean(b)]
  return Math.max(0, Math.abs(left - right) - margin) / Math.sqrt(errorOf(a, left) + errorOf(b, right))
}

async function measure(options: ServerOptions): Promise<number> {
  const { unknown, wrong } = await sample(options, sizes.timingSamples)
  return welch(unknown, wrong)
}

/** Whether a difference shows in each of three attempts, or at least in one. Chance does not strike three times, a leak does. */
async function shows(options: ServerOptions, attempts: 'always' | 'once'): Promise<{ shown: boolean; t: number[] }> {
  const t: number[] = []
  while (t.length < 3) {
    t.push(await measure(options))
    const isSeen = (t.at(-1) ?? 0) >= limit
    if (isSeen === (attempts === 'once')) return { shown: isSeen, t }
  }
  return { shown: attempts === 'always', t }
}

test('C6 an unknown client is refused in the time of a wrong secret', async () => {
  expect(await shows(optionsWith(), 'always')).toMatchObject({ shown: false })
})

test('C6 an early return for unknown clients would be seen', async () => {
  expect(await shows(optionsWith([earlyReturn]), 'once')).toMatchObject({ shown: true })
})

test('C6 unknown client, wrong secret, disabled client, wrong method: the same bytes', async () => {
  const disabled = { ...machine, client_id: 'disabled', disabled: true }
  const poster = { ...machine, client_id: 'poster', token_endpoint_auth_method: 'client_secret_post' }
  const expired = {
    client_id: 'expired',
    secrets: [{ hash: `sha256:${'A'.repeat(43)}`, expiresAt: 1 }],
    grant_types: ['client_credentials'],
  }
  const options = { clients: [machine, disabled, poster, expired] }
  const ask = (client_id: string, client_secret: string) =>
    createTokenResponse(options, formRequest({ grant_type: 'client_credentials' }, basic({ client_id, client_secret })))
  const answers = await Promise.all([
    ask('unknown', machine.client_secret),
    ask('machine', 'wrong'),
    ask('disabled', machine.client_secret),
    ask('poster', machine.client_secret),
    ask('expired', 'any'),
  ])
  const [first, ...others] = answers
  expect(first.status).toBe(401)
  for (const other of others) expect(other).toEqual(first)
})

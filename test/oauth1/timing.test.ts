import { expect, test } from '@jest/globals'
import type { ProtocolRequest } from '../../src/index.js'
import { sizes } from '../security/sizes.js'
import { client, oauth1Server, resource, resourceUrl, signed, tokenFor, type OAuth1Server, type Signer } from './support.js'

const samples = sizes.timingSamples
const attempts = 3
/** |t| from which two means are told apart; at 5,000 samples a side chance exceeds it once in some ten thousand runs. */
const threshold = 4
const xs = (size: number) => 'x'.repeat(size)

interface Sums {
  readonly mean: number
  readonly variance: number
  readonly size: number
}

/** Welch's t of two sets of times */
function welch(left: Sums, right: Sums): number {
  return (left.mean - right.mean) / Math.sqrt(left.variance / left.size + right.variance / right.size)
}

/** Without the slowest twentieth, which belongs to the collector of garbage. */
function summed(times: readonly number[]): Sums {
  const kept = [...times].sort((a, b) => a - b).slice(0, Math.ceil(times.length * 0.95))
  const mean = kept.reduce((sum, time) => sum + time, 0) / kept.length
  return { mean, variance: kept.reduce((sum, time) => sum + (time - mean) ** 2, 0) / (kept.length - 1), size: kept.length }
}

type Work = () => Promise<unknown>

/** Times of `a` and of `b`, in interleaved samples whose order is drawn each time. */
async function compare(a: () => Work, b: () => Work, size: number): Promise<readonly [Sums, Sums]> {
  const times: readonly [number[], number[]] = [[], []]
  for (let i = 0; i < size; i++) {
    const order = Math.random() < 0.5 ? ([0, 1] as const) : ([1, 0] as const)
    for (const side of order) {
      const work = side === 0 ? a() : b()
      const before = process.hrtime.bigint()
      await work()
      times[side].push(Number(process.hrtime.bigint() - before))
    }
  }
  return [summed(times[0]), summed(times[1])]
}

/** Whether one of three measurements in a row finds the two alike. */
async function looksTheSame(a: () => Work, b: () => Work, alike: (left: Sums, right: Sums) => boolean): Promise<boolean> {
  await compare(a, b, 1000)
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (alike(...(await compare(a, b, samples)))) return true
  }
  return false
}

/** Requests of one length, made before the clock runs. */
const requests = (server: OAuth1Server, signer: Signer) => (): Work => {
  const request: ProtocolRequest = signed(resourceUrl, signer, { method: 'GET' })
  return () => resource(server, request)
}

test('O6 an unknown client takes as long as a wrong signature', async () => {
  const server = oauth1Server()
  const token = await tokenFor(server)
  const unknown = requests(server, { client_id: xs(client.client_id.length), client_secret: 'wrong', token })
  const wrong = requests(server, { ...client, client_secret: 'wrong', token })
  expect(await looksTheSame(unknown, wrong, (left, right) => Math.abs(welch(left, right)) < threshold)).toBe(true)
}, 60_000)

test('O6 an unknown token takes as long as a wrong signature, but for what it costs to await a record and not undefined', async () => {
  const server = oauth1Server()
  const token = await tokenFor(server)
  const unknown = requests(server, { ...client, token: { oauth_token: `${xs(22)}.${xs(22)}`, oauth_token_secret: 'wrong' } })
  const wrong = requests(server, { ...client, client_secret: 'wrong', token })
  // That is less than a microsecond, about one in a hundred; no early return is so small.
  expect(await looksTheSame(unknown, wrong, (left, right) => Math.abs(left.mean / right.mean - 1) < 0.05)).toBe(true)
}, 60_000)

test('O6 both measurements see an early return (the control)', async () => {
  const server = oauth1Server()
  const token = await tokenFor(server)
  const wrong = requests(server, { ...client, client_secret: 'wrong', token })
  const early = (): Work => {
    const request = signed(resourceUrl, { client_id: 'nobody', client_secret: 'wrong', token }, { method: 'GET' })
    const authorization = String(request.headers.authorization).replace('oauth_n', 'oauth_x')
    // What an early return would do: answer before the look-ups and the signature, after the header was read.
    return () => resource(server, { ...request, headers: { authorization } })
  }
  const [left, right] = await compare(early, wrong, samples / 5)
  expect(welch(left, right)).toBeLessThan(-threshold)
  expect(left.mean / right.mean).toBeLessThan(0.95)
}, 60_000)

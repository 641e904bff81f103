/** A slow hash is computed once in a process for a right secret, and each time for a wrong one: row OP10, beside C6. */
import { describe, expect, test } from '@jest/globals'
import { scryptSync } from 'node:crypto'
import { hashClientSecret, type ClientMetadata } from '../src/index.js'
import { isRememberedSecret, rememberSecret } from '../src/clients/verified-secrets.js'
import { basic, start, testServer } from './support/server.js'

const grant_type = 'client_credentials'
const client_id = 'machine'
const registered = { client_id, grant_types: [grant_type] } as const
const quick = { N: 8192, r: 8, p: 1 }

function slowHash(secret: string, salt: string): string {
  const { N, r, p } = quick
  return `scrypt:${N}:${r}:${p}:${salt}:${scryptSync(secret, salt, 32, quick).toString('base64url')}`
}

const cost = (client_secret: string, server: ReturnType<typeof testServer>, id = client_id) => timed(() => server.token({ grant_type }, basic({ client_id: id, client_secret }))) // prettier-ignore

async function timed<T extends { readonly status: number }>(work: () => Promise<T>) {
  const begun = performance.now()
  const { status } = await work()
  return { status, time: performance.now() - begun }
}

const median = (times: readonly number[]) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0

async function medianOf(count: number, work: () => Promise<{ readonly time: number }>): Promise<number> {
  const times: number[] = []
  while (times.length < count) times.push((await work()).time)
  return median(times)
}

describe('OP10 a slow hash', () => {
  test('OP10 of a right secret is computed once: the second request takes less than a tenth of the first', async () => {
    const server = testServer({ clients: [{ ...registered, secrets: [{ hash: slowHash('chosen by a person', 'saltsaltsaltsalt0') }] }] })
    const first = await cost('chosen by a person', server)
    const later = await medianOf(9, () => cost('chosen by a person', server))
    expect(first.status).toBe(200)
    expect(first.time / later).toBeGreaterThan(10)
  })

  test('OP10 and C6 of a wrong secret is computed each time, as for an unknown client and for one that is disabled', async () => {
    const secrets = [{ hash: slowHash('chosen', 'saltsaltsaltsalt3') }]
    const others: ClientMetadata[] = [{ client_id: 'disabled', secrets, disabled: true, grant_types: [grant_type] }]
    const server = testServer({ clients: [{ ...registered, secrets }, ...others], failedAuthenticationLimit: false })
    expect((await cost('chosen', server)).status).toBe(200)
    const right = await medianOf(5, () => cost('chosen', server))
    const refusals = [['wrong', client_id], ['chosen', 'unknown'], ['chosen', 'disabled'], ['wrong', 'disabled']] as const // prettier-ignore
    for (const [client_secret, id] of refusals) {
      expect((await cost(client_secret, server, id)).status).toBe(401)
      expect((await medianOf(3, () => cost(client_secret, server, id))) / right).toBeGreaterThan(10)
    }
  })

  test('OP10 that is replaced, or has expired, is not known any more', async () => {
    let client: ClientMetadata = { ...registered, secrets: [{ hash: slowHash('first', 'saltsaltsaltsalt1') }] }
    const server = testServer({ clients: () => client })
    expect((await cost('first', server)).status).toBe(200)
    expect((await cost('first', server)).status).toBe(200)
    const hash = slowHash('second', 'saltsaltsaltsalt2')
    client = { ...registered, secrets: [{ hash }] }
    expect((await cost('first', server)).status).toBe(401)
    expect((await cost('second', server)).status).toBe(200)
    expect((await cost('second', server)).status).toBe(200)
    client = { ...registered, secrets: [{ hash, expiresAt: start }] }
    expect((await cost('second', server)).status).toBe(401)
  })

  test('OP10 is remembered with its secret, and up to 1,000 of them', () => {
    for (let i = 0; i < 1_001; i++) rememberSecret(`secret ${i}`, `hash ${i}`)
    expect(isRememberedSecret('secret 0', 'hash 0')).toBe(false)
    expect(isRememberedSecret('secret 1', 'hash 1')).toBe(true)
    expect(isRememberedSecret('secret 1000', 'hash 1000')).toBe(true)
    expect(isRememberedSecret('secret 1000', 'hash 999')).toBe(false)
    rememberSecret('another', 'hash 1000')
    expect(isRememberedSecret('secret 1000', 'hash 1000')).toBe(false)
  })

  test('OP10 beside a generated secret is not computed for the generated one', async () => {
    const generated = 'a-generated-secret-of-many-characters-0123456789'
    const secrets = [{ hash: await hashClientSecret(generated, { generated: true }) }, { hash: slowHash('old', 'saltsaltsaltsalt4') }]
    const server = testServer({ clients: [{ ...registered, secrets }] })
    const fast = await medianOf(5, () => cost(generated, server))
    const slow = await cost('wrong', server)
    expect(slow.time / fast).toBeGreaterThan(10)
  })
})

/**
 * Lists of any length in a process with little room: all authorizations of one client, and all clients. Each record is one that the package wrote, multiplied
 * under ids of its own.
 */
import { createHash } from 'node:crypto'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { findClient, saveClient, type Store, type StoredRecord } from 'oauth2-token-handler'
import { patience, sizes } from '../security/sizes.js'
import { redisBinary, startOwnRedis, type OwnServer } from '../support/own-servers.js'
import { testServer, web } from '../support/server.js'
import { describeWith, openPostgres, openRedis } from '../support/services.js'
import { recordOf, serverOfStoredClients } from '../support/stored.js'
import type { Listing, ListingReport } from './listing-child.js'

jest.setTimeout(patience)

/** A process that cannot keep what it has listed. */
async function listInChild(listing: Listing): Promise<ListingReport> {
  const child = fork(new URL('listing-child.ts', import.meta.url), [JSON.stringify(listing)], {
    execArgv: ['--import', 'tsx', '--expose-gc', '--max-semi-space-size=4', '--max-old-space-size=128'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  try {
    const report = once(child, 'message') as Promise<[ListingReport]>
    const end = once(child, 'exit').then(() => Promise.reject(new Error('the process ended without a report')))
    const [answer] = await Promise.race([report, end])
    if (process.env.FIGURES === '1') process.stderr.write(`${JSON.stringify({ listing, answer })}\n`)
    return answer
  } finally {
    child.kill()
  }
}

/** How much the heap grew, in megabytes, from the first sample to the largest of the later ones. */
const growth = ({ heap: [first = 0, ...later] }: ListingReport) => Math.max(...later) - first

/** Everything is listed, and the heap is as large in the end as in the beginning. */
async function expectFlat(listing: Listing): Promise<void> {
  const report = await listInChild(listing)
  expect(report.count).toBe(listing.count)
  expect(growth(report)).toBeLessThan(4)
}

/** A client of the store, told apart by its number. */
const numbered = (number: number) => `web-${number}`

/** The record of one Authorization and of one client, as the package writes them. */
async function templates(store: Store): Promise<{ authorization: StoredRecord; client: StoredRecord }> {
  const { access_token } = await testServer({ store }).tokens()
  await saveClient(serverOfStoredClients({ store }).options, { ...web, client_id: numbered(0) })
  const client = await store.get(clientRecordId(numbered(0)))
  if (client === undefined) throw new Error('a client is not where it is expected')
  return { authorization: await recordOf(store, access_token), client }
}

const digest = (text: string) => createHash('sha256').update(text).digest('base64url')
const clientRecordId = (client_id: string) => `client:${digest(JSON.stringify([null, client_id]))}`

describeWith('PostgreSQL')('PostgreSQL', () => {
  let place: Awaited<ReturnType<typeof openPostgres>>
  beforeAll(async () => {
    place = await openPostgres()
    const { authorization, client } = await templates(place.store)
    const multiply = (count: number, columns: string, { id }: StoredRecord) =>
      place.pool.query(`INSERT INTO ${place.table} SELECT ${columns} FROM ${place.table}, generate_series(1, ${count - 1}) AS n WHERE id = $1`, [id]) // prettier-ignore
    await multiply(
      sizes.listedInPostgres,
      "left(md5(n::text) || md5(n::text), 22), left(md5('v' || n), 22), kind, client_id, 'subject-' || n / 2, expires_at, document",
      authorization,
    )
    const clientId = `'client:' || translate(encode(sha256(convert_to('[null,"web-' || n || '"]', 'UTF8')), 'base64'), '+/=', '-_')`
    await multiply(
      sizes.listedClients,
      `${clientId}, left(md5('v' || n), 22), kind, 'web-' || n, subject, expires_at, replace(document::text, '"web-0"', '"web-' || n || '"')::json`,
      client,
    )
    await place.pool.query(`ANALYZE ${place.table}`)
  })
  afterAll(() => place.close())

  test(`OP13 ${sizes.listedInPostgres} authorizations of one client are listed in flat memory`, () =>
    expectFlat({ address: place.address, what: 'authorizations', count: sizes.listedInPostgres }))

  test(`OP14 ${sizes.listedClients} clients are listed in flat memory`, async () => {
    await expectFlat({ address: place.address, what: 'clients', count: sizes.listedClients })
    const last = numbered(sizes.listedClients - 1)
    expect(await findClient(serverOfStoredClients({ store: place.store }).options, last)).toMatchObject({ client_id: last })
  })

  test('OP13 the same measurement sees a list that is kept', async () => {
    const { pool, table } = place
    // Of a part that fits into the process.
    await pool.query(`CREATE TABLE ${table}_part (LIKE ${table} INCLUDING ALL)`)
    await pool.query(`INSERT INTO ${table}_part SELECT * FROM ${table} WHERE kind = 'authorization' LIMIT 20000`)
    const address = { ...place.address, table: `${table}_part` }
    expect(growth(await listInChild({ address, what: 'authorizations', count: 20_000, keeps: true }))).toBeGreaterThan(6)
  })
})

const declareRedis = redisBinary() === undefined ? describe.skip : describeWith('Redis')

declareRedis('Redis', () => {
  let own: OwnServer
  let place: Awaited<ReturnType<typeof openRedis>>
  beforeAll(async () => {
    own = await startOwnRedis('--appendonly', 'no')
    place = await openRedis({}, own.url)
    const { authorization, client } = await templates(place.store)
    const clientList = `client:${digest(web.client_id)}`
    await multiply(
      authorization,
      sizes.listedInRedis,
      (n) => digest(`${n}`).slice(0, 22),
      [clientList],
      (text) => text,
    )
    await multiply(
      client,
      sizes.listedClients,
      (n) => clientRecordId(numbered(n)),
      clientSets,
      (text, n) => text.replaceAll(`"${numbered(0)}"`, `"${numbered(n)}"`).replaceAll(`\\"${numbered(0)}\\"`, `\\"${numbered(n)}\\"`),
    )
  })
  afterAll(async () => {
    await place.sendCommand(['FLUSHALL'], '')
    await place.close()
    await own.remove()
  })

  const clientSets = ['{clients}:ids', '{clients}:ends']

  /** Writes copies of a record, and their ids to the sorted sets of the store, with the scores that the record has there. */
  async function multiply(
    { id }: StoredRecord,
    count: number,
    idOf: (n: number) => string,
    sets: readonly string[],
    changed: (text: string, n: number) => string,
  ): Promise<void> {
    const { sendCommand, prefix } = place
    const text = String(await sendCommand(['GET', `${prefix}record:${id}`], ''))
    const atOnce = 1000
    for (let begin = 1; begin < count; begin += atOnce) {
      const numbers = Array.from({ length: Math.min(atOnce, count - begin) }, (_, i) => begin + i)
      await sendCommand(['MSET', ...numbers.flatMap((n) => [`${prefix}record:${idOf(n)}`, changed(text, n)])], '')
      for (const set of sets) {
        const score = String(await sendCommand(['ZSCORE', prefix + set, id], ''))
        await sendCommand(['ZADD', prefix + set, ...numbers.flatMap((n) => [score, idOf(n)])], '')
      }
    }
  }

  test(`OP13 ${sizes.listedInRedis} authorizations of one client are listed in flat memory`, () =>
    expectFlat({ address: place.address, what: 'authorizations', count: sizes.listedInRedis }))

  test(`OP14 ${sizes.listedClients} clients are listed in flat memory`, () =>
    expectFlat({ address: place.address, what: 'clients', count: sizes.listedClients }))

  test(`OP14 ${sizes.listedClients} clients of an earlier release, which wrote no sets, are listed after some attempts of processes that end`, async () => {
    for (const set of [...clientSets, '{clients}:complete']) await place.sendCommand(['DEL', place.prefix + set], '')
    const listing: Listing = { address: place.address, what: 'clients', count: sizes.listedClients }
    let attempts = 1
    for (; ; attempts++) {
      const report = await listInChild(listing).catch(() => undefined)
      if (report !== undefined) break
      const added = Number(await place.sendCommand(['ZCARD', `${place.prefix}{clients}:ids`], ''))
      if (process.env.FIGURES === '1') process.stderr.write(`attempt ${attempts}: ${added} clients\n`)
      expect(attempts).toBeLessThan(5)
    }
    await expectFlat(listing)
  })
})

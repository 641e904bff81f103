/** All that was made for a client ends with one write of one process, and every other process sees it with its next request: rows OP13. */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { listAuthorizations, saveClient, type Store } from 'oauth2-token-handler'
import { patience } from '../security/sizes.js'
import { basic, testServer, web, type Tokens } from '../support/server.js'
import { describeWith, openPostgres, openRedis, type Place } from '../support/services.js'
import { invalidGrant, recordOf, serverOfStoredClients } from '../support/stored.js'
import { startWorkers, type RemoteServer, type Worker } from '../support/workers.js'

jest.setTimeout(patience)

const copies = 10_000
/** The id of a copy. */
const numbered = (number: number) => String(number).padStart(22, '0')

/** Copies of the Authorization of a token, under ids of their own. */
async function multiply(store: Store, access_token: string): Promise<void> {
  const record = await recordOf(store, access_token)
  for (let begin = 0; begin < copies; begin += 200) {
    await Promise.all(Array.from({ length: 200 }, async (_, i) => store.create({ ...record, id: numbered(begin + i) })))
  }
}

/** The ids and versions of all Authorizations of the client. */
async function versions(store: Store): Promise<string[]> {
  const found: string[] = []
  for await (const { id, version } of store.list({ client_id: web.client_id })) found.push(`${id} ${version}`)
  return found.sort()
}

/** How many of them are live, as the application is told. */
async function live(store: Store): Promise<number> {
  let count = 0
  for await (const _one of listAuthorizations(serverOfStoredClients({ store }).options, { client_id: web.client_id })) count++
  return count
}

function endsEverywhere(open: () => Promise<Place>): void {
  let place: Place
  let workers: readonly Worker[] = []
  let writer: RemoteServer
  let others: readonly RemoteServer[] = []
  beforeAll(async () => {
    place = await open()
    const { options } = serverOfStoredClients({ store: place.store })
    await saveClient(options, web)
    const settings = { storesClients: true, options: { allowInsecureTransport: true } }
    workers = await startWorkers(4, { address: place.address, servers: { stored: settings } })
    const [first, ...rest] = workers.map((worker) => worker.server('stored'))
    if (first === undefined) throw new Error('there is no worker')
    writer = first
    others = rest
  })
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.kill()))
    await place.close()
  })

  const everywhere = <T>(ask: (other: RemoteServer) => Promise<T>) => Promise.all(others.map(ask))

  test('OP13 10,000 authorizations of one client are ended by one write of one process, and three others refuse at once', async () => {
    const issued = async (): Promise<Tokens> => testServer({ store: place.store }).tokens()
    const [session, copied, ...spare] = await Promise.all(Array.from({ length: 5 }, issued))
    if (session === undefined || copied === undefined) throw new Error('there are no tokens')
    await multiply(place.store, copied.access_token)
    const tokens = [session.access_token, copied.access_token]
    // All have answered before, so whatever a process keeps about the client it has by now.
    for (const token of tokens) {
      expect(await everywhere((other) => other.guard(token))).toEqual([200, 200, 200])
      for (const { json } of await everywhere((other) => other.introspect({ token }, basic(web)))) expect(json.active).toBe(true)
    }
    const form = ({ refresh_token }: Tokens) => ({ grant_type: 'refresh_token', refresh_token })
    const refreshed = await writer.token(form(session), basic(web))
    expect(refreshed.status).toBe(200)
    expect(await live(place.store)).toBe(copies + 5)
    const before = await versions(place.store)

    await writer.endClient()

    for (const token of [...tokens, String(refreshed.json.access_token)]) {
      expect(await everywhere((other) => other.guard(token))).toEqual([401, 401, 401])
      for (const { json } of await everywhere((other) => other.introspect({ token }, basic(web)))) expect(json).toEqual({ active: false })
    }
    const answers = await Promise.all(others.map((other, position) => other.token(form(spare[position] ?? session), basic(web))))
    expect(answers).toEqual(answers.map(() => ({ status: 400, json: JSON.parse(invalidGrant.body) as unknown })))
    expect(await live(place.store)).toBe(0)
    // Nothing but the record of the client was written.
    expect(await versions(place.store)).toEqual(before)
  })
}

describeWith('PostgreSQL')('over PostgreSQL', () => endsEverywhere(openPostgres))
describeWith('Redis')('over Redis', () => endsEverywhere(openRedis))

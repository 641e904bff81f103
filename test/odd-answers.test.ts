/** Promises that are none of the language's, and answers that are none at all: what an application's functions and stores may hand over. */
import { describe, expect, test } from '@jest/globals'
import {
  createTokenResponse,
  InvalidGrant,
  memoryStore,
  type ClientAuthenticationMethod,
  type Grant,
  type ServerOptions,
  type Store,
} from '../src/index.js'
import { basic, formRequest, machine, start, testServer } from './support/server.js'

/** As stubs of remote objects are: it can be waited for, and called as well. */
function callable<T>(promise: Promise<T>): Promise<T> {
  return Object.assign(() => undefined, { then: promise.then.bind(promise), catch: promise.catch.bind(promise) }) as unknown as Promise<T>
}

/** The least that `await` waits for: its `then` returns nothing. */
function minimal<T>(promise: Promise<T>): Promise<T> {
  const then = (resolve: (value: T) => void, reject: (thrown: unknown) => void) => void promise.then(resolve, reject)
  return { then } as unknown as Promise<T>
}

const kinds: [name: string, make: <T>(promise: Promise<T>) => Promise<T>][] = [
  ['a promise that can be called', callable],
  ['the least of a promise', minimal],
]
const form = { grant_type: 'client_credentials', scope: 'read' }

async function statusWith(options: ServerOptions, sent: Readonly<Record<string, string>> = form): Promise<number> {
  return (await testServer({ clients: [machine], ...options }).token(sent, basic(machine))).status
}

describe.each(kinds)('%s', (_name, make) => {
  const custom = (authorize: Grant['authorize'], limitedBy?: string): ServerOptions => ({
    grants: [{ type: 'urn:example:grant', authorize, ...(limitedBy === undefined ? {} : { limitedBy }) }],
    clients: [{ ...machine, grant_types: ['urn:example:grant'] }],
  })
  const asked = { grant_type: 'urn:example:grant', username: 'ann' }
  const no = () => Promise.reject(new InvalidGrant())

  test('G1 of a grant that refuses is a refusal, and of one that authorises a success', async () => {
    for (const limitedBy of [undefined, 'username']) {
      expect(
        await statusWith(
          custom(() => make(no()), limitedBy),
          asked,
        ),
      ).toBe(400)
      expect(
        await statusWith(
          custom(() => make(Promise.resolve({ subject: 'ann' })), limitedBy),
          asked,
        ),
      ).toBe(200)
    }
  })

  test('C1 of false proves no client', async () => {
    const method = (answer: boolean): ClientAuthenticationMethod => ({
      name: 'client_secret_basic',
      presented: () => ({ client_id: machine.client_id }),
      verify: () => make(Promise.resolve(answer)),
    })
    expect(await statusWith({ clientAuthenticationMethods: [method(true)] })).toBe(200)
    expect(await statusWith({ clientAuthenticationMethods: [method(false)] })).toBe(401)
  })

  test('R4 of a store is its answer', async () => {
    const memory = memoryStore({ clock: () => start })
    const store = (create: () => Promise<boolean>): Store => ({ ...memory, get: async () => undefined, create: () => make(create()) })
    expect(await statusWith({ store: store(() => Promise.resolve(true)) })).toBe(200)
    expect(await statusWith({ store: store(() => Promise.resolve(false)) })).toBe(500)
    expect(await statusWith({ store: store(() => Promise.reject(new Error('down'))) })).toBe(503)
  })
})

test.each([1, 'yes', {}, null])('C1 a method of client authentication that answers %p has proved nothing', async (answer) => {
  const method = { name: 'client_secret_basic', presented: () => ({ client_id: machine.client_id }), verify: () => answer as never }
  expect(await statusWith({ clientAuthenticationMethods: [method] })).toBe(401)
})

test.each([1, 'OK', {}])('I2 of a store that answers %p for a write, the record is read again', async (answer) => {
  const memory = memoryStore({ clock: () => start })
  const kept: Store = { ...memory, create: (record) => (void memory.create(record), answer as never) }
  const lost: Store = { ...memory, create: () => answer as never }
  expect(await statusWith({ store: kept })).toBe(200)
  expect(await statusWith({ store: lost })).toBe(500)
})

test('T6 a body that is a method of its request is called as one', async () => {
  const { options } = testServer()
  const request = { ...formRequest('', basic(machine)), text: 'grant_type=client_credentials', body() { return this.text } } // prettier-ignore
  expect((await createTokenResponse(options, request)).status).toBe(200)
})

test('C9 a counter that takes its time is asked again when the secret was compared', async () => {
  let failures = 0
  const later = () => new Promise((resolve) => setTimeout(resolve, 5))
  const counter = {
    retryAfter: async () => (await later(), failures >= 20 ? 60 : 0),
    failed: async () => {
      await later()
      failures++
    },
  }
  const { options } = testServer({ failedAuthenticationLimit: counter })
  const ask = async (client_secret: string) => {
    const request = { ...formRequest(form, basic({ ...machine, client_secret })), address: '192.0.2.1' }
    return (await createTokenResponse(options, request)).status
  }
  failures = 19
  const wrong = ask('wrong')
  await later()
  // Asked while the twentieth failure is on its way, told after it has arrived.
  failures = 20
  expect([await ask(machine.client_secret), await wrong]).toEqual([429, 429])
  failures = 0
  const right = ask(machine.client_secret)
  await new Promise((resolve) => setTimeout(resolve, 7))
  failures = 20
  expect(await right).toBe(429)
})

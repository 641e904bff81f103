/** Where clients come from: an array, or a function that answers, fails, hangs, or answers with something else. Row C10. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import {
  createTokenResponse,
  deleteClient,
  findClient,
  InvalidClient,
  memoryStore,
  registerClient,
  registrationHandler,
  saveClient,
  tokenHandler,
  type ClientMetadata,
  type FindClient,
  type ServerOptions,
  type Store,
} from '../src/index.js'
import { configure } from '../src/configuration/configure.js'
import { basic, formRequest, machine, testServer } from './support/server.js'
import { serverOfStoredClients } from './support/stored.js'

const grant_type = 'client_credentials'

let warnings: string[] = []
beforeEach(() => {
  warnings = []
  jest.spyOn(console, 'warn').mockImplementation((text: string) => void warnings.push(text))
})
afterEach(() => {
  jest.restoreAllMocks()
})
const refused = '{"error":"invalid_client","error_description":"client authentication failed"}'

function ask(clients: FindClient, storeTimeout = 2000) {
  const server = testServer({ clients, storeTimeout })
  return { server, response: server.token({ grant_type }, basic(machine)) }
}

describe('a clients function', () => {
  it.each<[string, FindClient]>([
    ['answers at once', (client_id) => (client_id === 'machine' ? machine : undefined)],
    ['answers later', async (client_id) => (client_id === 'machine' ? machine : undefined)],
    ['answers with a class instance', () => Object.assign(Object.create({ toString: () => 'a row' }) as object, machine)],
  ])('C10 it %s', async (_case, find) => {
    const { response } = ask(find)
    expect((await response).status).toBe(200)
  })

  it.each([undefined, null])('C10 %s means that there is no such client', async (nobody) => {
    const { response, server } = ask(() => nobody)
    expect((await response).body).toBe(refused)
    expect(server.events).toMatchObject([{ type: 'request.refused', reason: 'unknown client' }])
  })

  it('C10 it is asked at each request, and only for the client that asks', async () => {
    const asked: string[] = []
    const { server, response } = ask((client_id) => {
      asked.push(client_id)
      return machine
    })
    await response
    await server.token({ grant_type }, basic(machine))
    expect(asked).toEqual(['machine', 'machine'])
  })

  const impossible = ['', 'a'.repeat(256), 'caf\u00e9', 'a\u0000b', 'a\nb', '\u007f', '🔑']
  it.each(impossible)('C10 it is never asked for %j', async (client_id) => {
    const asked: string[] = []
    const server = testServer({ clients: (id) => void asked.push(id) })
    const client = { client_id, client_secret: 'secret' }
    expect((await server.token({ grant_type }, basic(client))).body).toBe(refused)
    expect((await server.token({ grant_type, ...client })).body).toBe(refused)
    expect((await server.token({ grant_type, client_id })).body).toBe(refused)
    expect(asked).toEqual([])
  })

  it('C10 255 visible characters are asked for', async () => {
    const asked: string[] = []
    const server = testServer({ clients: (id) => void asked.push(id) })
    await server.token({ grant_type }, basic({ client_id: '~ '.repeat(127) + '!', client_secret: 'a' }))
    expect(asked).toEqual(['~ '.repeat(127) + '!'])
  })

  it.each<[string, FindClient]>([
    [
      'throws',
      () => {
        throw new Error('password=hunter2')
      },
    ],
    ['rejects', () => Promise.reject(new Error('password=hunter2'))],
    ['rejects with a text', () => Promise.reject('password=hunter2')],
  ])('C10 one that %s is answered 500 without detail', async (_case, find) => {
    // prettier-ignore
    const { response, server } = ask(find)
    const { status, body } = await response
    expect(body).toBe('{"error":"server_error","error_description":"the server met an unexpected condition"}')
    expect(status).toBe(500)
    expect(server.events).toMatchObject([{ type: 'request.failed', status: 500, reason: 'the clients function failed' }])
    expect(JSON.stringify(server.events)).not.toContain('hunter2')
  })

  it('C10 one that throws an exported error refuses with it', async () => {
    const { response } = ask(() => {
      throw new InvalidClient('not today')
    })
    expect((await response).json).toEqual({ error: 'invalid_client', error_description: 'not today' })
  })

  it('C10 one that hangs is answered 503 with Retry-After', async () => {
    const { response, server } = ask(() => new Promise(() => undefined), 20)
    const { status, json, headers } = await response
    expect(json).toEqual({ error: 'temporarily_unavailable', error_description: 'the server is temporarily unable to answer' })
    expect(status).toBe(503)
    expect(headers['Retry-After']).toBe('1')
    expect(server.events).toMatchObject([{ type: 'request.failed', reason: 'the clients function did not answer in time' }])
  })

  it('C10 one that returns another client lets nobody in', async () => {
    const { response, server } = ask(() => ({ ...machine, client_id: 'Machine' }))
    expect((await response).body).toBe(refused)
    expect(server.events).toMatchObject([
      {
        type: 'warning',
        client_id: 'machine',
        reason: 'the clients function returned a client with another client_id; look it up by the client_id that it is given',
      },
      { type: 'request.refused', reason: 'the client is disabled, or cannot be used' },
    ])
  })

  it.each<[string, unknown]>([
    ['a text', 'machine'],
    ['an array', [machine]],
    ['no client_id', { client_secret: machine.client_secret }],
    ['scope that is not scope', { ...machine, scope: ['a b'] }],
    ['grant_types as a text', { ...machine, grant_types: 'client_credentials' }],
    ['disabled as a text', { ...machine, disabled: 'false' }],
    ['a bad redirect_uri', { ...machine, redirect_uris: ['javascript:alert(1)'] }],
  ])('C10 one that returns %s lets nobody in, and an event says why', async (_case, client) => {
    const { response, server } = ask(() => client as ClientMetadata)
    expect((await response).body).toBe(refused)
    expect(server.events.map(({ type }) => type)).toEqual(['warning', 'request.refused'])
    expect(JSON.stringify(server.events)).not.toContain(machine.client_secret)
  })

  it('C10 a client that is switched off between two requests is refused at the second', async () => {
    let disabled = false
    const { server, response } = ask(() => ({ ...machine, disabled }))
    expect((await response).status).toBe(200)
    disabled = true
    expect((await server.token({ grant_type }, basic(machine))).body).toBe(refused)
  })
})

describe('a clients array', () => {
  it('C10 it is read once: what is pushed later is unknown', async () => {
    const clients: ClientMetadata[] = [{ ...machine, client_id: 'first' }]
    const server = testServer({ clients })
    expect((await server.token({ grant_type }, basic({ ...machine, client_id: 'first' }))).status).toBe(200)
    clients.push(machine)
    expect((await server.token({ grant_type }, basic(machine))).body).toBe(refused)
  })

  it.each(['__proto__', 'constructor', 'toString'])('C10 %s is just an unknown client', async (client_id) => {
    expect((await testServer().token({ grant_type }, basic({ client_id, client_secret: 'a' }))).body).toBe(refused)
  })
})

describe('a row of the application’s own that cannot be used', () => {
  it('U19 null is absent, in every member', async () => {
    const absent = { scope: null, redirect_uris: null, defaultScope: null, disabled: null, introspect: null, token_endpoint_auth_method: null, client_name: null, accessTokenLifetime: null } // prettier-ignore
    const { response } = ask(() => ({ ...machine, ...absent }) as never)
    expect((await response).status).toBe(200)
    expect(warnings).toEqual([])
  })

  it('U19 null in place of a secret makes no client public', async () => {
    const { response } = ask(() => ({ client_id: 'machine', client_secret: null, grant_types: [grant_type] }) as never)
    expect((await response).body).toBe(refused)
  })

  it('U19 what is wrong is said on the console, once for each client, and as an event each time', async () => {
    const { server, response } = ask(() => ({ ...machine, grant_types: 'client_credentials' }) as never)
    await response
    await server.token({ grant_type }, basic(machine))
    expect(warnings).toEqual([
      'oauth2-token-handler: a client that was looked up cannot be used: client "machine": grant_types must be an array of strings that are not empty, not a string',
    ])
    const reason = 'the client cannot be used: grant_types must be an array of strings that are not empty'
    expect(server.events.filter(({ type }) => type === 'warning')).toMatchObject([{ reason }, { reason }])
  })

  it('X17 nothing of a value stands in the event, nor a line of its own on the console', async () => {
    const evil = 'https://x/\n10:00 INFO admin logged in \u001b[2J'
    const { server, response } = ask(() => ({ ...machine, redirect_uris: [evil] }))
    await response
    expect(JSON.stringify(server.events)).not.toContain('admin')
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).not.toContain('\n')
    expect(warnings[0]).not.toContain('\u001b')
  })
})

describe('the context of the request', () => {
  it('SM2 a clients function is told of it', async () => {
    const seen: unknown[] = []
    const server = testServer({ clients: (client_id, { context }) => (seen.push(context), client_id === 'machine' ? machine : undefined) })
    await configure(server.options).findClient('machine', { context: { tenant: 'a' } })
    await configure(server.options).findClient('machine')
    expect(seen).toEqual([{ tenant: 'a' }, {}])
  })

  it('SM2 what one context finds is not kept for another', () => {
    const clients: FindClient = (_id, { context }) => (context.tenant === 'a' ? machine : undefined)
    expect(() => tokenHandler({ clients, clientCacheLifetime: 60 })).toThrow('clientCacheLifetime must be 0 with a clients function that takes a second argument') // prettier-ignore
    expect(() => tokenHandler({ clients })).not.toThrow()
  })
})

describe('clients that are saved', () => {
  const token = async (options: ServerOptions, client: { client_id: string; client_secret: string }) =>
    (await createTokenResponse(options, formRequest({ grant_type }, basic(client)))).status

  it('SW1 saveClient and registerClient without clients and store: the default store is searched', async () => {
    const options = { refreshable: false }
    tokenHandler(options)
    await saveClient(options, machine)
    expect(await token(options, machine)).toBe(200)
    const { client_id, client_secret = '' } = await registerClient(options, { grant_types: [grant_type] })
    expect(await token(options, { client_id, client_secret })).toBe(200)
    await deleteClient(options, 'machine')
    expect(await token(options, machine)).toBe(401)
    expect(warnings).toEqual([])
  })

  it('SW1 nobody there at all is said at the first request of an unknown client', async () => {
    const options = { refreshable: false }
    tokenHandler(options)
    expect(warnings).toEqual([])
    for (let n = 0; n < 2; n++) expect(await token(options, machine)).toBe(401)
    expect(warnings).toEqual([expect.stringContaining('no clients are configured')])
  })

  it.each([[], [machine]])('SW1 where clients is a list of %#, saveClient and registerClient say that nobody would look', async (...clients) => {
    const options = { clients: clients.filter((client) => typeof client === 'object'), store: memoryStore() }
    const message = 'this server looks only at the list in its option clients'
    await expect(saveClient(options, machine)).rejects.toThrow(`saveClient: ${message}`)
    await expect(registerClient(options, { grant_types: [grant_type] })).rejects.toThrow(`registerClient: ${message}`)
    expect(options.store.size).toBe(0)
  }) // prettier-ignore

  it('SW1 beside a list they are found where clients register themselves, and a function may look for itself', async () => {
    const listed: ServerOptions = { clients: [machine] }
    registrationHandler(listed)
    await saveClient(listed, { ...machine, client_id: 'saved' })
    expect(await token(listed, { ...machine, client_id: 'saved' })).toBe(200)
    const asking: ServerOptions = { clients: (id) => findClient(asking, id) }
    await saveClient(asking, machine)
    expect(await token(asking, machine)).toBe(200)
  })
})

describe('the cache', () => {
  it('X11 a look-up that was under way when a client was deleted keeps nothing', async () => {
    const inner = memoryStore()
    let between: (() => Promise<void>) | undefined
    const store: Store = {
      ...inner,
      async get(id) {
        const record = await inner.get(id)
        const work = id.startsWith('client:') ? between : undefined
        if (work !== undefined) between = undefined
        await work?.()
        return record
      },
    }
    const server = serverOfStoredClients({ store, clientCacheLifetime: 300 })
    await saveClient(server.options, machine)
    const status = async () => (await server.token({ grant_type }, basic(machine))).status
    between = () => deleteClient(server.options, 'machine')
    expect([await status(), await status(), await status()]).toEqual([200, 401, 401])
  })

  it('X11 and keeps what it found when nothing was forgotten', async () => {
    const inner = memoryStore()
    let reads = 0
    const server = serverOfStoredClients({ store: { ...inner, get: (id) => (reads++, inner.get(id)) }, clientCacheLifetime: 300 })
    await saveClient(server.options, machine)
    reads = 0
    for (let n = 0; n < 3; n++) expect((await server.token({ grant_type }, basic(machine))).status).toBe(200)
    expect(reads).toBe(1)
  })
})

/** Where clients come from: an array, or a function that answers, fails, hangs, or answers with something else. Row C10. */
import { describe, expect, it } from '@jest/globals'
import { InvalidClient, type ClientMetadata, type FindClient } from '../src/index.js'
import { basic, machine, testServer } from './support/server.js'

const grant_type = 'client_credentials'
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
      { type: 'warning', client_id: 'machine', reason: 'the clients function returned another client than the one asked for' },
      { type: 'request.refused', reason: 'unknown client' },
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

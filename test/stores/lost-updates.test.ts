/** What was decided on one state of a client must not be written over another. Row X9. */
import { describe, expect, test } from '@jest/globals'
import { deleteClient, findClient, memoryStore, registrationHandler, saveClient, type ServerOptions, type Store } from '../../src/index.js'
import { createRegistrationResponse, readRegistrationRules } from '../../src/endpoints/registration.js'
import { configure } from '../../src/configuration/configure.js'
import { parsed, redirect_uri, start } from '../support/server.js'
import { serverOfStoredClients } from '../support/stored.js'

/** A store in which something else happens between the look at a client that is about to be kept and the write of it. */
function interrupted() {
  const inner = memoryStore({ clock: () => start })
  const state: { between?: (() => Promise<void>) | undefined; writes: number } = { writes: 0 }
  const store: Store = {
    ...inner,
    async replace(record, version) {
      const { between } = state
      if (record.kind === 'client' && between !== undefined) {
        state.between = undefined
        await between()
      }
      if (record.kind === 'client') state.writes++
      return inner.replace(record, version)
    },
  }
  return { state, store }
}

async function register(options: ServerOptions): Promise<string> {
  registrationHandler(options)
  const rules = readRegistrationRules(configure(options), {})
  const request = { method: 'POST', url: 'https://server.example/', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ redirect_uris: [redirect_uri] }) }
  return String(parsed(await createRegistrationResponse(options, request, rules)).json.client_id)
} // prettier-ignore

describe('X9 a client that is kept because it was authorised', () => {
  test('X9 stays deleted when it was deleted meanwhile', async () => {
    const { state, store } = interrupted()
    const server = serverOfStoredClients({ store })
    const client_id = await register(server.options)
    state.between = () => deleteClient(server.options, client_id)
    await server.code({ client_id })
    expect(state.between).toBeUndefined()
    expect(await findClient(server.options, client_id)).toBeUndefined()
  })

  test('X9 stays disabled, with its new secret, when it was changed meanwhile', async () => {
    const { state, store } = interrupted()
    const server = serverOfStoredClients({ store })
    const client_id = await register(server.options)
    const changed = { client_id, client_secret: 'another secret', disabled: true, redirect_uris: [redirect_uri] }
    state.between = () => saveClient(server.options, changed)
    await server.code({ client_id })
    expect(await findClient(server.options, client_id)).toMatchObject({ disabled: true, secrets: [{ hash: expect.stringMatching(/^scrypt:/) }] })
  }) // prettier-ignore

  test('X9 is written once, however often it is authorised', async () => {
    const { state, store } = interrupted()
    const server = serverOfStoredClients({ store })
    const client_id = await register(server.options)
    for (let n = 0; n < 5; n++) await server.code({ client_id })
    expect(state.writes).toBe(1)
  })

  test('X9 leaves the room of those that nobody has authorised', async () => {
    const server = serverOfStoredClients({ store: memoryStore() })
    const client_id = await register(server.options)
    const { registrations } = configure(server.options).rooms
    expect(registrations.used).toBeGreaterThan(0)
    await server.code({ client_id })
    expect(registrations.used).toBe(0)
  })
})

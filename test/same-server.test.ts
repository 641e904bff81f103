/** The same options object is the same server; another one is another. Rows A1 and N1, as far as they are about sharing. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  introspectionHandler,
  memoryStore,
  requireAccessToken,
  revocationHandler,
  tokenHandler,
  type Guard,
  type ServerOptions,
} from '../src/index.js'
import { basic, machine } from './support/server.js'

let warnings: string[] = []
const servers: Server[] = []
beforeEach(() => {
  warnings = []
  jest.spyOn(console, 'warn').mockImplementation((text: string) => void warnings.push(text))
})
afterEach(async () => {
  jest.restoreAllMocks()
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
})

async function listen(handler: Guard): Promise<string> {
  const server = createServer(((req, res) => handler(req, res, () => res.end('passed'))) satisfies RequestListener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

async function post(handler: Guard, form: Record<string, string>) {
  const response = await fetch(await listen(handler), { method: 'POST', headers: basic(machine), body: new URLSearchParams(form) })
  return { status: response.status, json: (await response.json()) as { access_token?: string; active?: boolean } }
}

async function visit(handler: Guard, token: string): Promise<number> {
  return (await fetch(await listen(handler), { headers: { authorization: `Bearer ${token}` } })).status
}

async function tokenFrom(options: ServerOptions): Promise<string> {
  return (await post(tokenHandler(options), { grant_type: 'client_credentials' })).json.access_token ?? ''
}

function secureOptions(): ServerOptions {
  return { clients: [machine], allowInsecureTransport: true }
}

const alone = (name: string) =>
  `oauth2-token-handler: ${name} has a memory store of its own that no tokenHandler shares; give both the same options object, or set the option store`

describe('the same options object', () => {
  it('A1 every handler sees the tokens of the others, even in the default memory store', async () => {
    const options = secureOptions()
    const guard = requireAccessToken(options)
    const token = await tokenFrom(options)
    expect(await visit(guard, token)).toBe(200)
    expect((await post(introspectionHandler(options), { token })).json.active).toBe(true)
    expect((await post(revocationHandler(options), { token })).status).toBe(200)
    expect(await visit(guard, token)).toBe(401)
    expect(warnings.filter((text) => !text.includes('allowInsecureTransport'))).toEqual([])
  })

  it('A1 options are read once: a later change of the object changes nothing', async () => {
    const options: { -readonly [Name in keyof ServerOptions]: ServerOptions[Name] } = secureOptions()
    tokenHandler(options)
    options.clients = []
    options.accessTokenLifetime = -1
    expect(await tokenFrom(options)).toMatch(/^[\w-]{22}\.[\w-]{43}$/)
  })
})

describe('another options object', () => {
  it('N1 a copy is another server: its guard knows no token, and says once why', async () => {
    const options = secureOptions()
    const token = await tokenFrom(options)
    const guard = requireAccessToken({ ...options })
    warnings = []
    expect(await visit(guard, token)).toBe(401)
    expect(await visit(guard, token)).toBe(401)
    expect(warnings).toEqual([alone('requireAccessToken')])
  })

  it.each([
    ['revocationHandler', revocationHandler],
    ['introspectionHandler', introspectionHandler],
  ])('N2 N3 %s alone says so once', async (name, make) => {
    const handler = make({ clients: [machine] })
    await fetch(await listen(handler), { method: 'POST' })
    await fetch(await listen(handler), { method: 'POST' })
    expect(warnings.filter((text) => text.includes('memory store'))).toEqual([alone(name)])
  })

  it('N1 a guard that is made before its token handler does not warn', async () => {
    const options = secureOptions()
    const guard = requireAccessToken(options)
    tokenHandler(options)
    await visit(guard, 'x')
    expect(warnings.filter((text) => text.includes('memory store'))).toEqual([])
  })

  it('N1 a store that was configured makes servers share, and nobody warns', async () => {
    const store = memoryStore()
    const token = await tokenFrom({ ...secureOptions(), store })
    expect(await visit(requireAccessToken({ clients: [machine], store }), token)).toBe(200)
    expect(warnings.filter((text) => text.includes('memory store'))).toEqual([])
  })

  it('N1 a record of another issuer in a shared store is unknown', async () => {
    const store = memoryStore()
    const token = await tokenFrom({ ...secureOptions(), store, issuer: 'https://one.example' })
    expect(await visit(requireAccessToken({ clients: [machine], store, issuer: 'https://one.example' }), token)).toBe(200)
    expect(await visit(requireAccessToken({ clients: [machine], store, issuer: 'https://two.example' }), token)).toBe(401)
    expect(await visit(requireAccessToken({ clients: [machine], store }), token)).toBe(401)
  })
})

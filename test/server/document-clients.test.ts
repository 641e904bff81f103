/** Clients that are metadata documents, as strangers use and abuse them: what is kept, what is fetched, who is kept out, and who can stop them. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { setTimeout } from 'node:timers/promises'
import type { ClientIdMetadataOptions } from '../../src/clients/id-metadata.js'
import { configure } from '../../src/configuration/configure.js'
import { createPushedAuthorizationResponse } from '../../src/endpoints/authorization/pushed.js'
import {
  deleteClient,
  listAuthorizations,
  memoryStore,
  saveClient,
  type ClientMetadata,
  type FetchedDocument,
  type ServerOptions,
  type Store,
} from '../../src/index.js'
import {
  code_challenge,
  exchange,
  formRequest,
  machine,
  parsed,
  redirect_uri,
  testServer,
  web,
  type TestServer,
} from '../support/server.js'
import { Resources } from '../support/wire.js'
import { authorizePath, startSite } from './site.js'

const client_id = 'https://client.example/oauth/client.json'
const grant_types = ['authorization_code', 'refresh_token']
const documentOf = (id: string, more: object = {}) => ({
  client_id: id,
  client_name: 'Documented',
  redirect_uris: [redirect_uri],
  grant_types,
  ...more,
})

interface World {
  readonly server: TestServer
  readonly store: Store & { readonly size: number }
  readonly fetched: string[]
  /** What the hosts answer; a function may fail. */
  answer: (url: string) => FetchedDocument | Promise<FetchedDocument>
  /** Status of the look-up that the authorization endpoint makes. */
  ask(id?: string, address?: string): Promise<number>
  push(
    id?: string,
    address?: string,
  ): Promise<{ readonly status: number; readonly error?: string | undefined; readonly retryAfter?: string | undefined }>
}

function world(more: Omit<ClientIdMetadataOptions, 'fetch'> = {}, options: ServerOptions = {}): World {
  const store = memoryStore({ clock: () => subject.server.now, maxRecords: 200 })
  const fetch = async (url: string) => {
    subject.fetched.push(url)
    return subject.answer(url)
  }
  const server = testServer({ store, clientIdMetadataDocuments: { fetch, ...more }, ...options })
  const subject: World = {
    server,
    store,
    fetched: [],
    answer: (url) => ({ document: documentOf(url), headers: {} }),
    async ask(id = client_id, address = '198.51.100.1') {
      try {
        const client = await configure(server.options).findClientToAuthorize(id, { address })
        return client === undefined || client.disabled ? 400 : 200
      } catch (thrown) {
        return (thrown as { status: number }).status
      }
    },
    async push(id = client_id, address = '198.51.100.1') {
      const form = { client_id: id, redirect_uri, response_type: 'code', code_challenge, code_challenge_method: 'S256' }
      const { status, json, headers } = parsed(await createPushedAuthorizationResponse(server.options, { ...formRequest(form), address }))
      return { status, error: json.error, retryAfter: headers['Retry-After'] }
    },
  }
  return subject
}

async function session({ server }: World): Promise<string> {
  const { json } = await server.token({ ...exchange(await server.code({ client_id })), client_id })
  return json.refresh_token ?? ''
}

const isDown = () => Promise.reject(new Error('the host is down'))

describe('X3 what is kept of a document', () => {
  test('X3 documents that nobody authorised take no room of tokens, and are gone after ten minutes', async () => {
    const subject = world()
    const { server, store } = subject
    for (let host = 0; host < 20; host++)
      for (let n = 0; n < 12; n++) await subject.ask(`https://h${host}.evil.example/c${n}`, `203.0.113.${host}`)
    const token = () => server.token({ grant_type: 'client_credentials', ...credentials })
    const { grant_types: _grants, ...credentials } = machine
    expect([store.size, (await token()).status]).toEqual([200, 200])
    server.now += 610
    await token()
    expect(store.size).toBeLessThan(200)
    for (let n = 0; n < 40; n++) await token()
    expect(await subject.ask('https://late.example/c')).toBe(200)
  })

  test('X3 one that was authorised lasts as long as what it got', async () => {
    const subject = world()
    let refresh_token = await session(subject)
    subject.answer = isDown
    for (let week = 0; week < 12; week++) {
      subject.server.now += 7 * 86_400
      const { status, json } = await subject.server.token({ grant_type: 'refresh_token', refresh_token, client_id })
      expect(status).toBe(200)
      refresh_token = json.refresh_token ?? ''
    }
  })

  test('X3 a full room is 503 with Retry-After for its network, and not for another', async () => {
    const subject = world({}, { store: memoryStore() })
    const seen: number[] = []
    for (let n = 0; n < 400 && seen.at(-1) !== 503; n++) seen.push(await subject.ask(`https://h${n}.example/c`, '203.0.113.1'))
    expect(seen.at(-1)).toBe(503)
    expect(seen.length).toBeGreaterThan(100)
    expect(await subject.ask(client_id, '198.51.100.7')).toBe(200)
  })
})

describe('X4 functions of the application are waited for so long and no longer', () => {
  const never = () => new Promise<never>(() => undefined)

  test('X4 fetch', async () => {
    const subject = world({}, { callbackTimeout: 20 })
    subject.answer = never
    expect(await subject.ask()).toBe(503)
    expect((await subject.push()).status).toBe(503)
  })

  test('X4 accept, at the authorization and the token endpoint', async () => {
    let hangs = false
    const subject = world({ accept: () => (hangs ? never() : true) }, { callbackTimeout: 20 })
    const refresh_token = await session(subject)
    hangs = true
    expect(await subject.ask()).toBe(503)
    expect((await subject.server.token({ grant_type: 'refresh_token', refresh_token, client_id })).status).toBe(503)
  })
})

describe('X6 nobody keeps others out', () => {
  const popular = 'https://popular.example/client'

  test('X6 ten junk requests from another address change nothing', async () => {
    const subject = world()
    for (let n = 0; n < 30; n++) await subject.ask(`https://popular.example/junk${n}`, '203.0.113.9')
    expect(subject.fetched).toHaveLength(10)
    expect(await subject.ask(popular, '198.51.100.1')).toBe(200)
  })

  test('X6 ten junk requests from the same address do not take a client away that was good lately', async () => {
    const subject = world()
    expect(await subject.ask(popular)).toBe(200)
    subject.server.now += 301
    for (let n = 0; n < 10; n++) await subject.ask(`https://popular.example/junk${n}`)
    expect(await subject.ask(popular)).toBe(200)
  })

  test('X6 what was good is used for another day when its host is down, and no longer', async () => {
    const subject = world()
    await session(subject)
    subject.answer = isDown
    subject.server.now += 300 + 86_399
    expect(await subject.ask()).toBe(200)
    subject.server.now += 1
    expect(await subject.ask()).toBe(503)
  })

  test('X6 a document that is no client’s any more is not replaced by what was good', async () => {
    const subject = world()
    await session(subject)
    subject.answer = () => ({ document: { client_id: 'https://other.example/' }, headers: {} })
    subject.server.now += 301
    expect(await subject.ask()).toBe(400)
  })

  test('X6 at most 20 fetches run at once, at most four for one address, and whoever comes next is told when to come again', async () => {
    const subject = world()
    let running = 0
    let most = 0
    subject.answer = async (url) => {
      most = Math.max(most, ++running)
      await setTimeout(20)
      running--
      return { document: documentOf(url), headers: {} }
    }
    const fromOne = await Promise.all(Array.from({ length: 50 }, (_, n) => subject.ask(`https://h${n}.evil.example/c`, '203.0.113.9')))
    expect([most, fromOne.filter((status) => status === 200).length, fromOne.filter((status) => status === 503).length]).toEqual([4, 4, 46])
    const fromMany = await Promise.all(Array.from({ length: 100 }, (_, n) => subject.ask(`https://i${n}.evil.example/c`, `203.0.113.${n}`)))
    expect([most, fromMany.filter((status) => status === 200).length]).toEqual([20, 20])
    expect(await subject.push('https://h99.example/c')).toMatchObject({ status: 201 })
  })

  test('X6 all who wait for one URL share one fetch', async () => {
    const subject = world()
    subject.answer = async (url) => {
      await setTimeout(20)
      return { document: documentOf(url), headers: {} }
    }
    const statuses = await Promise.all(Array.from({ length: 50 }, (_, n) => subject.ask(popular, `203.0.113.${n}`)))
    expect([subject.fetched.length, statuses.every((status) => status === 200)]).toEqual([1, true])
  })
})

describe('X6 over HTTP', () => {
  const resources = new Resources()
  afterEach(() => resources.close())

  test('X6 the address of the visitor counts at the authorization endpoint, and the context reaches the clients function', async () => {
    const seen: unknown[] = []
    const fetch = (url: string) => Promise.resolve({ document: documentOf(url), headers: {} })
    const clients: ServerOptions['clients'] = (_id, { context }) => void seen.push(context.tenant)
    const site = await startSite(resources, { clients, clientIdMetadataDocuments: { fetch }, context: () => ({ tenant: 'a' }) })
    const from = async (address: string, id: string) =>
      (await site.browser().go(authorizePath({ client_id: id }), { headers: { 'x-forwarded-for': address } })).status
    const statuses: number[] = []
    for (let n = 0; n < 11; n++) statuses.push(await from('203.0.113.9', `https://popular.example/${n}`))
    expect(statuses).toEqual([...Array<number>(10).fill(200), 503])
    expect(await from('198.51.100.1', 'https://popular.example/client')).toBe(200)
    expect(new Set(seen)).toEqual(new Set(['a']))
  })
})

describe('X7 what several requests write at once', () => {
  test('X7 two first requests for one client, in processes that share a store, are both answered', async () => {
    const store = memoryStore()
    const worlds = [world({}, { store }), world({}, { store }), world({}, { store })]
    for (const subject of worlds)
      subject.answer = async (url) => {
        await setTimeout(10)
        return { document: documentOf(url), headers: {} }
      }
    const statuses = await Promise.all(worlds.flatMap((subject) => [subject.ask(), subject.ask()]))
    expect(statuses).toEqual([200, 200, 200, 200, 200, 200])
    expect(await Promise.all(worlds.map((subject) => session(subject)))).toEqual(worlds.map(() => expect.stringMatching(/./)))
  })
})

describe('X8 what the application says goes before what the document says', () => {
  const blocked: ClientMetadata = { client_id, disabled: true, token_endpoint_auth_method: 'none', redirect_uris: [redirect_uri] }

  /** Whether anything goes on to work, at each of the ways in. */
  async function works(subject: World, refresh_token: string): Promise<readonly number[]> {
    const { status } = await subject.server.token({ grant_type: 'refresh_token', refresh_token, client_id })
    return [await subject.ask(), (await subject.push()).status, status]
  }

  test('X8 accept that says no now', async () => {
    let isWanted = true
    const subject = world({ accept: () => isWanted })
    const refresh_token = await session(subject)
    isWanted = false
    expect(await works(subject, refresh_token)).toEqual([400, 401, 401])
    isWanted = true
    expect(await works(subject, refresh_token)).toEqual([200, 201, 200])
  })

  test.each<[string, unknown]>([['undefined', undefined], ['the text no', 'no'], ['1', 1], ['an object', {}]])(
    'X8 accept that answers %s has not accepted',
    async (_what, answer) => expect(await world({ accept: () => answer as boolean }).ask()).toBe(400),
  ) // prettier-ignore

  test('X8 saveClient that disables it', async () => {
    const subject = world()
    const refresh_token = await session(subject)
    await saveClient(subject.server.options, blocked)
    expect(await works(subject, refresh_token)).toEqual([400, 401, 401])
    await saveClient(subject.server.options, { ...blocked, disabled: false, grant_types })
    expect(await works(subject, refresh_token)).toEqual([200, 201, 200])
  })

  test('X8 a client in the list, or of the function', async () => {
    for (const clients of [[web, blocked], (id: string) => (id === client_id ? blocked : undefined)]) {
      const subject = world({}, { clients })
      expect(await works(subject, 'x')).toEqual([400, 401, 401])
      expect(subject.fetched).toEqual([])
    }
  })

  test('X8 deleteClient forgets the document and ends what it got', async () => {
    const subject = world()
    const { options } = subject.server
    const refresh_token = await session(subject)
    subject.answer = isDown
    await deleteClient(options, client_id)
    expect(await works(subject, refresh_token)).toEqual([503, 503, 401])
    for await (const left of listAuthorizations(options, { client_id })) expect(left).toBeUndefined()
  })

  test('X8 X9 a document that is forgotten while a code is issued does not come back', async () => {
    const inner = memoryStore()
    let between: (() => Promise<void>) | undefined
    const store: Store = {
      ...inner,
      async replace(record, version) {
        const work = between
        if (record.kind === 'client') between = undefined
        if (record.kind === 'client') await work?.()
        return inner.replace(record, version)
      },
    }
    const subject = world({}, { store })
    expect(await subject.ask()).toBe(200)
    between = () => deleteClient(subject.server.options, client_id)
    const code = await subject.server.code({ client_id })
    expect(between).toBeUndefined()
    expect((await subject.server.token({ ...exchange(code), client_id })).status).toBe(401)
  })
})

describe('X17 what a document says is a stranger’s', () => {
  test.each(['__proto__', '__defineGetter__', '__defineSetter__', 'constructor', 'hasOwnProperty', 'toString', 'valueOf'])(
    'X17 a member named %s is dropped',
    async (name) => {
      const subject = world()
      const text = JSON.stringify(documentOf(client_id)).replace(/}$/, `,"${name}":"scope"}`)
      subject.answer = () => ({ document: JSON.parse(text) as unknown, headers: {} })
      expect(await subject.ask()).toBe(200)
      const client = await configure(subject.server.options).findClientToAuthorize(client_id)
      expect(Object.keys(client?.metadata ?? {})).not.toContain(name)
    },
  )

  test('X17 nothing of it stands in an event', async () => {
    const evil = 'https://x/\n10:00 INFO admin logged in \u001b[2J'
    for (const more of [{ redirect_uris: [evil] }, { scope: evil }, { grant_types: [evil] }, { token_endpoint_auth_method: evil }, { token_endpoint_auth_methods_supported: [evil] }]) {
      const subject = world()
      subject.answer = (url) => ({ document: documentOf(url, more), headers: {} })
      expect(await subject.push()).toMatchObject({ status: 401 })
      const reasons = subject.server.events.map(({ reason }) => reason)
      expect(reasons).toEqual([expect.stringMatching(/^the client id metadata document cannot be used: [\x20-\x7e§]+$/)])
      expect(reasons.join()).not.toContain('admin')
    }
  }) // prettier-ignore

  test('X17 strangerScopes bind it: it may have less than all', async () => {
    const subject = world({}, { strangerScopes: ['read'] })
    await expect(subject.server.code({ client_id, scope: 'admin' })).rejects.toMatchObject({ error: 'invalid_scope' })
    const { json } = await subject.server.token({ ...exchange(await subject.server.code({ client_id })), client_id })
    expect(json.scope).toBe('read')
  })
})

describe('U1 a choice of ways to authenticate', () => {
  const chatgpt = {
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
    jwks_uri: 'https://client.example/jwks.json',
  }

  test.each([chatgpt, { token_endpoint_auth_methods_supported: ['client_secret_basic', 'none'] }, { token_endpoint_auth_methods_supported: ['nonsense', 'none'] }])(
    'U1 C22 %j works as none, from the authorization to the refresh',
    async (more) => {
      const subject = world()
      subject.answer = (url) => ({ document: documentOf(url, more), headers: {} })
      expect(await subject.push()).toMatchObject({ status: 201 })
      const refresh_token = await session(subject)
      expect((await subject.server.token({ grant_type: 'refresh_token', refresh_token, client_id })).status).toBe(200)
    },
  ) // prettier-ignore

  test.each<[object, string]>([
    [{ token_endpoint_auth_method: 'private_key_jwt' }, 'token_endpoint_auth_method offers private_key_jwt; for such clients this server serves none'],
    [{ token_endpoint_auth_method: 'tls_client_auth' }, 'token_endpoint_auth_method offers tls_client_auth; for such clients this server serves none'],
    [{ token_endpoint_auth_method: 'nonsense' }, 'token_endpoint_auth_method offers a method that is not registered; for such clients this server serves none'],
    [{ token_endpoint_auth_methods_supported: ['tls_client_auth', 'x', 'y'] }, 'token_endpoint_auth_methods_supported offers tls_client_auth, a method that is not registered; for such clients this server serves none'],
    [{ token_endpoint_auth_methods_supported: 'none' }, 'token_endpoint_auth_methods_supported is not a list of texts'],
    [{ token_endpoint_auth_methods_supported: [7] }, 'token_endpoint_auth_methods_supported is not a list of texts'],
  ])('U1 C22 %j is refused before anybody is asked', async (more, reason) => {
    const subject = world()
    subject.answer = (url) => ({ document: documentOf(url, more), headers: {} })
    expect(await subject.ask()).toBe(400)
    expect(await subject.push()).toMatchObject({ status: 401, error: 'invalid_client' })
    expect(subject.server.events).toMatchObject([{ reason: `the client id metadata document cannot be used: ${reason}` }])
  }) // prettier-ignore
})

describe('U8 what says nothing is absent', () => {
  test.each(['token_endpoint_auth_method', 'token_endpoint_auth_methods_supported', 'grant_types', 'scope', 'client_name', 'client_uri', 'logo_uri', 'policy_uri', 'tos_uri', 'contacts', 'software_id', 'client_secret', 'client_secret_expires_at'])(
    'U8 %s: null, and an empty text',
    async (member) => {
      for (const value of [null, '']) {
        const subject = world()
        subject.answer = (url) => ({ document: documentOf(url, { [member]: value }), headers: {} })
        expect([value, await subject.ask()]).toEqual([value, 200])
      }
    },
  ) // prettier-ignore

  test('V6 a name loses what cannot be seen, and has a bound', async () => {
    const nameOf = async (client_name: string) => {
      const subject = world()
      subject.answer = (url) => ({ document: documentOf(url, { client_name }), headers: {} })
      return (await configure(subject.server.options).findClientToAuthorize(client_id))?.metadata.client_name
    }
    expect(await nameOf('Google\u202egnp.evil\u0000')).toBe('Googlegnp.evil')
    expect(await nameOf('\u200b\u2066')).toBeUndefined()
    expect(await nameOf('x'.repeat(201))).toBeUndefined()
  })
})

describe('U28 pushing is the first thing that a document client does', () => {
  test('U28 the document is fetched there', async () => {
    const subject = world()
    expect(await subject.push()).toMatchObject({ status: 201 })
    expect(subject.fetched).toEqual([client_id])
  })

  test('U28 503 with Retry-After when its host is down, and under the same limits', async () => {
    const subject = world()
    subject.answer = isDown
    const first = await subject.push()
    expect([first.status, Number(first.retryAfter) > 0]).toEqual([503, true])
    for (let n = 0; n < 12; n++) await subject.push(`https://client.example/${n}`)
    expect(subject.fetched).toHaveLength(10)
  })
})

describe('records of 0.1.0', () => {
  test('one that 0.1.0 kept goes on to work, and is not shortened', async () => {
    const subject = world()
    const { store, server } = subject
    const refresh_token = await session(subject)
    const text = `document of ${client_id}`
    const { ledger } = configure(server.options)
    const record = await ledger.recall('client', text)
    if (record === undefined) throw new Error('nothing is stored')
    // As 0.1.0 wrote it: the metadata as read, fresh for five minutes, kept for 91 days.
    const metadata = {
      client_id,
      client_name: 'Documented',
      redirect_uris: [redirect_uri],
      grant_types,
      token_endpoint_auth_method: 'none',
    }
    const expiresAt = server.now + 91 * 86_400
    await store.replace({ ...record, version: 'old', expiresAt, data: { metadata, freshUntil: server.now + 300 } }, record.version)
    server.now += 301
    expect(await subject.ask()).toBe(200)
    expect((await store.get(record.id))?.expiresAt).toBe(expiresAt)
    server.now += 86_400
    expect((await server.token({ grant_type: 'refresh_token', refresh_token, client_id })).status).toBe(200)
  })
})

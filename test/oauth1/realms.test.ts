/** Realms that a client asks for (SW3), a timestamp that is stale (SO3), methods as they are written (SO4). */
import { expect, test } from '@jest/globals'
import { memoryStore, type ProtocolRequest } from '../../src/index.js'
import { createAccessTokenResponse, createTemporaryCredentialsResponse, findTemporaryCredentials } from '../../src/oauth1/index.js'
import {
  authorized,
  callback,
  client,
  exchangeRequest,
  formOf,
  initiateUrl,
  oauth1Server,
  recording,
  resource,
  resourceUrl,
  signed,
  start,
  tokenFor,
} from './support.js'

const unauthorized = {
  status: 401,
  headers: { 'Cache-Control': 'no-store', Pragma: 'no-cache', 'WWW-Authenticate': 'OAuth realm="oauth1"' },
  body: '',
}

function realmServer(realms: readonly string[] | undefined = ['movies', 'pics']) {
  const { store, written } = recording(memoryStore({ clock: () => start }))
  const server = oauth1Server({ store, clients: [{ ...client, realms }], realms: ['movies', 'pics', 'admin'] })
  /** The header of {@link signed} says `realm="Photos"`. */
  const ask = (realm: string | undefined) => {
    const request = signed(initiateUrl, client, { protocol: { oauth_callback: callback } })
    const authorization = String(request.headers.authorization)
    const changed = authorization.replace('realm="Photos", ', realm === undefined ? '' : `realm="${realm}", `)
    return createTemporaryCredentialsResponse(server.options, { ...request, headers: { authorization: changed } })
  }
  return { server, ask, written }
}

test.each([
  ['pics', ['pics']],
  ['pics movies', ['movies', 'pics']],
  ['  pics \t movies  pics ', ['movies', 'pics']],
  // The name of a protection space: RFC 5849 §1.2 has realm="Photos"
  ['Photos', ['movies', 'pics']],
  ['My Photos', ['movies', 'pics']],
  ['', ['movies', 'pics']],
  ['Movies', ['movies', 'pics']],
  [undefined, ['movies', 'pics']],
])('SW3 realm="%s" asks for %j', async (realm, expected) => {
  const { server, ask } = realmServer()
  const { oauth_token = '' } = formOf(await ask(realm))
  expect((await findTemporaryCredentials(server.options, oauth_token))?.realms).toEqual(expected)
})

test.each(['admin', 'pics admin', 'admin pics', 'pics Photos', 'movies unknown', 'admin unknown'])(
  'SW3 realm="%s" demands a realm that the client may not have: the empty 401, a reason in the event, nothing stored',
  async (realm) => {
    const { server, ask, written } = realmServer()
    expect(await ask(realm)).toEqual(unauthorized)
    expect(server.events.at(-1)).toMatchObject({
      type: 'request.refused',
      status: 401,
      reason: 'the client asked for a realm that it may not have',
    })
    expect(written).toEqual([])
  },
)

test('SW3 a client that may have all realms of the server may ask for any, and one that may have none for none', async () => {
  const all = oauth1Server({ realms: ['Photos', 'admin'] })
  const request = () => signed(initiateUrl, client, { protocol: { oauth_callback: callback } })
  const { oauth_token = '' } = formOf(await createTemporaryCredentialsResponse(all.options, request()))
  expect((await findTemporaryCredentials(all.options, oauth_token))?.realms).toEqual(['Photos'])
  const { ask } = realmServer([])
  expect((await ask('Photos')).status).toBe(200)
  expect(await ask('pics')).toEqual(unauthorized)
})

test('SW3 names with a space of another kind between them are one name', async () => {
  const { server, ask } = realmServer()
  const { oauth_token = '' } = formOf(await ask('pics\u00a0admin'))
  expect((await findTemporaryCredentials(server.options, oauth_token))?.realms).toEqual(['movies', 'pics'])
})

const stale = {
  status: 400,
  headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Cache-Control': 'no-store', Pragma: 'no-cache' },
  body: 'error=invalid_request&error_description=oauth_timestamp+is+too+far+from+the+time+of+this+server',
}

test.each([-601, 601, -4_000_000_000 + 1])(
  'SO3 a timestamp that is %i s off is told to whoever signed rightly, at every endpoint, and to nobody else',
  async (offset) => {
    const server = oauth1Server()
    const token = await tokenFor(server)
    const pending = await authorized(server)
    const timestamp = start + offset
    const protocol = { oauth_callback: callback }
    const wrong = { ...client, client_secret: 'wrong' }
    const unknown = { client_id: 'unknown', client_secret: 'x' }
    for (const [signer, expected] of [
      [client, stale],
      [wrong, unauthorized],
      [unknown, unauthorized],
    ] as const) {
      expect(await createTemporaryCredentialsResponse(server.options, signed(initiateUrl, signer, { timestamp, protocol }))).toEqual(
        expected,
      )
      expect(await createAccessTokenResponse(server.options, exchangeRequest(server, pending, signer, { timestamp }))).toEqual(expected)
      expect(await resource(server, signed(resourceUrl, { ...signer, token }, { timestamp }))).toEqual(expected)
    }
    // An unknown token signs nothing rightly.
    const other = { oauth_token: 'unknown', oauth_token_secret: 'x' }
    expect(await resource(server, signed(resourceUrl, { ...client, token: other }, { timestamp }))).toEqual(unauthorized)
    expect((await createAccessTokenResponse(server.options, exchangeRequest(server, pending))).status).toBe(200)
  },
)

test.each(['post', 'Post', 'get', 'gEt'])('SO4 the method "%s" is read as upper case', async (method) => {
  const server = oauth1Server()
  const ask = signed(initiateUrl, client, { method: method.toUpperCase(), protocol: { oauth_callback: callback } })
  expect((await createTemporaryCredentialsResponse(server.options, { ...ask, method })).status).toBe(200)
  const exchange = exchangeRequest(server, await authorized(server), client, { method: method.toUpperCase() })
  expect((await createAccessTokenResponse(server.options, { ...exchange, method })).status).toBe(200)
})

test.each([undefined, null, '', 7, {}, 'put', 'post ', 'poſt'])('SO4 a request with the method %j is 405, never 500', async (method) => {
  const server = oauth1Server()
  const ask = signed(initiateUrl, client, { protocol: { oauth_callback: callback } })
  const request = { ...ask, method } as unknown as ProtocolRequest
  const { method: _method, ...without } = ask
  const requests = method === undefined ? [request, without as ProtocolRequest] : [request]
  for (const each of requests) {
    for (const respond of [createTemporaryCredentialsResponse, createAccessTokenResponse]) {
      expect(await respond(server.options, each)).toMatchObject({ status: 405, headers: { Allow: 'GET, POST' } })
    }
  }
})

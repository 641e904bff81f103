/** After a backup was restored: what the option `notBefore` refuses of all that tells its own age, and with which words. Rows OP18. */
import { describe, expect, test } from '@jest/globals'
import { configure } from '../src/configuration/configure.js'
import { createPushedAuthorizationResponse, openPushedRequest } from '../src/endpoints/authorization/pushed.js'
import { createRegistrationResponse, readRegistrationRules } from '../src/endpoints/registration.js'
import { issueAuthorizationCode, memoryStore, registrationHandler, type ServerOptions } from '../src/index.js'
import { createAccessTokenResponse, findTemporaryCredentials } from '../src/oauth1/index.js'
import {
  authorized,
  client,
  exchangeRequest,
  formOf,
  initiate,
  oauth1Server,
  resource,
  resourceUrl,
  signed,
  start as start1,
  tokenFor,
} from './oauth1/support.js'
import { basic, code_challenge, exchange, formRequest, parsed, redirect_uri, start, testServer, web } from './support/server.js'
import { invalidGrant, reasons } from './support/stored.js'

describe('OP18 notBefore of the server', () => {
  test('OP18 codes and refresh tokens of before are refused in these words, and tokens of before are not active', async () => {
    const store = memoryStore()
    const server = testServer({ store })
    const [code, tokens] = [await server.code(), await server.tokens()]
    const restored = testServer({ store, notBefore: start + 1 })
    expect(await restored.token(exchange(code), basic(web))).toMatchObject(invalidGrant)
    expect(await restored.refresh(tokens.refresh_token)).toMatchObject(invalidGrant)
    expect(reasons(restored)).toEqual(['made before notBefore', 'made before notBefore'])
    for (const token of [tokens.access_token, tokens.refresh_token])
      expect((await restored.introspect({ token }, basic(web))).json).toEqual({ active: false })
    expect((await server.refresh(tokens.refresh_token)).status).toBe(200)
  })

  test('OP18 a pushed request of before is refused, one of an earlier release by its end', async () => {
    const store = memoryStore()
    const server = testServer({ store })
    const form = { response_type: 'code', redirect_uri, code_challenge, code_challenge_method: 'S256' }
    const push = async () => {
      const { json } = parsed(await createPushedAuthorizationResponse(server.options, formRequest(form, basic(web))))
      return { parameters: { client_id: 'web', request_uri: String(json.request_uri) }, resource: [], audience: [], pairs: [] }
    }
    const open = (notBefore: number, request: Awaited<ReturnType<typeof push>>) =>
      openPushedRequest(configure({ ...server.options, notBefore }), request, { browser: 'browser', address: undefined, mayStay: true })
    const [first, second, third] = [await push(), await push(), await push()]
    await expect(open(start + 1, first)).rejects.toMatchObject({ error: 'invalid_request_uri', reason: 'made before notBefore' })
    expect(await open(start, second)).toBeDefined()
    // Open in a browser now, and it was made before all the same.
    await expect(open(start + 1, second)).rejects.toMatchObject({ reason: 'made before notBefore' })
    const record = await configure(server.options).ledger.recall('request', third.parameters.request_uri.split(':').at(-1) ?? '')
    if (record === undefined) throw new Error('nothing was pushed')
    const { madeAt: _madeAt, ...earlier } = record.data
    await store.replace({ ...record, version: 'earlier', data: earlier }, record.version)
    await expect(open(start + 1, third)).rejects.toMatchObject({ reason: 'made before notBefore' })
    expect(await open(start, third)).toBeDefined()
  })

  test('OP18 a client that registered itself before and was not used is refused, one that was authorised is not', async () => {
    const store = memoryStore()
    const server = testServer({ store })
    registrationHandler(server.options)
    const rules = readRegistrationRules(configure(server.options), {})
    const register = async () => {
      const body = JSON.stringify({ redirect_uris: [redirect_uri], token_endpoint_auth_method: 'none' })
      const request = {
        method: 'POST',
        url: 'https://server.example/register',
        headers: { 'content-type': 'application/json' },
        secure: true,
        body,
      }
      return String(parsed(await createRegistrationResponse(server.options, request, rules)).json.client_id)
    }
    const issue = (options: ServerOptions, client_id: string) =>
      issueAuthorizationCode(options, { client_id, redirect_uri, subject: 'alice', code_challenge, code_challenge_method: 'S256' })
    const [used, unused] = [await register(), await register()]
    await issue(server.options, used)
    const restored = testServer({ store, notBefore: start + 1 })
    registrationHandler(restored.options)
    await expect(issue(restored.options, unused)).rejects.toThrow('unknown client')
    expect(reasons(restored)).toEqual(['made before notBefore: a client that registered itself and was not used'])
    expect(await issue(restored.options, used)).toBeDefined()
    expect(await issue(testServer({ store, notBefore: start, clients: undefined as never }).options, unused)).toBeDefined()
  })
})

describe('OP18 notBefore of OAuth 1', () => {
  test('OP18 temporary credentials and tokens of before have ended, those of after go on', async () => {
    const server = oauth1Server({ store: memoryStore() })
    const { oauth_token = '' } = formOf(await initiate(server))
    const pending = await authorized(server)
    const token = await tokenFor(server)
    const events: (string | undefined)[] = []
    const restored = { ...server, options: { ...server.options, notBefore: start1 + 1, onEvent: ({ reason }: { reason?: string }) => events.push(reason) } } // prettier-ignore
    expect(await findTemporaryCredentials(restored.options, oauth_token)).toBeUndefined()
    expect(await findTemporaryCredentials(server.options, oauth_token)).toBeDefined()
    expect((await createAccessTokenResponse(restored.options, exchangeRequest(restored, pending))).status).toBe(401)
    const used = (options: typeof server.options) =>
      resource({ ...server, options }, signed(resourceUrl, { ...client, token }, { timestamp: server.now }))
    expect((await used(restored.options)).status).toBe(401)
    expect(events).toEqual(['made before notBefore', 'made before notBefore'])
    expect((await used({ ...server.options, notBefore: start1 })).status).toBe(200)
  })
})

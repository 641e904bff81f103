/** Scope (G9): the grammar, the limits, and the three functions by their properties. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { ClientMetadata, ServerOptions } from '../src/index.js'
import { formatScope, grantableScope, intersectScope, isScopeToken, isWithinScope, parseScope } from '../src/authorization/scope.js'
import { basic, machine, testServer } from './support/server.js'
import { invalidScope } from './support/stored.js'

function ask(scope: string | undefined, client: Partial<ClientMetadata> = {}, options: ServerOptions = {}) {
  const server = testServer({ clients: [{ ...machine, ...client }], ...options })
  return server.token({ grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) }, basic(machine))
}

describe('at the token endpoint', () => {
  test.each([
    ['read', 'read'],
    ['write read', 'write read'],
    [' read  write ', 'read write'],
    ['read write read', 'read write'],
    ['admin', 'admin'],
  ])('G9 scope=%j is granted as %j', async (scope, granted) => {
    expect(await ask(scope)).toMatchObject({ status: 200, json: { scope: granted } })
  })

  test.each(['unknown', 'read unknown', 'READ', 'read,write', 'rea', 'read\twrite', 'read\nwrite', 'read "', 'read \\', 'réad', '\u0000'])(
    'G9 scope=%j is invalid_scope',
    async (scope) => {
      expect(await ask(scope)).toMatchObject(invalidScope)
    },
  )

  test.each<[string, string | undefined, Partial<ClientMetadata>]>([
    ['all that the server has', 'read write admin', {}],
    ['all that the client may have, in the order of the server', 'read write', { scope: 'write read' }],
    ['the client’s default', 'write', { defaultScope: 'write' }],
    ['nothing, where the client may have nothing', undefined, { scope: '' }],
    ['nothing, where its default is nothing', undefined, { defaultScope: '' }],
  ])('G9 without a scope parameter: %s', async (_what, granted, client) => {
    for (const absent of [undefined, '']) {
      const { status, json } = await ask(absent, client)
      expect(status).toBe(200)
      expect(json.scope).toBe(granted)
    }
  })

  test('G9 without a scope parameter: the default of a stored client within what it may have', async () => {
    const clients = () => ({ ...machine, scope: 'write', defaultScope: ['read', 'write'] })
    expect(await ask(undefined, {}, { clients })).toMatchObject({ status: 200, json: { scope: 'write' } })
  })

  test('U11 G9 a scope parameter of spaces is omitted', async () => {
    const { status, json } = await ask('  ')
    expect([status, json.scope]).toEqual([200, (await ask(undefined)).json.scope])
  })

  test('G9 a server without scopes grants none', async () => {
    const { status, json } = await ask(undefined, {}, { scopes: [] })
    expect(status).toBe(200)
    expect(json).not.toHaveProperty('scope')
    expect(await ask('read', {}, { scopes: [] })).toMatchObject(invalidScope)
  })

  test('G9 what is outside the client’s scope is refused although the server has it', async () => {
    expect(await ask('admin', { scope: 'read write' })).toMatchObject(invalidScope)
    expect(await ask('read', { scope: '' })).toMatchObject(invalidScope)
  })

  test('G9 asking for more than the default is not asking for too much', async () => {
    expect(await ask('admin', { defaultScope: 'read' })).toMatchObject({ status: 200, json: { scope: 'admin' } })
  })
})

const token = fc.stringMatching(/^[\x21\x23-\x5b\x5d-\x7e]{1,6}$/)
const scope = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'))

describe('by properties', () => {
  test('G9 reading what was written gives the same scope', () => {
    fc.assert(
      fc.property(fc.uniqueArray(token), (tokens) => {
        expect(parseScope(formatScope(tokens))).toEqual(tokens)
      }),
    )
  })

  test('G9 spaces and repetitions are folded, the order of first appearance is kept', () => {
    const spaces = fc.stringMatching(/^ {1,3}$/)
    fc.assert(
      fc.property(fc.array(fc.tuple(token, spaces)), fc.stringMatching(/^ {0,3}$/), (pairs, leading) => {
        const tokens = pairs.map(([text]) => text)
        const expected = tokens.filter((text, index) => tokens.indexOf(text) === index)
        expect(parseScope(leading + pairs.flat().join(''))).toEqual(expected)
      }),
    )
  })

  test('G9 exactly the characters of RFC 6749 §3.3 make a token', () => {
    for (let code = 0; code < 0x180; code++) {
      const allowed = code === 0x21 || (code >= 0x23 && code <= 0x5b) || (code >= 0x5d && code <= 0x7e)
      expect(isScopeToken(`a${String.fromCharCode(code)}`)).toBe(allowed)
    }
    expect(isScopeToken('')).toBe(false)
  })

  test('G9 an intersection holds what both hold, in the order of the first', () => {
    fc.assert(
      fc.property(scope, scope, (a, b) => {
        expect(intersectScope(a, b)).toEqual(a.filter((item) => b.includes(item)))
        expect(intersectScope(a, undefined)).toEqual(a)
        expect(isWithinScope(intersectScope(a, b), b)).toBe(true)
        expect(isWithinScope(a, b)).toBe(a.every((item) => b.includes(item)))
      }),
    )
  })

  test('G9 nothing is granted outside any limit, and whatever was asked for is granted whole or not at all', () => {
    const limits = fc.record({ requested: fc.option(scope, { nil: undefined }), allowed: scope, granted: scope, fallback: fc.option(scope, { nil: undefined }), has: fc.boolean() }) // prettier-ignore
    fc.assert(
      fc.property(limits, ({ requested, allowed, granted, fallback, has }) => {
        const limit = has ? allowed.filter((item) => granted.includes(item)) : allowed
        const isSpent = has && granted.length > 0 && limit.length === 0
        const isTooMuch = requested?.some((item) => !limit.includes(item)) ?? false
        const decide = () => grantableScope({ requested, allowed, fallback, ...(has ? { granted } : {}) })
        if (isSpent || isTooMuch) expect(decide).toThrow(expect.objectContaining({ error: 'invalid_scope' }))
        else expect([...decide()].sort()).toEqual([...(requested ?? fallback?.filter((item) => limit.includes(item)) ?? limit)].sort())
      }),
      { numRuns: 500 },
    )
  })
})

/** The bound of a subject, wherever one is handed in: the same in every store. */
import { describe, expect, test } from '@jest/globals'
import { memoryStore, password } from 'oauth2-token-handler'
import { authorizeTemporaryCredentials } from 'oauth2-token-handler/oauth1'
import { isSubject } from '../src/option-checks/subject.js'
import { formOf, initiate, oauth1Server } from './oauth1/support.js'
import { basic, exchange, testServer, web } from './support/server.js'
import { describeWith, openPostgres } from './support/services.js'

const longest = 'é'.repeat(500)
const unfit = [
  ['1,001 bytes', 'x'.repeat(1001)],
  ['501 letters of two bytes', 'é'.repeat(501)],
  ['3,000 bytes', 'x'.repeat(3000)],
  ['a NUL character', 'a\0b'],
  ['half a surrogate pair', 'a\ud800'],
] as const

describe('OP20 a subject', () => {
  test.each(unfit)('OP20 of %s is a TypeError of issueAuthorizationCode, and nothing is stored', async (_name, subject) => {
    const store = memoryStore()
    const server = testServer({ store })
    await expect(server.code({ subject })).rejects.toThrow(
      new TypeError('issueAuthorizationCode: subject must have at most 1000 bytes, without NUL or half a surrogate pair'),
    )
    expect(store.size).toBe(0)
  })

  test.each(unfit)('OP20 of %s is a TypeError of authorizeTemporaryCredentials', async (_name, subject) => {
    const server = oauth1Server()
    const { oauth_token = '' } = formOf(await initiate(server))
    await expect(authorizeTemporaryCredentials(server.options, { oauth_token, subject })).rejects.toThrow(TypeError)
  })

  test.each(unfit)('OP20 of %s from a grant is 500, not 503 for ever', async (_name, subject) => {
    const legacy = { ...web, grant_types: ['password'] }
    const { warn } = console
    console.warn = () => {}
    const server = testServer({ clients: [legacy], grants: [password({ authenticate: () => subject })] })
    const answer = await server.token({ grant_type: 'password', username: 'u', password: 'p' }, basic(web))
    console.warn = warn
    expect([answer.status, answer.headers['Retry-After']]).toEqual([500, undefined])
    expect(server.events.at(-1)).toMatchObject({ reason: 'a grant authorised a wrong subject: subject must have at most 1000 bytes, without NUL or half a surrogate pair' })
  }) // prettier-ignore

  test('OP20 of 1,000 bytes is one; an empty text and what is no text is none', () => {
    expect([longest, 'x'.repeat(1000), 'a'].map(isSubject)).toEqual([true, true, true])
    expect(['', undefined, 7, {}, 'x'.repeat(1_000_000)].map(isSubject)).toEqual([false, false, false, false, false])
  })
})

describeWith('PostgreSQL')('OP20 over PostgreSQL', () => {
  test('OP20 a subject of 1,000 bytes that cannot be compressed is stored and listed', async () => {
    const place = await openPostgres()
    try {
      const subject = Array.from({ length: 500 }, () => String.fromCharCode(0x100 + Math.floor(Math.random() * 0x600))).join('')
      const server = testServer({ store: place.store })
      const code = await server.code({ subject })
      expect((await server.token(exchange(code), basic(web))).status).toBe(200)
      const found: unknown[] = []
      for await (const record of place.store.list({ subject })) found.push(record.subject)
      expect(found).toEqual([subject])
    } finally {
      await place.close()
    }
  })
})

/** What `issueAuthorizationCode` is given comes from a query, and some query parsers make lists and objects of it. */
import { describe, expect, test } from '@jest/globals'
import { issueAuthorizationCode } from '../src/index.js'
import { code_challenge, redirect_uri, testServer } from './support/server.js'

describe('N5 issueAuthorizationCode, given what a query parser made of a query', () => {
  const request = { client_id: 'web', redirect_uri, subject: 'alice', scope: 'read', code_challenge, code_challenge_method: 'S256' }

  test.each([
    ['client_id[]=web', { client_id: ['web'] }, 'invalid_request'],
    ['redirect_uri[]=…', { redirect_uri: [redirect_uri] }, 'invalid_request'],
    ['code_challenge[]=…', { code_challenge: [code_challenge] }, 'invalid_request'],
    ['code_challenge_method[]=S256', { code_challenge_method: ['S256'] }, 'invalid_request'],
    ['scope[a]=read', { scope: { a: 'read' } }, 'invalid_scope'],
    ['scope[a]=read&scope[b]=…', { scope: [{ a: 'read' }] }, 'invalid_scope'],
  ])('refuses %s with the error of the protocol', async (_query, member, error) => {
    const { options } = testServer()
    await expect(issueAuthorizationCode(options, { ...request, ...(member as object) })).rejects.toMatchObject({ error })
  })
})

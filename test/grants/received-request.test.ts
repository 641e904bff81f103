/** G10: a grant whose proof covers the whole request sees it as it came in. */
import { expect, test } from '@jest/globals'
import { createTokenResponse, type Grant, type ReceivedRequest } from '../../src/index.js'
import { basic, formRequest, machine, testServer } from '../support/server.js'

test('G10 a grant sees url, method, headers and every pair of the form, empty and repeatable ones too', async () => {
  const seen: ReceivedRequest[] = []
  const type = 'urn:example:signed'
  const grant: Grant = { type, authorize: ({ received }) => (seen.push(received), { subject: 'alice' }) }
  const { options } = testServer({ clients: [{ ...machine, grant_types: [type] }], grants: [grant] })
  const request = formRequest(`grant_type=${encodeURIComponent(type)}&b=&a=1+2&resource=x&resource=y&`, basic(machine))
  const response = await createTokenResponse(options, { ...request, url: `${request.url}?tenant=a` })
  expect(response.status).toBe(200)
  expect(seen).toEqual([
    {
      url: 'https://server.example/oauth2/token?tenant=a',
      method: 'POST',
      headers: request.headers,
      secure: true,
      form: [
        ['grant_type', type],
        ['b', ''],
        ['a', '1 2'],
        ['resource', 'x'],
        ['resource', 'y'],
      ],
    },
  ])
})

/** The examples of signed and of encrypted access tokens run as their headers say, and get the answers of their headers. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { decodeProtectedHeader } from 'jose'
import { paste, startExample, type RunningExample } from './support/example.js'
import { decoded } from './support/tokens.js'

const names = ['jwt-access-tokens.ts', 'encrypted-access-tokens.ts']
const status = '-o /dev/null -w "%{http_code} %header{www-authenticate}"'

const running: RunningExample[] = []
afterEach(async () => {
  for (const example of running.splice(0)) await example.stop()
})

async function start(name: string): Promise<RunningExample> {
  const example = await startExample(`examples/${name}`, /^curl [^]+\n\n/m)
  running.push(example)
  return example
}

function source(name: string): string {
  return readFileSync(new URL(`../examples/${name}`, import.meta.url), 'utf8')
}

/** The lines of the header with that label, such as `Try it:`. */
function headerLines(name: string, label: string): string[] {
  return [...source(name).matchAll(new RegExp(`^ \\* ${label}: +(.+)$`, 'gm'))].map(([, text = '']) => text)
}

function tokenOf(answer: string): string {
  return (JSON.parse(answer) as { access_token: string }).access_token
}

describe('the examples', () => {
  test.each(names)('%s has at most 60 lines and a header that says how to run it', (name) => {
    expect(source(name).trimEnd().split('\n').length).toBeLessThanOrEqual(60)
    expect(headerLines(name, 'Run it')).toEqual([`npx tsx examples/${name}`])
    expect(headerLines(name, 'Try it')).toEqual([expect.stringMatching(/^curl -k https:\/\/localhost:3000\//)])
    expect(headerLines(name, 'Answer')[0]).toMatch(/^\{.+\}$/)
  })

  test('F2 jwt-access-tokens.ts: another process verifies the token by the address of the keys, and refuses others', async () => {
    const name = 'jwt-access-tokens.ts'
    const { output } = await start(name)
    const [useIt = '', tryIt = ''] = output.split('\n').filter((line) => line.startsWith('curl'))
    const [asked, used] = headerLines(name, 'Answer')
    expect(tryIt.replace(/localhost:\d+/, 'localhost:3000')).toBe(headerLines(name, 'Try it')[0])
    const answer = await paste(`${tryIt} -s`)
    expect(answer.replace(/"access_token":"[^"]+"/, '"access_token":"…"')).toBe(asked)
    expect(useIt.replace(/localhost:\d+/, 'localhost:3001').replace(/Bearer .+/, 'Bearer <access token>"')).toBe(
      headerLines(name, 'Then')[0],
    )
    expect(await paste(useIt)).toBe(used)

    const token = tokenOf(answer)
    const [header = '', , signature = ''] = token.split('.')
    const widened = Buffer.from(JSON.stringify({ ...decoded(token).claims, tenant: 'red' })).toString('base64url')
    const show = (text: string) => paste(`${useIt.replace(/-H .+/, '')} ${status} -H "Authorization: Bearer ${text}"`)
    expect(await show(token)).toBe('200 ')
    for (const other of [`${header}.${widened}.${signature}`, 'x']) expect(await show(other)).toBe('401 Bearer error="invalid_token"')
  })

  test('F4 encrypted-access-tokens.ts: the token is accepted without a look-up, and says nothing to others', async () => {
    const name = 'encrypted-access-tokens.ts'
    const { curlLine } = await start(name)
    expect(curlLine.replace(/localhost:\d+/g, 'localhost:3000')).toBe(headerLines(name, 'Try it')[0])
    expect(await paste(curlLine)).toBe(headerLines(name, 'Answer')[0])

    const [, ask = ''] = /\$\((curl .+?) \| node/.exec(curlLine) ?? []
    const token = tokenOf(await paste(ask))
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'A256KW', enc: 'A256GCM' })
    expect(Buffer.from(token, 'base64').toString('latin1')).not.toMatch(/reports|blue/)

    const show = (path: string) =>
      paste(`${curlLine.replace(/-H .+/, '').replace('/notes', path)} ${status} -H "Authorization: Bearer ${token}"`)
    expect([await show('/notes'), await show('/secrets')]).toEqual(['200 ', '200 '])
    await paste(`${ask.replace('/token', '/revoke').replace(/-d .+/, '')} -d token=${token}`)
    expect([await show('/notes'), await show('/secrets')]).toEqual(['200 ', expect.stringMatching(/^401 Bearer .*error="invalid_token"/)])
  })
})

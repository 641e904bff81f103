/** The examples of MAC tokens, of the password grant and of events run as their headers say, and get the answers of their headers. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { paste, startExample, type RunningExample } from './support/example.js'

const names = ['mac.ts', 'password.ts', 'events.ts']

const running: RunningExample[] = []
afterEach(async () => {
  for (const example of running.splice(0)) await example.stop()
})

async function start(name: string): Promise<RunningExample> {
  const example = await startExample(`examples/${name}`)
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

function headerLine(name: string, label: string): string {
  return headerLines(name, label)[0] ?? ''
}

/** The answer as the header would have it, with what changes from run to run as `…`. */
function masked(answer: string): string {
  return answer.replace(/"(access_token|refresh_token)":"[^"]+"/g, '"$1":"…"').replace(/"(at|duration)":[\d.]+/g, '"$1":…')
}

function standardPort(text: string): string {
  return text.replace(/localhost:\d+/g, 'localhost:3000')
}

describe('the examples', () => {
  test.each(names)('%s has at most 60 lines and a header that says how to run it', (name) => {
    expect(source(name).trimEnd().split('\n').length).toBeLessThanOrEqual(60)
    expect(headerLine(name, 'Run it')).toBe(`npx tsx examples/${name}`)
    expect(headerLine(name, 'Try it')).toMatch(/^curl -k https:\/\/localhost:3000\//)
    expect(headerLine(name, 'Answer')).toMatch(/^\{.+\}$/)
  })

  test('Y2 Y3 mac.ts: the signed request passes once, and neither with another body nor on another path', async () => {
    const { curlLine } = await start('mac.ts')
    const shown = standardPort(curlLine).replace(/'Authorization: MAC .+'/, "'Authorization: MAC <signed>'")
    expect(shown).toBe(headerLine('mac.ts', 'Try it'))
    const refused = headerLine('mac.ts', 'Again')
    expect(await paste(curlLine.replace('the plants', 'the car'))).toBe(refused)
    expect(await paste(curlLine.replace('/notes ', '/notes?a=1 '))).toBe(refused)
    expect(await paste(curlLine)).toBe(headerLine('mac.ts', 'Answer'))
    expect(await paste(curlLine)).toBe(refused)
  })

  test('G8 password.ts: the right password gets tokens; a wrong one, an unknown name and no grant of the client do not', async () => {
    const { curlLine } = await start('password.ts')
    expect(standardPort(curlLine)).toBe(headerLine('password.ts', 'Try it'))
    const wrong = headerLine('password.ts', 'Wrong')
    expect(await paste(curlLine.replace('correct horse', 'battery staple'))).toBe(wrong)
    expect(await paste(curlLine.replace('alice', 'bob'))).toBe(wrong)
    const answer = await paste(curlLine)
    expect(masked(answer)).toBe(headerLine('password.ts', 'Answer'))
    const refresh = `-d grant_type=refresh_token -d refresh_token=${String(JSON.parse(answer).refresh_token)}`
    expect(masked(await paste(curlLine.replace(/-d grant_type.+$/, refresh)))).toBe(headerLine('password.ts', 'Answer'))
    expect(JSON.parse(await paste(curlLine.replace('=password ', '=client_credentials '))).error).toBe('unsupported_grant_type')
  })

  test('G8 password.ts: says why not to', () => {
    expect(source('password.ts')).toContain('RFC 9700 §2.4 says that it must not be used')
  })

  test('R5 events.ts: a refusal is a line of the log and a count, and a success is another', async () => {
    const example = await start('events.ts')
    expect(standardPort(example.curlLine)).toBe(headerLine('events.ts', 'Try it'))
    expect(await paste(example.curlLine)).toBe(headerLine('events.ts', 'Answer'))
    expect(JSON.parse(await paste(example.curlLine.replace('wrong-secret', 'reports-secret'))).token_type).toBe('Bearer')
    const lines = () => example.printed().split('\n').slice(0, -1).filter((line) => line.startsWith('{')) // prettier-ignore
    while (lines().length < 2) await setTimeout(5)
    const log = lines()
    expect(masked(log[0] ?? '')).toBe(headerLine('events.ts', 'Log'))
    expect(JSON.parse(log[1] ?? '')).toMatchObject({ level: 'info', type: 'token.issued', client_id: 'reports', msg: 'token.issued' })
    expect(log.join('')).not.toMatch(/wrong-secret|reports-secret/)
    const [, counted = ''] = headerLines('events.ts', 'Answer')
    const [curl = ''] = headerLines('events.ts', 'Then')
    const origin = /https:\/\/localhost:\d+/.exec(example.curlLine)?.[0] ?? ''
    const metrics = await paste(curl.replace('https://localhost:3000', origin))
    expect(metrics.split('\n')).toEqual(expect.arrayContaining([counted, 'oauth2_events_total{type="token.issued"} 1']))
  })
})

/** No secret leaves in an event, a line of output, a refusal or a record; and nothing that stands in a record opens anything. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { text as readText } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { authorizationCode, clientCredentials, memoryStore, refreshToken, type Store, type StoredRecord } from '../../src/index.js'
import { hmacSha256 } from '../../src/secrets.js'
import { basic, testServer } from '../support/server.js'
import { ticketGrant } from './races.js'
import { findSecrets } from './canary.js'
import { machineCanary, playEverything, redemption, thrownCanary, webCanary, type Transcript } from './canary-flows.js'
import { patience } from './sizes.js'

jest.setTimeout(patience)

const printed: string[] = []
let transcript: Transcript

beforeAll(async () => {
  for (const method of ['log', 'info', 'warn', 'error', 'debug', 'trace'] as const) {
    jest.spyOn(console, method).mockImplementation((...values: unknown[]) => void printed.push(values.map(String).join(' ')))
  }
  transcript = await playEverything()
})

afterAll(() => {
  jest.restoreAllMocks()
})

describe('I6 R5 a canary', () => {
  test.each([
    ['plain', (secret: string) => `a ${secret} b`],
    ['base64url', (secret: string) => Buffer.from(`id:${secret}`).toString('base64url')],
    ['URL-encoded', (secret: string) => encodeURIComponent(secret)],
    ['form-encoded', (secret: string) => new URLSearchParams({ a: secret }).toString()],
    ['JSON', (secret: string) => JSON.stringify({ a: { b: secret } })],
  ])('would be found %s', (_form, write) => {
    expect(findSecrets(['other', webCanary.client_secret], write(webCanary.client_secret))).not.toEqual([])
  })

  test('stands in no response but the one that hands it out', () => {
    expect(transcript.responses.length).toBeGreaterThan(300)
    expect(findSecrets(transcript.secrets, transcript.responses.join('\n'))).toEqual([])
  })

  test('stands in no event, as JSON or inspected, and in nothing a hook is shown', () => {
    expect(transcript.told.join('\n')).toMatch(/token\.issued[^]*request\.failed/)
    expect(findSecrets(transcript.secrets, transcript.told.join('\n'))).toEqual([])
  })

  test('stands in no line on the console', () => {
    expect(printed.join('\n')).toContain('oauth2-token-handler: ')
    expect(findSecrets(transcript.secrets, printed.join('\n'))).toEqual([])
  })

  test('stands in no record', () => {
    const dump = JSON.stringify([...transcript.records.values()])
    expect(dump).toContain('sealedAnswer')
    expect(findSecrets(transcript.secrets, dump)).toEqual([])
  })

  test('stands in no line that NODE_DEBUG=oauth2-token-handler prints, but for what the application itself has thrown', async () => {
    const child = fork(new URL('canary-child.ts', import.meta.url), [], {
      execArgv: ['--import', 'tsx'],
      env: { PATH: process.env.PATH, NODE_DEBUG: 'oauth2-token-handler' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const output = Promise.all([child.stdout, child.stderr].map((stream) => (stream === null ? Promise.resolve('') : readText(stream))))
    const [secrets] = (await once(child, 'message')) as [string[]]
    const lines = (await output).join('\n')
    expect(lines).toMatch(/OAUTH2-TOKEN-HANDLER [0-9]+: \{"type":"token\.issued"/)
    expect(lines).toMatch(/"type":"request\.failed"/)
    // V2: NODE_DEBUG is for a developer, and prints the message and the stack of what a function of the application threw.
    expect(lines).toContain(thrownCanary)
    expect(findSecrets(secrets.filter((secret) => secret !== thrownCanary), lines)).toEqual([]) // prettier-ignore
  })
})

function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsIn) : []
}

/** A store that is as it was dumped, at every request. */
function snapshot(records: ReadonlyMap<string, StoredRecord>): Store {
  return { ...memoryStore(), get: async (id) => records.get(id), create: async () => true, replace: async () => true }
}

/** What of it opens something for whoever has the client's part, and a text. */
async function accepted(texts: Iterable<string>): Promise<string[]> {
  const grants = [authorizationCode(), refreshToken(), clientCredentials(), ticketGrant]
  const server = testServer({ clients: [webCanary, machineCanary], grants, store: snapshot(transcript.records) })
  const hits: string[] = []
  for (const text of texts) {
    if (text === '') continue
    const code = await server.token(redemption(text), basic(webCanary))
    const refresh = await server.token({ grant_type: 'refresh_token', refresh_token: text }, basic(webCanary))
    const secret = await server.token({ grant_type: 'client_credentials' }, basic({ ...machineCanary, client_secret: text }))
    const accessToken = await server.introspect({ token: text }, basic(webCanary))
    if (code.status === 200) hits.push(`code ${text}`)
    if (refresh.status === 200) hits.push(`refresh token ${text}`)
    if (secret.status === 200) hits.push(`client secret ${text}`)
    if (accessToken.json.active === true) hits.push(`token ${text}`)
  }
  return hits
}

describe('I6 what stands in a dump of the memory store', () => {
  test('is accepted nowhere, alone or behind an id', async () => {
    const records = [...transcript.records.values()]
    const values = new Set(records.flatMap(stringsIn))
    expect(values.size).toBeGreaterThan(30)
    expect(await accepted(values)).toEqual([])
    const composed = records.flatMap((record) => stringsIn(record).map((value) => `${record.id}.${value}`))
    expect(await accepted(composed)).toEqual([])
  })

  test('makes no refresh token that is accepted, although the key of the tags is there', async () => {
    const forged = [...transcript.records.values()].flatMap(forgeries)
    expect(forged.length).toBeGreaterThan(0)
    expect(await accepted(forged)).toEqual([])
  })

  test('would be noticed if it were a credential', async () => {
    const [code = '', refresh = '', access = ''] = transcript.live
    const { client_secret } = machineCanary
    expect(await accepted([...transcript.live, client_secret])).toEqual([
      `code ${code}`,
      `refresh token ${refresh}`,
      `token ${refresh}`,
      `token ${access}`,
      `client secret ${client_secret}`,
    ])
  })
})

interface StoredRefreshToken {
  readonly key: string
  readonly generation: number
  readonly hash: string
}

/** Tokens with a right tag, made of what stands in a record. */
function forgeries({ id, data }: StoredRecord): string[] {
  const head = data.refreshToken as StoredRefreshToken | undefined
  if (head === undefined) return []
  return [head.generation, head.generation + 1].map((generation) => {
    const tagged = `${id}.${generation}.${head.hash}`
    return `${tagged}.${hmacSha256(head.key, tagged)}`
  })
}

/** The blocks of the README that make a server run as they stand (U15): what each needs of the application is given, and nothing of the package is replaced. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import ts from 'typescript'
import * as face from '../src/index.js'
import { machine, web } from './support/server.js'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const blocks = [...readme.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code = '']) => code)
const makesServer = /\bapp\.(?:use|get|post)\(/
/** Databases and other packages are not here. */
const isSelfContained = (block: string) =>
  [...block.matchAll(/from '([^']+)'/g)].every(
    ([, name = '']) => ['express', 'oauth2-token-handler'].includes(name) || name.startsWith('node:'),
  )
const servers = blocks.filter((block) => makesServer.test(block) && isSelfContained(block))

const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
let listening: Server | undefined
beforeAll(() => {
  jest.spyOn(console, 'warn').mockReturnValue()
  process.env.REPORTS_SECRET = process.env.WEB_SECRET = process.env.API_SECRET = 'x'.repeat(30)
  process.env.TOKEN_KEY = randomBytes(32).toString('base64url')
})
afterAll(() => {
  listening?.close()
  jest.restoreAllMocks()
})

async function load(name: string): Promise<object> {
  if (name === 'oauth2-token-handler') return face
  if (name === 'node:fs') return { readFileSync: () => pem }
  return (await import(name)) as object
}

/** Runs a block, and returns its application. */
async function run(block: string): Promise<express.Express> {
  const { outputText } = ts.transpileModule(block, { compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext } })
  const code = outputText
    .replaceAll(
      /^import \{([^}]*)\} from '([^']+)';?$/gm,
      (_line, names: string, name: string) => `const {${names}} = await load('${name}')`,
    )
    .replaceAll(
      /^import (\w+) from '([^']+)';?$/gm,
      (_line, local: string, name: string) => `const { default: ${local} } = await load('${name}')`,
    )
    .replaceAll(/^export \{\};?$/gm, '')
    .replaceAll(/^app\.listen\(.*$/gm, '')
  const declaresApp = /^const app = /m.test(code)
  const declaresOauth = /^const oauth = /m.test(code)
  const given = `${declaresApp ? '' : 'const app = given.app;'}${declaresOauth ? '' : 'const oauth = given.oauth;'}`
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the README is code
  const started = new Function('load', 'given', `return (async () => { ${given}\n${code}\nreturn app })()`) as (
    load: (name: string) => Promise<object>,
    given: object,
  ) => Promise<express.Express>
  return started(load, { app: express(), oauth: { issuer: 'https://as.example', clients: [web, machine], scopes: ['read', 'write'] } })
}

async function get(app: express.Express, path: string): Promise<Record<string, unknown>> {
  const server = createServer(app)
  listening = server
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}${path}`)
  const body = (await response.json()) as Record<string, unknown>
  await new Promise((resolve) => server.close(resolve))
  return body
}

describe('a block of the README that makes a server', () => {
  test('U15 there are several', () => {
    expect(servers.length).toBeGreaterThan(6)
  })

  test.each(
    servers.map((block) => [
      block
        .split('\n')
        .find((line) => makesServer.test(line))
        ?.trim() ?? '',
      block,
    ]),
  )('U15 starts as it stands: %s', async (_line, block) => {
    expect(typeof (await run(block))).toBe('function')
  })

  test('U15 the one about metadata advertises what it serves', async () => {
    const app = await run(servers.find((block) => block.includes('metadataHandler(')) ?? '')
    expect(await get(app, '/.well-known/oauth-authorization-server')).toMatchObject({
      issuer: 'https://server.example',
      token_endpoint: 'https://server.example/oauth2/token',
      revocation_endpoint: 'https://server.example/oauth2/revoke',
      introspection_endpoint: 'https://server.example/oauth2/introspect',
      jwks_uri: 'https://server.example/oauth2/jwks',
      service_documentation: 'https://server.example/docs',
    })
    expect(await get(app, '/oauth2/jwks')).toMatchObject({ keys: [{ kty: 'EC', use: 'sig' }] })
  })
})

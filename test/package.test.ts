/**
 * The package as it is published: packed, laid into the node_modules of projects that are not this one, and used from ES modules,
 * CommonJS and TypeScript. Needs `dist`, which `npm test` builds.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Beside the dependencies: what a TypeScript project with Express installs. */
const types = ['@types/node', '@types/express', '@types/express-serve-static-core', '@types/connect', 'express']

let folder: string
let files: string[]

beforeAll(async () => {
  if (!existsSync(join(root, 'dist/index.js'))) throw new Error('dist is missing: run npm run build, or npm test, which does')
  folder = mkdtempSync(join(tmpdir(), 'package-test-'))
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], { cwd: root })
  const [packed] = JSON.parse(stdout)
  files = packed.files.map(({ path }: { path: string }) => path)
  mkdirSync(join(folder, 'unpacked'))
  await run('tar', ['-xzf', join(folder, packed.filename), '-C', join(folder, 'unpacked')])
}, 120_000)
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** A project that has the package installed: its files as they were packed, its dependencies from here. */
async function project(name: string, type: 'module' | 'commonjs'): Promise<string> {
  const directory = join(folder, name)
  const modules = join(directory, 'node_modules')
  mkdirSync(modules, { recursive: true })
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ name, private: true, type }))
  await run('cp', ['-r', join(folder, 'unpacked/package'), join(modules, 'oauth2-token-handler')])
  for (const dependency of [...Object.keys(manifest.dependencies), ...types]) {
    mkdirSync(dirname(join(modules, dependency)), { recursive: true })
    symlinkSync(join(root, 'node_modules', dependency), join(modules, dependency))
  }
  return directory
}

/** What a program prints. */
async function output(directory: string, file: string, program: string, args: readonly string[] = []): Promise<string> {
  writeFileSync(join(directory, file), program)
  const { NODE_OPTIONS: _jestOptions, ...env } = process.env
  const { stdout, stderr } = await run(process.execPath, [...args, file], { cwd: directory, env })
  return stdout + stderr
}

/** Gets a token and prints the status, the members, and whether an error is an instance of the class that was imported. */
const program = `
const options = { clients: [{ client_id: 'a', client_secret: 'a-secret-of-the-test-0123', grant_types: ['client_credentials'] }], scopes: ['read'] }
const ask = (body) => createTokenResponse(options, {
  url: 'https://server.example/token',
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: 'Basic ' + btoa('a:a-secret-of-the-test-0123') },
  body,
})
async function main() {
  const { status, body } = await ask('grant_type=client_credentials&scope=read')
  console.log(status, Object.keys(JSON.parse(body)).join())
  await validateTokenRequest(options, { url: 'http://x', method: 'POST', headers: {} }).catch((error) => {
    console.log(error instanceof InvalidRequest, error instanceof OAuthError)
  })
  try { tokenHandler({ scope: [] }) } catch (error) { console.log(error instanceof ConfigurationError, error.message) }
}
main()
`
const names = 'ConfigurationError, createTokenResponse, InvalidRequest, OAuthError, tokenHandler, validateTokenRequest'
const printed = [
  '200 access_token,token_type,expires_in,scope',
  'true true',
  'true the options object has no member "scope"; did you mean "scopes"?',
  '',
].join('\n')

describe('the packed package', () => {
  test('holds dist, src, docs, examples, README, CHANGELOG, SECURITY, LICENSE, package.json and two files of bench, and nothing else', () => {
    const others = files.filter((path) => !/^(?:dist|src|docs|examples)\//.test(path))
    const pages = ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md']
    expect(others.sort()).toEqual([...pages, 'bench/README.md', 'bench/chart.svg', 'package.json'])
    expect(files).toEqual(expect.arrayContaining(['dist/index.js', 'dist/index.d.ts', 'dist/index.js.map', 'src/index.ts']))
  })

  test('V18 every relative link of its pages leads to a file that is in it', () => {
    const pages = files.filter((path) => path.endsWith('.md'))
    const links = pages.flatMap((page) => {
      const text = readFileSync(join(folder, 'unpacked/package', page), 'utf8').replaceAll(/^```[^]*?^```$/gm, '')
      const targets = [...text.matchAll(/\]\(([^)\s#]+)(?:#[^)\s]*)?\)/g)].map(([, target = '']) => target)
      return targets.filter((target) => !/^\w+:/.test(target)).map((target) => [page, join(dirname(page), target)] as const)
    })
    expect(links.length).toBeGreaterThan(60)
    expect(links.filter(([, target]) => !files.includes(target))).toEqual([])
  })

  test('V4 no declaration takes JsonWebKey from node:crypto, whose types no longer have it', () => {
    const declarations = files.filter((path) => path.startsWith('dist/') && path.endsWith('.d.ts'))
    const texts = declarations.map((path) => [path, readFileSync(join(folder, 'unpacked/package', path), 'utf8')] as const)
    expect(texts.filter(([, text]) => /import[^;]*\bJsonWebKey\b[^;]*'node:crypto'/.test(text)).map(([path]) => path)).toEqual([])
    expect(texts.some(([, text]) => /import[^;]*\bJsonWebKey\b[^;]*jwk\.js'/.test(text))).toBe(true)
  })

  test('source maps lead to sources that are in it', () => {
    const maps = files.filter((path) => path.endsWith('.map'))
    expect(maps.length).toBeGreaterThan(20)
    for (const map of maps) {
      const { sources } = JSON.parse(readFileSync(join(folder, 'unpacked/package', map), 'utf8'))
      for (const source of sources) expect(files).toContain(join(dirname(map), source))
    }
  })

  test('is used by import', async () => {
    const directory = await project('esm', 'module')
    expect(await output(directory, 'main.js', `import { ${names} } from 'oauth2-token-handler'\n${program}`)).toBe(printed)
  })

  test('is used by require', async () => {
    const directory = await project('commonjs', 'commonjs')
    const said = await output(directory, 'main.js', `const { ${names} } = require('oauth2-token-handler')\n${program}`)
    expect(withoutWarning(said)).toBe(printed)
  })

  test('gives require and import the same classes', async () => {
    const directory = await project('both', 'module')
    const both = `
      import { createRequire } from 'node:module'
      import { OAuthError } from 'oauth2-token-handler'
      console.log(createRequire(import.meta.url)('oauth2-token-handler').OAuthError === OAuthError)`
    expect(withoutWarning(await output(directory, 'main.js', both))).toBe('true\n')
  })

  test('OP3 tests a store of its user, alone and across processes, under node:test and under Jest', async () => {
    const directory = await project('own-store', 'module')
    symlinkSync(join(root, 'node_modules/libsql'), join(directory, 'node_modules/libsql'))
    writeFileSync(join(directory, 'my-store.js'), ownStore)
    const declared = `
      const store = await createStore()
      testStore('alone', () => store, framework)
      testStoreAcrossProcesses('across', { module: new URL('./my-store.js', import.meta.url), processes: 2 }, framework)`
    const imports = `
      import { createStore } from './my-store.js'
      import { testStore, testStoreAcrossProcesses } from 'oauth2-token-handler/testing'`
    const underNode = `import { after, describe, test } from 'node:test'\n${imports}\nconst framework = { describe, test, after }\n${declared}`
    const tap = await output(directory, 'node.test.js', underNode, ['--test', '--test-reporter=tap'])
    expect(tap).toMatch(/ok \d+ - replace: no update is lost, in 2 processes/)
    expect(tap).not.toContain('not ok')
    writeFileSync(join(directory, 'jest.test.js'), `${imports}\nconst framework = undefined\n${declared}`)
    const jest = [
      join(root, 'node_modules/jest/bin/jest.js'),
      '--rootDir',
      directory,
      '--verbose',
      '--testTimeout=60000',
      '--testMatch',
      '**/jest.test.js',
    ]
    const said = await run(process.execPath, ['--experimental-vm-modules', ...jest], { cwd: directory })
    expect(said.stderr).toMatch(/✓ replace: no update is lost, in 2 processes/)
    expect(said.stderr).toMatch(/✓ get: undefined for an unknown id/)
  }, 120_000)

  test.each(Object.keys(manifest.exports).filter((path) => path !== './package.json'))('OP3 %s is imported from it', async (path) => {
    const directory = join(folder, 'paths')
    if (!existsSync(directory)) await project('paths', 'module')
    const name = path.replace('.', 'oauth2-token-handler')
    const program = `import * as part from '${name}'\nconsole.log(Object.keys(part).length > 0)`
    // V19: this one is types only.
    expect(await output(directory, 'main.js', program)).toBe(`${path !== './express'}\n`)
  })

  // Two compilers at once on a busy machine take their time.
  test('V19 type-checks in a project with Express, which knows req.auth: as an ES module, and as CommonJS by the resolution of old', async () => {
    const projects = [
      typeErrors(await project('types-esm', 'module'), { module: 'node20', exactOptionalPropertyTypes: true }),
      typeErrors(await project('types-old', 'commonjs'), { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' }),
    ]
    expect(await Promise.all(projects)).toEqual(['', ''])
  }, 60_000)
})

const ownStore = `
import Database from 'libsql'
import { sqliteStore } from 'oauth2-token-handler/stores/sqlite'

export async function createStore() {
  const store = sqliteStore(new Database(new URL('./records.db', import.meta.url).pathname))
  await store.createTables()
  return store
}
`

/** Node below 22.13 says that require() of an ES module is experimental. */
function withoutWarning(said: string): string {
  return said.replace(/^\(node:\d+\) ExperimentalWarning: .*\n(?:\(Use `node --trace-warnings .*\n)?/gm, '')
}

const application = `
import express, { type Request } from 'express'
import {
  introspectionHandler, issueAuthorizationCode, requireAccessToken, revocationHandler, tokenHandler,
  type Grant, type ServerEvent, type ServerOptions,
} from 'oauth2-token-handler'
import 'oauth2-token-handler/express'

const grant: Grant = { type: 'urn:example:ticket', authorize: ({ grantableScope }) => ({ subject: 'alice', scope: grantableScope() }) }
const oauth: ServerOptions = {
  clients: async (client_id) => ({ client_id, client_secret: process.env.SECRET, grant_types: [grant.type] }),
  grants: [grant],
  scopes: ['read'],
  context: (req: Request) => ({ ip: req.ip }),
  onEvent: (event: ServerEvent) => { console.log(event.type) },
}
const app = express()
app.post('/token', tokenHandler(oauth))
app.use('/revoke', revocationHandler(oauth))
app.use('/introspect', introspectionHandler(oauth))
app.get('/me', requireAccessToken(oauth, { scope: 'read' }), (req, res) => {
  res.json(req.auth?.scopes.map((token: string) => token))
})
app.get('/authorize', async (req, res) => {
  const code: string = await issueAuthorizationCode(oauth, { client_id: 'a', subject: 'alice', scope: ['read'] })
  res.redirect(code)
})
// @ts-expect-error an option that does not exist
tokenHandler({ scope: ['read'] })
`

/** What tsc says of the application. */
async function typeErrors(directory: string, options: object): Promise<string> {
  const common = { target: 'es2023', strict: true, noEmit: true, skipLibCheck: true, types: ['node'], esModuleInterop: true }
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...common, ...options }, files: ['main.ts'] }))
  writeFileSync(join(directory, 'main.ts'), application)
  const tsc = spawn(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory])
  return text(tsc.stdout)
}

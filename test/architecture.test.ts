/** The rules of the house hold for src, and each of them is shown to fail on a tree that breaks it. */
import { afterAll, describe, expect, it } from '@jest/globals'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { breachesIn, floors, knowsMessages, readTree, strategyRooms } from './support/architecture.js'

const root = fileURLToPath(new URL('../src', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, '../package.json'), 'utf8')) as {
  dependencies: Record<string, string>
  exports: Record<string, string | { default: string }>
}
const packages = Object.keys(manifest.dependencies)
/** The files that the package exports. */
const exported = Object.values(manifest.exports).flatMap((entry) =>
  typeof entry === 'string' ? [] : [entry.default.replace('./dist/', '').replace(/\.js$/, '.ts')],
)

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

const header = '/** What this file is, and what it leaves to others. */\n'

/** A small tree that breaks no rule. */
const good: Readonly<Record<string, string>> = {
  'index.ts': "export { handle } from './node/handlers.js'\nexport { memory } from './stores/memory.js'\nexport { password } from './grants/password.js'\nexport { jwt } from './tokens/jwt.js'\n",
  'node/handlers.ts': "import { answer } from '../endpoints/token/endpoint.js'\nexport const handle = (req: unknown, res: unknown) => answer(req, res)\n",
  'management/clients.ts': "import { configure } from '../configuration/configure.js'\nexport const list = configure\n",
  'endpoints/token/endpoint.ts': "import { configure } from '../../configuration/configure.js'\nimport { Ledger } from '../../authorization/ledger.js'\nexport const answer = [configure, Ledger]\n",
  'configuration/configure.ts': "import { environment } from '../environment.js'\nimport { password } from '../grants/password.js'\nexport const configure = [environment, password]\n",
  'grants/grant.ts': "import type { Form } from '../http/message.js'\nexport type Grant = Form\n",
  'grants/password.ts': "import type { Grant } from './grant.js'\nexport const password: Grant = 1\n",
  'tokens/access-token.ts': "import type { Form } from '../http/message.js'\nexport type AccessTokenFormat = Form\n",
  'tokens/claims.ts': "import type { AccessTokenFormat } from './access-token.js'\nexport const write: AccessTokenFormat = 1\n",
  'tokens/jwt.ts': "import { write } from './claims.js'\nimport { sign } from '../jose/key-agreement.js'\nexport const jwt = [write, sign]\n",
  'authorization/ledger.ts': "import type { Store } from '../stores/store.js'\nexport const Ledger: Store = 1\n",
  'environment.ts': "import { memory } from './stores/memory.js'\nexport const environment = memory\n",
  'stores/store.ts': 'export type Store = unknown\n',
  'stores/memory.ts': "import type { Store } from './store.js'\nimport { parse } from '../http/message.js'\nexport const memory: Store = parse\n",
  'stores/redis.ts': "import { row } from './row.js'\nexport const redis = row\n",
  'stores/row.ts': 'export const row = 1\n',
  'jose/key-agreement.ts': "import * as jose from 'jose'\nexport const sign = jose\n",
  'oauth1/token.ts': "import { parse } from '../http/message.js'\nexport const token = parse\n",
  'http/message.ts': "import { Buffer } from 'node:buffer'\nexport type Form = unknown\nexport const parse = Buffer\n",
  'errors.ts': 'export const refuse = 1\n',
} // prettier-ignore

/** Writes the good tree with some files changed or added, and reads its breaches. `code` goes under a header, `whole` as it is. */
function breachesWith(code: Readonly<Record<string, string>>, whole: Readonly<Record<string, string>> = {}): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'architecture-'))
  folders.push(folder)
  const texts = Object.entries({ ...good, ...code }).map(([path, text]) => [path, header + text] as const)
  for (const [path, text] of [...texts, ...Object.entries(whole)]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return breachesIn(readTree(folder), ['jose', 'nanoid'], ['index.ts', 'stores/redis.ts'])
}

describe('src', () => {
  it('DESIGN §2 breaks no rule of the house', () => {
    expect(breachesIn(readTree(root), packages, exported)).toEqual([])
  })

  it('DESIGN §2 was read whole: the shell, the ground, and every folder', () => {
    const paths = readTree(root).map(({ path }) => path)
    expect(paths).toEqual(
      expect.arrayContaining(['index.ts', 'node/handlers.ts', 'endpoints/token/endpoint.ts', 'grants/grant.ts', 'stores/memory.ts']),
    )
    expect(paths.length).toBeGreaterThanOrEqual(40)
  })

  it('DESIGN §2 the floors are the folders, and no exception is about nothing', () => {
    const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(folders.map(({ name }) => name).filter((name) => !floors.flat().includes(name))).toEqual([])
    for (const path of [...Object.keys(knowsMessages), ...strategyRooms]) expect([path, existsSync(join(root, path))]).toEqual([path, true])
  })

  it('DESIGN §2 at most 15 files stand outside the folders', () => {
    expect(readdirSync(root).filter((name) => name.endsWith('.ts')).length).toBeLessThanOrEqual(15)
  })
})

describe('a tree', () => {
  it('DESIGN §2 that keeps the rules has no breach', () => {
    expect(breachesWith({})).toEqual([])
  })

  const upward: [string, string, string][] = [
    ['http/message.ts', "import { Store } from '../stores/store.js'", 'stores/store.ts'],
    ['http/message.ts', "import type { Store } from '../stores/store.js'", 'stores/store.ts'],
    ['http/message.ts', "export type { Store } from '../stores/store.js'", 'stores/store.ts'],
    ['http/message.ts', "export * from '../stores/store.js'", 'stores/store.ts'],
    ['http/message.ts', "import '../stores/store.js'", 'stores/store.ts'],
    ['http/message.ts', "export const later = () => import('../stores/store.js')", 'stores/store.ts'],
    ['http/message.ts', "export type S = import('../stores/store.js').Store", 'stores/store.ts'],
    ['http/message.ts', "import store = require('../stores/store.js')", 'stores/store.ts'],
    ['http/message.ts', "export const store = require('../stores/store.js')", 'stores/store.ts'],
    ['errors.ts', "import { parse } from './http/message.js'", 'http/message.ts'],
    ['errors.ts', "import { environment } from './environment.js'", 'environment.ts'],
    ['errors.ts', "import { handle } from './index.js'", 'index.ts'],
    ['stores/store.ts', "import type { Grant } from '../grants/grant.js'", 'grants/grant.ts'],
    ['stores/memory.ts', "import { Ledger } from '../authorization/ledger.js'", 'authorization/ledger.ts'],
    ['stores/memory.ts', "import { sign } from '../jose/key-agreement.js'", 'jose/key-agreement.ts'],
    ['stores/redis.ts', "import { memory } from './memory.js'", 'stores/memory.ts'],
    ['stores/row.ts', "import { memory } from './memory.js'", 'stores/memory.ts'],
    ['stores/row.ts', "import { redis } from './redis.js'", 'stores/redis.ts'],
    ['stores/redis/script.ts', "import { memory } from '../memory.js'", 'stores/memory.ts'],
    ['authorization/ledger.ts', "import { memory } from '../stores/memory.js'", 'stores/memory.ts'],
    ['grants/ciba.ts', "import { password } from './password.js'", 'grants/password.ts'],
    ['grants/ciba.ts', "import { jwt } from '../tokens/jwt.js'", 'tokens/jwt.ts'],
    ['grants/ciba.ts', "import type { AccessTokenFormat } from '../tokens/access-token.js'", 'tokens/access-token.ts'],
    ['tokens/claims.ts', "import { jwt } from './jwt.js'", 'tokens/jwt.ts'],
    ['endpoints/jwks.ts', "import { memory } from '../stores/memory.js'", 'stores/memory.ts'],
    ['endpoints/jwks.ts', "import { token } from '../oauth1/token.js'", 'oauth1/token.ts'],
    ['endpoints/jwks.ts', "import { list } from '../management/clients.js'", 'management/clients.ts'],
    ['endpoints/jwks.ts', "import { handle } from '../node/handlers.js'", 'node/handlers.ts'],
    ['configuration/options.ts', "import { answer } from '../endpoints/token/endpoint.js'", 'endpoints/token/endpoint.ts'],
    ['oauth1/options.ts', "import { configure } from '../configuration/configure.js'", 'configuration/configure.ts'],
    ['oauth1/records.ts', "import { Ledger } from '../authorization/ledger.js'", 'authorization/ledger.ts'],
    ['testing/contract.ts', "import { parse } from '../http/message.js'", 'http/message.ts'],
    ['cli.ts', "import { handle } from './index.js'", 'index.ts'],
  ] // prettier-ignore
  it.each(upward)('DESIGN §2 an import that points up or aside is a breach: in %s, %s', (path, code, target) => {
    expect(breachesWith({ [path]: `${code}\n` })).toContain(`${path} imports ${target}`)
  })

  it('DESIGN §2 two folders of one floor that import one another are a breach', () => {
    const both = {
      'endpoints/token/a.ts': "import type { B } from '../resource/b.js'\nexport type A = B\n",
      'endpoints/resource/b.ts': 'export type B = 1\n',
      'endpoints/resource/c.ts': "import type { D } from '../token/d.js'\nexport type C = D\n",
      'endpoints/token/d.ts': 'export type D = 1\n',
    }
    expect(breachesWith(both)).toEqual(['endpoints/resource/ and endpoints/token/ import one another'])
  })

  it('DESIGN §2 a cycle is a breach, even of types inside one layer', () => {
    const cycle = { 'a.ts': "import type { B } from './b.js'\nexport type A = B\n", 'b.ts': "export type { A as B } from './c.js'\n", 'c.ts': "import type { A } from './a.js'\nexport type { A }\n" } // prettier-ignore
    expect(breachesWith(cycle)).toEqual(['a cycle: a.ts → b.ts → c.ts → a.ts'])
    expect(breachesWith({ 'a.ts': "export type A = import('./a.js').A\n" })).toEqual(['a cycle: a.ts → a.ts'])
  })

  it.each([
    ['const f = (req: unknown) => req', 'req'],
    ['function f(res: { end(): void }) { res.end() }', 'res'],
    ["import type { IncomingMessage } from 'node:http'", 'IncomingMessage'],
    ['export type R = { readonly res: unknown }', 'res'],
  ])('DESIGN §2 %s outside node/ is a breach', (code, name) => {
    expect(breachesWith({ 'endpoints/jwks.ts': `${code}\n` })).toEqual([`endpoints/jwks.ts knows ${name}`])
  })

  it('DESIGN §2 a word in a comment or a text, or a longer name, is no breach', () => {
    const code = "// req and res\nexport const resource = 'req, res, IncomingMessage'\nexport const request = resource\n"
    expect(breachesWith({ 'endpoints/jwks.ts': code })).toEqual([])
  })

  it('STYLE a file over 350 lines is a breach, one of 350 is none', () => {
    const lines = (count: number) => '//\n'.repeat(count - 1)
    expect(breachesWith({ 'long.ts': lines(350) })).toEqual([])
    expect(breachesWith({ 'long.ts': lines(351) })).toEqual(['long.ts has 351 lines'])
  })

  it.each(['', 'export const a = 1\n', '// A line\n', '/* A comment of another kind */\n', '/** */\nexport {}\n', `\n${header}`])(
    'STYLE a file that begins with %j has no header',
    (text) => {
      expect(breachesWith({}, { 'bare.ts': text })).toEqual(['bare.ts has no header comment'])
    },
  )

  it.each([
    'utils.ts',
    'string-utils.ts',
    'helpers.ts',
    'common.ts',
    'types.ts',
    'grants/helpers.ts',
    'stores/common/rows.ts',
    'token.types.ts',
  ])('STYLE %s has a name without an owner', (path) => {
    expect(breachesWith({ [path]: '\n' })).toEqual([expect.stringContaining(`${path} is named `)])
  })

  it('DESIGN §2 a folder that the rules do not know is a breach', () => {
    expect(breachesWith({ 'extras/thing.ts': '\n' })).toEqual(['extras/thing.ts is in a folder that belongs to no floor'])
  })

  it('DESIGN §2 an import of nothing is a breach', () => {
    expect(breachesWith({ 'a.ts': "import './b.js'\n" })).toEqual(['a.ts imports ./b.js, which does not exist'])
  })

  it('DESIGN §8 jose is imported by one file only, and nothing that is no dependency', () => {
    expect(breachesWith({ 'a.ts': "import { jwtVerify } from 'jose'\n" })).toEqual([
      'a.ts imports jose, which is for jose/key-agreement.ts',
    ])
    expect(breachesWith({ 'a.ts': "import type { JWK } from 'jose/types'\n" })).toEqual([
      'a.ts imports jose/types, which is for jose/key-agreement.ts',
    ])
    expect(breachesWith({ 'a.ts': "import { nanoid } from 'nanoid'\n" })).toEqual([])
    expect(breachesWith({ 'a.ts': "import type { Request } from 'express'\n" })).toEqual(['a.ts imports express, which is no dependency'])
  })
})

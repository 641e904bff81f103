/** The rules of the house hold for src, and each of them is shown to fail on a tree that breaks it. */
import { afterAll, describe, expect, it } from '@jest/globals'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { breachesIn, configuration, entries, environment, parts, presets, readTree, seams, workings } from './support/architecture.js'

const root = fileURLToPath(new URL('../src', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, '../package.json'), 'utf8')) as { dependencies: Record<string, string> }
const packages = Object.keys(manifest.dependencies)

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

const header = '/** What this file is, and what it leaves to others. */\n'

/** A small tree that breaks no rule. */
const good: Readonly<Record<string, string>> = {
  'index.ts': "export { handle } from './handlers.js'\nexport { memory } from './stores/memory.js'\nexport { web } from './presets.js'\n",
  'handlers.ts': "import { answer } from './endpoints/token.js'\nexport const handle = (req: unknown, res: unknown) => answer(req, res)\n",
  'endpoints/token.ts': "import { configure } from '../configuration.js'\nimport { Ledger } from '../stores/ledger.js'\nexport const answer = [configure, Ledger]\n",
  'presets.ts': "import { password } from './grants/password.js'\nexport const web = [password]\n",
  'strategy-options.ts': "import { password } from './grants/password.js'\nexport const readGrants = [password]\n",
  'tokens/access-token.ts': "import type { Form } from '../protocol.js'\nexport type AccessTokenFormat = Form\n",
  'tokens/claims.ts': "import type { AccessTokenFormat } from './access-token.js'\nexport const write: AccessTokenFormat = 1\n",
  'tokens/jwt.ts': "import { write } from './claims.js'\nexport const jwt = write\n",
  'oauth1/token.ts': "import { parse } from '../protocol.js'\nexport const token = parse\n",
  'configuration.ts': "import { memory } from './stores/memory.js'\nimport type { Options } from './options.js'\nexport const configure = memory as Options\n",
  'options.ts': "import type { Store } from './stores/store.js'\nexport type Options = Store\n",
  'grants/grant.ts': "import type { Form } from '../protocol.js'\nexport type Grant = Form\n",
  'grants/password.ts': "import type { Grant } from './grant.js'\nexport const password: Grant = 1\n",
  'stores/store.ts': 'export type Store = unknown\n',
  'stores/memory.ts': "import type { Store } from './store.js'\nimport { parse } from '../protocol.js'\nexport const memory: Store = parse\n",
  'stores/ledger.ts': "import type { Store } from './store.js'\nexport const Ledger: Store = 1\n",
  'protocol.ts': "import { Buffer } from 'node:buffer'\nexport type Form = unknown\nexport const parse = Buffer\n",
  'jose.ts': "import * as jose from 'jose'\nexport const sign = jose\n",
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
  return breachesIn(readTree(folder), ['jose', 'nanoid'])
}

describe('src', () => {
  it('DESIGN §2 breaks no rule of the house', () => {
    expect(breachesIn(readTree(root), packages)).toEqual([])
  })

  it('DESIGN §2 was read whole: the shell, the ground, and every folder', () => {
    const paths = readTree(root).map(({ path }) => path)
    expect(paths).toEqual(expect.arrayContaining(['index.ts', 'handlers.ts', 'endpoints/token.ts', 'grants/grant.ts', 'stores/memory.ts']))
    expect(paths.length).toBeGreaterThanOrEqual(40)
  })

  it('DESIGN §2 what the rules name exists', () => {
    for (const path of [...Object.values(seams), ...workings, ...parts, ...entries, ...configuration, ...environment, ...presets])
      expect([path, existsSync(join(root, path))]).toEqual([path, true])
  })
})

describe('a tree', () => {
  it('DESIGN §2 that keeps the rules has no breach', () => {
    expect(breachesWith({})).toEqual([])
  })

  const upward: [string, string, string][] = [
    ['protocol.ts', "import { Store } from './stores/store.js'", 'protocol.ts (ground) imports stores/store.ts (seam)'],
    ['protocol.ts', "import type { Store } from './stores/store.js'", 'protocol.ts (ground) imports stores/store.ts (seam)'],
    ['protocol.ts', "export type { Store } from './stores/store.js'", 'protocol.ts (ground) imports stores/store.ts (seam)'],
    ['protocol.ts', "export * from './stores/store.js'", 'protocol.ts (ground) imports stores/store.ts (seam)'],
    ['protocol.ts', "import './stores/store.js'", 'protocol.ts (ground) imports stores/store.ts (seam)'],
    ['protocol.ts', "export const later = () => import('./stores/store.js')", 'protocol.ts (ground) imports stores/store.ts (seam)'],
    ['protocol.ts', "export type S = import('./stores/store.js').Store", 'protocol.ts (ground) imports stores/store.ts (seam)'],
    ['protocol.ts', "import store = require('./stores/store.js')", 'protocol.ts (ground) imports stores/store.ts (seam)'],
    ['protocol.ts', "export const store = require('./stores/store.js')", 'protocol.ts (ground) imports stores/store.ts (seam)'],
    ['stores/store.ts', "import type { Grant } from '../grants/grant.js'", 'stores/store.ts (seam) imports grants/grant.ts (seam)'],
    ['stores/memory.ts', "import { Ledger } from './ledger.js'", 'stores/memory.ts (strategy) imports stores/ledger.ts (working)'],
    ['stores/memory.ts', "import type { Grant } from '../grants/grant.js'", 'stores/memory.ts (strategy) imports grants/grant.ts (seam)'],
    ['stores/memory.ts', "import type { Options } from '../options.js'", 'stores/memory.ts (strategy) imports options.ts (configuration)'],
    ['stores/redis.ts', "import { memory } from './memory.js'", 'stores/redis.ts (strategy) imports stores/memory.ts (strategy)'],
    ['stores/redis/script.ts', "import { memory } from '../memory.js'", 'stores/redis/script.ts (strategy) imports stores/memory.ts (strategy)'],
    ['stores/ledger.ts', "import { memory } from './memory.js'", 'stores/ledger.ts (working) imports stores/memory.ts (strategy)'],
    ['grants/ciba.ts', "import { password } from './password.js'", 'grants/ciba.ts (strategy) imports grants/password.ts (strategy)'],
    ['client-authentication/none.ts', "import { memory } from '../stores/memory.js'", 'client-authentication/none.ts (strategy) imports stores/memory.ts (strategy)'],
    ['stores/memory.ts', "import { write } from '../tokens/claims.js'", 'stores/memory.ts (strategy) imports tokens/claims.ts (part)'],
    ['tokens/claims.ts', "import { jwt } from './jwt.js'", 'tokens/claims.ts (part) imports tokens/jwt.ts (strategy)'],
    ['tokens/claims.ts', "import type { Grant } from '../grants/grant.js'", 'tokens/claims.ts (part) imports grants/grant.ts (seam)'],
    ['tokens/issue.ts', "import { jwt } from './jwt.js'", 'tokens/issue.ts (working) imports tokens/jwt.ts (strategy)'],
    ['grants/password.ts', "import { web } from '../presets.js'", 'grants/password.ts (strategy) imports presets.ts (preset)'],
    ['configuration.ts', "import { web } from './presets.js'", 'configuration.ts (configuration) imports presets.ts (preset)'],
    ['presets.ts', "import type { Options } from './options.js'", 'presets.ts (preset) imports options.ts (configuration)'],
    ['strategy-options.ts', "import { answer } from './endpoints/token.js'", 'strategy-options.ts (configuration) imports endpoints/token.ts (endpoint)'],
    ['options.ts', "import { answer } from './endpoints/token.js'", 'options.ts (configuration) imports endpoints/token.ts (endpoint)'],
    ['endpoints/jwks.ts', "import { memory } from '../stores/memory.js'", 'endpoints/jwks.ts (endpoint) imports stores/memory.ts (strategy)'],
    ['endpoints/jwks.ts', "import { token } from '../oauth1/token.js'", 'endpoints/jwks.ts (endpoint) imports oauth1/token.ts (oauth1)'],
    ['oauth1/options.ts', "import { configure } from '../configuration.js'", 'oauth1/options.ts (oauth1) imports configuration.ts (configuration)'],
    ['oauth1/records.ts', "import { Ledger } from '../stores/ledger.js'", 'oauth1/records.ts (oauth1) imports stores/ledger.ts (working)'],
    ['endpoints/jwks.ts', "import { handle } from '../handlers.js'", 'endpoints/jwks.ts (endpoint) imports handlers.ts (handlers)'],
    ['protocol.ts', "import { handle } from './index.js'", 'protocol.ts (ground) imports index.ts (index)'],
  ] // prettier-ignore
  it.each(upward)('DESIGN §2 an import that points up or aside is a breach: in %s, %s', (path, code, breach) => {
    expect(breachesWith({ [path]: `${code}\n` })).toContain(breach)
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
  ])('DESIGN §2 %s outside handlers.ts is a breach', (code, name) => {
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
    expect(breachesWith({ 'extras/thing.ts': '\n' })).toEqual(['extras/thing.ts is in a folder that belongs to no layer'])
  })

  it('DESIGN §2 an import of nothing is a breach', () => {
    expect(breachesWith({ 'a.ts': "import './b.js'\n" })).toEqual(['a.ts imports ./b.js, which does not exist'])
  })

  it('DESIGN §8 jose is imported by jose.ts only, and nothing that is no dependency', () => {
    expect(breachesWith({ 'a.ts': "import { jwtVerify } from 'jose'\n" })).toEqual(['a.ts imports jose, which is for jose.ts'])
    expect(breachesWith({ 'a.ts': "import type { JWK } from 'jose/types'\n" })).toEqual(['a.ts imports jose/types, which is for jose.ts'])
    expect(breachesWith({ 'a.ts': "import { nanoid } from 'nanoid'\n" })).toEqual([])
    expect(breachesWith({ 'a.ts': "import type { Request } from 'express'\n" })).toEqual(['a.ts imports express, which is no dependency'])
  })
})

import { expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { dirname, join, relative, resolve } from 'node:path'
import * as face from '../../src/oauth1/index.js'

const src = resolve(import.meta.dirname, '../../src')
const importLine = /^(?:import|export)\s(?!type\s)[^'"]*?from '(\.[^']+)'|^import '(\.[^']+)'/gm

function imports(file: string, pattern: RegExp): string[] {
  return [...readFileSync(file, 'utf8').matchAll(pattern)].map((match) => match[1] ?? match[2] ?? '')
}

/** Everything that is loaded with a file of the sources. */
function loadedWith(entry: string, seen = new Set<string>()): ReadonlySet<string> {
  seen.add(entry)
  for (const target of imports(entry, importLine)) {
    const file = resolve(dirname(entry), target.replace(/\.js$/, '.ts'))
    if (!seen.has(file)) loadedWith(file, seen)
  }
  return seen
}

const isOAuth1 = (file: string) => relative(src, file).startsWith('oauth1')

test('O1 whoever imports OAuth 2 alone loads nothing of OAuth 1', () => {
  expect([...loadedWith(join(src, 'index.ts'))].filter(isOAuth1)).toEqual([])
  // The control: the walk finds what is imported.
  expect([...loadedWith(join(src, 'oauth1/index.ts'))].filter(isOAuth1).length).toBeGreaterThan(15)
  expect(loadedWith(join(src, 'index.ts')).size).toBeGreaterThan(20)
})

test('O1 the built package says the same: what node loads for each entry', () => {
  const loaded = (entry: string) => {
    const script = `
      import { register } from 'node:module'
      const hook = \`export async function load(url, context, next) { console.log(url); return next(url, context) }\`
      register('data:text/javascript,' + encodeURIComponent(hook))
      await import('oauth2-token-handler${entry}')`
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: resolve(src, '..'), encoding: 'utf8' })
    return output.split('\n').filter((line) => line.includes('/dist/'))
  }
  expect(loaded('').filter((line) => line.includes('/dist/oauth1/'))).toEqual([])
  expect(loaded('').some((line) => line.endsWith('/dist/index.js'))).toBe(true)
  expect(loaded('/oauth1').some((line) => line.endsWith('/dist/oauth1/signature.js'))).toBe(true)
  expect(
    loaded('/oauth1').filter((line) =>
      /\/dist\/(?:index\.js|(?:node\/handlers|configuration|endpoints|management|tokens|authorization)\b)/.test(line),
    ),
  ).toEqual([])
})

const names = [
  // Handlers, and the endpoints without a framework
  'temporaryCredentialsHandler', 'tokenCredentialsHandler', 'requireOAuth1', 'createTemporaryCredentialsResponse', 'createAccessTokenResponse',
  // For the application
  'authorizeTemporaryCredentials', 'findTemporaryCredentials', 'revokeTokenCredentials', 'sealClientSecret',
  // For the token endpoint of OAuth 2
  'oauth1TokenGrant',
] // prettier-ignore

test('O1 the public face is exactly the names that are listed', () => {
  expect(Object.keys(face).sort()).toEqual([...names].sort())
})

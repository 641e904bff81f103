/** The recipe of docs/testing-your-app.md for Jest in CommonJS mode, run by Jest and ts-jest in a project that has the package installed. Needs `dist`. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(join(root, 'docs/testing-your-app.md'), 'utf8')
const recipe = /^```js\n([^`]*transformIgnorePatterns[^`]*)^```$/m.exec(page)?.[1] ?? ''
/** Copied: Jest goes by the real path, which has to be in node_modules of the project. */
const copied = ['nanoid', 'jose']
const linked = ['basic-auth', 'body-parser', 'typescript', 'ts-jest', '@types/node', '@jest/globals']

let folder: string
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'jest-recipe-')))
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'oauth2-token-handler'), { recursive: true })
  for (const part of ['dist', 'package.json']) cpSync(join(root, part), join(modules, 'oauth2-token-handler', part), { recursive: true })
  for (const name of copied) cpSync(join(root, 'node_modules', name), join(modules, name), { recursive: true })
  for (const name of linked) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
  writeFileSync(join(folder, 'package.json'), '{ "name": "application", "private": true, "type": "commonjs" }')
  writeFileSync(
    join(folder, 'token.test.ts'),
    `import { expect, test } from '@jest/globals'
    import { createTokenResponse, encrypted, hashClientSecret } from 'oauth2-token-handler'
    test('a token', async () => {
      expect(await hashClientSecret('a'.repeat(22), { generated: true })).toMatch(/^sha256:/)
      const clients = [{ client_id: 'a', client_secret: 's', grant_types: ['client_credentials'] }]
      const options = { clients, issuer: 'https://server.example', accessTokens: encrypted({ key: 'A'.repeat(43) }) }
      const headers = { 'content-type': 'application/x-www-form-urlencoded', authorization: 'Basic ' + btoa('a:s') }
      const request = { url: 'https://server.example/token', method: 'POST', headers, body: 'grant_type=client_credentials' }
      expect((await createTokenResponse(options, request)).status).toBe(200)
    })`,
  )
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** What Jest says with that configuration, in CommonJS mode. */
async function jest(configuration: string): Promise<string> {
  writeFileSync(join(folder, 'jest.config.js'), `module.exports = { ${configuration} }`)
  const { NODE_OPTIONS: _jestOptions, ...env } = process.env
  const bin = join(root, 'node_modules/jest/bin/jest.js')
  return promisify(execFile)(process.execPath, [bin, '--no-cache'], { cwd: folder, env }).then(
    ({ stderr }) => stderr,
    (error: unknown) => (error as { readonly stderr: string }).stderr,
  )
}

test('V5 the recipe of the page about tests for Jest lets a test in CommonJS mode use the package', async () => {
  expect(recipe).toContain('ts-jest')
  expect(await jest(recipe)).toMatch(/^Tests: +1 passed, 1 total$/m)
}, 240_000)

/** The command of the package, as `npx oauth2-token-handler` runs it. Needs `dist`, which `npm test` builds. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { createPrivateKey } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createTokenResponse, jwt } from '../src/index.js'
import { isSecretHash } from '../src/clients/secrets.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const command = join(root, manifest.bin['oauth2-token-handler'])

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-test-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

function cli(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], { cwd: folder, encoding: 'utf8' })
  return { status, stdout, stderr }
}

/** A token endpoint takes the key. */
function isSigningKey(pem: string): boolean {
  return jwt({ key: pem }).jwks !== undefined && createPrivateKey(pem).asymmetricKeyDetails?.namedCurve === 'prime256v1'
}

describe('V34 the command', () => {
  test.each([['--help'], ['-h'], ['help'], ['key', '--help']])('V34 %s %s tells every command, and ends with 0', (...args) => {
    const { status, stdout, stderr } = cli(...args.filter((arg) => typeof arg === 'string'))
    expect([status, stderr]).toEqual([0, ''])
    for (const name of ['key', 'secret', 'schema']) expect(stdout).toMatch(new RegExp(`^${name} +\\w`, 'm'))
  })

  test('V34 --version is the version of the package', () => {
    expect(cli('--version')).toEqual({ status: 0, stdout: `${manifest.version}\n`, stderr: '' })
  })

  test.each([
    [[], 'name a command'],
    [['scheme', 'postgres'], 'there is no command "scheme"; did you mean "schema"?'],
    [['--versoin'], 'there is no command "--versoin"; did you mean "--version"?'],
    [['constructor'], 'there is no command "constructor"'],
    [['schema'], 'schema: name the database; it is postgres or sqlite'],
    [['schema', 'mysql'], 'schema: there is no schema for "mysql"; it is postgres or sqlite'],
    [['schema', 'sqlite', 'a', 'b'], 'schema does not take "b"'],
    [['secret', 'web'], 'secret does not take "web"'],
    [['key', '--rsa'], 'key: the name of the file is "--rsa"; a name does not begin with -'],
  ])('V34 %j is not understood: it says why and how it is used, and ends with 2', (args, reason) => {
    const { status, stdout, stderr } = cli(...args)
    expect([status, stdout, stderr.split('\n', 1)[0]]).toEqual([2, '', reason])
    expect(stderr).toContain('\nusage: oauth2-token-handler key [file]\n')
  })

  test('V34 schema prints SQL as before', () => {
    expect(cli('schema', 'sqlite', 'tokens').stdout).toContain('CREATE TABLE IF NOT EXISTS "tokens"')
  })
})

describe('V23 key', () => {
  test('V23 prints a private key that jwt() takes', () => {
    const { status, stdout } = cli('key')
    expect([status, isSigningKey(stdout)]).toEqual([0, true])
  })

  test('V23 writes it to a file that only its owner reads, and never overwrites one', () => {
    expect(cli('key', 'signing-key.pem')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^signing-key\.pem holds/), stderr: '' })
    const file = join(folder, 'signing-key.pem')
    const pem = readFileSync(file, 'utf8')
    expect([isSigningKey(pem), statSync(file).mode & 0o777]).toEqual([true, 0o600])
    expect(cli('key', 'signing-key.pem')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'key: signing-key.pem exists and is not overwritten; name another file\n',
    })
    expect(readFileSync(file, 'utf8')).toBe(pem)
    expect(cli('key', 'nowhere/key.pem')).toMatchObject({ status: 1, stderr: expect.stringMatching(/^key: ENOENT/) })
  })
})

test('V23 both lines of the page about tokens make a key that jwt() takes', () => {
  const page = readFileSync(join(root, 'docs/tokens.md'), 'utf8')
  expect(page).toContain('`npx oauth2-token-handler key signing-key.pem`')
  const [, line = ''] = /`(openssl genpkey [^`]+) -out signing-key\.pem`/.exec(page) ?? []
  const [openssl = '', ...args] = line.split(' ')
  const { status, stdout } = spawnSync(openssl, args, { encoding: 'utf8' })
  expect([status, isSigningKey(stdout)]).toEqual([0, true])
})

test('V34 secret prints a secret and its hash, with which the client authenticates', async () => {
  const { status, stdout } = cli('secret')
  const [, secret = '', hash = ''] = /^client_secret: (\S{43})\nhash: (\S+)\n$/.exec(stdout) ?? []
  expect([status, isSecretHash(hash)]).toEqual([0, true])
  const clients = [{ client_id: 'a', secrets: [{ hash }], grant_types: ['client_credentials'] }]
  const answer = await createTokenResponse(
    { clients },
    {
      url: 'https://server.example/token',
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`a:${secret}`).toString('base64')}`,
      },
      body: 'grant_type=client_credentials',
    },
  )
  expect(answer.status).toBe(200)
})

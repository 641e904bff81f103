/**
 * The processes that `testStoreAcrossProcesses` starts: they end in any case, and what goes wrong in one is said. As the package has them: needs `dist`, which
 * `npm test` builds.
 */
import { afterAll, describe, expect, test } from '@jest/globals'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as testing from 'oauth2-token-handler/testing'

const dist = new URL('../../dist/testing.js', import.meta.url).href
const { testStoreAcrossProcesses } = (await import(dist)) as typeof testing

describe('OP3 the processes of testStoreAcrossProcesses', () => {
  function tests(module: URL | string, options = {}): Map<string, () => Promise<void>> {
    const declared = new Map<string, () => Promise<void>>()
    const collector = {
      describe: (_name: string, body: () => void) => body(),
      test: (title: string, body: () => Promise<void>) => declared.set(title, body),
    }
    testStoreAcrossProcesses('a store', { module, ...options }, collector)
    return declared
  }
  const first = (module: URL | string, options = {}) => [...tests(module, options).values()][0]?.()
  const modules = mkdtempSync(join(tmpdir(), 'oauth2-token-handler-'))
  afterAll(() => rmSync(modules, { recursive: true }))

  /** A module whose store notes the process that it is in. */
  function moduleWith(name: string, verbs: string): { readonly url: URL; pids(): number[] } {
    const file = join(modules, `${name}.mjs`)
    const pids = join(modules, `${name}.pids`)
    writeFileSync(
      file,
      `import { appendFileSync } from 'node:fs'
       appendFileSync(${JSON.stringify(pids)}, process.pid + '\\n')
       const records = new Map()
       export const createStore = () => (${verbs})`,
    )
    return { url: pathToFileURL(file), pids: () => readFileSync(pids, 'utf8').trim().split('\n').map(Number) } // prettier-ignore
  }
  const isRunning = (pid: number) => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }
  const ownRecords =
    '{ get: (id) => records.get(id), create: (record) => records.set(record.id, record) === records, replace: () => false }'

  test('are ended when a test fails, and hold other records with a word about it', async () => {
    const { url, pids } = moduleWith('own', ownRecords)
    await expect(first(url, { processes: 3 })).rejects.toThrow(/createStore\(\) must open the same records in each process/)
    expect(pids()).toHaveLength(3)
    expect(pids().filter(isRunning)).toEqual([])
  })

  test('are killed when their store does not close', async () => {
    const { url, pids } = moduleWith('stuck', `{ store: ${ownRecords}, close: () => new Promise(() => setInterval(() => {}, 1000)) }`)
    await expect(first(url)).rejects.toThrow()
    expect(pids().filter(isRunning)).toEqual([])
  })

  test.each([
    [
      'throws',
      '{ get() { throw new Error("no table") }, create: () => true, replace: () => false }',
      /the store of a process threw: Error: no table/,
    ],
    ['ends its process', '{ get: () => process.exit(3), create: () => true, replace: () => false }', /a process ended before its answer/],
    ['cannot be opened', '(() => { throw new Error("no such host") })()', /a process could not open its store: Error: no such host/],
  ])('say why, where a store %s', async (title, verbs, message) => {
    const { url, pids } = moduleWith(title.replaceAll(' ', '-'), verbs)
    await expect(first(url)).rejects.toThrow(message)
    expect(pids().filter(isRunning)).toEqual([])
  })

  test('say where there is no such module, or it exports no createStore', async () => {
    await expect(first(pathToFileURL(join(modules, 'absent.mjs')))).rejects.toThrow(/Cannot find module/)
    const empty = join(modules, 'empty.mjs')
    writeFileSync(empty, '')
    await expect(first(empty)).rejects.toThrow(/exports no function createStore/)
  })

  test.each([[1], [17], [2.5], ['4']])('are 2 to 16, not %p', (processes) => {
    expect(() => tests(import.meta.url, { processes })).toThrow(/processes must be a whole number from 2 to 16/)
  })

  test('are not made of a module elsewhere', () => {
    expect(() => tests(new URL('https://example.com/store.js'))).toThrow(/module must be a file: URL/)
  })
})

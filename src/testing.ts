/**
 * The contract of a store as tests, for people who write one of their own.
 *
 *     import { testStore } from 'oauth2-token-handler/testing'
 *     testStore('my store', () => myStore(pool))
 *
 * Each test makes its own store and uses ids of its own, so that all may share one database. Knows no test framework: it uses `describe` and
 * `test` of Jest, Vitest or node:test, and Node's assertions.
 */
import assert from 'node:assert/strict'
import type { ListFilter, Store, StoredRecord } from './stores/store.js'
import { randomText } from './secrets.js'

/** A store, and what to do when a test has finished with it. */
export interface StoreUnderTest {
  readonly store: Store
  readonly close?: () => unknown
}

/** Makes a store, or opens another door to the same records. Called once for each test. */
export type StoreFactory = () => Store | StoreUnderTest | Promise<Store | StoreUnderTest>

/** What is used of a test framework. */
export interface TestFramework {
  describe(name: string, body: () => void): unknown
  test(name: string, body: () => Promise<void>): unknown
}

/**
 * Declares the tests that every store has to pass. Without `framework` it takes the global `describe` and `test`.
 *
 * @throws TypeError when there are none.
 */
export function testStore(name: string, factory: StoreFactory, framework: TestFramework = globalFramework()): void {
  framework.describe(name, () => {
    for (const [title, check] of contract) {
      framework.test(title, async () => {
        const made = await factory()
        const { store, close } = 'store' in made ? made : { store: made, close: undefined }
        try {
          await check(store)
        } finally {
          await close?.()
        }
      })
    }
  })
}

function globalFramework(): TestFramework {
  const { describe, test } = globalThis as Partial<TestFramework>
  if (typeof describe === 'function' && typeof test === 'function') return { describe, test }
  throw new TypeError('testStore: there is no global describe and test; hand them over, as in testStore(name, factory, { describe, test })')
}

type Check = (store: Store) => Promise<void>

/** An end that is far enough away for any test. */
const later = () => Math.floor(Date.now() / 1000) + 3600

function record(members: Partial<StoredRecord> = {}): StoredRecord {
  return { id: randomText(22), version: randomText(22), kind: 'authorization', client_id: 'client', expiresAt: later(), format: 1, data: {}, ...members } // prettier-ignore
}

/** The next state of a record, told apart by `mark`. */
function next(before: StoredRecord, mark: string): StoredRecord {
  return { ...before, version: randomText(22), data: { mark } }
}

async function listed(store: Store, filter: ListFilter): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of store.list(filter)) ids.push(id)
  return ids.sort()
}

function count(answers: readonly boolean[]): number {
  return answers.filter((answer) => answer).length
}

const many = 40

async function getsNothing(store: Store): Promise<void> {
  assert.equal(await store.get(randomText(22)), undefined)
}

/** A member that is lost switches off what it stood for: a code challenge, an issuer, an expiry. */
async function keepsEveryMember(store: Store): Promise<void> {
  const data = {
    text: 'plain, "quoted", back\\slash, \n line, \u0001, é, 漢字, 😀, __proto__, ${x}, %s, \\u0041',
    nested: { list: [1, -2, 0.5, true, false, null, '', [], {}], empty: {} },
    number: 4_102_444_800,
    long: 'x'.repeat(50_000),
  }
  const whole = record({ issuer: 'https://server.example/a?b', subject: randomText(22), data })
  const { client_id: _absent, ...least } = record({ kind: 'guard' })
  for (const stored of [
    whole,
    least,
    record({ kind: 'alias' }),
    record({ kind: 'client' }),
    record({ format: 2, data: { later: ['?'] } }),
  ]) {
    assert.equal(await store.create(stored), true)
    assert.deepEqual(await store.get(stored.id), stored)
  }
}

async function createsOnce(store: Store): Promise<void> {
  const first = record({ data: { mark: 'first' } })
  assert.equal(await store.create(first), true)
  assert.equal(await store.create({ ...next(first, 'second'), subject: 'another' }), false)
  assert.deepEqual(await store.get(first.id), first)
}

async function createsOnceInParallel(store: Store): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const first = record()
    const rivals = Array.from({ length: many }, (_, mark) => next(first, `${mark}`))
    const answers = await Promise.all(rivals.map(async (rival) => store.create(rival)))
    assert.equal(count(answers), 1)
    assert.deepEqual(await store.get(first.id), rivals[answers.indexOf(true)])
  }
}

async function replaces(store: Store): Promise<void> {
  const first = record({ subject: randomText(22), data: { mark: 'first', gone: true } })
  await store.create(first)
  const second = { ...next(first, 'second'), expiresAt: first.expiresAt + 1000 }
  assert.equal(await store.replace(second, first.version), true)
  assert.deepEqual(await store.get(first.id), second)
  const third = next(second, 'third')
  assert.equal(await store.replace(third, second.version), true)
  assert.deepEqual(await store.get(first.id), third)
}

async function refusesAnotherVersion(store: Store): Promise<void> {
  const first = record({ version: 'aBcDeFgHiJkLmNoPqRsTuV' })
  await store.create(first)
  const others = [randomText(22), '', ' ', `${first.version} `, `${first.version}x`, first.version.slice(0, -1), first.version.toLowerCase(), '%', '*', 'null'] // prettier-ignore
  for (const version of others) {
    assert.equal(await store.replace(next(first, 'second'), version), false, `the version ${JSON.stringify(version)} was taken for the stored one`) // prettier-ignore
  }
  assert.deepEqual(await store.get(first.id), first)
}

async function replacesNothingAbsent(store: Store): Promise<void> {
  const absent = record()
  assert.equal(await store.replace(next(absent, 'second'), absent.version), false)
  assert.equal(await store.get(absent.id), undefined)
}

async function replacesOnceInParallel(store: Store): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const first = record()
    await store.create(first)
    const rivals = Array.from({ length: many }, (_, mark) => next(first, `${mark}`))
    const answers = await Promise.all(rivals.map(async (rival) => store.replace(rival, first.version)))
    assert.equal(count(answers), 1)
    assert.deepEqual(await store.get(first.id), rivals[answers.indexOf(true)])
  }
}

/** Read, decide, replace, and again when somebody was faster: what the endpoints do. */
async function losesNoUpdate(store: Store): Promise<void> {
  const first = record({ data: { marks: [] } })
  await store.create(first)
  async function add(mark: number): Promise<void> {
    for (let tries = 0; tries < 500; tries++) {
      const current = await store.get(first.id)
      assert.ok(current !== undefined)
      const marks = [...(current.data.marks as number[]), mark]
      if (await store.replace({ ...current, version: randomText(22), data: { marks } }, current.version)) return
    }
    assert.fail('read and replace came to no end')
  }
  const wanted = Array.from({ length: 12 }, (_, mark) => mark)
  await Promise.all(wanted.map(add))
  const marks = (await store.get(first.id))?.data.marks as number[]
  assert.deepEqual([...marks].sort((a, b) => a - b), wanted) // prettier-ignore
}

async function tellsIdsApart(store: Store): Promise<void> {
  const start = randomText(12)
  const ids = [
    `${start}aBcDeFgHiJ`,
    `${start}AbCdEfGhIj`,
    `${start}aBcDeFgHi`,
    `guard:${start}aBcDeFgHiJ`,
    `${start}_BcDeFgHiJ`,
    `${start}%`,
  ]
  for (const id of ids) assert.equal(await store.create(record({ id, data: { id } })), true, `the id ${id} was taken for another one`)
  for (const id of ids) assert.deepEqual((await store.get(id))?.data, { id })
}

/** A guard that is forgotten lets a one-time value pass twice. */
async function dropsNothingEarly(store: Store): Promise<void> {
  const ends = Math.floor(Date.now() / 1000) + 2
  const short = record({ kind: 'guard', expiresAt: ends })
  const replaced = record({ expiresAt: later() })
  await store.create(short)
  await store.create(replaced)
  await store.replace({ ...next(replaced, 'second'), expiresAt: ends }, replaced.version)
  while (Date.now() < ends * 1000 - 100) {
    assert.equal(await store.create(next(short, 'again')), false)
    assert.deepEqual(await store.get(short.id), short)
    assert.notEqual(await store.get(replaced.id), undefined)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function readsWhatWasWritten(store: Store): Promise<void> {
  let current = record()
  await store.create(current)
  for (let turn = 0; turn < 25; turn++) {
    assert.deepEqual(await store.get(current.id), current)
    const following = next(current, `${turn}`)
    assert.equal(await store.replace(following, current.version), true)
    current = following
  }
}

async function listsWhatMatches(store: Store): Promise<void> {
  const [subject, client_id, other] = [randomText(22), randomText(22), randomText(22)]
  const both = record({ subject, client_id })
  const foreign = record({ subject, client_id: other })
  const machine = record({ client_id })
  const hidden = (['alias', 'guard', 'client', 'request', 'oauth1'] as const).map((kind) => record({ kind, subject, client_id }))
  for (const stored of [both, foreign, machine, record({ subject: other, client_id: other }), ...hidden]) await store.create(stored)
  assert.deepEqual(await listed(store, { subject }), [both.id, foreign.id].sort())
  assert.deepEqual(await listed(store, { client_id }), [both.id, machine.id].sort())
  assert.deepEqual(await listed(store, { subject, client_id }), [both.id])
  assert.deepEqual(await listed(store, { subject: randomText(22) }), [])
  assert.deepEqual(await listed(store, { subject: randomText(22), client_id }), [])
}

async function listsOddSubjects(store: Store): Promise<void> {
  const start = randomText(12)
  const subjects = ['a', 'A', 'a ', '%', '_', '*', '?', "'", '"', '{a}', '[a-z]', 'a:b', 'é', 'e\u0301', '漢字', '😀', '\n', 'x'.repeat(300)] // prettier-ignore
  const records = subjects.map((subject) => record({ subject: start + subject }))
  for (const stored of records) await store.create(stored)
  for (const { id, subject = '' } of records) assert.deepEqual(await listed(store, { subject }), [id], `subject ${JSON.stringify(subject)}`)
}

async function listsEachOnceAsItIs(store: Store): Promise<void> {
  const subject = randomText(22)
  const first = record({ subject })
  await store.create(first)
  const second = { ...next(first, 'second'), expiresAt: first.expiresAt + 100 }
  await store.replace(second, first.version)
  await store.replace(next(first, 'late'), first.version)
  const found: StoredRecord[] = []
  for await (const stored of store.list({ subject })) found.push(stored)
  assert.deepEqual(found, [second])
}

async function listsManyWhileTheyChange(store: Store): Promise<void> {
  const subject = randomText(22)
  const records = Array.from({ length: 250 }, () => record({ subject }))
  await Promise.all(records.map(async (stored) => store.create(stored)))
  const found: string[] = []
  for await (const stored of store.list({ subject })) {
    found.push(stored.id)
    if (found.length % 3 === 0) assert.equal(await store.replace(next(stored, 'changed'), stored.version), true)
  }
  assert.deepEqual(found.sort(), records.map(({ id }) => id).sort()) // prettier-ignore
}

const contract: readonly (readonly [title: string, check: Check])[] = [
  ['get: undefined for an unknown id', getsNothing],
  ['create, get: every member comes back as it was', keepsEveryMember],
  ['create: false where the id exists, and nothing changes', createsOnce],
  ['create: one of many parallel callers sees true', createsOnceInParallel],
  ['replace: the whole record, where the version is right', replaces],
  ['replace: false for any other version, and nothing changes', refusesAnotherVersion],
  ['replace: false where there is no record, and none comes to be', replacesNothingAbsent],
  ['replace: one of many parallel callers sees true', replacesOnceInParallel],
  ['replace: no update is lost', losesNoUpdate],
  ['ids are compared character by character', tellsIdsApart],
  ['no record is dropped before its end', dropsNothingEarly],
  ['a write is seen by the next read', readsWhatWasWritten],
  ['list: the authorizations of a subject, of a client, of both', listsWhatMatches],
  ['list: subjects are compared character by character', listsOddSubjects],
  ['list: each record once, in its newest state', listsEachOnceAsItIs],
  ['list: every one of many, while they change', listsManyWhileTheyChange],
]

/** The checks that one store alone can pass or fail: what each verb answers, and that records come back as they were. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { randomText } from '../secrets.js'
import type { ListFilter, Store, StoredRecord } from '../stores/store.js'
import { freshRecord, nextState, now } from './records.js'

/** A check of one store. */
export type Check = (store: Store) => Promise<void>

async function listed(store: Store, filter: ListFilter): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of store.list(filter)) ids.push(id)
  return ids.sort()
}

async function getsNothing(store: Store): Promise<void> {
  assert.equal(await store.get(randomText(22)), undefined)
}

/** A member that is lost switches off what it stood for: a code challenge, an issuer, an expiry. */
async function keepsEveryMember(store: Store): Promise<void> {
  const data = {
    text: 'plain, "quoted", back\\slash, \n line, \u0001, é, 漢字, 😀, __proto__, ${x}, %s, \\u0041',
    nested: { list: [1, -2, 0.5, true, false, null, '', [], {}], empty: {} },
    number: 4_102_444_800,
    long: 'x'.repeat(1_000_000),
  }
  const whole = freshRecord({ issuer: 'https://server.example/a?b', subject: randomText(22), data })
  const { client_id: _absent, ...least } = freshRecord({ kind: 'guard' })
  for (const stored of [
    whole,
    least,
    freshRecord({ kind: 'alias' }),
    freshRecord({ kind: 'client' }),
    freshRecord({ format: 2, data: { later: ['?'] } }),
  ]) {
    assert.equal(await store.create(stored), true)
    assert.deepEqual(await store.get(stored.id), stored)
  }
}

/** The sizes in the description of `Store`. */
async function keepsLongTexts(store: Store): Promise<void> {
  const long = (size: number) => randomText(22).padEnd(size, 'x')
  const subject = `${randomText(22)}${'é'.repeat(489)}`
  const stored = freshRecord({ id: long(255), version: long(64), client_id: long(255), subject })
  assert.equal(await store.create(stored), true)
  const following = { ...nextState(stored, 'second'), version: long(64) }
  assert.equal(await store.replace(following, stored.version), true)
  assert.deepEqual(await store.get(stored.id), following)
  assert.deepEqual(await listed(store, { subject }), [stored.id])
  // A text that was cut would be taken for another one.
  assert.deepEqual(await listed(store, { subject: `${subject.slice(0, -1)}e` }), [])
  assert.equal(await store.get(`${stored.id.slice(0, -1)}y`), undefined)
}

async function createsOnce(store: Store): Promise<void> {
  const first = freshRecord({ data: { mark: 'first' } })
  assert.equal(await store.create(first), true)
  assert.equal(await store.create({ ...nextState(first, 'second'), subject: 'another' }), false)
  assert.deepEqual(await store.get(first.id), first)
}

async function replaces(store: Store): Promise<void> {
  const first = freshRecord({ subject: randomText(22), data: { mark: 'first', gone: true } })
  await store.create(first)
  const second = { ...nextState(first, 'second'), expiresAt: first.expiresAt + 1000 }
  assert.equal(await store.replace(second, first.version), true)
  assert.deepEqual(await store.get(first.id), second)
  const third = nextState(second, 'third')
  assert.equal(await store.replace(third, second.version), true)
  assert.deepEqual(await store.get(first.id), third)
}

async function refusesAnotherVersion(store: Store): Promise<void> {
  const first = freshRecord({ version: 'aBcDeFgHiJkLmNoPqRsTuV' })
  await store.create(first)
  const others = [randomText(22), '', ' ', `${first.version} `, `${first.version}x`, first.version.slice(0, -1), first.version.toLowerCase(), '%', '*', 'null'] // prettier-ignore
  for (const version of others) {
    assert.equal(await store.replace(nextState(first, 'second'), version), false, `the version ${JSON.stringify(version)} was taken for the stored one`) // prettier-ignore
  }
  assert.deepEqual(await store.get(first.id), first)
}

async function replacesNothingAbsent(store: Store): Promise<void> {
  const absent = freshRecord()
  assert.equal(await store.replace(nextState(absent, 'second'), absent.version), false)
  assert.equal(await store.get(absent.id), undefined)
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
  for (const id of ids) assert.equal(await store.create(freshRecord({ id, data: { id } })), true, `the id ${id} was taken for another one`)
  for (const id of ids) assert.deepEqual((await store.get(id))?.data, { id })
}

/**
 * A guard that is forgotten lets a one-time value pass twice. In the second that is its end a record is still there: a server whose clock is
 * late goes by it. Begins again where the process was stopped for that second and has seen nothing.
 */
async function dropsNothingEarly(store: Store): Promise<void> {
  for (let tries = 0; tries < 10; tries++) if (await sawTheEnd(store)) return
  assert.fail('this machine is too busy: the process was stopped for the second that a record ends in, ten times')
}

/** True once two records were looked at in the second that they end in, and were there. */
async function sawTheEnd(store: Store): Promise<boolean> {
  const ends = Math.ceil((Date.now() + 400) / 1000)
  const short = freshRecord({ kind: 'guard', expiresAt: ends })
  const replaced = freshRecord()
  await store.create(short)
  await store.create(replaced)
  await store.replace({ ...nextState(replaced, 'second'), expiresAt: ends }, replaced.version)
  for (;;) {
    const isLast = Date.now() >= ends * 1000 + 300
    const seen = [await store.create(nextState(short, 'again')), await store.get(short.id), (await store.get(replaced.id))?.id]
    if (Date.now() >= (ends + 1) * 1000) return false
    assert.deepEqual(seen, [false, short, replaced.id])
    if (isLast) return true
    await delay(50)
  }
}

/**
 * The clocks of two machines may differ by half a minute, so records that end soon, that end now and that have ended are all there. Waits for nothing: a store
 * that hides what its own clock says has ended, or ends soon, is found each time.
 */
async function hidesNothingThatHasEnded(store: Store): Promise<void> {
  for (const seconds of [30, 1, 0, -1, -20]) {
    const when = seconds > 0 ? `ends in ${seconds} s` : `ended ${-seconds} s ago`
    const message = `a record that ${when} is hidden; it must stay for 60 s after its end`
    const expiresAt = now() + seconds
    const created = freshRecord({ expiresAt })
    assert.equal(await store.create(created), true)
    assert.deepEqual(await store.get(created.id), created, message)
    const first = freshRecord()
    assert.equal(await store.create(first), true)
    const replaced = { ...nextState(first, 'second'), expiresAt }
    assert.equal(await store.replace(replaced, first.version), true)
    assert.deepEqual(await store.get(first.id), replaced, message)
  }
}

async function readsWhatWasWritten(store: Store): Promise<void> {
  let current = freshRecord()
  await store.create(current)
  for (let turn = 0; turn < 25; turn++) {
    assert.deepEqual(await store.get(current.id), current)
    const following = nextState(current, `${turn}`)
    assert.equal(await store.replace(following, current.version), true)
    current = following
  }
}

async function listsWhatMatches(store: Store): Promise<void> {
  const [subject, client_id, other] = [randomText(22), randomText(22), randomText(22)]
  const both = freshRecord({ subject, client_id })
  const foreign = freshRecord({ subject, client_id: other })
  const machine = freshRecord({ client_id })
  const hidden = (['alias', 'guard', 'client', 'request', 'oauth1'] as const).map((kind) => freshRecord({ kind, subject, client_id }))
  for (const stored of [both, foreign, machine, freshRecord({ subject: other, client_id: other }), ...hidden]) await store.create(stored)
  assert.deepEqual(await listed(store, { subject }), [both.id, foreign.id].sort())
  assert.deepEqual(await listed(store, { client_id }), [both.id, machine.id].sort())
  assert.deepEqual(await listed(store, { subject, client_id }), [both.id])
  assert.deepEqual(await listed(store, { subject: randomText(22) }), [])
  assert.deepEqual(await listed(store, { subject: randomText(22), client_id }), [])
}

async function listsOddSubjects(store: Store): Promise<void> {
  const start = randomText(12)
  const subjects = ['a', 'A', 'a ', '%', '_', '*', '?', "'", '"', '{a}', '[a-z]', 'a:b', 'é', 'e\u0301', '漢字', '😀', '\n', 'x'.repeat(300)] // prettier-ignore
  const records = subjects.map((subject) => freshRecord({ subject: start + subject }))
  for (const stored of records) await store.create(stored)
  for (const { id, subject = '' } of records) assert.deepEqual(await listed(store, { subject }), [id], `subject ${JSON.stringify(subject)}`)
}

async function listsEachOnceAsItIs(store: Store): Promise<void> {
  const subject = randomText(22)
  const first = freshRecord({ subject })
  await store.create(first)
  const second = { ...nextState(first, 'second'), expiresAt: first.expiresAt + 100 }
  await store.replace(second, first.version)
  await store.replace(nextState(first, 'late'), first.version)
  const found: StoredRecord[] = []
  for await (const stored of store.list({ subject })) found.push(stored)
  assert.deepEqual(found, [second])
}

async function listsManyWhileTheyChange(store: Store): Promise<void> {
  const subject = randomText(22)
  const records = Array.from({ length: 250 }, () => freshRecord({ subject }))
  await Promise.all(records.map(async (stored) => store.create(stored)))
  const found: string[] = []
  for await (const stored of store.list({ subject })) {
    found.push(stored.id)
    if (found.length % 3 === 0) assert.equal(await store.replace(nextState(stored, 'changed'), stored.version), true)
  }
  assert.deepEqual(found.sort(), records.map(({ id }) => id).sort()) // prettier-ignore
}

/** Where the store has no `scan`, there is nothing to check: it is optional. */
async function scansClientsInOrder(store: Store): Promise<void> {
  if (store.scan === undefined) return
  const start = `client:${randomText(12)}`
  const odd = ['', '-', '0', '9', 'A', 'Z', '_', 'a', 'z'].map((text) => `${start}${text}`)
  const ids = [...odd, ...Array.from({ length: 41 }, () => `${start}${randomText(22)}`)].sort()
  await Promise.all([...ids].reverse().map(async (id) => store.create(freshRecord({ id, kind: 'client' }))))
  // One of another kind, under an id like theirs.
  await store.create(freshRecord({ id: `${start}0other`, kind: 'guard' }))
  const found: StoredRecord[] = []
  // An id that there is no record of: a page begins after where it would be.
  for (let after = start.slice(0, -1); ;) {
    const page = await store.scan('client', { after, limit: 7 })
    assert.ok(page.length <= 7, `a page of at most 7 records has ${page.length}`)
    found.push(...page.filter(({ id }) => id.startsWith(start)))
    const last = page.at(-1)?.id
    if (last === undefined || last > `${start}~`) break
    assert.ok(last > after, 'a page does not begin after the last record of the one before')
    after = last
  }
  assert.deepEqual(found.map(({ id }) => id), ids) // prettier-ignore
  const [first] = ids
  const stored = await store.get(first ?? '')
  assert.deepEqual(found[0], stored)
  assert.ok((await store.scan('client', { limit: 1 })).length === 1, 'a page without after begins with the first record')
}

/** The checks by their titles. */
export const contract: readonly (readonly [title: string, check: Check])[] = [
  ['get: undefined for an unknown id', getsNothing],
  ['create, get: every member comes back as it was', keepsEveryMember],
  ['texts as long as they may be come back whole', keepsLongTexts],
  ['create: false where the id exists, and nothing changes', createsOnce],
  ['replace: the whole record, where the version is right', replaces],
  ['replace: false for any other version, and nothing changes', refusesAnotherVersion],
  ['replace: false where there is no record, and none comes to be', replacesNothingAbsent],
  ['ids are compared character by character', tellsIdsApart],
  ['no record is dropped before its end', dropsNothingEarly],
  ['get: a record that has just ended is still there', hidesNothingThatHasEnded],
  ['a write is seen by the next read', readsWhatWasWritten],
  ['list: the authorizations of a subject, of a client, of both', listsWhatMatches],
  ['list: subjects are compared character by character', listsOddSubjects],
  ['list: each record once, in its newest state', listsEachOnceAsItIs],
  ['list: every one of many, while they change', listsManyWhileTheyChange],
  ['scan, where there is one: every client once, in order, page by page', scansClientsInOrder],
]

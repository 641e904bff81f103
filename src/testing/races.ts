/**
 * The checks that need several doors to the same records: stores of one process, or one store in each of several processes.
 *
 *   create, replace         of many parallel callers at all doors, one sees true
 *   read, decide, replace   no update is lost
 *   write here, read there  an acknowledged write is seen by every read that begins after it (linearizable per record)
 *
 * Each check first makes sure that the doors do lead to the same records.
 */
import assert from 'node:assert/strict'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { randomText } from '../secrets.js'
import type { Store, StoredRecord } from '../stores/store.js'
import { freshRecord, nextState } from './records.js'

/** One way to the records. */
export type Door = Pick<Store, 'get' | 'create' | 'replace'>

/** All ways to the records that a check uses, in turn. */
export type Doors = readonly [Door, ...Door[]]

/** A check over several doors. */
export type RaceCheck = (doors: Doors) => Promise<void>

const rivals = 40
const rounds = 5
const writes = 25
/** Milliseconds that a door may take to show what another one wrote, before they are taken to lead to different records. */
const patience = 1000

function doorOf(doors: Doors, turn: number): Door {
  return doors[turn % doors.length] ?? doors[0]
}

/** @throws AssertionError with `remedy` when a door never shows what another one wrote. */
export async function assertSameRecords(doors: Doors, remedy: string): Promise<void> {
  const record = freshRecord()
  assert.equal(await doors[0].create(record), true)
  const deadline = Date.now() + patience
  for (const door of doors) {
    while ((await door.get(record.id)) === undefined) {
      if (Date.now() > deadline) assert.fail(`a record that one store created is not found through another one: ${remedy}`)
      await delay(10)
    }
  }
}

async function createsOnceInParallel(doors: Doors): Promise<void> {
  for (let round = 0; round < rounds; round++) await race(doors, freshRecord(), (door, rival) => door.create(rival))
}

async function replacesOnceInParallel(doors: Doors): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const first = freshRecord()
    assert.equal(await doorOf(doors, round).create(first), true)
    await race(doors, first, (door, rival) => door.replace(rival, first.version))
  }
}

/** Every rival writes another state of `first`, each through the next door: one sees true, and its state is what all doors show. */
async function race(doors: Doors, first: StoredRecord, write: (door: Door, rival: StoredRecord) => ReturnType<Door['create']>) {
  const states = Array.from({ length: rivals }, (_, mark) => nextState(first, `${mark}`))
  const answers = await Promise.all(states.map(async (state, turn) => write(doorOf(doors, turn), state)))
  assert.equal(answers.filter((answer) => answer).length, 1, 'exactly one caller sees true')
  for (const door of doors) assert.deepEqual(await door.get(first.id), states[answers.indexOf(true)])
}

/** Read, decide, replace, and again when somebody was faster: what the endpoints do. */
async function losesNoUpdate(doors: Doors): Promise<void> {
  const first = freshRecord({ data: { marks: [] } })
  assert.equal(await doors[0].create(first), true)
  async function add(mark: number): Promise<void> {
    const door = doorOf(doors, mark)
    for (let tries = 0; tries < 500; tries++) {
      const current = await door.get(first.id)
      assert.ok(current !== undefined)
      const marks = [...(current.data.marks as number[]), mark]
      if (await door.replace({ ...current, version: randomText(22), data: { marks } }, current.version)) return
    }
    assert.fail('read and replace came to no end')
  }
  const wanted = Array.from({ length: 12 }, (_, mark) => mark)
  await Promise.all(wanted.map(add))
  const marks = (await doors[0].get(first.id))?.data.marks as number[]
  assert.deepEqual([...marks].sort((a, b) => a - b), wanted) // prettier-ignore
}

/** All doors have read the record before it changes, so that one that remembers what it read shows it. */
async function showsWhatAnotherWrote(doors: Doors): Promise<void> {
  const readAll = (id: string) => Promise.all(doors.map(async (door) => door.get(id)))
  let current = freshRecord()
  assert.deepEqual(await readAll(current.id), doors.map(() => undefined)) // prettier-ignore
  assert.equal(await doors[0].create(current), true)
  for (let turn = 0; turn < writes; turn++) {
    for (const seen of await readAll(current.id)) assert.deepEqual(seen, current)
    const following = nextState(current, `${turn}`)
    assert.equal(await doorOf(doors, turn).replace(following, current.version), true)
    current = following
  }
  for (const seen of await readAll(current.id)) assert.deepEqual(seen, current)
}

/**
 * Reads run beside the writes, and are compared with what was acknowledged or read when each of them began. So a slow write hides no read
 * that is late, and a read that is answered with the answer of an earlier one is noticed.
 */
async function readsNothingOld(doors: Doors): Promise<void> {
  let current = freshRecord({ data: { count: 0 } })
  assert.equal(await doors[0].create(current), true)
  let newest = 0
  let isWriting = true
  const old: string[] = []
  async function read(door: Door): Promise<void> {
    while (isWriting && old.length === 0) {
      const expected = newest
      const count = (await door.get(current.id))?.data.count
      if (typeof count !== 'number' || count < expected)
        old.push(`a read answered the state ${typeof count === 'number' ? count : 'of no record'} when ${expected} was known`)
      else newest = Math.max(newest, count)
      // Also where reads are answered at once, writes come to their turn; and readers do not keep step with each other.
      await (Math.random() < 0.5 ? nextTurn() : delay(Math.random() * 4))
    }
  }
  async function write(): Promise<void> {
    try {
      for (let count = 1; count <= writes && old.length === 0; count++) {
        const following = { ...current, version: randomText(22), data: { count } }
        assert.equal(await doorOf(doors, count).replace(following, current.version), true)
        current = following
        newest = Math.max(newest, count)
        // Reads begin at any time of a write, and some find the store at rest.
        await delay(count % 4)
      }
    } finally {
      isWriting = false
    }
  }
  await Promise.all([write(), ...doors.flatMap((door) => [read(door), read(door)])])
  assert.deepEqual(old, [])
}

/** The checks by their titles. */
export const races: readonly (readonly [title: string, check: RaceCheck])[] = [
  ['create: one of many parallel callers sees true', createsOnceInParallel],
  ['replace: one of many parallel callers sees true', replacesOnceInParallel],
  ['replace: no update is lost', losesNoUpdate],
  ['get: a write is seen at once by whoever else reads', showsWhatAnotherWrote],
  ['get: nothing older than what was known when the read began', readsNothingOld],
]

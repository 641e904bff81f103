/** Room that strangers share: bounded in all, and nobody's to take from the others. */
import { describe, expect, it } from '@jest/globals'
import { TemporarilyUnavailable } from '../src/errors.js'
import { SharedRoom } from '../src/limits/shared-room.js'

const size = 10_000_000

function room(): { readonly room: SharedRoom; readonly clock: { now: number } } {
  const clock = { now: 1_000 }
  return { room: new SharedRoom({ size, share: 100_000, clock: () => clock.now, of: 'things' }), clock }
}

/** How many of 1000 bytes an address may have. */
function fill(shared: SharedRoom, address: string | undefined, until = 2_000, most = 100_000): number {
  let entered = 0
  try {
    while (entered < most) {
      shared.enter({ address, bytes: 1_000, until })
      entered++
    }
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(TemporarilyUnavailable)
  }
  return entered
}

describe('SharedRoom', () => {
  it('X2 one network gets its share, and no more', () => {
    const { room: shared } = room()
    expect(fill(shared, '203.0.113.1')).toBe(66)
    expect(fill(shared, '::ffff:203.0.113.1')).toBe(0)
    expect(fill(shared, '203.0.113.2')).toBe(66)
  })

  it('X2 a hundred networks that take all they get leave room for one that holds nothing', () => {
    const { room: shared } = room()
    for (let at = 0; at < 100; at++) fill(shared, `10.0.0.${at}`)
    expect(shared.used).toBeLessThanOrEqual(size)
    expect(fill(shared, '198.51.100.1')).toBeGreaterThan(0)
  })

  it('X2 a thousand networks that ask in turn get as much as each other, and one that holds nothing finds a place', () => {
    const { room: shared } = room()
    for (let round = 0; round < 20; round++)
      for (let at = 0; at < 1_000; at++) fill(shared, `10.0.${Math.floor(at / 250)}.${at % 250}`, 2_000, 1)
    expect(shared.used).toBeLessThanOrEqual(size)
    expect(fill(shared, '198.51.100.1')).toBeGreaterThan(0)
  })

  it('X2 what has ended leaves the room, and what was given back early leaves it once', () => {
    const { room: shared, clock } = room()
    const leave = shared.enter({ address: '203.0.113.1', bytes: 1_000, until: 2_000 })
    fill(shared, '203.0.113.1', 1_100)
    clock.now = 1_099
    expect(fill(shared, '203.0.113.1')).toBe(0)
    clock.now = 1_108
    expect(shared.used).toBe(1_512)
    leave()
    leave()
    expect(shared.used).toBe(0)
    const late = shared.enter({ address: undefined, bytes: 10, until: 1_110 })
    clock.now = 1_200
    expect(shared.used).toBe(0)
    late()
    expect(shared.used).toBe(0)
  })

  it('X2 a refusal says when to come again', () => {
    const { room: shared, clock } = room()
    fill(shared, undefined, 1_030)
    clock.now = 1_010
    const refused = (): unknown => {
      try {
        return shared.enter({ address: undefined, bytes: 1_000, until: 1_030 })
      } catch (thrown) {
        return thrown
      }
    }
    expect(refused()).toMatchObject({
      status: 503,
      error: 'temporarily_unavailable',
      retryAfter: 22,
      reason: 'no room for more things from this address',
    })
    expect(() => shared.enter({ address: '203.0.113.1', bytes: 100_000, until: 1_030 })).toThrow(TemporarilyUnavailable)
  })
})

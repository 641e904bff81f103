/**
 * Room for what strangers make the server remember: bounded in all, and shared so that nobody can take it from the others.
 *
 * 1. All that is remembered of one kind fits into `size` bytes.
 * 2. One network holds at most `share` bytes, and never more than a quarter of what is free. So it takes hundreds of networks to fill the room, and near
 *    the end those that hold least are let in first.
 * 3. What was remembered leaves the room when it ends. Nothing that a stranger sends moves that instant.
 *
 * The room is that of one process. It bounds what the process writes, in whatever store, and never the tokens of others.
 */
import { TemporarilyUnavailable } from './errors.js'
import { networkOf } from './network-address.js'

/** What a {@link SharedRoom} needs to know. */
export interface SharedRoomSettings {
  /** Bytes that all of it may take. Default 8 MiB. */
  readonly size?: number
  /** Bytes that one network may take. Default 64 KiB. */
  readonly share?: number
  /** Seconds since the epoch. */
  readonly clock: () => number
  /** What is kept in it, for the reason in the event: `pushed authorization requests`. */
  readonly of: string
}

/** One thing that is remembered. */
export interface Guest {
  /** The address that asks; undefined where it is not known: all such requests share one place. */
  readonly address: string | undefined
  /** Bytes of the record. */
  readonly bytes: number
  /** Seconds since the epoch. */
  readonly until: number
}

/** What a record costs beside its text. */
const overhead = 512
/** Of what is free, one network may hold one part in so many. */
const shares = 4
const defaultSize = 8 * 1024 * 1024
const defaultShare = 64 * 1024
/** Seconds that share a bucket. */
const bucketWidth = 4

interface Bucket {
  readonly held: Map<string, number>
}

/** Room of one kind. One step of JavaScript is atomic, so of many requests at once no more get in than fit. */
export class SharedRoom {
  readonly #settings: Required<SharedRoomSettings>
  readonly #held = new Map<string, number>()
  readonly #buckets = new Map<number, Bucket>()
  #used = 0
  #earliest = Infinity

  constructor(settings: SharedRoomSettings) {
    this.#settings = { size: defaultSize, share: defaultShare, ...settings }
  }

  /** Bytes that are taken. */
  get used(): number {
    this.#leave()
    return this.#used
  }

  /**
   * Takes room, until `until`.
   *
   * @returns a function that gives it back early, once: for what was not remembered after all, or is a stranger's no more.
   * @throws TemporarilyUnavailable 503 with `Retry-After` where nothing is free for this network.
   */
  enter({ address, bytes, until }: Guest): () => void {
    this.#leave()
    // A copy: the address may be a part of a long header, which would be kept with it.
    const network = address === undefined ? '' : Buffer.from(networkOf(address)).toString()
    const held = this.#held.get(network) ?? 0
    const cost = bytes + overhead
    const { size, share } = this.#settings
    if (held + cost > Math.min(share, (size - this.#used) / shares)) throw this.#full()
    const slot = Math.floor(until / bucketWidth) + 1
    this.#add(network, cost, slot)
    let isInside = true
    return () => {
      if (isInside && this.#buckets.has(slot)) this.#remove(network, cost, slot)
      isInside = false
    }
  }

  #full(): TemporarilyUnavailable {
    const retryAfter = Number.isFinite(this.#earliest) ? Math.max(1, this.#earliest * bucketWidth - this.#settings.clock()) : 1
    return new TemporarilyUnavailable('too many requests', {
      retryAfter: Math.min(retryAfter, 60),
      reason: `no room for more ${this.#settings.of} from this address`,
    })
  }

  #add(network: string, cost: number, slot: number): void {
    const bucket = this.#buckets.get(slot) ?? { held: new Map<string, number>() }
    this.#buckets.set(slot, bucket)
    bucket.held.set(network, (bucket.held.get(network) ?? 0) + cost)
    this.#held.set(network, (this.#held.get(network) ?? 0) + cost)
    this.#used += cost
    if (slot < this.#earliest) this.#earliest = slot
  }

  #remove(network: string, cost: number, slot: number): void {
    const held = this.#buckets.get(slot)?.held
    if (held !== undefined) held.set(network, (held.get(network) ?? 0) - cost)
    this.#giveBack(network, cost)
  }

  #giveBack(network: string, cost: number): void {
    const rest = (this.#held.get(network) ?? 0) - cost
    if (rest > 0) this.#held.set(network, rest)
    else this.#held.delete(network)
    this.#used -= cost
  }

  /** Whatever has ended goes. */
  #leave(): void {
    const present = Math.floor(this.#settings.clock() / bucketWidth)
    if (this.#earliest > present) return
    for (const [slot, { held }] of this.#buckets) {
      if (slot > present) continue
      this.#buckets.delete(slot)
      for (const [network, cost] of held) this.#giveBack(network, cost)
    }
    this.#earliest = this.#buckets.size === 0 ? Infinity : Math.min(...this.#buckets.keys())
  }
}

interface Named {
  readonly until: number
  readonly leave: () => void
}

/** A room whose guests have names, so that one can leave early. */
export class NamedRoom {
  readonly #room: SharedRoom
  readonly #clock: () => number
  readonly #guests = new Map<string, Named>()

  constructor(room: SharedRoom, clock: () => number) {
    this.#room = room
    this.#clock = clock
  }

  /** Bytes that are taken. */
  get used(): number {
    return this.#room.used
  }

  /** Takes room under a name. @throws TemporarilyUnavailable where nothing is free. */
  enter(name: string, guest: Guest): void {
    this.#forgetEnded()
    this.#guests.set(name, { until: guest.until, leave: this.#room.enter(guest) })
  }

  /** Gives back what is taken under that name, where anything is. */
  leave(name: string): void {
    this.#guests.get(name)?.leave()
    this.#guests.delete(name)
  }

  /** Guests stand in the order in which they came, and stay equally long. */
  #forgetEnded(): void {
    for (const [name, { until }] of this.#guests) {
      if (until > this.#clock()) return
      this.#guests.delete(name)
    }
  }
}

/**
 * Room for what strangers make the server remember: bounded in all, and shared so that nobody can take it from the others.
 *
 * 1. All that is remembered of one kind fits into `size` bytes.
 * 2. One network holds at most `share` bytes, and never more than a quarter of what is free. So it takes hundreds of networks to fill the room, and near
 *    the end those that hold least are let in first.
 *    An IPv6 site (/48), which one subscriber may have, holds at most eight shares, and never more than half of what is free.
 * 3. What was remembered leaves the room when it ends. Nothing that a stranger sends moves that instant.
 *
 * The room is that of one process. It bounds what the process writes, in whatever store, and never the tokens of others.
 */
import { TemporarilyUnavailable } from '../errors.js'
import { networkOf, siteOf } from '../http/network-address.js'

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
  /** Called when it has left because its time was over. */
  readonly onEnd?: () => void
}

/** What a record costs beside its text. */
const overhead = 512
/** Of what is free, one network may hold one part in so many, and one site. */
const shares = 4
const sharesOfSite = 2
/** How many shares one site may hold. */
const networksOfSite = 8
const defaultSize = 8 * 1024 * 1024
const defaultShare = 64 * 1024
/** Seconds that share a bucket. */
const bucketWidth = 4

/** One guest, and where it counts: its network, and its site where it has one. */
interface Stay {
  readonly places: readonly string[]
  readonly cost: number
  readonly onEnd: (() => void) | undefined
}

/** Room of one kind. One step of JavaScript is atomic, so of many requests at once no more get in than fit. */
export class SharedRoom {
  readonly #settings: Required<SharedRoomSettings>
  readonly #held = new Map<string, number>()
  readonly #buckets = new Map<number, Set<Stay>>()
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
  enter({ address, bytes, until, onEnd }: Guest): () => void {
    this.#leave()
    // A copy: the address may be a part of a long header, which would be kept with it.
    const network = address === undefined ? '' : Buffer.from(networkOf(address)).toString()
    const site = address === undefined ? undefined : siteOf(address)
    const cost = bytes + overhead
    const { size, share } = this.#settings
    const free = size - this.#used
    if (this.#heldBy(network) + cost > Math.min(share, free / shares)) throw this.#full()
    if (site !== undefined && this.#heldBy(site) + cost > Math.min(networksOfSite * share, free / sharesOfSite)) throw this.#full()
    const slot = Math.floor(until / bucketWidth) + 1
    const stay = { places: site === undefined ? [network] : [network, site], cost, onEnd }
    this.#add(stay, slot)
    return () => {
      if (this.#buckets.get(slot)?.delete(stay) === true) this.#giveBack(stay)
    }
  }

  #heldBy(place: string): number {
    return this.#held.get(place) ?? 0
  }

  #full(): TemporarilyUnavailable {
    const retryAfter = Number.isFinite(this.#earliest) ? Math.max(1, this.#earliest * bucketWidth - this.#settings.clock()) : 1
    return new TemporarilyUnavailable('too many requests', {
      retryAfter: Math.min(retryAfter, 60),
      reason: `no room for more ${this.#settings.of} from this address`,
    })
  }

  #add(stay: Stay, slot: number): void {
    const bucket = this.#buckets.get(slot) ?? new Set<Stay>()
    this.#buckets.set(slot, bucket)
    bucket.add(stay)
    for (const place of stay.places) this.#held.set(place, this.#heldBy(place) + stay.cost)
    this.#used += stay.cost
    if (slot < this.#earliest) this.#earliest = slot
  }

  #giveBack({ places, cost }: Stay): void {
    for (const place of places) {
      const rest = this.#heldBy(place) - cost
      if (rest > 0) this.#held.set(place, rest)
      else this.#held.delete(place)
    }
    this.#used -= cost
  }

  /** Whatever has ended goes. */
  #leave(): void {
    const present = Math.floor(this.#settings.clock() / bucketWidth)
    if (this.#earliest > present) return
    for (const [slot, stays] of this.#buckets) {
      if (slot > present) continue
      this.#buckets.delete(slot)
      for (const stay of stays) {
        this.#giveBack(stay)
        stay.onEnd?.()
      }
    }
    this.#earliest = this.#buckets.size === 0 ? Infinity : Math.min(...this.#buckets.keys())
  }
}

/** A room whose guests have names, so that one can leave early, and one that comes again stays once. */
export class NamedRoom {
  readonly #room: SharedRoom
  readonly #guests = new Map<string, () => void>()

  constructor(room: SharedRoom) {
    this.#room = room
  }

  /** Bytes that are taken. */
  get used(): number {
    return this.#room.used
  }

  /** How many names are known. */
  get size(): number {
    return this.#guests.size
  }

  /** Takes room under a name, in the place of what is taken under it. @throws TemporarilyUnavailable where nothing is free. */
  enter(name: string, guest: Guest): void {
    this.leave(name)
    const leave = this.#room.enter({
      ...guest,
      onEnd: () => {
        if (this.#guests.get(name) === leave) this.#guests.delete(name)
      },
    })
    this.#guests.set(name, leave)
  }

  /** Gives back what is taken under that name, where anything is. */
  leave(name: string): void {
    this.#guests.get(name)?.()
    this.#guests.delete(name)
  }
}

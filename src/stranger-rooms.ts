/**
 * The rooms of one server: what strangers make it remember, each kind in a room of its own, so that none of them takes the place of tokens or of another kind.
 *
 * A room bounds what this process writes, in whatever store. See `shared-room.ts` for how it is shared.
 */
import { SharedRoom, type Guest } from './shared-room.js'

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** Every room of a server. */
export interface StrangerRooms {
  /** Pushed requests of clients that prove nothing, shared by address. */
  readonly pushed: SharedRoom
  /** Pushed requests of clients of the application that have authenticated, shared by `client_id`. */
  readonly pushedByClients: SharedRoom
  /** Metadata documents of clients that nobody has authorised yet. */
  readonly documents: SharedRoom
  /** Clients that registered themselves and that nobody has authorised yet. */
  readonly registrations: NamedRoom
}

/** The rooms of one server, all empty. `clock` answers seconds since the epoch. */
export function createStrangerRooms(clock: () => number): StrangerRooms {
  return {
    pushed: new SharedRoom({ clock, of: 'pushed authorization requests', size: 8 * mebibyte, share: 512 * kibibyte }),
    pushedByClients: new SharedRoom({ clock, of: 'pushed authorization requests', size: 64 * mebibyte, share: 16 * mebibyte }),
    documents: new SharedRoom({ clock, of: 'metadata documents', size: 8 * mebibyte, share: 256 * kibibyte }),
    registrations: new NamedRoom(new SharedRoom({ clock, of: 'registered clients', size: 8 * mebibyte, share: 512 * kibibyte }), clock),
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

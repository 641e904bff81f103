/**
 * The rooms of one server: what strangers make it remember, each kind in a room of its own, so that none of them takes the place of tokens or of another kind.
 *
 * A room bounds what this process writes, in whatever store. See `shared-room.ts` for how it is shared.
 */
import { NamedRoom, SharedRoom } from '../limits/shared-room.js'

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** Every room of a server. */
export interface StrangerRooms {
  /** Pushed requests of clients that prove nothing, shared by address. */
  readonly pushed: SharedRoom
  /** Pushed requests of clients of the application that have authenticated, shared by `client_id`. */
  readonly pushedByClients: SharedRoom
  /** Metadata documents of clients that nobody has authorised yet. */
  readonly documents: NamedRoom
  /** Clients that registered themselves and that nobody has authorised yet. */
  readonly registrations: NamedRoom
}

/** The rooms of one server, all empty. `clock` answers seconds since the epoch. */
export function createStrangerRooms(clock: () => number): StrangerRooms {
  return {
    pushed: new SharedRoom({ clock, of: 'pushed authorization requests', size: 8 * mebibyte, share: 512 * kibibyte }),
    pushedByClients: new SharedRoom({ clock, of: 'pushed authorization requests', size: 64 * mebibyte, share: 16 * mebibyte }),
    documents: new NamedRoom(new SharedRoom({ clock, of: 'metadata documents', size: 8 * mebibyte, share: 256 * kibibyte })),
    registrations: new NamedRoom(new SharedRoom({ clock, of: 'registered clients', size: 8 * mebibyte, share: 512 * kibibyte })),
  }
}

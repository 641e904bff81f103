/**
 * Room for temporary credentials that nobody has agreed to: a client, or whoever has its secret, can make the server remember them without any user.
 *
 * Entered once the signature of the client was right, under the network of the request, and left when they end or when a user agrees. It is the room of
 * one process; where a user agrees in another process, the room is taken until they end.
 */
import { SharedRoom, type Guest } from '../shared-room.js'

/** What all networks may hold, in shares of one. */
const shares = 128

interface Stay {
  readonly leave: () => void
  readonly until: number
}

/** Who is in it, by the id of the credentials. */
export class TemporaryRoom {
  readonly #room: SharedRoom
  readonly #clock: () => number
  readonly #stays = new Map<string, Stay>()

  /** @param share bytes that one network may take. */
  constructor(share: number, clock: () => number) {
    this.#room = new SharedRoom({ size: shares * share, share, clock, of: 'temporary credentials' })
    this.#clock = clock
  }

  /** Bytes that are taken. */
  get used(): number {
    return this.#room.used
  }

  /** @throws TemporarilyUnavailable 503 with `Retry-After` where nothing is free for this network. */
  enter(id: string, guest: Guest): void {
    this.#forgetEnded()
    this.#stays.set(id, { leave: this.#room.enter(guest), until: guest.until })
  }

  /** Gives the room back early. */
  leave(id: string): void {
    this.#stays.get(id)?.leave()
    this.#stays.delete(id)
  }

  /** All live equally long, so those that came first end first. */
  #forgetEnded(): void {
    const now = this.#clock()
    for (const [id, { until }] of this.#stays) {
      if (until > now) return
      this.#stays.delete(id)
    }
  }
}

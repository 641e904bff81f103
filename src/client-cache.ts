/** Clients that were looked up lately, so that they are not looked up again. What was not found is, so that nobody fills the cache with names. */
import type { Client } from './clients.js'
import type { Context } from './protocol.js'

const mostCached = 1_000

/** The request for which a client is looked up, as far as the look-up goes by it. */
export interface LookUpRequest {
  /** Trusted facts from the application. */
  readonly context?: Context | undefined
  /** The address that asks. */
  readonly address?: string | undefined
}

type LookUp = (client_id: string, request: LookUpRequest | undefined) => Promise<Client | undefined>

/** A cache of at most 1,000 clients. With a lifetime of 0 it keeps nothing. */
export class ClientCache {
  readonly #lifetime: number
  readonly #lookUp: LookUp
  readonly #found = new Map<string, { readonly client: Client; readonly until: number }>()
  /** How often something was forgotten. A look-up that began before keeps nothing: it may have read what is over. */
  #generation = 0

  /** `lifetime` is in seconds. */
  constructor(lifetime: number, lookUp: LookUp) {
    this.#lifetime = lifetime
    this.#lookUp = lookUp
  }

  async find(client_id: string, request: LookUpRequest | undefined): Promise<Client | undefined> {
    const known = this.#found.get(client_id)
    if (known !== undefined && performance.now() < known.until) return known.client
    const generation = this.#generation
    const client = await this.#lookUp(client_id, request)
    if (this.#lifetime > 0 && generation === this.#generation) this.#keep(client_id, client)
    return client
  }

  /** Lets the next look-up of that client, and every one that is under way, pass the cache. */
  forget(client_id: string): void {
    this.#generation++
    this.#found.delete(client_id)
  }

  #keep(client_id: string, client: Client | undefined): void {
    this.#found.delete(client_id)
    // One that is blocked, or cannot be used, is asked for again: an operator may just be mending it.
    if (client === undefined || client.disabled) return
    const [oldest] = this.#found.keys()
    if (this.#found.size >= mostCached && oldest !== undefined) this.#found.delete(oldest)
    this.#found.set(client_id, { client, until: performance.now() + this.#lifetime * 1000 })
  }
}

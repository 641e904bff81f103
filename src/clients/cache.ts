/** Clients that were looked up lately, so that they are not looked up again. What was not found is, so that nobody fills the cache with names. */
import { isPromise, type Awaitable } from '../awaitable.js'
import { keepLatest } from '../bounded-map.js'
import type { Client } from './client.js'
import type { Context } from '../http/message.js'

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
  /** What was seen by those who do not insist: blocked clients, and that there was none, too. */
  readonly #seen = new Map<string, { readonly client: Awaitable<Client | undefined>; readonly until: number }>()
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

  /**
   * The client as it was seen within the lifetime, for those who go on without it: it is looked up once in a lifetime, whether it is there, blocked or not,
   * and where that fails, what was seen last holds for another one. With a lifetime of 0: undefined.
   */
  glance(client_id: string, request: LookUpRequest | undefined): Awaitable<Client | undefined> {
    if (this.#lifetime === 0) return undefined
    const seen = this.#seen.get(client_id)
    if (seen !== undefined && performance.now() < seen.until) return seen.client
    const last = seen === undefined || isPromise(seen.client) ? undefined : seen.client
    const looked = this.#look(client_id, request, last)
    this.#see(client_id, looked)
    return looked
  }

  async #look(client_id: string, request: LookUpRequest | undefined, last: Client | undefined): Promise<Client | undefined> {
    const generation = this.#generation
    const client = await this.find(client_id, request).catch(() => last)
    if (generation === this.#generation) this.#see(client_id, client)
    else this.#seen.delete(client_id)
    return client
  }

  #see(client_id: string, client: Awaitable<Client | undefined>): void {
    keepLatest(this.#seen, client_id, { client, until: performance.now() + this.#lifetime * 1000 }, mostCached)
  }

  /** Lets the next look-up of that client, and every one that is under way, pass the cache. */
  forget(client_id: string): void {
    this.#generation++
    this.#found.delete(client_id)
    this.#seen.delete(client_id)
  }

  #keep(client_id: string, client: Client | undefined): void {
    // One that is blocked, or cannot be used, is asked for again: an operator may just be mending it.
    if (client === undefined || client.disabled) this.#found.delete(client_id)
    else keepLatest(this.#found, client_id, { client, until: performance.now() + this.#lifetime * 1000 }, mostCached)
  }
}

/**
 * When a metadata document is fetched: never so that one visitor keeps the others out, or makes this server a flood.
 *
 * 1. One fetch for each URL at a time. All who wait for that URL share it.
 * 2. One network causes at most ten fetches a minute from one host. The key names both, so nobody uses up the limit of another network.
 * 3. At most 20 fetches run at once. One network has a part of them, and a smaller one as fewer are free; one IPv6 site (/48) has at most eight.
 */
import { keepLatest } from '../bounded-map.js'
import { TemporarilyUnavailable } from '../errors.js'
import type { FetchedDocument } from '../http/guarded-fetch.js'
import { networkOf, siteOf } from '../http/network-address.js'

const perMinute = 10
const window = 60
const mostKeys = 10_000
const mostAtOnce = 20
const mostOfOne = 4
const mostOfSite = 8
/** Of the fetches that are free, one network may start one part in so many. */
const parts = 4

interface Count {
  readonly since: number
  count: number
}

/** Fetches that are under way, and those of the last minute. */
export class DocumentFetches {
  readonly #fetch: (url: string) => Promise<FetchedDocument>
  readonly #clock: () => number
  readonly #running = new Map<string, Promise<FetchedDocument>>()
  readonly #runningOf = new Map<string, number>()
  readonly #counts = new Map<string, Count>()

  constructor(fetch: (url: string) => Promise<FetchedDocument>, clock: () => number) {
    this.#fetch = fetch
    this.#clock = clock
  }

  /**
   * The document at a URL, for whoever asks from that address. All whose address is not known share one place.
   *
   * @throws TemporarilyUnavailable 503 with `Retry-After` over a limit; and whatever the fetch throws.
   */
  get(url: string, address: string | undefined): Promise<FetchedDocument> {
    const running = this.#running.get(url)
    if (running !== undefined) return running
    const network = address === undefined ? '' : networkOf(address)
    const site = address === undefined ? undefined : siteOf(address)
    this.#takePlace(network, site)
    try {
      this.#countFetch(network, new URL(url).host)
    } catch (thrown) {
      this.#givePlace(network, site)
      throw thrown
    }
    const fetched = this.#fetch(url).finally(() => {
      this.#running.delete(url)
      this.#givePlace(network, site)
    })
    this.#running.set(url, fetched)
    return fetched
  }

  #takePlace(network: string, site: string | undefined): void {
    const free = mostAtOnce - this.#running.size
    const isFull = this.#runningFor(network) >= Math.min(mostOfOne, Math.ceil(free / parts))
    if (isFull || (site !== undefined && this.#runningFor(site) >= mostOfSite))
      throw tooMany(1, 'too many documents are being fetched for this address')
    for (const place of [network, site]) if (place !== undefined) this.#runningOf.set(place, this.#runningFor(place) + 1)
  }

  #runningFor(place: string): number {
    return this.#runningOf.get(place) ?? 0
  }

  #givePlace(network: string, site: string | undefined): void {
    for (const place of [network, site]) {
      if (place === undefined) continue
      const rest = this.#runningFor(place) - 1
      if (rest > 0) this.#runningOf.set(place, rest)
      else this.#runningOf.delete(place)
    }
  }

  #countFetch(network: string, host: string): void {
    const key = `${network} ${host}`
    const now = this.#clock()
    const known = this.#counts.get(key)
    const isCurrent = known !== undefined && now < known.since + window
    if (isCurrent && known.count >= perMinute)
      throw tooMany(Math.max(1, known.since + window - now), 'too many documents were fetched from this host for this address')
    if (isCurrent) {
      known.count++
      return
    }
    keepLatest(this.#counts, key, { since: now, count: 1 }, mostKeys)
  }
}

function tooMany(retryAfter: number, reason: string): TemporarilyUnavailable {
  return new TemporarilyUnavailable('the client could not be looked up', { retryAfter, reason })
}

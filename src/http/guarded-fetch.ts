/**
 * Fetching a JSON document from a URL that a stranger has named, without being made to reach what strangers must not reach.
 *
 * 1. The name is resolved once. An address for special purposes (loopback, private, link-local, …) among the answers refuses all of them.
 * 2. The connection goes to one of those very addresses, so that a second answer of the name server changes nothing.
 * 3. No redirect is followed, nothing but a small JSON answer is read, and all of it within a few seconds.
 *
 * @see RFC 6890, draft-ietf-oauth-client-id-metadata-document §6
 */
import { request as httpsRequest, type RequestOptions } from 'node:https'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { BlockList, isIP, isIPv6 } from 'node:net'
import { addressesOfName } from './name-lookup.js'

/** A document, and the header fields it came with, names in lower case. */
export interface FetchedDocument {
  readonly document: unknown
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** Why a document could not be had, in words for an event. */
export class UnfetchableDocument extends Error {
  override readonly name = 'UnfetchableDocument'
}

/** Limits, and what tests may replace. */
export interface FetchSettings {
  /** Bytes. */
  readonly maxSize: number
  /** Milliseconds, for all of it. */
  readonly timeout: number
  /** Certificate authorities, for hosts of one's own. */
  readonly ca?: string
  /** Resolves a host name. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
  /** Who is asked for addresses, as `address:port`, in place of the name servers of the machine. */
  readonly nameServers?: readonly string[]
  /** Whether an address may be reached although it is for special purposes. */
  readonly mayReach?: (address: string) => boolean
}

const specialPurpose = new BlockList()
// Public by its number, and the host of the machine in a large cloud: platform services that only the machine itself should reach
specialPurpose.addAddress('168.63.129.16', 'ipv4')
// RFC 6890 and its registries
for (const [network, bits] of [
  ['0.0.0.0', 8], ['10.0.0.0', 8], ['100.64.0.0', 10], ['127.0.0.0', 8], ['169.254.0.0', 16], ['172.16.0.0', 12], ['192.0.0.0', 24], ['192.0.2.0', 24],
  ['192.31.196.0', 24], ['192.52.193.0', 24], ['192.88.99.0', 24], ['192.168.0.0', 16], ['192.175.48.0', 24], ['198.18.0.0', 15], ['198.51.100.0', 24],
  ['203.0.113.0', 24], ['224.0.0.0', 4], ['240.0.0.0', 4],
] as const) specialPurpose.addSubnet(network, bits, 'ipv4') // prettier-ignore

const globalUnicast = new BlockList()
globalUnicast.addSubnet('2000::', 3, 'ipv6')
// Inside the global unicast space: transition mechanisms that carry an IPv4 address, documentation, and other special purposes
for (const [network, bits] of [
  ['2001::', 23], ['2001:db8::', 32], ['2002::', 16], ['2620:4f:8000::', 48], ['3fff::', 20],
] as const) specialPurpose.addSubnet(network, bits, 'ipv6') // prettier-ignore

/** Whether an address is one of the public internet. */
export function isPublicAddress(address: string): boolean {
  if (!isIPv6(address)) return isIP(address) === 4 && !specialPurpose.check(address, 'ipv4')
  // What is not global unicast is link-local, unique local, multicast, loopback, or an IPv4 address in disguise.
  return globalUnicast.check(address, 'ipv6') && !specialPurpose.check(address, 'ipv6')
}

/**
 * Fetches a JSON document over https.
 *
 * @throws UnfetchableDocument for anything but a small JSON answer with status 200 from a public address.
 */
export async function fetchJson(url: URL, settings: FetchSettings): Promise<FetchedDocument> {
  const over = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new UnfetchableDocument('the time is over'))
    }, settings.timeout)
  })
  try {
    // The whole of it against the clock: a name server, a host or an inner API that never reports is as good as silent.
    return await Promise.race([readDocument(url, settings, over.signal), late])
  } finally {
    clearTimeout(timer)
    // Closes whatever is still open.
    over.abort()
  }
}

async function readDocument(url: URL, settings: FetchSettings, signal: AbortSignal): Promise<FetchedDocument> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const addresses = await addressesOf(host, settings, signal)
  // A look-up that comes too late opens nothing.
  signal.throwIfAborted()
  const response = await open(url, host, addresses, settings, signal)
  try {
    assertUsable(response)
    const document: unknown = JSON.parse(await readText(response, settings.maxSize))
    return { document, headers: singleValued(response.headers) }
  } catch (cause) {
    throw cause instanceof UnfetchableDocument ? cause : new UnfetchableDocument('the answer could not be read', { cause })
  } finally {
    response.destroy()
  }
}

async function addressesOf(
  host: string,
  { resolve, nameServers, mayReach = isPublicAddress }: FetchSettings,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const lookUp = resolve ?? ((name: string) => addressesOfName(name, { signal, nameServers }))
  const addresses = isIP(host) === 0 ? await lookUp(host).catch(() => []) : [host]
  if (addresses.length === 0) throw new UnfetchableDocument('the host has no address')
  if (!addresses.every(mayReach)) throw new UnfetchableDocument('the host has an address for special purposes')
  return addresses
}

function open(url: URL, host: string, addresses: readonly string[], { ca }: FetchSettings, signal: AbortSignal): Promise<IncomingMessage> {
  const options: RequestOptions = {
    host,
    // Whichever answers, of those that were checked
    lookup(_host, { all }, callback) {
      const checked = addresses.map((address) => ({ address, family: isIP(address) }))
      if (all === true) callback(null, checked)
      else callback(null, checked[0]?.address ?? '', checked[0]?.family)
    },
    port: url.port === '' ? 443 : Number(url.port),
    path: url.pathname + url.search,
    method: 'GET',
    headers: { Host: url.host, Accept: 'application/json', 'Accept-Encoding': 'identity' },
    agent: false,
    signal,
    // RFC 6066 §3: a server name is no address
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
  }
  return new Promise((resolve, reject) => {
    const request = httpsRequest(options, resolve)
    request.on('error', (cause) => {
      reject(new UnfetchableDocument('the host cannot be reached', { cause }))
    })
    // RFC 9110 §15.2.2: a 101 answers a wish that this request does not have
    request.on('upgrade', (_response, socket) => {
      socket.destroy()
      reject(new UnfetchableDocument('the host answered with another protocol'))
    })
    request.on('close', () => {
      reject(new UnfetchableDocument('the host closed the connection without an answer'))
    })
    request.end()
  })
}

function assertUsable({ statusCode, headers }: IncomingMessage): void {
  if (statusCode !== 200) throw new UnfetchableDocument('the answer is not 200')
  if (!/^application\/(?:[a-z0-9.-]+\+)?json[\t ]*(?:;|$)/i.test(headers['content-type'] ?? ''))
    throw new UnfetchableDocument('the answer is not JSON')
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') throw new UnfetchableDocument('the answer is compressed')
}

async function readText(response: IncomingMessage, maxSize: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxSize) throw new UnfetchableDocument('the answer is too large')
    chunks.push(chunk)
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
}

function singleValued(headers: IncomingHttpHeaders): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]))
}

/**
 * The network of an address: the unit in which requests of strangers are counted.
 *
 * 1. `withoutPort`: some proxies write the port of the client behind its address, and it is new with each connection.
 * 2. `groupsOf`: an IPv6 address as its eight groups, however it was written.
 * 3. `embeddedIPv4`: an IPv6 address that carries an IPv4 address counts as that one. Otherwise the whole IPv4 internet would be one network.
 * 4. Any other IPv6 address counts by its /64, the least that one subscriber has. Many have a /56 or a /48: `siteOf` is for limits that count both.
 */
import { isIPv4, isIPv6 } from 'node:net'

/** The network that an address counts for: the IPv4 address, or the first four groups of an IPv6 address. Any other text counts as it is. */
export function networkOf(address: string): string {
  const bare = withoutPort(address)
  if (isIPv4(bare) || !isIPv6(bare)) return bare
  const groups = groupsOf(bare)
  return embeddedIPv4(groups) ?? groups.slice(0, 4).map((group) => group.toString(16)).join(':') // prettier-ignore
}

/** Whether an address says who asks. A Unix socket has none, and some proxies say `unix:` or `unknown` (RFC 7239 §6.2) instead. */
export function isKnownAddress(address: string): boolean {
  return address !== '' && address !== 'unknown' && !address.startsWith('unix:')
}

/** The /48 of an IPv6 address, in which one subscriber may have many networks; undefined for any other text. */
export function siteOf(address: string): string | undefined {
  const network = networkOf(address)
  return isIPv6(`${network}::`) ? `${network.split(':').slice(0, 3).join(':')}::/48` : undefined
}

// 203.0.113.5:49152, [2001:db8::1]:49152, [2001:db8::1]
const addressWithPort = /^(?:(\d+\.\d+\.\d+\.\d+):\d+|\[([^\]]+)\](?::\d+)?)$/

function withoutPort(address: string): string {
  const [, ipv4, ipv6] = addressWithPort.exec(address) ?? []
  return ipv4 ?? ipv6 ?? address
}

/** RFC 4291 §2.2: `::` stands for as many groups of zeros as are missing; the last two groups may be written as an IPv4 address. */
function groupsOf(address: string): readonly number[] {
  const [head = '', tail = ''] = withHexadecimalTail(address.split('%', 1).join('')).split('::')
  const before = numbersIn(head)
  const after = numbersIn(tail)
  return [...before, ...Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0), ...after]
}

function withHexadecimalTail(address: string): string {
  return address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number)
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
}

function numbersIn(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}

function embeddedIPv4(groups: readonly number[]): string | undefined {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups
  const startsWith = (...start: readonly number[]) => start.every((group, at) => groups[at] === group)
  // RFC 4291 §2.5.5 (mapped), RFC 7915 §1.1 (translated)
  if (startsWith(0, 0, 0, 0, 0, 0xffff) || startsWith(0, 0, 0, 0, 0xffff, 0)) return dotted(g, h)
  // RFC 6052 §2.1: the well-known prefix 64:ff9b::/96; RFC 8215: 64:ff9b:1::/48, used with the address at the end
  if (startsWith(0x64, 0xff9b, 0, 0, 0, 0) || startsWith(0x64, 0xff9b, 1)) return dotted(g, h)
  // RFC 3056 §2: 6to4
  if (a === 0x2002) return dotted(b, c)
  // RFC 4380 §4: Teredo; the address of the client has its bits turned round
  if (a === 0x2001 && b === 0) return dotted(g ^ 0xffff, h ^ 0xffff)
  // RFC 4291 §2.5.5.1: IPv4-compatible, but for :: and ::1
  return a + b + c + d + e + f === 0 && g !== 0 ? dotted(g, h) : undefined
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** Which addresses count as one network. */
import { describe, expect, it } from '@jest/globals'
import { networkOf } from '../src/http/network-address.js'

describe('networkOf', () => {
  it.each([
    ['203.0.113.1', '203.0.113.1'],
    ['203.0.113.1:49152', '203.0.113.1'],
    ['::ffff:203.0.113.1', '203.0.113.1'],
    ['::ffff:cb00:7101', '203.0.113.1'],
    ['0:0:0:0:0:FFFF:CB00:7101', '203.0.113.1'],
    ['[::ffff:203.0.113.1]:443', '203.0.113.1'],
    ['::ffff:0:203.0.113.1', '203.0.113.1'],
    ['64:ff9b::203.0.113.1', '203.0.113.1'],
    ['64:ff9b::cb00:7101', '203.0.113.1'],
    ['64:ff9b:1::cb00:7101', '203.0.113.1'],
    ['2002:cb00:7101::1', '203.0.113.1'],
    ['2001:0:4136:e378:8000:63bf:34ff:8efe', '203.0.113.1'],
    ['::203.0.113.1', '203.0.113.1'],
  ])('X18 %s counts as the IPv4 address that it carries', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })

  it.each([
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2'],
    ['2001:DB8:1:2::9', '2001:db8:1:2'],
    ['[2001:db8:1:2::9]', '2001:db8:1:2'],
    ['[2001:db8:1:2::9]:49152', '2001:db8:1:2'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['::1', '0:0:0:0'],
  ])('X18 %s counts by its /64', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })

  it.each(['', 'unix:/run/app.sock', 'not an address', '1.2.3', '1.2.3.4.5:80'])('X18 %p counts as it is', (address) => {
    expect(networkOf(address)).toBe(address)
  })
})

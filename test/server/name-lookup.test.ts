/** The look-up of hosts that strangers name: it takes none of the threads that the application looks up its own hosts with. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fetchJson, UnfetchableDocument } from '../../src/http/guarded-fetch.js'
import { addressesOfName } from '../../src/http/name-lookup.js'

const opened: Socket[] = []

async function nameServer(answer: (question: Buffer) => Buffer | undefined): Promise<string> {
  const socket = createSocket('udp4')
  opened.push(socket)
  socket.on('message', (question, { port, address }) => {
    const bytes = answer(question)
    if (bytes !== undefined) socket.send(bytes, port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return `127.0.0.1:${socket.address().port}`
}

/** RFC 1035 §4.1: the question again, with these addresses behind it. */
function reply(question: Buffer, type: number, addresses: readonly (readonly number[])[]): Buffer {
  const isAsked = question.readUInt16BE(12 + question.subarray(12).indexOf(0) + 1) === type
  const records = isAsked
    ? addresses.map((address) => Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, address.length, ...address]))
    : []
  const end = 12 + question.subarray(12).indexOf(0) + 5
  const head = Buffer.from([...question.subarray(0, 2), 0x81, 0x80, 0, 1, 0, records.length, 0, 0, 0, 0])
  return Buffer.concat([head, question.subarray(12, end), ...records])
}

let silent: string
let questions = 0
beforeAll(async () => {
  silent = await nameServer(() => {
    questions++
    return undefined
  })
})
afterAll(() => opened.forEach((socket) => socket.close()))

const isThreadTaken = () => process.getActiveResourcesInfo().some((resource) => /getaddrinfo/i.test(resource))

describe('a name server that is silent', () => {
  test('I9 takes no thread of the process, however many hosts strangers name', async () => {
    const settings = { maxSize: 5120, timeout: 150, nameServers: [silent] }
    const fetches = Array.from({ length: 8 }, (_, at) => fetchJson(new URL(`https://host-${at}.example/client.json`), settings))
    const ended = Promise.allSettled(fetches)
    await pause(20)
    expect(isThreadTaken()).toBe(false)
    expect(questions).toBe(16)
    for (const { status } of await ended) expect(status).toBe('rejected')
  })

  test('I9 is asked no longer than somebody waits', async () => {
    const settings = { maxSize: 5120, timeout: 50, nameServers: [silent] }
    await expect(fetchJson(new URL('https://host.example/client.json'), settings)).rejects.toThrow('the time is over')
    const asked = questions
    await pause(1200)
    expect(questions).toBe(asked)
  })
})

describe('what it finds', () => {
  const { signal } = new AbortController()

  test('M10 the addresses of both families', async () => {
    const v6 = [0x26, 6, 0x47, 0, 0x47, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x11, 0x11]
    const servers = await Promise.all([
      nameServer((question) => reply(question, 1, [[93, 184, 216, 34]])),
      nameServer((question) => reply(question, 28, [v6])),
    ])
    expect(await addressesOfName('one.example', { signal, nameServers: servers.slice(0, 1) })).toEqual(['93.184.216.34'])
    expect(await addressesOfName('two.example', { signal, nameServers: servers.slice(1) })).toEqual(['2606:4700:4700::1111'])
  })

  test('M10 and what a name server says of this machine is refused', async () => {
    const nameServers = [await nameServer((question) => reply(question, 1, [[93, 184, 216, 34], [127, 0, 0, 1]]))] // prettier-ignore
    const fetched = fetchJson(new URL('https://mixed.example/client.json'), { maxSize: 5120, timeout: 1000, nameServers })
    await expect(fetched).rejects.toThrow(UnfetchableDocument)
    await expect(fetched).rejects.toThrow('the host has an address for special purposes')
  })

  test('M10 what the machine knows by itself, where it has no name server', async () => {
    const gone = await nameServer(() => undefined)
    opened.pop()?.close()
    expect(await addressesOfName('localhost', { signal, nameServers: [gone] })).toContain('127.0.0.1')
  })
})

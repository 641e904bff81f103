/** The Redis store beside its contract: what it demands of a server, and what it does when the server does not answer as usual. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { redisStore, type SendCommand } from 'oauth2-token-handler/stores/redis'
import type { ServerEvent, StoredRecord } from 'oauth2-token-handler'
import { describeWith, openRedis, redisUrl } from '../support/services.js'

const record: StoredRecord = { id: 'a-record', version: 'first', kind: 'guard', expiresAt: 4_000_000_000, format: 1, data: {} }
const healthy = ['role:master', 'maxmemory_policy:noeviction', 'aof_enabled:1']

/** A server that answers INFO with those lines, TIME with now, and all else by `answer`. */
function scripted(info: readonly string[], answer: SendCommand = () => Promise.resolve(null), seconds = () => Date.now() / 1000) {
  const commands: string[] = []
  const sendCommand: SendCommand = (args, key) => {
    if (args[0] === 'INFO') return Promise.resolve(`# Server\r\n${info.join('\r\n')}\r\n`)
    if (args[0] === 'TIME') return Promise.resolve([String(Math.floor(seconds())), '0'])
    if (key.includes(':probe:')) return Promise.resolve(probed(args))
    commands.push(args[0])
    return answer(args, key)
  }
  return { sendCommand, commands }
}

let probe = ''

/** Answers the commands of a probe: what EVALSHA writes is what GET reads. */
function probed(args: readonly string[]): unknown {
  const [command, , , key = '', , second = ''] = args
  if (command === 'EVALSHA' && key.endsWith(':record')) probe = second
  return command === 'GET' ? probe : command === 'ZSCAN' ? ['0', []] : command === 'SET' ? 'OK' : 1
}

describe('the server it is given', () => {
  const warn = console.warn
  let warnings: string[] = []
  beforeEach(() => {
    warnings = []
    console.warn = (text: string) => warnings.push(text)
  })
  afterEach(() => {
    console.warn = warn
  })

  test.each(['allkeys-lru', 'volatile-lru', 'volatile-ttl', 'allkeys-random'])('I1 one that evicts by %s is refused, and not asked for records', async (policy) => {
    const { sendCommand, commands } = scripted(['role:master', `maxmemory_policy:${policy}`, 'aof_enabled:1'])
    const store = redisStore({ sendCommand })
    await expect(store.check()).rejects.toThrow('set maxmemory-policy noeviction')
    await expect(store.get('x')).rejects.toThrow('set maxmemory-policy noeviction')
    await expect(store.create(record)).rejects.toThrow('set maxmemory-policy noeviction')
    expect(commands).toEqual([])
  }) // prettier-ignore

  test('I1 a replica is refused', async () => {
    const store = redisStore({ sendCommand: scripted(['role:slave', 'maxmemory_policy:noeviction']).sendCommand })
    await expect(store.get('x')).rejects.toThrow('connect to the primary')
  })

  test('I1 one that does not say is refused, unless that is allowed', async () => {
    await expect(redisStore({ sendCommand: scripted(['role:master']).sendCommand }).get('x')).rejects.toThrow('allowUncheckedServer')
    const { sendCommand } = scripted(['role:master'])
    expect(await redisStore({ sendCommand, allowUncheckedServer: true }).get('x')).toBeUndefined()
  })

  test('I1 the check is repeated until it passes, and not after', async () => {
    let info = ['role:master', 'maxmemory_policy:allkeys-lru']
    let checks = 0
    const sendCommand: SendCommand = (args, key) => {
      if (args[0] === 'INFO') checks++
      return scripted(info).sendCommand(args, key)
    }
    const store = redisStore({ sendCommand })
    await expect(store.get('x')).rejects.toThrow()
    await expect(store.get('x')).rejects.toThrow()
    info = healthy
    await store.get('x')
    await store.get('x')
    expect(checks).toBe(3)
  })

  test('I4 without append-only persistence it warns, once', async () => {
    const events: ServerEvent[] = []
    const { sendCommand } = scripted(['role:master', 'maxmemory_policy:noeviction', 'aof_enabled:0'])
    const store = redisStore({ sendCommand, onEvent: (event) => events.push(event) })
    await store.check()
    await store.check()
    expect(warnings).toEqual([expect.stringContaining('appendonly no')])
    expect(events).toMatchObject([{ type: 'warning' }])
    await redisStore({ sendCommand: scripted(healthy).sendCommand }).check()
    expect(warnings).toHaveLength(1)
  })

  test('I5 its clock: an event above the tolerance, a refusal above 30 seconds', async () => {
    let offset = 0
    const events: ServerEvent[] = []
    const { sendCommand } = scripted(healthy, undefined, () => Date.now() / 1000 + offset)
    const store = redisStore({ sendCommand, onEvent: (event) => events.push(event) })
    await store.check()
    offset = -4
    await store.check()
    expect(events).toEqual([])
    offset = -20
    await store.check()
    expect(events).toMatchObject([{ type: 'warning', reason: expect.stringMatching(/(19|20) seconds behind/) }])
    offset = 40
    await expect(store.check()).rejects.toThrow('seconds apart')
    await expect(store.get('x')).rejects.toThrow('seconds apart')
    offset = 0
    await store.check()
    await store.get('x')
  })
})

describe('a cluster', () => {
  const warn = console.warn
  afterEach(() => {
    console.warn = warn
  })
  const ranges = [
    [0, 5460, ['10.0.0.1', 6379, 'first', []], ['10.0.0.4', 6379, 'replica', []]],
    [5461, 10922, ['10.0.0.2', 6379, 'second', []]],
    [10923, 16382, ['10.0.0.3', 6379, 'third', []]],
    // A primary with one slot more somewhere else is asked once.
    [16383, 16383, ['10.0.0.1', 6379, 'first', []]],
  ]
  const good = 'role:master\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\ncluster_enabled:1\r\n'

  /** A cluster whose nodes answer INFO with those texts. */
  function clusterOf(infos: readonly string[], slots: unknown = ranges) {
    const asked: string[] = []
    const sendCommand: SendCommand = (args, key) => {
      if (args[0] === 'CLUSTER') return slots instanceof Error ? Promise.reject(slots) : Promise.resolve(slots)
      if (args[0] !== 'EVAL') return scripted([...healthy, 'cluster_enabled:1']).sendCommand(args, key)
      asked.push(key)
      return Promise.resolve(infos[asked.length - 1] ?? '')
    }
    return { sendCommand, asked }
  }

  test('OP15 every primary is asked by a key of its own slots, and one that evicts is found wherever it is', async () => {
    const { sendCommand, asked } = clusterOf([good, good, good])
    await redisStore({ sendCommand }).check()
    expect(asked).toHaveLength(3)
    const bad = good.replace('noeviction', 'allkeys-lru')
    for (const infos of [[bad, good, good], [good, bad, good], [good, good, bad]]) {
      await expect(redisStore({ sendCommand: clusterOf(infos).sendCommand }).get('x')).rejects.toThrow('set maxmemory-policy noeviction')
    }
  }) // prettier-ignore

  test.each([new Error('NOPERM'), [], 'OK', [[0, 1]], null])(
    'OP15 where the nodes cannot be found out it is said, once: %p',
    async (slots) => {
      const warnings: string[] = []
      console.warn = (text: string) => warnings.push(text)
      const store = redisStore({ sendCommand: clusterOf([], slots).sendCommand })
      await store.check()
      await store.check()
      expect(warnings).toEqual([expect.stringContaining('only one node could be inspected')])
    },
  )
})

describe('check()', () => {
  const warn = console.warn
  afterEach(() => {
    console.warn = warn
  })

  test('OP16 a server that refuses TIME: an error, or with allowUncheckedServer a warning, and it works', async () => {
    const warnings: string[] = []
    console.warn = (text: string) => warnings.push(text)
    const { sendCommand } = scripted(healthy)
    const withoutTime: SendCommand = (args, key) => (args[0] === 'TIME' ? Promise.reject(new Error('NOPERM')) : sendCommand(args, key))
    await expect(redisStore({ sendCommand: withoutTime }).check()).rejects.toThrow('NOPERM')
    const store = redisStore({ sendCommand: withoutTime, allowUncheckedServer: true })
    await store.check()
    expect(await store.get('x')).toBeUndefined()
    expect(warnings).toEqual([expect.stringContaining('does not answer TIME')])
  })

  test('OP16 a server that takes no writes, or loses what was written, is rejected', async () => {
    const { sendCommand } = scripted(healthy)
    const full: SendCommand = (args, key) =>
      args[0] === 'SET' ? Promise.reject(new Error('OOM command not allowed')) : sendCommand(args, key)
    await expect(redisStore({ sendCommand: full }).check()).rejects.toThrow('OOM')
    const forgetful: SendCommand = (args, key) => (args[0] === 'GET' ? Promise.resolve(null) : sendCommand(args, key))
    await expect(redisStore({ sendCommand: forgetful }).check()).rejects.toThrow('could not be read')
  })

  test('OP16 used_memory above 80 % of maxmemory is store.filling, once until there is room again', async () => {
    let used = 79
    const events: ServerEvent[] = []
    const sendCommand: SendCommand = (args, key) => scripted([...healthy, 'maxmemory:100', `used_memory:${used}`]).sendCommand(args, key)
    const store = redisStore({ sendCommand, onEvent: (event) => events.push(event) })
    for (used of [79, 81, 90, 50, 95]) await store.check()
    expect(events).toMatchObject([{ type: 'store.filling', reason: expect.stringContaining('80 %') }, { type: 'store.filling' }])
    const unlimited = redisStore({ sendCommand: scripted([...healthy, 'maxmemory:0', 'used_memory:90']).sendCommand, onEvent: (event) => events.push(event) })
    await unlimited.check()
    expect(events).toHaveLength(2)
  }) // prettier-ignore
})

describe('what is repeated', () => {
  test.each(['LOADING Redis is loading the dataset', 'READONLY You can’t write', 'CLUSTERDOWN Hash slot not served', 'TRYAGAIN'])('R4 after %s, until it works', async (message) => {
    let refusals = 3
    const { sendCommand, commands } = scripted(healthy, () => (refusals-- > 0 ? Promise.reject(new Error(message)) : Promise.resolve('OK')))
    expect(await redisStore({ sendCommand }).create(record)).toBe(true)
    expect(commands).toEqual(['SET', 'SET', 'SET', 'SET'])
  }) // prettier-ignore

  test.each(['Connection is closed.', 'OOM command not allowed', 'ECONNRESET', 'ERR unknown'])('I4 nothing after %s', async (message) => {
    const { sendCommand, commands } = scripted(healthy, () => Promise.reject(new Error(message)))
    await expect(redisStore({ sendCommand }).create(record)).rejects.toThrow(message)
    expect(commands).toEqual(['SET'])
  })

  test('I4 a record whose list could not be written is not answered', async () => {
    const { sendCommand } = scripted(healthy, ([command]) => (command === 'SET' ? Promise.resolve('OK') : Promise.reject(new Error('OOM'))))
    await expect(redisStore({ sendCommand }).create({ ...record, kind: 'authorization', client_id: 'web' })).rejects.toThrow('OOM')
  })
})

describe('options', () => {
  test.each([
    [{}, 'sendCommand must be a function'],
    [{ sendCommand: () => Promise.resolve(), prefix: '{a}' }, 'without braces'],
    [{ sendCommand: () => Promise.resolve(), prefx: 'a' }, 'redisStore has no member "prefx"; did you mean "prefix"?'],
    [
      { sendCommand: () => Promise.resolve(), acknowledgedBy: { replicas: 1, timeOut: 5 } },
      'redisStore: acknowledgedBy has no member "timeOut"; did you mean "timeout"?',
    ],
    [null, 'redisStore: the options must be an object, not null'],
    [{ sendCommand: () => Promise.resolve(), acknowledgedBy: { replicas: 0 } }, 'replicas must be a whole number'],
  ])('A1 %j is refused', (options, message) => {
    expect(() => redisStore(options as never)).toThrow(message)
  })
})

describeWith('Redis')('over a server', () => {
  test('I4 scripts that the server has forgotten are sent again', async () => {
    const place = await openRedis()
    try {
      await place.store.create(record)
      await place.sendCommand(['SCRIPT', 'FLUSH', 'SYNC'], '')
      expect(await place.store.replace({ ...record, version: 'second' }, 'first')).toBe(true)
      expect(await place.store.replace({ ...record, version: 'third' }, 'first')).toBe(false)
    } finally {
      await place.close()
    }
  })

  test('I5 records and lists end by themselves, a minute after their end', async () => {
    const place = await openRedis()
    try {
      const end = Math.floor(Date.now() / 1000) + 100
      await place.store.create({ ...record, kind: 'authorization', client_id: 'web', subject: 'alice', expiresAt: end })
      const keys = await place.keys()
      expect(keys).toHaveLength(3)
      for (const key of keys) expect(Number(await place.sendCommand(['EXPIRETIME', key], key))).toBe(end + 60)
      await place.store.replace({ ...record, kind: 'authorization', client_id: 'web', subject: 'alice', expiresAt: end + 50, version: 'second' }, 'first')
      for (const key of keys) expect(Number(await place.sendCommand(['EXPIRETIME', key], key))).toBe(end + 110)
    } finally {
      await place.close()
    }
  }) // prettier-ignore

  test('N6 a member whose time has come leaves its list; one without a record is passed over', async () => {
    let now = Math.floor(Date.now() / 1000)
    const place = await openRedis({ clock: () => now, clockTolerance: 10_000 })
    try {
      const create = (id: string, expiresAt: number) =>
        place.store.create({ ...record, id, kind: 'authorization', client_id: 'web', expiresAt })
      await create('short', now + 5)
      await create('long', now + 5000)
      const [list = ''] = (await place.keys()).filter((key) => key.includes(':client:'))
      await place.sendCommand(['DEL', `${place.prefix}record:long`], '')
      const found: string[] = []
      for await (const { id } of place.store.list({ client_id: 'web' })) found.push(id)
      expect(found).toEqual(['short'])
      now += 20
      await create('other', now + 5000)
      expect(await place.sendCommand(['ZRANGE', list, '0', '-1'], list)).toEqual(['short', 'long', 'other'])
      now -= 20
      await place.sendCommand(['ZADD', list, String(now - 1), 'short'], list)
      await create('another', now + 5000)
      expect(await place.sendCommand(['ZRANGE', list, '0', '-1'], list)).toEqual(['another', 'long', 'other'])
    } finally {
      await place.close()
    }
  })

  test('I4 acknowledgedBy: a write that no replica has is not answered, though a read is', async () => {
    const own = new Redis(redisUrl)
    const sendCommand: SendCommand = ([command, ...args]) => own.call(command, ...args)
    const place = await openRedis({ acknowledgedBy: { replicas: 1, timeout: 20, sendCommand } })
    try {
      await expect(place.store.create(record)).rejects.toThrow('too few replicas acknowledged')
      expect(await place.store.get(record.id)).toEqual(record)
      await expect(place.store.replace({ ...record, version: 'second' }, 'first')).rejects.toThrow('too few replicas acknowledged')
    } finally {
      await place.close()
      await own.quit()
    }
  })

  test('I4 acknowledgedBy: a connection that changed between write and WAIT has acknowledged nothing', async () => {
    let id = 0
    const { sendCommand } = scripted(healthy, ([command]) => Promise.resolve(command === 'CLIENT' ? id++ : command === 'WAIT' ? 1 : 'OK'))
    const store = redisStore({ sendCommand, acknowledgedBy: { replicas: 1, sendCommand } })
    await expect(store.create(record)).rejects.toThrow('the connection changed')
    const steady = scripted(healthy, ([command]) => Promise.resolve(command === 'SET' ? 'OK' : 1))
    expect(
      await redisStore({ sendCommand: steady.sendCommand, acknowledgedBy: { replicas: 1, sendCommand: steady.sendCommand } }).create(
        record,
      ),
    ).toBe(true)
  })

  test('OP16 with every command of the page about operating check() passes and a grant is listed; without any one of them check() rejects', async () => {
    const admin = new Redis(redisUrl)
    const name = `test_${process.pid}_${Math.random().toString(36).slice(2)}`
    const prefix = `${name}:`
    const commands = ['get', 'set', 'evalsha', 'eval', 'zscan', 'info', 'time', 'getrange', 'zscore', 'zadd', 'zrangebyscore', 'zrem', 'zrevrange', 'expireat'] // prettier-ignore
    const page = readFileSync('docs/operating.md', 'utf8')
    expect(page).toContain(commands.map((command) => `+${command}`).join(' '))
    const url = new URL(redisUrl)
    await admin.call('ACL', 'SETUSER', name, 'on', '>secret', `~${prefix}*`, ...commands.map((command) => `+${command}`))
    url.username = name
    url.password = 'secret'
    const client = new Redis(url.href, { enableReadyCheck: false })
    client.on('error', () => {})
    const storeOf = (options = {}) => redisStore({ sendCommand: ([command, ...args]) => client.call(command, ...args), prefix, ...options })
    try {
      const store = storeOf()
      await store.check()
      await store.create({ ...record, kind: 'authorization', client_id: 'web', subject: 'alice' })
      const found: string[] = []
      for await (const { id } of store.list({ subject: 'alice' })) found.push(id)
      expect(found).toEqual([record.id])
      // EVAL only where the server has forgotten a script; ZREM only where a member has ended.
      for (const command of commands.filter((word) => !['eval', 'zrem'].includes(word))) {
        await admin.call('ACL', 'SETUSER', name, `-${command}`)
        await expect(storeOf().check()).rejects.toThrow(/NOPERM|no permission|can't run this command|NOPERM|permissions/)
        await admin.call('ACL', 'SETUSER', name, `+${command}`)
      }
      await admin.call('ACL', 'SETUSER', name, '-info', '-time')
      const unchecked = storeOf({ allowUncheckedServer: true })
      await unchecked.check()
      expect(await unchecked.get('a-record')).toMatchObject({ id: 'a-record' })
    } finally {
      client.disconnect()
      await admin.call('ACL', 'DELUSER', name)
      const keys = (await admin.keys(`${prefix}*`)) // prettier-ignore
      if (keys.length > 0) await admin.del(...keys)
      await admin.quit()
    }
  })
})

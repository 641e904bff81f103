/**
 * Records in Redis: one key per record, and one command on that key per verb, so that a cluster is as good as a single server.
 *
 *   get       GET
 *   create    SET … NX                                     of two with one id, one is answered OK
 *   replace   a script that compares the version and sets   scripts are atomic
 *   list      a sorted set per subject and per client: its members are ids, scored with the end of the record
 *
 * The commands for the sets leave together with the record's own, and all must succeed before anything is answered. A member whose
 * record has gone is passed over, and goes when its score has. Records vanish by Redis' own expiry, a minute after their end.
 *
 * What a crash or a failover takes back depends on how Redis is run: see {@link RedisStore.check} and `acknowledgedBy`.
 */
import { createHash } from 'node:crypto'
import { ConfigurationError } from '../errors.js'
import { randomText, sha256 } from '../secrets.js'
import { fromListedRow, fromRow, toDocument, type Row } from './document.js'
import { acknowledgedWrites, type Acknowledgement } from './redis-acknowledgement.js'
import type { SendCommand } from './redis-command.js'
import { healthOf, type RedisHealth } from './redis-health.js'
import type { ListFilter, Store, StoredRecord } from './store.js'
import { durableOptionNames, graceSeconds, readUpkeep, retrying, type DurableStoreOptions } from './upkeep.js'

export type { Acknowledgement, SendCommand }

/** Options of {@link redisStore}. */
export interface RedisStoreOptions extends DurableStoreOptions {
  readonly sendCommand: SendCommand
  /** Before every key, without braces. Default `oauth2:`. */
  readonly prefix?: string
  /** Demands that replicas have each write before it is answered. Default: none has to. */
  readonly acknowledgedBy?: Acknowledgement
  /**
   * True: a server that does not answer INFO or TIME, or does not say how it evicts, is used all the same. If it evicts, used codes and revoked tokens
   * come back to life. Default false.
   */
  readonly allowUncheckedServer?: boolean
}

/** A {@link Store} in Redis. */
export interface RedisStore extends Store {
  /**
   * Inspects the server, from `INFO`, as the first call of a verb would: rejects when it evicts keys (any `maxmemory-policy` but
   * `noeviction`) or is a replica, warns when it keeps no append-only file. Until that has passed every verb throws. Then writes a probe that lives
   * for a minute, and reads it, by every command that the verbs use: rejects where one is refused, or the memory is full.
   */
  check(): Promise<void>
}

// A record is ["<version>",{…}]: its version can be compared without parsing it.
const replaceScript = `local start = ARGV[1]
if redis.call('GETRANGE', KEYS[1], 0, #start - 1) ~= start then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EXAT', ARGV[3])
return 1`

// Adds a member, never lowers its score, drops a few whose time has come, and lets the set end with its last member.
const indexScript = `local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) < tonumber(ARGV[2]) then redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) end
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[3], 'LIMIT', 0, 10)
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if last[2] then redis.call('EXPIREAT', KEYS[1], last[2]) end
return 1`

/** @throws ConfigurationError for a client of node-redis or ioredis, which everybody tries first: their commands differ. */
function assertNoClient(options: unknown): void {
  if (typeof options !== 'object' || options === null) return
  const { duplicate, call } = options as { readonly duplicate?: unknown; readonly call?: unknown }
  if (typeof duplicate !== 'function' && typeof call !== 'function') return
  const remedy =
    typeof call === 'function'
      ? 'redisStore takes { sendCommand: ([command, ...args]) => client.call(command, ...args) }, not the client itself'
      : 'redisStore takes { sendCommand: (args) => client.sendCommand([...args]) }, not the client itself'
  throw new ConfigurationError(remedy)
}

/** A connection carries any number of commands at once; they wait in the server, for microseconds each. */
const concurrency = 512

const probeSize = 16
const probeLifetime = 60

const optionNames = [...durableOptionNames, 'sendCommand', 'prefix', 'acknowledgedBy', 'allowUncheckedServer']

/**
 * Makes a store in Redis 6.2 or newer, or Valkey.
 *
 * @throws ConfigurationError when there is no option of that name, TypeError when an option is wrong.
 */
export function redisStore(options: RedisStoreOptions): RedisStore {
  assertNoClient(options)
  const upkeep = readUpkeep(options, optionNames, 'redisStore')
  const { sendCommand, prefix = 'oauth2:', acknowledgedBy, allowUncheckedServer = false } = options
  if (typeof sendCommand !== 'function') throw new TypeError('redisStore: sendCommand must be a function (args, key) => reply')
  if (typeof prefix !== 'string' || /[{}]/.test(prefix)) throw new TypeError('redisStore: prefix must be a text without braces')
  const health: RedisHealth = healthOf(upkeep, sendCommand, prefix, allowUncheckedServer)
  const write = acknowledgedBy === undefined ? sendCommand : acknowledgedWrites(acknowledgedBy, prefix)

  /** A server that is loading, or is no primary, did not run the command. A command whose fate is unknown is not repeated. */
  function call(send: SendCommand, args: [string, ...string[]], key: string): Promise<unknown> {
    return retrying(() => send(args, key), isNotRun)
  }

  function run(script: Script, key: string, ...args: string[]): Promise<unknown> {
    return call(async (command) => {
      try {
        return await write(command, key)
      } catch (error) {
        if (!startsWith(error, 'NOSCRIPT')) throw error
        const [, , ...rest] = command
        return write(['EVAL', script.text, ...rest], key)
      }
    }, ['EVALSHA', script.digest, '1', key, ...args], key) // prettier-ignore
  }

  const recordKey = (id: string) => `${prefix}record:${id}`
  const subjectKey = (subject: string) => `${prefix}subject:${sha256(subject)}`
  const clientKey = (client_id: string) => `${prefix}client:${sha256(client_id)}`

  /** The commands that keep a record in the lists it belongs to. */
  function index({ kind, id, subject, client_id, expiresAt }: StoredRecord): Promise<unknown>[] {
    if (kind !== 'authorization') return []
    const keys = [...(subject === undefined ? [] : [subjectKey(subject)]), ...(client_id === undefined ? [] : [clientKey(client_id)])]
    const goneBefore = String(upkeep.clock())
    return keys.map((key) => run(scripts.index, key, id, String(expiresAt + graceSeconds), goneBefore))
  }

  async function read(id: string): Promise<Row | undefined> {
    const key = recordKey(id)
    const value = await call(sendCommand, ['GET', key], key)
    return value === null || value === undefined ? undefined : parse(value, id)
  }

  /** Every command of the verbs, on keys that nothing else uses: an ACL may allow some and refuse others. */
  async function probe(): Promise<void> {
    const name = `${prefix}probe:${randomText(probeSize)}`
    const [key, list] = [`${name}:record`, `${name}:list`]
    const [first, second] = [`${startOf('first')}0]`, `${startOf('second')}0]`]
    const end = String(Math.floor(Date.now() / 1000) + probeLifetime)
    await call(write, ['SET', key, first, 'NX', 'EXAT', end], key)
    const isReplaced = Number(await run(scripts.replace, key, startOf('first'), second, end)) === 1
    await run(scripts.index, list, 'member', end, '0')
    scanned(await call(sendCommand, ['ZSCAN', list, '0', 'COUNT', '100'], list))
    const read = await call(sendCommand, ['GET', key], key)
    if (!isReplaced || String(read) !== second) throw new Error('redisStore: a probe that was written could not be read')
  }

  return {
    concurrency,
    async check() {
      await health.inspect()
      await probe()
    },
    async get(id) {
      await health.passed()
      const row = await read(id)
      return row === undefined ? undefined : fromRow(row)
    },
    async create(record) {
      await health.passed()
      const key = recordKey(record.id)
      const args: [string, ...string[]] = ['SET', key, format(record), 'NX', 'EXAT', String(record.expiresAt + graceSeconds)]
      const [reply] = await settled([call(write, args, key), ...index(record)])
      return reply !== null && reply !== undefined
    },
    async replace(record, version) {
      await health.passed()
      const args = [startOf(version), format(record), String(record.expiresAt + graceSeconds)]
      const [reply] = await settled([run(scripts.replace, recordKey(record.id), ...args), ...index(record)])
      return Number(reply) === 1
    },
    async *list(filter: ListFilter) {
      await health.passed()
      const { subject, client_id } = filter
      const key = subject === undefined ? clientKey(filter.client_id) : subjectKey(subject)
      const seen = new Set<string>()
      for (let cursor = '0'; ;) {
        const [next, members] = scanned(await call(sendCommand, ['ZSCAN', key, cursor, 'COUNT', '100'], key))
        const ids = members.filter((id) => !seen.has(id))
        for (const id of ids) seen.add(id)
        const rows = (await settled(ids.map(read))).filter((row): row is Row => row !== undefined)
        for (const row of rows) {
          if (row.kind === 'authorization' && isOf(row, subject, client_id)) yield fromListedRow(row)
        }
        if (next === '0') return
        cursor = next
      }
    },
  }
}

interface Script {
  readonly text: string
  readonly digest: string
}

function script(text: string): Script {
  return { text, digest: createHash('sha1').update(text).digest('hex') }
}

const scripts = { replace: script(replaceScript), index: script(indexScript) }

/** All results, or the first failure, once nothing is under way any more. */
async function settled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work)
  return Promise.all(work)
}

function startOf(version: string): string {
  return `[${JSON.stringify(version)},`
}

function format(record: StoredRecord): string {
  const { version, kind, client_id, subject, expiresAt } = record
  return `${startOf(version)}${JSON.stringify({ kind, client_id, subject, expires_at: expiresAt, document: toDocument(record) })}]`
}

/** The row in a value. One that is no JSON becomes a row that nobody can read. */
function parse(value: unknown, id: string): Row {
  try {
    const [version, columns] = JSON.parse(String(value)) as [unknown, Row]
    return { ...columns, id, version }
  } catch {
    return { id, kind: 'authorization' }
  }
}

/** An unreadable row matches every filter: it is to be reported, not passed over. */
function isOf(row: Row, subject: string | undefined, client_id: string | undefined): boolean {
  const agrees = (stored: unknown, wanted: string | undefined) => wanted === undefined || stored === wanted
  return row.document === undefined || (agrees(row.subject, subject) && agrees(row.client_id, client_id))
}

/** The cursor and the members of a reply to ZSCAN: scores stand between the members, or beside them. */
function scanned(reply: unknown): readonly [cursor: string, members: string[]] {
  if (!Array.isArray(reply) || !Array.isArray(reply[1])) throw new Error('unexpected reply to ZSCAN')
  const [cursor, elements] = reply as [unknown, unknown[]]
  return [String(cursor), elements.filter((_element, position) => position % 2 === 0).map(String)]
}

const notRun = ['LOADING', 'READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN']

function isNotRun(error: unknown): boolean {
  return notRun.some((word) => startsWith(error, word))
}

function startsWith(error: unknown, word: string): boolean {
  return error instanceof Error && error.message.startsWith(word)
}

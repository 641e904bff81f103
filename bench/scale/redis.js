/** Redis as a place for a large and an empty store: two of its numbered databases, which share nothing but the process. */
import { createClient } from 'redis'

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
const numbers = { empty: 14, full: 15 }
const atOnce = 500

export async function open(_name, _role, load) {
  const { redisStore } = await load('stores/redis')
  const connect = (database) => createClient({ url, database }).connect()
  const clients = { empty: await connect(numbers.empty), full: await connect(numbers.full) }
  const storeIn = (client) => redisStore({ sendCommand: (args) => client.sendCommand(args) })
  const stores = { empty: storeIn(clients.empty), full: storeIn(clients.full) }
  const info = async (section) => {
    const lines = (await clients.full.sendCommand(['INFO', section])).split('\r\n').map((line) => line.split(':'))
    return Object.fromEntries(lines)
  }
  let memoryBefore = 0

  async function insert(store, rows) {
    for (let from = 0; from < rows.length; from += atOnce) {
      await Promise.all(rows.slice(from, from + atOnce).map((row) => stores[store].create(recordOf(row))))
    }
  }

  return {
    stores,
    hasSweep: false,
    insert,
    async create() {
      for (const [store, client] of Object.entries(clients)) {
        const keys = await client.sendCommand(['DBSIZE'])
        if (keys > 0) throw new Error(`database ${numbers[store]} of this Redis is to be filled and emptied, and holds ${keys} keys`)
      }
      const { used_memory, maxmemory } = await info('memory')
      if (maxmemory !== '0') throw new Error(`this Redis may use ${maxmemory} bytes only: unset maxmemory`)
      memoryBefore = Number(used_memory)
    },
    async read(id) {
      const [version, { kind, client_id, subject, expires_at, document }] = JSON.parse(
        await clients.empty.sendCommand(['GET', `oauth2:record:${id}`]),
      )
      return { id, version, kind, client_id, subject, expires_at, document }
    },
    async settle() {},
    async refill(rows) {
      await clients.empty.sendCommand(['FLUSHDB'])
      await insert('empty', rows)
    },
    async usage() {
      const { used_cpu_user, used_cpu_sys } = await info('cpu')
      return { seconds: Number(used_cpu_user) + Number(used_cpu_sys) }
    },
    async sizes() {
      return [['memory', Number((await info('memory')).used_memory) - memoryBefore]]
    },
    async version() {
      return `Redis ${(await info('server')).redis_version}`
    },
    async drop() {
      for (const client of Object.values(clients)) await client.sendCommand(['FLUSHDB', 'ASYNC'])
    },
    async close() {
      for (const client of Object.values(clients)) client.destroy()
    },
  }
}

function recordOf({ client_id, subject, expires_at, document, ...columns }) {
  return { ...columns, client_id, ...(subject === null ? {} : { subject }), expiresAt: expires_at, ...JSON.parse(document) }
}

/** Microseconds of CPU between two usages. */
export function difference(before, after) {
  return { cpu: (after.seconds - before.seconds) * 1e6 }
}

/** What lies on the disks, as a thief of a backup finds it: pg_dump, the append-only file and the snapshot of Redis, the files of SQLite. */
import { describe, expect, test } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Store } from 'oauth2-token-handler'
import { registerClient } from 'oauth2-token-handler'
import { basic, machine, testServer, web } from '../support/server.js'
import { postgresBinaries, redisBinary, startOwnRedis } from '../support/own-servers.js'
import { databaseUrl, openPostgres, openRedis, openSqlite } from '../support/services.js'

const isRequired = process.env.REQUIRE_SERVICES === '1'

/** Live credentials of every kind, each without the id that is no secret. */
async function secretsIn(store: Store): Promise<readonly string[]> {
  const server = testServer({ store })
  const code = await server.code()
  const { refresh_token } = await server.tokens()
  const { json } = await server.refresh(refresh_token)
  const { json: granted } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
  // Registered by a server without the option clients: with a list, what is saved is not found.
  const { clients: _listed, ...withoutList } = server.options
  const { client_secret = '' } = await registerClient(withoutList, { grant_types: ['client_credentials'] })
  const live = [code, refresh_token, json.refresh_token ?? '', json.access_token ?? '', granted.access_token ?? '']
  return [...live.map((text) => text.slice(text.indexOf('.') + 1)), client_secret, web.client_secret, machine.client_secret]
}

function expectNone(secrets: readonly string[], dump: string, marker: string): void {
  // The dump is the right one: it has the records.
  expect(dump).toContain(marker)
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(20)
    for (const form of [
      secret,
      encodeURIComponent(secret),
      ...['base64', 'base64url', 'hex'].map((name) => Buffer.from(secret).toString(name as 'hex')),
    ]) {
      expect(dump.includes(form)).toBe(false)
    }
  }
}

/** All files under a folder, byte for byte. */
function filesIn(folder: string): string {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name))
  return paths.filter((path) => statSync(path).isFile()).map((path) => readFileSync(path, 'latin1')).join('\n') // prettier-ignore
}

const binaries = postgresBinaries()

;(binaries === undefined && !isRequired ? describe.skip : describe)('I6 PostgreSQL', () => {
  test('pg_dump holds no usable credential', async () => {
    const place = await openPostgres()
    try {
      const secrets = await secretsIn(place.store)
      const [schema = ''] = place.table.split('.')
      const dump = execFileSync(join(binaries ?? '', 'pg_dump'), ['--schema', schema, databaseUrl], { encoding: 'utf8' })
      expectNone(secrets, dump, '"status":"issued"')
    } finally {
      await place.close()
    }
  })
})

;(redisBinary() === undefined && !isRequired ? describe.skip : describe)('I6 Redis', () => {
  test('the append-only file and the snapshot hold no usable credential', async () => {
    const own = await startOwnRedis('--rdbcompression', 'no')
    const place = await openRedis({}, own.url)
    try {
      const secrets = await secretsIn(place.store)
      await place.sendCommand(['SAVE'], '')
      expect(readdirSync(own.folder)).toContain('dump.rdb')
      expectNone(secrets, readFileSync(join(own.folder, 'dump.rdb'), 'latin1'), 'authorization_code')
      expectNone(secrets, filesIn(join(own.folder, 'appendonlydir')), 'authorization_code')
    } finally {
      await place.close()
      await own.remove()
    }
  })
})

describe('I6 SQLite', () => {
  test('the file and its log hold no usable credential', async () => {
    const place = await openSqlite()
    try {
      expectNone(await secretsIn(place.store), filesIn(place.folder), 'authorization_code')
    } finally {
      await place.close()
    }
  })
})

/**
 * A network that loses every packet for a while: this process runs in one network namespace (`unshare --net`), PostgreSQL in another, and a wrong hardware
 * address for its host makes everything that is sent there go nowhere. Nothing outside the two namespaces can be reached.
 */
import { execFileSync, spawn } from 'node:child_process'
import { appendFileSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'pg'
import { postgresStore } from '../../src/stores/postgres.js'
import { postgresBinaries } from '../support/own-servers.js'
import { testServer } from '../support/server.js'
import { healedAfter, startSessions } from '../support/sessions.js'

/** What the test is told. */
export interface LossReport {
  readonly lost: readonly string[]
  readonly refused: number
  /** Milliseconds from the end of the loss until every server was well. */
  readonly healedAfter: number
  readonly checkFailed: boolean
  readonly checkIsWell: boolean
}

const [here, there] = ['10.77.0.1', '10.77.0.2']
const run = (...command: readonly string[]) => execFileSync(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] })

const binaries = postgresBinaries() ?? ''
const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))) as [number, number]
const folder = mkdtempSync(join(tmpdir(), 'lost-postgres-'))
chownSync(folder, uid, gid)
const data = join(folder, 'data')
execFileSync(join(binaries, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--no-sync'], { uid, gid, cwd: folder, stdio: 'ignore' }) // prettier-ignore
appendFileSync(join(data, 'pg_hba.conf'), `host all all ${here}/32 trust\n`)

const other = spawn('unshare', ['--net', 'sleep', '300'], { stdio: 'ignore' })
await delay(300)
const inOther = ['nsenter', '-t', String(other.pid), '--net']
run('ip', 'link', 'set', 'lo', 'up')
run('ip', 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far', 'netns', String(other.pid))
run('ip', 'addr', 'add', `${here}/24`, 'dev', 'near')
run('ip', 'link', 'set', 'near', 'up')
run(...inOther, 'ip', 'link', 'set', 'lo', 'up')
run(...inOther, 'ip', 'addr', 'add', `${there}/24`, 'dev', 'far')
run(...inOther, 'ip', 'link', 'set', 'far', 'up')
const postgres = spawn('nsenter', ['-t', String(other.pid), '--net', '-S', String(uid), '-G', String(gid), join(binaries, 'postgres'), '-D', data, '-p', '5432', '-k', folder, '-h', there], { stdio: 'ignore', cwd: folder }) // prettier-ignore

const pools = Array.from({ length: 3 }, () => {
  const url = `postgres://postgres@${there}:5432/postgres`
  const pool = new Pool({ connectionString: url, max: 10, connectionTimeoutMillis: 500, keepAlive: true })
  pool.on('error', () => {})
  return pool
})
const stores = pools.map((pool) => postgresStore(pool))
for (let tries = 0; ; tries++) {
  try {
    await stores[0]?.createTables()
    break
  } catch (cause) {
    if (tries === 100) throw cause
    await delay(200)
  }
}

const servers = stores.map((store) => testServer({ store }))
const load = startSessions(servers, 24)
await delay(2000)
run('ip', 'neigh', 'replace', there, 'lladdr', '02:00:00:00:00:99', 'dev', 'near', 'nud', 'permanent')
await delay(15_000)
const checkFailed = (await Promise.allSettled(stores.map((store) => store.check()))).every(({ status }) => status === 'rejected')
await delay(15_000)
run('ip', 'neigh', 'del', there, 'dev', 'near')
const begun = performance.now()
await delay(12_000)
await load.stop()
const checkIsWell = (await Promise.allSettled(stores.map((store) => store.check()))).every(({ status }) => status === 'fulfilled')

const report: LossReport = {
  lost: load.lost,
  refused: load.answers.filter(({ status }) => status === 503).length,
  healedAfter: healedAfter(load, servers.length, begun),
  checkFailed,
  checkIsWell,
}
postgres.kill('SIGQUIT')
other.kill()
await delay(500)
rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
process.send?.(report, () => process.exit(0))

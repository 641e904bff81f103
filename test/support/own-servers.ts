/** Servers of PostgreSQL and Redis that a test starts for itself, on free ports and in folders of their own, to kill and restart. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export interface OwnServer {
  readonly url: string
  readonly port: number
  readonly folder: string
  /** Ends it without giving it time to tidy up. */
  crash(): Promise<void>
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>
  /** Lets it hear and answer nothing, with its connections open, until {@link resume}. */
  pause(): void
  resume(): void
  /** Ends it and removes its folder. */
  remove(): Promise<void>
}

/** Where the binaries of PostgreSQL are, or undefined. */
export function postgresBinaries(): string | undefined {
  const versions = '/usr/lib/postgresql'
  const found = existsSync(versions) ? readdirSync(versions).sort().reverse() : []
  return found.map((version) => join(versions, version, 'bin')).find((folder) => existsSync(join(folder, 'initdb')))
}

/** The path of redis-server, or undefined. */
export function redisBinary(): string | undefined {
  return ['/usr/bin/redis-server', '/usr/local/bin/redis-server'].find((path) => existsSync(path))
}

/** PostgreSQL does not run as root. */
function postgresUser(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

export async function startOwnPostgres(...settings: string[]): Promise<OwnServer> {
  const binaries = postgresBinaries()
  if (binaries === undefined) throw new Error('there is no PostgreSQL to start')
  const user = postgresUser()
  const folder = mkdtempSync(join(tmpdir(), 'own-postgres-'))
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  execFileSync(join(binaries, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--no-sync'], { ...user, cwd: folder, stdio: 'ignore' }) // prettier-ignore
  const port = await freePort()
  const args = ['-D', data, '-p', String(port), '-k', folder, '-h', '127.0.0.1', ...settings]
  return ownServer(`postgres://postgres@127.0.0.1:${port}/postgres`, port, folder, 'SIGQUIT', () =>
    spawn(join(binaries, 'postgres'), args, { ...user, cwd: folder, stdio: 'ignore' }),
  )
}

export async function startOwnRedis(...settings: string[]): Promise<OwnServer> {
  const binary = redisBinary()
  if (binary === undefined) throw new Error('there is no Redis to start')
  const folder = mkdtempSync(join(tmpdir(), 'own-redis-'))
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always', ...settings] // prettier-ignore
  return ownServer(`redis://127.0.0.1:${port}`, port, folder, 'SIGKILL', () => spawn(binary, args, { stdio: 'ignore' }))
}

async function ownServer(url: string, port: number, folder: string, signal: NodeJS.Signals, start: () => ChildProcess): Promise<OwnServer> {
  let child = start()
  await untilReachable(port)
  async function crash(): Promise<void> {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await ended
  }
  return {
    url,
    port,
    folder,
    crash,
    async restart() {
      child = start()
      await untilReachable(port)
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async remove() {
      await crash()
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** A port that nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

async function untilReachable(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const reached = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('close', () => socket.destroy())
      socket.once('connect', () => socket.destroy())
    })
    if (reached) return
    await delay(50)
  }
  throw new Error(`nothing listens on port ${port}`)
}

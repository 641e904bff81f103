/** Processes that serve from one store, and the calls that reach them. */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Contestant } from '../security/races.js'
import type { Form, JsonResponse } from './server.js'
import type { Call, WorkerSettings } from './worker.js'

type Answer = Pick<JsonResponse, 'status' | 'json'>

/** A process with servers. Its calls reject once the process has gone. */
export interface Worker {
  readonly process: ChildProcess
  /** The server of that name. */
  server(name: string): RemoteServer
  /** Ends it without a word, as a crash does. */
  kill(): Promise<void>
}

/** A server in another process. */
export interface RemoteServer extends Contestant {
  revoke(form: Form, headers?: Record<string, string>): Promise<Answer>
  /** The status of a resource behind `requireAccessToken(options, { checkClient: true })`, over HTTP. */
  guard(token: string): Promise<number>
  /** Sets `notBefore` of the client `web` to the present second. */
  endClient(): Promise<void>
}

const script = fileURLToPath(new URL('./worker.ts', import.meta.url))

/** Starts a process; resolves when it is ready to be called. */
export async function startWorker(settings: WorkerSettings): Promise<Worker> {
  const child = fork(script, [JSON.stringify(settings)], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', process.env.DEBUG_WORKERS === undefined ? 'ignore' : 'inherit', 'ipc'],
  })
  const pending = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let calls = 0
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      for (const { reject } of pending.values()) reject(new Error('the worker has gone'))
      pending.clear()
      resolve()
    })
  })
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => {
      child.on('message', settle)
      resolve()
    })
    child.once('exit', () => reject(new Error('the worker did not start')))
  })

  function settle({ number, result, error }: { number: number; result?: unknown; error?: string }): void {
    const waiting = pending.get(number)
    pending.delete(number)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(new Error(error))
  }

  function call(server: string, method: Call['method'], form?: Form, headers?: Record<string, string>): Promise<unknown> {
    const number = calls++
    return new Promise((resolve, reject) => {
      pending.set(number, { resolve, reject })
      if (child.connected) child.send({ number, server, method, form, headers })
      else reject(new Error('the worker has gone'))
    })
  }

  return {
    process: child,
    server: (name) => ({
      token: async (form, headers) => (await call(name, 'token', form, headers)) as Answer,
      introspect: async (form, headers) => (await call(name, 'introspect', form, headers)) as Answer,
      revoke: async (form, headers) => (await call(name, 'revoke', form, headers)) as Answer,
      code: async () => (await call(name, 'code')) as string,
      guard: async (token) => (await call(name, 'guard', { token })) as number,
      endClient: async () => (await call(name, 'endClient')) as undefined,
    }),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Starts several at once. */
export async function startWorkers(count: number, settings: WorkerSettings): Promise<[Worker, ...Worker[]]> {
  const [first, ...others] = await Promise.all(Array.from({ length: count }, () => startWorker(settings)))
  if (first === undefined) throw new Error('no worker was asked for')
  return [first, ...others]
}

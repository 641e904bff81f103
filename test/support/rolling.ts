/** Processes of several versions behind one load balancer: each request goes to the next of those that take part. */
import { fork, type ChildProcess } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Call, Ready, RollingSettings } from './rolling-settings.js'

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** The body, parsed as JSON or as a form; empty where it is neither. */
  readonly members: Readonly<Partial<Record<string, string>>>
}

/** What a client sends. */
export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: Readonly<Record<string, string>>
  readonly body?: string
}

/** One process, and the requests to its servers. */
export interface Member {
  readonly name: string
  readonly ready: Ready
  send(host: string, path: string, sent?: Sent): Promise<Answer>
  /** Lets the application of a server do something. */
  perform(host: string, call: Call): Promise<Answer>
  stop(): Promise<void>
}

/** Counts over all processes. */
export interface Counts {
  answers: number
  unavailable: number
  /** What no client may see: an answer of 500 and more, and no answer at all. */
  readonly failures: Set<string>
}

export const newKeys = () => ({
  signingKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  encryptionKey: randomBytes(32).toString('base64url'),
})

export const newCounts = (): Counts => ({ answers: 0, unavailable: 0, failures: new Set() })

const script = fileURLToPath(new URL('./rolling-child.ts', import.meta.url))

/** Starts a process; resolves when it answers requests. */
export async function startMember(name: string, settings: RollingSettings, counts: Counts): Promise<Member> {
  const child = fork(script, [JSON.stringify(settings)], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', process.env.DEBUG_WORKERS === undefined ? 'ignore' : 'inherit', 'ipc'],
  })
  const ready = await firstMessage(child, name)
  const agent = new Agent({ keepAlive: true })

  async function ask(host: string, path: string, { method, headers, form, body }: Sent): Promise<Answer> {
    const content = form === undefined ? body : new URLSearchParams(form).toString()
    const type = form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }
    const req = request({
      agent,
      host: '127.0.0.1',
      port: ready.port,
      path,
      method: method ?? (content === undefined ? 'GET' : 'POST'),
      headers: { host, 'x-forwarded-proto': 'https', ...type, ...headers },
    })
    req.end(content)
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    const received = await text(res)
    return { status: res.statusCode ?? 0, headers: res.headers, body: received, members: membersIn(received) }
  }

  async function send(host: string, path: string, sent: Sent = {}): Promise<Answer> {
    try {
      const answer = await ask(host, path, sent)
      counts.answers++
      if (answer.status === 503) counts.unavailable++
      if (answer.status >= 500) counts.failures.add(`${name} ${host} ${path}: ${answer.status} ${answer.body}`)
      return answer
    } catch (cause) {
      counts.failures.add(`${name} ${host} ${path}: ${String(cause)}`)
      return { status: 0, headers: {}, body: '', members: {} }
    }
  }

  return {
    name,
    ready,
    send,
    perform: (host, call) => send(host, '/do', { body: JSON.stringify(call) }),
    async stop() {
      agent.destroy()
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    },
  }
}

async function firstMessage(child: ChildProcess, name: string): Promise<Ready> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Ready))
    child.once('exit', () => reject(new Error(`the process of ${name} did not start; DEBUG_WORKERS=1 shows why`)))
  })
}

function membersIn(body: string): Answer['members'] {
  try {
    return JSON.parse(body) as Answer['members']
  } catch {
    return body.includes('=') ? Object.fromEntries(new URLSearchParams(body)) : {}
  }
}

/** The processes that answer now, in turn. */
export class Fleet {
  #members: readonly Member[] = []
  #turn = 0

  /** The next process. */
  next(): Member {
    const member = this.#members[this.#turn++ % this.#members.length]
    if (member === undefined) throw new Error('no process answers')
    return member
  }

  /** From now on these answer. The others answer what they have been asked already. */
  become(...members: readonly Member[]): void {
    this.#members = members
  }
}

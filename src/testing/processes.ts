/**
 * Stores in other processes: each child opens one of its own, and the checks reach it by messages.
 *
 * 1. `run` starts the children, once, and waits until each has opened its store. Then the check runs, with one door for each child.
 * 2. `end` ends every child by the handle that started it: it is asked to close its store and go, and killed when it does not go in time.
 *
 * Each wait has an end. A child whose parent disappears ends by itself.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { extname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { withinTime } from '../time-limit.js'
import type { ChildMessage, RemoteVerb } from './messages.js'
import type { Door, Doors, RaceCheck } from './races.js'

/** What the children are started with. */
export interface ProcessSettings {
  /** The URL of the module that exports `createStore`. */
  readonly module: string
  readonly processes: number
  readonly execArgv: readonly string[]
}

/** Milliseconds until a check over processes has failed, its start included. */
const checkTimeout = 60_000
/** Milliseconds that a child has for closing its store. */
const closeTimeout = 1_000
const keptErrorOutput = 4_000

// Beside this file, and in the same language: JavaScript in the package.
const script = fileURLToPath(new URL(`./child${extname(import.meta.url)}`, import.meta.url))

/** Stores in processes of their own, which start when the first check needs them. */
export class StoreProcesses {
  readonly #settings: ProcessSettings
  #started: { readonly children: readonly StoreProcess[]; readonly doors: Promise<Doors> } | undefined

  constructor(settings: ProcessSettings) {
    this.#settings = settings
  }

  /** Runs a check with one door for each process. */
  async run(check: RaceCheck): Promise<void> {
    const { doors } = (this.#started ??= this.#start())
    await withinTime(checkTimeout, async () => check(await doors), () => new Error(`the check did not end within ${checkTimeout / 1000} seconds`)) // prettier-ignore
  }

  /** Ends every process. Resolves when the last one has gone. */
  async end(): Promise<void> {
    const children = this.#started?.children ?? []
    this.#started = undefined
    await Promise.all(children.map((child) => child.end()))
  }

  #start() {
    const children = Array.from({ length: this.#settings.processes }, () => new StoreProcess(this.#settings))
    const doors = Promise.all(children.map((child) => child.opened())).then(([first, ...others]): Doors => {
      if (first === undefined) throw new TypeError('a check over processes needs a process')
      return [first, ...others]
    })
    return { children, doors }
  }
}

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (reason: Error) => void
}

/** A child process with a store of its own. */
class StoreProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #exited: Promise<void>
  readonly #opening: Promise<void>
  #errorOutput = ''
  #calls = 0

  constructor({ module, execArgv }: ProcessSettings) {
    const child = fork(script, [module], {
      execArgv: [...execArgv],
      // Of standard output a test runner makes its report.
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#child = child
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errorOutput = (this.#errorOutput + text).slice(-keptErrorOutput)
    })
    // 'error' comes alone where no process could be started.
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.on('error', (error) => {
        this.#errorOutput += String(error)
        if (child.pid === undefined) resolve()
      })
    })
    void this.#exited.then(() => this.#rejectAll(`a process ended before its answer: ${this.#errorOutput}`))
    this.#opening = new Promise((resolve, reject) => this.#waiting.set(-1, { resolve: () => resolve(), reject }))
    // Whoever waits for it is told; a check that has failed before waits for nobody.
    this.#opening.catch(() => undefined)
    child.on('message', (message: ChildMessage) => this.#settle(message))
  }

  /** The store of the child, as soon as it is open. */
  async opened(): Promise<Door> {
    await this.#opening
    return {
      get: (id) => this.#call('get', id) as ReturnType<Door['get']>,
      create: (record) => this.#call('create', record) as Promise<boolean>,
      replace: (record, version) => this.#call('replace', record, version) as Promise<boolean>,
    }
  }

  async end(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    const waiting = new AbortController()
    const late = delay(closeTimeout, undefined, { signal: waiting.signal }).then(
      () => this.#child.kill('SIGKILL'),
      () => false,
    )
    await this.#exited
    waiting.abort()
    await late
    // A program that the child started may still hold the other end.
    this.#child.stderr?.destroy()
  }

  #call(verb: RemoteVerb, ...args: readonly unknown[]): Promise<unknown> {
    const number = this.#calls++
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject })
      this.#child.send({ number, verb, arguments: args }, (error) => {
        if (error !== null) this.#take(number)?.reject(error)
      })
    })
  }

  #settle(message: ChildMessage): void {
    switch (message.type) {
      case 'ready':
        this.#take(-1)?.resolve(undefined)
        break
      case 'failed':
        this.#take(-1)?.reject(new Error(`a process could not open its store: ${message.reason}`))
        break
      case 'answer':
        // Parsed here: what a message carries is of another realm in Jest, and never deeply equal there.
        this.#take(message.number)?.resolve(message.answer === undefined ? undefined : JSON.parse(message.answer))
        break
      case 'thrown':
        this.#take(message.number)?.reject(new Error(`the store of a process threw: ${message.reason}`))
    }
  }

  #take(number: number): Waiting | undefined {
    const waiting = this.#waiting.get(number)
    this.#waiting.delete(number)
    return waiting
  }

  #rejectAll(reason: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(reason))
    this.#waiting.clear()
  }
}

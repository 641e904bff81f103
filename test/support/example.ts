/**
 * An example as a process of its own, and the curl lines that it prints.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'

const root = new URL('../../', import.meta.url)
const run = promisify(execFile)

export interface RunningExample {
  /** What it printed until it was ready. */
  readonly output: string
  /** The line that begins with `curl`. */
  readonly curlLine: string
  /** What it printed until now. */
  printed(): string
  /** Ends the process, by its id. */
  stop(): Promise<void>
}

/** Starts a TypeScript file on a free port. Ready is what matches `ready` in its output. */
export async function startExample(file: string, ready = /^curl .+\n/m, cwd: URL | string = root): Promise<RunningExample> {
  const { NODE_OPTIONS: _jestOptions, ...environment } = process.env
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), file], {
    cwd,
    env: { ...environment, PORT: '0', NODE_ENV: 'development', TSX_TSCONFIG_PATH: new URL('tsconfig.json', root).pathname },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exit = once(child, 'exit')
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill()
    await exit
  }
  let output = ''
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text))
  const isReady = new Promise<boolean>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (ready.test(output)) resolve(true)
    })
    child.once('exit', () => resolve(false))
  })
  if (!(await isReady)) throw new Error(`${file} ended before it was ready: ${complaints}`)
  return { output, curlLine: /^curl .+$/m.exec(output)?.[0] ?? '', printed: () => output, stop }
}

/** Runs a command line as a person would paste it, and returns what it printed. */
export async function paste(line: string): Promise<string> {
  const { stdout } = await run('bash', ['-c', line], { timeout: 10_000 })
  return stdout
}

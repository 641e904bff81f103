/**
 * An earlier version of the package, built from the history of this repository into a folder for temporary files, where it stays for the next run.
 *
 * Needs git and the whole history. Where they are missing, {@link whyMissing} says so; with REQUIRE_HISTORY=1 that is a failure.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** The last commit of version 0.1.0, which wrote the records of `test/upgrade`. */
export const version010 = '92e9344b70414f91b3d8c619daa2106d6b665091'

/** Where each entry of the package is, by its name: `.`, `./oauth1`, `./stores/postgres`, … */
export type Entries = Readonly<Record<string, string>>

const root = fileURLToPath(new URL('../..', import.meta.url))

// The checkout may belong to another user than the one who runs the tests.
function git(...words: readonly string[]): string {
  return execFileSync('git', ['-c', 'safe.directory=*', ...words], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim()
}

/**
 * Why that commit cannot be had; undefined where it can.
 *
 * @throws Error instead, with REQUIRE_HISTORY=1.
 */
export function whyMissing(commit: string): string | undefined {
  const reason = missing(commit)
  if (reason !== undefined && process.env.REQUIRE_HISTORY === '1') throw new Error(`REQUIRE_HISTORY is 1, and ${reason}`)
  return reason
}

function missing(commit: string): string | undefined {
  const short = commit.slice(0, 12)
  try {
    git('rev-parse', '--git-dir')
  } catch {
    return `there is no git history here to take commit ${short} from`
  }
  try {
    git('cat-file', '-e', `${commit}^{commit}`)
    return undefined
  } catch {
    const isShallow = git('rev-parse', '--is-shallow-repository') === 'true'
    return isShallow ? `the history is shallow and has no commit ${short}: run git fetch --unshallow` : `the history has no commit ${short}`
  }
}

/** Builds that commit, unless that is done already. */
export function builtEntries(commit: string): Entries {
  const place = createHash('sha256').update(root).digest('hex').slice(0, 8)
  const folder = join(tmpdir(), `oauth2-token-handler-${commit.slice(0, 12)}-${place}`)
  if (!existsSync(join(folder, 'package.json'))) build(commit, folder)
  return entriesIn(folder)
}

/** Into a folder of another name first: of two at once, one is first, and nobody sees half a build. */
function build(commit: string, folder: string): void {
  const draft = mkdtempSync(`${folder}-`)
  const archive = execFileSync('git', ['-c', 'safe.directory=*', 'archive', commit, 'src', 'package.json', 'tsconfig.json', 'tsconfig.build.json'], { cwd: root, maxBuffer: 2 ** 27 }) // prettier-ignore
  execFileSync('tar', ['-x', '-C', draft], { input: archive })
  symlinkSync(join(root, 'node_modules'), join(draft, 'node_modules'))
  const settings = ['--noCheck', '--declaration', 'false', '--declarationMap', 'false', '--sourceMap', 'false']
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', ...settings], { cwd: draft })
  try {
    renameSync(draft, folder)
  } catch (cause) {
    rmSync(draft, { recursive: true })
    if (!existsSync(join(folder, 'package.json'))) throw cause
  }
}

function entriesIn(folder: string): Entries {
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { exports: Record<string, { default?: string }> }
  const files = Object.entries(exports).flatMap(([name, { default: file }]) => (file === undefined ? [] : [[name, file] as const]))
  return Object.fromEntries(files.map(([name, file]) => [name, pathToFileURL(join(folder, file)).href]))
}

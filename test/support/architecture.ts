/**
 * The rules of the house, over any tree of source files: which layer may import which, and what a file may look like.
 *
 *   index → handlers → endpoints, oauth1 → configuration → workings, presets, strategies → shared parts → seams → ground
 *
 * A layer follows from the folder. What is exceptional is listed here by name: the seams, the workings (what uses a seam for everybody: the ledger
 * over the stores, the one place that mints and the one that reads), the parts of strategies, the lists of strategies under one name, the entries beside
 * index.ts, the shell, and the files of the configuration. A new file in a folder of strategies is a strategy, which may import its own seam, the parts of
 * its own folder and the ground and nothing else; a new file in `src` itself is ground.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'

export interface SourceFile {
  /** Relative to the root of the tree, with slashes. */
  readonly path: string
  readonly text: string
}

type Layer =
  | 'index'
  | 'handlers'
  | 'endpoint'
  | 'oauth1'
  | 'configuration'
  | 'environment'
  | 'working'
  | 'entry'
  | 'testing'
  | 'preset'
  | 'strategy'
  | 'part'
  | 'seam'
  | 'ground'

/** The seam of each folder of strategies. */
export const seams: Readonly<Record<string, string>> = {
  grants: 'grants/grant.ts',
  'client-authentication': 'client-authentication/method.ts',
  tokens: 'tokens/access-token.ts',
  stores: 'stores/store.ts',
}
export const workings = [
  'client-id-metadata.ts', 'stores/authorization-record.ts', 'stores/call.ts', 'stores/client-records.ts', 'stores/ledger.ts', 'stores/line.ts', 'stores/turns.ts',
  'tokens/issue.ts', 'tokens/read.ts',
] // prettier-ignore
/** What several strategies of a folder are made of, or one that is too long for a file. */
export const parts = [
  'client-authentication/basic-credentials.ts',
  'stores/document.ts', 'stores/postgres-catalogue.ts', 'stores/redis-acknowledgement.ts', 'stores/redis-cluster.ts', 'stores/redis-command.ts', 'stores/redis-health.ts', 'stores/redis-scan.ts', 'stores/schema.ts',
  'stores/server-time.ts', 'stores/upkeep.ts', 'tokens/claims.ts',
] // prettier-ignore
/** What people start or import beside index.ts, and nothing here imports. */
export const entries = ['cli.ts', 'stores/kit.ts', 'testing.ts']
export const configuration = [
  'client-registry.ts',
  'client-sources.ts',
  'configuration.ts',
  'lifetimes.ts',
  'options.ts',
  'plain-options.ts',
  'strategy-options.ts',
]
/** Clock, warnings and default store, for the configurations of both houses. */
export const environment = ['environment.ts']
/** Lists of grants under one name. */
export const presets = ['presets.ts']
/** What knows the requests and responses of node:http below the shell: what reads and writes them for both shells, and what asks other servers. */
export const wire = ['body.ts', 'guarded-fetch.ts', 'mounting.ts', 'name-lookup.ts', 'silent-response.ts', 'unanswered.ts', 'wire.ts']
/** The shell: what alone knows the request and response of the host. */
export const shell = [
  'authorization-handler.ts',
  'authorization-server.ts',
  'decide.ts',
  'express.ts',
  'handlers.ts',
  'health-handler.ts',
  'host.ts',
  'oauth1/handlers.ts',
]

const mayImport: Readonly<Record<Layer, readonly Layer[]>> = {
  index: ['handlers', 'endpoint', 'oauth1', 'configuration', 'working', 'preset', 'strategy', 'part', 'seam', 'ground'],
  handlers: ['handlers', 'endpoint', 'oauth1', 'configuration', 'ground'],
  endpoint: ['endpoint', 'configuration', 'working', 'seam', 'ground'],
  // A house of its own, with the same environment; nothing of the other one's configuration and workings.
  oauth1: ['oauth1', 'environment', 'strategy', 'seam', 'ground'],
  configuration: ['configuration', 'environment', 'working', 'strategy', 'seam', 'ground'],
  environment: ['strategy', 'seam', 'ground'],
  working: ['working', 'seam', 'ground'],
  entry: ['testing', 'part', 'seam', 'ground'],
  testing: ['testing', 'seam', 'ground'],
  preset: ['strategy', 'seam', 'ground'],
  strategy: ['part', 'seam', 'ground'],
  part: ['part', 'seam', 'ground'],
  seam: ['ground'],
  ground: ['ground'],
}

const maxLines = 350
const ownerless = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'misc', 'types', 'base', 'manager', 'service'])
const requestNames = new Set(['req', 'res', 'IncomingMessage', 'ServerResponse'])

/** Every TypeScript file under a folder. */
export function readTree(root: string): SourceFile[] {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  return names.map((name) => ({ path: name.replaceAll('\\', '/'), text: readFileSync(join(root, name), 'utf8') }))
}

/** Every breach of the rules, as one line each. `packages` are the dependencies that the tree may import. */
export function breachesIn(files: readonly SourceFile[], packages: readonly string[]): string[] {
  const paths = new Set(files.map(({ path }) => path))
  const graph = new Map<string, string[]>()
  const breaches: string[] = []
  for (const file of files) {
    const parsed = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true)
    const imported = specifiersOf(parsed)
    const resolved = imported.filter(isRelative).map((specifier) => ({ specifier, target: resolve(file.path, specifier) }))
    graph.set(file.path, resolved.map(({ target }) => target)) // prettier-ignore
    breaches.push(
      ...ownFaults(file, parsed),
      ...imported.filter((specifier) => !isRelative(specifier)).flatMap((specifier) => packageFaults(file.path, specifier, packages)),
      ...resolved.flatMap(({ specifier, target }) => {
        if (!paths.has(target)) return [`${file.path} imports ${specifier}, which does not exist`]
        return isAllowed(file.path, target)
          ? []
          : [`${file.path} (${layerOf(file.path) ?? '?'}) imports ${target} (${layerOf(target) ?? '?'})`]
      }),
    )
  }
  return [...breaches, ...cyclesIn(graph)]
}

function layerOf(path: string): Layer | undefined {
  if (path === 'index.ts') return 'index'
  if (shell.includes(path) && !path.includes('/')) return 'handlers'
  if (entries.includes(path)) return 'entry'
  if (configuration.includes(path)) return 'configuration'
  if (environment.includes(path)) return 'environment'
  if (presets.includes(path)) return 'preset'
  const [folder = '', ...rest] = path.split('/')
  if (workings.includes(path)) return 'working'
  if (rest.length === 0) return 'ground'
  if (folder === 'endpoints') return 'endpoint'
  if (folder === 'oauth1') return 'oauth1'
  if (folder === 'testing') return 'testing'
  const seam = Object.hasOwn(seams, folder) ? seams[folder] : undefined
  if (seam === undefined) return undefined
  if (path === seam) return 'seam'
  if (parts.includes(path)) return 'part'
  return workings.includes(path) ? 'working' : 'strategy'
}

function isAllowed(from: string, to: string): boolean {
  const [source, target] = [layerOf(from), layerOf(to)]
  if (source === undefined || target === undefined || !mayImport[source].includes(target)) return false
  // A strategy knows its own seam only, and the parts beside it.
  const isOfFolder = source === 'strategy' || source === 'part'
  return !isOfFolder || target === 'ground' || posix.dirname(to) === from.split('/')[0]
}

/** What a file imports, by whatever syntax: import, export … from, import(), import('…').T, import = require, require(). */
function specifiersOf(parsed: ts.SourceFile): string[] {
  const found: string[] = []
  const note = (node: ts.Node | undefined) => {
    if (node !== undefined && ts.isStringLiteralLike(node)) found.push(node.text)
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) note(node.moduleSpecifier)
    else if (ts.isExternalModuleReference(node)) note(node.expression)
    else if (ts.isImportTypeNode(node)) note(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined)
    else if (ts.isCallExpression(node) && /^(?:import|require)$/.test(node.expression.getText())) note(node.arguments[0])
    ts.forEachChild(node, visit)
  }
  visit(parsed)
  return found
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith('.')
}

function resolve(from: string, specifier: string): string {
  return posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts')
}

function packageFaults(path: string, specifier: string, packages: readonly string[]): string[] {
  if (specifier.startsWith('node:')) return []
  if (/^jose(?:\/|$)/.test(specifier) && path !== 'jose.ts') return [`${path} imports ${specifier}, which is for jose.ts`]
  return packages.some((name) => specifier === name || specifier.startsWith(`${name}/`))
    ? []
    : [`${path} imports ${specifier}, which is no dependency`]
}

function ownFaults({ path, text }: SourceFile, parsed: ts.SourceFile): string[] {
  const lines = text.replace(/\n$/, '').split('\n').length
  const words = path.replace(/\.ts$/, '').split(/[/.-]/)
  const faults: string[] = []
  if (layerOf(path) === undefined) faults.push(`${path} is in a folder that belongs to no layer`)
  if (lines > maxLines) faults.push(`${path} has ${lines} lines`)
  if (!/^(?:#!.*\n)?\/\*\*[\s*]*[^\s*/][^]{20,}?\*\//.test(text)) faults.push(`${path} has no header comment`)
  for (const word of words) if (ownerless.has(word)) faults.push(`${path} is named ${word}`)
  if (!shell.includes(path) && !wire.includes(path)) faults.push(...[...requestNamesIn(parsed)].map((name) => `${path} knows ${name}`))
  return faults
}

function requestNamesIn(parsed: ts.SourceFile): Set<string> {
  const found = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && requestNames.has(node.text)) found.add(node.text)
    ts.forEachChild(node, visit)
  }
  visit(parsed)
  return found
}

function cyclesIn(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const cycles: string[] = []
  const walk = (path: string, above: readonly string[]): void => {
    const start = above.indexOf(path)
    if (start !== -1) cycles.push(`a cycle: ${[...above.slice(start), path].join(' → ')}`)
    if (start !== -1 || done.has(path)) return
    for (const next of graph.get(path) ?? []) walk(next, [...above, path])
    done.add(path)
  }
  for (const path of graph.keys()) walk(path, [])
  return cycles
}

/**
 * The rules of the house, over any tree of source files: a folder is a layer, imports point down, and what a file may look like.
 *
 * 1. A file imports from its own folder and from the floors below, never from its own floor beside it, and never upwards.
 * 2. A strategy is what `index.ts` or the package exports from a folder of strategies. Only the configuration, the environment and the entries know strategies:
 *    no strategy imports another, and neither does a part of one.
 * 3. Two folders import one another in one direction only, and no files make a circle, types included.
 * 4. Only `node/` knows requests and responses of node:http.
 *
 * What a rule cannot say is an exception, listed here with its reason.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'

export interface SourceFile {
  /** Relative to the root of the tree, with slashes. */
  readonly path: string
  readonly text: string
}

/** The floors, the highest first. A folder that is not named here belongs to its parent's floor; a file directly in `src` is ground. */
export const floors: readonly (readonly string[])[] = [
  ['index.ts', 'testing.ts', 'cli.ts', 'express.ts'],
  ['node', 'oauth1', 'testing', 'cli'],
  ['management'],
  ['endpoints'],
  ['configuration'],
  ['grants', 'client-authentication', 'tokens'],
  ['clients'],
  ['authorization'],
  ['environment.ts'],
  ['stores', 'jose'],
  ['limits'],
  ['http'],
  ['option-checks', 'events'],
]

/** Folders of strategies: one file for each grant, method, format and store. */
export const strategyRooms = ['grants', 'client-authentication', 'tokens', 'stores']

/** Who may import a strategy: what puts a server together. */
const composers = ['configuration', 'environment.ts']

/** What a house of its own may share: everything else on the floors below is not for it. */
const shared: Readonly<Record<string, readonly string[]>> = {
  // OAuth 1 has rules of its own for parameters, signatures and answers; it shares what has none.
  oauth1: [
    'node/body.ts',
    'node/wire.ts',
    'grants/grant.ts',
    'clients/application-look-up.ts',
    'clients/redirect-uri.ts',
    'environment.ts',
    'stores',
    'limits',
    'http',
    'option-checks',
    'events',
  ],
  // The contract of stores is for stores of anybody.
  testing: ['stores'],
}

/** Files that know a request or a response of node:http outside `node/`, and why. */
export const knowsMessages: Readonly<Record<string, string>> = {
  'oauth1/handlers.ts': 'the face of OAuth 1',
  'http/guarded-fetch.ts': 'it is the client of a request, not its server',
}

const maxLines = 350
const ownerless = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'misc', 'types', 'base', 'manager', 'service'])
const requestNames = new Set(['req', 'res', 'IncomingMessage', 'ServerResponse'])

/** Every TypeScript file under a folder. */
export function readTree(root: string): SourceFile[] {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  return names.map((name) => ({ path: name.replaceAll('\\', '/'), text: readFileSync(join(root, name), 'utf8') }))
}

/** Every breach of the rules, as one line each. `packages` are the dependencies that the tree may import, `exported` the files that the package exports. */
export function breachesIn(files: readonly SourceFile[], packages: readonly string[], exported: readonly string[]): string[] {
  const strategies = strategiesOf(files, exported)
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
        return isAllowed(file.path, target, strategies) ? [] : [`${file.path} imports ${target}`]
      }),
    )
  }
  return [...breaches, ...twoWaysIn(graph), ...cyclesIn(graph)]
}

/** The floor of a file, counted from the top; undefined for a folder that no floor has. */
function floorOf(path: string): number | undefined {
  const [room = ''] = path.split('/')
  const floor = floors.findIndex((rooms) => rooms.includes(room))
  if (floor !== -1) return floor
  return path.includes('/') ? undefined : floors.length
}

/** The file or folder on a floor that a file belongs to. */
function roomOf(path: string): string {
  const [room = ''] = path.split('/')
  return room
}

function isAllowed(from: string, to: string, strategies: ReadonlySet<string>): boolean {
  const [source, target] = [floorOf(from), floorOf(to)]
  const [room, other] = [roomOf(from), roomOf(to)]
  if (source === undefined || target === undefined) return false
  // What is imported or started from outside stands on everything, but on no other of its kind.
  if (source === 0) return target > 0
  if (strategies.has(to)) return composers.includes(room)
  const isGround = target === floors.length
  if (source === floors.length) return isGround
  if (room === other || isGround) return true
  const own = shared[room]
  if (own !== undefined) return own.some((place) => to === place || to.startsWith(`${place}/`))
  return target > source
}

/** What `index.ts` re-exports as a value from a folder of strategies, and what the package exports from one. */
function strategiesOf(files: readonly SourceFile[], exported: readonly string[]): ReadonlySet<string> {
  const index = files.find(({ path }) => path === 'index.ts')
  const found = exported.filter((path) => path.includes('/') && strategyRooms.includes(roomOf(path)))
  if (index === undefined) return new Set(found)
  const parsed = ts.createSourceFile(index.path, index.text, ts.ScriptTarget.Latest, true)
  for (const statement of parsed.statements) {
    if (!ts.isExportDeclaration(statement) || statement.isTypeOnly || statement.moduleSpecifier === undefined) continue
    const target = resolve('index.ts', (statement.moduleSpecifier as ts.StringLiteral).text)
    if (strategyRooms.includes(roomOf(target))) found.push(target)
  }
  return new Set(found)
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
  if (/^jose(?:\/|$)/.test(specifier) && path !== 'jose/key-agreement.ts')
    return [`${path} imports ${specifier}, which is for jose/key-agreement.ts`]
  return packages.some((name) => specifier === name || specifier.startsWith(`${name}/`))
    ? []
    : [`${path} imports ${specifier}, which is no dependency`]
}

function ownFaults({ path, text }: SourceFile, parsed: ts.SourceFile): string[] {
  const lines = text.replace(/\n$/, '').split('\n').length
  const words = path.replace(/\.ts$/, '').split(/[/.-]/)
  const faults: string[] = []
  if (floorOf(path) === undefined) faults.push(`${path} is in a folder that belongs to no floor`)
  if (lines > maxLines) faults.push(`${path} has ${lines} lines`)
  if (!/^(?:#!.*\n)?\/\*\*[\s*]*[^\s*/][^]{20,}?\*\//.test(text)) faults.push(`${path} has no header comment`)
  for (const word of words) if (ownerless.has(word)) faults.push(`${path} is named ${word}`)
  const mayKnow = roomOf(path) === 'node' || Object.hasOwn(knowsMessages, path)
  if (!mayKnow) faults.push(...[...requestNamesIn(parsed)].map((name) => `${path} knows ${name}`))
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

/** Pairs of folders that import one another. */
function twoWaysIn(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const ways = new Set<string>()
  for (const [path, targets] of graph) for (const target of targets) ways.add(`${posix.dirname(path)} ${posix.dirname(target)}`)
  const pairs = [...ways].map((way) => way.split(' ') as [string, string])
  return pairs.filter(([a, b]) => a < b && a !== '.' && ways.has(`${b} ${a}`)).map(([a, b]) => `${a}/ and ${b}/ import one another`)
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

/** The pages of the documentation, their code blocks and tables; and how a block is compiled and run as a reader would. */
import express from 'express'
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import * as face from '../../src/index.js'
import { machine, web } from './server.js'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** The README and every page of docs/ and the folders below it, by path. */
export const pages: ReadonlyMap<string, string> = new Map(
  ['README.md', ...pagesBelow('docs')].map((path) => [path, readFileSync(join(root, path), 'utf8')]),
)

function pagesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? pagesBelow(path) : path.endsWith('.md') ? [path] : []
  })
}

/** The text of a page that must be there. */
export function pageAt(path: string): string {
  const page = pages.get(path)
  if (page === undefined) throw new Error(`there is no page ${path}`)
  return page
}

/** The code blocks of a page in that language. */
export function blocksOf(page: string, language = 'ts'): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(([, code = '']) => code)
}

/** The rows of all tables of a page, as cells, without their heads. */
export function rowsOf(page: string): string[][] {
  const tables = page.match(/(?:^\|.*\n?)+/gm) ?? []
  return tables.flatMap((table) => table.trim().split('\n').slice(2).map((row) => row.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()))) // prettier-ignore
}

/** The rows of the table under a heading of a page. */
export function tableOf(page: string, heading: string): string[][] {
  return rowsOf(page.split(/^#{2,3} /m).find((text) => text.startsWith(`${heading}\n`)) ?? '')
}

/** The place of a heading in a link. */
export function slugOf(heading: string): string {
  return `#${heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-')}`
}

/** A page without its code blocks. */
function proseOf(page: string): string {
  return page.replaceAll(/^```[^]*?^```$/gm, '')
}

/** The places of all headings of a page. */
export function headingsOf(page: string): string[] {
  return [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => slugOf(heading))
}

/** The links of a page: the file or address, empty for the page itself, and the place in it. */
export function linksOf(page: string): { readonly target: string; readonly hash: string }[] {
  const links = [...proseOf(page).matchAll(/\]\(([^)\s#]*)(#[^)\s]*)?\)/g)]
  return links.map(([, target = '', hash = '']) => ({ target, hash }))
}

export function unquoted(cell: string | undefined): string {
  return (cell ?? '').replaceAll('`', '')
}

const makesServer = /\bapp\.(?:use|get|post)\(/

/** Databases and other packages are not here. */
function isSelfContained(block: string): boolean {
  return [...block.matchAll(/from '([^']+)'/g)].every(
    ([, name = '']) => ['express', 'oauth2-token-handler'].includes(name) || name.startsWith('node:'),
  )
}

/** The blocks of a page that make a server and need nothing but this package, Express and Node.js. */
export function serversOf(page: string): string[] {
  return blocksOf(page).filter((block) => makesServer.test(block) && isSelfContained(block))
}

/** The line that names a block in the title of a test. */
export function firstRoute(block: string): string {
  return block.split('\n').find((line) => makesServer.test(line))?.trim() ?? '' // prettier-ignore
}

const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })

async function load(name: string): Promise<object> {
  if (name === 'oauth2-token-handler') return face
  if (name === 'node:fs') return { readFileSync: () => pem }
  return (await import(name)) as object
}

/** Runs a block, and returns its application. */
export async function runBlock(block: string, app = express()): Promise<express.Express> {
  const { outputText } = ts.transpileModule(block, { compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext } })
  const code = outputText
    .replaceAll(
      /^import \{([^}]*)\} from '([^']+)';?$/gm,
      (_line, names: string, name: string) => `const {${names}} = await load('${name}')`,
    )
    .replaceAll(
      /^import (\w+) from '([^']+)';?$/gm,
      (_line, local: string, name: string) => `const { default: ${local} } = await load('${name}')`,
    )
    .replaceAll(/^export \{\};?$/gm, '')
    .replaceAll(/^app\.listen\(.*$/gm, '')
  const declaresApp = /^const app = /m.test(code)
  const declaresOauth = /^const oauth = /m.test(code)
  const given = `${declaresApp ? '' : 'const app = given.app;'}${declaresOauth ? '' : 'const oauth = given.oauth;'}`
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the page is code
  const started = new Function('load', 'given', `return (async () => { ${given}\n${code}\nreturn app })()`) as (
    load: (name: string) => Promise<object>,
    given: object,
  ) => Promise<express.Express>
  return started(load, { app, oauth: { issuer: 'https://as.example', clients: [web, machine], scopes: ['read', 'write'] } })
}

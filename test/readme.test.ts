/** What the README and the pages in docs/ say is so: its code compiles, its tables are the types, its links lead somewhere, its first example answers. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { paste, startExample } from './support/example.js'
import { basic, testServer, web } from './support/server.js'
import { blocksOf, headingsOf, linksOf, pageAt, pages, root, slugOf, tableOf, unquoted } from './support/pages.js'

const readme = readFileSync(join(root, 'README.md'), 'utf8')

function blocks(language: string, page = readme): string[] {
  return blocksOf(page, language)
}

function table(heading: string, page = readme): string[][] {
  return tableOf(page, heading)
}

/** A source file of this package, parsed. */
function sourceFile(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(join(root, path), 'utf8'), ts.ScriptTarget.ES2023, true)
}

/** The members of an interface, with their comments. */
function members(path: string, name: string): ReadonlyMap<string, string> {
  const declaration = sourceFile(path).statements.find(
    (node): node is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(node) && node.name.text === name,
  )
  return new Map(declaration?.members.map((member) => [member.name?.getText() ?? '', member.getFullText()]))
}

/** The source file that exports an interface, wherever it lies. */
function sourceOf(name: string): string {
  const declaration = new RegExp(`^export interface ${name}\\b`, 'm')
  const paths = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))
  const found = paths.map((path) => join('src', path)).find((path) => declaration.test(readFileSync(join(root, path), 'utf8')))
  if (found === undefined) throw new Error(`no file exports interface ${name}`)
  return found
}

describe('the code of the README and of docs/', () => {
  /** What the blocks take for granted. */
  const given = `
    import type { Express } from 'express'
    import type { ServerOptions } from 'oauth2-token-handler'
    declare global {
      const app: Express
      const oauth: ServerOptions
      const generatedSecret: string
      function ownerOf(ticket: string): Promise<string | undefined>
      function findRow(client_id: string): Promise<{ readonly secretHash: string } | undefined>
      function hasAgreedBefore(subject: string, client_id: string, scope: readonly string[]): Promise<boolean>
      function isLockedOut(subject: string, address: unknown): Promise<boolean>
      function verifyUser(username: string, password: string): Promise<string | undefined>
      function myToken(): Promise<{ readonly access_token: string; readonly mac_key: string }>
      function countOf(key: string): Promise<number>
      function increment(key: string, options: { readonly expiresIn: number }): Promise<void>
      namespace Express { interface Request { readonly session: { readonly userId: string } } }
    }`

  test('compiles, every ts block of it', () => {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8'))
    const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root)
    const code = new Map(
      [...pages].flatMap(([name, page]) =>
        blocks('ts', page).map(
          (block, index) => [join(root, `${name.replaceAll('/', '-').replace(/\.md$/, '')}.block-${index + 1}.ts`), block] as const,
        ),
      ),
    )
    expect(code.size).toBeGreaterThan(8)
    code.set(join(root, 'README.given.ts'), given)
    // A store of the reader's own
    const ownStore = "import type { Store } from 'oauth2-token-handler'\nexport declare function createStore(): Store\n"
    code.set(join(root, 'my-store.ts'), ownStore)
    const host = ts.createCompilerHost(options)
    const { getSourceFile, fileExists, readFile } = host
    host.fileExists = (path) => code.has(path) || fileExists(path)
    host.readFile = (path) => code.get(path) ?? readFile(path)
    host.getSourceFile = (path, languageVersion, ...rest) => {
      const text = code.get(path)
      return text === undefined ? getSourceFile(path, languageVersion, ...rest) : ts.createSourceFile(path, text, languageVersion, true)
    }
    const program = ts.createProgram([...code.keys()], options, host)
    const said = ts.getPreEmitDiagnostics(program).map(({ file, start = 0, messageText }) => {
      const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line + 1
      return `${file?.fileName ?? ''}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
    })
    expect(said).toEqual([])
  }, 120_000)
})

describe('the quick start of the README', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'readme-test-'))
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(join(root, 'node_modules/express'), join(folder, 'node_modules/express'))
    symlinkSync(root, join(folder, 'node_modules/oauth2-token-handler'))
  })
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  test('R1 runs, and its curl line gets the members of its answer', async () => {
    const [server = ''] = blocks('ts')
    expect(server.trim().split('\n').length).toBeLessThanOrEqual(10)
    const secret = /REPORTS_SECRET=(\S+) node server\.mjs/.exec(readme)?.[1] ?? ''
    const telling = server.replace(
      'app.listen(3000)',
      "const server = app.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}\\n`))",
    )
    writeFileSync(join(folder, 'server.mjs'), `process.env.REPORTS_SECRET = '${secret}'\n${telling}`)
    const example = await startExample('server.mjs', /^port \d+\n/m, folder)
    try {
      const port = /^port (\d+)$/m.exec(example.output)?.[1] ?? ''
      const line = blocks('sh').find((block) => block.startsWith('curl')) ?? ''
      const answer = JSON.parse(await paste(`${line.trim().replace('localhost:3000', `127.0.0.1:${port}`)} -s`))
      const shown = JSON.parse(blocks('json')[0] ?? '')
      expect(answer).toEqual({ ...shown, access_token: expect.stringMatching(/^[\w.-]{60,}$/) })
      expect(Object.keys(answer)).toEqual(Object.keys(shown))
    } finally {
      await example.stop()
    }
  })

  test('V37 starts as CommonJS with the two lines of require below it', async () => {
    const [server = ''] = blocks('ts')
    const [required = ''] = blocks('js').filter((block) => block.includes('require('))
    const telling = server
      .replace(/^import .*\nimport .*\n/, required)
      .replace('app.listen(3000)', "const server = app.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}\\n`))")
    expect([required.trim().split('\n').length, telling.includes('import ')]).toEqual([2, false])
    writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }')
    writeFileSync(join(folder, 'server.js'), `process.env.REPORTS_SECRET = 'x'\n${telling}`)
    const example = await startExample('server.js', /^port \d+\n/m, folder)
    await example.stop()
  })
})

describe('docs/oauth1.md', () => {
  const page = pages.get('docs/oauth1.md') ?? ''

  test('SM7 the example of the access token endpoint runs, and prints what the page says', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'docs-test-'))
    try {
      mkdirSync(join(folder, 'node_modules'))
      symlinkSync(root, join(folder, 'node_modules/oauth2-token-handler'))
      const program = blocks('ts', page).find((block) => block.includes('createAccessTokenResponse(')) ?? ''
      const { outputText } = ts.transpileModule(program, {
        compilerOptions: { module: ts.ModuleKind.ES2022, target: ts.ScriptTarget.ES2023 },
      })
      writeFileSync(join(folder, 'program.mjs'), outputText)
      const { stdout } = await promisify(execFile)(process.execPath, ['program.mjs'], { cwd: folder })
      const shown = (blocks('text', page)[0] ?? '').replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '[\\w.-]+')
      expect(shown).toContain('oauth_authorized_realms=movies')
      expect(stdout).toMatch(new RegExp(`^${shown}$`))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('SM7 options: the members of OAuth1Options, with the defaults that their comments name', () => {
    const documented = members('src/oauth1/options.ts', 'OAuth1Options')
    const rows = table('Options', page)
    expect(rows.map(([name]) => unquoted(name)).toSorted()).toEqual([...documented.keys()].toSorted())
    for (const [name = '', value = ''] of rows) {
      const [, plain = ''] = /^`(\d+|false|memoryStore\(\)|oauth1)`/.exec(value) ?? []
      const comment = (documented.get(unquoted(name)) ?? '').replaceAll('`', '').replaceAll(/(?<=\d),(?=\d{3})/g, '')
      if (plain !== '') expect([name, comment]).toEqual([name, expect.stringMatching(`Default:? ${plain.replaceAll(/[()]/g, '\\$&')}`)])
    }
  })
})

/** The reader's first screen. */
const screen = 40

describe('the README', () => {
  test('has at most 250 lines', () => {
    expect(readme.trimEnd().split('\n').length).toBeLessThanOrEqual(250)
  })

  test.each([
    ['How do I protect a route?', 'Protect a route', 'requireAccessToken('],
    ['Which store in production?', 'Storage', 'postgresStore('],
    ['Why was that refused?', 'Why was that refused?', 'NODE_DEBUG=oauth2-token-handler'],
  ])('answers within one screen, or by one link there: %s', (question, heading, answer) => {
    const top = readme.split('\n').slice(0, screen).join('\n')
    expect(top).toContain(`[${question}](${slugOf(heading)})`)
    const section = readme.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''
    expect(section.split('\n').slice(0, screen).join('\n')).toContain(answer)
  })

  test('says of a lost answer what the server does', async () => {
    const server = testServer()
    const auth = basic(web)
    const { refresh_token: first } = await server.tokens()
    const refresh = (refresh_token = '') => server.token({ grant_type: 'refresh_token', refresh_token }, auth)
    const lost = await refresh(first)
    server.now += 34
    expect((await refresh(first)).json).toMatchObject({ refresh_token: lost.json.refresh_token })
    const { status, json } = await refresh(lost.json.refresh_token)
    expect([status, json.refresh_token === lost.json.refresh_token]).toEqual([200, false])
    expect(await refresh(first)).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
    expect(server.events.map(({ type }) => type)).toContain('refresh_token.reused')
    expect(await refresh(json.refresh_token)).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
    const chart = blocks('text')[0] ?? ''
    for (const said of ['within 35 seconds', '400 invalid_grant', 'refresh_token.reused']) expect(chart).toContain(said)
  })

  test('names in its map every folder of the source', () => {
    const map = blocks('text').find((block) => block.startsWith('src/\n')) ?? ''
    const named = [...map.matchAll(/^ {2}([\w-]+)\/ /gm)].map(([, name = '']) => name)
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(named.length).toBeGreaterThan(8)
    expect(named).toEqual(expect.arrayContaining(folders.map(({ name }) => name)))
  })

  test('links to every page of docs/', () => {
    const linked = linksOf(readme).map(({ target }) => target)
    expect(linked).toEqual(expect.arrayContaining([...pages.keys()].filter((path) => path !== 'README.md')))
  })
})

describe('the pages that were chapters of the README', () => {
  test('V10 no line says that you write a store for more than one process', () => {
    const page = pageAt('docs/stores.md')
    expect(readme + page).not.toMatch(/write a `Store`|four verbs/)
    expect(page).toMatch(/For more than\s+one process take `postgresStore`, `sqliteStore` or `redisStore`/)
  })

  test('V22 before you go live: ten lines', () => {
    const [, section = ''] = pageAt('docs/deployment.md').split('## Before you go live\n')
    expect(section.split('\n## ', 1)[0]?.match(/^\d+\. /gm)).toHaveLength(10)
  })

  test('clients: every member that this server reads', () => {
    const rows = table('Members', pageAt('docs/clients.md')).flatMap(([cell]) => unquoted(cell).split(', '))
    const known = [...members(sourceOf('ClientMetadata'), 'ClientMetadata').keys()]
    expect(known).toEqual(expect.arrayContaining(rows))
    const forPeople = /_uri$|^client_name$|^contacts$|^response_types$|^software_/
    expect(rows.toSorted()).toEqual(known.filter((name) => !forPeople.test(name)).toSorted())
  })

  test('name every function and class that the package exports', async () => {
    const face: object = await import('../src/index.js')
    const text = [...pages.values()].join('\n')
    expect(Object.keys(face).filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([])
  })
})

describe('the links of the README and of docs/', () => {
  const all = [...pages].flatMap(([path, page]) => linksOf(page).map((link) => ({ path, ...link })))
  const relative = all.filter(({ target }) => !target.startsWith('https:'))

  test('lead to files that exist', () => {
    expect(relative.length).toBeGreaterThan(100)
    const broken = relative.filter(({ path, target }) => !existsSync(join(root, dirname(path), target)))
    expect(broken).toEqual([])
  })

  test('lead to headings that exist', () => {
    const withHeading = relative.filter(({ hash }) => hash !== '')
    expect(withHeading.length).toBeGreaterThan(20)
    const broken = withHeading.filter(({ path, target, hash }) => {
      const page = pages.get(target === '' ? path : join(dirname(path), target)) ?? ''
      return !headingsOf(page).includes(hash)
    })
    expect(broken).toEqual([])
  })

  test('lead outside to the RFCs only', () => {
    const outside = all.filter(({ target }) => target.startsWith('https:'))
    for (const { target } of outside) expect(target).toMatch(/^https:\/\/www\.rfc-editor\.org\/rfc\/rfc\d+$/)
  })
})

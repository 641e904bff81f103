/** docs/options.md, docs/events.md and docs/errors.md say what the types say: every name, every default, every status. */
import { describe, expect, test } from '@jest/globals'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { basic, exchange, testServer, web } from './support/server.js'
import { pageAt, pages, root, rowsOf, tableOf, unquoted } from './support/pages.js'

/** The source files of the package, wherever they lie. */
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(root, 'src', name), 'utf8'))

/** The source file that exports a type. */
function sourceOf(declaration: string): ts.SourceFile {
  const found = sources.filter((source) => new RegExp(`^export ${declaration}\\b`, 'm').test(source))
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} files have: export ${declaration}`)
  return ts.createSourceFile('source.ts', found[0], ts.ScriptTarget.ES2023, true)
}

/** The members of an interface, each with its type and its comment. */
function members(name: string): ReadonlyMap<string, { readonly type: string; readonly comment: string }> {
  const declaration = sourceOf(`interface ${name}`).statements.find(
    (node): node is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(node) && node.name.text === name,
  )
  return new Map(
    declaration?.members.filter(ts.isPropertySignature).map((member) => [
      member.name.getText(),
      {
        type: member.type?.getText() ?? '',
        comment: member
          .getFullText()
          .replaceAll('`', '')
          .replaceAll(/\s*\n\s*\* ?/g, ' '),
      },
    ]),
  )
}

/** The texts of a union of literals. */
function union(name: string): string[] {
  const declaration = sourceOf(`type ${name}`).statements.find(
    (node): node is ts.TypeAliasDeclaration => ts.isTypeAliasDeclaration(node) && node.name.text === name,
  )
  const type = declaration?.type
  return type !== undefined && ts.isUnionTypeNode(type)
    ? type.types.map((member) => member.getText()).filter((text) => text.startsWith("'")).map((text) => text.slice(1, -1)) // prettier-ignore
    : []
}

const names = (rows: readonly (readonly string[])[]) => rows.map(([cell]) => unquoted(cell))

describe('docs/options.md', () => {
  const documented = members('ServerOptions')
  // A table under each heading: option, type, unit, default, range, meaning.
  const rows = rowsOf(pageAt('docs/options.md').split(/^## Parts of options$/m)[0] ?? '')

  test('has every member of ServerOptions, once, and no other', () => {
    expect(names(rows).toSorted()).toEqual([...documented.keys()].toSorted())
  })

  test('has the defaults that the comments name', () => {
    const plain = rows.filter(([, , , value = '']) => /^`[^`]+`$/.test(value))
    expect(plain.length).toBeGreaterThan(20)
    for (const [name = '', , , value = ''] of plain) {
      const comment = (documented.get(unquoted(name))?.comment ?? '').replaceAll(/(?<=\d),(?=\d{3})/g, '')
      const said = [`Default ${unquoted(value)}`, `Default: ${unquoted(value)}`].some((text) => comment.includes(text))
      expect([name, value, said]).toEqual([name, value, true])
    }
  })

  test('has the ranges and defaults of the readers', () => {
    const text = sources.join('\n').replaceAll(/(?<=\d)_(?=\d{3})/g, '')
    const readers = [...text.matchAll(/reader\.whole\('(\w+)', (\w+|[\d *a-z]+), (\d+), ([\w .*]+)\)/g)]
    const values = new Map([['day', 86400], ['year', 365 * 86400], ['Number.MAX_SAFE_INTEGER', Number.MAX_SAFE_INTEGER]]) // prettier-ignore
    const evaluate = (expression: string) =>
      expression.split(' * ').reduce((product, part) => product * (values.get(part) ?? Number(part)), 1)
    let compared = 0
    for (const [, name = '', fallback = '', min = '', max = ''] of readers) {
      const row = rows.find(([cell]) => unquoted(cell) === name)
      if (row === undefined || name === 'notBefore') continue
      // OAuth 1 reads options of the same names with ranges of their own; one of the readers has to be this one.
      const same = readers.filter(([, other]) => other === name)
      const ranges = same.map(([, , , from = '', to = '']) => `${evaluate(from)} to ${evaluate(to)}`)
      expect([name, ranges.includes((row[4] ?? '').replaceAll(',', ''))]).toEqual([name, true])
      if (fallback !== 'undefined') {
        const defaults = same.map(([, , value = '']) => String(evaluate(value)))
        expect([name, defaults.includes(unquoted(row[3]))]).toEqual([name, true])
      }
      expect(min + max).not.toBe('')
      compared++
    }
    expect(compared).toBeGreaterThan(10)
  })

  test('V26 has every part of authorizationServer and of registration, every place, and what cors and the guard take', () => {
    const page = pageAt('docs/options.md')
    expect(names(tableOf(page, 'cors'))).toEqual([...members('CorsOptions').keys()])
    expect(names(tableOf(page, 'endpoints'))).toEqual([...members('EndpointPlaces').keys()])
    expect(names(tableOf(page, 'clientIdMetadataDocuments'))).toEqual([...members('ClientIdMetadataOptions').keys()])
    expect(names(tableOf(page, 'requireAccessToken'))).toEqual([...members('AccessTokenRequirement').keys()])
    expect(names(tableOf(page, 'authorizationServer')).toSorted()).toEqual(
      [...members('AuthorizationServerParts').keys(), 'texts'].toSorted(),
    )
    expect(names(tableOf(page, 'registration')).toSorted()).toEqual([...members('RegistrationOptions').keys()].toSorted())
  })
})

describe('docs/events.md', () => {
  const page = pageAt('docs/events.md')

  test('has every type of event', () => {
    expect(names(tableOf(page, 'Types'))).toEqual(union('EventType'))
  })

  test('has every field of an event', () => {
    expect(names(tableOf(page, 'Fields')).toSorted()).toEqual([...members('ServerEvent').keys()].toSorted())
  })
})

describe('the types of docs/events.md', () => {
  const fieldsOf = new Map(tableOf(pageAt('docs/events.md'), 'Types').map(([type, , fields = '']) => [unquoted(type), fields]))

  /** The fields that the page names for a type; `as x` stands for those of another type. */
  function named(type: string): string[] {
    // The page says of these that they come with any event.
    const always = ['address', 'remedy', 'duration']
    const cell = fieldsOf.get(type) ?? ''
    const other = /^as `([\w.]+)`$/.exec(cell)?.[1]
    return other === undefined ? [...unquoted(cell).split(', '), ...always] : named(other)
  }

  test('come with no other fields than the page names', async () => {
    const server = testServer({ maxAccessTokens: 1 })
    const auth = basic(web)
    const { refresh_token, access_token } = await server.tokens()
    const refresh = () => server.token({ grant_type: 'refresh_token', refresh_token }, auth)
    await refresh()
    await refresh()
    await server.revoke({ token: access_token }, auth)
    const second = await refresh()
    await server.token({ grant_type: 'refresh_token', refresh_token: String(second.json.refresh_token) }, auth)
    await refresh()
    const replayed = await server.code()
    for (let use = 0; use < 2; use++) await server.token(exchange(replayed), auth)
    await server.token({ ...exchange(await server.code()), code_verifier: 'x'.repeat(43) }, auth)
    const ended = await server.tokens()
    await server.revoke({ token: ended.access_token }, auth)
    await server.revoke({ token: ended.refresh_token }, auth)
    const seen = new Set(server.events.map(({ type }) => type))
    expect([...seen].toSorted()).toEqual(
      expect.arrayContaining([
        ...['authorization.revoked', 'code.burnt', 'code.issued', 'code.replayed', 'refresh_token.reused', 'request.refused'],
        ...['access_token.dropped', 'token.issued', 'token.repeated', 'token.revoked'],
      ]),
    )
    for (const { type, at, ...fields } of server.events) {
      expect(at).toBeGreaterThan(0)
      expect([type, named(type)]).toEqual([type, expect.arrayContaining(Object.keys(fields))])
    }
  })
})

describe('docs/errors.md', () => {
  const rows = tableOf(pageAt('docs/errors.md'), 'Codes')

  test('has every code, with its status and class', async () => {
    expect(names(rows).toSorted()).toEqual(union('ErrorCode').toSorted())
    const face: Record<string, unknown> = await import('../src/index.js')
    const OAuthError = face.OAuthError as new (code: string, description: string) => { status: number }
    for (const [code, status, name] of rows) {
      expect([code, new OAuthError(unquoted(code), '').status]).toEqual([code, Number(status)])
      if (name === '') continue
      const Class = face[unquoted(name)] as new () => { error: string }
      expect(new Class().error).toBe(unquoted(code))
    }
  })

  test('names only reasons that the source has', () => {
    const text = sources.join('\n')
    const reasons = names(tableOf(pageAt('docs/errors.md'), 'Reasons'))
    expect(reasons.length).toBeGreaterThan(20)
    for (const reason of reasons) {
      // `…` stands for a word that is put in.
      for (const part of reason.split('…').map((piece) => piece.trim())) expect([reason, text.includes(part)]).toEqual([reason, true])
    }
  })
})

test('docs/architecture.md names every folder of the source', () => {
  const page = pageAt('docs/architecture.md')
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  expect(folders.length).toBeGreaterThan(5)
  for (const { name } of folders) expect([name, page.includes(`\n  ${name}/ `)]).toEqual([name, true])
})

test('docs/how-it-is-tested.md has the sizes of the proofs', () => {
  const short = readFileSync(join(root, 'test/security/sizes.ts'), 'utf8').replaceAll(/(?<=\d)_(?=\d{3})/g, '')
  const rows = tableOf(pageAt('docs/how-it-is-tested.md'), 'Figures')
  const declared = [...short.matchAll(/^ {2}(\w+): size\((\d+), (\d+)(?:, (\d+))?\)/gm)]
  const figures = rows.map(([name = '', ...sizes]) => [/^`(\w+)`/.exec(name)?.[1], ...sizes.map((size) => size.replaceAll(',', ''))])
  expect(figures).toEqual(declared.map(([, name, small, long, proof = small]) => [name, small, proof, long]))
})

describe('the next page', () => {
  const lastOf = (path: string) => pageAt(path).trim().split('\n\n').at(-1) ?? ''
  const nextOf = (path: string) => {
    const [, target = ''] = /^The next page is \[[^\]]+\]\(([^)]+\.md)\)/.exec(lastOf(path)) ?? []
    return target === '' ? undefined : join(dirname(path), target)
  }

  test('is named at the end of each page', () => {
    const without = [...pages.keys()].filter((path) => path !== 'README.md' && nextOf(path) === undefined)
    expect(without).toEqual([])
  })

  test('leads from the code flow through every page of docs/, each once, to the README', () => {
    const way: string[] = []
    for (let path = 'docs/code-flow.md'; path !== 'README.md' && !way.includes(path); path = nextOf(path) ?? '') way.push(path)
    const all = [...pages.keys()].filter((path) => /^docs\/[^/]+$/.test(path))
    expect(way.toSorted()).toEqual(all.toSorted())
    expect(nextOf(way.at(-1) ?? '')).toBe('README.md')
  })
})

test('each page of docs/ begins with a code block, a table or a drawing, after a sentence at most', () => {
  const exempt = ['docs/behaviour.md', 'docs/glossary.md']
  for (const [path, page] of pages) {
    if (!/^docs\/[^/]+$/.test(path) || exempt.includes(path)) continue
    const [, first = '', second = ''] = page.split('\n\n')
    expect([path, /^(?:```|!\[|\|)/.test(first) || /^(?:```|!\[|\|)/.test(second)]).toEqual([path, true])
  }
})

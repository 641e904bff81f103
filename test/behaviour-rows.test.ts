/** Every row that stands in the title of a test can be looked up in docs/behaviour.md, and every row of that page has a test. */
import { describe, expect, test } from '@jest/globals'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pageAt, root, rowsOf, tableOf, unquoted } from './support/pages.js'

const behaviour = pageAt('docs/behaviour.md')
const families = new Set(tableOf(behaviour, 'Families').map(([family]) => unquoted(family)))
const isRow = /^[A-Z]{1,2}\d{1,2}$/

/** The rows of a page: what stands in the first column, and what is said of it. */
function rowsIn(page: string): Map<string, string> {
  return new Map(rowsOf(page).flatMap(([row = '', rule = '']) => (isRow.test(row) ? [[row, rule] as const] : [])))
}

const rows = new Map([...rowsIn(behaviour), ...rowsIn(pageAt('docs/security.md'))])

/** The rows at the start of a title, as `I1` and `G3` of `I1 G3 a code works once`. */
function rowsOfTitle(title: string): string[] {
  const [start = ''] = /^(?:[A-Z]{1,2}\d{1,2}[a-z]?,? )+/.exec(title) ?? []
  return start.split(/,? /).filter((row) => row !== '')
}

/** The rows in the titles of every test, each with one title. */
function rowsOfTests(folder: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || /(?:^|\/)upgrade\/.*\/node_modules\//.test(name)) continue
    // A title is a text of its own: the argument of `test` or `describe`, or a member of the table of a `test.each`.
    for (const [, title = ''] of readFileSync(join(folder, name), 'utf8').matchAll(/[([,:?]\s*['"`]([A-Z]{1,2}\d{1,2}[a-z]?,? [^\n]*)/g))
      for (const row of rowsOfTitle(title)) found.set(row, title)
  }
  return found
}

const tested = rowsOfTests(join(root, 'test'))

/** The family of a row, or its own name: `X19c` belongs to `X`. */
function placeOf(row: string): string {
  const family = row.replace(/\d.*/, '')
  return families.has(family) ? family : row
}

describe('the rows in the titles of tests', () => {
  test('are many, and of more than one letter', () => {
    expect(tested.size).toBeGreaterThan(150)
    expect(rows.size).toBeGreaterThan(80)
  })

  test('are read from the start of a title only', () => {
    expect(rowsOfTitle('I1 G3 a code works once, as G4 says')).toEqual(['I1', 'G3'])
    expect(rowsOfTitle('C7, C6 a secret')).toEqual(['C7', 'C6'])
    expect(rowsOfTitle('ES256 signs')).toEqual([])
    expect(rowsOfTitle('X19c a body')).toEqual(['X19c'])
  })

  test('stand in docs/behaviour.md or docs/security.md, or belong to a family that is explained there', () => {
    const unknown = [...tested].filter(([row]) => !rows.has(row) && placeOf(row) === row)
    expect(unknown).toEqual([])
  })

  test('are all of the rows of the pages, but for those that say "no test"', () => {
    const untested = [...rows].filter(([row, rule]) => !tested.has(row) && !rule.includes('no test')).map(([row]) => row)
    expect(untested).toEqual([])
  })

  test('are of every family that is explained', () => {
    const used = new Set([...tested.keys()].map(placeOf))
    expect([...families].filter((family) => !used.has(family))).toEqual([])
  })
})

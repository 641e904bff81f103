/** What a source file of the package declares, read from its text. */
import { readFileSync } from 'node:fs'
import ts from 'typescript'

/** The texts of a union of literals. */
export function sourceUnion(path: string, name: string): string[] {
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
  const { statements } = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true)
  const declaration = statements.find((node): node is ts.TypeAliasDeclaration => ts.isTypeAliasDeclaration(node) && node.name.text === name)
  const type = declaration?.type
  return type !== undefined && ts.isUnionTypeNode(type) ? type.types.map((member) => member.getText().slice(1, -1)) : []
}

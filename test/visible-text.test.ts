/** Names that people read hide nothing and turn nothing. */
import { describe, expect, it } from '@jest/globals'
import { visibleText } from '../src/visible-text.js'

describe('visibleText', () => {
  it.each([
    ['Google\u202Egnp.evil', 'Googlegnp.evil'],
    ['\u2066Claude\u2069', 'Claude'],
    ['Cla\u200Bude', 'Claude'],
    ['Claude\r\n\u0007', 'Claude'],
    ['\uFEFFClaude \u00A0', 'Claude'],
    ['Cl\u{E0041}aude', 'Claude'],
    ['\u3164', ''],
    ['\u2800', ''],
    ['\u1680\uFE0F', ''],
    ['👩\u200D💻 Notes', '👩💻 Notes'],
    ['Café Zürich', 'Café Zürich'],
    ['日本語 アプリ', '日本語 アプリ'],
    ['تطبيق', 'تطبيق'],
  ])('V6 %j is read as %j', (text, visible) => {
    expect(visibleText(text)).toBe(visible)
  })
})

/**
 * The newcomer's table: mistakes that people make, and what they are told. None is silent, and each message names what is wrong and what to do.
 *
 * `messages.md` has all of it. After a change of messages write it anew: UPDATE_MESSAGES=1 npm run jest -- test/newcomer
 */
import { expect, test } from '@jest/globals'
import { readFileSync, writeFileSync } from 'node:fs'
import { clientMistakes, deployerMistakes } from './mistakes.js'
import { linesOf, tellOf, type Mistake } from './mistake.js'

const file = new URL('messages.md', import.meta.url)

/** The forms in which a message says what to do. */
const remedies =
  /must (?:be|have|hold|not|go|name|work|answer|return|say)|did you mean|call it|\b(?:set|add|remove|use|give|say|await|write|take|leave|return|move|mount|make|call|put|keep|allow|register|hand over|look|see|ask|throw|send|redirect|is needed|needs|serve|goes under|belongs?)\b|as in|such as|there (?:is|are)|is required|at (?:least|most)|can (?:be|do)|takes|go(?:es)? under/i

async function tableOf(mistakes: readonly Mistake[]): Promise<readonly { mistake: Mistake; lines: readonly string[] }[]> {
  const rows = []
  for (const mistake of mistakes) rows.push({ mistake, lines: linesOf(await tellOf(mistake)) })
  return rows
}

const deployer = await tableOf(deployerMistakes)
const client = await tableOf(clientMistakes)
const all = [...deployer, ...client]

test('V1–V43 there are at least 133 mistakes of a deployer, and 50 of a client', () => {
  expect(deployerMistakes.length).toBeGreaterThanOrEqual(133)
  expect(clientMistakes.length).toBeGreaterThanOrEqual(50)
})

test('V1–V43 no two mistakes are the same', () => {
  const names = all.map(({ mistake }) => mistake.what)
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
})

test('V1–V43 no mistake is silent', () => {
  expect(all.filter(({ lines }) => lines.length === 0).map(({ mistake }) => mistake.what)).toEqual([])
})

test('V1–V43 each message names the option or the parameter', () => {
  const unnamed = all.filter(({ mistake, lines }) => lines.length > 0 && !lines.some((line) => line.includes(mistake.names)))
  expect(unnamed.map(({ mistake, lines }) => [mistake.what, mistake.names, ...lines])).toEqual([])
})

test('V1–V43 each message to a deployer says what to do, in the line that names it', () => {
  const helpless = deployer.filter(
    ({ mistake, lines }) => lines.length > 0 && !lines.some((line) => line.includes(mistake.names) && remedies.test(line)),
  )
  expect(helpless.map(({ mistake, lines }) => [mistake.what, ...lines])).toEqual([])
})

test('V1–V43 no message is a mishap of JavaScript', () => {
  const mishaps = all.filter(({ lines }) =>
    lines.some((line) => /Cannot (?:read|destructure|set|convert)|is not (?:a function|iterable|defined)|Invalid URL/.test(line)),
  )
  expect(mishaps.map(({ mistake, lines }) => [mistake.what, ...lines])).toEqual([])
})

test('V1–V43 the messages are those of messages.md', () => {
  const text = [
    '# What newcomers are told',
    'Made by `UPDATE_MESSAGES=1 npm run jest -- test/newcomer`. A line is a message: thrown, or on the console; `event:` and `wire:` where it is told there alone.',
    '## A deployer',
    ...deployer.map(({ mistake, lines }) => `- **${mistake.what}**\n${lines.map((line) => `  - ${line}`).join('\n')}`),
    '## A client',
    ...client.map(({ mistake, lines }) => `- **${mistake.what}**\n${lines.map((line) => `  - ${line}`).join('\n')}`),
    '',
  ].join('\n\n')
  if (process.env.UPDATE_MESSAGES !== undefined) writeFileSync(file, text)
  expect(text.split('\n')).toEqual(readFileSync(file, 'utf8').split('\n'))
})

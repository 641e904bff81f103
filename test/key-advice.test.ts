/** Texts that should have been keys (U20): the message names what is wrong with them and the remedy, and no part of the key. */
import { describe, expect, test } from '@jest/globals'
import { generateKeyPairSync } from 'node:crypto'
import { encrypted, jwt } from '../src/index.js'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
const sealedPem = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string
const jwk = JSON.stringify(privateKey.export({ format: 'jwk' }))

const wrong: [name: string, key: unknown, advice: RegExp][] = [
  ['\\n as two characters', pem.replaceAll('\n', '\\n'), /use key\.replaceAll\('\\\\n', '\\n'\)/],
  ['\\n as two characters, in quotation marks', JSON.stringify(pem), /remove the quotation marks/],
  ['no line breaks', pem.replaceAll('\n', ' '), /its line breaks are missing/],
  ['no end', pem.slice(0, 60) + '\nx', /its end is missing/],
  ['an encrypted PEM', sealedPem, /createPrivateKey\(\{ key, passphrase \}\)/],
  ['a certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', /it is a certificate/],
  ['the text of a JWK', jwk, /use JSON\.parse\(key\)/],
  ['the base64 of a PEM', Buffer.from(pem).toString('base64'), /Buffer\.from\(key, 'base64'\)/],
  ['a path', './keys/signing.pem', /use readFileSync\(path, 'utf8'\)/],
  ['a path of Windows', 'C:\\keys\\signing', /use readFileSync\(path, 'utf8'\)/],
  ['a file name', 'signing.pem', /use readFileSync\(path, 'utf8'\)/],
  ['an empty text', ' ', /environment variable/],
]

function messageOf(make: () => unknown): string {
  try {
    make()
  } catch (thrown) {
    return (thrown as Error).message
  }
  return 'nothing was thrown'
}

describe.each(wrong)('%s', (_name, key, advice) => {
  test('U20 as a signing key', () => {
    const message = messageOf(() => jwt({ key: key as string }))
    expect(message).toMatch(advice)
    for (const part of pem.split('\n').slice(1, -2)) expect(message).not.toContain(part.slice(0, 20))
  })

  test('U20 as an encryption key', () => {
    expect(messageOf(() => encrypted({ key: key as string }))).toMatch(advice)
  })
})

describe('keys', () => {
  test('U20 the remedy works, and what is right needs none', () => {
    expect(() => jwt({ key: pem.replaceAll('\n', '\\n').replaceAll('\\n', '\n') })).not.toThrow()
    for (const key of [pem, `\n${pem}`, pem.replaceAll('\n', '\r\n'), JSON.parse(jwk)]) expect(() => jwt({ key })).not.toThrow()
  })

  test('U20 bytes in place of a PEM text', () => {
    expect(messageOf(() => jwt({ key: Buffer.from(pem) as unknown as string }))).toContain("readFileSync(path, 'utf8')")
  })
})

/** What a client might send: mostly well-formed and nearly right, with odd pieces, and with bytes changed, cut out and put in. */
import fc from 'fast-check'

/** Stands in many inputs, so that an echo of one is noticed. */
export const marker = 'Ech0Marker'

const names = fc.constantFrom(
  'grant_type', 'client_id', 'client_secret', 'code', 'redirect_uri', 'code_verifier', 'refresh_token', 'scope', 'token', 'token_type_hint',
  'resource', 'audience', 'username', 'password', 'client_assertion', 'client_assertion_type', 'access_token', 'state', 'grant_type[]',
  'scope[a]', '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__proto__[polluted]', 'constructor.prototype', '', marker,
) // prettier-ignore

const id = 'A'.repeat(22)
const random = 'B'.repeat(43)

const values = fc.constantFrom(
  'client_credentials', 'authorization_code', 'refresh_token', 'password', 'urn:ietf:params:oauth:grant-type:jwt-bearer', 'machine', 'web',
  'native', 'read', 'read write', 'admin', `${id}.${random}`, `${id}.0.${random}.${random}`, `${id}.9999999999.${random}.${random}`,
  `guard:${random}`, 'https://client.example/callback', 'x'.repeat(43), '', ' ', '\u0000', '../../etc/passwd', "' OR 1=1 --", '${7*7}',
  '<script>', '%', '%zz', '%ff', '%c0%80', '\ud800', '{"a":1}', 'null', 'undefined', '-1', '1e400', marker,
) // prettier-ignore

const oddText = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.string({ unit: 'grapheme', maxLength: 20 }), fc.base64String())
const markedText = oddText.map((text) => `${text}${marker}${text}`)
export const text = fc.oneof({ weight: 4, arbitrary: values }, { weight: 2, arbitrary: markedText }, { weight: 1, arbitrary: oddText })

const encode = fc.constantFrom<(text: string) => string>(
  (text) => new URLSearchParams({ '': text }).toString().slice(1),
  (text) => text,
  (text) => Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
)

const name = fc.oneof({ weight: 6, arbitrary: names }, { weight: 1, arbitrary: text })
const pair = fc.tuple(name, text, encode, fc.constantFrom('=', '=', '=', '', '==')).map(([key, value, encoded, equals]) =>
  `${encoded(key)}${equals}${encoded(value)}`) // prettier-ignore

const someForm = fc
  .tuple(fc.array(pair, { maxLength: 12 }), fc.constantFrom('&', '&', '&', '&&', ';', '\n'))
  .map(([pairs, glue]) => pairs.join(glue))
const grantForm = fc
  .tuple(fc.constantFrom('client_credentials', 'authorization_code', 'refresh_token'), someForm)
  .map(([type, rest]) => `grant_type=${type}&${rest}`)

interface Mutation {
  readonly at: number
  readonly kind: 'set' | 'insert' | 'delete' | 'repeat'
  readonly byte: number
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat({ max: 4_000 }),
  kind: fc.constantFrom('set', 'insert', 'delete', 'repeat'),
  byte: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 10, 13, 32, 34, 37, 38, 43, 61, 92, 127, 128, 255)),
})

function mutated(bytes: Buffer, { at, kind, byte }: Mutation): Buffer {
  const position = bytes.length === 0 ? 0 : at % bytes.length
  const before = bytes.subarray(0, position)
  switch (kind) {
    case 'set':
      return Buffer.concat([before, Buffer.of(byte), bytes.subarray(position + 1)])
    case 'insert':
      return Buffer.concat([before, Buffer.of(byte), bytes.subarray(position)])
    case 'delete':
      return Buffer.concat([before, bytes.subarray(position + 1 + (byte % 8))])
    case 'repeat':
      return Buffer.concat([before, bytes.subarray(position, position + byte), bytes.subarray(position)])
  }
}

/** The bytes of a text, half of the time with some of them changed. */
export function nearly(plain: fc.Arbitrary<string>, encoding: BufferEncoding = 'utf8'): fc.Arbitrary<Buffer> {
  const mutations = fc.oneof(fc.constant<Mutation[]>([]), fc.array(mutation, { minLength: 1, maxLength: 6 }))
  return fc.tuple(plain, mutations).map(([start, changes]) => changes.reduce(mutated, Buffer.from(start, encoding)))
}

export const formBody = nearly(fc.oneof(someForm, grantForm))

/** A header value that reaches the handler: node:http refuses line breaks and control characters before. */
export function headerText(bytes: Buffer): string {
  return bytes.toString('latin1').replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?')
}

export const scheme = fc.constantFrom(
  'Basic ',
  'basic ',
  'BASIC  ',
  'Basic',
  'Bearer ',
  'bearer ',
  'Digest ',
  '',
  ' ',
  'Basic Basic ',
  'MAC ',
)

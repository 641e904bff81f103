/**
 * What JWS and JWE in compact form are made of: base64url between dots, with JSON in UTF-8 inside. All of it is read strictly: what is not exactly
 * that is undefined.
 *
 * @see RFC 7515 §2 and §7.1, RFC 7516 §7.1
 */
import { isUtf8 } from 'node:buffer'

/** The members of a JSON object that somebody else wrote. */
export type Members = Readonly<Partial<Record<string, unknown>>>

/**
 * The bytes that a text stands for; undefined unless it is the one way to write them.
 *
 * Node reads more than base64url and leaves out what it cannot read, so the text must be what these bytes are written as.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  // RFC 7515 §2: no padding, line breaks, white space or other characters; RFC 4648 §3.5: no bits behind the last byte
  return bytes.toString('base64url') === text ? bytes : undefined
}

/** A value as JSON in base64url. */
export function encodeJson(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** The text that bytes are; undefined where they are no UTF-8. */
export function decodeUtf8(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString() : undefined
}

/** The JSON object that a text is; undefined where it is something else. RFC 7515 §4: of two members with one name it is the last that counts. */
export function parseObject(text: string | undefined): Members | undefined {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined
  } catch {
    return undefined
  }
}

/** The JSON object in the base64url of its UTF-8, as headers are written. */
export function decodeObject(text: string): Members | undefined {
  const bytes = decodeBase64url(text)
  return bytes === undefined ? undefined : parseObject(decodeUtf8(bytes))
}
